"""Who holds a port that one of ours needs."""
import socket
from pathlib import Path

from cloud import settings
from cloud.errors import CloudError
from cloud.process import Process


def check_free(processes: list[Process]) -> None:
    taken = [
        f'    {port} for {process.name}: {_holder(port)}'
        for process in processes if not process.pid()
        for port in process.ports if _is_taken(port)
    ]
    if taken:
        raise CloudError('\n'.join([
            'these ports are in use by something else; end it, or change cloud/settings.py:', *taken]))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    listening = '0A'
    inodes = {
        f'socket:[{fields[9]}]'
        for table in ('/proc/net/tcp', '/proc/net/tcp6')
        for fields in map(str.split, Path(table).read_text().splitlines()[1:] if Path(table).exists() else [])
        if fields[3] == listening and int(fields[1].rpartition(':')[2], 16) == port
    }
    for descriptor in Path('/proc').glob('[0-9]*/fd/*'):
        try:
            if str(descriptor.readlink()) in inodes:
                folder = descriptor.parents[1]
                command = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace').strip()
                return f'process {folder.name} ({command[:100]})'
        except OSError:
            # ended meanwhile
            continue
    return 'a process that cannot be seen from here'
