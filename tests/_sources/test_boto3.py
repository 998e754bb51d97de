"""The event streams of boto3, over real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.faults import error_of_opening
from tests._sources.scenarios import FRAMINGS, Body, body_of
from tests._sources.sdks import AtOnce, Closing, Cut, opening
from tests.support.aws_eventstream import converse, event, exception, invoke
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked, sized
from tests.support.packages import needed
from tests.support.recordings import OURS
from tokenstream import AsyncStream, Stream, tap
from tokenstream.errors import MisuseError, ProtocolError, ProviderError, StatusError, StreamTruncated

pytestmark = pytest.mark.not_quick

boto3 = needed("boto3")
botocore_config = needed("botocore.config")

# Making a client reads the service's model, which takes a while on a busy machine.

CONVERSE, INVOKE = body_of("bedrock-converse"), body_of("bedrock-invoke")


@contextmanager
def client(url: str) -> Generator[Any]:
    made = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=botocore_config.Config(retries={"max_attempts": 0}, read_timeout=5),
    )
    try:
        yield made
    finally:
        made.close()


def asked(own: Any) -> Any:
    return own.converse_stream(modelId="m", messages=[{"role": "user", "content": [{"text": "Why?"}]}])


converse_stream = opening(client, lambda own: asked(own)["stream"])
invoke_stream = opening(
    client, lambda own: own.invoke_model_with_response_stream(modelId="m", body=b"{}")["body"]
)
whole_response = opening(client, asked)
whole_invoke_response = opening(
    client, lambda own: own.invoke_model_with_response_stream(modelId="m", body=b"{}")
)


SOURCES = [
    pytest.param(converse_stream, CONVERSE, id="converse_stream"),
    pytest.param(invoke_stream, INVOKE, id="invoke_model_with_response_stream"),
    pytest.param(whole_response, CONVERSE, id="converse_stream's response"),
    pytest.param(whole_invoke_response, INVOKE, id="invoke_model_with_response_stream's response"),
]


@pytest.mark.parametrize("opener, body", SOURCES)
def test_an_event_stream_gives_what_its_bytes_give(opener: Any, body: Body) -> None:
    """The source is the body beneath, from the stream itself or from the response that holds it."""
    at_once(scenarios.gives_what_plain_bytes_give(opener, body))


class TestStreams(AtOnce, Cut, Closing):
    """What holds for the streams of any SDK; the body beneath is read."""

    openers = {  # noqa: RUF012
        "converse_stream": (converse_stream, CONVERSE),
        "invoke_model_with_response_stream": (invoke_stream, INVOKE),
    }
    async_openers = {}  # noqa: RUF012
    framings = FRAMINGS


def test_stop_wakes_a_read_that_waits() -> None:
    """The socket beneath is shut down, so the loop ends at once."""
    scenarios.is_woken_by_stop(converse_stream, CONVERSE)


def test_the_head_of_the_response_is_known() -> None:
    """Status and request id are the stream's, from the HTTP response beneath."""
    script = sized(b"".join(CONVERSE.frames), headers=[("x-amzn-RequestId", "req-1")])
    with Loopback(script) as server, converse_stream(server.url) as source, Stream(source) as stream:
        stream.final()

        assert stream.response is not None
        assert (200, "req-1") == (stream.response.status, stream.response.request_id)


def test_a_body_that_ends_inside_a_message_is_truncated() -> None:
    """The loop of botocore itself ends there without a word."""
    body = b"".join(CONVERSE.frames[:2])[:-3]
    with Loopback(sized(body)) as server:
        with converse_stream(server.url) as source:
            theirs = list(source)
        with converse_stream(server.url) as source, pytest.raises(StreamTruncated) as caught:
            Stream(source).final()

    assert theirs
    assert "Let " == caught.value.partial.text
    assert caught.value.tail


def test_an_exception_within_the_stream_is_the_providers_error() -> None:
    body = CONVERSE.frames[0] + exception("throttlingException", {"message": "slow down"})
    with Loopback(sized(body)) as server:
        for as_objects in (False, True):
            with converse_stream(server.url) as source, pytest.raises(ProviderError) as caught:
                Stream(iter(source) if as_objects else source).final()

            error = caught.value
            assert ("throttlingException", "rate_limited", True) == (error.code, error.kind, error.retryable)
            assert "slow down" in str(error)
            assert "Let " == error.partial.text


def test_a_wrong_checksum_is_an_error_of_the_protocol() -> None:
    body = bytearray(b"".join(CONVERSE.frames))
    body[len(CONVERSE.frames[0]) + 120] ^= 1
    with Loopback(sized(bytes(body))) as server:
        for as_objects in (False, True):
            with converse_stream(server.url) as source, pytest.raises(ProtocolError) as caught:
                Stream(iter(source) if as_objects else source).final()

            assert "changed on its way" in str(caught.value)


@pytest.mark.parametrize("body", [CONVERSE, INVOKE], ids=["converse", "invoke"])
def test_a_tapped_stream_gives_boto3s_own_objects(body: Body) -> None:
    """The loop goes on as before; the message stands beside it."""
    opener = converse_stream if body is CONVERSE else invoke_stream
    with Loopback(chunked(body.frames)) as server:
        with opener(server.url) as source:
            theirs = list(source)
        with opener(server.url) as source:
            got = list(tapped := tap(source))

    assert theirs == got
    assert body.message == tapped.message
    assert tapped.error is None


def test_an_event_stream_is_for_a_for_loop() -> None:
    """boto3 has no asynchronous streams, and the error names the class that reads them."""
    with (
        Loopback(chunked(CONVERSE.frames)) as server,
        converse_stream(server.url) as source,
        pytest.raises(MisuseError, match=r"EventStream is not asynchronous: read it with Stream"),
    ):
        try:
            AsyncStream(source)
        finally:
            source.close()


@pytest.mark.parametrize("name", ["stream", "body"])
def test_a_response_that_is_tapped_whole_is_refused(name: str) -> None:
    with pytest.raises(MisuseError, match=rf'tap its stream, response\["{name}"\]'):
        tap({"ResponseMetadata": {}, name: []})
    with pytest.raises(MisuseError, match="cannot be tapped"):
        tap({"ResponseMetadata": {}, "output": {}})


ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Why?"}]}
SIGNED = {"aws_access_key": "made-up", "aws_secret_key": "made-up", "aws_region": "us-east-1"}
CLAUDE = (OURS / "bedrock-invoke/claude.eventstream").read_bytes()


@pytest.mark.slow
def test_anthropics_client_for_bedrock_is_read_from_its_binary_body() -> None:
    anthropic = needed("anthropic")
    expected = Stream(CLAUDE).final()
    with (
        Loopback(sized(CLAUDE, headers=[("Connection", "close")])) as server,
        anthropic.AnthropicBedrock(base_url=server.url, max_retries=0, **SIGNED) as own,
    ):
        with Stream(own.messages.create(**ASKED, stream=True)) as stream:
            assert expected == stream.final()
        for _ in (tapped := tap(own.messages.create(**ASKED, stream=True))):
            pass

    assert expected == tapped.message


@pytest.mark.anyio
async def test_anthropics_asynchronous_client_for_bedrock_is_read_so_too() -> None:
    """The answer is the same."""
    anthropic = needed("anthropic")
    with Loopback(sized(CLAUDE)) as server:
        async with (
            anthropic.AsyncAnthropicBedrock(base_url=server.url, max_retries=0, **SIGNED) as own,
            AsyncStream(own.messages.create(**ASKED, stream=True)) as stream,
        ):
            message = await stream.final()

    assert Stream(CLAUDE).final() == message


@pytest.mark.anyio
async def test_the_asynchronous_streams_of_aiobotocore_are_taken() -> None:
    class AioEventStream:
        async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
            yield {"messageStart": {"role": "assistant"}}
            yield {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hello"}}}
            yield {"messageStop": {"stopReason": "end_turn"}}

    sources: list[Any] = [AioEventStream(), {"ResponseMetadata": {}, "stream": AioEventStream()}]
    for source in sources:
        async with AsyncStream(source) as stream:
            message = await stream.final()

        assert ("Hello", "complete", "bedrock-converse") == (message.text, message.ending, stream.format)


def test_a_dict_that_is_no_response_of_boto3_is_no_source() -> None:
    """Only what boto3 marks as its response is looked into."""
    sources: list[Any] = [{"stream": []}, {"ResponseMetadata": {}}]
    for source in sources:
        with pytest.raises(MisuseError, match="one payload"):
            Stream(source)
    with pytest.raises(MisuseError, match="ask with converse_stream or invoke_model_with_response_stream"):
        Stream({"ResponseMetadata": {}, "output": {}})


def test_what_boto3_raises_instead_of_a_response_keeps_its_status() -> None:
    """Recovery asks again where that may help, and the provider's words are kept."""
    with Loopback(sized(b'{"message": "no access"}', status=403)) as server, client(server.url) as own:
        with pytest.raises(needed("botocore.exceptions").ClientError) as caught:
            asked(own)
        found = error_of_opening(caught.value)

    assert isinstance(found, StatusError)
    assert (403, "authentication", False) == (found.status, found.kind, found.retryable)
    assert "no access" in str(found)


def test_an_exception_of_boto3_that_says_nothing_is_a_broken_source() -> None:
    """Only what AWS has said is told as the provider's error."""
    client_error = type("ClientError", (Exception,), {"response": {"Error": "?"}})
    nothing = type("ClientError", (Exception,), {})
    answered = type("ClientError", (Exception,), {"response": {"Error": {}, "ResponseMetadata": {}}})

    kinds = [type(error_of_opening(kind("x"))).__name__ for kind in (client_error, nothing)]

    assert ["ConnectError", "ConnectError"] == kinds
    assert isinstance(error_of_opening(answered("x")), ProviderError)


def test_a_status_without_headers_is_reported_all_the_same() -> None:
    """What botocore's parsers leave out is no reason to lose the status."""
    response = {"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": 429}}
    error = type("ClientError", (Exception,), {"response": response})("x")

    found = error_of_opening(error)

    assert isinstance(found, StatusError)
    assert 429 == found.status


def test_an_initial_response_says_nothing() -> None:
    """Binary event streams may begin with one; neither format is told by it."""
    first = event("initial-response", {})
    for body, name in (
        (converse(("messageStart", {"role": "assistant"})), "bedrock-converse"),
        (invoke([{"generation": "a"}]), "bedrock-invoke"),
    ):
        stream = Stream([first, body])
        with pytest.raises(StreamTruncated):
            stream.final()

        assert name == stream.format
        assert {"start_missing"}.isdisjoint(stream.departures.details)
