"""Recordings as values: what they are made of, and what they keep."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording


@pytest.mark.parametrize("chunks", [b"data: Hello\n\n", "data: Hello\n\n", ["data: Hello\n\n"], [5]])
def test_chunks_are_bytes(chunks: Any) -> None:
    """Neither one chunk, nor text, is a list of them."""
    with pytest.raises(MisuseError, match=r"a recording is made of (a list of chunks|chunks of bytes), "):
        Recording.of(chunks)


def test_what_is_done_to_the_chunks_later_changes_no_recording() -> None:
    """A recording is what it was made of."""
    chunk = bytearray(b"data: Hello\n\n")
    headers = {"content-type": "text/event-stream"}
    recording = Recording.of([chunk], headers=headers)
    chunk.clear()
    headers.clear()

    assert (Arrival(0.0, b"data: Hello\n\n"),) == recording.arrivals
    assert "text/event-stream" == recording.content_type


def test_a_recording_is_shown_by_its_name_and_size() -> None:
    """Its bytes may be private, and are many."""
    assert "<Recording abc: 1 chunks, 1,000 bytes>" == repr(Recording.of([b"x" * 1000], name="abc"))


def test_headers_are_found_however_they_are_written() -> None:
    """Their names do not depend on the case."""
    recording = Recording.of([b"data: Hello\n\n"], headers={"Content-Type": "text/event-stream"})

    assert "text/event-stream" == recording.content_type
    assert {"content-type": "text/event-stream"} == recording.headers
