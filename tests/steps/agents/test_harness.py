"""Runs of AgentCore's InvokeHarness, as boto3 gives their events."""

from __future__ import annotations

from typing import Any

from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import StreamError, StreamTruncated

Event = dict[str, Any]


def message(role: str, reason: str, *blocks: list[Event]) -> list[Event]:
    """Return the events of a message."""
    events: list[Event] = [{"messageStart": {"role": role}}]
    for index, block in enumerate(blocks):
        events += [
            {kind: {**event, "contentBlockIndex": index}} for each in block for kind, event in each.items()
        ]
        events.append({"contentBlockStop": {"contentBlockIndex": index}})
    return [*events, {"messageStop": {"stopReason": reason}}]


def text(*pieces: str) -> list[Event]:
    return [{"contentBlockDelta": {"delta": {"text": piece}}} for piece in pieces]


def call(*pieces: str, **fields: str) -> list[Event]:
    start = {"toolUse": {"toolUseId": "t1", "name": "transfer", **fields}}
    return [
        {"contentBlockStart": {"start": start}},
        *[{"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}}} for piece in pieces],
    ]


def result(status: str, *contents: Event) -> list[Event]:
    start = {"toolResult": {"toolUseId": "t1", "status": status}}
    return [
        {"contentBlockStart": {"start": start}},
        {"contentBlockDelta": {"delta": {"toolResult": list(contents)}}},
    ]


HOOK: Event = {
    "hookEvent": {"hookEventId": "h", "name": "n", "type": "before_tool_call", "decision": "allow"}
}
METADATA: Event = {
    "metadata": {
        "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13},
        "metrics": {"latencyMs": 1},
    }
}
ASKS = message(
    "assistant", "tool_use", text("Let me ", "look. "), call('{"usd"', ": 100}", type="server_tool_use")
)
TELLS = message("user", "tool_result", result("success", {"text": "sent"}, {"json": {"id": 1}}))
DONE = message("assistant", "end_turn", text("Done."))
WHOLE = [*ASKS, HOOK, *TELLS, *DONE, METADATA]


def followed(events: list[Event]) -> tuple[Steps, StreamError | None]:
    """Follow a run to its end; its first events may also be of an answer, so the agent is named."""
    run = Steps()
    try:
        with run:
            for _ in run.follow(events, agent="agentcore-harness"):
                pass
    except StreamError as error:
        return run, error
    return run, None


def test_a_run_is_a_turn_with_its_answers_and_tools() -> None:
    """The tool runs at AWS, between two answers, and the counts are those of the run."""
    run, error = followed(WHOLE)

    [turn] = run.turns
    assert (run.agent, error, turn.state, turn.result) == ("agentcore-harness", None, "done", "Done.")
    assert [message.text for message in turn.step.messages] == ["Let me look. ", "Done."]
    [tool] = turn.step.steps
    assert (tool.name, tool.state, tool.result) == ("transfer", "done", 'sent{"id": 1}')
    assert tool.cause is not None
    assert tool.cause.arguments == {"usd": 100}
    assert turn.usage is not None
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (9, 4)


def test_no_cut_is_a_complete_run() -> None:
    """Not even between two messages; only the counts at the end may be missing."""
    for end in range(1, len(WHOLE) - 1):
        run, error = followed(WHOLE[:end])

        assert isinstance(error, StreamTruncated), end
        assert run.turns[-1].state == "failed", end
    assert followed(WHOLE[:-1])[1] is None


def test_a_run_that_ends_with_a_call_is_complete_with_its_counts() -> None:
    """The caller is to run the tool; without the counts, the run may have been cut."""
    asks = message("assistant", "tool_use", call("{}", type="tool_use"))

    run, error = followed([*asks, METADATA])
    assert (error, run.turns[-1].state) == (None, "done")
    assert isinstance(followed(asks)[1], StreamTruncated)


@in_one_test(
    "reason, state",
    [
        ("end_turn", "done"),
        ("max_tokens", "done"),
        ("partial_turn", "done"),
        ("interrupted", "failed"),
        ("max_iterations_exceeded", "failed"),
        ("timeout_exceeded", "failed"),
        ("hook_stopped", "failed"),
    ],
)
def test_the_stop_reason_tells_how_a_run_has_ended(reason: str, state: str) -> None:
    """A run that was stopped has failed, with its reason in the error, and keeps its answer."""
    run, _ = followed([HOOK, *message("assistant", reason, text("Hi")), METADATA])

    [turn] = run.turns
    assert (turn.state, turn.step.messages[-1].text) == (state, "Hi")
    if state == "failed":
        assert turn.error is not None
        assert turn.error.endswith(f"the run has ended: {reason}")


@in_one_test("name", ["internalServerException", "validationException", "runtimeClientError"])
def test_an_exception_in_the_stream_fails_the_turn(name: str) -> None:
    """Its message is that of the error."""
    run, _ = followed([HOOK, *ASKS, {name: {"message": "no"}}])

    [turn] = run.turns
    assert turn.state == "failed"
    assert turn.error == "ProviderError: agentcore-harness reports an error: no"


def test_a_tool_that_failed_is_a_failed_step() -> None:
    """The result of a tool says that it failed, and the model goes on with that."""
    failed = message("user", "tool_result", result("error", {"text": "no money"}))
    run, error = followed([*ASKS, *failed, *DONE])

    [tool] = run.turns[0].step.steps
    assert (error, tool.state, str(tool.error)) == (None, "failed", "no money")


HALF: list[Event] = [{"messageStart": {"role": "assistant"}}, *text("half")]


def test_a_message_that_begins_breaks_the_one_before() -> None:
    """An answer without its end is truncated, and no part of the next one."""
    run, error = followed([*HALF, *message("assistant", "end_turn", text("other")), METADATA])

    [turn] = run.turns
    assert (error, turn.state, turn.result) == (None, "done", "other")
    told = [(message.text, message.ending) for message in turn.step.messages]
    assert told == [("half", "truncated"), ("other", "complete")]


@in_one_test("after", [[METADATA], DONE, []])
def test_a_run_that_failed_ends_with_its_counts(after: list[Event]) -> None:
    """They follow the stop reason, as in a run that is done; they may be missing, too."""
    run, error = followed([*message("assistant", "timeout_exceeded", text("Hi")), *after])

    turn = run.turns[0]
    assert (error, turn.state, len(run.turns)) == (None, "failed", 2 if after is DONE else 1)
    assert str(turn.error).endswith("the run has ended: timeout_exceeded")
    if after == [METADATA]:
        assert turn.usage is not None
        assert (turn.usage.input_tokens, turn.usage.output_tokens) == (9, 4)


@in_one_test("counts", [[], [METADATA]])
@in_one_test(
    "late",
    [
        text("late"),
        call("{}", type="tool_use"),
        [{"contentBlockStop": {"contentBlockIndex": 0}}],
        [{"messageStop": {"stopReason": "tool_use"}}],
        [{"internalServerException": {"message": "no"}}],
        [HOOK],
    ],
)
def test_what_comes_after_the_end_begins_no_turn(late: list[Event], counts: list[Event]) -> None:
    """Only a message begins one; a turn that is done stays as it is."""
    run, error = followed([*DONE, *counts, *late, METADATA])

    [turn] = run.turns
    assert (error, turn.state, turn.result) == (None, "done", "Done.")
    assert [(message.text, message.ending) for message in turn.step.messages] == [("Done.", "complete")]
    assert turn.usage is not None
    assert not turn.step.steps


def test_what_the_user_has_said_is_no_answer() -> None:
    """A message of the user may have words beside the results of tools."""
    told = message("user", "tool_result", text("I am the user."), result("success", {"text": "sent"}))
    run, error = followed([*ASKS, *told, *DONE, METADATA])

    assert (error, [message.text for message in run.turns[0].step.messages]) == (
        None,
        ["Let me look. ", "Done."],
    )
