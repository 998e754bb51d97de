"""What holds for all of OpenAI's formats: errors, what has no place, and answers that are sent on."""

from __future__ import annotations

import pytest

from tests.relay.openai_answers import FORMATS, media_of, message_of
from tests.relay.sent import bare, payloads_of, relayed, text_in
from tests.support.encoders import load
from tests.support.recordings import Recorded, ours
from tests.support.tables import in_one_test
from tokenstream import Decoder, testing
from tokenstream.errors import ProviderError
from tokenstream.events import (
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
    TextDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import MediaPart, TextPart, ToolCall, Usage

# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize("format", [*FORMATS, "mistral"])
def test_an_error_has_the_code_that_was_asked_for(format: str) -> None:
    code = "content_policy_violation"
    script = testing.script().text("Hel").error("Not so", kind="invalid_request", code=code)
    with pytest.raises(ProviderError) as caught:
        message_of(format, script.chunks(format))
    assert (code, "invalid_request") == (caught.value.code, caught.value.kind)


def test_the_error_of_a_response_is_flat() -> None:
    """As the documents have it: without a type of its own, and with a number."""
    script = testing.script().text("Hel").error("Slow down", kind="rate_limited")
    name, last = payloads_of(script.chunks("openai-responses"))[-1]

    assert "error" == name
    assert {
        "type": "error",
        "sequence_number": 5,
        "code": "rate_limit_exceeded",
        "message": "Slow down",
        "param": None,
    } == last


def test_a_response_of_a_session_fails_with_its_items() -> None:
    """Nothing else ends it; before it has begun the session tells of the error."""
    failed = testing.script().text("Hel").finish().error("No", kind="server")
    last = bare(failed.chunks("openai-realtime"))[-1]
    first = bare(testing.script().error("No", kind="server").chunks("openai-realtime"))[-1]

    error = {"type": "server_error", "code": "server_error", "message": "No"}
    assert ("failed", {"type": "failed", "reason": None, "error": error}) == (
        last["response"]["status"],
        last["response"]["status_details"],
    )
    assert "incomplete" == last["response"]["output"][0]["status"]
    assert {
        "type": "error",
        "event_id": "event_1",
        "error": {**error, "param": None, "event_id": None},
    } == first


# -- what there is no place for ------------------------------------------------------


def test_a_medium_of_which_nothing_came_is_not_sent() -> None:
    """No provider shows an empty image."""
    empty = PartStart(MediaPart(mime_type="image/png"))
    chunks = relayed("openai-responses", empty, PartDone(), Finish("stop"))
    assert [] == bare(chunks)[-1]["response"]["output"]
    assert [] == relayed("openai-chat", empty, PartDone())


def test_media_that_came_at_once_are_sent_like_those_in_pieces() -> None:
    """Some formats give an image with its start."""
    start = PartStart(MediaPart(mime_type="image/png", data=b"\x00"))
    for format in ("openai-chat", "openai-responses"):
        chunks = relayed(format, MessageStart(), start, PartDone(), Finish("stop"))
        (image,) = media_of(message_of(format, chunks))
        assert (b"\x00", "image/png") == (image.data, image.mime_type)
    spoken = PartStart(MediaPart(data=b"\x00", transcript="Hi"))
    chunks = relayed("openai-chat", MessageStart(), spoken, PartDone(), Finish("stop"))
    (audio,) = media_of(message_of("openai-chat", chunks))
    assert (b"\x00", "Hi") == (audio.data, audio.transcript)


# -- streams that are sent on --------------------------------------------------------


SENT_ON = [recorded for recorded in ours() if recorded.format in ("openai-chat", "openai-responses")]


@in_one_test("recorded", SENT_ON, ids=lambda recorded: recorded.name)
@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_that_is_sent_on_says_the_same(recorded: Recorded, format: str) -> None:
    """The events of our readers, in their order, without what the other API has no place for."""
    decoder = Decoder(recorded.format)
    events = [*decoder.feed(recorded.body), *decoder.end()]
    read = message_of(format, relayed(format, *events, drop="all"))

    message, expresses = decoder.message, load(format).expresses
    calls = [
        (call.id, call.name, call.arguments_text, call.complete)
        for call in message.tool_calls
        if ("custom_tool_call" if call.type == "custom" else "tool_call") in expresses
    ]
    # An answer whose calls were left out waits for nothing.
    waits = message.finish_reason == "tool_calls" and calls
    reason = "stop" if message.finish_reason == "tool_calls" and not waits else message.finish_reason
    assert calls == [(call.id, call.name, call.arguments_text, call.complete) for call in read.tool_calls]
    assert (message.id, text_in(format, message), reason) == (read.id, read.text, read.finish_reason)


def test_parts_without_starts_and_late_counts_are_taken() -> None:
    """An answer that is sent on may lack them, tell the counts after its end, and its head twice."""
    for format in ("openai-responses", "openai-realtime"):
        chunks = relayed(
            format,
            MessageStart(),
            TextDelta("Hel"),
            MessageStart(id="late"),
            PartStart(TextPart()),
            TextDelta("lo"),
            Finish("stop"),
            UsageUpdate(Usage(input_tokens=7)),
            UsageUpdate(Usage(output_tokens=3)),
        )
        message = message_of(format, chunks)
        assert message.id != "late"
        assert ("Hello", 7, 3) == (message.text, message.usage.input_tokens, message.usage.output_tokens)


def test_the_arguments_at_a_calls_end_count() -> None:
    """A provider may say at the end other arguments than in pieces."""
    call = ToolCall(id="c1", name="rm", arguments_text='{"path": "/tmp"}', complete=True)
    chunks = relayed("openai-responses", ToolCallStart("c1", "rm"), ToolCallDone(call), Finish("tool_calls"))

    assert [call.arguments_text] == [
        each.arguments_text for each in message_of("openai-responses", chunks).tool_calls
    ]


def test_an_answer_without_parts_has_a_beginning_and_an_end() -> None:
    """Also where nothing told that it begins."""
    for format in FORMATS:
        chunks = relayed(format, Finish("stop"))
        assert ("", "complete") == (message_of(format, chunks).text, message_of(format, chunks).ending)


def test_base64_is_that_of_each_piece() -> None:
    """An image's pieces are joined before they are written."""
    chunks = relayed(
        "openai-responses",
        PartStart(MediaPart(mime_type="image/png")),
        MediaDelta(b"\x00"),
        MediaDelta(b"\x01\x02"),
        Finish("stop"),
    )
    item = bare(chunks)[-1]["response"]["output"][0]
    assert "AAEC" == item["result"]
