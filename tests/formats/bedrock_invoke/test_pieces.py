"""InvokeModel: choices, counts and fields of plain payloads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_invoke.support import COUNTS, METRICS, chunk, counts, read
from tests.support.formats import BedrockInvoke
from tokenstream.errors import StreamTruncated
from tokenstream.events import Unknown, UsageUpdate


def test_counts_that_grow_are_reported_once() -> None:
    deltas = [{"generation": "a", "prompt_token_count": 6, "generation_token_count": n} for n in range(1, 4)]
    whole = read(*deltas, {"generation": "", "stop_reason": "stop"})
    cut = read(*deltas)

    assert 1 == len([event for event in whole.events if isinstance(event, UsageUpdate)])
    assert isinstance(cut.error, StreamTruncated)
    assert (6, 3) == counts(cut)


def test_two_generations_are_two_choices() -> None:
    """An end without an index is that of both."""
    came = read(
        {"index": 0, "is_finished": False, "text": " In"},
        {"index": 1, "is_finished": False, "text": " A"},
        {"index": 0, "is_finished": False, "text": " a"},
        {"finish_reason": "MAX_TOKENS", "is_finished": True, **METRICS},
    )

    assert [(0, " In a", "length"), (1, " A", "length")] == [
        (message.choice, message.text, message.finish_reason) for message in came.accumulator.messages
    ]


def test_items_are_choices_by_their_place_where_they_have_no_index() -> None:
    came = read(
        {"outputs": [{"text": "a", "stop_reason": "stop"}, {"text": "b", "stop_reason": "length", "n": 1}]}
    )

    assert [(0, "a", "stop", {}), (1, "b", "length", {"n": 1})] == [
        (each.choice, each.text, each.finish_reason, each.provider_data) for each in came.accumulator.messages
    ]


def test_fields_without_a_word_are_kept() -> None:
    frames = [
        chunk({"completion": "a", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}, region="x"),
        chunk({"outputs": [{"text": "b"}], "took": 3}),
    ]
    came = read_frames(BedrockInvoke(), frames)

    assert {"stop": "\n\nHuman:", "region": "x", "took": 3} == came.message.provider_data


@pytest.mark.parametrize("last", [METRICS, {"amazon-bedrock-trace": {"guardrail": {}}}])
def test_an_answer_that_a_guardrail_blocked_has_an_end_without_a_reason(last: dict[str, Any]) -> None:
    """Bedrock's counts or its guardrail's trace are its last word; no reason is made up."""
    blocked = {"outputText": "Input blocked", "index": 0, "amazon-bedrock-guardrailAction": "INTERVENED"}
    for payloads in ([blocked | last], [blocked, last]):
        came = read(*payloads)

        assert ("Input blocked", "complete", None) == (
            came.message.text,
            came.message.ending,
            came.message.finish_reason,
        )
        assert {"finish_missing": 1} == came.departures
        assert came.format.finished


def test_what_no_model_says_is_carried() -> None:
    came = read(
        {"what": "is this"}, {"generation": "a"}, {"what": "now"}, {"generation": "", "stop_reason": "stop"}
    )

    assert ["what", "what"] == [event.name for event in came.events if isinstance(event, Unknown)]
    assert ("a", "complete") == (came.message.text, came.message.ending)


def test_text_of_another_type_is_carried() -> None:
    came = read({"generation": "a"}, {"generation": 7})

    assert {"generation": [{"generation": 7}]} == came.message.provider_data
    assert {"delta_misfits": 1} == came.departures


def test_counts_that_bedrock_alone_has_are_added() -> None:
    """The model's own stay as they are."""
    metrics = {"amazon-bedrock-invocationMetrics": {**COUNTS, "cacheReadInputTokenCount": 2}}
    came = read({"outputText": "a", "totalOutputTextTokenCount": 9, "completionReason": "FINISH", **metrics})
    usage = came.message.usage

    assert (7, 9, 2) == (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
