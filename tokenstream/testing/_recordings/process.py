"""The replay of a recording as a process that prints it, and ends with an exit code."""

from __future__ import annotations

import asyncio
import io
from typing import IO, TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from tokenstream.testing._recordings.clock import ReplayClock, VirtualClock
from tokenstream.testing._recordings.recording import Recording, refuse_messages
from tokenstream.testing._recordings.replay import AsyncReplay, Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator


OutputT = TypeVar("OutputT")


class _PlayedProcess(Generic[OutputT]):
    """Base class of the processes that are only played."""

    def __init__(self, stdout: OutputT, exit_code: int) -> None:
        self.stdout = stdout
        """The output, with the chunks of the recording at their times."""
        self._exit_code = exit_code
        self.returncode: int | None = None
        """The exit code; None before `wait`."""

    def terminate(self) -> None:
        """End the process, as SIGTERM does."""
        self._kill(-15)

    def kill(self) -> None:
        """End the process, as SIGKILL does."""
        self._kill(-9)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: returncode={self.returncode}>"

    def _kill(self, exit_code: int) -> None:
        if self.returncode is None:
            self._exit_code = exit_code
            self._end_output()

    def _end_output(self) -> None:
        """End the output, even if another thread waits for it."""
        raise NotImplementedError

    def _end(self) -> int:
        self.returncode = self._exit_code
        return self._exit_code


class ReplayedProcess(_PlayedProcess["IO[bytes]"]):
    r"""A process that prints a recording, made by `Recording.process`; it is read like a `Popen`.

    Example:
        >>> from tokenstream.testing import Recording
        >>> with Recording.of([b"one\n", b"two\n"], exit_code=3).process() as process:
        ...     lines = list(process.stdout)
        >>> lines, process.returncode
        ([b'one\n', b'two\n'], 3)
    """

    def __init__(self, raw: _RawOutput, exit_code: int) -> None:
        # Any, since the types of buffered readers do not take any raw file.
        unbuffered: Any = raw
        super().__init__(cast("IO[bytes]", _Output(io.BufferedReader(unbuffered))), exit_code)
        self._raw = raw

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, at once."""
        return self._end()

    def poll(self) -> int | None:
        """Return the exit code; None before `wait`."""
        return self.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_output()
        self.stdout.close()
        self.wait()

    def _end_output(self) -> None:
        self._raw.end()


class AsyncReplayedProcess(_PlayedProcess["ReplayedReader"]):
    """A process that prints a recording, made by `Recording.aprocess`; it is read like asyncio's."""

    async def wait(self) -> int:
        """Return the exit code, at once."""
        return self._end()

    def _end_output(self) -> None:
        self.stdout.feed_eof()


class _Output:
    """The output of a replayed process: a `BufferedReader`, except that it has no `fileno`.

    `BufferedReader.fileno` raises, as that of a file in memory, whose reads never wait. Those of this
    object may wait, so `Steps.follow` reads it in a thread, where deadlines hold.
    """

    def __init__(self, reader: Any) -> None:  # noqa: ANN401 - a `BufferedReader` of any raw file
        self._reader = reader

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the reader has
        if name in ("fileno", "_reader"):
            raise AttributeError(name)
        return getattr(self._reader, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reader)


class _RawOutput(io.RawIOBase):
    """The output of a replayed process, for a `BufferedReader`, which returns it in any pieces."""

    def __init__(self, recording: Recording, clock: ReplayClock) -> None:
        self._chunks = chunks = Chunks(recording, clock)
        self._rest = memoryview(b"")
        """Bytes of the last chunk that did not fit into the buffer of the reader."""
        self._is_over = False
        """True once the output was ended from outside."""
        # In real time, a deadline of the reader can end a stall.
        chunks.bounded = isinstance(clock, VirtualClock)

    def readable(self) -> bool:
        return True

    def end(self) -> None:
        """End the output, even if another thread waits for it."""
        self._chunks.shutdown(0)
        self._is_over = True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the reader passes only this
        # 0 bytes would end the file, so empty chunks are skipped.
        while not self._rest:
            chunk = None if self._is_over else self._receive()
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _receive(self) -> bytes | None:
        try:
            return next(self._chunks, None)
        except ConnectionAbortedError:
            # The process was ended during the wait.
            return None


class _NoLoop:
    """Stands for the loop of a stream reader, which needs it only to wait; `ReplayedReader` waits itself."""

    def get_debug(self) -> bool:
        return False


class ReplayedReader(asyncio.StreamReader):
    """The output of a replayed process in an event loop, which may also be that of trio."""

    def __init__(self, chunks: AsyncReplay) -> None:
        super().__init__(loop=cast("asyncio.AbstractEventLoop", _NoLoop()))
        self._chunks = chunks

    async def _wait_for_data(self, func_name: str) -> None:
        """Wait for the next chunk, or for the end; all methods that read call this method of asyncio's."""
        try:
            self.feed_data(await self._chunks.__anext__())
        except StopAsyncIteration:
            self.feed_eof()


def play_process(recording: Recording, clock: ReplayClock) -> ReplayedProcess:
    refuse_messages(recording, "no process prints it")
    return ReplayedProcess(_RawOutput(recording, clock), recording.exit_code or 0)


def play_async_process(recording: Recording, clock: ReplayClock) -> AsyncReplayedProcess:
    """Return a process that prints a recording, for an event loop."""
    refuse_messages(recording, "no process prints it")
    return AsyncReplayedProcess(ReplayedReader(AsyncReplay(recording, clock)), recording.exit_code or 0)
