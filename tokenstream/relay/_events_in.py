"""Input of a relay: the events of any source, one by one, or in batches for slow readers."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self, cast

from anyio import move_on_after

from tokenstream._sources.failures import find_refusal
from tokenstream.errors import AnswerFailure, MisuseError, pass_over
from tokenstream.events import Event, StepDelta, TextDelta
from tokenstream.relay._attribution import ending_of
from tokenstream.relay._encoders.pieces import TEXTS
from tokenstream.relay._incident import find_asked
from tokenstream.stream import AsyncStream, AsyncTextView, Stream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import StreamBase, find_driver
from tokenstream.stream._fan_out.reader import ReaderDriver
from tokenstream.stream._views.event_cursor import EventCursor

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterable,
        Iterator,
    )

    from tokenstream.message import Ending

_MAX_EVENTS = 1024
_CLOSING_SECONDS = 2.0
"""The seconds allowed for closing a stream that nobody reads any more."""
SLOW_SEND = 0.002
"""If a send takes longer than this many seconds, all events that have arrived meanwhile form one batch."""


async def close_stream(stream: object) -> None:
    """Close a stream or async iterator within seconds, even while the current task is being cancelled."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        with move_on_after(_CLOSING_SECONDS, shield=True):
            await close()


def take_kept(stream: object) -> list[Event]:
    """Return the answer that another process has left to a stream, whose loop gives only the rest."""
    driver: Any = find_driver(cast("object", stream)) if isinstance(stream, StreamBase) else None
    machine = driver and driver.source_driver.machine
    if machine is None or not machine.was_restored:
        return []
    if isinstance(driver, ReaderDriver):
        # One that has read nothing begins like a late reader.
        driver.cursor.next = driver.cursor.next or -1
    elif machine.meter.first_event_at is None or machine.way.again is not None:
        # An event that `wait_open` has put back is a part of the answer so far.
        machine.way.pull_again()
        return EventCursor(machine.accumulator).ready()
    return []


def events_of(source: object, given: AsyncIterable[Event]) -> AsyncIterator[Event]:
    """Return the events that are `given` of a source, after those that another process has kept."""
    events, kept = aiter(given), take_kept(source)
    return _KeptFirst(kept, events) if kept else events


class _KeptFirst:
    """The events that `take_kept` has returned, and then those of the stream."""

    def __init__(self, kept: list[Event], events: AsyncIterator[Event]) -> None:
        self._kept, self._events = deque(kept), events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return self._kept.popleft() if self._kept else await anext(self._events)


@contextmanager
def converted_refusals() -> Generator[None]:
    """Convert what a provider's SDK raises in the application's code to the error that our stream raises."""
    try:
        yield
    except Exception as error:
        _raise_refusal(error)
        raise


def _raise_refusal(error: Exception) -> None:
    """Raise our error for what a provider's SDK has raised; do nothing for any other exception."""
    origin = find_asked(error)
    if (refusal := find_refusal(error, origin.host or "the provider")) is not None:
        refusal.origin = origin
        raise refusal from error


class EventsIn:
    """Reads events one by one, or all that have arrived; as a context manager, it enters their source.

    Args:
        as_text: True to read also a view of text, whose pieces are the events; the source is its stream.
    """

    def __init__(self, source: AsyncIterable[Event] | AsyncTextView, *, as_text: bool = False) -> None:
        text = source if as_text and isinstance(source, AsyncTextView) else None
        if text is not None and isinstance(of_text := find_driver(text), AsyncDriver):
            source = AsyncStream(cast("Any", of_text))
        if isinstance(source, Stream | AsyncTextView) or not hasattr(source, "__aiter__"):
            raise MisuseError(
                f"a relay sends an AsyncStream, another async iterable of events, or a stream's text as "
                f'protocol="text", not {source!r:.80}'
            )
        self.source: Any = source
        driver: object = find_driver(source) if isinstance(source, StreamBase) else None
        self._is_stream = driver is not None
        """True if the source is a stream of this library, which knows its ending."""
        self._events: Any = None if text is None else _TextEvents(text)
        """The iterator over the events of the source; None before the first, and once `_error` is set."""
        self._take_next: Callable[[], Awaitable[Event | None]] | None = None
        """Returns the next event if it has arrived, else None. There is no such function for some sources."""
        if text is None and isinstance(driver, AsyncDriver):
            self._take_next = driver.step_now
        elif text is None and isinstance(driver, ReaderDriver):
            self._take_next = driver.poll
        self._take_ready: Callable[[], list[Event]] | None = getattr(source, "ready", None)
        """Returns the events of a run that have arrived. There is no such function for other sources."""
        self._error: Exception | None = None
        """The exception (the end or an error) that `_take_arrived` met; the next call of `next` raises it."""

    async def __aenter__(self) -> Self:
        if self._is_stream:
            # The loop begins now: a stream that is stopped while it opens has no events, which is no error.
            with pass_over("consumed", "closed"):  # `next` raises them
                self._begin()
        if hasattr(self.source, "__aenter__"):
            await self.source.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        if hasattr(self.source, "__aexit__"):
            await self.source.__aexit__(*error)
        elif hasattr(self.source, "aclose"):
            await self.source.aclose()

    def next(self) -> Awaitable[Event]:
        if self._events is None:
            if self._error is not None:
                # `_take_arrived` has met the end already.
                raise self._error
            self._begin()
        events: Any = self._events
        event: Awaitable[Event] = events.__anext__()
        return event if self._is_stream else _without_refusal(event)

    def _begin(self) -> None:
        if self._events is None:
            self._events = events_of(self.source, self.source)
            if isinstance(self._events, _KeptFirst):
                self._take_next = None

    async def next_batch(self) -> list[Event]:
        """Wait for the next event, and return it with all that have arrived: so a slow reader catches up."""
        return list(merge_deltas([await self.next(), *await self._take_arrived()]))

    async def _take_arrived(self) -> list[Event]:
        """Return the events that have arrived, without waiting.

        If the answer has ended, the next call of `next` raises its error or `StopAsyncIteration`.
        """
        # The events of a run are taken all at once, those of a stream one by one.
        events: list[Event] = [] if self._take_ready is None else self._take_ready()
        if self._take_next is None:
            # The source is not a stream; only the events of a run can be taken without one.
            return events
        try:
            while len(events) < _MAX_EVENTS and (event := await self._take_next()) is not None:
                events.append(event)
        except (StopAsyncIteration, AnswerFailure) as error:
            self._error, self._events = error, None
        return events

    @property
    def ending(self) -> Ending | None:
        return ending_of(self.source) if self._is_stream else None

    def stop(self, reason: str) -> bool:
        """Stop the source; return False if its events do not end by themselves, or have ended."""
        if self._error is None and isinstance(self.source, AsyncStream):
            self.source.stop(reason)
            return True
        return False


async def _without_refusal(event: Awaitable[Event]) -> Event:
    # Without `converted_refusals`, whose context each event would pay for.
    try:
        return await event
    except Exception as error:
        _raise_refusal(error)
        raise


class _TextEvents:
    """The pieces of a view of text, as events."""

    def __init__(self, text: AsyncTextView) -> None:
        self._text = text

    async def __anext__(self) -> Event:
        return TextDelta(await anext(self._text))


def merge_deltas(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the same events, except that neighbouring deltas of one part are merged into one delta."""
    for key, group in groupby(events, _merge_key):
        first, *others = group
        if key is None or not others:
            yield from (first, *others)
            continue
        name = "text" if hasattr(first, "text") else "fragment"
        text = "".join(getattr(delta, name) for delta in (first, *others))
        merged = replace(cast("Any", first), raw=None, **{name: text})
        if first.step is not None:
            merged.step = first.step
        yield merged


def _merge_key(event: Event) -> tuple[Any, ...] | None:
    """Return the key that is equal for deltas that may be merged; None for events that are never merged."""
    cls = event.__class__
    if cls not in _MERGED or getattr(event, "signature", None) is not None:
        return None
    # The id of a tool call follows from its part, but the output of a step belongs to no part.
    return cls, event.choice, event.part, event.step, event.id if isinstance(event, StepDelta) else None


_MERGED = frozenset({*TEXTS, StepDelta})
