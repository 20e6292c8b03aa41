"""What the cloud has to know of a server."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cloud import settings
from cloud.process import Process
from cloud.readiness import Check


@dataclass(frozen=True)
class CatalogEntry:
    type: str
    name: str
    path: str = ''
    admin_path: str | None = None
    """Where the admin endpoint differs."""


@dataclass(frozen=True)
class Service:
    name: str
    processes: Sequence[Process]
    config: Mapping[str, str] = field(default_factory=dict)
    """Texts of the files below etc/."""
    databases: Sequence[str] = ()
    schema: Sequence[object] = ()
    """Command that makes the tables, run once."""
    prepare: Callable[[], None] | None = None
    """Makes what has to be there before the first start; run every time, so it looks first."""
    catalog: CatalogEntry | None = None


def console_script(entry_point: str, name: str, *arguments: object) -> list[object]:
    return [settings.PYTHON, '-P', settings.SOURCE / 'console_script.py', entry_point, name, *arguments]


def config_file(name: str) -> tuple[str, object]:
    return '--config-file', settings.ETC / name


def uwsgi(name: str, script: str, ready: Check, *, arguments: Sequence[object] = (), **more) -> Process:
    """A WSGI script in one process.

    There is no master process: these applications hang when they were loaded before a fork. uwsgi ends each
    connection after its answer but does not say so, whence the header: clients would take it for a failure.
    """
    port = settings.PORTS[name]
    return Process(
        name,
        ['uwsgi', '--plugin', 'python3', '--http-socket', f'{settings.HOST}:{port}', '--wsgi-file', script,
         '--need-app', '--enable-threads', '--threads', 8, '--buffer-size', 65535, '--die-on-term',
         '--disable-logging', '--add-header', 'Connection: close', *arguments],
        ready=ready,
        ports=[port],
        **more,
    )
