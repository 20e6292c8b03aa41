"""A process that outlives the command which started it."""
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud import settings
from cloud.errors import CloudError, log_tail
from cloud.readiness import Check

STARTUP_SECONDS = 180
# To look at a queue costs a connection to RabbitMQ, while the cores are busy.
POLL_SECONDS = 0.4


@dataclass(frozen=True)
class Process:
    name: str
    command: Sequence[object]
    ready: Check
    """Holds once the process does its work."""
    needs: Sequence[str] = ()
    """Names of the steps that must be done before it is started."""
    ports: Sequence[int] = ()
    environment: dict[str, object] = field(default_factory=dict)
    stop_seconds: float = 5
    """Patience between SIGTERM and SIGKILL."""

    @property
    def log_file(self):
        return settings.LOG / f'{self.name}.log'

    @property
    def _pid_file(self):
        return settings.RUN / f'{self.name}.pid'

    def pid(self) -> int | None:
        """Its process id while it runs. The start time tells it from a later process that was given the same id."""
        try:
            pid, started = map(int, self._pid_file.read_text().split())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _start_time(pid) == started else None

    def start(self) -> None:
        if self.pid():
            return
        with open(self.log_file, 'ab') as log:
            child = subprocess.Popen(
                [str(word) for word in self.command],
                env=settings.child_environment() | {name: str(value) for name, value in self.environment.items()},
                cwd=settings.STATE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pid_file.write_text(f'{child.pid} {_start_time(child.pid) or 0}\n')

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + STARTUP_SECONDS
        while problem := self.ready.problem():
            if not self.pid():
                raise CloudError(f'{self.name} died as it started.\n{log_tail(self.log_file)}')
            if time.monotonic() > give_up:
                raise CloudError(f'{self.name} {problem} after {STARTUP_SECONDS} s.\n{log_tail(self.log_file)}')
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        if pid := self.pid():
            give_up = time.monotonic() + self.stop_seconds
            _signal_group(pid, signal.SIGTERM)
            while self.pid() and time.monotonic() < give_up:
                time.sleep(0.05)
            # a worker may outlive its parent
            _signal_group(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)


def _start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None if there is none, or only its zombie."""
    try:
        with open(f'/proc/{pid}/stat') as stat:
            state, *fields = stat.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == 'Z' else int(fields[18])


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass
