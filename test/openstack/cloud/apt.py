"""What is installed, and what is only unpacked."""
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud import settings
from cloud.errors import CloudError, log_tail

# The libraries of each service (python3-nova), not its daemons (nova-api): those would ask questions, write to /etc
# and bring init scripts.
INSTALLED = (
    'python3',
    'python3-keystone',
    'python3-glance',
    'python3-placement',
    'python3-nova',
    'python3-neutron',
    'python3-cinder',
    'python3-octavia',
    'python3-swift',
    'python3-pymysql',
    'python3-memcache',
    'python3-amqp',
    'uwsgi-core',
    'uwsgi-plugin-python3',
    'mariadb-server-core',
    'mariadb-client-core',
    'rabbitmq-server',
    'memcached',
    'haproxy',
    'openssl',
    'qemu-utils',
    # to look around by hand
    'python3-openstackclient',
    'python3-octaviaclient',
    'python3-swiftclient',
)
# For their api-paste.ini and the like.
FILES_ONLY = ('nova-common', 'neutron-common', 'cinder-common', 'glance-common')

_LOG = settings.LOG / 'apt.log'
_POLICY = Path('/usr/sbin/policy-rc.d')


def install() -> None:
    missing = [package for package in INSTALLED if not _is_installed(package)]
    if missing:
        with _no_daemon_started():
            options = ['-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-unsafe-io']
            _with_fresh_lists_at_need(['apt-get', 'install', *options, *missing])
    if not settings.UNPACKED.exists():
        _unpack()


def _is_installed(package: str) -> bool:
    query = subprocess.run(
        ['dpkg-query', '-W', '-f', '${db:Status-Status}', package], capture_output=True, text=True)
    return query.stdout == 'installed'


def _unpack() -> None:
    # complete or not there at all
    partial = settings.UNPACKED.with_suffix('.partial')
    partial.mkdir(exist_ok=True)
    _with_fresh_lists_at_need(['apt-get', 'download', *FILES_ONLY], cwd=partial)
    for package in partial.glob('*.deb'):
        subprocess.run(['dpkg', '-x', package, partial], check=True)
        package.unlink()
    partial.rename(settings.UNPACKED)


def _with_fresh_lists_at_need(command: list[str], cwd: Path = settings.STATE) -> None:
    if _run(command, cwd) or (_run(['apt-get', 'update'], cwd) and _run(command, cwd)):
        return
    raise CloudError(
        f'{" ".join(command[:2])} failed. Check the network and /etc/apt, then run up again; it goes on from here.\n'
        f'{log_tail(_LOG)}')


def _run(command: list[str], cwd: Path) -> bool:
    with open(_LOG, 'ab') as log:
        environment = os.environ | {'DEBIAN_FRONTEND': 'noninteractive'}
        return subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode == 0


@contextmanager
def _no_daemon_started() -> Iterator[None]:
    """Keeps packages from starting their daemons; a policy that the machine has already is left to decide."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text('#!/bin/sh\nexit 101\n')
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
