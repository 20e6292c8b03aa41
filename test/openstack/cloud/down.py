"""down: stops what up started, and nothing else; `--purge` removes the state as well, but no package."""
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from cloud import command, settings
from cloud.services.table import FOUNDATIONS, OPENSTACK


def down(purge: bool) -> int:
    if not settings.STATE.exists():
        return 0
    with command.alone():
        for services in (OPENSTACK, FOUNDATIONS):
            processes = [process for service in services for process in service.processes]
            with ThreadPoolExecutor(len(processes)) as threads:
                list(threads.map(lambda process: process.stop(), processes))
        if purge:
            shutil.rmtree(settings.STATE)
    return 0


if __name__ == '__main__':
    if sys.argv[1:] not in ([], ['--purge']):
        sys.exit('usage: down [--purge]')
    command.run('down', lambda: down('--purge' in sys.argv))
