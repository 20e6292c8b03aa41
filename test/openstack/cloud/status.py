"""status: says of each process whether it does its work; exits 0 only if all of them do."""
from concurrent.futures import ThreadPoolExecutor

from cloud import command
from cloud.process import Process
from cloud.services.table import SERVICES


def status() -> int:
    processes = [process for service in SERVICES for process in service.processes]
    with ThreadPoolExecutor(len(processes)) as threads:
        problems = list(threads.map(problem, processes))
    for process, amiss in zip(processes, problems):
        print(f'{process.name:17} {amiss or "ok"}')
    return 1 if any(problems) else 0


def problem(process: Process) -> str | None:
    if not process.pid():
        return f'is not running; its log: {process.log_file}'
    return process.ready.problem()


if __name__ == '__main__':
    command.run('status', status)
