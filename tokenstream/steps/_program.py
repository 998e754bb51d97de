"""A program whose output is read: its input, silence, standard error and exit code."""

from __future__ import annotations

import codecs
import io
import threading
import time
from contextlib import suppress
from inspect import isawaitable, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tokenstream._basics.json import to_json_bytes
from tokenstream._sources.plain import from_file, is_file
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.steps._chunks import AsyncChunks, find_pipe, is_asynchronous
from tokenstream.stream._reading.items import LEAST_WAIT
from tokenstream.stream._reading.read_ahead import CHECK_SECONDS, ReadTimeout
from tokenstream.stream._reading.reader import raise_only, run_until_cancelled
from tokenstream.stream._reading.silence import make_stalled_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from tokenstream._basics.loose import Action, Json, JsonObject

    LineWriter: TypeAlias = Callable[[dict[str, Json]], object]

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds to wait for an agent's process after its last line."""

AGENT_DEADLINES = Deadlines(idle_bytes=None)
"""The default: a tool may work for minutes, in which its agent prints nothing at all."""

NOTHING = object()
"""Returned if there is no item yet."""


class Exit(NamedTuple):
    """The end of an agent's process, as far as is known."""

    code: int | None = None
    """The exit code; None if it is not known."""
    still_runs: bool = False
    """True if the process had not ended in time."""


def ask(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output, from a code or a function, as `Popen.wait`."""
    if not callable(exit_code):
        return _read(exit_code)
    if iscoroutinefunction(exit_code):
        raise MisuseError("exit_code= is asynchronous, but the agent's output is not: pass a plain function")
    from subprocess import TimeoutExpired

    try:
        return _read(exit_code(timeout=PATIENCE)) if _takes_timeout(exit_code) else _call_in_thread(exit_code)
    except TimeoutExpired:
        return Exit(still_runs=True)


async def ask_async(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output; the code or function may be asynchronous."""
    if not callable(exit_code):
        return _read(exit_code)
    from anyio import move_on_after, to_thread

    with move_on_after(PATIENCE):
        if iscoroutinefunction(exit_code):
            return _read(await exit_code())
        if _takes_timeout(exit_code):
            return await to_thread.run_sync(ask, exit_code, abandon_on_cancel=True)
        code = exit_code()
        return _read(await code if isawaitable(code) else code)
    return Exit(still_runs=True)


def _call_in_thread(function: Action) -> Exit:
    """Call a function that takes no time limit in a thread, which is left running if it takes too long."""
    results: list[object] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=call, name="tokenstream exit code", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if errors:
        raise errors[0]
    return _read(results[0]) if results else Exit(still_runs=True)


def _read(code: object) -> Exit:
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise MisuseError(
            f"exit_code= is a number or a function that returns it, and not {type(code).__name__}"
        )
    return Exit(code)


def _takes_timeout(function: Any) -> bool:  # noqa: ANN401 - any function
    try:
        return "timeout" in signature(function).parameters
    except (TypeError, ValueError):
        return False


class Patience:
    """Measures how long a program has waited for an agent, and tells how long it may go on.

    Args:
        deadlines: The longest waits.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._started: float | None = None
        """Time of the first wait; None before it."""
        self._wait_began = 0.0
        self._has_content = False
        """True once a first line or message has come."""
        self._without_bytes = 0.0
        """Seconds of waiting since the last byte."""
        self._without_content = 0.0
        """Seconds of waiting since the last line or message."""

    def read(self, read: Callable[[float | None], T], *, is_resting: bool) -> T:
        """Read in time, with a function of the longest wait; raise StreamStalled if nothing comes."""
        seconds = self._begin_wait(is_resting=is_resting)
        try:
            item = read(seconds)
        except ReadTimeout:
            raise self._make_error() from None
        self._end_wait(has_bytes=True)
        return item

    async def read_async(self, read: Callable[[], Awaitable[T]], *, is_resting: bool) -> T:
        """Read in time; raise StreamStalled if nothing comes."""
        from anyio import move_on_after

        # A limit of 0 would end the read before it could take what is there.
        seconds = self._begin_wait(is_resting=is_resting, grace=LEAST_WAIT)
        try:
            with move_on_after(seconds):
                item = await read()
                self._end_wait(has_bytes=True)
                return item
        except StopAsyncIteration:
            raise
        except BaseException:
            # A cancelled wait counts, too: a caller who looks every second may still wait for too long.
            self._end_wait(has_bytes=False)
            raise
        raise self._make_error()

    def note_content(self) -> None:
        """Record that what has come was a line or a message."""
        self._has_content = True
        self._without_content = 0.0

    def _begin_wait(self, *, is_resting: bool, grace: float = 0.0) -> float | None:
        """Begin to wait; return the longest time in seconds for which to wait, or None for no limit.

        No silence is too long while the agent `is_resting`. Past a deadline, all waits together may last
        `grace` seconds, to read what is there already.
        """
        now = self._wait_began = time.monotonic()
        if self._started is None:
            self._started = now
        total = self._deadlines.total
        if total is not None and now - self._started > total:
            raise make_stalled_error("total", total)
        if is_resting:
            self._without_bytes = self._without_content = 0.0
        waits = self._list_waits(now, is_resting=is_resting)
        left = min((left for left, _, _ in waits), default=0.0)
        return max(left, min(left, 0.0) + grace, 0.0) if waits else None

    def _end_wait(self, *, has_bytes: bool) -> None:
        waited = time.monotonic() - self._wait_began
        self._without_bytes = 0.0 if has_bytes else self._without_bytes + waited
        self._without_content += waited

    def _make_error(self) -> StreamStalled:
        _, limit, seconds = min(self._list_waits(self._wait_began, is_resting=False))
        return make_stalled_error(limit, seconds)

    def _list_waits(self, now: float, *, is_resting: bool) -> list[tuple[float, str, float]]:
        """Return the seconds that are left of each deadline that applies, with its name and its length."""
        deadlines, started = self._deadlines, now if self._started is None else self._started
        starts = [(started, "total", deadlines.total)]
        if self._has_content and not is_resting:
            starts.append((now - self._without_bytes, "idle_bytes", deadlines.idle_bytes))
            starts.append((now - self._without_content, "idle_content", deadlines.idle_content))
        elif not is_resting:
            starts.append((now - self._without_content, "first_event", deadlines.first_event))
        return [
            (start + seconds - now, limit, seconds) for start, limit, seconds in starts if seconds is not None
        ]


def broken_pipe_error() -> StreamInterrupted:
    return StreamInterrupted("the agent no longer reads what it is sent: its process may have ended")


def write_whole(pipe: Any, data: bytes) -> None:  # noqa: ANN401 - a pipe, with or without a buffer
    while data:
        count = pipe.write(data)
        # A pipe without a buffer may take only a part; others return nothing, or the whole.
        data = data[count:] if isinstance(count, int) else b""
    if (flush := getattr(pipe, "flush", None)) is not None:
        flush()


def make_line_writer(stdin: object) -> LineWriter:
    """Return a function that writes a line's JSON to a pipe, or to asyncio's `StreamWriter` in its loop."""
    pipe: Any = stdin
    write_some = getattr(pipe, "write", None)
    if not callable(write_some) or iscoroutinefunction(write_some):
        raise MisuseError(
            "stdin= takes the standard input of the agent's process, a pipe or a writer of asyncio, "
            f"not {type(stdin).__name__}"
        )

    takes_text = hasattr(pipe, "encoding") or isinstance(stdin, io.TextIOBase | codecs.StreamWriter)
    # A writer of asyncio says nothing when its process is gone.
    is_closing = getattr(pipe, "is_closing", bool)

    def write(line: JsonObject) -> None:
        """Write one line at once."""
        data = to_json_bytes(line) + b"\n"
        try:
            if is_closing():
                raise BrokenPipeError
            if takes_text:
                pipe.write(data.decode())
                data = b""
            write_whole(pipe, data)
        except (OSError, ValueError, RuntimeError) as error:
            raise broken_pipe_error() from error

    return write


_KEPT = 8 * 1024
"""Maximum number of bytes that are kept."""


class Tail:
    """The end of some output."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, chunk: object) -> None:
        """Add bytes or text, and drop the oldest beyond the bound."""
        if isinstance(chunk, str):
            chunk = chunk.encode("utf-8", "surrogatepass")
        if isinstance(chunk, bytes | bytearray):
            self._bytes = (self._bytes + chunk)[-_KEPT:]

    @property
    def text(self) -> str:
        """The output as text, from the first whole character on."""
        start = self._bytes[:4].lstrip(bytes(range(0x80, 0xC0))) if len(self._bytes) == _KEPT else None
        kept = self._bytes if start is None else start + self._bytes[4:]
        return kept.decode("utf-8", "replace")


class SyncDrain:
    """Reads a pipe in a thread, so that the process never waits for a reader.

    Args:
        pipe: The standard error of the process.

    Raises:
        MisuseError: It is not a pipe.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401 - known by its methods
        if not is_file(pipe):
            raise MisuseError(f"stderr= takes the process's pipe, and not {type(pipe).__name__}")
        self.tail = Tail()
        items = from_file(pipe).chunks
        patient = find_pipe(pipe)
        if patient is not None:
            patient.limit_read(CHECK_SECONDS)
        self._items: Iterable[Any] = items if patient is None else patient
        self._must_end = False
        self._thread = threading.Thread(target=self._run, name="tokenstream stderr", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Wait for the end of the output, but not for long, since a child of the process may keep it open."""
        self._thread.join(seconds)
        self.stop()

    def stop(self) -> None:
        """End the thread soon."""
        self._must_end = True

    def _run(self) -> None:
        items = iter(self._items)
        with suppress(OSError, ValueError):
            while not self._must_end:
                with suppress(TimeoutError):
                    chunk = next(items, None)
                    if chunk is None:
                        return
                    self.tail.add(chunk)


class AsyncDrain:
    """Reads a stream of bytes while the loop waits for the agent's output.

    Args:
        stream: The standard error of the process.

    Raises:
        MisuseError: It is not an asynchronous stream.
    """

    def __init__(self, stream: object) -> None:
        if not is_asynchronous(stream):
            raise MisuseError(f"stderr= takes the process's stream, and not {type(stream).__name__}")
        self.tail = Tail()
        self._chunks = AsyncChunks(stream)
        self._has_ended = False

    async def run(self) -> None:
        """Read until the end or a cancellation, which loses nothing."""
        while not self._has_ended:
            try:
                self.tail.add(await self._chunks.read())
            except StopAsyncIteration:
                self._has_ended = True

    async def finish(self, seconds: float) -> None:
        """Wait for the end of the output, but not for long, since a child of the process may keep it open."""
        from anyio import move_on_after

        with move_on_after(seconds):
            await self.run()


class AccompaniedReader:
    """Reads an input piece by piece; other coroutines run during each read, and are cancelled after it.

    So none of them is a task that could outlive the loop over the input, on asyncio or on trio.

    Args:
        beside: Functions that return the other coroutines, anew for each read; a cancellation must lose
            nothing that a coroutine has read.
    """

    def __init__(self, beside: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        self._beside = beside
        self._held: object = NOTHING
        """A piece that could not be returned, because a cancellation came after its read; else `NOTHING`."""

    async def read(self, read: Callable[[], Awaitable[object]]) -> object:
        """Return the next piece of the input; run the other coroutines until it was read."""
        if not self._beside:
            return await read()
        from anyio import create_task_group

        if self._held is NOTHING:
            try:
                async with create_task_group() as tasks:
                    for each in self._beside:
                        tasks.start_soon(run_until_cancelled, each)
                    self._held = await read()
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as errors:
                raise_only(errors)
        item, self._held = self._held, NOTHING
        return item
