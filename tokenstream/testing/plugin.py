"""Pytest plugin with streams as fixtures, readable comparisons, and an option to record answers again.

A project opts in with `tokenstream = true` in its pytest configuration, or with
`-p tokenstream.testing.plugin`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tokenstream.testing._pytest import recordings
from tokenstream.testing._pytest.diff import contains_answers, differences
from tokenstream.testing._pytest.entry import pytest_addoption
from tokenstream.testing._pytest.own_loop import run_apart
from tokenstream.testing._pytest.recordings import id_of
from tokenstream.testing._recordings.places import as_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._recordings.recording import Recording

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
    """Register the marker `recording`."""
    config.addinivalue_line("markers", f"{recordings.SIGNATURE}: {recordings.MEANING}")


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Recording:
    """The recording named by the test's marker `recording`.

    A test or a module may define its own `recording`, with `parametrize` for example;
    `token_stream` then plays that recording.
    """
    return recordings.find_recording(request)


@pytest.fixture
def token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[Stream]:
    """A `Stream` of the recording on a virtual clock; closed after the test."""
    with closing(recordings.play_recording(request, as_recording(recording).stream)) as stream:
        yield stream


@pytest.fixture
def async_token_stream(request: pytest.FixtureRequest, recording: Recording) -> Iterator[AsyncStream]:
    """An `AsyncStream` of the recording on a virtual clock; closed after the test."""
    stream = recordings.play_recording(request, as_recording(recording).astream)
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
    return id_of(val)


def _is_compared(left: object, right: object) -> bool:
    """Return True if the plugin describes the differences between two values."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        return b"data:" in left or b"data:" in right
    return contains_answers(left) and contains_answers(right)
