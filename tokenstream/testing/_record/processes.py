"""Recording of programs: what a process prints, or what a pipe brings, with the exit code.

*Noting* means adding the bytes to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

import subprocess
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from tokenstream._sources.plain import is_file
from tokenstream.errors import MisuseError
from tokenstream.testing._record.aiohttp_reads import NotedContent
from tokenstream.testing._record.sync_reads import wrap_reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tokenstream.testing._record.notes import Notes


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
    """Record what a process prints, from now on, and its exit code once the application has waited for it.

    Raises:
        MisuseError: The output of the process is not a pipe.
    """
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
    """Return True for a stream reader of asyncio."""
    return hasattr(source, "at_eof") and hasattr(source, "readexactly")


def _wrap_wait(wait: Callable[..., Any], notes: Notes) -> Callable[..., Any]:
    """Return a replacement for a method that returns the exit code, or waits for it."""

    async def await_code(waiting: Any) -> int:  # noqa: ANN401 - an awaitable
        """Wait for the end of the process; return its exit code."""
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
    """Replaces a pipe, and records the bytes that are read from it.

    Args:
        pipe: The pipe, binary or text.
        notes: Receives the bytes.
    """

    def __init__(self, pipe: Any, notes: Notes) -> None:  # noqa: ANN401 - with all the ways of reading
        self._pipe = pipe
        wrap_reads(pipe, notes, self)
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


class _NotedStreamReader(NotedContent):
    """Replaces a stream reader of asyncio, and records the bytes that are read from it."""

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line
