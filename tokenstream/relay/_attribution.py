"""Attribution of answers that a relay sends: their ids, and the one place where a broken answer is logged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.error_marks import mark_reported
from tokenstream._basics.visible import one_line
from tokenstream._origin import Origin
from tokenstream.errors import StreamError, StreamInterrupted, StreamTruncated
from tokenstream.stream._base import StreamBase, find_driver, find_money_error
from tokenstream.stream._log import describe_cause, warn

if TYPE_CHECKING:
    from tokenstream.message import Ending

SHUT_DOWN = "the relay's server was shut down"
"""The message of the error of an answer that a server's shutdown ends."""

_BROKEN: dict[Ending, type[StreamError]] = {"truncated": StreamTruncated, "failed": StreamError}
"""The class of error for each ending of an answer that has broken off."""


class AnswerById(NamedTuple):
    """An answer of which only the id is known, for the log."""

    id: str

    @property
    def origin(self) -> Origin:
        """The origin of the answer, which has nothing but the id."""
        # A client may have made the id, and could forge lines of the log with one of several lines.
        return Origin(answer_id=one_line(self.id))


def find_origin(source: object) -> Origin | None:
    """Return the origin of a source of events; None for one that is no stream of this library."""
    # An application's own iterable may have an attribute of this name, too.
    origin = getattr(source, "origin", None)
    return origin if isinstance(origin, Origin) else None


def name_answer(source: object, id: str | None) -> None:
    """Give a stream its readers' id for its lines in the log, which no other source of events has."""
    stream: Any = source
    if id is not None and isinstance(source, StreamBase):
        find_driver(stream).machine.asked.name_answer(id)


def ending_of(source: object) -> Ending | None:
    """Return the ending of a source's message, "truncated" if it has cost too much; None without a message.

    Example:
        >>> from tokenstream import Stream
        >>> stream = Stream(["Hi"], format="pieces")
        >>> for _ in stream: pass
        >>> ending_of(stream), ending_of([])
        ('complete', None)
    """
    stream: Any = source
    if isinstance(source, StreamBase) and find_money_error(find_driver(stream)) is not None:
        return "truncated"
    ending: Ending | None = getattr(getattr(stream, "message", None), "ending", None)
    return ending


def find_broken(ending: Ending | None) -> StreamError | None:
    """Return the error to report for an answer that ended without one; None unless it has broken off."""
    error_class = None if ending is None else _BROKEN.get(ending)
    return None if error_class is None else error_class("the answer broke off")


def make_interruption(source: object, message: str) -> StreamInterrupted:
    """Return the error of an answer that this server ends before its source does."""
    error = StreamInterrupted(message)
    error.origin = find_origin(source)
    return error


def report_broken(error: StreamError, id: str | None, *, status: int | None = None) -> None:
    """Log that an answer has broken off, once for each error, with the origin of the answer.

    Whatever turns a verdict into an error event calls this first: the encoders for one reader, the
    producers of journals, and the refusals. Readers that follow the answer of a journal log nothing. The
    status is None once the answer has begun.
    """
    if not mark_reported(error):
        return
    if error.origin.answer_id is None and id is not None:
        error.origin = replace(error.origin, answer_id=one_line(id))
    if status is None:
        warn("an answer broke off: %s", describe_cause(error), of=error)
    else:
        cause = describe_cause(error)
        warn(
            "an answer failed before its first event: %s; its reader gets status %d", cause, status, of=error
        )
