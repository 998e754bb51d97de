"""Runs of pydantic-ai, of objects with its shapes; tests/compare/frameworks has the package itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.steps.follow.support import follow
from tests.support.tables import in_one_test

if TYPE_CHECKING:
    import pytest


def _object(name: str, module: str = "pydantic_ai.messages", **fields: Any) -> Any:
    return type(name, (SimpleNamespace,), {"__module__": module})(**fields)


def _event(kind: str, **fields: Any) -> Any:
    return _object("Event", event_kind=kind, **fields)


def _part(kind: str, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(part_kind=kind, **fields)


def _node(name: str, **fields: Any) -> Any:
    module = "pydantic_graph.basenode" if name == "End" else "pydantic_ai._agent_graph"
    return _object(name, module, **fields)


def _usage(input_tokens: int, output_tokens: int, cached: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached, cache_write_tokens=0
    )


TEXT, FILE = _part("text", content="Hel"), _part("file", content=None)
CALL = _part("tool-call", tool_name="search", tool_call_id="c1", args={"q": 1})
LO = SimpleNamespace(part_delta_kind="text", content_delta="lo")
UNKNOWN = SimpleNamespace(part_delta_kind="speech")
BEGUN = [
    _event("part_start", index=0, part=TEXT),
    _event("part_delta", index=0, delta=LO),
    _event("part_delta", index=0, delta=UNKNOWN),
    _event("part_end", index=0, part=TEXT),
    _event("part_start", index=1, part=FILE),
    _event("part_end", index=1, part=FILE),
]
"""An answer before its end."""


def test_an_answer_follows_another_without_a_call_between_them() -> None:
    """The result of the first answer was refused; the counts add up to those of the run."""
    result = SimpleNamespace(output="Hello", usage=_usage(9, 2, 4))
    odd = _event("tool_availability_delta")
    run = follow([odd, *BEGUN, *BEGUN, _event("agent_run_result", result=result)])

    (turn,) = run.turns
    assert [message.text for message in turn.step.messages] == ["Hello", "Hello"]
    assert (turn.result, run.total_usage) == ("Hello", turn.usage)
    assert (turn.usage.input_tokens, turn.usage.output_tokens, turn.usage.cached_tokens) == (9, 2, 4)


def test_an_answer_that_begins_anew_was_cut() -> None:
    result = SimpleNamespace(output="Hello", usage=_usage(9, 2))
    run = follow([*BEGUN[:2], *BEGUN, _event("agent_run_result", result=result)])

    assert [(message.text, message.ending) for message in run.turns[0].step.messages] == [
        ("Hello", "truncated"),
        ("Hello", "complete"),
    ]


def test_a_run_that_is_cut_has_failed() -> None:
    run = follow(BEGUN)

    (turn,) = run.turns
    assert (turn.state, turn.step.messages[0].ending, turn.result) == ("failed", "truncated", None)


@in_one_test(
    "returned, state",
    [
        (_part("tool-return", tool_call_id="c1", content="found", outcome="success"), "done"),
        (_part("tool-return", tool_call_id="c1", content="no", outcome="failed"), "failed"),
        (_part("retry-prompt", tool_call_id="c1", content="no"), "failed"),
    ],
)
def test_the_nodes_of_a_run_have_whole_answers(returned: Any, state: str) -> None:
    asked = SimpleNamespace(
        parts=[TEXT, FILE, CALL], model_name="m", usage=_usage(5, 3), finish_reason="tool_call"
    )
    cut = SimpleNamespace(parts=[TEXT], model_name="m", usage=_usage(7, 2), finish_reason="length")
    run = follow(
        [
            _node("UserPromptNode"),
            _node("ModelRequestNode", request=SimpleNamespace(parts=[_part("user-prompt", content="?")])),
            _node("CallToolsNode", model_response=asked),
            _node("ModelRequestNode", request=SimpleNamespace(parts=[returned])),
            _node("CallToolsNode", model_response=cut),
            _node("End", data=SimpleNamespace(output="Hel")),
        ]
    )

    (turn,) = run.turns
    assert [(message.text, message.model, message.finish_reason) for message in turn.step.messages] == [
        ("Hel", "m", "tool_calls"),
        ("Hel", "m", "length"),
    ]
    assert (turn.result, turn.usage.input_tokens, turn.usage.output_tokens) == ("Hel", 12, 5)
    assert [(tool.name, tool.cause and tool.cause.arguments, tool.state) for tool in turn.step.steps] == [
        ("search", {"q": 1}, state)
    ]


def test_a_resumed_run_has_the_answers_since_then() -> None:
    asked = SimpleNamespace(parts=[TEXT, CALL], model_name="m", usage=_usage(5, 3), finish_reason="tool_call")
    said = SimpleNamespace(parts=[TEXT], model_name="m", usage=_usage(7, 2), finish_reason="stop")
    returned = {"tool_name": "search", "tool_call_id": "c1", "content": "found", "outcome": "success"}
    request = SimpleNamespace(parts=[_part("tool-return", **returned)])
    run = follow(
        [
            _node("UserPromptNode"),
            _node("CallToolsNode", model_response=asked),
            _node("ModelRequestNode", request=request),
            _node("CallToolsNode", model_response=said),
            _node("End", data=SimpleNamespace(output="Hel")),
        ]
    )

    (turn,) = run.turns
    assert [message.finish_reason for message in turn.step.messages] == ["stop"]
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (7, 2)
    assert [(tool.name, tool.state, tool.result) for tool in turn.step.steps] == [("search", "done", "found")]


def test_an_object_that_is_not_as_expected_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    run = follow([*BEGUN, _event("part_start", index=2)])

    assert [turn.state for turn in run.turns] == ["stopped"]
    assert "not followed any further" in caplog.text
