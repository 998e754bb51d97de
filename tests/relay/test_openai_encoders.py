"""What holds for all of OpenAI's formats: errors, what has no place, and answers that are sent on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.openai_answers import FORMATS, media_of, message_of
from tests.relay.sent import bare, payloads_of, relayed, text_in
from tests.support.encoders import create, load
from tests.support.recordings import Recorded, ours
from tests.support.tables import in_one_test
from tokenstream import Decoder, testing
from tokenstream.errors import NotExpressible, ProviderError
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import Citation, MediaPart, TextPart, ToolCall, Usage

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind
    from tokenstream.testing import Script

# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize("format", [*FORMATS, "mistral"])
@in_one_test(
    ("kind", "read"),
    [
        ("overloaded", "overloaded"),
        ("rate_limited", "rate_limited"),
        ("quota", "quota"),
        ("context_length", "context_length"),
        ("invalid_request", "invalid_request"),
        ("authentication", "authentication"),
        ("server", "server"),
        # The network's problems are nobody's to tell but ours.
        ("network", "server"),
        ("unknown", "unknown"),
    ],
)
def test_an_error_is_read_as_the_kind_that_it_is(format: str, kind: ErrorKind, read: str) -> None:
    """In the middle of an answer, and before it."""
    for script in (testing.script().text("Hel"), testing.script()):
        with pytest.raises(ProviderError, match="It broke") as caught:
            message_of(format, script.error("It broke", kind=kind).chunks(format))
        assert read == caught.value.kind


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


WHOLE = testing.script().text("Hi").tool_call("rm", "{}")
LACKS: dict[str, tuple[str, Script, str]] = {
    "reasoning": ("openai-completions", testing.script().reasoning("Hm"), "place for reasoning"),
    "a call": ("openai-completions", WHOLE, "a tool call"),
    "a second choice": ("openai-responses", testing.script().text("A").choice(1).text("B"), "second choice"),
    "a signature": ("openai-chat", testing.script().reasoning("Hm", signature="s"), "a signature"),
    "a signature in a response": (
        "openai-responses",
        testing.script().reasoning("Hm", signature="s"),
        "a signature",
    ),
    "a signature for Mistral": ("mistral", testing.script().reasoning("Hm", signature="s"), "a signature"),
    "a source without a URL": (
        "openai-chat",
        testing.script().text("A").citation(title="B"),
        "a citation without a URL",
    ),
    "a file in a response": (
        "openai-responses",
        testing.script().text("A").citation(title="B"),
        "a citation without a URL",
    ),
    "cited words": (
        "openai-responses",
        testing.script().text("A").citation(url="http://a.b", text="C"),
        "the cited words of a source",
    ),
    "a source of nothing": (
        "openai-responses",
        testing.script().citation(url="http://a.b").finish(),
        "a citation where there is no text",
    ),
    "a film": ("openai-chat", testing.script().media(b"0", "video/mp4"), "a video"),
    "sound in a response": (
        "openai-responses",
        testing.script().media(b"0", "audio/pcm"),
        "audio",
    ),
    "a WAV file in a session": (
        "openai-realtime",
        testing.script().media(b"0", "audio/wav"),
        "audio other than audio/pcm",
    ),
    "a last call that is cut": ("openai-chat", WHOLE.finish("length"), "a tool call that is whole"),
    "waiting for no call": (
        "openai-responses",
        testing.script().text("A").finish("tool_calls"),
        "'tool_calls' without a tool call",
    ),
    "a pause": ("openai-chat", testing.script().text("A").finish("pause"), "the finish reason 'pause'"),
}


@in_one_test("case", LACKS)
def test_what_has_no_place_is_payloads_of(case: str) -> None:
    """The error says what it is, and in which format."""
    format, script, words = LACKS[case]
    with pytest.raises(NotExpressible, match=words) as caught:
        script.chunks(format)
    assert format in str(caught.value)


@in_one_test("case", [case for case in LACKS if case not in ("waiting for no call", "a pause")])
def test_what_has_no_place_can_be_dropped(case: str) -> None:
    """With "all", which leaves what there is a place for."""
    format, script, _ = LACKS[case]
    encoder = create(format, drop="all")
    for event in script.events:
        encoder.feed(event)
    if not encoder.finishes:
        encoder.feed(Finish("stop"))
    assert encoder.end()


def test_the_words_of_a_source_can_be_dropped_alone() -> None:
    cited = Citation(url="http://a.b", text="C")
    chunks = relayed(
        "openai-responses", TextDelta("Hi"), CitationAdded(cited, part=1), Finish("stop"), drop="citation"
    )

    (read,) = message_of("openai-responses", chunks).citations
    assert ("http://a.b", None) == (read.url, read.text)


def test_media_that_were_not_sent_have_no_place_in_a_response() -> None:
    """An image that is only named is no image that was generated."""
    start = PartStart(MediaPart(url="http://a.b/c.png"))
    with pytest.raises(NotExpressible, match="media that were not sent themselves"):
        relayed("openai-responses", start, PartDone())
    assert relayed("openai-responses", start, PartDone(), Finish("stop"), drop="media")


def test_a_medium_of_which_nothing_came_is_not_sent() -> None:
    """No provider shows an empty image."""
    empty = PartStart(MediaPart(mime_type="image/png"))
    chunks = relayed("openai-responses", empty, PartDone(), Finish("stop"))
    assert [] == bare(chunks)[-1]["response"]["output"]
    assert [] == relayed("openai-chat", empty, PartDone())


def test_a_signature_can_be_dropped_alone() -> None:
    for format in ("openai-chat", "openai-responses", "mistral"):
        thought = (ReasoningDelta("Hm"), ReasoningDelta("", "signed"))
        chunks = relayed(format, MessageStart(), *thought, Finish("stop"), drop="signature")
        assert "Hm" == message_of(format, chunks).reasoning


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
