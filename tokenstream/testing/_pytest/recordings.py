"""Look-up of the recordings that tests name; with --record-streams, they are recorded first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from tokenstream.errors import MisuseError
from tokenstream.testing._pytest.record import record_anew
from tokenstream.testing._recordings.errors import RecordingInvalid
from tokenstream.testing._recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

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
