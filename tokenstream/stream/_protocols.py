"""Protocols of drivers and cursors: the members that streams, choices, readers and views use of them.

A stream has one of two objects as its driver: the driver that reads its source (`SyncDriver` or
`AsyncDriver`) or, once the stream is shared, the driver of one reader (`ReaderDriver`), which asks the
hub. The cursors of a reader are wrapped in the same way. Only type checkers import this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tokenstream.stages._cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator

    from tokenstream._connection.head import ResponseHead
    from tokenstream._pipeline.delivered import Reading
    from tokenstream._pipeline.machine import Machine
    from tokenstream.accumulator import Accumulator
    from tokenstream.errors import StreamClosed, StreamError
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.stages._tools.once import CallRun
    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._fan_out.policy import Policy
    from tokenstream.stream._opening import First, Recovers
    from tokenstream.stream._outputs.once import Once
    from tokenstream.stream._phase import EndVerdict, Phase
    from tokenstream.stream._reading.async_pump import AsyncPump
    from tokenstream.stream._reading.pump import Pump
    from tokenstream.stream._sync_driver import SyncDriver
    from tokenstream.stream._views.aspects import Cursors

ItemT_co = TypeVar("ItemT_co", covariant=True)


class CallCursor(Cursor[ItemT_co], Protocol[ItemT_co]):
    """A reader's position in the tool calls of an answer."""

    def make_waiting(self) -> CallCursor[ItemT_co]:
        """Return a cursor that delivers the tool calls only once the answer is complete."""
        ...


class WholeCursor(Cursor[ItemT_co], Protocol[ItemT_co]):
    """A cursor whose only item is the whole answer, as a typed value."""

    def end_broken_off(self, cause: StreamError, /) -> ItemT_co:
        """Return the value although the stream broke off; raise an error if the answer is not complete."""
        ...


class Clock(Protocol):
    """A function that returns the time in seconds.

    A protocol, because pyright would take an attribute of the type `Callable` for a method.
    """

    def __call__(self) -> float: ...


class CursorDriver(Protocol):
    """The members of a driver that cursors use."""

    @property
    def accumulator(self) -> Accumulator:
        """The stage that holds the message."""
        ...

    @property
    def results(self) -> dict[Any, Any]:
        """Stored outcomes of `result()`, each under a key made of the arguments of the call."""
        ...

    def stop(self, reason: str | None = None) -> None:
        """End the stream here; the message keeps the content read so far."""
        ...


class DriverView(CursorDriver, Protocol):
    """The members of a driver that streams and views use in `for` loops and in `async for` loops alike."""

    clock: Clock

    @property
    def calls_in_hand(self) -> list[tuple[Once, CallRun]]:
        """The calls that the application has begun with a store, and has to end itself."""
        ...

    @property
    def diverted(self) -> bool:
        """True once `stream.responses` reads the connection's answers; this stream itself then reads none."""
        ...

    @property
    def error(self) -> StreamError | StreamClosed | None:
        """The error that views and `final` raise once the stream is over."""
        ...

    @property
    def head(self) -> ResponseHead | None:
        """The head of the response; None before its arrival, or if the source has no head."""
        ...

    @property
    def is_reading(self) -> bool:
        """True while a read is in progress."""
        ...

    @property
    def is_unopened(self) -> bool:
        """True if the source has not been opened yet."""
        ...

    @property
    def machine(self) -> Machine:
        """The machine that turns the source's chunks into events."""
        ...

    @property
    def message(self) -> Message:
        """The answer so far."""
        ...

    @property
    def phase(self) -> Phase:
        """The phase of the stream."""
        ...

    def note_look(self) -> None:
        """Note that the program looks at the answer so far, which is delivered thereby."""
        ...

    @property
    def readings(self) -> dict[Reading, bool]:
        """The readings of which a reader has been given something; readers write into it."""
        ...

    @property
    def recovery(self) -> Recovers | None:
        """Continues an answer that broke off; None if the stream does not retry."""
        ...

    @property
    def verdict(self) -> EndVerdict:
        """The decision on the ending."""
        ...

    @property
    def waits_in_time(self) -> bool:
        """True if a read can stop waiting at a given time without losing anything."""
        ...

    def apply_stop(self, message: Message) -> Message:
        """Return a message with the ending that `stop` has requested."""
        ...

    def check_events_left(self) -> None:
        """Raise an error if no events are left for a new loop."""
        ...

    def conclude_unopened(self) -> StreamError | StreamClosed | None:
        """End the stream if its source could not be opened, and return the error; otherwise return None."""
        ...

    def cursors(self, choice: int, /) -> Cursors:
        """Return the cursors for the aspects of a choice."""
        ...

    def fall_back(self, error: StreamError, /) -> None:
        """End the stream with the answer of the previous attempt, because the new answer differs from it."""
        ...

    def set_options(self, policy: Policy | None, size: int | None, /) -> None:
        """Set the options of a broadcast for all its readers; a stream without a broadcast ignores them."""
        ...


class SyncRunDriver(Protocol):
    """The members of a driver that a router's run uses in a `for` loop."""

    @property
    def machine(self) -> Machine:
        """The machine that turns the source's chunks into events."""
        ...

    @property
    def message(self) -> Message:
        """The answer so far."""
        ...

    def close(self, *, quiet: bool = False) -> None:
        """Close the source or, in a broadcast, only this reader; with `quiet`, errors are only logged."""
        ...

    def step(self) -> Event:
        """Return the next event; after the end, raise the stream's error or StopIteration."""
        ...


class AsyncRunDriver(Protocol):
    """The members of a driver that a router's run uses in an `async for` loop."""

    @property
    def machine(self) -> Machine:
        """The machine that turns the source's chunks into events."""
        ...

    @property
    def message(self) -> Message:
        """The answer so far."""
        ...

    def close(self, *, failed: bool = False) -> Awaitable[None]:
        """Close the source or, in a broadcast, only this reader.

        Args:
            failed: True if another error is being raised: closing must neither replace nor delay it.
        """
        ...

    def step(self) -> Awaitable[Event]:
        """Return the next event; after the end, raise the stream's error or StopAsyncIteration."""
        ...


class SyncDriverView(DriverView, Protocol):
    """The members of a driver that streams and views use in `for` loops."""

    @property
    def event_driver(self) -> SyncRunDriver:
        """A driver whose `step` returns events.

        The `step` of a broadcast's reader returns no event, but the constant `NEWS` if anything has arrived.
        """
        ...

    @property
    def pump(self) -> Pump:
        """The pump that reads the source."""
        ...

    @property
    def source_driver(self) -> SyncDriver:
        """The driver that reads the source, for all readers."""
        ...

    def __iter__(self) -> Iterator[Event]: ...

    def __next__(self) -> Event: ...

    def close(self, *, quiet: bool = False) -> None:
        """Close the source or, in a broadcast, only this reader; with `quiet`, errors are only logged."""
        ...

    def open_now(self) -> None:
        """Open the source before the first read."""
        ...

    def read_ahead(self) -> None:
        """Let a thread read the source, so that `step_until` can stop waiting on time."""
        ...

    def read_all(self) -> None:
        """Read the stream to its end."""
        ...

    def step(self) -> Event:
        """Return the next event for a view; after the end, raise the stream's error or StopIteration."""
        ...

    def step_now(self) -> Event | None:
        """Return the next event if it has already arrived, otherwise None."""
        ...

    def step_until(self, until: float, /) -> Event | None:
        """Return the next event for a view, or None if the time has passed."""
        ...

    def wait_open(self, first: First, /) -> None:
        """Read until the answer has begun, or raise the answer's error."""
        ...


class AsyncDriverView(DriverView, Protocol):
    """The members of a driver that streams and views use in `async for` loops."""

    @property
    def closed(self) -> bool:
        """True once the source is closed."""
        ...

    @property
    def event_driver(self) -> AsyncRunDriver:
        """A driver whose `step` returns events.

        The `step` of a broadcast's reader returns no event, but the constant `NEWS` if anything has arrived.
        """
        ...

    @property
    def pump(self) -> AsyncPump:
        """The pump that reads the source."""
        ...

    @property
    def source_driver(self) -> AsyncDriver:
        """The driver that reads the source, for all readers."""
        ...

    def __aiter__(self) -> AsyncIterator[Event]: ...

    def __anext__(self) -> Coroutine[Any, Any, Event]: ...

    def close(self, *, failed: bool = False) -> Awaitable[None]:
        """Close the source or, in a broadcast, only this reader.

        Args:
            failed: True if another error is being raised: closing must neither replace nor delay it.
        """
        ...

    def open_now(self) -> Awaitable[None]:
        """Open the source before the first read."""
        ...

    def step(self) -> Coroutine[Any, Any, Event]:
        """Return the next event for a view; after the end, raise the stream's error or StopAsyncIteration."""
        ...

    def step_now(self) -> Coroutine[Any, Any, Event | None]:
        """Return the next event if it has already arrived, otherwise None."""
        ...

    def step_until(self, until: float, /) -> Coroutine[Any, Any, Event | None]:
        """Return the next event for a view, or None if the time has passed."""
        ...

    def wait_open(self, first: First, /) -> Awaitable[None]:
        """Read until the answer has begun, or raise the answer's error."""
        ...
