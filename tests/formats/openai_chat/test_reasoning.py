"""OpenAI Chat: reasoning in all its spellings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import answer, call, chunk, text
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.events import PartStart
from tokenstream.message import ReasoningPart


def _details(*items: Any, **delta: Any) -> dict[str, Any]:
    return chunk({**delta, "reasoning_details": list(items)})


def _thought(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": words, "index": 0, **fields}


def _reasoning(got: Any) -> list[ReasoningPart]:
    return [part for part in got.message.parts if isinstance(part, ReasoningPart)]


_SPELLINGS: dict[str, tuple[Any, Any]] = {
    "DeepSeek": ({"reasoning_content": "Let "}, {"reasoning_content": "me"}),
    "vLLM, Groq": ({"reasoning": "Let "}, {"reasoning": "me"}),
    "with null": ({"reasoning_content": "Let ", "content": None}, {"reasoning_content": "me", "content": ""}),
    "both": (
        {"reasoning_content": "Let ", "reasoning": "Let "},
        {"reasoning_content": "me", "reasoning": "me"},
    ),
    "details": ({"reasoning_details": [_thought("Let ")]}, {"reasoning_details": [_thought("me")]}),
    "OpenRouter: text and details": (
        {"reasoning": "Let ", "reasoning_details": [_thought("Let ")]},
        {"reasoning": "me", "reasoning_details": [_thought("me")]},
    ),
    "summary": (
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Let "}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "me"}]},
    ),
    "proxies: text and blocks": (
        {"reasoning_content": "Let ", "thinking_blocks": [{"type": "thinking", "thinking": "Let "}]},
        {"reasoning_content": "me", "thinking_blocks": [{"type": "thinking", "thinking": "me"}]},
    ),
    "Mistral": (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Let "}]}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "me"}]}]},
    ),
    "Mistral, as text": (
        {"content": [{"type": "thinking", "thinking": "Let "}]},
        {"content": {"type": "thinking", "thinking": "me"}},
    ),
    "Databricks": (
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Let "}]}]},
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "me"}]}]},
    ),
    "an object": ({"reasoning": {"text": "Let "}}, {"reasoning": {"text": "me"}}),
    "a list": ({"reasoning": [{"text": "Let "}]}, {"reasoning": ["me", 7]}),
}
"""The first piece of a reasoning and the next."""


@in_one_test("first, second", _SPELLINGS.values(), ids=_SPELLINGS)
def test_reasoning_is_read_in_every_spelling_and_never_twice(first: Any, second: Any) -> None:
    """Where two fields say the same, it is shown once; text that follows is another part."""
    got = answer(chunk(first), chunk(second), text("Hi"))

    assert ("Let me", "Hi") == (got.message.reasoning, got.message.text)
    assert ["reasoning", "text"] == got.kinds


def test_reasoning_in_two_fields_is_counted() -> None:
    assert {"reasoning_twice"} == answer(chunk({"reasoning_content": "a", "reasoning": "a"})).rules
    assert {"reasoning_twice"} == answer(_details(_thought("a"), reasoning="a")).rules


def test_reasoning_that_differs_in_two_fields_is_not_lost() -> None:
    got = answer(
        chunk({"reasoning_content": "all ", "reasoning": ""}),
        chunk({"reasoning_content": "of it", "reasoning": "a summary"}),
    )

    assert ("all of it", "a summary") == (got.message.reasoning, got.data["reasoning"])


@pytest.mark.parametrize("value", [{"new": 1}, [7], {"text": ""}])
def test_reasoning_of_another_shape_breaks_nothing(value: Any) -> None:
    got = answer(chunk({"reasoning": value}), chunk({"reasoning": value, "thinking": "Hm"}))

    assert "Hm" == got.message.reasoning


def test_a_signature_is_kept_with_its_reasoning() -> None:
    got = answer(
        _details(_thought("Let ", format="anthropic-claude-v1", signature=""), reasoning="Let "),
        _details(_thought("me", format="anthropic-claude-v1"), reasoning="me"),
        _details(_thought("", format="anthropic-claude-v1", signature="c2ln"), reasoning=None),
        text("Hi"),
    )

    [part] = _reasoning(got)
    assert ("Let me", "c2ln") == (part.text, part.signature)
    assert {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0} == part.provider_data


def test_details_with_another_index_are_another_part() -> None:
    """Each signature belongs to its own reasoning."""
    got = answer(_details(_thought("a", signature="s1")), _details(_thought("b", index=1, signature="s2")))

    assert [("a", "s1"), ("b", "s2")] == [(part.text, part.signature) for part in _reasoning(got)]


def test_encrypted_reasoning_is_kept_whole_and_once() -> None:
    hidden = {"type": "reasoning.encrypted", "data": "RU5D", "id": "r1", "index": 0, "format": "f"}
    got = answer(_details(hidden), _details(hidden), text("Hi"))

    [part] = _reasoning(got)
    assert ("RU5D", "", True) == (part.redacted, part.text, part.complete)
    assert {"type": "reasoning.encrypted", "id": "r1", "format": "f", "index": 0} == part.provider_data


def test_text_beside_encrypted_details_is_shown() -> None:
    """The summary stands in its own field, the rest is for the next request."""
    got = answer(_details({"type": "reasoning.encrypted", "data": "RU5D"}, reasoning="Hm"), text("Hi"))

    assert ("Hm", {"RU5D", None}) == (got.message.reasoning, {part.redacted for part in _reasoning(got)})


@pytest.mark.parametrize(
    "details", [7, "x", [7], [{}], [{"type": "new"}], {"type": "reasoning.text", "text": None}]
)
def test_details_of_another_shape_break_nothing(details: Any) -> None:
    """The text beside them is shown all the same."""
    assert "Hm" == answer(chunk({"reasoning": "Hm", "reasoning_details": details})).message.reasoning


def test_a_signature_that_stands_alone_is_kept_as_reasoning() -> None:
    """Gemini sends one in a delta of its own, or beside the last text."""
    signature = {"google": {"thought_signature": "c2ln"}}
    got = answer(chunk({"reasoning": "Hm"}), chunk({"extra_content": signature}), text("Hi"))

    assert [("Hm", "c2ln")] == [(part.text, part.signature) for part in _reasoning(got)]
    assert ["text", "reasoning"] == answer(chunk({"content": "Hi", "extra_content": signature})).kinds


@pytest.mark.parametrize("extra", ["x", 7, {"google": {"new": 1}}, {"other": 1}])
def test_other_extra_content_is_carried(extra: Any) -> None:
    """Only the signature has a place of its own."""
    assert extra == answer(chunk({"extra_content": extra})).data["extra_content"]


def test_signatures_of_thinking_parts_close_with_them() -> None:
    """Mistral says when a thought is over."""
    thinking = {"type": "thinking", "thinking": "a", "signature": "s1", "closed": True}
    got = answer(
        chunk({"content": [thinking]}), chunk({"content": [{**thinking, "thinking": "b", "signature": "s2"}]})
    )

    assert [("a", "s1"), ("b", "s2")] == [(part.text, part.signature) for part in _reasoning(got)]
    assert [] == answer(chunk({"content": [{"type": "thinking", "closed": True}]})).kinds


def test_reasoning_between_texts_makes_three_parts() -> None:
    """Parts stand in wire order."""
    got = answer(
        text("a"), chunk({"reasoning": "b"}), text("c"), call("{}", index=0, id="c1", name="f"), text("d")
    )

    assert ["text", "reasoning", "text", "tool_call", "text"] == got.kinds
    assert "acd" == got.message.text


@pytest.mark.parametrize(
    ("field", "told"), [("reasoning_content", None), ("reasoning", {"read_from": "reasoning"})]
)
def test_the_field_of_reasoning_is_reported_and_not_sent_back(field: str, told: Any) -> None:
    """A program that replays an answer needs its name; the next turn has the text alone."""
    got = answer(chunk({field: "Let "}), chunk({field: "me"}), text("Hi"))
    start = next(event for event in got.events if isinstance(event, PartStart))

    assert isinstance(start.content, ReasoningPart)
    assert told == start.content.provider_data == _reasoning(got)[0].provider_data
    assert got.message.to_openai_chat() == {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Let me",
    }


def test_an_answer_shares_what_is_noted_of_its_reasoning_with_no_other() -> None:
    """Whoever changes the data of a part changes nothing of later answers."""
    chunks = [{"choices": [{"index": 0, "delta": {"reasoning": "Hm."}, "finish_reason": "stop"}]}]
    parts = [part for _ in range(2) for part in Stream(chunks, format="openai-chat").final().parts]
    first, second = (part.provider_data for part in parts if isinstance(part, ReasoningPart))

    assert first == second == {"read_from": "reasoning"}
    assert first is not second
