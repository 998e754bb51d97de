"""How a command says that it cannot do its work."""

from __future__ import annotations

__all__ = ["FAILED", "MISUSE", "CommandFailed", "reason_of"]

FAILED = 1
"""The exit status when a file, an address or the output cannot be used."""
MISUSE = 2
"""The exit status when the command line asks for what cannot be done; argparse's own too."""


class CommandFailed(Exception):
    """A command cannot do its work.

    Args:
        message: What is wrong, in one line.
        status: The exit status.
    """

    def __init__(self, message: str, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """Return the system's words for an error, without its number and file."""
    return error.strerror or str(error)
