"""The one error that a command shows to its user as text, without a traceback."""


class CloudError(Exception):
    """Says what went wrong and what to do next."""
