"""`message.to_cohere()`: one message of Cohere's v2 chat."""

from __future__ import annotations

from typing import Any

import pytest

from tests.turns.sdks import accept, unsendable
from tokenstream.errors import NotExpressible
from tokenstream.message import Citation, Message, Part, ReasoningPart, TextPart, ToolCall


def _cohere(*parts: Part, format: str | None = "cohere", **provider_data: Any) -> Message:
    return Message(parts=parts, ending="complete", format=format, provider_data=provider_data)


def test_a_plan_goes_back_with_its_calls() -> None:
    plan = ReasoningPart(text="I will look.", provider_data={"type": "tool_plan"}, complete=True)
    call = ToolCall(id="weather_1", name="weather", arguments_text='{"city": "Oslo"}', complete=True)
    turn = _cohere(plan, call).to_cohere()

    assert {
        "role": "assistant",
        "tool_plan": "I will look.",
        "tool_calls": [
            {
                "id": "weather_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
            }
        ],
    } == turn
    accept("cohere", turn)
    assert "tool_plan" not in _cohere(plan, call, format="gemini").to_cohere(drop="all")


def test_thinking_and_cited_text_are_blocks() -> None:
    """A source tells which of the blocks it is for; what was left out is not counted."""
    source = {
        "start": 0,
        "end": 2,
        "text": "So",
        "sources": [{"type": "document", "id": "d"}],
        "content_index": 1,
    }
    plan = {"start": 0, "end": 1, "sources": [], "type": "PLAN"}
    message = _cohere(
        ReasoningPart(text="Hm"),
        ReasoningPart(),
        TextPart(),
        TextPart(text="So"),
        Citation(cites=3, provider_data=source),
        Citation(provider_data=plan),
    )
    turn = message.to_cohere()

    assert {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "So"}],
        "citations": [source, plan],
    } == turn
    accept("cohere", turn)
    assert {
        "role": "assistant",
        "content": "So",
        "citations": [{**source, "content_index": 0}, plan],
    } == message.to_cohere(drop="reasoning")


def test_what_has_no_field_is_named() -> None:
    message = _cohere(
        ReasoningPart(text="Hm", signature="c2ln"),
        ReasoningPart(redacted="eA=="),
        TextPart(text="So", provider_data={"thoughtSignature": "c2ln"}),
        Citation(cites=2, provider_data={"document_ids": ["d"]}),
        Citation(cites=9, provider_data={"sources": []}),
    )

    assert {"reasoning": 2, "signature": 1, "citation": 2} == unsendable(message, "cohere")
    with pytest.raises(NotExpressible, match="1 reasoning"):
        _cohere(ReasoningPart(text="Hm"), format="ollama").to_cohere()
