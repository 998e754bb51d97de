"""Streams of SageMaker's endpoints: the body of any server, cut anywhere into events of boto3."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.aws_eventstream import exception, message
from tests.support.loopback import Loopback, sized
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import Stream, testing
from tokenstream.errors import ProtocolError, ProviderError, StreamError

pytestmark = pytest.mark.anyio
HEADERS = {
    ":event-type": "PayloadPart",
    ":content-type": "application/octet-stream",
    ":message-type": "event",
}
ANSWER = testing.script().text("Hel", "lo – 🌊").finish("stop")
CHAT = b"".join(ANSWER.chunks("openai-chat"))
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello – 🌊"}, "finish_reason": "stop"}
        ],
    }
).encode()
BODIES = [
    ("openai-chat", CHAT),
    *((name, b"".join(ANSWER.chunks(name))) for name in ("ollama", "anthropic", "tgi")),
    ("openai-chat", WHOLE),
]


def events(*pieces: bytes) -> list[dict[str, Any]]:
    """Return the events that boto3 makes of parts."""
    return [{"PayloadPart": {"Bytes": piece}} for piece in pieces]


def packed(*pieces: bytes) -> bytes:
    """Return the messages of parts, as they come over the wire."""
    return b"".join(message(HEADERS, piece) for piece in pieces)


@in_one_test("format, body", BODIES)
def test_a_body_is_read_wherever_it_was_cut_into_parts(format: str, body: bytes) -> None:
    for cut in range(1, len(body), 41):
        stream = Stream(events(body[:cut], body[cut:]))

        assert (stream.final().text, stream.message.ending) == ("Hello – 🌊", "complete")
        assert stream.format == format


@in_one_test("format, body", BODIES)
def test_no_cut_is_complete(format: str, body: bytes) -> None:
    """A body that ends early is truncated in parts, too."""
    ends = [end for end in range(1, len(body), 23) if is_cut([body[:end]])]
    assert ends
    for end in ends:
        assert is_cut(events(body[:end])), (format, end)


def is_cut(source: Any) -> bool:
    """Return True if a source is not read as a complete answer."""
    try:
        return not Stream(source).final().complete
    except StreamError:
        return True


@in_one_test("format", [None, "openai-chat", "text", "bedrock-converse"])
def test_the_bytes_of_the_messages_are_an_error_that_says_what_to_pass(format: Any) -> None:
    for body in (packed(CHAT[:40], CHAT[40:]), packed(WHOLE), packed(b"Hel", b"lo")):
        for chunks in ([body], [body[:9], body[9:60], body[60:]], [bytes([each]) for each in body]):
            with pytest.raises(
                ProtocolError, match=r"as SageMaker sends it: pass boto3's response, or its `Body`"
            ):
                Stream(chunks, format=format).final()


@contextmanager
def opened(*messages: bytes) -> Generator[Any]:
    script = sized(b"".join(messages), headers=[("Content-Type", "application/vnd.amazon.eventstream")])
    with Loopback(script) as server:
        client = needed("boto3").client(
            "sagemaker-runtime",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
            config=needed("botocore.config").Config(retries={"max_attempts": 0}, read_timeout=5),
        )
        try:
            yield client.invoke_endpoint_with_response_stream(EndpointName="e", Body=b"{}")
        finally:
            client.close()


@pytest.mark.parametrize("key", [None, "Body"], ids=["response", "stream"])
@pytest.mark.slow
def test_the_response_of_boto3_is_read_in_one_line(key: str | None) -> None:
    """The response of the client is passed to the stream, or the event stream in the response."""
    with (
        opened(packed(CHAT[:40], CHAT[40:])) as response,
        Stream(response if key is None else response[key]) as stream,
    ):
        assert stream.final().text == "Hello – 🌊"
        assert stream.format == "openai-chat"


@pytest.mark.slow
def test_a_failure_within_the_stream_is_the_providers_error() -> None:
    """Boto3 raises it; what had arrived before it is kept."""
    failure = exception("InternalStreamFailure", {"Message": "late"})
    with (
        opened(packed(CHAT[: CHAT.index(b'"lo ')]) + failure) as response,
        pytest.raises(ProviderError, match="late") as caught,
    ):
        Stream(response).final()

    assert (caught.value.code, caught.value.partial.text) == ("InternalStreamFailure", "Hel")
