"""Errors that are kept, and raised at each read that comes too late."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from tokenstream.errors import TokenStreamError

if TYPE_CHECKING:
    from types import TracebackType

ErrorT = TypeVar("ErrorT", bound=Exception)

_RAISED: dict[int, tuple[ref[Any], ref[Any]]] = {}
"""The error that was raised for each kept one, by the kept one's id: references to both."""
_OWN = "tokenstream"
"""The package whose errors have a twin."""


def raised_anew(error: ErrorT) -> ErrorT:
    """Return a kept error as another object, to be raised; as the same each time while its reader has it.

    The traceback of a raised error holds the frames that have read, and so the object that keeps the error;
    both would wait for the garbage collector. The two errors share their attributes: what is noted on one of
    them is also on the other. An error that the application has made is returned itself: its class may be
    made in any way, and the application may know it by its identity.
    """
    if not isinstance(error, TokenStreamError) or _is_of_application(error):
        return error.with_traceback(None)
    _, known = _RAISED.get(id(error), (None, None))
    living: ErrorT | None = None if known is None else known()
    if living is not None:
        return living.with_traceback(None)
    raised = error.__class__.__new__(error.__class__, *error.args)
    raised.args, raised.__dict__ = error.args, error.__dict__
    raised.__cause__, raised.__context__ = error.__cause__, error.__context__
    raised.__suppress_context__ = error.__suppress_context__
    _RAISED[id(error)] = ref(error, partial(_forget, id(error))), ref(raised)
    return raised


def mark_given(error: ErrorT) -> ErrorT:
    """Note on an error of this library if the application has raised it; return the error."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None and not _is_own_frame(place):
        vars(error)["_is_given"] = True
    return error


def without_own_frames(error: ErrorT) -> ErrorT:
    """Return an error of a source with a traceback that begins in the source.

    The frames before, which have called the source, hold the stream that reads it.
    """
    place = error.__traceback__
    while place is not None and _is_own_frame(place):
        place = place.tb_next
    return error.with_traceback(place)


def _is_of_application(error: TokenStreamError) -> bool:
    """Return True for an error of the application's own class, or one that the application has raised."""
    is_of_own_class = type(error).__module__.partition(".")[0] == _OWN
    return not is_of_own_class or vars(error).get("_is_given", False)


def _is_own_frame(place: TracebackType) -> bool:
    """Return True if a frame of a traceback is of this library."""
    return str(place.tb_frame.f_globals.get("__name__", "")).startswith(f"{_OWN}.")


def _forget(key: int, _: object) -> None:
    """Forget a kept error that is gone."""
    _RAISED.pop(key, None)
