"""Pytest plugin with streams as fixtures, readable comparisons, and an option to record answers again.

A project opts in with `tokenstream = true` in its pytest configuration, or with
`-p tokenstream.testing.plugin`.
"""

from __future__ import annotations

import inspect
import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream.errors import MisuseError
from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._check.case import run_apart
from tokenstream.testing._pytest import entry
from tokenstream.testing._pytest.diff import contains_answers, differences
from tokenstream.testing._recordings.file_format import RecordingInvalid
from tokenstream.testing._recordings.places import as_recording
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._recordings.replay import Seed
from tokenstream.testing._script import Script
from tokenstream.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream._basics.loose import Action, JsonObject

__all__: list[str] = []

pytest_addoption = entry.pytest_addoption

_StreamT = TypeVar("_StreamT")

_SIGNATURE = (
    "recording(name, *, source=None, replace=None, filter=None, "
    "pace=…, chunking=…, fault=…, clock=…, **options)"
)
_MEANING = (
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
_ASYNCHRONOUS = ("__await__", "__aiter__", "__aenter__")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker `recording`."""
    config.addinivalue_line("markers", f"{_SIGNATURE}: {_MEANING}")


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Recording:
    """The recording named by the test's marker `recording`.

    A test or a module may define its own `recording`, with `parametrize` for example;
    `token_stream` then plays that recording.
    """
    return _find_recording(request)


@pytest.fixture
def token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[Stream]:
    """A `Stream` of the recording on a virtual clock; closed after the test."""
    with closing(_play_recording(request, as_recording(recording).stream)) as stream:
        yield stream


@pytest.fixture
def async_token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[AsyncStream]:
    """An `AsyncStream` of the recording on a virtual clock; closed after the test."""
    stream = _play_recording(request, as_recording(recording).astream)
    yield stream
    if not stream.closed:
        run_apart(stream.aclose)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Describe the differences between two messages, events, tool calls, recordings, or bodies.

    pytest calls this hook for a failed comparison in an assertion.

    Args:
        op: The operator of the comparison; only "==" is described.
        left: The value on the left.
        right: The value on the right.

    Returns:
        The lines to print; None to leave the description to pytest.
    """
    if op != "==" or not _is_compared(left, right):
        return None
    lines = differences(left, right)
    return [f"{type(left).__name__} == {type(right).__name__}", *lines] if lines else None


def pytest_make_parametrize_id(val: object) -> str | None:
    """Return the name of a recording, a script, a fault or a seed in a test's id; None for other values."""
    if isinstance(val, Recording | Fault):
        return val.name
    if isinstance(val, Seed):
        return f"seed{val.number}"
    if isinstance(val, Script):
        kinds = [part.kind for message in val.messages for part in message.parts]
        return "+".join(dict.fromkeys(kinds)) or "silence"
    return None


def _is_compared(left: object, right: object) -> bool:
    """Return True if the plugin describes the differences between two values."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        return b"data:" in left or b"data:" in right
    return contains_answers(left) and contains_answers(right)


def _record_source(source: Action, path: Path, **options: Any) -> None:  # noqa: ANN401 - those of `record`
    """Read a live stream to its end and write the recording to a file.

    If the stream fails, an existing file stays unchanged.
    """
    from tokenstream.testing._record.record import record

    # Several processes may run the tests and record the same stream at once.
    temporary = path.with_name(f"new-{os.getpid()}-{path.name}")
    try:
        _read_to_end(source, partial(record, path=temporary, overwrite=True, **options))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_to_end(source: Action, start_recording: Callable[[object], Any]) -> None:
    """Open a live stream and read it to its end, in an event loop if it is asynchronous."""
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


async def _read_to_end_async(source: Action, start_recording: Callable[[object], Any]) -> None:
    """Open an asynchronous stream and read it to its end; the arguments are those of `_read_to_end`."""
    opened = source()
    replacement = start_recording(await opened if is_awaitable(opened) else opened)
    async with replacement if isinstance(replacement, AsyncStream) else AsyncStream(replacement) as stream:
        await stream.final()


def _find_recording(request: pytest.FixtureRequest) -> Recording:
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


def _play_recording(request: pytest.FixtureRequest, play: Callable[..., _StreamT]) -> _StreamT:
    """Return the stream of a test's recording, with the options that the test's marker sets."""
    marker = request.node.get_closest_marker("recording")
    if marker is None:
        return play()
    options: JsonObject = {**marker.kwargs}
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
        _record_source(opened if callable(opened) else lambda: opened, path, **options)
    except MisuseError as error:
        _fail(
            request,
            f"what the source= of its marker `recording` opens cannot be recorded: {error}\nA source is a "
            "function that opens the live stream, async or not, or the name of a fixture that gives one",
        )
    recorded.add(path)


def _write_path(request: pytest.FixtureRequest, path: Path) -> str:
    root = request.config.rootpath
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _fail(request: pytest.FixtureRequest, problem: str) -> NoReturn:
    # `from None`: the message already contains the original error.
    raise pytest.fail.Exception(f"{request.node.nodeid}: {problem}", pytrace=False) from None
