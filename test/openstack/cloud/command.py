"""What up, down and status have in common."""
import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloud import settings
from cloud.errors import CloudError


def run(name: str, command: Callable[[], int]) -> None:
    try:
        sys.exit(command())
    except CloudError as error:
        sys.exit(f'{name}: {error}')
    except KeyboardInterrupt:
        sys.exit(f'{name}: interrupted; run it again to go on')


@contextmanager
def alone() -> Iterator[None]:
    """Keeps another up or down out of the same state folder."""
    settings.STATE.mkdir(parents=True, exist_ok=True)
    with open(settings.STATE / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CloudError(f'another up or down is at work on {settings.STATE}; wait for it to end') from None
        yield
