"""Recording of the live stream that the marker of a test opens."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._pytest.own_loop import run_apart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ASYNCHRONOUS = ("__await__", "__aiter__", "__aenter__")


def record_anew(source: Callable[[], object], path: Path, **options: object) -> None:
    """Read a live stream to its end and write the recording to a file.

    If the stream fails, an existing file stays unchanged.

    Args:
        source: Opens the stream; returns any object that a `Stream` or an `AsyncStream` can read.
        **options: `replace` and `filter` of `record`, applied before writing.

    Raises:
        StreamError: The stream failed.
        RecordingRefused: The recording contains something that looks like a secret.
    """
    # Several processes may run the tests and record the same stream at once.
    temporary = path.with_name(f"new-{os.getpid()}-{path.name}")
    try:
        _read_to_end(source, partial(_start_recording, path=temporary, **options))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_to_end(source: Callable[[], object], start_recording: Callable[[object], Any]) -> None:
    """Open a live stream and read it to its end, in an event loop if it is asynchronous.

    Args:
        source: Opens the stream.
        start_recording: Starts the recording of an opened stream; returns the object to read instead.
    """
    if inspect.iscoroutinefunction(source):
        run_apart(partial(_read_to_end_async, source, start_recording))
        return
    opened = source()
    # A function that is not async may open an asynchronous stream, too.
    if any(hasattr(opened, name) for name in _ASYNCHRONOUS):
        run_apart(partial(_read_to_end_async, lambda: opened, start_recording))
        return
    replacement = start_recording(opened)
    with replacement if isinstance(replacement, Stream) else Stream(replacement) as stream:
        stream.final()


async def _read_to_end_async(source: Callable[[], object], start_recording: Callable[[object], Any]) -> None:
    """Open an asynchronous stream and read it to its end; the arguments are those of `_read_to_end`."""
    opened = source()
    replacement = start_recording(await opened if inspect.isawaitable(opened) else opened)
    async with replacement if isinstance(replacement, AsyncStream) else AsyncStream(replacement) as stream:
        await stream.final()


def _start_recording(opened: object, *, path: Path, **options: Any) -> object:  # noqa: ANN401 - what the source is, or stands for
    """Begin to record an opened source; return the object to read in its place."""
    from tokenstream.testing._record.record import record

    return record(opened, path, overwrite=True, **options)
