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


def record_anew(source: Callable[[], object], path: Path, **options: Any) -> None:  # noqa: ANN401 - `record`'s own
    """Read a live stream to its end and write the recording to a file.

    If the stream fails, an existing file stays unchanged.

    Args:
        source: Opens the stream; returns any object that a `Stream` or an `AsyncStream` can read.
        path: The file.
        **options: `replace` and `filter` of `record`, applied before writing.

    Raises:
        StreamError: The stream failed.
        RecordingRefused: The recording contains something that looks like a secret.
    """
    # Several processes may run the tests and record the same stream at once.
    new = path.with_name(f"new-{os.getpid()}-{path.name}")
    try:
        _record(source, partial(_record_opened, path=new, **options))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _record(source: Callable[[], object], noted: Callable[[object], Any]) -> None:
    """Open a live stream and read it to its end, in an event loop if it is asynchronous.

    Args:
        source: Opens the stream.
        noted: Starts the recording of an opened stream; returns the object to read instead.
    """
    if inspect.iscoroutinefunction(source):
        run_apart(partial(_record_async, source, noted))
        return
    opened = source()
    if any(hasattr(opened, name) for name in _ASYNCHRONOUS):
        run_apart(partial(_record_async, lambda: opened, noted))
        return
    recorded = noted(opened)
    with recorded if isinstance(recorded, Stream) else Stream(recorded) as stream:
        stream.final()


async def _record_async(source: Callable[[], object], noted: Callable[[object], Any]) -> None:
    opened = source()
    recorded = noted(await opened if inspect.isawaitable(opened) else opened)
    async with recorded if isinstance(recorded, AsyncStream) else AsyncStream(recorded) as stream:
        await stream.final()


def _record_opened(opened: object, *, path: Path, **options: Any) -> Any:  # noqa: ANN401 - what the source is, or stands for
    from tokenstream.testing._record.record import record

    return record(opened, path, overwrite=True, **options)
