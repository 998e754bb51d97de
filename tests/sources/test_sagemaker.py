"""Streams of SageMaker's endpoints: the body of any server, cut anywhere into parts of AWS's messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.aws_eventstream import exception, message
from tests.support.loopback import Loopback, sized
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import LimitExceeded, NotAStream, ProviderError, StreamError, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio
HEADERS = {
    ":event-type": "PayloadPart",
    ":content-type": "application/octet-stream",
    ":message-type": "event",
}


ANSWER = testing.script().text("Hel", "lo – 🌊").finish("stop")
CHUNKS = ANSWER.chunks("openai-chat")
CHAT = b"".join(CHUNKS)
BEFORE = CHAT.index(b'"lo ')
"""The place of the second piece of the text."""
OTHERS = [(name, b"".join(ANSWER.chunks(name))) for name in ("ollama", "anthropic", "tgi")]
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello – 🌊"}, "finish_reason": "stop"}
        ],
    }
).encode()
BODIES = [("openai-chat", CHAT), *OTHERS, ("openai-chat", WHOLE)]


def events(*pieces: bytes) -> list[dict[str, Any]]:
    """Return the events that boto3 makes of parts."""
    return [{"PayloadPart": {"Bytes": piece}} for piece in pieces]


def packed(*pieces: bytes) -> bytes:
    """Return the messages of parts, as they come over the wire."""
    return b"".join(message(HEADERS, piece) for piece in pieces)


def read(source: Any) -> tuple[str | None, str, str]:
    stream = Stream(source)
    return stream.final().text, stream.message.ending, str(stream.format)


@in_one_test("format, body", BODIES)
def test_a_body_is_read_wherever_it_was_cut_into_parts(format: str, body: bytes) -> None:
    """In the format that it has, from the events of boto3 and from the messages themselves."""
    for cut in range(1, len(body), 41):
        pieces = body[:cut], body[cut:]

        assert read(events(*pieces)) == ("Hello – 🌊", "complete", format)
        assert read([packed(*pieces)]) == ("Hello – 🌊", "complete", format)


def test_messages_are_read_wherever_the_chunks_were_cut() -> None:
    """Byte by byte, and at each place."""
    body = packed(CHAT[:30], CHAT[30:31], b"", CHAT[31:])
    chunkings = [[body[:cut], body[cut:]] for cut in range(1, len(body), 7)]
    for chunks in [[bytes([each]) for each in body], *chunkings]:
        assert read(chunks) == ("Hello – 🌊", "complete", "openai-chat")


def test_each_delta_is_there_with_its_part() -> None:
    """A part that has arrived is not held until the next one."""
    chunks = [packed(chunk) for chunk in CHUNKS]
    seen: list[str] = []

    def sending() -> Any:
        for chunk in chunks:
            yield chunk
            seen.append(str(stream.message.text))

    stream = Stream(sending())
    stream.final()

    assert sorted(set(seen), key=len) == ["", "Hel", "Hello – 🌊"]


@in_one_test("format, body", BODIES)
def test_no_cut_is_complete(format: str, body: bytes) -> None:
    """A body that ends early is truncated, whether the messages around it are whole or not."""
    whole = packed(body)
    ends = [end for end in range(1, len(body), 23) if is_cut(body[:end])]
    for end in ends:
        for source in (events(body[:end]), [packed(body[:end])], [whole[: len(whole) - len(body) - 4 + end]]):
            with pytest.raises(StreamError) as caught:
                Stream(source).final()
            assert caught.value.partial.ending != "complete", (format, end)


def is_cut(body: bytes) -> bool:
    """Return True if a body itself is not read as a complete answer."""
    try:
        return not Stream([body]).final().complete
    except StreamError:
        return True


def test_a_message_that_is_cut_tells_of_the_cut() -> None:
    """Nothing of the message is read."""
    with pytest.raises(StreamTruncated) as caught:
        Stream([packed(CHAT[:BEFORE]) + packed(CHAT[BEFORE:])[:-9]]).final()

    assert caught.value.partial.text == "Hel"


def test_text_is_not_complete_if_a_message_was_cut() -> None:
    """A body of bare text ends with the input, so that only the messages tell of a cut."""
    first, second = packed(b"Hello wor"), packed(b"ld, how are you")
    for end in range(1, len(second)):
        stream = Stream([first + second[:end]], format="text")
        with pytest.raises(StreamTruncated):
            stream.final()
        assert (stream.message.text, stream.message.ending) == ("Hello wor", "truncated"), end
    assert Stream([first + second], format="text").final().text == "Hello world, how are you"


@in_one_test("rest", [b"", b" ", b": a comment"])
def test_the_rest_of_a_body_hides_no_cut_message(rest: bytes) -> None:
    """Content may follow the finish reason of `gemini`, and may have been in the message that was cut."""
    body = b"".join(ANSWER.chunks("gemini")) + rest
    more = packed(b"\n\n" + body)
    for end in range(1, len(more), 13):
        stream = Stream([packed(body) + more[:end]])
        with pytest.raises(StreamTruncated):
            stream.final()
        assert (stream.message.text, stream.message.ending) == ("Hello – 🌊", "truncated"), end


def test_a_message_that_is_cut_after_the_answer_takes_nothing_from_it() -> None:
    """The cut is counted, as in any binary event stream."""
    stream = Stream([packed(*CHUNKS[:-1]) + packed(CHUNKS[-1])[:-9]])

    assert (stream.final().text, stream.message.ending) == ("Hello – 🌊", "complete")
    assert stream.departures["broken_after_finish"].count == 1


@in_one_test(
    "name, payload, code",
    [
        ("ModelStreamError", {"Message": "late", "ErrorCode": "ModelInvocationTimeExceeded"}, None),
        ("InternalStreamFailure", {"Message": "late"}, "InternalStreamFailure"),
    ],
)
def test_a_failure_within_the_stream_is_the_providers_error(
    name: str, payload: dict[str, Any], code: str | None
) -> None:
    """What had arrived before it is kept."""
    with pytest.raises(ProviderError, match="late") as caught:
        Stream([packed(CHAT[:BEFORE]) + exception(name, payload)]).final()

    assert caught.value.code == (code or payload["ErrorCode"])
    assert caught.value.partial.text == "Hel"


@in_one_test("name, payload", [("ModelStreamError", b""), ("InternalStreamFailure", b"boom text")])
def test_a_failure_without_json_is_the_providers_error(name: str, payload: bytes) -> None:
    """The name of the exception is the code of the error, and the message has a verdict."""
    stream = Stream([packed(CHAT[:BEFORE]) + failure(name, payload)])
    with pytest.raises(ProviderError) as caught:
        stream.final()

    assert caught.value.code == name
    assert (stream.message.text, stream.message.ending) == ("Hel", "failed")


@in_one_test("format", ["openai-chat", "anthropic"])
def test_a_failure_after_the_answer_takes_nothing_from_it(format: str) -> None:
    """An exception after the finish reason is a departure, and so is one after the sentinel."""
    chunks = ANSWER.chunks(format)
    for pieces, departure in ((chunks[:-1], "error_after_finish"), (chunks, "data_after_end")):
        stream = Stream([packed(*pieces) + failure("InternalStreamFailure", b"")])

        assert (stream.final().text, stream.message.ending) == ("Hello – 🌊", "complete")
        assert stream.departures[departure].count == 1, pieces[-1]


UNENDED = [
    ("openai-chat", WHOLE, "Hello – 🌊"),
    ("openai-chat", WHOLE[:-1] + b"\n}", "Hello – 🌊"),
    ("openai-chat", CHAT[: CHAT.index(b"\n", BEFORE)], "Hello – 🌊"),
    ("ollama", OTHERS[0][1][: OTHERS[0][1].index(b"\n")], "Hel"),
]


@in_one_test("format, body, text", UNENDED)
def test_what_lacks_only_its_end_before_a_failure_is_kept(format: str, body: bytes, text: str) -> None:
    """Nothing more comes of the body: a document, or the last event, is whole."""
    for end in (failure("InternalStreamFailure", b""), exception("ModelStreamError", {"Message": "late"})):
        for pieces in ([body], [body[:40], body[40:]]):
            stream = Stream([packed(*pieces) + end])
            with suppress(ProviderError):
                stream.final()

            assert (stream.message.text, stream.format) == (text, format)


def test_a_failure_after_a_whole_document_takes_nothing_from_it() -> None:
    """The answer has its finish reason, as in any other stream."""
    stream = Stream([packed(WHOLE), failure("InternalStreamFailure", b"")])

    assert (stream.final().text, stream.message.ending) == ("Hello – 🌊", "complete")
    assert stream.departures["error_after_finish"].count == 1


def test_a_failure_within_a_document_is_the_providers_error() -> None:
    """Wherever the document was cut: the failure says why, and half a document has no text."""
    for cut in range(0, len(WHOLE), 13):
        stream = Stream([packed(WHOLE[:cut]) + failure("InternalStreamFailure", b"")])
        with pytest.raises(ProviderError) as caught:
            stream.final()

        assert (caught.value.code, stream.message.ending) == ("InternalStreamFailure", "failed"), cut


@in_one_test("format", [None, "openai-chat"])
def test_an_error_of_the_server_before_a_failure_says_why(format: Any) -> None:
    """As a document or an event, whether its end is there or not: the failure is the consequence."""
    error = b'{"error": {"message": "boom", "code": "x"}}'
    for body in (error, error + b"\n", b"data: " + error, b"data: " + error + b"\n\n"):
        for pieces in ([body], [body[:9], body[9:]]):
            with pytest.raises(ProviderError, match="boom") as caught:
                Stream([packed(*pieces) + failure("InternalStreamFailure", b"")], format=format).final()

            assert caught.value.code == "x", body


@in_one_test("format", [None, "openai-chat"])
def test_a_failure_hides_no_error_of_the_body(format: Any) -> None:
    """A document beyond a limit raises that limit, and a web page is called one, as without a failure."""
    deep = b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}"
    cases: list[tuple[bytes, type[StreamError]]] = [(deep, LimitExceeded), (b"data: " + deep, LimitExceeded)]
    if format is None:
        cases.append((b"<html><body>no</body></html>", NotAStream))
    for body, error in cases:
        for end in (b"", failure("InternalStreamFailure", b"")):
            with pytest.raises(error):
                Stream([packed(body) + end], format=format).final()


@in_one_test("start", [b"d", b"data", b"data:"])
def test_a_start_that_is_cut_by_a_failure_is_no_other_body(start: bytes) -> None:
    """The failure says why no more has come."""
    with pytest.raises(ProviderError):
        Stream([packed(start) + failure("InternalStreamFailure", b"")]).final()


def failure(name: str, payload: bytes) -> bytes:
    """Return the message of an exception, whose payload may be anything."""
    return message({":exception-type": name, ":message-type": "exception"}, payload)


@in_one_test("depth", [2, 600])
def test_parts_within_parts_are_no_stream(depth: int) -> None:
    """A body that is itself made of parts is refused, and not opened level by level."""
    body = CHAT
    for _ in range(depth):
        body = packed(body)

    with pytest.raises(NotAStream):
        Stream([body]).final()


async def test_an_async_stream_reads_the_same() -> None:
    """The events of an asynchronous client, and the bytes."""

    async def sending(items: list[Any]) -> AsyncIterator[Any]:
        for item in items:
            yield item

    for items in (events(CHAT[:40], CHAT[40:]), [packed(CHAT[:40], CHAT[40:])]):
        message = await AsyncStream(sending(items)).final()

        assert (message.text, message.ending) == ("Hello – 🌊", "complete")


@contextmanager
def client(url: str) -> Generator[Any]:
    """Make boto3's client of SageMaker's endpoints."""
    made = needed("boto3").client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=needed("botocore.config").Config(retries={"max_attempts": 0}, read_timeout=5),
    )
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("key", [None, "Body"], ids=["response", "stream"])
@pytest.mark.slow
def test_the_response_of_boto3_is_read_in_one_line(key: str | None) -> None:
    """The response of the client is passed to the stream, or the event stream in the response."""
    script = sized(
        packed(CHAT[:40], CHAT[40:]), headers=[("Content-Type", "application/vnd.amazon.eventstream")]
    )
    with Loopback(script) as server, client(server.url) as own:
        response = own.invoke_endpoint_with_response_stream(EndpointName="e", Body=b"{}")
        with Stream(response if key is None else response[key]) as stream:
            assert stream.final().text == "Hello – 🌊"
            assert stream.format == "openai-chat"
