"""The one error that a command shows to its user as text, without a traceback."""
from pathlib import Path


class CloudError(Exception):
    """Says what went wrong and what to do next."""


def log_tail(log: Path, lines: int = 25) -> str:
    text = log.read_text(errors='replace') if log.exists() else ''
    return f'{log} ends with:\n' + '\n'.join(f'    {line}' for line in text.splitlines()[-lines:])
