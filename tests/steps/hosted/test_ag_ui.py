"""Runs of agents that speak AG-UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.formats.ag_ui.support import CALL, END, HELLO, RESULT, START
from tests.formats.ag_ui.test_runs import FINISHED, STARTED, TEXT
from tests.steps.hosted.support import follow, tree
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import StreamTruncated

if TYPE_CHECKING:
    from tokenstream.steps import Step

RUN = [START, *CALL, STARTED, *TEXT, FINISHED, RESULT, *HELLO, END]
BELOW: list[Any] = [("weather", "done", "", [("scout", "done", "I look out.", [])])]


def endings_of(step: Step) -> list[tuple[str, str | None, str | None]]:
    return [(each.text, each.ending, each.finish_reason) for each in step.messages]


def test_tools_and_subagents_are_steps() -> None:
    run = follow(RUN)

    assert tree(run) == [("ag-ui", "done", "Hello", BELOW)]
    (turn,) = run.turns
    (tool,) = turn.step.steps
    assert (turn.result, turn.session, run.agent) == ("Hello", "t", "ag-ui")
    assert tool.cause is not None
    assert (tool.cause.arguments, tool.result) == ({"city": "Oslo"}, "sun")
    assert (tool.steps[0].agent, tool.steps[0].result) == ("scout", "sun")


def test_envelopes_of_tanstack_ai_are_followed() -> None:
    assert tree(follow([{"id": str(at), "chunk": event} for at, event in enumerate(RUN)])) == [
        ("ag-ui", "done", "Hello", BELOW)
    ]


def test_a_run_that_is_cut_anywhere_has_failed() -> None:
    for place in range(1, len(RUN)):
        with Steps() as run, pytest.raises(StreamTruncated):
            list(run.follow(RUN[:place]))
        assert [turn.state for turn in run.turns] == ["failed"], place


def test_steps_that_the_agent_names_are_steps() -> None:
    """Each run of a thread is a turn."""
    steps = [{"type": "STEP_STARTED", "stepName": "plan"}, {"type": "STEP_FINISHED", "stepName": "plan"}]
    run = follow([START, *steps, *HELLO, END, START, *HELLO, END])

    assert tree(run) == [
        ("ag-ui", "done", "Hello", [("plan", "done", "", [])]),
        ("ag-ui", "done", "Hello", []),
    ]


def test_a_subagent_that_fails_does_not_fail_the_run() -> None:
    """The agent may go on without it."""
    failed = {"type": "SUBAGENT_ERROR", "subagentRunId": "s", "message": "lost", "code": "c"}
    run = follow([START, {**STARTED, "parentToolCallId": None}, *TEXT, failed, *HELLO, END])

    (turn,) = run.turns
    (scout,) = turn.step.steps
    assert (turn.state, scout.state, "lost" in str(scout.error)) == ("done", "failed", True)
    assert endings_of(scout) == [("I look out.", "failed", None)]
    assert endings_of(turn.step) == [("Hello", "complete", "stop")]


INTERRUPTED = {**END, "outcome": {"type": "interrupt", "interrupts": [{"id": "i1", "reason": "approval"}]}}
_ENDS: list[tuple[dict[str, Any], str, str, str, str | None]] = [
    (END, "done", "failed", "truncated", None),
    (INTERRUPTED, "waiting", "done", "complete", "pause"),
    ({"type": "RUN_ERROR", "message": "no credit", "code": "quota"}, "failed", "failed", "truncated", None),
]


@in_one_test(("end", "state", "state_below", "ending", "reason"), _ENDS)
def test_a_subagent_that_is_open_ends_with_the_run(
    end: dict[str, Any], state: str, state_below: str, ending: str, reason: str | None
) -> None:
    run = follow([START, {**STARTED, "parentToolCallId": None}, *TEXT[:2], *HELLO, end])

    (turn,) = run.turns
    (scout,) = turn.step.steps
    assert (turn.state, turn.step.text, scout.state) == (state, "Hello", state_below)
    assert endings_of(scout) == [("I look", ending, reason)]


def test_a_tool_of_a_subagent_that_waits_for_the_user_is_not_stopped() -> None:
    """The counts of the run are not those of the subagent."""
    calls = [{**each, "subagentRunId": "s"} for each in CALL]
    usage = {"usage": [{"inputTokens": 9, "outputTokens": 4}]}
    run = follow([START, {**STARTED, "parentToolCallId": None}, *TEXT, *calls, {**INTERRUPTED, **usage}])

    assert tree(run) == [
        ("ag-ui", "waiting", "", [("scout", "done", "I look out.", [("weather", "waiting", "", [])])])
    ]
    assert run.total_usage.output_tokens == 4


def test_a_run_that_another_one_follows_without_its_end_is_cut() -> None:
    """Each has words of its own, and an end of the first one ends nothing more."""
    second = {**START, "runId": "r2"}
    end, word = {**END, "runId": "r2"}, {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m"}
    run = follow([START, {**word, "delta": "ha"}, second, {**word, "delta": "ho"}, END, end])

    assert [(turn.state, turn.step.text) for turn in run.turns] == [("failed", "ha"), ("done", "ho")]
    assert "StreamTruncated" in str(run.turns[0].step.error_type)


@in_one_test(
    "late", [END, HELLO[1], {"type": "RUN_ERROR", "message": "m"}, STARTED, START | {"type": "CUSTOM"}]
)
def test_what_comes_after_a_run_begins_no_other_one(late: dict[str, Any]) -> None:
    """Only the event that starts a run does."""
    with Steps() as run:
        list(run.follow([START, *HELLO, END, late]))

    assert tree(run) == [("ag-ui", "done", "Hello", [])]


def test_a_chunk_without_an_id_continues_the_message_of_the_chunk_before() -> None:
    text, call = {"type": "TEXT_MESSAGE_CHUNK"}, {"type": "TOOL_CALL_CHUNK"}
    mine = [{**text, "messageId": "m", "delta": "Hel"}, {**text, "delta": "lo"}]
    its = [{**text, "messageId": "w", "delta": "I look", "subagentRunId": "s"}, {**text, "delta": " out."}]
    calls = [{**call, "toolCallId": "c", "toolCallName": "weather", "delta": "{"}, {**call, "delta": "}"}]
    run = follow([START, *calls, STARTED, *its, FINISHED, *mine, RESULT, END])

    (turn,) = run.turns
    tool = next(step for step in turn.step.steps if step.name == "weather")
    scout = next(step for step in turn.step.steps if step.name == "scout")
    assert (turn.step.text, scout.text) == ("Hello", "I look out.")
    assert tool.cause is not None
    assert (tool.cause.arguments_text, tool.result) == ("{}", "sun")


def test_an_answer_that_grows_beyond_a_limit_fails_its_turn() -> None:
    """The end of the run does not make it whole."""
    calls = [{**CALL[0], "toolCallId": str(number)} for number in range(1_025)]
    run = follow([START, *calls, END])

    (turn,) = run.turns
    assert (turn.state, turn.step.error_type) == ("failed", "LimitExceeded")


def test_what_a_subagent_does_after_its_end_is_ignored() -> None:
    its = {"type": "STEP_STARTED", "stepName": "plan", "subagentRunId": "s"}
    below = {**STARTED, "subagentRunId": "u", "parentToolCallId": None, "parentSubagentRunId": "s"}
    finished = {**FINISHED, "subagentRunId": "u"}
    late = [TEXT[1], {**CALL[0], "toolCallId": "d", "subagentRunId": "s"}, {**CALL[3], "toolCallId": "d"}]

    assert tree(follow([START, *CALL, STARTED, *TEXT, FINISHED, *late, RESULT, *HELLO, END])) == [
        ("ag-ui", "done", "Hello", BELOW)
    ]
    run = follow([START, *CALL, STARTED, *TEXT, RESULT, *late, its, below, finished, FINISHED, *HELLO, END])
    [(_, state, text, [(_, _, _, [scout]), *others])] = tree(run)
    assert (state, text, scout) == ("done", "Hello", ("scout", "stopped", "I look out.", []))
    assert others == [("plan", "done", "", []), ("scout", "done", "", [])]
