"""Ends of the frames in a recording's body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws_eventstream import event
from tests.support.recordings import Recorded, ours
from tests.support.tables import in_one_test
from tokenstream.testing import Recording
from tokenstream.testing._recordings.frames import Framing, cut_frames, detect_framing, frames_of, framing_of

FRAMINGS: list[Framing] = ["sse", "ndjson", "json", "aws-eventstream"]


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
    [b"<html>\n\n</html>\n\n"],
    [b"Hello\n\nworld"],
    [],
])  # fmt: skip
def test_the_bytes_tell_where_the_frames_end(frames: list[bytes]) -> None:
    """Any line ending will do, the last frame may lack its end, and no content type is needed."""
    assert frames == frames_of(Recording.of([b"".join(frames)]))


@pytest.mark.parametrize(("content_type", "expected"), [
    ("application/x-ndjson", "ndjson"), ("application/json", "json"), (None, "json"),
    ("text/event-stream", "json"),
])  # fmt: skip
def test_the_label_tells_what_a_single_line_is(content_type: str | None, expected: str) -> None:
    """One object may be a stream of one line, or a body of one document."""
    headers = {} if content_type is None else {"content-type": content_type}

    assert expected == framing_of(Recording.of([b'{"a": 1}\n'], headers=headers))


def test_the_bytes_count_more_than_the_label() -> None:
    body = b"data: a\n\ndata: b\n\n"

    assert [b"data: a\n\n", b"data: b\n\n"] == frames_of(
        Recording.of([body], headers={"content-type": "application/json"})
    )
    assert "sse" == detect_framing(b"dat")


def test_the_messages_of_a_websocket_are_frames_as_they_are() -> None:
    """Each chunk is one message, whatever is in it."""
    sent = [b'{"a": 1}\n{"a": 2}', b'{"b": 1}']

    assert sent == frames_of(Recording.of([*sent, b""], messages=True))


@given(st.text(alphabet='ab\r\n[{]}",\\\0\x11', max_size=60), st.sampled_from([*FRAMINGS, None]))
def test_cutting_changes_no_byte(body: str, framing: Framing | None) -> None:
    """This holds for a body that is not a stream, too, and no piece is empty."""
    pieces = cut_frames(body.encode(), framing)

    assert body.encode() == b"".join(pieces)
    assert all(pieces)


@in_one_test(
    "recorded",
    [recorded for recorded in ours() if not recorded.name.endswith("/not_streamed")],
    ids=lambda recorded: recorded.name,
)
def test_each_frame_of_our_recordings_is_one_of_the_stream(recorded: Recorded) -> None:
    """There are several, and a body that is cut behind each of them is the body."""
    body = recorded.body
    frames = frames_of(Recording.of([body]))

    assert body == b"".join(frames)
    assert len(frames) > 2
