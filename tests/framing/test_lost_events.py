"""Event streams that hold no event: nothing but their end, or lines whose blank lines were lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import wire
from tokenstream import Decoder
from tokenstream.errors import NotAStream, StreamTruncated


def test_a_sentinel_alone_is_an_empty_text() -> None:
    """Bare text has no payloads that could be missing: it is complete, and says that it is empty."""
    decoder = Decoder("text")
    decoder.feed(wire.DONE)
    decoder.end()

    assert decoder.error is None
    assert ("complete", 1) == (decoder.message.ending, decoder.departures.details["answer_empty"])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_events_without_their_blank_lines_are_reported(format: Any, end: bytes) -> None:
    """Asking again would bring the same: what took the lines apart is to be mended."""
    line = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}' + end
    decoder = Decoder(format)
    for chunk in (b"event: x" + end, line, line, b"data: [DONE]" + end):
        decoder.feed(chunk)
    decoder.end()

    assert isinstance(decoder.error, NotAStream)
    assert "no blank line ends the events of the body: the blank lines" in str(decoder.error)
    assert "ask again" not in str(decoder.error)


def test_an_event_of_several_lines_that_was_cut_is_truncated() -> None:
    decoder = Decoder()
    decoder.feed(b'data: {"choices":\ndata: [{"index":0}]\n')
    decoder.end()

    assert isinstance(decoder.error, StreamTruncated)
