"""Tests of a function that reads a stream, with many chunkings and many cuts of one recording."""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, Unpack, overload

from tokenstream._basics.error_marks import message_of
from tokenstream.errors import MisuseError, OutputIncomplete, StreamError
from tokenstream.stream._reading.host import find_host
from tokenstream.testing._pytest.diff import differences
from tokenstream.testing._recordings.places import Playable, as_recording, choose_cut_places
from tokenstream.testing._recordings.replay import Chunking, Playback, Seed

if TYPE_CHECKING:
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._recordings.recording import PlaybackOptions, Recording, StreamOptions

ResultT = TypeVar("ResultT")
AllowedErrors: TypeAlias = type[Exception] | tuple[type[Exception], ...]
"""Exceptions that a handler may raise: one class, or several."""

_ALLOWED_ERRORS: tuple[type[Exception], ...] = (StreamError, OutputIncomplete)
_MAX_BYTEWISE = 64 * 1024
"""Largest body, in bytes, that is replayed byte by byte."""
_CHUNKINGS: tuple[Chunking, ...] = ("events", "whole", 61, Seed(1))
_FINE_CHUNKINGS: tuple[Chunking, ...] = ("bytes", 2, 3, 7, Seed(2), Seed(3))
_MAX_CUTS = 256
_MUTABLE_TYPES: tuple[type, ...] = (list, dict, set, bytearray)
"""Types of results that a handler may keep, extend and return again."""


@overload
def assert_stream(
    handler: Callable[[Stream], ResultT],
    recording: Playable,
    *,
    allow: AllowedErrors = ...,
    chunkings: Iterable[Chunking] | Chunking | None = ...,
    cuts: int = ...,
    backends: str | Sequence[str] = ...,
    **options: Unpack[StreamOptions],
) -> ResultT: ...
@overload
def assert_stream(
    handler: Callable[[AsyncStream], Awaitable[ResultT]],
    recording: Playable,
    *,
    allow: AllowedErrors = ...,
    chunkings: Iterable[Chunking] | Chunking | None = ...,
    cuts: int = ...,
    backends: str | Sequence[str] = ...,
    **options: Unpack[StreamOptions],
) -> ResultT: ...
def assert_stream(
    handler: Callable[[Any], Any],
    recording: Playable,
    *,
    allow: AllowedErrors = _ALLOWED_ERRORS,
    chunkings: Iterable[Chunking] | Chunking | None = None,
    cuts: int = _MAX_CUTS,
    backends: str | Sequence[str] = "asyncio",
    **options: Unpack[StreamOptions],
) -> Any:
    r"""Test that a handler copes with a stream, whatever its chunks are and wherever it breaks.

    The handler is called many times, each time with a new stream of the recording, on a virtual
    clock. These are the checks:

    1. At every chunking it returns the same value.
    2. At every cut, it returns, or raises only an exception that `allow` permits. Each cut is tried
       twice: as a clean end of the input, and as a reset of the connection.
    3. The stream is closed after each call.

    Args:
        handler: A function that takes a `Stream`, or an async function that takes an
            `AsyncStream`, and returns a comparable value.
        recording: A recording, the path of a recording, or a script.
        allow: Exceptions that the handler may raise: one class, or several.
        chunkings: One or several of the chunkings of `Recording.stream`; by default, one event per
            chunk, one byte per chunk, a single chunk, and several other sizes, fixed and random.
        cuts: Largest number of cuts; 0 for none. A small recording is cut at each byte, a larger
            one at a sample of its bytes.
        backends: Event loop for an async handler: "asyncio", "trio", or both.
        **options: Arguments for the stream: `format`, `limits`, `deadlines`.

    Returns:
        The handler's result for the recording replayed unchanged.

    Raises:
        AssertionError: A check failed; the message names the replay, and explains how to reproduce it.
        Exception: The handler's own exception, if it fails on the unchanged recording.

    Example:
        >>> from tokenstream import Stream, testing
        >>> def shout(stream: Stream) -> str:
        ...     with stream:
        ...         return "".join(stream.text).upper()
        >>> assert_stream(shout, testing.script().text("Hello").finish())
        'HELLO'
    """
    __tracebackhide__ = True
    trial: _Trials[Any] = _Trials(as_recording(recording), allow, chunkings, cuts)
    if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)):
        return _call_sync(trial, handler, options)
    if find_host() is not None:
        raise MisuseError("an event loop is running already: use `await testing.aassert_stream(handler, …)`")
    from anyio import run

    for backend in [backends] if isinstance(backends, str) else backends:
        run(partial(_call_async, trial, handler, options), backend=backend)
    return trial.result()


async def aassert_stream(
    handler: Callable[[AsyncStream], Awaitable[ResultT]],
    recording: Playable,
    *,
    allow: AllowedErrors = _ALLOWED_ERRORS,
    chunkings: Iterable[Chunking] | Chunking | None = None,
    cuts: int = _MAX_CUTS,
    **options: Unpack[StreamOptions],
) -> ResultT:
    r"""Test that an async handler copes with a stream, as `assert_stream` does, in a running event loop.

    The arguments, the result and the errors are those of `assert_stream`.

    Example:
        >>> import asyncio
        >>> from tokenstream import AsyncStream, testing
        >>> async def length(stream: AsyncStream) -> int:
        ...     return len((await stream.final()).text)
        >>> asyncio.run(aassert_stream(length, testing.script().text("Hello").finish()))
        5
    """
    __tracebackhide__ = True
    trial = _Trials[ResultT](as_recording(recording), allow, chunkings, cuts)
    return await _call_async(trial, handler, options)


def _call_sync(
    trial: _Trials[ResultT], handler: Callable[[Stream], ResultT], options: StreamOptions
) -> ResultT:
    """Call a sync handler with each replay; return its result for the unchanged recording."""
    __tracebackhide__ = True
    for run in trial.runs():
        stream = run.playback.stream(**options)
        try:
            # `run` stores an allowed exception as the outcome. Any other exception fails the test, and so
            # does a stream that was left open.
            with run:
                run.store_result(handler(stream))
        finally:
            stream.close()
    return trial.result()


async def _call_async(
    trial: _Trials[ResultT], handler: Callable[[AsyncStream], Awaitable[ResultT]], options: StreamOptions
) -> ResultT:
    """Call an async handler with each replay; return its result for the unchanged recording."""
    __tracebackhide__ = True
    for run in trial.runs():
        stream = run.playback.astream(**options)
        try:
            # `run` stores an allowed exception as the outcome. Any other exception fails the test, and so
            # does a stream that was left open.
            with run:
                run.store_result(await handler(stream))
        finally:
            await stream.aclose()
    return trial.result()


class _HandlerCall:
    """One call of the handler: its stream, and its result or error."""

    def __init__(self, allow: AllowedErrors, replay_arguments: str, playback: Playback):
        self.playback = playback
        self.value: Any = None
        self.value_copy: Any = None
        """A shallow copy of the value, since the handler may keep a list, for example, and extend it."""
        self.error: Exception | None = None
        self.replay_arguments = replay_arguments
        """The arguments of the replay as code; "" for the unchanged recording."""
        self._allow = allow

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        """Store an allowed exception; report any other, or a stream that was left open, as a failure.

        Interruptions and cancellations are raised as they are, and so is the handler's own exception
        on the unchanged recording.
        """
        __tracebackhide__ = True
        if isinstance(error, self._allow):
            self.error = error
        elif isinstance(error, Exception):
            error.add_note(self.how_to_reproduce)
            if not self.replay_arguments:
                # On the unchanged recording, the handler's own exception is reported.
                return False
            raise self.make_failure(
                f"the handler raised {_write_error(error)}, which `allow` does not permit"
            ) from error
        elif error is not None:
            # KeyboardInterrupt, or a cancellation.
            return False
        if not self.playback.closed:
            raise self.make_failure(
                "the handler left the stream open: have it read in `with stream:`, or to its end"
            )
        return True

    @property
    def how_to_reproduce(self) -> str:
        return f"to see it again: handler(recording.stream({self.replay_arguments}))"

    def store_result(self, value: object) -> None:
        """Store the handler's result; raise `MisuseError` if it cannot be compared."""
        __tracebackhide__ = True
        kind = type(value).__name__
        if isinstance(value, Iterator | AsyncIterator | Awaitable):
            if isinstance(value, Coroutine):
                # Otherwise Python warns that it was never awaited.
                value.close()
            raise MisuseError(
                f"the handler returned a value of the type {kind}, which cannot be compared: have it return "
                "another, such as a list; a handler that awaits is an `async def`"
            )
        self.value = value
        self.value_copy = copy.copy(value) if isinstance(value, _MUTABLE_TYPES) else value

    def compare_with(self, first: _HandlerCall) -> None:
        """Raise unless this call has the outcome of the first one: an equal value, or the same error type."""
        if type(first.error) is not type(self.error):
            raise self.make_failure(
                f"the handler {_describe_outcome(self)}, where it {_describe_outcome(first)} at first"
            ) from (self.error or first.error)
        differing_lines = differences(first.value_copy, self.value, names=("expected", "came"))
        only_identical = _is_compared_by_identity(self.value) and _is_compared_by_identity(first.value)
        if differing_lines and only_identical:
            raise MisuseError(
                f"the handler returned objects of the type {type(self.value).__name__}, which are equal to "
                "nothing but themselves: have it return a value that can be compared, or give them an __eq__"
            )
        if differing_lines and self.value is first.value:
            kind = type(self.value).__name__
            raise self.make_failure(
                f"the handler returned the same {kind} as before, and has changed it: have it make a new one "
                "for each stream",
                differing_lines,
            )
        if differing_lines:
            raise self.make_failure("the handler returned another value", differing_lines)

    def make_failure(self, failed_check: str, differing_lines: Sequence[str] = ()) -> AssertionError:
        first_line = f"{self.replay_arguments or 'as recorded'}: {failed_check}"
        return AssertionError("\n".join([first_line, *differing_lines, self.how_to_reproduce]))


class _Trials(Generic[ResultT]):
    """Plans the calls of one handler, each with another replay of a recording, and checks their results."""

    def __init__(
        self,
        recording: Recording,
        allow: AllowedErrors,
        chunkings: Iterable[Chunking] | Chunking | None,
        cuts: int,
    ) -> None:
        self._recording = recording
        self._allow = allow
        chosen = (chunkings,) if isinstance(chunkings, str | int | Seed) else chunkings
        self._chunkings = usual_chunkings(recording) if chosen is None else tuple(chosen)
        self._cuts = choose_cut_places(recording, cuts) if cuts else []
        self._first: _HandlerCall | None = None
        """The first call, with the unchanged recording; None before that."""

    def runs(self) -> Iterator[_HandlerCall]:
        """Yield a run for each call of the handler; check its result before the next run is yielded."""
        run = self._new_run("")
        yield run
        # With several backends, `first` is the first run on the first backend.
        first = self._first = self._first or run
        run.compare_with(first)
        for chunking in self._chunkings:
            run = self._new_run(f"chunking={chunking!r}", chunking=chunking)
            yield run
            run.compare_with(first)
        from tokenstream.testing import faults

        # After a cut, any value is right: only the exceptions are checked, by the run itself.
        for at in self._cuts:
            for name in ("cut", "reset"):
                yield self._new_run(f"fault=faults.{name}(at={at})", fault=getattr(faults, name)(at=at))

    def result(self) -> ResultT:
        """Return the handler's result for the unchanged recording, or raise the handler's exception."""
        if self._first is None:
            raise MisuseError("the handler was not called: `backends` names no event loop")
        if self._first.error is not None:
            raise self._first.error
        value: ResultT = self._first.value
        return value

    def _new_run(self, replay_arguments: str, **arguments: Unpack[PlaybackOptions]) -> _HandlerCall:
        return _HandlerCall(self._allow, replay_arguments, Playback(self._recording, **arguments))


def usual_chunkings(recording: Recording) -> tuple[Chunking, ...]:
    """Return the chunkings that are tried by default; none for a WebSocket, whose messages stay whole."""
    if recording.messages:
        return ()
    return _CHUNKINGS if len(recording.body) > _MAX_BYTEWISE else (*_CHUNKINGS, *_FINE_CHUNKINGS)


def _is_compared_by_identity(value: object) -> bool:
    """Return True if a value equals nothing but itself, so that results of two calls cannot be compared.

    Members of an Enum and None can be compared nevertheless, because they are the same objects in every call.
    """
    equality: object = type(value).__eq__
    return equality is object.__eq__ and not isinstance(value, Enum | None)


def _write_error(error: BaseException) -> str:
    """Return an error's class and the first line of its message, as text.

    pytest adds further lines to a failed assertion. They are left out here, since they are printed anyway
    as part of the error's cause.
    """
    return f"{type(error).__name__}: {message_of(error)}".splitlines()[0]


def _describe_outcome(run: _HandlerCall) -> str:
    return "returned a value" if run.error is None else f"raised {_write_error(run.error)}"
