"""Gemini Live: text, speech, thoughts, calls and sources, how turns end, the session, and errors."""

from __future__ import annotations

import pytest

from tests.formats.gemini_live.support import (
    DONE,
    GENERATED,
    INTERRUPTED,
    SETUP,
    Payload,
    content,
    inline,
    read,
    spoken,
    text,
    tool_call,
    turn,
)
from tests.support import registry
from tests.support.formats import GeminiLive
from tests.support.tables import in_one_test
from tokenstream.errors import StreamTruncated
from tokenstream.events import Finish, InputTranscript, MessageStart, Unknown
from tokenstream.limits import Limits


def test_text_of_a_turn_is_given_as_it_comes() -> None:
    counts = {"promptTokenCount": 4, "responseTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 11}
    came = read(SETUP, text("Hel"), text("lo"), GENERATED, {**DONE, "usageMetadata": counts})
    usage = came.message.usage

    assert came.texts == ["Hel", "lo"]
    assert (came.message.text, came.ending, came.departures) == ("Hello", "complete", {})
    assert (came.reason, came.raw_reason) == ("stop", "generationComplete")
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (4, 7, 2)
    assert came.data == {"setupComplete": {"sessionId": "s-1"}}


def test_names_may_be_in_snake_case() -> None:
    """The SDK's objects and proxies spell names so."""
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
    media = came.parts[0]

    assert (media.data, media.transcript, media.mime_type) == (b"\x00\x01", "Hi", "audio/pcm")
    assert [(call.id, call.arguments) for call in came.calls] == [("c", {})]
    assert (came.message.usage.output_tokens, came.message.usage.output_audio_tokens) == (3, 3)
    assert (came.ending, came.reason) == ("complete", "tool_calls")


@pytest.mark.parametrize("first", ["audio", "words"])
def test_audio_and_what_it_says_are_one_part(first: str) -> None:
    pieces = [inline(b"\x00\x01"), spoken("Hel"), inline(b"\x02"), spoken("lo")]
    came = read(*(pieces if first == "audio" else [pieces[1], pieces[0], *pieces[2:]]), GENERATED, DONE)
    [media] = came.parts

    assert (media.data, media.transcript) == (b"\x00\x01\x02", "Hello")
    assert (media.mime_type, media.complete) == ("audio/pcm;rate=24000", True)
    assert came.departures == {}


def test_another_kind_of_audio_is_another_part() -> None:
    came = read(inline(b"a"), inline(b"b", "audio/opus"), inline(b"c", "image/png"), inline(b"d", None), DONE)
    kinds = [(part.mime_type, part.data) for part in came.parts if part.kind == "media"]

    assert kinds == [("audio/pcm;rate=24000", b"a"), ("audio/opus", b"bd"), ("image/png", b"c")]


def test_thoughts_are_reasoning_and_signatures_are_kept() -> None:
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
    reasoning, first, second, call, last = came.parts

    assert (reasoning.text, reasoning.signature) == ("Let me see", "c2ln")
    assert first.kind == "text"
    assert came.message.text == "Hello"
    assert second.kind == "text"
    assert last.kind == "text"
    assert second.provider_data == {"thoughtSignature": "dHh0"}
    assert last.provider_data == {"thoughtSignature": "ZW5k"}
    assert call.kind == "tool_call"
    assert call.provider_data == {"id": "c", "thoughtSignature": "Y2Fs"}


def test_what_else_a_call_says_is_within_it() -> None:
    came = read(tool_call({"id": "a", "name": "now", "willContinue": False, "more": 1}), DONE)

    assert [{"functionCall": {"id": "a", "name": "now", "args": {}, "more": 1}}] == (
        came.message.to_gemini()["parts"]
    )


def test_calls_come_whole() -> None:
    came = read(
        tool_call(
            {"id": "a", "name": "get_tide", "args": {"harbour": "Brést"}}, {"name": "now"}, {"id": "b"}
        ),
        DONE,
    )

    assert [(call.name, call.arguments_text) for call in came.calls] == [
        ("get_tide", '{"harbour": "Brést"}'),
        ("now", "{}"),
    ]
    assert came.calls[0].id == "a"
    assert came.parts[2].kind == "opaque"
    assert came.departures == {"call_id_missing": 1, "call_nameless": 1}
    assert (came.reason, came.raw_reason) == ("tool_calls", "turnComplete")


def test_calls_that_are_not_to_be_run_any_more_are_named() -> None:
    """The user has interrupted the turn."""
    came = read(
        tool_call({"id": "a", "name": "n"}),
        {"toolCallCancellation": {"ids": ["a"]}},
        {"toolCallCancellation": {"ids": "a"}},
        INTERRUPTED,
        DONE,
    )
    odd = [one.data for one in came.events if isinstance(one, Unknown)]

    assert came.data == {"toolCallCancellation": ["a"]}
    assert odd == [{"ids": "a"}]
    assert came.reason == "cancelled"


def test_code_that_the_server_runs_is_no_call_of_the_client() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1", "id": "x"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "x"}}
    came = read(turn(code, result, {"holograph": {"depth": 3}}, {"holograph": None}), DONE)
    tool, gave, other = came.parts

    assert tool.kind == "server_tool_call"
    assert (tool.id, tool.arguments_text, tool.provider_data) == ("x", "1+1", code)
    assert (gave.content, gave.provider_data) == (result["codeExecutionResult"], result)
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
    assert came.data == {
        "groundingMetadata": {"groundingChunks": chunks},
        "urlContextMetadata": {"urlMetadata": []},
    }


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
    came = read(turn(part), DONE)

    assert [(one.kind, getattr(one, "data", None)) for one in came.parts] == [("opaque", part)]
    assert came.departures == {"media_invalid": 1}


@pytest.mark.parametrize("empty", [None, {}])
def test_fields_of_a_part_that_say_nothing_are_no_parts(empty: Payload | None) -> None:
    """Some libraries write all fields that a part may have."""
    others = dict.fromkeys(("inlineData", "executableCode", "functionCall", "novelty"), empty)
    came = read(turn({"text": "Hi", **others}), DONE)

    assert ["text"] == came.kinds
    assert "Hi" == came.message.text


@in_one_test(
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
    came = read(text("Hi"), *ends)

    assert (came.reason, came.raw_reason) == (reason, raw)
    assert (came.ending, came.departures) == ("complete", {})


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
    came = read(*payloads)

    assert isinstance(came.error, StreamTruncated)
    assert came.ending == "truncated"


def test_several_turns_add_up_to_one_message() -> None:
    came = read(text("one"), INTERRUPTED, DONE, text("two"), GENERATED, DONE)
    starts = [one.another for one in came.events if isinstance(one, MessageStart)]

    assert (came.message.text, came.reason, came.departures) == ("onetwo", "stop", {})
    assert starts == [False, True]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["cancelled", "stop"]


@in_one_test("mark", [DONE, GENERATED, content(turnComplete=True, generationComplete=True)])
def test_the_end_of_a_turn_that_comes_again_begins_no_turn(mark: Payload) -> None:
    came = read(tool_call({"id": "a", "name": "n"}), GENERATED, DONE, mark)

    assert ("tool_calls", ["n"]) == (came.reason, [call.name for call in came.calls])
    assert {"finish_repeated": 1} == came.departures


def test_a_list_without_calls_waits_for_no_result() -> None:
    """Some libraries write all fields that a message may have."""
    came = read(text("Hi"), {**DONE, "toolCall": {}})

    assert ("Hi", "stop", None) == (came.message.text, came.reason, came.error)


def test_one_turn_can_be_picked_out() -> None:
    one = GeminiLive().of_answer("").fresh(limits=Limits())
    came = read(text("Hi"), GENERATED, DONE, text("more"), format=one)

    assert (came.format.ended, came.message.text) == (True, "Hi")
    assert came.departures == {"data_after_end": 1}


def test_what_belongs_to_the_session_is_kept_or_carried() -> None:
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
    unknown = came.unknown

    assert unknown == ["interimInputTranscription", "voiceActivity"]
    assert InputTranscript("Hello?") in came.events
    assert came.data == {
        "sessionResumptionUpdate": {"newHandle": "h-2", "resumable": True},
        "goAway": {"timeLeft": "10s"},
        "waitingForInput": True,
    }


@in_one_test(
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
