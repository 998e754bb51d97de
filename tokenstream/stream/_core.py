"""What the two drivers share: everything but the waiting."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from tokenstream._elsewhere import of_stream
from tokenstream._machine import Machine
from tokenstream.errors import (
    ConcurrentRead,
    MisuseError,
    StreamClosed,
    StreamConsumed,
    StreamError,
    StreamInterrupted,
)
from tokenstream.limits import Deadlines, check_option
from tokenstream.sources import reading_failed
from tokenstream.stream._silence import Silence
from tokenstream.stream._view import Uncopied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.departures import Departure
    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Checkpoint, Ending, Message
    from tokenstream.sources import AsyncSource, Deferred, SyncSource
    from tokenstream.stages.metrics import Metrics
    from tokenstream.status import ResponseHead

__all__ = [
    "END",
    "LOST",
    "NOTABLE_SECONDS",
    "Away",
    "Failed",
    "Opened",
    "StreamBase",
    "broken_off",
    "concurrent",
    "homeless",
    "warn",
]


_DEADLINES = Deadlines()
END = object()
"""Stands for the end of a source."""
LOST = object()
"""Stands for the end of a source whose read was cancelled or broken off."""
_MOST_AFTER_END = 64 * 1024
"""Bytes that are read after the terminal event, for the sake of the connection's reuse."""
NOTABLE_SECONDS = 0.01
"""A loop that is away for less than this has not kept the source waiting."""


class Opened:
    """Says that a source was opened."""

    __slots__ = ("source",)

    def __init__(self, source: AsyncSource) -> None:
        self.source = source


class Failed:
    """Says that a source raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Away:
    """Says how long nobody read, because the loop had not taken what there was."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


@of_stream
class StreamBase(Uncopied):
    """A stream without its loop: what has come, how it ended, and what it says of itself."""

    __slots__ = (
        "__weakref__",
        "_at_end",
        "_clock",
        "_closed",
        "_closed_early",
        "_decided",
        "_due",
        "_error",
        "_head",
        "_machine",
        "_over",
        "_pull",
        "_reading",
        "_results",
        "_silence",
        "_stopping",
        "_verdict",
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
        self._clock = clock
        self._head: ResponseHead | None = None
        self._error: StreamError | StreamClosed | None = None
        """What views and `final` raise once the stream is over."""
        self._over = False
        self._closed = False
        self._closed_early = False
        self._reading = False
        self._decided = False
        """Whether the verdict is made, so that a stop comes too late."""
        # Held for two statements; reentrant, because a signal's handler may stop the stream in between.
        self._verdict = threading.RLock()
        self._stopping: str | None = None
        """Why the stream was stopped from elsewhere, while it is being read."""
        self._at_end: tuple[int, int] | None = None
        """How many bytes and comments there were when the terminal event came."""
        self._results: dict[Any, Any] = {}
        """What `result` has found, by what was asked for."""
        self._waits: Deadlines | None = None
        self._due = -math.inf
        self._machine = Machine(format, content_type=None, limits=limits, pings=pings)
        check_option("deadlines", deadlines, Deadlines)
        self._silence = Silence(deadlines if deadlines is not None else _DEADLINES, self._machine)
        self._pull: Callable[[], Event | None] = self._machine.pull
        self._machine.meter.begin(clock() if started_at is None else started_at, wrapped=started_at is None)

    def __repr__(self) -> str:
        head = self._head
        where = f" of {head.place}" if head is not None and head.url else ""
        return f"<{type(self).__name__}{where}: {self.format or 'unknown format'}, {self.message.ending}>"

    # -- what has come -----------------------------------------------------

    @property
    def message(self) -> Message:
        """The answer so far: a value, built when asked, that never changes."""
        return self._judged(self._machine.accumulator.message)

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        return [self._judged(message) for message in self._machine.accumulator.messages]

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

    def checkpoint(self) -> Checkpoint:
        """Return where the answer stands: what there is, and what a server is told to go on from there."""
        return self._machine.checkpoint()

    def _judged(self, message: Message) -> Message:
        """Return a message with its verdict, where a stream was stopped whose reader has not come back."""
        if self._stopping is None or message.ending != "streaming":
            return message
        answered = self._machine.answered and self.format is not None
        whole = answered or message.finish_reason is not None
        return message.model_copy(update={"ending": "complete" if whole else "stopped"})

    # -- for the drivers ---------------------------------------------------

    def _begin_request(self, deferred: Deferred) -> None:
        """Start the clock of a request that goes out now; loading what sends it is no part of its time."""
        deferred.prepare()
        self._machine.meter.begin(self._clock(), wrapped=False)

    def _opened(self, source: SyncSource | AsyncSource) -> None:
        """Take the head of the response, before its body."""
        head = source.head
        self._waits = source.waits
        log("stream opened, status %s", None if head is None else head.status)
        if head is not None:
            if head.received_at is None:
                head = replace(head, received_at=time.time())
            self._head = head
            self._machine.answer(head, source.coding)
        if source.messages:
            self._machine.take_messages()

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

    def _look_at_deadlines(self, now: float, since: float | None = None) -> None:
        """End the stream if it was silent for too long; say when to look again.

        Args:
            now: A clock reading.
            since: The clock when the read began that is still in progress, or None.
        """
        stalled = self._silence.look(now, since)
        self._due = self._silence.due
        if stalled is not None:
            self._machine.finish(stalled, now)

    def _waited_in_vain(self, since: float | None) -> None:
        """Nothing came for as long as may be waited."""
        now = self._clock()
        if self._machine.answered:
            self._machine.finish(None, now)
        else:
            self._look_at_deadlines(now, since)

    def _settle(self, ending: Ending | None = None) -> bool:
        """Finish once, and tell whether the events that were held back are still to be given."""
        machine = self._machine
        if not machine.over:
            machine.finish(None, self._clock())
            return True
        if not self._over:
            ending = self._decide(ending)
            machine.conclude(ending)
            if ending is None:
                self._error = machine.error
            # Last: where Ctrl-C comes before, the next read does it again.
            self._over = True
            log("stream ended, %s", machine.accumulator.ending)
            if "not_streamed" in machine.departures:
                inform(
                    'the answer came whole and not as a stream: "stream": true may be missing in the request'
                )
        return False

    def _settle_unopened(self) -> StreamError | StreamClosed | None:
        """Settle a stream that could not be opened, and return why, where nobody has read on to meet that."""
        machine = self._machine
        if self._over or self._stopping is not None or not machine.over or machine.meter.chunks:
            return None
        self._settle()
        return self._error

    def _broke(self, error: Exception) -> MisuseError | None:
        """End the stream with what a source raised; return it where the calling code is to blame."""
        begun = self._machine.meter.first_event_at is not None
        found = reading_failed(error, self._waits, begun=begun)
        if isinstance(found, MisuseError):
            self._cut("stopped", "misuse")
            return found
        self._machine.finish(found, self._clock())
        return None

    def _lose(self) -> None:
        """End the stream because a read was broken off, and the source did not survive that."""
        self._machine.finish(broken_off(), self._clock())

    def _cut(self, ending: Ending, reason: str | None) -> None:
        """End the stream here, whatever the source still holds."""
        if not self._over:
            decided = self._decide(ending)
            self._machine.cut(self._clock())
            self._pull = self._machine.pull
            self._machine.conclude(decided)
            self._over = True
            log("stream ended, %s: %s", self._machine.accumulator.ending, reason)

    def _ask_to_stop(self, reason: str) -> None:
        """Say that the stream is to end, unless it has."""
        with self._verdict:
            if not self._decided:
                self._stopping = self._stopping or reason

    def _close_early(self) -> None:
        """Note that the stream is closed before its end: where nothing was read, there is no answer."""
        if self._over:
            return
        self._closed_early = True
        if self._stopping is None and not self._reading and not self._machine.meter.chunks:
            block = "async with" if isinstance(self, AsyncIterator) else "with"
            self._error = StreamClosed(
                "the stream was closed before anything was read, so there is no answer: "
                f"read it inside `{block}`, or call .stop() where it is not wanted"
            )
        self._ask_to_stop("closed")

    def _decide(self, ending: Ending | None) -> Ending | None:
        """Return the verdict: the end or a stop from elsewhere, whichever came first."""
        with self._verdict:
            self._decided = True
        if self._stopping is not None:
            ending = "stopped"
        # Whoever stops after the terminal event leaves the answer complete.
        return "complete" if ending == "stopped" and self._machine.answered else ending

    def _take(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - what the source gives, or END
        """Give the machine what was read, and return its event where it was seen at a glance."""
        machine = self._machine
        if self._over:
            # The stream was stopped while it was being read.
            return None
        if chunk.__class__ is bytes:
            return machine.give(chunk, now)
        if chunk is END:
            machine.finish(None, now)
        elif chunk is LOST:
            self._lose()
        else:
            machine.push(chunk, now)
        return None

    def _enter_loop(self) -> None:
        """Refuse a new loop over the events where there are none left."""
        if not self._over:
            return
        if isinstance(self._error, StreamClosed):
            raise self._error.with_traceback(None)
        if self._closed_early:
            msg = "the stream was closed; what had arrived is in .message, and the views give it"
            raise StreamClosed(msg)
        msg = "the events were read to their end; the answer is in .message, and the views give it again"
        raise StreamConsumed(msg)

    def _decoding_broke(self) -> Exception:
        """End a stream whose decoding was broken off, by Ctrl-C say, and return what its loop raises."""
        self._machine.break_off(self._clock())
        self._pull = self._machine.pull
        self._settle()
        if self._error is not None:
            return self._error
        return StopAsyncIteration() if isinstance(self, AsyncIterator) else StopIteration()

    def _unclosed(self, error: Exception, *, failed: bool = False) -> None:
        """Take what closing the source raised where nobody has asked to close.

        Args:
            error: That; what the calling code is to blame for is raised all the same.
            failed: Whether another error is on its way, which must not be hidden.
        """
        if isinstance(error, MisuseError):
            beside = self._error or error.__context__
            if beside is not None:
                beside.add_note(str(error))
            elif not failed:
                raise error
        log("closing the source failed: %s", type(error).__name__)

    def _misread(self, error: ValueError) -> NoReturn:
        """Say what a failed pull means: the only reason is a read by somebody else."""
        if "already executing" in str(error):
            raise concurrent() from None
        raise error


def log(message: str, *details: object) -> None:
    """Tell those who look for a fault; nothing that was sent is ever among it."""
    # Loading it costs as much as a dozen modules of ours.
    import logging

    logging.getLogger("tokenstream").debug(message, *details)


def inform(message: str, *details: object) -> None:
    """Tell whoever develops the application what they may have overlooked, and nothing that was sent."""
    import logging

    logging.getLogger("tokenstream").info(message, *details)


def warn(message: str, *details: object) -> None:
    """Tell whoever runs the application what nothing else tells; nothing that was sent is ever among it."""
    import logging

    logging.getLogger("tokenstream").warning(message, *details)


def broken_off() -> StreamInterrupted:
    """Return the error for a read that was broken off, and that the source did not survive."""
    return StreamInterrupted(
        "a read was cancelled or broken off, and the source does not survive that; "
        "what had arrived is in .partial"
    )


def homeless() -> StreamInterrupted:
    """Return the error for a read of a stream whose event loop is over, and its source with it."""
    return StreamInterrupted(
        "the event loop that the stream was read in is over, and its connection with it; "
        "read it to its end there: what had arrived is in .partial"
    )


def concurrent() -> ConcurrentRead:
    """Return the error for a read that meets another one."""
    return ConcurrentRead("another thread or task is reading this stream; only one may at a time")
