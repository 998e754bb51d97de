"""Look-up of the recordings that tests name, their names in ids, and recording them with --record-streams."""

from __future__ import annotations

import inspect
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from tokenstream.errors import MisuseError
from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._pytest.own_loop import run_apart
from tokenstream.testing._recordings.file_format import RecordingInvalid
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._recordings.replay import Seed
from tokenstream.testing._script import Script
from tokenstream.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

_ASYNCHRONOUS = ("__await__", "__aiter__", "__aenter__")


def id_of(value: object) -> str | None:
    """Return a test id for a recording, a fault, a seed or a script; None for any other value.

    Example:
        >>> from tokenstream import testing
        >>> id_of(testing.script().text("Hello").tool_call("now").finish())
        'text+tool_call'
    """
    if isinstance(value, Recording | Fault):
        return value.name
    if isinstance(value, Seed):
        return f"seed{value.number}"
    if isinstance(value, Script):
        kinds = [part.kind for message in value.messages for part in message.parts]
        return "+".join(dict.fromkeys(kinds)) or "silence"
    return None


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


StreamT = TypeVar("StreamT")

SIGNATURE = (
    "recording(name, *, source=None, replace=None, filter=None, "
    "pace=…, chunking=…, fault=…, clock=…, **options)"
)
MEANING = (
    "the recording that `token_stream`, `async_token_stream` and `recording` are of: a file beside the test, "
    "in the folder recordings/ there, or in the folder of the ini option tokenstream_recordings; `source` "
    "(a function, or the name of a fixture) opens the live stream for --record-streams, and `replace` and "
    "`filter`, as of testing.record, take out what is not to be written"
)
_RECORDINGS_FOLDER = "recordings"
_RECORD_ARGUMENTS = ("replace", "filter")
"""Arguments of the marker that are passed to `record`, in addition to the stream from `source`."""
_RECORDED_FILES = pytest.StashKey[set[Path]]()
"""Files recorded in this session, so that each is recorded once."""


def find_recording(request: pytest.FixtureRequest) -> Recording:
    """Return the recording named by a test's marker; with --record-streams, record it first."""
    marker = request.node.get_closest_marker("recording")
    if marker is None:
        _fail(request, 'it has no recording: write @pytest.mark.recording("answer.sse") above it')
    if len(marker.args) != 1 or not isinstance(marker.args[0], str | os.PathLike):
        _fail(
            request,
            "its marker `recording` takes one name: the recording's file; a Recording or a Script is given "
            'by @pytest.mark.parametrize("recording", […])',
        )
    candidates = _list_candidates(request, marker.args[0])
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if request.config.getoption("--record-streams"):
        # A new file goes to the last of the places.
        path = path or candidates[-1]
        _record_anew(request, marker, path)
    if path is None:
        searched = "".join(f"\n  {_write_path(request, candidate)}" for candidate in candidates)
        source_advice = (
            "" if "source" in marker.kwargs else "give the marker a source= that opens the live stream, and "
        )
        _fail(
            request,
            f"its recording is in none of these places:{searched}\nPut the file into one of them; or "
            f"{source_advice}run pytest --record-streams",
        )
    try:
        return Recording.load(path)
    except RecordingInvalid as error:
        _fail(request, f"its recording cannot be read: {error}")


def play_recording(request: pytest.FixtureRequest, play: Callable[..., StreamT]) -> StreamT:
    """Return the stream of a test's recording, with the options that the test's marker sets.

    Args:
        request: The test's request, which has the marker.
        play: The method of the recording that makes the stream; it gets the options as arguments.
    """
    marker = request.node.get_closest_marker("recording")
    if marker is None:
        return play()
    options: dict[str, Any] = {**marker.kwargs}
    other_arguments = ("source", *_RECORD_ARGUMENTS)
    try:
        return play(**{name: value for name, value in options.items() if name not in other_arguments})
    except (MisuseError, TypeError) as error:
        _fail(request, f"its marker `recording` has an invalid option: {error}")


def _list_candidates(request: pytest.FixtureRequest, name: str | os.PathLike[str]) -> list[Path]:
    """Return the paths at which a recording is looked for; a new recording is written to the last path."""
    beside = request.path.parent
    folders = [beside, beside / _RECORDINGS_FOLDER]
    own_folder = request.config.getini("tokenstream_recordings")
    if own_folder:
        folders.append(request.config.rootpath / own_folder)
    # An absolute name overrides the folder, so that all three may be the same path.
    return list(dict.fromkeys(folder / name for folder in folders))


def _record_anew(request: pytest.FixtureRequest, marker: pytest.Mark, path: Path) -> None:
    """Record the live stream that the marker's `source` opens, once in a session for each file."""
    recorded = request.config.stash.setdefault(_RECORDED_FILES, set())
    if path in recorded:
        return
    source: object = marker.kwargs.get("source")
    if source is None:
        _fail(
            request,
            "its recording cannot be made anew: give its marker `recording` a source= (a function that opens "
            "the live stream, or the name of a fixture that is one), or run it without --record-streams",
        )
    # The value of a fixture is a stream, or a function that opens one.
    opened: object = request.getfixturevalue(source) if isinstance(source, str) else source
    if not callable(opened) and not isinstance(source, str):
        _fail(request, "the source= of its marker `recording` is a function, or the name of a fixture")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {name: marker.kwargs[name] for name in _RECORD_ARGUMENTS if name in marker.kwargs}
    try:
        record_anew(opened if callable(opened) else lambda: opened, path, **options)
    except MisuseError as error:
        _fail(
            request,
            f"what the source= of its marker `recording` opens cannot be recorded: {error}\nA source is a "
            "function that opens the live stream, async or not, or the name of a fixture that gives one",
        )
    recorded.add(path)


def _write_path(request: pytest.FixtureRequest, path: Path) -> str:
    """Return a path for a message, relative to the project if it is inside."""
    root = request.config.rootpath
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _fail(request: pytest.FixtureRequest, problem: str) -> NoReturn:
    """Fail the test with the description of a problem, without a traceback."""
    # `from None`: the message already contains the original error.
    raise pytest.fail.Exception(f"{request.node.nodeid}: {problem}", pytrace=False) from None
