"""Bounds of a journal: the ids, owners and answers that it accepts, and the amount for each owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_encodable
from tokenstream.errors import MisuseError
from tokenstream.stream import Stream

if TYPE_CHECKING:
    from tokenstream.relay._shape import Shape

_MAX_ID = 256


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
    opening: int = 256
    """Maximum number of answers, of all owners of this process, that wait to begin; beyond it, a new one is
    refused (503)."""

    def __post_init__(self) -> None:
        if min(self.running, self.kept, self.bytes, self.opening) < 1:
            raise MisuseError("running, kept, bytes and opening of Bounds must be at least 1")


BOUNDS = Bounds()


def is_valid_id(id: object) -> bool:
    """Return True if a value, which may come from a client, can be the id of an answer."""
    return isinstance(id, str) and 0 < len(id) <= _MAX_ID and is_encodable(id)


def check_id(id: object) -> None:
    if not is_valid_id(id):
        raise MisuseError(f"an id is a text of 1 to {_MAX_ID} characters, without half a surrogate pair")


def check_owner(owner: object, function: object = None) -> None:
    """Check that a value, which a function may have returned, can be an answer's owner: None or a text.

    Another value, or half a surrogate pair, would be equal to no owner that is read back from a storage.
    """
    if owner is not None and not (isinstance(owner, str) and is_encodable(owner)):
        kind = type(owner).__name__
        name = getattr(function, "__qualname__", type(function).__name__)
        what = "not this" if function is None else f"{name}() has returned a"
        raise MisuseError(f"owner= is a text that names the user, such as str(user.id), and {what} {kind}")


def check_waiting(option: str, seconds: float | None, *, is_shared: bool) -> None:
    """Check the seconds for which readers wait for another process that shares the storage, if they do."""
    if seconds is None:
        return
    if not seconds > 0:
        raise MisuseError(f"{option} is a positive number of seconds, not {seconds!r}")
    if not is_shared:
        raise MisuseError(f"{option} is for a RedisJournal: no other process has what this one keeps")


def check_arguments(stream: object, id: object, *, raw: bool, shape: Shape | None) -> None:
    """Raise MisuseError if a journal cannot start an answer with these arguments of `start`."""
    if isinstance(stream, Stream) or not hasattr(stream, "__aiter__"):
        raise MisuseError(
            f"a journal takes an AsyncStream, or another async iterable of events, not {stream!r:.80}"
        )
    check_id(id)
    if raw and shape is not None:
        raise MisuseError(
            "raw=True writes the provider's payloads as they came, in which shape= changes nothing: "
            "leave one of them out"
        )
