"""The start of a tool call that comes again, or after the first pieces of its arguments, in every format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import Stream, testing

_ARGUMENTS = {"bird": "tern", "where": [1, {"at": "sea"}]}
_ANSWER = testing.script().text("Look. ").tool_call("ring", _ARGUMENTS).finish("tool_calls")
_NAMES = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "anthropic",
    "bedrock-converse",
    "cohere",
    "gemini-interactions",
    "ui-message",
    "ag-ui",
)


def _payloads(name: str) -> list[dict[str, Any]]:
    """Return the decoded payloads of the answer in a format."""
    if name == "bedrock-converse":
        pieces = ['{"bird": ', '"tern", "whe', 're": [1, {"at"', ': "sea"}]}']
        delta = [
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}}}
            for piece in pieces
        ]
        start = {"toolUse": {"toolUseId": "call_1", "name": "ring"}}
        return [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockStart": {"contentBlockIndex": 0, "start": start}},
            *delta,
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "tool_use"}},
        ]
    lines = b"".join(_ANSWER.chunks(name)).splitlines()
    data = [line.removeprefix(b"data:").strip() for line in lines if line.lstrip()[:1] in (b"d", b"{")]
    return [json.loads(each) for each in data if each.startswith(b"{")]


def _place_of_start(payloads: list[dict[str, Any]]) -> int:
    return next(place for place, payload in enumerate(payloads) if '"ring"' in json.dumps(payload))


def _calls(payloads: list[dict[str, Any]], name: Any) -> list[tuple[str, Any, bool]]:
    with Stream(payloads, format=name) as stream:
        handed_out = [call.arguments for call in stream.tool_calls]
        calls = stream.message.tool_calls
    return [(call.name, handed_out, call.complete) for call in calls]


@in_one_test("later", range(1, 5))
@pytest.mark.parametrize("name", _NAMES)
def test_a_start_that_comes_again_changes_nothing(name: str, later: int) -> None:
    """With the same id, it is that of the call which is open, wherever its arguments have got to."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    again = [*payloads[: start + later], payloads[start], *payloads[start + later :]]

    assert [("ring", [_ARGUMENTS], True)] == _calls(again, name)


@pytest.mark.parametrize("name", _NAMES)
def test_a_start_with_each_piece_begins_one_call(name: str) -> None:
    """A gateway may translate each fragment of another format into a start and a piece."""
    payloads = _payloads(name)
    start = _place_of_start(payloads)
    pieces = [part for payload in payloads[start + 1 : start + 5] for part in (payloads[start], payload)]

    assert [("ring", [_ARGUMENTS], True)] == _calls(
        [*payloads[:start], *pieces, *payloads[start + 5 :]], name
    )
