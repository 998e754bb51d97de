"""Errors that are kept, and raised at each read that comes too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

from tokenstream.errors import TokenStreamError

if TYPE_CHECKING:
    from types import TracebackType

ErrorT = TypeVar("ErrorT", bound=Exception)

_RAISED: WeakKeyDictionary[Exception, ref[Any]] = WeakKeyDictionary()
"""The error that was raised for each kept one, as long as its reader has it."""


def raised_anew(error: ErrorT) -> ErrorT:
    """Return a kept error as another object, to be raised; as the same each time while its reader has it.

    The traceback of a raised error holds the frames that have read, and so the object that keeps the error;
    both would wait for the garbage collector. The two errors share their attributes: what is noted on one of
    them is also on the other. An error of the application is returned itself, without its traceback.
    """
    if not isinstance(error, TokenStreamError):
        return error.with_traceback(None)
    known = _RAISED.get(error)
    living: ErrorT | None = None if known is None else known()
    if living is not None:
        return living.with_traceback(None)
    raised = error.__class__.__new__(error.__class__, *error.args)
    raised.args, raised.__dict__ = error.args, error.__dict__
    raised.__cause__, raised.__context__ = error.__cause__, error.__context__
    raised.__suppress_context__ = error.__suppress_context__
    _RAISED[error] = ref(raised)
    return raised


def without_own_frames(error: ErrorT) -> ErrorT:
    """Return an error of a source with a traceback that begins in the source.

    The frames before, which have called the source, hold the stream that reads it.
    """
    place: TracebackType | None = error.__traceback__
    while place is not None and place.tb_frame.f_globals.get("__name__", "").startswith("tokenstream."):
        place = place.tb_next
    return error.with_traceback(place)
