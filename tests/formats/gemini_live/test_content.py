"""Gemini Live: text, speech, thoughts, calls and sources."""

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
from tokenstream.events import Unknown


def test_text_of_a_turn_is_given_as_it_comes() -> None:
    counts = {"promptTokenCount": 4, "responseTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 17}
    counts["toolUsePromptTokenCount"] = 6
    came = read(SETUP, text("Hel"), text("lo"), GENERATED, {**DONE, "usageMetadata": counts})
    usage = came.message.usage

    assert came.texts == ["Hel", "lo"]
    assert (came.message.text, came.ending, came.departures) == ("Hello", "complete", {})
    assert (came.reason, came.raw_reason) == ("stop", "generationComplete")
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (10, 7, 2)
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
