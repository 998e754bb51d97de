"""Ends of the frames in a recording's body, and places to cut it at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws_eventstream import event
from tests.support.recordings import Recorded, ours
from tests.support.tables import in_one_test
from tokenstream.testing import Recording, faults
from tokenstream.testing._recordings.places import choose_cut_places


@in_one_test("frames", [
    [b"data: a\r\n\r\n", b": b\r\r", b"data: c\n\n\n", b"data: d"],
    [b"\xef\xbb\xbfdata: a\n\n", b"data: b\n\n"],
    [b'{"a": 1}\n', b'{"a": 2}\n\n', b'{"a"'],
    [b'[{"a": [1, "]}"]}', b',\n{"b\\"": {}}', b",[2]", b"\n]"],
    [b'\xef\xbb\xbf [{"a": 1}', b",\n{"],
    [b'{\n  "a": [{"b": 1}]\n}\n'],
    [event("messageStart", {}), event("messageStop", {"a": 1})],
    [event("messageStart", {}), event("messageStop", {"a": 1})[:30]],
    [event("messageStart", {}), b"\0" * 20],
    [event("messageStart", {}), b"\0" * 9],
    [b'{"a": [{"b": 1}]}'],
    [b'"[]"'],
    [b"<html>\n\n</html>\n\n"],
    [b"Hello\n\nworld"],
    [],
])  # fmt: skip
def test_the_bytes_tell_where_the_frames_end(frames: list[bytes]) -> None:
    """Any line ending will do, the last frame may lack its end, and no content type is needed."""
    assert frames == Recording.of([b"".join(frames)]).chunks("events")


@in_one_test(("content_type", "expected"), [
    ("application/x-ndjson", [b"[1]\n", b"[2]\n"]), ("application/json", [b"[1]\n[2]\n"]),
    (None, [b"[1]\n[2]\n"]),
])  # fmt: skip
def test_the_label_tells_what_lines_of_json_are(content_type: str | None, expected: list[bytes]) -> None:
    """Lines that are no objects may be a stream of lines, or a body of one document."""
    headers = {} if content_type is None else {"content-type": content_type}

    assert expected == Recording.of([b"[1]\n[2]\n"], headers=headers).chunks("events")


def test_the_bytes_count_more_than_the_label() -> None:
    body = b"data: a\n\ndata: b\n\n"
    recording = Recording.of([body], headers={"content-type": "application/json"})

    assert [b"data: a\n\n", b"data: b\n\n"] == recording.chunks("events")


def test_a_message_without_content_is_no_frame() -> None:
    """A fault that names an event by its number does not count it."""
    recording = Recording.of([b'{"a": 1}', b"", b'{"b": 1}'], messages=True)
    twice = recording.with_fault(faults.duplicate(event=2))

    assert [b'{"a": 1}', b'{"b": 1}', b'{"b": 1}'] == [data for data in twice.chunks() if data]


_TYPES = ["text/event-stream", "application/x-ndjson", "application/json", "text/html", None]


@given(st.text(alphabet='ab\r\n[{]}",\\\0\x11', max_size=60), st.sampled_from(_TYPES))
def test_cutting_changes_no_byte(body: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    pieces = Recording.of([body.encode()], headers=headers).chunks("events")

    assert body.encode() == b"".join(pieces)
    assert all(pieces)


@in_one_test(
    "recorded",
    [recorded for recorded in ours() if not recorded.name.endswith("/not_streamed")],
    ids=lambda recorded: recorded.name,
)
def test_each_frame_of_our_recordings_is_one_of_the_stream(recorded: Recorded) -> None:
    body = recorded.body
    frames = Recording.of([body]).chunks("events")

    assert body == b"".join(frames)
    assert len(frames) > 2


def test_a_small_recording_is_cut_at_every_byte() -> None:
    """Up to the bound, no place is left out."""
    recording = Recording.of([b"data: Hello\n\n"])

    assert [*range(13)] == choose_cut_places(recording, 256)
    assert [] == choose_cut_places(Recording(), 256)


def test_of_a_large_recording_a_sample_is_cut() -> None:
    recording = Recording.of([b"data: Hello\n\n"] * 1_000)
    places = choose_cut_places(recording, 64)

    assert places == choose_cut_places(recording, 64)
    assert 48 < len(places) <= 64
    assert {0} < {place for place in places if place % 13 == 0}
    assert [place for place in places if place % 13]
    assert places[-1] < len(recording.body)


@pytest.mark.slow
def test_of_a_huge_recording_few_places_are_cut() -> None:
    """The cost of all cuts together is bounded, too."""
    assert 16 >= len(choose_cut_places(Recording.of([b"data: Hello\n\n"] * 100_000), 256))


def test_messages_of_a_websocket_are_cut_between() -> None:
    recording = Recording.of([b"{}", b"{}", b"{}"], messages=True)

    assert [0, 2, 4] == choose_cut_places(recording, 256)
    assert [0, 2] == choose_cut_places(recording, 2)
