"""up: installs, configures, starts and fills the cloud; only what is not done yet."""
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud import apt, command, description, ports, program, resources, settings
from cloud.api import Api
from cloud.errors import CloudError
from cloud.identity import make_users_and_catalog
from cloud.process import Process
from cloud.services import mariadb
from cloud.services.service import Service
from cloud.services.table import OPENSTACK, SERVICES
from cloud.steps import Step, carry_out

# Two cores are busy with four, since each waits now and then.
STEPS_AT_ONCE = 4

DONE = settings.STATE / 'done'


def up() -> int:
    start = time.monotonic()
    if 'VERSION_CODENAME=bookworm' not in Path('/etc/os-release').read_text():
        raise CloudError('the packages are those of Debian 12 (bookworm); use such a machine or container')
    with command.alone():
        for folder in (settings.ETC / 'swift', settings.STATE / 'home', settings.LOG, settings.RUN, settings.LOCK,
                       DONE):
            folder.mkdir(parents=True, exist_ok=True)
        ports.check_free([process for service in SERVICES for process in service.processes])
        apt.install()
        # they were installed under the feet of this process
        importlib.invalidate_caches()
        print(f'{time.monotonic() - start:6.1f} s  packages')
        write_configs()
        found: dict[str, Any] = {}
        carry_out([*starting(), *filling(found)], STEPS_AT_ONCE)
        description.write(description.access(OPENSTACK) | found)
    print(f'up after {time.monotonic() - start:.0f} s. The tests read {description.CLOUD_JSON}; '
          f'by hand: . {settings.STATE}/openrc && openstack server list')
    return 0


def write_configs() -> None:
    for service in SERVICES:
        for name, text in service.config.items():
            (settings.ETC / name).write_text(text)


def starting() -> list[Step]:
    """Preparations, tables and processes of all servers."""
    steps = [Step('databases', create_databases, ['mariadb'])]
    for service in SERVICES:
        preparation = f'{service.name} preparation'
        if service.prepare:
            steps.append(Step(preparation, service.prepare))
        if service.schema:
            steps.append(Step(f'{service.name} schema', lambda service=service: make_tables(service),
                              ['databases'], seconds=15))
        for process in service.processes:
            needs = [*process.needs, *([preparation] if service.prepare else [])]
            steps.append(Step(process.name, lambda process=process: bring_up(process), needs, seconds=6))
    steps.append(Step('service users', lambda: once('service-users', lambda: make_users_and_catalog(OPENSTACK)),
                      ['keystone'], seconds=5))
    return steps


def bring_up(process: Process) -> None:
    process.start()
    process.wait_until_ready()


def create_databases() -> None:
    mariadb.create_databases([name for service in SERVICES for name in service.databases])


def make_tables(service: Service) -> None:
    once(f'{service.name}-schema', lambda: program.run(
        f'{service.name}-schema', service.schema, 'Once it is mended, down --purge and up start anew.'))


def once(name: str, work: Callable[[], None]) -> None:
    """Does what takes long to look for, and what nobody takes away again."""
    done = DONE / name
    if not done.exists():
        work()
        done.touch()


def filling(found: dict[str, Any]) -> list[Step]:
    """Resources for the tests, noted in `found`."""
    bosh, admin = Api('bosh'), Api('admin')

    def step(name: str, make: Callable[[], dict[str, Any]], *needs: str, seconds: float = 0.5) -> Step:
        return Step(name, lambda: found.update(make()), ['service users', *needs], seconds)

    computes = [f'nova-{host}' for host in settings.COMPUTE_HOSTS]
    return [
        step('networks', lambda: resources.networks(bosh, admin), 'neutron', seconds=10),
        step('load balancer', lambda: resources.load_balancer(bosh, found['networks']['net-a']['subnet_id']),
             'networks', 'octavia', 'octavia-worker', seconds=6),
        step('availability zones', lambda: resources.availability_zones(admin),
             'nova-api', 'nova-scheduler', *computes),
        step('flavors', lambda: resources.flavors(admin), 'nova-api'),
        step('keypair', lambda: resources.keypair(bosh), 'nova-api'),
        step('image', lambda: resources.image(bosh), 'glance'),
        step('volume types', lambda: resources.volume_types(admin), 'cinder-api'),
        step('object store', lambda: resources.object_store(bosh),
             *(f'swift-{kind}' for kind in ('proxy', *settings.SWIFT_STORAGE_PORTS))),
        step('credentials', lambda: resources.credentials(bosh)),
        step('schedulers', lambda: resources.wait_until_schedulable(admin),
             'nova-api', 'nova-scheduler', 'cinder-api', 'cinder-scheduler', 'cinder-volume', *computes),
        step('trial servers', lambda: resources.trial_servers(bosh, found),
             'networks', 'availability zones', 'flavors', 'image', 'schedulers', seconds=8),
    ]


if __name__ == '__main__':
    if sys.argv[1:]:
        sys.exit('usage: up')
    command.run('up', up)
