"""Lines of coding agents that are rare: broken answers, missing ids, other versions, last words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.agents.claude_code import INIT, calls, ended, returned, said, words
from tests.steps.agents.support import body_of, follow, tools_of
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.events import StepUpdate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_THREAD = {"type": "thread.started", "thread_id": "t"}
_USAGE = {"input_tokens": 9, "output_tokens": 2}


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"item.{kind}", "item": fields}


def test_an_answer_whose_provider_has_broken_off_is_truncated() -> None:
    """Claude Code closes it with the events of a whole answer, and asks anew; it has counted both."""
    run, _, error = follow(body_of("claude-code-own-broken-answer"))
    (turn,) = run.turns

    assert error is None
    assert [message.ending for message in turn.step.messages] == ["truncated", "complete"]
    assert (turn.result, turn.usage.output_tokens) == ("The whole answer.", 16)


def test_the_tokens_are_counted_once_if_only_the_last_answer_is_whole() -> None:
    """Claude Code makes such a message itself if its provider fails."""
    start = {"id": "m1", "content": [], "usage": {"input_tokens": 10, "output_tokens": 0}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    lines = [
        INIT,
        *[{"type": "stream_event", "event": event, "session_id": "s"} for event in events],
        said("own", words("API Error")),
        ended("API Error", is_error=True, usage={"input_tokens": 10, "output_tokens": 4}),
    ]

    run, _, _ = follow(lines)

    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (10, 4)


def test_messages_without_ids_are_parted_by_the_results_of_tools() -> None:
    """Amp and other programs print messages without ids."""
    lines = [INIT, said(None, calls("c")), returned("c", "a.txt"), said(None, words("One.")), ended("One.")]

    run, _, _ = follow(lines, agent="amp")

    messages = run.turns[0].step.messages
    assert [message.text for message in messages] == ["", "One."]
    assert [message.finish_reason for message in messages] == ["tool_calls", "stop"]


def test_text_of_an_agent_whose_call_is_not_known_is_not_that_of_the_main_agent() -> None:
    """A session that is resumed may have agents that earlier turns have begun."""
    (turn,) = follow([INIT, said(None, words("Still here."), parent="earlier"), ended()])[0].turns

    assert turn.step.messages == ()
    assert [message.text for message in turn.step.steps[0].messages] == ["Still here."]


def test_a_turn_of_a_session_that_goes_on_has_its_own_cost() -> None:
    """Of `claude --resume`, the first result has the cost of the earlier turns in its total."""
    spent = {"opus": {"costUSD": 0.25}, "haiku": {"costUSD": 0.5}}

    run, _, _ = follow([INIT, ended(total_cost_usd=3.0, model_usage_since_last_result=spent)])

    assert [turn.cost for turn in run.turns] == [0.75]


def test_what_codex_has_searched_for_is_reported_at_the_end_of_the_search() -> None:
    """The line that begins it has an empty query."""
    lines = [
        _THREAD,
        item("started", id="w", type="web_search", query=""),
        item("completed", id="w", type="web_search", query="tides"),
        {"type": "turn.completed", "usage": _USAGE},
    ]

    (step,) = follow(lines)[0].turns[0].step.steps

    assert step.cause is not None
    assert step.cause.arguments == {"query": "tides"}
    assert step.updates["call"]["arguments"] == {"query": "tides"}


def test_the_tasks_of_codex_are_a_plan() -> None:
    tasks = [{"text": "Look", "completed": True}, {"text": "Say", "completed": False}]
    lines = [
        _THREAD,
        item("started", id="p", type="todo_list", items=[{"text": "Look", "completed": False}]),
        item("updated", id="p", type="todo_list", items=tasks),
        item("completed", id="m", type="agent_message", text="One."),
        item("completed", id="p", type="todo_list", items=tasks),
        {"type": "turn.completed", "usage": _USAGE},
    ]

    run = follow(lines)[0]
    turn = run.turns[0].step

    # The last line repeats the plan.
    assert len([event for event in run.events() if isinstance(event, StepUpdate)]) == 2
    assert turn.updates["plan"]["entries"] == [
        {"content": "Look", "status": "completed"},
        {"content": "Say", "status": "pending"},
    ]
    assert [message.finish_reason for message in turn.messages] == ["stop"]


def test_items_of_codex_without_ids_are_all_read() -> None:
    """Two messages are two answers, and two commands are two tools; the type may have its older name."""
    lines = [
        _THREAD,
        item("completed", item_type="assistant_message", text="First."),
        item("started", item_type="command_execution", command="ls"),
        item("completed", item_type="command_execution", command="ls", exit_code=0, aggregated_output="a"),
        item("completed", item_type="command_execution", command="pwd", exit_code=1, aggregated_output="b"),
        item("completed", item_type="assistant_message", text="Second."),
        {"type": "turn.completed", "usage": _USAGE},
    ]

    turn = follow(lines)[0].turns[0].step

    assert [message.text for message in turn.messages] == ["First.", "Second."]
    assert tools_of(turn) == [("shell", "done", "a"), ("shell", "failed", "b")]


def test_the_last_error_that_an_agent_has_reported_is_in_the_error() -> None:
    """A line of the type `error` ends no turn, and may be the last one."""
    complaint = {"type": "error", "message": "no such key"}
    started = {"type": "init", "timestamp": "2026-01-01T00:00:00Z", "session_id": "s"}

    cut = follow([_THREAD, {"type": "turn.started"}, complaint])[2]
    before_a_turn = follow([_THREAD, complaint])[2]
    gone = follow([_THREAD, complaint], exit_code=1)[2]
    gemini = follow([started, complaint])[2]

    assert isinstance(cut, StreamTruncated)
    assert isinstance(before_a_turn, ProviderError)
    assert isinstance(gone, ProviderError)
    assert [str(each).endswith(": no such key") for each in (cut, before_a_turn, gone, gemini)] == [True] * 4
    assert "exit code 1" in str(gone)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_objects_that_end_in_the_middle_of_a_turn_are_an_error_like_lines(*, asynchronous: bool) -> None:
    lines = [_THREAD, {"type": "turn.started"}, item("completed", id="m", type="agent_message", text="Half")]

    async def read(run: Steps) -> None:
        async def events() -> AsyncIterator[dict[str, Any]]:
            for line in lines:
                yield line

        async for _ in run.follow(events()):
            pass

    with Steps() as run, pytest.raises(StreamTruncated) as caught:
        if asynchronous:
            asyncio.run(read(run))
        list(run.follow(line for line in lines))

    assert caught.value.partial.text == "Half"
    assert [turn.state for turn in run.turns] == ["failed"]


def test_the_pieces_of_a_newer_pi_are_read_as_they_come() -> None:
    head = {"role": "assistant", "model": "m", "timestamp": 1}

    def piece(kind: str, place: int, text: str) -> dict[str, Any]:
        event = {"type": f"{kind}_delta", "contentIndex": place, "delta": text}
        return {"type": "message_update", "assistantMessageEvent": event}

    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Two, three."}]
    lines: list[dict[str, Any]] = [
        {"type": "session", "version": 3, "id": "s", "cwd": "/home/user/work"},
        {"type": "agent_start"},
        {"type": "message_start", "message": {**head, "content": [], "stopReason": "pending"}},
        piece("thinking", 0, "Hm."),
        piece("text", 1, "Two, "),
        piece("text", 1, "three"),
        {"type": "message_end", "message": {**head, "content": content, "stopReason": "stop"}},
        {"type": "agent_end", "messages": []},
        {"type": "agent_settled"},
    ]

    cut, _, error = follow(lines[:6])
    (turn,) = follow(lines)[0].turns

    assert isinstance(error, StreamTruncated)
    assert cut.turns[0].step.text == "Two, three"
    assert (turn.state, turn.result) == ("done", "Two, three.")
    assert [message.reasoning for message in turn.step.messages] == ["Hm."]


def test_the_counts_of_a_killed_run_are_the_highest_of_each_message() -> None:
    """Each line of a message has the counts so far; lines of a subagent may come between them."""
    lines = [
        INIT,
        said("m1", words("Ebb"), usage={"input_tokens": 10, "output_tokens": 1}),
        said("s1", words("Tern"), parent="t", usage={"input_tokens": 5, "output_tokens": 2}),
        said("m1", calls("c"), usage={"input_tokens": 10, "output_tokens": 30}),
        said("m1", calls("d"), usage={"input_tokens": 10, "output_tokens": 12}),
        said("s1", words("Gull"), parent="t", usage={"input_tokens": 5, "output_tokens": 8}),
    ]

    (turn,) = follow(lines)[0].turns

    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (15, 38)


def test_gemini_cli_may_tell_why_it_failed_before_the_result() -> None:
    """Gemini CLI writes no error in the result after four answers that broke off."""
    lines: list[dict[str, Any]] = [
        {"type": "init", "timestamp": "2026-01-01T00:00:00Z", "session_id": "s"},
        {"type": "message", "role": "assistant", "content": "Half ", "delta": True},
        {"type": "error", "severity": "error", "message": "Model stream ended without a finish reason."},
        {"type": "result", "status": "error", "stats": {"output_tokens": 16}},
    ]

    (turn,) = follow(lines)[0].turns

    assert (turn.state, turn.step.text, turn.usage.output_tokens) == ("failed", "Half ", 16)
    assert str(turn.error).endswith(": Model stream ended without a finish reason.")


_HALF = {"role": "assistant", "timestamp": 1, "content": [{"type": "text", "text": "Half"}]}
_TASK = {"taskId": "t", "contextId": "c"}
_CANCELLED: dict[str, list[dict[str, Any]]] = {
    "A2A": [
        {"artifactUpdate": {**_TASK, "artifact": {"artifactId": "a", "parts": [{"text": "Half"}]}}},
        {"statusUpdate": {**_TASK, "status": {"state": "TASK_STATE_CANCELED"}}},
    ],
    "Pi": [
        {"type": "agent_start"},
        {"type": "message_start", "message": _HALF},
        {"type": "message_end", "message": {**_HALF, "stopReason": "aborted"}},
        {"type": "agent_end"},
    ],
    "opencode": [
        {"type": "text", "sessionID": "s", "part": {"id": "p", "type": "text", "text": "Half"}},
        {"type": "error", "sessionID": "s", "error": {"name": "MessageAbortedError", "data": {}}},
    ],
    "ACP": [
        {
            "method": "session/update",
            "params": {
                "sessionId": "s",
                "update": {
                    "sessionUpdate": "agent_message_chunk",
                    "content": {"type": "text", "text": "Half"},
                },
            },
        },
        {"id": 1, "result": {"stopReason": "cancelled"}},
    ],
}


@in_one_test("lines", _CANCELLED.values(), ids=_CANCELLED.keys())
def test_a_turn_that_was_cancelled_is_stopped(lines: list[dict[str, Any]]) -> None:
    run, _, error = follow(lines)

    assert error is None
    assert [(turn.state, turn.step.text, turn.result) for turn in run.turns] == [("stopped", "Half", "Half")]
