"""Attribution of answers that a relay sends: the record of who is served what, which alone logs."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.error_marks import advice_of, mark_reported
from tokenstream._basics.url import server_of
from tokenstream._basics.visible import one_line
from tokenstream._values.origin import Origin
from tokenstream.errors import AnswerFailure, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.relay._incident import find_asked, find_places, judge_bug, judge_error, raised_first
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import StreamBase, find_driver, find_money_error
from tokenstream.stream._log import inform, tell

if TYPE_CHECKING:
    from tokenstream.message import Ending
    from tokenstream.relay._incident import Incident

SHUT_DOWN = "the relay's server was shut down"

_BROKEN: dict[Ending | None, type[StreamError]] = {"truncated": StreamTruncated, "failed": StreamError}
"""The class of error for each ending of an answer that has broken off."""


class ServedAnswer:
    """A record of who is served what: it is made where a response is made, and it alone logs.

    The producer of an answer in a journal has one, too, which it shares with the response that starts it.
    """

    def __init__(self, id: str | None, *, owner: str | None = None, asked_id: str | None = None) -> None:
        self.id = id  # as its readers have it
        self.owner = owner
        self._asked_id = asked_id  # for readers that are refused, who have another one
        self._source: object = None
        """The stream, or another source of the answer's events; None if it is not known."""
        self.given: object = None
        """The function or source that the application has passed; None if it is not known."""
        self._is_kept = False
        """True if a journal has the answer, under its id."""
        self.has_begun = False
        self.status: int | None = None

    # -- what becomes known --------------------------------------------------

    def attribute(self, source: object) -> str | None:
        """Note the answer's source; return the answer's id, which all readers of a stream share."""
        self._source, self.given = source, self.given or source
        stream: Any = source
        if self.id is not None and isinstance(source, StreamBase):
            shared = find_driver(stream).machine.asked.name_answer(self.id)
            # A head that was sent has the id already.
            if self.status is None and not self._is_kept:
                self.id = shared
        return self.id

    def keep(self, id: str, source: object = None) -> None:
        """Note that the answer is in a journal, under an id, and what the journal reads it from."""
        self.id, self._is_kept, self._asked_id = id, True, None
        if source is not None:
            self.attribute(source)

    def begin(self) -> None:
        self.has_begun = True

    def find_broken(self, ending: Ending | None) -> AnswerFailure | None:
        """Return the error of an answer whose loop ended without one; None for a good ending."""
        stream: object = self._source
        cost = find_money_error(find_driver(stream)) if isinstance(self._source, StreamBase) else None
        return cost or find_broken(ending)

    def note_head(self, status: int, id: str | None) -> None:
        self.status, self.id = status, id or self.id

    # -- what is logged ------------------------------------------------------

    def report(self, error: AnswerFailure) -> None:
        """Log, once for each error, that the answer has failed."""
        self.report_incident(judge_error(error))

    def report_bug(self, error: Exception) -> Incident:
        """Log that the application has raised an exception, and where; its text may be private."""
        incident = judge_bug(error, self.given)
        self.report_incident(incident)
        return incident

    def report_incident(self, incident: Incident, status: int | None = None) -> None:
        """Log a failure, once for each error of an answer; a reader without a head gets `status`.

        None is the status of a reader that has gone: only an error of the answer is logged then.
        """
        error, head = incident.error, self.status
        if not incident.cause or (error is None and status is None):
            return
        if isinstance(error, AnswerFailure) and not mark_reported(error):
            return
        what = "an answer broke off: %s" if self.has_begun else "an answer failed before its first event: %s"
        if error is None:
            what = f"a reader gets status {status}: %s"
            what = what if head is None else f"a reader that has status {head} already gets no answer: %s"
        elif not self.has_begun and head is not None:
            what = f"{what}; its reader has status {head} already"
        elif not self.has_begun and status is not None:
            what = f"{what}; its reader gets status {status}"
        self.tell(incident.level, what, incident.cause, error=error)

    def tell(self, level: int, message: str, *details: object, error: Exception | None = None) -> None:
        """Log a message about the answer, with the origin of its error, or of its source.

        Of an exception of the application's, the record has the type, and the places that have raised it.
        """
        fields: dict[str, object] = {
            "owner": self.owner,
            "status": self.status,
            "head_sent": self.status is not None,
        }
        advice = stack = ""
        known = error if isinstance(error, AnswerFailure) else None
        bug = None if known is not None or error is None else raised_first(error)
        if known is not None:
            advice = advice_of(known)
        elif bug is not None:
            fields["exception"] = type(bug).__name__
            stack = "\n".join(
                f'File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
                for frame, line in find_places(bug, self.given)
            )
        of = _KnownOrigin(self._find_origin(error))
        tell(level, message, *details, of=of, advice=advice, stack=stack, bug=bug, **fields)

    def _find_origin(self, error: Exception | None) -> Origin:
        """Return the origin of an error, or else of the source, under the id that readers have."""
        origin = find_origin(error) or Origin()
        if error is not None and origin == Origin():
            origin = find_asked(error)
        if origin == Origin():
            origin = find_origin(self._source) or origin
        if self.id is None:
            return origin
        # A client may have made an id, and could forge lines of the log with one of several lines.
        id, source_id = one_line(self.id), origin.answer_id or self._asked_id
        if source_id is None or source_id == self.id:
            source_id = origin.source_id
        source_id = None if source_id is None or source_id == self.id else one_line(source_id)
        return replace(origin, answer_id=id, source_id=source_id)


class _KnownOrigin(NamedTuple):
    """An origin, as the log takes it."""

    origin: Origin


def find_origin(source: object) -> Origin | None:
    """Return the origin of a source of events; None for one that is no stream of this library."""
    # An application's own iterable may have an attribute of this name, too.
    origin = getattr(source, "origin", None)
    return origin if isinstance(origin, Origin) else None


def find_asked_host(source: object) -> str:
    """Return the host that a stream has asked, or will ask; "" if it is not known."""
    stream: Any = source
    asked: Any = find_driver(stream) if isinstance(source, StreamBase) else None
    for name in ("source_driver", "pump", "held", "asked"):
        asked = getattr(asked, name, None)
    return (asked and server_of(asked[0])[0]) or ""


def make_answer_id() -> str:
    return token_urlsafe(24)


def ending_of(source: object) -> Ending | None:
    ending: Ending | None = getattr(getattr(source, "message", None), "ending", None)
    return ending


def find_broken(ending: Ending | None) -> AnswerFailure | None:
    """Return the error to report for an answer that ended without one; None unless it has broken off."""
    return None if (found := _BROKEN.get(ending)) is None else found("the answer broke off")


def make_interruption(source: object, message: str) -> StreamInterrupted:
    """Return the error of an answer that this server ends before its source does."""
    error = StreamInterrupted(message)
    error.origin = find_origin(source)
    return error


def interrupt_source(source: object) -> StreamInterrupted:
    """End the answer of a source because this server shuts down; return its error, which nobody logs alone.

    The stream itself ends with this error, so its metrics do not count the answer as stopped.
    """
    error = make_interruption(source, SHUT_DOWN)
    error.kind = "shutdown"
    mark_reported(error)
    stream: Any = source
    driver = find_driver(stream) if isinstance(source, StreamBase) else None
    if isinstance(driver, AsyncDriver):
        driver.interrupt(error)
    return error


def report_ended(count: int) -> None:
    """Log how many answers this server's shutdown has ended, if any: no provider is to blame for them."""
    if count:
        inform("answers that the server's shutdown has ended: %d", count)
