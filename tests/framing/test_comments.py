"""Comments as frames: for each comment one, in its place among the events."""

from __future__ import annotations

import pytest

from tokenstream.framing import SSEParser
from tokenstream.framing._comments import COMMENT, CommentedSSEParser

_BODY = (
    b"\xef\xbb\xbf: first\r\n\r\ndata: 1\r\n: within\r\ndata: 2\r\n\r\n:\r\n:\r\n\r\n"
    b"id: 7\ndata: 3\n\n: between\n\nevent: e\ndata: 4\n\n: last\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 1000])
def test_each_comment_is_one_frame_in_its_place_wherever_chunks_end(size: int) -> None:
    """The other frames are those that are given without them."""
    plain, commented = SSEParser(), CommentedSSEParser()
    chunks = [_BODY[start : start + size] for start in range(0, len(_BODY), size)]
    expected = [frame for chunk in chunks for frame in plain.frames(chunk)]
    frames = [frame for chunk in chunks for frame in commented.frames(chunk)]

    assert expected == [frame for frame in frames if frame is not COMMENT]
    assert ["c", "c", "1\n2", "c", "c", "3", "c", "4", "c"] == [
        "c" if frame is COMMENT else str(frame if isinstance(frame, bytes) else frame.payload, "utf-8")
        for frame in frames
    ]
    assert plain.comments == commented.comments == 6


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_chunk_that_is_a_comment_is_counted_once(end: bytes) -> None:
    """A blank line after it is the end of no event."""
    parser = CommentedSSEParser()
    parser.frames(b"data: 1\n\n")

    assert [COMMENT] == parser.frames(b": ping" + end)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_a_comment_before_the_end_of_an_event_comes_before_the_event(size: int) -> None:
    """The blank line after the comment is the end of the event, wherever the chunks end."""
    parser, body = CommentedSSEParser(), b"data: 1\n: ping\n\n"
    frames = [
        frame for start in range(0, len(body), size) for frame in parser.frames(body[start : start + size])
    ]

    assert [COMMENT, b"1"] == frames


def test_a_comment_that_never_ended_is_no_unfinished_event() -> None:
    """What is open behind it is."""
    parser = CommentedSSEParser()
    parser.frames(b"data: 1\n: pi")

    assert parser.unfinished is not None
    assert b"1" == parser.unfinished.payload
