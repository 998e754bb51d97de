"""Token counts of one answer: a zero after a positive count is no count, any other count replaces it."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recordings import frames_of
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat, sse
from tokenstream import Stream, testing
from tokenstream.events import UsageUpdate

Payload = dict[str, Any]
_COUNT = st.none() | st.integers(0, 3)
_REPORTS = st.lists(st.fixed_dictionaries({"prompt_tokens": _COUNT, "completion_tokens": _COUNT}), min_size=2)


def _chat(*reports: Payload, finish: str = "stop") -> list[bytes]:
    """Return a chat completion whose chunks have these reports; the second has the finish reason."""
    chunks = [
        chat({} if number else {"content": "Ja"}, finish if number == 1 else None, usage=report)
        for number, report in enumerate(reports)
    ]
    return [*chunks, DONE]


def _anthropic(start: Payload, *ends: Payload, reason: str = "end_turn") -> list[bytes]:
    head = {"id": "msg_7", "type": "message", "role": "assistant", "content": [], "usage": start}
    payloads: list[Payload] = [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Ja"}},
        {"type": "content_block_stop", "index": 0},
        *[{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": end} for end in ends],
        {"type": "message_stop"},
    ]
    return [sse(payload, event=payload["type"]) for payload in payloads]


def _usage(body: list[bytes]) -> tuple[int | None, int | None, int | None]:
    usage = Stream(body).final().usage
    return usage.input_tokens, usage.output_tokens, usage.total_tokens


def _openai(prompt: int, completion: int, **others: Any) -> Payload:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion, **others}


@given(_REPORTS)
def test_only_a_zero_after_a_positive_count_is_left_out(reports: list[Payload]) -> None:
    """The count is the last one that is no such zero, in any order of reports."""
    counted = _usage(_chat(*reports))
    for name, count in zip(("prompt_tokens", "completion_tokens"), counted, strict=False):
        sent = [value for report in reports if (value := report[name]) is not None]
        positive = [value for value in sent if value]

        assert (positive or sent or [None])[-1] == count


@pytest.mark.parametrize(("first", "last"), [*product([(9, 4), (9, 1)], [(0, 0), (0, 4), (9, 0)])])
def test_a_server_that_fills_unknown_counts_with_zeros_loses_none(
    first: tuple[int, int], last: tuple[int, int]
) -> None:
    """The total, which was summed up with the zeros, has the counts that these stand for."""
    prompt, completion = last[0] or first[0], last[1] or first[1]

    assert (prompt, completion, prompt + completion) == _usage(_chat(_openai(*first), _openai(*last)))


def test_a_smaller_count_replaces_a_larger_one() -> None:
    """Counts may fall, such as those of a prompt that was counted more exactly at the end."""
    assert (5, 2, 7) == _usage(_chat(_openai(9, 4), _openai(5, 2)))


def test_a_zero_stays_where_nothing_was_counted() -> None:
    """A zero is a count: only one that contradicts an earlier count is none."""
    assert (0, 3, 3) == _usage(_chat(_openai(0, 0), _openai(0, 3)))


def test_each_event_reports_what_the_message_counts() -> None:
    """A reader that merges the reports itself gets the same counts as the message has."""
    body = _chat(_openai(9, 4, prompt_tokens_details={"cached_tokens": 6}), _openai(0, 0, cached_tokens=0))
    reports = [event.usage for event in Stream(body) if isinstance(event, UsageUpdate)]

    assert (None, None, None) == (
        reports[-1].input_tokens,
        reports[-1].output_tokens,
        reports[-1].cached_tokens,
    )
    assert {"prompt_tokens": 0, "completion_tokens": 0} == {
        name: reports[-1].provider_data[name] for name in ("prompt_tokens", "completion_tokens")
    }


def test_a_refusal_may_take_back_the_output() -> None:
    """Anthropic counts no output of an answer that it refuses; its gateways in the form of chat, neither."""
    refused = _anthropic(
        {"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 0}, reason="refusal"
    )

    assert (9, 0, None) == _usage(refused)
    assert (9, 0, 9) == _usage(_chat(_openai(9, 1), _openai(9, 1), _openai(9, 0), finish="refusal"))


def test_a_compaction_replaces_the_counts_of_the_start() -> None:
    """The tokens of the compaction are in `iterations` alone, so nothing may be left beside them."""
    compaction = {"type": "compaction", "input_tokens": 900, "output_tokens": 30}
    end = {"input_tokens": 0, "output_tokens": 7, "iterations": [compaction]}
    plain = {**end, "iterations": [{**compaction, "type": "message"}]}

    assert (0, 7, None) == _usage(_anthropic({"input_tokens": 900, "output_tokens": 1}, end))
    assert (900, 7, None) == _usage(_anthropic({"input_tokens": 900, "output_tokens": 1}, plain))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}, (9, 7, 16)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 0, "totalTokenCount": 9}, (9, 7, 16)),
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 0,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 14,
            },
            (9, 8, 17),
        ),
        ({"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}, (9, 6, 11)),
    ],
)
def test_gemini_keeps_the_answers_and_the_thoughts_counts_apart(
    last: Payload, expected: tuple[int, int, int]
) -> None:
    first = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 16}
    pieces = [("Ja", first, {}), ("", last, {"finishReason": "STOP"})]
    body = [
        sse(
            {
                "candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}, **end}],
                "usageMetadata": report,
            }
        )
        for piece, report, end in pieces
    ]
    stream = Stream(body)
    seen = [stream.message.usage.output_tokens for _ in stream]

    assert expected == _usage(body)
    assert 0 not in seen


@pytest.mark.parametrize("later", [_openai(-1, -1), _openai(0, -1), {**_openai(-1, 0), "total_tokens": -1}])
def test_a_negative_number_is_no_count_either(later: Payload) -> None:
    """Some servers send -1 for what they do not know; the report itself is kept."""
    usage = Stream(_chat(_openai(9, 7), later)).final().usage

    assert (9, 7, 16) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert later == usage.provider_data


_WRITTEN = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "openai-completions",
    "anthropic",
    "gemini",
    "gemini-interactions",
    "gemini-live",
    "bedrock-converse",
    "cohere",
    "ollama",
    "ui-message",
    "ag-ui",
)
_NUMBER = re.compile(rb'(okens?|[cC]ount)(":\s*)(\d+)')


@in_one_test("format", _WRITTEN)
def test_a_count_may_be_written_as_text(format: Any) -> None:
    """Libraries write an integer of 64 bits as text."""
    answer = testing.script().text("Ja").usage(input_tokens=12, output_tokens=3).finish("stop")
    body = b"".join(answer.chunks(format))
    if format == "bedrock-converse":
        # The frames of the binary framing have checksums.
        frames: Any = frames_of(body)
        body = b"".join(sse({frame.event: json.loads(frame.payload)}) for frame in frames)
    for written in (rb'\1\2"\3"', rb"\1\2\3.0"):
        usage = Stream([_NUMBER.sub(written, body)], format=format).final().usage

        assert (12, 3) == (usage.input_tokens, usage.output_tokens)


@in_one_test(
    "empty", [{}, {"input_tokens": None}, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}]
)
def test_counts_beside_a_response_are_read_where_those_in_it_say_nothing(empty: Payload) -> None:
    for kind, end in (("response", "response.completed"), ("realtime.response", "response.done")):
        head = {"id": "r", "object": kind, "output": []}
        start = {"type": "response.created", "response": {**head, "status": "in_progress"}}
        told = {"type": end, "response": {**head, "status": "completed", "usage": empty}}
        body = [sse(start), sse({**told, "usage": {"input_tokens": 12, "output_tokens": 3}})]
        name: Any = "openai-realtime" if kind.startswith("real") else "openai-responses"
        stream = Stream(body, format=name)

        assert (12, 3) == (stream.final().usage.input_tokens, stream.message.usage.output_tokens)
        assert 1 == stream.departures.details["usage_misplaced"]


def test_the_counts_of_a_response_may_come_before_its_end() -> None:
    response = {"id": "r", "object": "response", "output": []}
    usage = {"prompt_tokens": 12, "completion_tokens": 3}
    body = [
        sse({"type": "response.created", "response": {**response, "status": "in_progress", "usage": None}}),
        sse(
            {
                "type": "response.in_progress",
                "response": {**response, "status": "in_progress", "usage": usage},
            }
        ),
        sse({"type": "response.completed", "response": {**response, "status": "completed", "usage": None}}),
    ]

    assert (12, 3, None) == _usage(body)


def test_counts_in_a_delta_are_those_of_the_answer() -> None:
    body = [chat({"content": "Ja"}), chat({"usage": _openai(12, 3)}, "stop"), DONE]

    assert (12, 3, 15) == _usage(body)
