"""Comments of SSE are no events, and end none."""

from __future__ import annotations

import pytest

from tests.support.chunkings import sized
from tests.support.wire import chat
from tokenstream import Decoder
from tokenstream.events import TextDelta

_BODY = (
    b"\xef\xbb\xbf: first\r\n\r\ndata: 1\r\n: within\r\ndata: 2\r\n\r\n:\r\n:\r\n\r\n"
    b"id: 7\ndata: 3\n\n: between\n\nevent: message\ndata: 4\n\n: last\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 1000])
def test_comments_change_no_event_wherever_chunks_end(size: int) -> None:
    decoder = Decoder("text")
    events = [event for chunk in sized(_BODY, size) for event in decoder.feed(chunk)]

    assert ["1\n2", "3", "4"] == [event.text for event in events if isinstance(event, TextDelta)]


def test_a_comment_that_never_ended_is_no_unfinished_event() -> None:
    """What is open behind it is."""
    decoder = Decoder("openai-chat")
    decoder.feed(chat({"content": "Hi"}, "stop").rstrip(b"\n") + b"\n: pi")
    decoder.end()

    assert (None, "Hi") == (decoder.error, decoder.message.text)
