"""Iterables over what an agent prints or sends, in `for` and in `async for`, made by `Steps.follow`."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from typing_extensions import override

from tokenstream._sources.plain import from_file, is_file
from tokenstream.errors import MisuseError, StreamError
from tokenstream.steps._chunks import AsyncChunks, find_pipe, is_asynchronous
from tokenstream.steps._program import NOTHING, PATIENCE, AccompaniedReader, Patience, ask, ask_async
from tokenstream.steps._step import LeftOpenStep
from tokenstream.stream._reading.read_ahead import CHECK_SECONDS, ReadTimeout
from tokenstream.stream._reading.reader import LEAST_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol, Self

    from tokenstream.limits import Deadlines
    from tokenstream.steps._program import RunBuilder

    class SyncInput(Protocol):
        """Reads chunks, and passes them to a builder or to a peer."""

        is_instant: bool

        def read(self, seconds: float | None) -> object: ...
        def release(self) -> None: ...
        def close(self) -> None: ...

    class AsyncInput(Protocol):
        """Reads chunks, and passes them to a builder or to a peer."""

        async def read(self) -> object: ...
        async def aclose(self) -> None: ...


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
        MisuseError: It is no pipe.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401 - told by its methods
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
        """Read the pipe to its end, or until it is closed."""
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
        MisuseError: It is no asynchronous stream.
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


ItemT = TypeVar("ItemT")


class _Base(Generic[ItemT]):
    """The state that both kinds of loop have.

    Args:
        builder: Builds the run.
        deadlines: The longest waits.
        exit_code: The exit code of the agent's process, or a function that returns it; None for none.
    """

    def __init__(self, builder: RunBuilder, deadlines: Deadlines, exit_code: object) -> None:
        self._builder = builder
        self._exit_code = exit_code
        self._patience = Patience(deadlines, time.monotonic)
        self._is_over = False
        """True once the input has ended."""
        self._tail: Tail | None = None
        """The end of the standard error; None if nobody reads it."""
        builder.begin_loop()

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return self._builder.plain_lines

    @property
    def stderr(self) -> str:
        """The end of what the process has written to its standard error so far, at most 8 kB."""
        return "" if self._tail is None else self._tail.text

    def _note(self, item: object) -> None:
        """Pass a chunk or an item to the builder."""
        self._patience.end_wait(has_bytes=True)
        if self._builder.feed(item):
            self._patience.note_content()

    def _note_end(self) -> None:
        """Pass the end of the input to the builder."""
        self._is_over = True
        self._builder.end()

    def _fail(self, error: BaseException) -> None:
        """End the run with an exception; a cancellation or an interrupt leaves it open, to go on later."""
        if isinstance(error, Exception):
            self._builder.stop(error)
            if isinstance(error, StreamError):
                error.stderr = self.stderr

    def _stop(self) -> None:
        """Stop the turn that is open, because nothing more is read."""
        self._is_over = True
        self._builder.must_stop = True
        self._builder.stop(LeftOpenStep("its lines were not read to their end"))


class FollowedItems(_Base[ItemT]):
    """The items of an agent's output, read in `for`; made by `Steps.follow`.

    The loop can be begun anew: after the end of a turn that `until=` waits for, it goes on.
    """

    def __init__(
        self, source: SyncInput, builder: RunBuilder, deadlines: Deadlines, exit_code: object, stderr: object
    ) -> None:
        super().__init__(builder, deadlines, exit_code)
        self._source = source
        self._drain = None if stderr is None else SyncDrain(stderr)
        self._tail = None if self._drain is None else self._drain.tail

    def __del__(self) -> None:
        drain: SyncDrain | None = getattr(self, "_drain", None)
        if drain is not None:
            drain.stop()

    def __iter__(self) -> Self:
        self._builder.begin_loop()
        return self

    def __next__(self) -> ItemT:
        if self._builder.must_stop:
            raise StopIteration
        try:
            while (item := self._builder.take()) is NOTHING:
                if self._builder.must_stop:
                    raise StopIteration
                if self._is_over:
                    self._finish()
                    raise StopIteration
                self._read()
        except StopIteration:
            raise
        except BaseException as error:
            self._fail(error)
            raise
        return cast("ItemT", item)

    def close(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._stop()
        if self._drain is not None:
            self._drain.stop()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        """Read a chunk or an item."""
        if self._source.is_instant:
            try:
                self._builder.feed(self._source.read(None))
            except StopIteration:
                self._note_end()
            return
        seconds = self._patience.begin_wait(is_resting=self._builder.is_resting)
        try:
            item = self._source.read(seconds)
        except StopIteration:
            self._note_end()
        except ReadTimeout:
            raise self._patience.make_error() from None
        else:
            self._note(item)

    @override
    def _fail(self, error: BaseException) -> None:
        super()._fail(error)
        if isinstance(error, Exception):
            # Nothing more is read: the error itself would keep the thread that reads.
            self._source.release()

    def _finish(self) -> None:
        """End the run's turns; raise StreamError if one has no end, or the process has failed."""
        if self._builder.has_ended:
            return
        self._source.release()
        ended = ask(self._exit_code)
        error = self._builder.finish(ended)
        if self._drain is not None:
            # A process that still runs was waited for long enough.
            self._drain.finish(0 if ended.still_runs else PATIENCE)
        if error is not None:
            raise error


class AsyncFollowedItems(_Base[ItemT]):
    """The items of an agent's output, read in `async for`; made by `Steps.follow`.

    The loop can be begun anew: after the end of a turn that `until=` waits for, it goes on.
    """

    def __init__(
        self, source: AsyncInput, builder: RunBuilder, deadlines: Deadlines, exit_code: object, stderr: object
    ) -> None:
        super().__init__(builder, deadlines, exit_code)
        self._source = source
        self._drain = None if stderr is None else AsyncDrain(stderr)
        self._tail = None if self._drain is None else self._drain.tail
        self._reading = AccompaniedReader([] if self._drain is None else [self._drain.run])

    def __aiter__(self) -> Self:
        self._builder.begin_loop()
        return self

    async def __anext__(self) -> ItemT:
        if self._builder.must_stop:
            raise StopAsyncIteration
        try:
            while (item := self._builder.take()) is NOTHING:
                if self._builder.must_stop:
                    raise StopAsyncIteration
                if self._is_over:
                    await self._finish()
                    raise StopAsyncIteration
                await self._read()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._fail(error)
            raise
        return cast("ItemT", item)

    async def aclose(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._stop()
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _read(self) -> None:
        """Read a chunk or an item, and drain the standard error meanwhile."""
        from anyio import move_on_after

        # A limit of 0 would end the read before it could take what is there.
        seconds = self._patience.begin_wait(is_resting=self._builder.is_resting, grace=LEAST_WAIT)
        item: object = NOTHING
        try:
            with move_on_after(seconds) as scope:
                item = await self._reading.read(self._source.read)
        except StopAsyncIteration:
            self._note_end()
            return
        except BaseException:
            # A cancelled wait counts, too: a caller who looks every second may still wait for too long.
            self._patience.end_wait(has_bytes=False)
            raise
        if scope.cancelled_caught:
            raise self._patience.make_error()
        self._note(item)

    async def _finish(self) -> None:
        """End the run's turns; raise StreamError if one has no end, or the process has failed."""
        if self._builder.has_ended:
            return
        ended = await ask_async(self._exit_code)
        error = self._builder.finish(ended)
        if self._drain is not None:
            await self._drain.finish(LEAST_WAIT if ended.still_runs else PATIENCE)
        if error is not None:
            raise error
