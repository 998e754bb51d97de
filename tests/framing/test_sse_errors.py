"""The field `error`, which the standard does not know, and which some servers send in place of data."""

from __future__ import annotations

import random

import pytest

from tokenstream import Limits, Stream
from tokenstream.errors import ProviderError
from tokenstream.events import TextDelta
from tokenstream.framing import ServerSentEvent, SSEParser

REFUSED = b'{"code":400,"message":"the prompt has 9000 tokens","type":"exceed_context_size_error"}'
CHUNK = (
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Ja"},'
    b'"finish_reason":null}]}'
)
BODIES = {
    "alone": b"error: " + REFUSED + b"\n\n",
    "behind text": CHUNK + b"\n\nerror: " + REFUSED + b"\n\n",
    "before data of its event": b"error: " + REFUSED + b"\n" + CHUNK + b"\n\n",
    "behind data of its event": CHUNK + b"\nerror: " + REFUSED + b"\n\n",
    "in an object": b'error:{"error":' + REFUSED + b"}\r\n\r\n",
    "without its blank line": CHUNK + b"\n\nerror: " + REFUSED,
}


def _chunkings(body: bytes) -> list[list[bytes]]:
    cuts = random.Random(body).sample(range(1, len(body)), 9)
    return [
        [body],
        [body[at : at + 1] for at in range(len(body))],
        *[[body[:cut], body[cut:]] for cut in cuts],
    ]


@pytest.mark.parametrize("where", BODIES)
def test_the_field_is_the_servers_error(where: str) -> None:
    """A request that cannot work is not asked again, and the text before the error is delivered."""
    body = BODIES[where]
    for chunks in _chunkings(body):
        stream = Stream(chunks)
        texts: list[str] = []
        with pytest.raises(ProviderError) as caught:
            texts.extend(event.text for event in stream if isinstance(event, TextDelta))

        assert ("context_length", False) == (caught.value.kind, caught.value.retryable)
        assert "the prompt has 9000 tokens" in str(caught.value)
        assert (["Ja"] if CHUNK in body else []) == texts


def test_words_are_an_error_too() -> None:
    """A proxy may write no JSON."""
    with pytest.raises(ProviderError, match="the context size is exceeded"):
        Stream([CHUNK + b"\n\nerror: the context size is exceeded\n\n"]).final()


def test_a_line_of_a_text_is_no_error() -> None:
    """A server that sends text with raw line ends may begin one of its lines like the field."""
    body = b"data: Fix it:\nerror: no such file\n\ndata: [DONE]\n\n"

    assert "Fix it:" == Stream([body], format="text").final().text


@pytest.mark.parametrize("field", [b"error:", b"errors: {}", b"Error: {}", b" error: {}"])
def test_only_the_field_with_a_value_counts(field: bytes) -> None:
    """An empty field tells nothing, and another name is another field."""
    stream = Stream([CHUNK + b"\n\n" + field + b"\n\n", b"data: [DONE]\n\n"])

    assert "Ja" == stream.final().text


def test_the_parser_alone_follows_the_standard() -> None:
    body = b"data: 1\nerror: no\n\n"

    assert [ServerSentEvent(b"1")] == SSEParser().feed(body)
    assert [ServerSentEvent(b"1")] == SSEParser(reads_errors=True).feed(body)
    assert [ServerSentEvent(b"no", "error")] == SSEParser(reads_errors=True).feed(b"error: no\n\n")


def test_the_lines_of_an_error_are_joined_within_a_bound() -> None:
    """Beyond `Limits.tail`, further lines are dropped."""
    parser = SSEParser(limits=Limits(tail=64), reads_errors=True)
    events = parser.feed(b"id: 7\n" + b"error: line\n" * 50 + b"\n")

    assert [("error", "7")] == [(event.event, event.id) for event in events]
    assert b"line\nline" == events[0].payload[:9]
    assert len(events[0].payload) <= 64
    assert b"error: li" in _tail_of(b"error: line\nda")


def _tail_of(body: bytes) -> bytes:
    parser = SSEParser(reads_errors=True)
    parser.feed(body)
    return parser.tail
