"""Gemini Live: what each message becomes, how turns end, and what servers stray into."""

from __future__ import annotations

import base64
import json
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import strayed
from tests.formats.told import Told, frame_of
from tokenstream.decoder import Decoder
from tokenstream.errors import LimitExceeded, ProviderError, StreamError, StreamTruncated
from tokenstream.events import Finish, MessageStart, TextDelta, ToolCallDone, Unknown
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire.gemini_live import GeminiLive
from tokenstream.limits import Limits
from tokenstream.message import Message

Payload: TypeAlias = dict[str, Any]

SETUP: Payload = {"setupComplete": {"sessionId": "s-1"}}


def content(**fields: Any) -> Payload:
    return {"serverContent": fields}


def turn(*parts: Payload) -> Payload:
    return content(modelTurn={"parts": list(parts)})


def text(piece: str) -> Payload:
    return turn({"text": piece})


def inline(data: bytes, mime: str | None = "audio/pcm;rate=24000") -> Payload:
    fields = {"mimeType": mime, "data": base64.b64encode(data).decode()}
    return turn({"inlineData": {name: value for name, value in fields.items() if value is not None}})


def spoken(words: str) -> Payload:
    return content(outputTranscription={"text": words})


def tool_call(*calls: Payload) -> Payload:
    return {"toolCall": {"functionCalls": list(calls)}}


GENERATED = content(generationComplete=True)
DONE = content(turnComplete=True)
INTERRUPTED = content(interrupted=True)


def read(*payloads: Payload | bytes, format: GeminiLive | None = None) -> Told:
    """Read payloads as messages of a connection, to its end."""
    return Told(format or GeminiLive()).read(map(frame_of, payloads))


def test_text_of_a_turn_is_given_as_it_comes() -> None:
    """In one part, with the counts that come with the turn's end."""
    counts = {"promptTokenCount": 4, "responseTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 11}
    came = read(SETUP, text("Hel"), text("lo"), GENERATED, {**DONE, "usageMetadata": counts})
    usage = came.message.usage

    assert [one.text for one in came.events if isinstance(one, TextDelta)] == ["Hel", "lo"]
    assert (came.message.text, came.message.ending, came.departures) == ("Hello", "complete", {})
    assert (came.message.finish_reason, came.message.raw_finish_reason) == ("stop", "generationComplete")
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (4, 7, 2)
    assert came.message.provider_data == {"setupComplete": {"sessionId": "s-1"}}


def test_names_may_be_in_snake_case() -> None:
    """As the SDK's objects and proxies spell them."""
    came = read(
        {"setup_complete": {}},
        {
            "server_content": {
                "model_turn": {"parts": [{"inline_data": {"mime_type": "audio/pcm", "data": "AAE="}}]}
            }
        },
        {"tool_call": {"function_calls": [{"id": "c", "name": "n"}]}},
        {
            "server_content": {"output_transcription": {"text": "Hi"}, "generation_complete": True},
            "usage_metadata": {
                "response_token_count": 3,
                "response_tokens_details": [{"modality": "AUDIO", "token_count": 3}],
            },
        },
        {"server_content": {"turn_complete": True}},
    )
    media = came.message.parts[0]

    assert media.kind == "media"
    assert (media.data, media.transcript, media.mime_type) == (b"\x00\x01", "Hi", "audio/pcm")
    assert [(call.id, call.arguments) for call in came.calls] == [("c", {})]
    assert came.message.usage is not None
    assert (came.message.usage.output_tokens, came.message.usage.output_audio_tokens) == (3, 3)
    assert (came.message.ending, came.message.finish_reason) == ("complete", "tool_calls")


@pytest.mark.parametrize("first", ["audio", "words"])
def test_audio_and_what_it_says_are_one_part(first: str) -> None:
    """They come in no order; what is known of the audio is told when it is."""
    pieces = [inline(b"\x00\x01"), spoken("Hel"), inline(b"\x02"), spoken("lo")]
    came = read(*(pieces if first == "audio" else [pieces[1], pieces[0], *pieces[2:]]), GENERATED, DONE)
    [media] = came.message.parts

    assert media.kind == "media"
    assert (media.data, media.transcript) == (b"\x00\x01\x02", "Hello")
    assert (media.mime_type, media.complete) == ("audio/pcm;rate=24000", True)
    assert came.departures == {}


def test_another_kind_of_audio_is_another_part() -> None:
    """And an image is one by itself."""
    came = read(inline(b"a"), inline(b"b", "audio/opus"), inline(b"c", "image/png"), inline(b"d", None), DONE)
    kinds = [(part.mime_type, part.data) for part in came.message.parts if part.kind == "media"]

    assert kinds == [("audio/pcm;rate=24000", b"a"), ("audio/opus", b"bd"), ("image/png", b"c")]


def test_thoughts_are_reasoning_and_signatures_are_kept() -> None:
    """On the reasoning, on the text, or on the call that they came with."""
    came = read(
        turn(
            {"text": "Let me", "thought": True}, {"text": " see", "thought": True, "thoughtSignature": "c2ln"}
        ),
        turn({"text": "Hel"}),
        turn({"text": "lo", "thoughtSignature": "dHh0"}),
        turn({"functionCall": {"id": "c", "name": "n", "args": {"a": 1}}, "thoughtSignature": "Y2Fs"}),
        turn({"text": "", "thoughtSignature": "ZW5k"}),
        DONE,
    )
    reasoning, first, second, call, last = came.message.parts

    assert reasoning.kind == "reasoning"
    assert (reasoning.text, reasoning.signature) == ("Let me see", "c2ln")
    assert first.kind == "text"
    assert came.message.text == "Hello"
    assert second.kind == "text"
    assert last.kind == "text"
    assert second.provider_data == {"thoughtSignature": "dHh0"}
    assert last.provider_data == {"thoughtSignature": "ZW5k"}
    assert call.kind == "tool_call"
    assert call.provider_data == {"id": "c", "thoughtSignature": "Y2Fs"}


def test_what_else_a_call_says_stands_within_it() -> None:
    """Where the next request has a place for it, as in generateContent."""
    came = read(tool_call({"id": "a", "name": "now", "willContinue": False, "more": 1}), DONE)

    assert [{"functionCall": {"id": "a", "name": "now", "args": {}, "more": 1}}] == (
        came.message.to_gemini()["parts"]
    )


def test_calls_come_whole() -> None:
    """Several in one message; arguments are an object, or missing; what has no name is carried."""
    came = read(
        tool_call(
            {"id": "a", "name": "get_tide", "args": {"harbour": "Brést"}},
            {"name": "now"},
            {"id": "b"},
        ),
        DONE,
    )

    assert [(call.name, call.arguments_text) for call in came.calls] == [
        ("get_tide", '{"harbour": "Brést"}'),
        ("now", "{}"),
    ]
    assert came.calls[0].id == "a"
    assert came.message.parts[2].kind == "opaque"
    assert came.departures == {"call_id_missing": 1, "call_nameless": 1}
    assert (came.message.finish_reason, came.message.raw_finish_reason) == ("tool_calls", "turnComplete")


def test_calls_that_are_not_to_be_run_any_more_are_named() -> None:
    """The user has interrupted the turn."""
    came = read(
        tool_call({"id": "a", "name": "n"}),
        {"toolCallCancellation": {"ids": ["a"]}},
        {"toolCallCancellation": {"ids": "a"}},
        INTERRUPTED,
        DONE,
    )
    odd = [one.data for one in came.events if isinstance(one, Unknown) and one.kind == "event"]

    assert came.message.provider_data == {"toolCallCancellation": ["a"]}
    assert odd == [{"ids": "a"}]
    assert came.message.finish_reason == "cancelled"


def test_code_that_the_server_runs_is_no_call_of_the_client() -> None:
    """The code and what it gave; other parts are carried."""
    code = {"executableCode": {"language": "PYTHON", "code": "1+1", "id": "x"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "x"}}
    came = read(turn(code, result, {"holograph": {"depth": 3}}, {"holograph": None}), DONE)
    tool, gave, other = came.message.parts

    assert tool.kind == "server_tool_call"
    assert (tool.id, tool.arguments_text, tool.provider_data) == ("x", "1+1", code)
    assert gave.kind == "server_tool_result"
    assert (gave.content, gave.provider_data) == (result["codeExecutionResult"], result)
    assert other.kind == "opaque"
    assert (other.type, other.data) == ("holograph", {"holograph": {"depth": 3}})
    assert came.calls == []


def test_sources_are_cited_once() -> None:
    """Grounding is told whole each time."""
    chunks = [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"uri": "https://b"}}]
    came = read(
        text("Hi"),
        content(groundingMetadata={"groundingChunks": chunks[:1]}),
        content(groundingMetadata={"groundingChunks": chunks}),
        content(groundingMetadata=None, urlContextMetadata={"urlMetadata": []}),
        DONE,
    )

    assert [(cited.url, cited.title) for cited in came.message.citations] == [
        ("https://a", "A"),
        ("https://b", None),
    ]
    assert came.message.provider_data == {
        "groundingMetadata": {"groundingChunks": chunks},
        "urlContextMetadata": {"urlMetadata": []},
    }


@pytest.mark.parametrize(
    "ends, reason, raw",
    [
        ([GENERATED, DONE], "stop", "generationComplete"),
        ([DONE], "stop", "turnComplete"),
        ([INTERRUPTED, DONE], "cancelled", "interrupted"),
        ([GENERATED, INTERRUPTED, DONE], "cancelled", "interrupted"),
        ([GENERATED], "stop", "generationComplete"),
        (
            [content(turnComplete=True, turnCompleteReason="RESPONSE_REJECTED")],
            "content_filter",
            "RESPONSE_REJECTED",
        ),
        ([content(turnComplete=True, turnCompleteReason="NEED_MORE_INPUT")], "pause", "NEED_MORE_INPUT"),
        (
            [content(turnComplete=True, turnCompleteReason="MALFORMED_FUNCTION_CALL")],
            "error",
            "MALFORMED_FUNCTION_CALL",
        ),
        ([content(turnComplete=True, turnCompleteReason="BORED")], "unknown", "BORED"),
        (
            [content(turnComplete=True, turnCompleteReason="TURN_COMPLETE_REASON_UNSPECIFIED")],
            "stop",
            "turnComplete",
        ),
        ([content(turnComplete=True, interactionStatus="IDLE")], "stop", "turnComplete"),
        (
            [GENERATED, content(turnComplete=True, turnCompleteReason="GENERATED_OTHER")],
            "content_filter",
            "GENERATED_OTHER",
        ),
    ],
)
def test_why_a_turn_ended(ends: list[Payload], reason: str, raw: str) -> None:
    """What ended it, or the reason that goes with that."""
    came = read(text("Hi"), *ends)

    assert (came.message.finish_reason, came.message.raw_finish_reason) == (reason, raw)
    assert (came.message.ending, came.departures) == ("complete", {})


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [SETUP],
        [text("Hi")],
        [text("Hi"), content(turnComplete=True, interactionStatus="IN_PROGRESS")],
        [text("Hi"), DONE, text("again")],
        [tool_call({"id": "a", "name": "n"})],
    ],
)
def test_a_connection_that_ends_inside_a_turn_was_cut(payloads: list[Payload]) -> None:
    """Or before any turn, or while the model goes on in the background."""
    came = read(*payloads)

    assert isinstance(came.error, StreamTruncated)
    assert came.message.ending == "truncated"


def test_several_turns_add_up_to_one_message() -> None:
    """Its finish reason is that of the last."""
    came = read(text("one"), INTERRUPTED, DONE, text("two"), GENERATED, DONE)
    starts = [one.another for one in came.events if isinstance(one, MessageStart)]

    assert (came.message.text, came.message.finish_reason, came.departures) == ("onetwo", "stop", {})
    assert starts == [False, True]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["cancelled", "stop"]


def test_one_turn_can_be_picked_out() -> None:
    """It is over with its end."""
    one = GeminiLive().of_answer("").fresh(limits=Limits(), pings=False)
    came = read(text("Hi"), GENERATED, DONE, text("more"), format=one)

    assert (came.format.ended, came.message.text) == (True, "Hi")
    assert came.departures == {"data_after_end": 1}


def test_what_belongs_to_the_session_is_kept_or_carried() -> None:
    """The handle to resume it with, the warning before its end, what the user said."""
    came = read(
        {"sessionResumptionUpdate": {"newHandle": "h-1", "resumable": True}},
        content(inputTranscription={"text": "Hello?"}),
        content(interimInputTranscription={"text": "Hel"}),
        {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}},
        text("Hi"),
        content(waitingForInput=True),
        {"goAway": {"timeLeft": "10s"}},
        {"sessionResumptionUpdate": {"newHandle": "h-2", "resumable": True}},
        {"novelty": None},
        DONE,
    )
    unknown = [one.name for one in came.events if isinstance(one, Unknown) and one.kind == "event"]

    assert unknown == ["inputTranscription", "interimInputTranscription", "voiceActivity"]
    assert came.message.provider_data == {
        "sessionResumptionUpdate": {"newHandle": "h-2", "resumable": True},
        "goAway": {"timeLeft": "10s"},
        "waitingForInput": True,
    }


@pytest.mark.parametrize(
    "payload, place",
    [
        (SETUP, (None, False)),
        (text("a"), ("", False)),
        (spoken("a"), ("", False)),
        (tool_call(), ("", False)),
        ({"tool_call": {}}, ("", False)),
        (content(inputTranscription={"text": "a"}), (None, False)),
        (content(turnComplete=False), (None, False)),
        (DONE, ("", True)),
        (content(turnComplete=True, interactionStatus="IN_PROGRESS"), ("", False)),
        ({"serverContent": 7}, (None, False)),
        ({"usageMetadata": {}}, (None, False)),
    ],
)
def test_each_payload_has_its_place(payload: Payload, place: tuple[str | None, bool]) -> None:
    """In the turn, or in the session."""
    assert GeminiLive().place_of(payload) == place


@pytest.mark.parametrize(
    "payload, known",
    [
        (SETUP, True),
        ({"setup_complete": {}}, True),
        (text("a"), True),
        ({"goAway": {"timeLeft": "1s"}}, True),
        ({"goAway": None}, False),
        ({"type": "x", "toolCall": {}}, False),
        ({"candidates": []}, False),
        ({"usageMetadata": {}}, False),
    ],
)
def test_it_is_known_by_its_fields(payload: Payload, known: bool) -> None:
    """A message has one of a few, and no type."""
    assert GeminiLive.recognises(payload, "") is known
    if known:
        assert registry.detect(payload, "")[0] == "gemini-live"


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "audio/pcm", "data": "?"}},
        {"inlineData": {"mimeType": "audio/pcm", "data": 7}},
        {"inlineData": {"mimeType": "audio/pcm", "data": "AAAAA"}},
        {"inlineData": 7},
        {"inlineData": {"data": "é"}},
    ],
)
def test_inline_data_that_are_no_base64_are_carried(part: Payload) -> None:
    """As they came, with a departure."""
    came = read(turn(part), DONE)

    assert [(one.kind, getattr(one, "data", None)) for one in came.message.parts] == [("opaque", part)]
    assert came.departures == {"media_invalid": 1}


def test_half_a_character_in_a_transcript_waits_for_its_other_half() -> None:
    """As in a text."""
    came = read(
        b'{"serverContent":{"outputTranscription":{"text":"a\\ud83c"}}}',
        b'{"serverContent":{"outputTranscription":{"text":"\\udf89"}}}',
        DONE,
    )
    [media] = came.message.parts

    assert media.kind == "media"
    assert media.transcript == "a🎉"


def test_an_error_in_a_message_is_the_providers() -> None:
    """Live errors are close codes, but a proxy may send one."""
    came = read(text("Hi"), {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}})

    assert isinstance(came.error, ProviderError)
    assert (came.error.kind, came.message.text) == ("overloaded", "Hi")


def test_bounds_hold() -> None:
    """On parts, and so on anything that opens one."""
    came = read(*[inline(b"x", "image/png")] * 5, format=GeminiLive(limits=Limits(parts=3)))

    assert isinstance(came.error, LimitExceeded)


# -- laws -----------------------------------------------------------------


class Plain(GeminiLive):
    """The format without its short way."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self.shortcuts = False

    def fresh(self, *, limits: Limits, pings: bool) -> Plain:
        """Return another one."""
        return Plain(limits=limits, pings=pings)


PIECE = "here stands a piece"
SHAPES: list[Payload] = [
    text(PIECE),
    text(PIECE),
    turn({"text": PIECE, "thought": True}),
    turn({"text": PIECE}, {"text": PIECE}),
    turn({"text": 7}),
    content(modelTurn={"parts": [{"text": PIECE}], "role": "model"}),
    content(modelTurn={"parts": {"text": PIECE}}),
    {"serverContent": {"modelTurn": [{"text": PIECE}]}},
    {"server_content": {"modelTurn": {"parts": [{"text": PIECE}]}}},
    {**text(PIECE), "usageMetadata": {"responseTokenCount": 1}},
    spoken(PIECE),
    DONE,
    INTERRUPTED,
    {"error": {"message": "text"}},
]
PIECES = st.one_of(st.text(max_size=4), st.sampled_from(["", "\ud83d", "\ude00", "a\ud83d", "text"]))


@given(written=st.lists(st.tuples(st.sampled_from(SHAPES), PIECES), max_size=10))
def test_text_read_at_a_glance_is_what_reading_in_full_gives(written: list[tuple[Payload, str]]) -> None:
    """Whatever the text is, and whatever comes between."""
    shaped = [json.dumps(shape).replace(json.dumps(PIECE), json.dumps(piece)) for shape, piece in written]
    payloads: list[Payload | bytes] = [text("a"), *[each.encode() for each in shaped], text("b"), DONE]

    assert read(*payloads, format=Plain()).outcome == read(*payloads).outcome
    told_by = []
    for format_ in (GeminiLive(), Plain()):
        decoder = Decoder(format_)
        frames = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
        events = [one for each in frames for one in decoder.feed(each)] + decoder.end()
        told_by.append((events, [one.raw for one in events], decoder.message, repr(decoder.error)))
    assert told_by[0] == told_by[1]


@pytest.mark.parametrize("stray", [b'{"text"', b'[{"text": "a"}]', b'{"a": "text", "text": {}}', b'"text"'])
def test_what_only_looks_like_text_is_read_in_full(stray: bytes) -> None:
    """It is JSON of another kind, or none."""
    payloads: list[Payload | bytes] = [text("a"), text("b"), stray, text("c")]

    assert read(*payloads, format=Plain()).outcome == read(*payloads).outcome


EVERYTHING = [
    SETUP,
    content(inputTranscription={"text": "Hi"}),
    turn({"text": "Let me", "thought": True, "thoughtSignature": "c2ln"}),
    text("Hel"),
    text("lo"),
    tool_call({"id": "a", "name": "n", "args": {"b": [1]}}),
    inline(b"\x00\x01"),
    spoken("Hi"),
    turn({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}),
    content(groundingMetadata={"groundingChunks": [{"web": {"uri": "https://a"}}]}),
    {"sessionResumptionUpdate": {"newHandle": "h"}},
    {"toolCallCancellation": {"ids": ["a"]}},
    GENERATED,
    {**DONE, "usageMetadata": {"responseTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO"}]}},
    text("again"),
    INTERRUPTED,
    DONE,
    {"goAway": {"timeLeft": "1s"}},
]


@given(payloads=strayed(EVERYTHING, {"text": 1}), one=st.booleans())
def test_whatever_a_server_sends_only_our_errors_come_out(payloads: list[Payload], one: bool) -> None:
    """And what was given is what the message holds; no call is handed out twice."""
    came = read(*payloads, format=GeminiLive(one=one))
    shown = "".join([event.text for event in came.events if isinstance(event, TextDelta)])

    assert came.error is None or isinstance(came.error, StreamError)
    assert shown == came.message.text
    calls = [event.part for event in came.events if isinstance(event, ToolCallDone)]
    assert len(calls) == len(set(calls))
    assert Message.model_validate(came.message.model_dump()) == came.message
    for payload in payloads:
        assert came.format.place_of(payload)[0] in (None, "")


def test_a_healthy_session_of_everything_has_no_departures() -> None:
    """What the documents describe is no stray."""
    came = read(*EVERYTHING)

    assert (came.error, came.departures) == (None, {})


def test_a_message_like_the_last_one_is_read_by_its_bytes() -> None:
    """Another shape is decoded, and what is no text ends the short way."""
    live = GeminiLive()
    for payload in (SETUP, *[text(f"t{n} ") for n in range(4)]):
        live.feed(json.dumps(payload).encode())
    read_one = live.shortcut("message", 10**6)

    assert read_one is not None
    assert read_one(json.dumps(text("Zoë – 🌊")).encode()) == TextDelta("Zoë – 🌊")
    assert read_one(json.dumps(text("a"), indent=1).encode()) is None
    assert read_one(json.dumps(spoken("a")).encode()) is None
    assert 6 == live.frames
    live.feed(json.dumps(GENERATED).encode())
    assert live.shortcut("message", 10**6) is None


def test_a_text_after_another_part_is_read_as_that_texts() -> None:
    """What was learnt of its bytes serves again, for the new part."""
    live = GeminiLive()
    thought = turn({"text": "Hm.", "thought": True})
    payloads = [*[text("a")] * 5, thought, *[text("b")] * 5]
    events = [event for each in payloads for event in live.feed(json.dumps(each).encode())]
    parts = [event.part for event in events if isinstance(event, TextDelta)]

    assert [0] * 5 + [2] * 5 == parts
