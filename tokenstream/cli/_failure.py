"""The error that ends a command which cannot do its work."""

from __future__ import annotations

FAILED = 1
"""Exit status if a file, an address or the output cannot be used."""
MISUSE = 2
"""Exit status if the command line is invalid, as argparse reports it, too."""


class CommandFailed(Exception):
    """A command cannot do its work.

    Args:
        message: A description of the problem, on one line.
    """

    def __init__(self, message: str, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """Return the system's description of an error, without the error's number and the file."""
    return error.strerror or str(error)
