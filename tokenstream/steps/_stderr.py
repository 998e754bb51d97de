"""Drains what an agent's process writes to its standard error, and keeps its end for the errors."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenstream._sources.plain import from_file, is_file
from tokenstream.errors import MisuseError
from tokenstream.steps._chunks import AsyncChunks, find_pipe, is_asynchronous
from tokenstream.stream._reading.read_ahead import CHECK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

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
