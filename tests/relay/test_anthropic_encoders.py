"""What a script is on the wire of Anthropic Messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.sent import decoded, payloads_of, relayed, sent
from tokenstream import testing
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
)
from tokenstream.message import Citation, ReasoningPart, ServerToolCall, ServerToolResult, TextPart
from tokenstream.testing import Script

START: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "scripted-1",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 0, "output_tokens": 0},
}
TEXT = {"type": "text", "text": ""}


def named(*payloads: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return payloads with the names of their events, which are their types."""
    return [(payload["type"], payload) for payload in payloads]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[tuple[str, Any]]:
    return named(
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    )


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": text} for text in texts]


def end(stop_reason: str, sequence: str | None = None, **usage: Any) -> list[tuple[str, Any]]:
    """Return the last two events of an answer."""
    delta = {"stop_reason": stop_reason, "stop_sequence": sequence}
    return named({"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"})


def body_of(script: Script) -> list[tuple[str, Any]]:
    """Return what is sent behind the `message_start`."""
    return sent(script, "anthropic")[1:]


def blocks_of(*events: Event) -> list[tuple[str, Any]]:
    """Return what is sent for events between the start of an answer and its end."""
    return payloads_of(relayed("anthropic", *events, Finish("stop")))[1:-2]


def test_an_answer_is_sent_as_anthropic_documents_it() -> None:
    """Each part is a block with its running index; ids and names are the script's."""
    script = (
        testing.script(id="msg_9", model="claude-sonnet-4-6")
        .reasoning("Let me", " see.", signature="c2ln")
        .text("It is ", "–5 °C.")
        .tool_call("get_weather", ('{"city":', '"Oslo"}'), id="toolu_7")
        .tool_call("now", "", id="toolu_8")
        .usage(input_tokens=9, output_tokens=4)
        .finish()
    )
    expected = [
        *named({"type": "message_start", "message": {**START, "id": "msg_9", "model": "claude-sonnet-4-6"}}),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me"},
            {"type": "thinking_delta", "thinking": " see."},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block(1, TEXT, *said("It is ", "–5 °C.")),
        *block(
            2,
            {"type": "tool_use", "id": "toolu_7", "name": "get_weather", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"city":'},
            {"type": "input_json_delta", "partial_json": '"Oslo"}'},
        ),
        *block(
            3,
            {"type": "tool_use", "id": "toolu_8", "name": "now", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
        ),
        *end("tool_use", input_tokens=9, output_tokens=4),
    ]

    assert expected == sent(script, "anthropic")


def test_all_counts_are_in_the_end_under_anthropics_names() -> None:
    """`message_delta` has the full counts, those of the request too, and those of thinking."""
    script = (
        testing.script()
        .text("Hi")
        .usage(
            input_tokens=9,
            output_tokens=40,
            total_tokens=49,
            reasoning_tokens=30,
            cached_tokens=5,
            cache_write_tokens=2,
        )
        .finish()
    )
    counts: dict[str, Any] = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 5,
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 30},
    }
    assert end("end_turn", **counts) == body_of(script)[-2:]


def test_a_stop_sequence_is_named() -> None:
    """`stop_sequence` says which one it was; a script's is a made-up one."""
    script = testing.script().text("Hi").finish("stop_sequence")
    assert end("stop_sequence", "\n\nHuman:", output_tokens=0) == body_of(script)[-2:]


def test_what_else_is_said_of_the_end_is_sent_on() -> None:
    """The stop sequence and the details of a refusal are fields of an answer that is relayed."""
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    finish = Finish("refusal", provider_data={"stop_details": details, "container": {"id": "c1"}})
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}

    assert delta == payloads_of(relayed("anthropic", MessageStart(), finish))[1][1]["delta"]


def test_an_error_event_has_a_type_and_a_message() -> None:
    """The type may be given as the code."""
    script = testing.script().error("Busy", code="timeout_error")
    error = {"type": "error", "error": {"type": "timeout_error", "message": "Busy"}}
    assert named(error) == sent(script, "anthropic")


def test_a_ping_is_sent_where_it_happens() -> None:
    script = testing.script().text("Hel").ping().text("lo").finish()
    expected = [*block(0, TEXT, *said("Hel", "lo")), *end("end_turn", output_tokens=0)]
    expected.insert(2, ("ping", {"type": "ping"}))
    assert expected == body_of(script)


WEB = {
    "type": "web_search_result_location",
    "cited_text": "It opened in 1932.",
    "url": "https://example.org/bridge",
    "title": "The bridge",
    "encrypted_index": "",
}
BOOK = {
    "type": "char_location",
    "cited_text": "",
    "document_index": 0,
    "document_title": "Laws",
    "start_char_index": 0,
    "end_char_index": 0,
}
OWN = {**BOOK, "document_index": 3}


@pytest.mark.parametrize(
    "citation, written",
    [
        (
            Citation(
                url="https://example.org/bridge", title="The bridge", text="It opened in 1932.", cites=0
            ),
            WEB,
        ),
        (Citation(title="Laws", cites=0), BOOK),
        (Citation(text="5", start=0, end=4, cites=0, provider_data=OWN), OWN),
    ],
)
def test_a_source_is_a_page_or_a_document(citation: Citation, written: dict[str, Any]) -> None:
    """One of Anthropic's own is sent as it came."""
    expected = block(0, TEXT, *said("1932"), {"type": "citations_delta", "citation": written})
    assert expected == blocks_of(TextDelta("1932"), PartDone(part=0), CitationAdded(citation, part=1))


def test_a_source_for_text_that_has_ended_is_in_a_block_of_its_own() -> None:
    """A block that was stopped takes nothing more."""
    events: list[Event] = [
        TextDelta("Let me see.", part=0),
        ReasoningDelta("Hm", part=1),
        CitationAdded(Citation(title="Laws", cites=0), part=2),
        TextDelta("So.", part=3),
        Finish("stop"),
    ]
    chunks = relayed("anthropic", *events)
    cited = {"type": "text", "text": "", "citations": []}

    assert block(2, cited, {"type": "citations_delta", "citation": BOOK}) == payloads_of(chunks)[7:10]
    read = decoded(chunks, "anthropic")
    assert ("Let me see.So.", "Laws", {}) == (
        read.message.text,
        read.message.citations[0].title,
        read.departures.details,
    )


def test_encrypted_reasoning_is_whole_in_its_start() -> None:
    start = PartStart(ReasoningPart(redacted="RW5j"), part=0)
    shown = block(
        0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Hm"}
    )
    expected = [*shown, *block(1, {"type": "redacted_thinking", "data": "RW5j"})]
    assert expected == blocks_of(ReasoningDelta("Hm", part=0), start, start, PartDone(part=0))


def test_a_signature_in_pieces_is_sent_whole() -> None:
    """SDKs take what comes last for all of it."""
    expected = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    assert expected == blocks_of(ReasoningDelta("", "c2", part=0), ReasoningDelta("", "ln", part=0))


def test_what_is_in_a_parts_start_is_sent_once() -> None:
    """Some formats give a part whole, and tell its start again with more."""
    text = PartStart(TextPart(text="Hel"), part=0)
    thought = PartStart(ReasoningPart(text="Hm", signature="c2ln"), part=1)
    call = PartStart(ServerToolCall(id="s1", name="run", arguments_text='{"code":'), part=2)
    events = text, text, TextDelta("lo", part=0), thought, call, call, PartDelta("1}", part=2)
    expected = [
        *block(0, TEXT, *said("Hel", "lo")),
        *block(
            1,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm"},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block(
            2,
            {"type": "server_tool_use", "id": "s1", "name": "run", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"code":'},
            {"type": "input_json_delta", "partial_json": "1}"},
        ),
    ]
    assert expected == blocks_of(*events, PartDone(part=2))


def test_tools_that_the_provider_runs_keep_their_types() -> None:
    call = ServerToolCall(id="m1", name="ask", provider_data={"type": "mcp_tool_use", "server_name": "s"})
    result = ServerToolResult(id="m1", name="mcp_tool_result", content=[], provider_data={"is_error": False})
    events = PartStart(call, part=0), PartDone(part=0), PartStart(result, part=1), PartDone(part=1)
    expected = [
        *block(0, {"type": "mcp_tool_use", "server_name": "s", "id": "m1", "name": "ask", "input": {}}),
        *block(1, {"is_error": False, "type": "mcp_tool_result", "tool_use_id": "m1", "content": []}),
    ]
    assert expected == blocks_of(*events)


def test_who_may_call_a_tool_is_sent_on() -> None:
    data = {"caller": {"type": "direct"}, "thought_signature": "c2ln"}
    _, (_, start), _ = payloads_of(relayed("anthropic", ToolCallStart("t1", "f", provider_data=data)))
    expected = {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    assert expected == start["content_block"]


@pytest.mark.parametrize(
    ("content", "error", "texts"),
    [
        ("1", None, ["1"]),
        ({"n": [1]}, None, ['{"n":[1]}']),
        (None, "no such city", ["no such city"]),
        ("no such city", "no such city", ["no such city"]),
        (None, None, []),
    ],
)
def test_the_result_of_another_providers_tool_is_sent_like_that_of_an_mcp_server(
    content: object, error: str | None, texts: list[str]
) -> None:
    """The type of another provider's tool is none of Anthropic's; text can say all of it."""
    result = ServerToolResult(id="i", name="code_execution", content=content, error=error)
    chunks = relayed("anthropic", PartStart(result, part=0), PartDone(part=0))
    expected = {
        "type": "mcp_tool_result",
        "tool_use_id": "i",
        "content": [{"type": "text", "text": text} for text in texts],
        "is_error": error is not None,
    }

    assert block(0, expected) == payloads_of(chunks)[1:]
