"""A program that is run to its end."""
import subprocess
from collections.abc import Sequence

from cloud import settings
from cloud.errors import CloudError, log_tail


def run(name: str, command: Sequence[object], advice: str = '') -> None:
    """Its output goes to log/<name>.log; `advice` is given when it fails."""
    log = settings.LOG / f'{name}.log'
    with open(log, 'ab') as output:
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=settings.STATE,
            env=settings.child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if ended.returncode:
        raise CloudError(f'{name} failed. {advice}\n{log_tail(log)}')
