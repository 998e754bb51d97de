"""The recordings that tests name: where they lie, and how they are made anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tokenstream.testing._plugin_record import record_anew
from tokenstream.testing._recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MEANING", "SIGNATURE", "find", "replay_of"]

SIGNATURE = "recording(name, *, source=None, pace=…, chunking=…, fault=…, clock=…, **options)"
MEANING = (
    "the recording that `token_stream`, `async_token_stream` and `recording` are of: a file beside the test, "
    "in the folder recordings/ there, or in the folder of the ini option tokenstream_recordings; `source` "
    "(a function, or the name of a fixture) opens the live stream for --record-streams"
)
_FOLDER = "recordings"
_RECORDED = pytest.StashKey[set[Path]]()
"""What has been recorded in this session."""


def find(request: pytest.FixtureRequest) -> Recording:
    """Return the recording that a test's marker names; record it first where that is asked for."""
    marker = request.node.get_closest_marker("recording")
    if marker is None:
        _fail(request, 'it has no recording: write @pytest.mark.recording("answer.sse") above it')
    if len(marker.args) != 1 or not isinstance(marker.args[0], str | os.PathLike):
        _fail(request, "its marker `recording` takes one name: the recording's file")
    places = _places(request, marker.args[0])
    path = next((place for place in places if place.is_file()), None)
    if request.config.getoption("--record-streams"):
        path = path or places[-1]
        _record(request, marker.kwargs.get("source"), path)
    if path is None:
        looked = "".join(f"\n  {_shown(request, place)}" for place in places)
        _fail(
            request,
            f"its recording is in none of these places:{looked}\nPut the file into one of them; or give the "
            "marker a source= that opens the live stream, and run pytest --record-streams",
        )
    return Recording.load(path)


def replay_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return how a test's marker wants its recording replayed."""
    marker = request.node.get_closest_marker("recording")
    if marker is None:
        return {}
    return {name: value for name, value in marker.kwargs.items() if name != "source"}


def _places(request: pytest.FixtureRequest, name: str | os.PathLike[str]) -> list[Path]:
    """Return where a recording may lie; a new one is put into the last place."""
    beside = request.path.parent
    folders = [beside, beside / _FOLDER]
    own = request.config.getini("tokenstream_recordings")
    if own:
        folders.append(request.config.rootpath / own)
    # Joined to an absolute path, a folder says nothing.
    return list(dict.fromkeys(folder / name for folder in folders))


def _record(request: pytest.FixtureRequest, source: str | Callable[[], object] | None, path: Path) -> None:
    recorded = request.config.stash.setdefault(_RECORDED, set())
    if path in recorded:
        return
    if source is None:
        _fail(
            request,
            "its recording cannot be made anew: give its marker `recording` a source= (a function that opens "
            "the live stream, or the name of a fixture that is one), or run it without --record-streams",
        )
    if isinstance(source, str):
        source = _opener(request.getfixturevalue(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    record_anew(source, path)
    recorded.add(path)


def _opener(value: object) -> Callable[[], object]:
    """Return a function that opens what a fixture gives: its value is one, or the source itself."""
    return value if callable(value) else lambda: value


def _shown(request: pytest.FixtureRequest, path: Path) -> str:
    root = request.config.rootpath
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _fail(request: pytest.FixtureRequest, what: str) -> NoReturn:
    pytest.fail(f"{request.node.nodeid}: {what}", pytrace=False)
