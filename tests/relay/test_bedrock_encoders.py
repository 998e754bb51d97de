"""What a script is on the wire of Bedrock: ConverseStream, and Anthropic's payloads in chunks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.packages import needed
from tests.support.sent import decoded, payloads_of, relayed, sent
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.errors import ErrorKind, ProviderError
from tokenstream.events import CitationAdded, Event, Finish, PartDone, PartStart, TextDelta
from tokenstream.framing import AWSEventStreamParser
from tokenstream.message import Citation, MediaPart, ReasoningPart
from tokenstream.relay._encoders.blocks.bedrock import pack, pack_header

BOTH = ("bedrock-converse", "bedrock-invoke")
START = ("messageStart", {"role": "assistant"})
OWN_CITATION = {"title": "Book", "location": {"documentPage": {"start": 3}}}


def deltas(index: int, *each: dict[str, Any]) -> list[tuple[str, Any]]:
    said = [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in each]
    return [*said, ("contentBlockStop", {"contentBlockIndex": index})]


def block(index: int, start: dict[str, Any], *each: dict[str, Any]) -> list[tuple[str, Any]]:
    return [("contentBlockStart", {"contentBlockIndex": index, "start": start}), *deltas(index, *each)]


def end(reason: str, **usage: int) -> list[tuple[str, Any]]:
    stop = ("messageStop", {"stopReason": reason})
    return [stop, ("metadata", {"usage": usage, "metrics": {"latencyMs": 900}})] if usage else [stop]


def blocks_of(*events: Event) -> list[tuple[str, Any]]:
    """Return what is sent for events between the start of an answer and its end."""
    return payloads_of(relayed("bedrock-converse", *events, Finish("stop")))[1:-1]


# -- ConverseStream ---------------------------------------------------------------


def test_an_answer_is_sent_as_bedrock_documents_it() -> None:
    """Only blocks of tools and of images have a start; the token counts come last."""
    script = (
        testing.script()
        .reasoning("Let me ", "see.", signature="c2ln")
        .text("It is ", "–5 °C.")
        .tool_call("get_weather", ('{"city":', '"Oslo"}'), id="tooluse_7")
        .tool_call("now", "", id="tooluse_8")
        .usage(input_tokens=9, output_tokens=4, cached_tokens=5, cache_write_tokens=2)
        .finish()
    )
    expected = [
        START,
        *deltas(
            0,
            {"reasoningContent": {"text": "Let me "}},
            {"reasoningContent": {"text": "see."}},
            {"reasoningContent": {"signature": "c2ln"}},
        ),
        *deltas(1, {"text": "It is "}, {"text": "–5 °C."}),
        *block(
            2,
            {"toolUse": {"toolUseId": "tooluse_7", "name": "get_weather"}},
            {"toolUse": {"input": ""}},
            {"toolUse": {"input": '{"city":'}},
            {"toolUse": {"input": '"Oslo"}'}},
        ),
        *block(3, {"toolUse": {"toolUseId": "tooluse_8", "name": "now"}}, {"toolUse": {"input": ""}}),
        *end(
            "tool_use",
            inputTokens=9,
            outputTokens=4,
            totalTokens=13,
            cacheReadInputTokens=5,
            cacheWriteInputTokens=2,
        ),
    ]

    assert expected == sent(script, "bedrock-converse")


def test_counts_that_bedrock_always_has_are_there() -> None:
    """One that is not known is 0; without any there is no `metadata`."""
    counted = testing.script().text("Hi").usage(output_tokens=4).finish()
    uncounted = testing.script().text("Hi").finish()

    assert (
        end("end_turn", inputTokens=0, outputTokens=4, totalTokens=4)
        == sent(counted, "bedrock-converse")[-2:]
    )
    assert [START, *deltas(0, {"text": "Hi"}), *end("end_turn")] == sent(uncounted, "bedrock-converse")


def test_payloads_are_padded_and_the_padding_never_changes() -> None:
    """Bedrock hides with padding how long payloads are; the same script gives the same bytes."""
    script = testing.script().text("Hi").finish()
    (start, *_) = AWSEventStreamParser().feed(script.recording("bedrock-converse").body)

    assert {"role": "assistant", "p": "abcdefghijklmnopqrstuvw"} == json.loads(start.payload)
    assert script.chunks("bedrock-converse") == script.chunks("bedrock-converse")


@pytest.mark.parametrize(
    "citation, written",
    [
        (
            Citation(url="https://example.org/tides", title="Tides", text="At noon.", cites=0),
            {
                "title": "Tides",
                "sourceContent": [{"text": "At noon."}],
                "source": "https://example.org/tides",
                "location": {"web": {"url": "https://example.org/tides", "domain": "example.org"}},
            },
        ),
        (
            Citation(url="file:handbook"),
            {"source": "file:handbook", "location": {"web": {"url": "file:handbook", "domain": ""}}},
        ),
        (
            Citation(url="http://[bad"),
            {"source": "http://[bad", "location": {"web": {"url": "http://[bad", "domain": ""}}},
        ),
        (Citation(text="cited", start=0, end=4, provider_data=OWN_CITATION), OWN_CITATION),
    ],
)
def test_a_source_is_in_the_block_of_its_text(citation: Citation, written: dict[str, Any]) -> None:
    """One of Bedrock's own is sent as it came."""
    events = TextDelta("noon"), PartDone(part=0), CitationAdded(citation, part=1)
    assert deltas(0, {"text": "noon"}, {"citation": written}) == blocks_of(*events)


def test_a_source_without_text_is_in_a_block_of_its_own() -> None:
    script = testing.script().citation(title="Tides").finish()
    assert deltas(0, {"citation": {"title": "Tides"}}) == sent(script, "bedrock-converse")[1:-1]


def test_an_image_is_sent_in_base64() -> None:
    script = testing.script().media(b"GIF89a", "image/gif").finish()
    image = {"image": {"source": {"bytes": "R0lGODlh"}}}

    assert block(0, {"image": {"format": "gif"}}, image) == sent(script, "bedrock-converse")[1:-1]
    (part,) = decoded(script.chunks("bedrock-converse"), "bedrock-converse").message.parts
    assert MediaPart(mime_type="image/gif", data=b"GIF89a", complete=True) == part.model_copy(
        update={"provider_data": None}
    )


def test_an_image_that_came_whole_is_sent_once() -> None:
    """Formats that do not stream images give them in their start."""
    start = PartStart(MediaPart(mime_type="image/png", data=b"PNG"), part=0)
    image = {"image": {"source": {"bytes": "UE5H"}}}
    assert block(0, {"image": {"format": "png"}}, image) == blocks_of(start, start, PartDone(part=0))


def test_encrypted_reasoning_is_a_delta() -> None:
    expected = deltas(0, {"reasoningContent": {"redactedContent": "RW5j"}})
    assert expected == blocks_of(PartStart(ReasoningPart(redacted="RW5j"), part=0), PartDone(part=0))


def test_text_as_it_is_is_not_padded() -> None:
    """What is sent raw is the payload, broken or not; an exception is one by its name."""
    script = (
        testing.script().raw('{"half', event="messageStop").raw({"message": "Busy"}, event="oddException")
    )
    broken, exception = AWSEventStreamParser().feed(script.recording("bedrock-converse").body)

    assert ("messageStop", "event", b'{"half') == (broken.event, broken.kind, broken.payload)
    assert ("oddException", "exception") == (exception.event, exception.kind)


# -- InvokeModelWithResponseStream --------------------------------------------------


def test_chunks_hold_anthropics_payloads_and_the_last_one_bedrocks_counts() -> None:
    script = (
        testing.script()
        .text("Hi")
        .tool_call("f", {"x": 1})
        .usage(input_tokens=9, output_tokens=4, cached_tokens=5, cache_write_tokens=2)
        .finish()
    )
    metrics = {
        "inputTokenCount": 9,
        "outputTokenCount": 4,
        "cacheReadInputTokenCount": 5,
        "cacheWriteInputTokenCount": 2,
        "invocationLatency": 900,
        "firstByteLatency": 300,
    }
    plain = [payload for _, payload in sent(script, "anthropic")]
    last = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}

    assert [("chunk", payload) for payload in [*plain[:-1], last]] == sent(script, "bedrock-invoke")


def test_metrics_without_counts_say_0() -> None:
    """Bedrock always has the counts of the request and of the answer; those of a cache it may lack."""
    last = sent(testing.script().text("Hi").finish(), "bedrock-invoke")[-1][1]
    counts = {"inputTokenCount": 0, "outputTokenCount": 0, "invocationLatency": 900, "firstByteLatency": 300}
    assert counts == last["amazon-bedrock-invocationMetrics"]


def test_a_chunk_is_padded() -> None:
    (first, *_) = AWSEventStreamParser().feed(testing.script().text("Hi").chunks("bedrock-invoke")[0])
    assert ["bytes", "p"] == list(json.loads(first.payload))


def test_a_payload_is_in_a_chunk_as_it_is() -> None:
    """JSON or text; an exception is none."""
    script = testing.script().raw({"type": "new"}).raw('{"half')
    exception = testing.script().raw({"message": "Busy"}, event="throttlingException")
    messages = AWSEventStreamParser().feed(script.recording("bedrock-invoke").body)
    data = [base64.b64decode(json.loads(each.payload)["bytes"]) for each in messages]

    assert [b'{"type":"new"}', b'{"half'] == data
    assert ("throttlingException", {"message": "Busy"}) == sent(exception, "bedrock-invoke")[-1]


# -- both -------------------------------------------------------------------------


@in_one_test("format", BOTH)
@in_one_test(
    "kind, name, read",
    [
        ("overloaded", "serviceUnavailableException", "overloaded"),
        ("rate_limited", "throttlingException", "rate_limited"),
        ("quota", "serviceQuotaExceededException", "quota"),
        ("context_length", "validationException", "invalid_request"),
        ("invalid_request", "validationException", "invalid_request"),
        ("authentication", "accessDeniedException", "authentication"),
        ("server", "internalServerException", "server"),
        ("network", "modelStreamErrorException", "server"),
        ("unknown", "internalServerException", "server"),
    ],
)
def test_an_error_is_an_exception_of_its_kind(
    format: str, kind: ErrorKind, name: str, read: ErrorKind
) -> None:
    chunks = testing.script().text("Hel").error("Try later", kind=kind).chunks(format)
    decoder = decoded(chunks, format)
    with pytest.raises(ProviderError, match="Try later") as caught:
        decoder.check()

    assert (name, {"message": "Try later"}) == payloads_of(chunks[-1:])[0]
    assert (read, "Hel") == (caught.value.kind, decoder.message.text)


@pytest.mark.parametrize("format", BOTH)
def test_an_exception_may_be_any(format: str) -> None:
    """The code of an error is the exception's name."""
    chunk = testing.script().error("Slow", code="modelTimeoutException").chunks(format)[-1]
    (read,) = AWSEventStreamParser().feed(chunk)
    assert ("exception", "modelTimeoutException") == (read.kind, read.event)


@pytest.mark.parametrize("format", BOTH)
def test_the_content_type_is_that_of_binary_event_streams(format: str) -> None:
    """Clients tell by it how the body is framed."""
    recording = testing.script().text("Hi").finish().recording(format)
    assert "application/vnd.amazon.eventstream" == recording.content_type


# -- messages -----------------------------------------------------------------------


def test_a_message_is_packed_as_aws_documents_it() -> None:
    """Two lengths and their checksum, the header, the payload, and the checksum of all."""
    expected = bytes.fromhex(
        "0000003d 00000020 07fd8396"
        "0c 636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
        "7b27666f6f273a27626172277d 8d9c08b1"
    )
    assert expected == pack(pack_header("content-type", "application/json"), b"{'foo':'bar'}")


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=300), max_size=3), st.binary())
def test_botocore_reads_what_is_packed(headers: dict[str, str], payload: bytes) -> None:
    buffer = needed("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(pack(b"".join(map(pack_header, headers, headers.values())), payload))
    (read,) = buffer
    assert (headers, payload) == (read.headers, read.payload)
