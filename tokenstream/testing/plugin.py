"""The pytest plugin: streams as fixtures, comparisons that can be read, recordings made anew.

A project opts in with `tokenstream = true` in its pytest configuration, or with
`-p tokenstream.testing.plugin`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tokenstream.testing import _plugin_recordings as recordings
from tokenstream.testing._cut_places import recording_of
from tokenstream.testing._diff import differences, speaks_of_answers
from tokenstream.testing._own_loop import run_apart
from tokenstream.testing._plugin_ids import id_of
from tokenstream.testing._pytest_entry import pytest_addoption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._recording import Recording

__all__ = [
    "async_token_stream",
    "pytest_addoption",
    "pytest_assertrepr_compare",
    "pytest_configure",
    "pytest_make_parametrize_id",
    "recording",
    "token_stream",
]


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", f"{recordings.SIGNATURE}: {recordings.MEANING}")


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Recording:
    """The recording that the test's marker `recording` names.

    A test, or a module, may have a `recording` of its own, by `parametrize` for
    example: `token_stream` plays that one then.
    """
    return recordings.find(request)


@pytest.fixture
def token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[Stream]:
    """A `Stream` of the recording, on a clock that takes no time; closed after the test."""
    with closing(recordings.played(request, recording_of(recording).stream)) as stream:
        yield stream


@pytest.fixture
def async_token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[AsyncStream]:
    """An `AsyncStream` of the recording, on a clock that takes no time; closed after the test."""
    stream = recordings.played(request, recording_of(recording).astream)
    yield stream
    if not stream.closed:
        run_apart(stream.aclose)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say what differs between two messages, events, tool calls, recordings, or bodies."""
    if op != "==" or not _compared(left, right):
        return None
    lines = differences(left, right)
    return [f"{type(left).__name__} == {type(right).__name__}", *lines] if lines else None


def pytest_make_parametrize_id(val: object) -> str | None:
    """Call a recording, a script, a fault or a seed by its name."""
    return id_of(val)


def _compared(left: object, right: object) -> bool:
    if isinstance(left, bytes) and isinstance(right, bytes):
        return b"data:" in left or b"data:" in right
    return speaks_of_answers(left) and speaks_of_answers(right)
