"""What a source may give, and what a stream says of itself."""

from __future__ import annotations

import traceback
from typing import Any

import httpx
import pytest

from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, NotAStream, StreamTruncated


def test_none_from_a_source_is_no_end() -> None:
    """A source that gives something else than bytes is the calling code's mistake."""
    items: list[Any] = [ANSWER[2], None]
    with pytest.raises(MisuseError, match="NoneType"), Stream(items) as stream:
        stream.final()


def test_reading_a_failed_view_again_does_not_make_its_error_grow() -> None:
    """The traceback is that of the last read."""
    stream = Stream(ANSWER[:4])
    depths = []
    for _ in range(20):
        with pytest.raises(StreamTruncated) as caught:
            list(stream.text)
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))

    assert max(depths[1:]) == min(depths[1:])


def test_what_a_stream_says_of_itself_holds_no_key() -> None:
    """An address may carry a password or a key; a log that shows the stream must not."""
    request = httpx.Request("POST", "https://user:secret@api.example/v1/models?key=secret")
    stream = Stream(httpx.Response(200, content=b"".join(ANSWER), request=request))

    assert repr(stream) == "<Stream of https://api.example/v1/models: unknown format, streaming>"
    assert stream.response is not None
    assert "secret" not in repr(stream.response)
    stream.close()


def lines_of(body: list[bytes]) -> list[bytes]:
    return b"".join(body).splitlines()


@pytest.mark.parametrize("body", [ANSWER, TOKENS], ids=["openai-chat", "text"])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_lines_without_their_ends_are_told_from_a_cut_answer(body: list[bytes], format: Any) -> None:
    """`iter_lines` takes off what ends an event; asking again would give the same."""
    with pytest.raises(NotAStream, match="not its lines") as caught:
        Stream(lines_of(body), format=format).final()

    assert not caught.value.retryable


def test_an_answer_in_one_document_has_its_times() -> None:
    """It is whole only at its end, and that is when its first text came."""
    body = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    body += b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
    stream = Stream([body], clock=iter(range(100)).__next__)

    assert stream.final().text == "Hello"
    metrics = stream.metrics
    assert metrics.content_chunks == 1
    assert metrics.first_event is not None
    assert metrics.ttft == metrics.first_text == metrics.last_content
    assert metrics.ttft is not None
    assert metrics.ttft > 0


def test_a_document_that_is_no_object_is_no_text() -> None:
    """An array of numbers is no answer in any format."""
    with pytest.raises(NotAStream):
        Stream(["[1,2,3]"]).final()


@pytest.mark.parametrize(
    "options", [{"format": int}, {"format": 3}, {"limits": 3}, {"deadlines": 3}], ids=repr
)
def test_an_option_of_the_wrong_kind_is_refused_where_it_is_given(options: dict[str, Any]) -> None:
    """The message names the option."""
    (name,) = options
    with pytest.raises(MisuseError, match=f"{name}="):
        Stream(Source(ANSWER), **options)
    with pytest.raises(MisuseError, match=f"{name}="):
        AsyncStream(AsyncSource(ANSWER), **options)


@pytest.mark.parametrize("place", ["answer.sse", "recordings/a.json", "https://api.example/v1"])
def test_a_place_is_not_read_as_a_body(place: str) -> None:
    """A str is a body; who means a file or an address is told how to say so."""
    for kind in (Stream, AsyncStream):
        with pytest.raises(MisuseError, match=r"pathlib\.Path for a file"):
            kind(place)
