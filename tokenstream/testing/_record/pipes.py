"""Recording of processes and pipes, by objects that are read in their place."""

from __future__ import annotations

import subprocess
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tokenstream._sources.plain import is_file
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream.testing._record.notes import Notes

ReadT = TypeVar("ReadT")


def is_process(source: object) -> bool:
    """Return True for a process of `subprocess` or of asyncio."""
    asyncio_subprocess = sys.modules.get("asyncio.subprocess")
    return isinstance(source, subprocess.Popen) or (
        asyncio_subprocess is not None and isinstance(source, asyncio_subprocess.Process)
    )


def is_pipe(source: object) -> bool:
    """Return True for a pipe or for a stream reader of asyncio; a file is complete, and no pipe."""
    if _is_stream_reader(source):
        return True
    pipe: Any = source
    # Responses of http.client and urllib3 are files as well.
    return is_file(pipe) and not hasattr(pipe, "headers") and not pipe.closed and not pipe.seekable()


def note_process(process: Any, notes: Notes) -> None:  # noqa: ANN401 - of `subprocess` or of asyncio
    """Record what a process prints, from now on, and its exit code once the application has waited for it."""
    if process.stdout is None or not is_pipe(process.stdout):
        raise MisuseError("the process has no output that can be recorded: start it with stdout=PIPE")
    process.stdout = note_pipe(process.stdout, notes)
    for name in ("wait", "poll"):
        # The process of asyncio has no `poll`.
        if hasattr(process, name):
            setattr(process, name, _wrap_wait(getattr(process, name), notes))


def note_pipe(pipe: Any, notes: Notes) -> object:  # noqa: ANN401 - a pipe, or asyncio's stream reader
    """Return an object that is read in place of a pipe, and adds the bytes that it returns to `notes`."""
    return _NotedStreamReader(pipe, notes) if _is_stream_reader(pipe) else _NotedPipe(pipe, notes)


def _is_stream_reader(source: object) -> bool:
    return hasattr(source, "at_eof") and hasattr(source, "readexactly")


def _wrap_wait(wait: Callable[..., Any], notes: Notes) -> Callable[..., Any]:
    """Return a replacement for a method that returns the exit code, or waits for it."""

    async def await_code(waiting: Any) -> int:  # noqa: ANN401 - an awaitable
        code: int = await waiting
        notes.note_exit_code(code)
        return code

    # `run.follow` looks for a parameter `timeout` in the signature, which `wraps` keeps.
    @wraps(wait)
    def wait_and_note(*args: object, **options: object) -> object:
        """Call the method; record the exit code that it returns, now or once it is awaited."""
        result = wait(*args, **options)
        if hasattr(result, "__await__"):
            return await_code(result)
        if isinstance(result, int):
            notes.note_exit_code(result)
        return result

    return wait_and_note


class _NotedPipe:
    """Replaces a pipe, binary or text, and records the bytes that are read from it."""

    def __init__(self, pipe: Any, notes: Notes) -> None:  # noqa: ANN401 - with all the ways of reading
        self._pipe = pipe
        self._notes = notes
        for name, wrap in _WRAPPERS.items():
            # A pipe of text lacks some of them.
            if hasattr(pipe, name):
                setattr(self, name, wrap(self, getattr(pipe, name)))
        if hasattr(pipe, "buffer"):
            # A text file is often read through its binary file.
            self.buffer = _NotedPipe(pipe.buffer, notes)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the pipe has
        if name == "_pipe":
            # `__init__` was not called, as in a copy: the lookup below would never end.
            raise AttributeError(name)
        return getattr(self._pipe, name)

    def __iter__(self) -> _NotedPipe:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - a line of bytes or of text
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pipe, and write the recording of the bytes read so far."""
        try:
            self._pipe.close()
        finally:
            self._notes.stop()

    def wrap_read(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method like `read(size)`, so that the bytes that it returns are recorded."""

        def read(size: int | None = -1) -> Any:  # noqa: ANN401 - bytes or text
            data = self._call(method, size)
            if data:
                self._notes.see(data)
            reads_all = method.__name__ == "read" and (size is None or size < 0)
            # A read that asks for 0 bytes gets none even before the end.
            if reads_all or (not data and size != 0):
                self._notes.end()
            return data

        return read

    def wrap_read_into(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method like `readinto(buffer)`, so that the bytes put into the buffer are recorded."""

        def read_into(buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
            count: int = self._call(method, buffer)
            if count:
                self._notes.see(memoryview(buffer)[:count])
            elif len(buffer):
                # Nothing was read although the buffer has room: the pipe has ended.
                self._notes.end()
            return count

        return read_into

    def _call(self, method: Callable[[Any], Any], argument: object) -> Any:  # noqa: ANN401 - what the method returns
        """Call a method of the pipe; if it raises, write the recording with that failure."""
        try:
            return method(argument)
        except BaseException as error:
            self._notes.note_read_error(error, final=True)
            raise


_WRAPPERS: dict[str, Callable[[_NotedPipe, Any], Any]] = {
    "read": _NotedPipe.wrap_read,
    "read1": _NotedPipe.wrap_read,
    "readinto": _NotedPipe.wrap_read_into,
    "readline": _NotedPipe.wrap_read,
}
"""Maps names of methods to the functions that wrap them."""


class _NotedStreamReader:
    """Replaces a stream reader of asyncio, and records the bytes that are read from it."""

    def __init__(self, reader: Any, notes: Notes) -> None:  # noqa: ANN401 - of asyncio
        self._reader = reader
        self._notes = notes

    def __getattr__(self, name: str) -> object:
        if name == "_reader":
            # `__init__` was not called, as in a copy: the lookup below would never end.
            raise AttributeError(name)
        return getattr(self._reader, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes; all that comes if `n` is negative."""
        data: bytes = await self._await_read(self._reader.read(n))
        # A negative `n` reads to the end; 0 bytes are returned for `n` = 0 even before the end.
        self._note(data, is_end=n < 0 or (not data and n > 0))
        return data

    async def readline(self) -> bytes:
        data: bytes = await self._await_read(self._reader.readline())
        self._note(data, is_end=not data)
        return data

    async def readuntil(self, *args: object, **options: object) -> bytes:
        data: bytes = await self._await_read(self._reader.readuntil(*args, **options))
        self._note(data, is_end=False)
        return data

    async def readexactly(self, n: int) -> bytes:
        data: bytes = await self._await_read(self._reader.readexactly(n))
        self._note(data, is_end=False)
        return data

    def _note(self, data: bytes, *, is_end: bool) -> None:
        if data:
            self._notes.see(data)
        if is_end:
            self._notes.end()

    async def _await_read(self, awaitable: Awaitable[ReadT]) -> ReadT:
        """Return the result of a read; if it fails, record the bytes it took, and the failure."""
        try:
            return await awaitable
        except EOFError as error:
            # The output ended before the requested number of bytes.
            self._note(getattr(error, "partial", b""), is_end=True)
            raise
        except Exception as error:
            self._notes.note_read_error(error, final=True)
            raise
