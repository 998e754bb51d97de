"""Anthropic: usage, stop reasons and whole answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import PING, STOP, answer, arguments, finish, read, start, stop, tool
from tests.formats.anthropic.support import HELLO
from tokenstream.message import ReasoningPart, TextPart


def test_usage_of_the_start_is_kept_where_the_end_says_nothing() -> None:
    """Counts of the end are cumulative and replace those of the start; null replaces nothing."""
    early = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 4, "service_tier": "standard"}
    late: Any = {"input_tokens": 12, "output_tokens": 20, "cache_read_input_tokens": None}
    late["output_tokens_details"] = {"thinking_tokens": 7}
    usage = read(start(usage=early), *HELLO, finish(usage=late), STOP).message.usage

    counts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens)
    assert ((12, 20, 4, 7), "standard") == (counts, usage.provider_data["service_tier"])


@pytest.mark.parametrize(
    "raw, reason",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("refusal", "refusal"),
        ("solar_flare", "unknown"),
    ],
)
def test_stop_reasons_are_reported_in_our_words_and_in_theirs(raw: str, reason: str) -> None:
    """A reason that we do not know is unknown, never an error."""
    message = read(*answer(*HELLO, reason=raw)).message

    assert (message.finish_reason, message.raw_finish_reason) == (reason, raw)


def test_the_stop_sequence_is_kept() -> None:
    assert {"stop_sequence": "END"} == read(
        start(), *HELLO, finish("stop_sequence", stop_sequence="END"), STOP
    ).data


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"type": "refusal", "category": "cyber", "explanation": "Not that."}, "Not that."),
        ({"type": "refusal", "explanation": None}, None),
        (None, None),
        (7, None),
    ],
)
def test_the_explanation_comes_with_the_finish_reason(details: Any, message: str | None) -> None:
    """The details stay whole in the provider's data."""
    came = read(start(), *HELLO, finish("refusal", stop_details=details), STOP)

    assert ("refusal", message) == (came.reason, came.message.finish_message)
    assert details == came.data.get("stop_details")


def test_end_turn_after_a_tool_call_means_tool_calls() -> None:
    """The finish reason follows what was accumulated; the provider's word stays."""
    message = read(*answer(tool(0), stop(0))).message

    assert (message.finish_reason, message.raw_finish_reason) == ("tool_calls", "end_turn")


def test_a_call_that_the_token_limit_cut_is_never_handed_out() -> None:
    came = read(start(), tool(0), arguments(0, '{"a": 1}'), finish("max_tokens"), STOP)

    assert came.calls == []
    assert came.message.tool_calls[0].arguments_text == '{"a": 1}'
    assert came.departures == {"part_unclosed": 1, "call_open_at_end": 1}


def test_pings_give_no_events() -> None:
    assert read(start()).events == read(PING, start(), PING).events


def test_a_whole_answer_may_be_in_its_start() -> None:
    """Tools that code calls come so: content, usage and stop reason, and no deltas."""
    content = [
        {"type": "text", "text": "Rolling", "citations": [{"type": "page_location", "cited_text": "c"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"player": 2}},
    ]
    came = read(
        start(content=content, stop_reason="tool_use", usage={"input_tokens": 0, "output_tokens": 0}), STOP
    )

    assert (came.text, came.message.text) == ("Rolling", "Rolling")
    assert [(call.id, call.arguments) for call in came.calls] == [("toolu_1", {"player": 2})]
    assert came.raw_reason == "tool_use"
    assert came.message.usage.output_tokens == 0
    assert len(came.message.citations) == 1
    assert came.departures == {"start_with_content": 1}


def test_a_message_that_was_not_streamed_is_read_whole() -> None:
    """A server that refuses to stream answers with the message itself."""
    message = start(
        content=[{"type": "thinking", "thinking": "So", "signature": "c2ln"}, {"type": "text", "text": "Hi"}],
        stop_reason="end_turn",
    )["message"]
    came = read(message)

    assert came.parts == (
        ReasoningPart(text="So", signature="c2ln", complete=True),
        TextPart(text="Hi", complete=True),
    )
    assert (came.message.id, came.reason, came.departures) == ("msg_1", "stop", {})
    assert came.error is None
