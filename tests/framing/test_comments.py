"""Comments as pings: for each comment one, in its place among the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chunkings import sized
from tests.support.wire import chat
from tokenstream import Decoder
from tokenstream.events import Ping, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterable

_BODY = (
    b"\xef\xbb\xbf: first\r\n\r\ndata: 1\r\n: within\r\ndata: 2\r\n\r\n:\r\n:\r\n\r\n"
    b"id: 7\ndata: 3\n\n: between\n\nevent: message\ndata: 4\n\n: last\n"
)


def _told(chunks: Iterable[bytes]) -> list[str]:
    """Return the texts of an answer, and `c` for each comment."""
    decoder = Decoder("text", pings=True)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [
        event.text if isinstance(event, TextDelta) else "c"
        for event in events
        if isinstance(event, TextDelta | Ping)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 9, 1000])
def test_each_comment_is_one_ping_in_its_place_wherever_chunks_end(size: int) -> None:
    """The other events are those that are given without them."""
    assert ["c", "c", "1\n2", "c", "c", "3", "c", "4", "c"] == _told(sized(_BODY, size))


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_chunk_that_is_a_comment_is_counted_once(end: bytes) -> None:
    """A blank line after it is the end of no event."""
    assert ["1", "c"] == _told([b"data: 1\n\n", b": ping" + end])


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_a_comment_before_the_end_of_an_event_comes_before_the_event(size: int) -> None:
    """The blank line after the comment is the end of the event, wherever the chunks end."""
    assert ["c", "1"] == _told(sized(b"data: 1\n: ping\n\n", size))


def test_a_comment_that_never_ended_is_no_unfinished_event() -> None:
    """What is open behind it is."""
    decoder = Decoder("openai-chat", pings=True)
    decoder.feed(chat({"content": "Hi"}, "stop").rstrip(b"\n") + b"\n: pi")
    decoder.end()

    assert (None, "Hi") == (decoder.error, decoder.message.text)
