"""The bounds of what one owner may hold in a journal."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError


@show_members
@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for the answers of each owner in a journal, so that no owner takes the others' room.

    Answers without an owner (`owner=None`) have only the journal's own limits.

    Raises:
        MisuseError: A limit is less than 1.

    Example:
        >>> Bounds(running=2).kept
        100
    """

    running: int = 8
    """Maximum number of answers that run at the same time; beyond it, no new answer can begin (429)."""
    kept: int = 100
    """Maximum number of answers; beyond it, those of the owner that ended first are forgotten."""
    bytes: int = 64 * 1024 * 1024
    """Maximum size of all records in bytes; beyond it, the owner's answers that ended first are discarded."""

    def __post_init__(self) -> None:
        if min(self.running, self.kept, self.bytes) < 1:
            raise MisuseError("running, kept and bytes of an owner must be at least 1")


BOUNDS = Bounds()
"""The limits that a journal has unless others are passed."""
