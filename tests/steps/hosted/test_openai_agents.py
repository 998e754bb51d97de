"""Runs of OpenAI's hosted agents, from the events of their sessions."""

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

TEXT, SUBAGENTS, TWO_TURNS = (
    events_of(f"openai-agents/{name}") for name in ("text", "subagents", "two_turns")
)


def test_a_turn_has_its_text_and_its_commands() -> None:
    """The result is the last text; those before it are comments."""
    run = follow(TEXT)

    (turn,) = run.turns
    (command,) = turn.step.steps
    assert (turn.state, turn.result, turn.step.text) == (
        "done",
        "All pass.",
        "I will run the tests.All pass.",
    )
    assert (command.name, command.state, command.output) == ("command_execution", "done", "1 passed\n")
    assert command.result == {"output": "1 passed\n", "exit_code": 0}
    assert command.cause is not None
    assert command.cause.arguments == {"command": "pytest -q", "cwd": "/workspace"}
    assert (turn.usage.output_tokens, run.total_usage.output_tokens) == (90, 90)
    assert (run.agent, run.session, turn.session) == ("openai-agents", "sess_6a1f", "sess_6a1f")


def test_a_subagent_is_a_step_with_its_own_text_and_tools() -> None:
    """The call that has created it is its cause; its tokens are added to those of the run."""
    run = follow(SUBAGENTS)

    assert tree(run) == [
        (
            "openai-agents",
            "done",
            "I will ask.The answer is 42.",
            [
                ("scout", "done", "It is 42.", [("lookup", "done", "", [])]),
                ("wait_for_subagents", "done", "", []),
            ],
        )
    ]
    scout = run.steps[0].steps[0]
    assert scout.cause is not None
    assert (scout.cause.id, scout.agent, scout.steps[0].result) == ("cs_1", "scout", "42")
    assert (run.turns[0].usage.output_tokens, run.total_usage.output_tokens) == (60, 60)


def test_the_run_says_what_the_session_waits_for() -> None:
    """It says so until the session goes on."""
    waited = []
    with Steps() as run:
        for event in run.follow(TWO_TURNS):
            waited.append((event["type"].rpartition(".")[2], [each.id for each in run.waiting]))

    assert [word for word, ids in waited if ids] == ["requires_action"]
    assert ["call_1"] in [ids for _, ids in waited]
    assert [turn.result for turn in run.turns] == ["It rains.", "Bye."]
    assert [step.result for step in run.steps[0].steps] == ["rain"]


@pytest.mark.parametrize(
    ("word", "error", "expected"),
    [
        ("failed", {"code": "server_error", "message": "oh no"}, "oh no"),
        ("cancelled", None, "the turn was cancelled"),
    ],
)
def test_a_turn_that_did_not_complete_has_failed(word: str, error: Any, expected: str) -> None:
    end = {
        **TEXT[-2],
        "type": f"agent.session.turn.{word}",
        "turn": {**TEXT[-2]["turn"], "status": word, "error": error},
    }
    run = follow([*TEXT[:-2], end])

    (turn,) = run.turns
    assert turn.state == "failed"
    assert expected in str(turn.error)
    assert turn.usage.output_tokens == 90


def test_a_command_that_fails_is_a_failed_step() -> None:
    """The turn goes on all the same."""
    events = [
        {**each, "item": {**each["item"], "exit_code": 2, "status": "failed"}}
        if each.get("item", {}).get("id") == "cmd_1" and each["type"].endswith("done")
        else each
        for each in TEXT
    ]
    run = follow(events)

    assert [(step.state, step.error) for step in run.steps[0].steps] == [("failed", "exit code 2")]
    assert run.turns[0].state == "done"


@pytest.mark.parametrize("name", ["text", "subagents", "two_turns"])
def test_a_turn_without_its_end_has_failed(name: str) -> None:
    """Cut at each event; between turns, nothing is missing."""
    events = events_of(f"openai-agents/{name}")
    is_open = False
    for length, event in enumerate(events):
        run = follow(events[:length]) if length else Steps()
        cut = "waiting" if run.waiting else "failed"
        assert [turn.state == cut for turn in run.turns][-1:] == ([is_open] if run.turns else [])
        turn = event.get("turn", {})
        if event["type"].startswith("agent.session.turn.") and turn and not turn["subagent_id"]:
            is_open = not event["type"].endswith("completed")


@in_one_test("name", ["text", "subagents", "two_turns"])
@in_one_test("seed", range(5))
def test_events_that_come_again_change_nothing(name: str, seed: int) -> None:
    """At once or later: they have ids."""
    events, source = events_of(f"openai-agents/{name}"), random.Random(seed)
    doubled: list[Any] = []
    for each in events:
        doubled += [each, *source.sample(doubled, min(len(doubled), 2)), each]

    assert told(follow(doubled)) == told(follow(events))


@pytest.mark.parametrize("name", ["text", "subagents", "two_turns"])
def test_the_sdks_objects_are_passed_on_and_read(name: str) -> None:
    """They are those of a subscription to the events of a session."""
    module: Any = needed("openai.types.beta.agent_session_event")
    events = events_of(f"openai-agents/{name}")
    union, _ = get_args(module.AgentSessionEvent)

    assert told(follow(objects_of(union, events))) == told(follow(events))
