"""InvokeModel: each model in the format that its stream is in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.bedrock_invoke.support import ANTHROPIC, METRICS, counts, read
from tests.support.tables import in_one_test
from tokenstream.message import ReasoningPart, TextPart, ToolCall


def test_claude_speaks_the_format_of_anthropic() -> None:
    """Identity, reasoning with its signature, text and calls; its own token counts go before Bedrock's."""
    came = read(*ANTHROPIC)

    assert (
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        TextPart(text="Hello", complete=True),
        ToolCall(id="toolu_1", name="now", arguments_text="{}", complete=True),
    ) == came.parts
    assert ("msg_1", "claude", "tool_use") == (came.message.id, came.message.model, came.raw_reason)
    assert (7, 5) == counts(came)
    assert METRICS == came.data
    assert ["toolu_1"] == [call.id for call in came.calls]
    assert came.format.ended
    assert {} == came.departures


def test_nova_speaks_the_format_of_converse() -> None:
    trace = {"guardrail": {"modelOutput": ["x"]}}
    came = read(
        {"messageStart": {"role": "assistant"}},
        {
            "contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0},
            "amazon-bedrock-guardrailAction": "INTERVENED",
        },
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 1}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "end_turn"}},
        {
            "metadata": {"usage": {"inputTokens": 8, "outputTokens": 4}, "metrics": {}, "trace": {}},
            **METRICS,
            "amazon-bedrock-guardrailAction": "INTERVENED",
            "amazon-bedrock-trace": trace,
        },
    )

    assert ("Hello", "stop", "complete") == (came.message.text, came.reason, came.ending)
    assert (8, 4) == counts(came)
    assert {
        "amazon-bedrock-guardrailAction": "INTERVENED",
        "amazon-bedrock-trace": trace,
        **METRICS,
    } == came.data
    assert {} == came.departures


@pytest.mark.parametrize("field", ["delta", "message"])
def test_chat_models_speak_the_format_of_openai(field: str) -> None:
    """Mistral's have names of their own for the same fields; no `[DONE]` is missed."""
    end = {"stop_reason": "stop"} if field == "message" else {"finish_reason": "stop"}
    came = read(
        {"choices": [{"index": 0, field: {"role": "assistant", "content": "Hel"}}]},
        {"choices": [{"index": 0, field: {"content": "lo"}, **end}]},
        {"choices": [], **METRICS},
    )

    assert ("Hello", "stop", "complete") == (came.message.text, came.raw_reason, came.ending)
    assert (7, 3) == counts(came)
    assert {} == came.departures


def test_a_whole_answer_of_openais_is_none_of_mistrals_pieces() -> None:
    came = read(
        {
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
            ],
        }
    )

    assert ("Hi", "complete") == (came.message.text, came.ending)


def test_coheres_chat_models_speak_their_own_format() -> None:
    came = read(
        {"is_finished": False, "event_type": "text-generation", "text": "Hel"},
        {"is_finished": False, "event_type": "text-generation", "text": "lo"},
        {
            "is_finished": True,
            "event_type": "stream-end",
            "finish_reason": "COMPLETE",
            "response": {"response_id": "r1", "text": "Hello"},
            **METRICS,
        },
    )

    assert ("Hello", "stop", "complete") == (came.message.text, came.reason, came.ending)
    assert (7, 3) == counts(came)


_PLAIN: dict[str, tuple[list[dict[str, Any]], tuple[str, str, str], tuple[int | None, int | None]]] = {
    "Llama": (
        [
            {
                "generation": "\nHel",
                "prompt_token_count": 6,
                "generation_token_count": 1,
                "stop_reason": None,
            },
            {"generation": "lo ", "prompt_token_count": None, "generation_token_count": 2},
            {"generation": "", "generation_token_count": 2, "stop_reason": "length"},
        ],
        ("\nHello ", "length", "length"),
        (6, 2),
    ),
    "Titan": (
        [
            {"outputText": "Hel", "index": 0.0, "inputTextTokenCount": 6.0},
            {"outputText": "lo", "totalOutputTextTokenCount": 2.0, "completionReason": "FINISH"},
        ],
        ("Hello", "stop", "FINISH"),
        (6, 2),
    ),
    "old Claude": (
        [{"type": "completion", "completion": " Hel"}, {"completion": "lo", "stop_reason": "stop_sequence"}],
        (" Hello", "stop_sequence", "stop_sequence"),
        (None, None),
    ),
    "Mistral": (
        [{"outputs": [{"text": text, "stop_reason": end}]} for text, end in (("Hel", None), ("lo", "stop"))],
        ("Hello", "stop", "stop"),
        (None, None),
    ),
    "Cohere": (
        [{"text": "Hello", "is_finished": False}, {"is_finished": True, "finish_reason": "MAX_TOKENS"}],
        ("Hello", "length", "MAX_TOKENS"),
        (None, None),
    ),
    "Cohere whole": (
        [{"prompt": "a", "generations": [{"id": "g", "text": "Hello", "finish_reason": "ERROR_TOXIC"}]}],
        ("Hello", "content_filter", "ERROR_TOXIC"),
        (None, None),
    ),
    "Jurassic": (
        [{"completions": [{"data": {"text": "Hello"}, "finishReason": {"reason": "endoftext"}}], "id": 1}],
        ("Hello", "stop", "endoftext"),
        (None, None),
    ),
    "DeepSeek": (
        [
            {"choices": [{"text": "Hel", "stop_reason": None}]},
            {
                "choices": [{"text": "lo", "finish_reason": "length"}],
                "usage": {"prompt_tokens": 6, "completion_tokens": 2},
            },
        ],
        ("Hello", "length", "length"),
        (6, 2),
    ),
    "Pegasus": (
        [{"message": "Hel"}, {"message": "lo", "finishReason": "strange"}],
        ("Hello", "unknown", "strange"),
        (None, None),
    ),
}
"""Models, each with its payloads, the text, the reason in our words and its own, and its counts."""


@in_one_test("payloads, said, tokens", _PLAIN.values(), ids=_PLAIN)
@in_one_test("counted", [False, True], ids=["without metrics", "with metrics"])
def test_models_with_plain_payloads_are_read_by_a_table(
    payloads: list[dict[str, Any]],
    said: tuple[str, str, str],
    tokens: tuple[int | None, int | None],
    counted: bool,
) -> None:
    """Text is never stripped; Bedrock's own counts stand in where the model has none."""
    if counted:
        payloads = [*payloads[:-1], payloads[-1] | METRICS]
        tokens = tokens if tokens[0] is not None else (7, 3)
    came = read(*payloads)

    assert (*said, "complete") == (came.message.text, came.reason, came.raw_reason, came.ending)
    assert tokens == counts(came)
    assert {} == came.departures
