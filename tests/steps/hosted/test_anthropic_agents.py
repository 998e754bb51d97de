"""Runs of Anthropic's Managed Agents, from the events of their sessions."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest

from tests.steps.hosted.support import follow, objects_of, tree
from tests.steps.told import told
from tests.support.packages import needed
from tests.support.recordings import events_of
from tests.support.tables import in_one_test
from tokenstream import Steps

TOOLS, CUSTOM_TOOL, THREADS = (
    events_of(f"anthropic-agents/{name}") for name in ("tools", "custom_tool", "threads")
)


def test_a_turn_has_its_text_and_its_tools() -> None:
    run = follow(TOOLS)

    (turn,) = run.turns
    assert (run.agent, turn.state, turn.result) == ("anthropic-agents", "done", "One passed, one failed.")
    assert turn.step.text == "I will run two commands.One passed, one failed."
    first, second = turn.step.steps
    assert (first.name, first.state, first.result) == ("bash", "done", "1 passed")
    assert first.cause is not None
    assert first.cause.arguments == {"command": "pytest -q"}
    assert (second.state, second.error) == ("failed", "exit code 1")
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (32, 43)
    assert run.total_usage.output_tokens == 43


def test_a_turn_goes_on_with_what_it_has_waited_for() -> None:
    """The run says what that is, until it is there."""
    waited = []
    with Steps() as run:
        for event in run.follow(CUSTOM_TOOL):
            waited.append((event["type"], [each.request for each in run.waiting]))

    assert [(kind, request) for kind, request in waited if request] == [
        ("session.status_idle", [{"event_id": "use_1", "name": "get_weather"}])
    ]
    (turn,) = run.turns
    assert [message.text for message in turn.step.messages] == ["I will look.", "It rains."]
    assert tree(turn.step) == [("get_weather", "done", "", [])]
    assert (turn.result, turn.usage.output_tokens) == ("It rains.", 14)


@pytest.mark.parametrize("reason", [{}, {"event_ids": []}], ids=["left out", "empty"])
def test_a_turn_waits_for_its_tools_also_where_the_event_names_none(reason: dict[str, Any]) -> None:
    """Being idle is the end of a turn only with another reason than `requires_action`."""
    index = next(n for n, each in enumerate(CUSTOM_TOOL) if each["type"] == "session.status_idle")
    idle = {**CUSTOM_TOOL[index], "stop_reason": {"type": "requires_action", **reason}}
    with Steps() as run:
        list(run.follow([*CUSTOM_TOOL[:index], idle]))
        assert (["use_1"], "waiting") == ([each.id for each in run.waiting], run.turns[-1].state)
    with Steps() as run:
        list(run.follow([*CUSTOM_TOOL[:index], idle, *CUSTOM_TOOL[index + 1 :]]))

    assert ((), [("done", "It rains.")]) == (run.waiting, [(turn.state, turn.result) for turn in run.turns])


def test_another_agents_thread_is_a_step() -> None:
    run = follow(THREADS)

    assert tree(run) == [
        (
            "anthropic-agents",
            "done",
            "I will ask.The answer is 42.",
            [("scout", "done", "", [("lookup", "done", "", [])])],
        )
    ]
    (scout,) = run.steps[0].steps
    assert (scout.agent, scout.result, scout.steps[0].result) == ("scout", "It is 42.", "42")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("retries_exhausted", "no capacity"),
        ("budget_reached", "the session's budget is reached"),
        ("refusal", "the model has refused to answer"),
    ],
)
def test_a_turn_that_ends_for_another_reason_has_failed(word: str, expected: str) -> None:
    error = {"type": "model_overloaded_error", "message": "no capacity", "retry_status": {"type": "retrying"}}
    complaint = {"id": "x", "type": "session.error", "processed_at": "", "error": error}
    end = {**TOOLS[-1], "stop_reason": {"type": word}}
    run = follow([*TOOLS[:-1], complaint, end])

    (turn,) = run.turns
    assert turn.state == "failed"
    assert expected in str(turn.error)
    assert turn.usage.output_tokens == 43


def test_the_end_of_the_session_fails_its_turn() -> None:
    end = {"id": "x", "type": "session.status_terminated", "processed_at": ""}
    run = follow([*TOOLS[:6], end])

    assert [turn.state for turn in run.turns] == ["failed"]


@pytest.mark.parametrize("name", ["tools", "custom_tool", "threads"])
def test_a_turn_without_its_end_has_failed(name: str) -> None:
    """Cut at each event after the first of the turn; all text that arrived is there."""
    events = events_of(f"anthropic-agents/{name}")
    for length in range(3, len(events)):
        run = follow(events[:length])
        (turn,) = run.turns
        assert turn.state == ("waiting" if run.waiting else "failed")
        assert run.waiting or "without the line that ends a turn" in str(turn.error)
        for event in events[:length]:
            if event["type"] == "agent.message":
                assert event["content"][0]["text"] in turn.step.text


@in_one_test("name", ["tools", "custom_tool", "threads"])
@in_one_test("seed", range(5))
def test_events_that_come_again_change_nothing(name: str, seed: int) -> None:
    events, source = events_of(f"anthropic-agents/{name}"), random.Random(seed)
    doubled: list[Any] = []
    for each in events:
        kept = [other for other in doubled if "id" in other]
        doubled += [each, *source.sample(kept, min(len(kept), 2)), *([each] if "id" in each else [])]

    assert told(follow(doubled)) == told(follow(events))


def test_each_turn_of_a_session_has_its_own_tokens() -> None:
    again = [{**event, "id": f"again {event['id']}"} for event in THREADS]
    run = follow([*THREADS, *again])

    assert [turn.usage.output_tokens for turn in run.turns] == [12, 12]
    assert run.total_usage.output_tokens == 24


@pytest.mark.parametrize("name", ["tools", "custom_tool", "threads"])
def test_the_sdks_objects_are_passed_on_and_read(name: str) -> None:
    module: Any = needed("anthropic.types.beta.sessions.beta_managed_agents_stream_session_events")
    events = events_of(f"anthropic-agents/{name}")
    union, _ = get_args(module.BetaManagedAgentsStreamSessionEvents)

    assert told(follow(objects_of(union, events))) == told(follow(events))
