"""The error with which a command ends when it cannot do its work."""

from __future__ import annotations

FAILED = 1
"""Exit status when a file, an address or the output cannot be used."""
MISUSE = 2
"""Exit status when the command line is invalid; argparse uses it as well."""


class CommandFailed(Exception):
    """A command cannot do its work.

    Args:
        message: The problem, in one line.
        status: The exit status.
    """

    def __init__(self, message: str, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """Return the system's description of an error, without its number and file."""
    return error.strerror or str(error)
