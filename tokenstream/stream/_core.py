"""What the two drivers share: everything but the waiting."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, NoReturn

from tokenstream._machine import Machine
from tokenstream.errors import (
    ConcurrentRead,
    MisuseError,
    ProtocolError,
    StreamClosed,
    StreamConsumed,
    StreamError,
    StreamInterrupted,
    StreamStalled,
)
from tokenstream.limits import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.departures import Departure
    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Ending, Message
    from tokenstream.stages.metrics import Metrics
    from tokenstream.status import ResponseHead

__all__ = ["END", "StreamBase", "concurrent"]

_logger = logging.getLogger("tokenstream")

_DEADLINES = Deadlines()
_LOWEST_OTHER_STATUS = 300
_TRANSPORT_ERRORS = frozenset(
    {"TransportError", "HTTPException", "HTTPError", "ClientError", "ConnectionError", "APIConnectionError"}
)
"""Roots of what transports raise: httpx, http.client, urllib3, aiohttp, requests, the SDKs."""
END = object()
"""Stands for the end of a source."""
_MOST_AFTER_END = 64 * 1024
"""Bytes that are read after the terminal event, for the sake of the connection's reuse."""


class StreamBase:
    """A stream without its loop: what has come, how it ended, and what it says of itself."""

    __slots__ = (
        "__weakref__",
        "_at_end",
        "_clock",
        "_closed",
        "_closed_early",
        "_deadlines",
        "_due",
        "_error",
        "_head",
        "_lost",
        "_machine",
        "_over",
        "_pull",
        "_reading",
        "_waits",
    )

    def __init__(
        self,
        *,
        format: str | Format | None,
        limits: Limits | None,
        deadlines: Deadlines | None,
        started_at: float | None,
        clock: Callable[[], float],
        pings: bool,
    ) -> None:
        self._deadlines = deadlines if deadlines is not None else _DEADLINES
        self._clock = clock
        self._head: ResponseHead | None = None
        self._error: StreamError | None = None
        self._over = False
        self._closed = False
        self._closed_early = False
        self._reading = False
        self._lost = False
        self._at_end: tuple[int, int] | None = None
        """How many bytes and comments there were when the terminal event came."""
        self._waits: Deadlines | None = None
        self._due = -math.inf
        self._machine = Machine(format, content_type=None, limits=limits, pings=pings)
        self._pull: Callable[[], Event | None] = self._machine.pull
        self._machine.meter.begin(clock() if started_at is None else started_at, wrapped=started_at is None)

    def __repr__(self) -> str:
        head = self._head
        where = f" of {head.url}" if head is not None and head.url else ""
        return f"<{type(self).__name__}{where}: {self.format or 'unknown format'}, {self.message.ending}>"

    # -- what has come -----------------------------------------------------

    @property
    def message(self) -> Message:
        """The answer so far: a value, built when asked, that never changes."""
        return self._machine.accumulator.message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        return self._machine.accumulator.messages

    @property
    def metrics(self) -> Metrics:
        """How fast the answer came, as far as it has come."""
        return self._machine.metrics

    @property
    def departures(self) -> Mapping[str, Departure]:
        """What the server did that its documents do not say, and the rule that was applied."""
        return self._machine.departures

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return self._machine.format

    @property
    def response(self) -> ResponseHead | None:
        """The head of the HTTP response; None where there is none, or not yet."""
        return self._head

    @property
    def closed(self) -> bool:
        """Whether the source is closed: after the end, an error, `stop` or `close`."""
        return self._closed

    # -- for the drivers ---------------------------------------------------

    def _sent(self) -> None:
        """A request goes out now."""
        self._machine.meter.begin(self._clock(), wrapped=False)

    def _opened(self, head: ResponseHead | None, waits: Deadlines | None) -> None:
        """Take the head of the response, before its body."""
        self._waits = waits
        _logger.debug("stream opened, status %s", None if head is None else head.status)
        if head is not None:
            self._head = head
            if head.status >= _LOWEST_OTHER_STATUS:
                self._machine.refuse(head)
            else:
                self._machine.connect(head.content_type)

    def _wants_more(self) -> bool:
        """Tell whether to read on."""
        machine = self._machine
        if machine.plain and machine.now < self._due:
            return True
        if machine.over or machine.error is not None:
            return False
        if machine.answered:
            # A server may keep a finished stream open and send heartbeats for
            # minutes: only what belongs to the connection's end is read.
            if self._at_end is None:
                self._at_end = (machine.meter.bytes, machine.comments)
            size, comments = self._at_end
            return machine.meter.bytes < size + _MOST_AFTER_END and machine.comments == comments
        if machine.now >= self._due:
            self._look_at_deadlines(machine.now)
            return machine.error is None
        return True

    def _look_at_deadlines(self, now: float) -> None:
        """End the stream if it was silent for too long; say when to look again."""
        meter, deadlines = self._machine.meter, self._deadlines
        begun = meter.first_event_at
        waits = (
            ("first_event", deadlines.first_event if begun is None else None, meter.started_at),
            ("idle_content", deadlines.idle_content if begun is not None else None, meter.content_at),
            ("total", deadlines.total, meter.started_at),
        )
        self._due = math.inf
        for limit, seconds, since in waits:
            if seconds is None:
                continue
            if now - since > seconds:
                self._machine.finish(StreamStalled(_stalled(limit, seconds), limit=limit), now)
                return
            self._due = min(self._due, since + seconds)
        if begun is None:
            self._due = -math.inf

    def _settle(self, ending: Ending | None = None) -> bool:
        """Finish once, and tell whether the events that were held back are still to be given."""
        machine = self._machine
        if not machine.over:
            machine.finish(None, self._clock())
            return True
        if not self._over:
            self._over = True
            machine.conclude(ending)
            error = machine.error
            if error is not None and self._head is not None and error.request_id is None:
                error.request_id = self._head.request_id
            if ending is None:
                self._error = error
            _logger.debug("stream ended, %s", machine.accumulator.ending)
        return False

    def _broke(self, error: Exception) -> MisuseError | None:
        """End the stream with what a source raised; return it where the calling code is to blame."""
        names = {kind.__name__ for kind in type(error).__mro__}
        if isinstance(error, MisuseError):
            self._cut("stopped", "misuse")
            return error
        if names & {"StreamConsumed", "StreamClosed", "ResponseNotRead"}:
            self._cut("stopped", "misuse")
            return MisuseError(
                f"the response was read or closed before ({type(error).__name__}); hand it over unread"
            )
        begun = self._machine.meter.first_event_at is not None
        self._machine.finish(_translate(error, self._waits, begun=begun), self._clock())
        return None

    def _left_reading(self) -> None:
        """Remember that a read was broken off, by a cancellation or Ctrl-C.

        A generator is over then, and so is what wraps one: it ends silently, and
        that must not look like the end of the input.
        """
        self._lost = True

    def _lose(self) -> None:
        """End the stream because a read was broken off, and the source did not survive that."""
        self._machine.finish(
            StreamInterrupted(
                "a read was cancelled or broken off, and the source does not survive that; "
                "what had arrived is in .partial"
            ),
            self._clock(),
        )

    def _cut(self, ending: Ending, reason: str | None) -> None:
        """End the stream here, whatever the source still holds."""
        if not self._over:
            self._over = True
            self._machine.cut(self._clock())
            self._pull = self._machine.pull
            self._machine.conclude(ending)
            _logger.debug("stream ended, %s: %s", self._machine.accumulator.ending, reason)

    def _take(self, chunk: Any) -> Event | None:  # noqa: ANN401 - what the source gives, or END
        """Give the machine what was read, and return its event where it was seen at a glance."""
        machine = self._machine
        if self._over:
            # The stream was stopped while it was being read.
            return None
        if chunk is END:
            if self._lost:
                self._lose()
            else:
                machine.finish(None, self._clock())
            return None
        self._lost = False
        if chunk.__class__ is bytes:
            return machine.give(chunk, self._clock())
        machine.push(chunk, self._clock())
        return None

    def _enter_loop(self) -> None:
        """Refuse a new loop over the events where there are none left."""
        if not self._over:
            return
        if self._closed_early:
            msg = "the stream was closed; what had arrived is in .message, and the views give it"
            raise StreamClosed(msg)
        msg = "the events were read to their end; the answer is in .message, and the views give it again"
        raise StreamConsumed(msg)

    def _decoding_broke(self) -> StreamError:
        """End a stream whose decoding was broken off, by Ctrl-C say, and return its error."""
        self._machine.break_off(self._clock())
        self._pull = self._machine.pull
        self._settle()
        return self._error or StreamInterrupted("reading was broken off")

    def _unclosed(self, error: Exception) -> None:
        _logger.debug("closing the source failed: %s", type(error).__name__)

    def _misread(self, error: ValueError) -> NoReturn:
        """Say what a failed pull means: the only reason is a read by somebody else."""
        if "already executing" in str(error):
            raise concurrent() from None
        raise error


_WAITED_FOR = {
    "first_event": "the first event did not come",
    "idle_content": "no content came",
    "total": "the answer did not end",
}


def _stalled(limit: str, seconds: float) -> str:
    return f"{_WAITED_FOR[limit]} within {seconds:g} s (Deadlines.{limit}); what had arrived is in .partial"


def concurrent() -> ConcurrentRead:
    """Return the error for a read that meets another one."""
    return ConcurrentRead("another thread or task is reading this stream; only one may at a time")


def _translate(error: Exception, waits: Deadlines | None, *, begun: bool) -> StreamError:
    """Return what an exception that a source raised means; the exception is the cause.

    Libraries are told apart by the names of their classes, so that none of them
    need be imported.

    Args:
        error: The exception.
        waits: The deadlines that the transport's read timeout stands for, where it is ours.
        begun: Whether a first event has come.
    """
    if isinstance(error, StreamError):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    found: StreamError
    if names & {"TimeoutException", "TimeoutError", "Timeout"}:
        limit = "transport" if waits is None else "idle_bytes" if begun else "first_event"
        found = StreamStalled(
            f"nothing came for as long as the client waits ({what}); what had arrived is in .partial",
            limit=limit,
        )
    elif names & {"DecodingError", "ContentDecodingError", "DecodeError"}:
        found = ProtocolError(f"the body's compression is broken ({what}); ask for Accept-Encoding: identity")
    else:
        transport = isinstance(error, OSError) or bool(names & _TRANSPORT_ERRORS)
        found = StreamInterrupted(
            f"the {'connection' if transport else 'source'} broke ({what}); what had arrived is in .partial",
            kind="network" if transport else "unknown",
        )
    found.__cause__ = error
    return found
