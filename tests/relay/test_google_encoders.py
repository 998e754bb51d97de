"""What a script is on the wire of Gemini, Gemini Live and the Interactions API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.google_answers import chunk, each_format, named, output, step, texts, turn
from tests.support.sent import bare, decoded, read, relayed, sent
from tokenstream import testing
from tokenstream.errors import NotExpressible
from tokenstream.events import Finish

ANSWER = (
    testing.script(id="a1", model="tide-1")
    .reasoning("Hm", ".", signature="c2ln")
    .text("Let me", " look.")
    .tool_call("tide", ('{"port":', '"Brest"}'), id="c7")
    .usage(input_tokens=9, output_tokens=7, reasoning_tokens=3)
    .finish()
)
DONE: list[tuple[str, Any]] = [("done", "[DONE]")]


# -- whole answers ----------------------------------------------------------------


def test_gemini_sends_parts_in_chunks_and_calls_whole() -> None:
    """Counts stand in every chunk from when they are known; thoughts are counted apart."""
    head = {"modelVersion": "tide-1", "responseId": "a1"}
    counts = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "totalTokenCount": 16,
        "thoughtsTokenCount": 3,
    }
    call = {"functionCall": {"id": "c7", "name": "tide", "args": {"port": "Brest"}}}
    expected = [
        {**chunk({"text": "Hm", "thought": True}), **head},
        {**chunk({"text": ".", "thought": True}), **head},
        {**chunk({"text": "", "thought": True, "thoughtSignature": "c2ln"}), **head},
        {**chunk({"text": "Let me"}), **head},
        {**chunk({"text": " look."}), **head},
        {**chunk(call), **head},
        {**chunk({"text": ""}, finishReason="STOP"), **head, "usageMetadata": counts},
    ]
    assert expected == bare(ANSWER.chunks("gemini"))


def test_gemini_live_sends_messages_of_a_turn() -> None:
    """The setup is confirmed first; a call is a message of its own; the turn's end has the counts."""
    call = {"id": "c7", "name": "tide", "args": {"port": "Brest"}}
    counts = {"promptTokenCount": 9, "responseTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 16}
    expected = [
        {"setupComplete": {}},
        turn({"text": "Hm", "thought": True}),
        turn({"text": ".", "thought": True}),
        turn({"text": "", "thought": True, "thoughtSignature": "c2ln"}),
        turn({"text": "Let me"}),
        turn({"text": " look."}),
        {"toolCall": {"functionCalls": [call]}},
        {"serverContent": {"generationComplete": True}},
        {"serverContent": {"turnComplete": True}, "usageMetadata": counts},
    ]
    assert expected == bare(ANSWER.chunks("gemini-live"))


def test_an_interaction_is_sent_step_by_step() -> None:
    """Each event names itself; a call's arguments come in fragments; a sentinel is last."""
    head = {"id": "a1", "status": "in_progress", "object": "interaction", "model": "tide-1"}
    counts = {
        "total_tokens": 16,
        "total_input_tokens": 9,
        "total_output_tokens": 4,
        "total_thought_tokens": 3,
    }
    over = {"usage": counts, "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z"}
    call = {"id": "c7", "signature": "", "type": "function_call", "name": "tide", "arguments": {}}
    expected = [
        named("interaction.created", interaction=head),
        named("interaction.status_update", interaction_id="a1", status="in_progress"),
        *step(
            0,
            {"type": "thought"},
            {"type": "thought_summary", "content": {"type": "text", "text": "Hm"}},
            {"type": "thought_summary", "content": {"type": "text", "text": "."}},
            {"type": "thought_signature", "signature": "c2ln"},
        ),
        *output(1, *texts("Let me", " look.")),
        *step(
            2,
            call,
            {"type": "arguments_delta", "arguments": '{"port":'},
            {"type": "arguments_delta", "arguments": '"Brest"}'},
        ),
        named("interaction.completed", interaction={**head, "status": "requires_action", **over}),
        *DONE,
    ]
    assert expected == sent(ANSWER, "gemini-interactions")


def test_geminis_lines_end_with_crlf_and_its_brackets_are_escaped() -> None:
    first, _ = testing.script().text("<é>\u2028\x85", "").finish().chunks("gemini")
    assert first.startswith(b'data: {"candidates":')
    assert first.endswith(b"}\r\n\r\n")
    assert 2 == first.count(b"\n")
    assert '{"text":"\\u003cé\\u003e\\u2028\\u0085"}'.encode() in first


def test_raw_payloads_are_between_the_borders_of_the_format() -> None:
    """Text is sent as it is, JSON as the encoder writes it."""
    script = testing.script().raw("<a>").raw({"a": "<"})
    assert [b"data: <a>\r\n\r\n", b'data: {"a":"\\u003c"}\r\n\r\n'] == script.chunks("gemini")
    assert [b"<a>\n", b'{"a":"<"}\n'] == script.chunks("gemini-live")
    assert [b"data: <a>\n\n", b'data: {"a":"<"}\n\n'] == script.chunks("gemini-interactions")


@each_format
def test_the_recording_says_how_it_is_sent(format: str) -> None:
    """Live is messages of a WebSocket, the others are server-sent events without a charset."""
    recording = ANSWER.recording(format)
    live = format == "gemini-live"
    expected = ("application/x-ndjson", True) if live else ("text/event-stream", False)
    assert expected == (recording.content_type, recording.messages)


# -- choices, ends, counts ----------------------------------------------------------


def test_candidates_have_their_index_and_end_in_one_chunk() -> None:
    """An answer with several is read as several messages."""
    script = testing.script().text("Fog").choice(1).text("Rain").finish("length").choice(0).finish()
    first, second, last = bare(script.chunks("gemini"))
    decoder = decoded(script.chunks("gemini"), "gemini")
    assert chunk({"text": "Fog"}) == first
    assert chunk({"text": "Rain"}, index=1) == second
    assert [(0, "STOP"), (1, "MAX_TOKENS")] == [
        (candidate["index"], candidate["finishReason"]) for candidate in last["candidates"]
    ]
    assert [("Fog", "stop"), ("Rain", "length")] == [
        (message.text, message.finish_reason) for message in decoder.messages
    ]


def test_a_turn_that_says_nothing_is_set_up_and_ends() -> None:
    expected = [
        {"setupComplete": {}},
        {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}},
    ]
    assert expected == bare(relayed("gemini-live", Finish("content_filter")))


def test_gemini_tells_counts_as_soon_as_it_knows_them() -> None:
    script = testing.script().usage(input_tokens=9).text("a").usage(output_tokens=2, reasoning_tokens=5)
    told = [payload["usageMetadata"] for payload in bare(script.finish().chunks("gemini"))]
    last = {"promptTokenCount": 9, "candidatesTokenCount": 0, "totalTokenCount": 11, "thoughtsTokenCount": 5}
    assert [{"promptTokenCount": 9}, last] == told


# -- tool calls -----------------------------------------------------------------------


@pytest.mark.parametrize("format", ["gemini", "gemini-live"])
def test_a_call_that_was_cut_is_not_sent(format: str) -> None:
    """The provider sends calls whole, so nothing of it shows."""
    cut = testing.script().text("a").tool_call("rm", '{"path": "/tm')
    assert testing.script().text("a").chunks(format) == cut.chunks(format)
    message, _ = read(cut.finish().chunks(format), format)
    assert ((), "stop") == (tuple(message.tool_calls), message.finish_reason)


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}),
        ("529", {"code": 529, "message": "Busy", "status": "UNAVAILABLE"}),
        ("ABORTED", {"code": 503, "message": "Busy", "status": "ABORTED"}),
    ],
)
def test_geminis_error_has_a_status_and_a_word(code: str | None, expected: dict[str, Any]) -> None:
    """A script's code is one of the two."""
    assert [{"error": expected}] == bare(testing.script().error("Busy", code=code).chunks("gemini"))


def test_an_interactions_error_has_a_code() -> None:
    script = testing.script().error("Busy", code="out_of_tides")
    expected = [named("error", error={"code": "out_of_tides", "message": "Busy"})]
    assert expected == sent(script, "gemini-interactions")


def test_gemini_live_has_no_message_for_an_error() -> None:
    """A server of Gemini Live closes the connection at an error."""
    with pytest.raises(NotExpressible, match="an error in the middle"):
        testing.script().text("a").error().chunks("gemini-live")
