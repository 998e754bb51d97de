"""Agents that speak JSON-RPC, from the messages that they send: Codex's app server, and ACP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenstream import Steps
from tokenstream.errors import StreamTruncated
from tokenstream.events import StepUpdate, StepWaiting

_FOLDER = Path(__file__).parent / "recordings"


def messages_of(name: str) -> list[Any]:
    return [json.loads(line) for line in (_FOLDER / f"{name}.jsonl").read_bytes().splitlines()]


def follow(messages: list[Any], agent: str | None = None) -> Steps:
    with Steps() as run:
        list(run.follow(messages, agent=agent))
    return run


def codex(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": {"threadId": "t", "turnId": "1", **params}}


def turn(method: str, id: str = "1", **fields: Any) -> dict[str, Any]:
    return {"method": method, "params": {"threadId": "t", "turn": {"id": id, **fields}}}


def done(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return turn("turn/completed", status=status, **fields)


def acp(update_kind: str, **fields: Any) -> dict[str, Any]:
    update = {"sessionUpdate": update_kind, **fields}
    return {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": update}}


def said(text: str, id: str | None = None, kind: str = "agent_message_chunk") -> dict[str, Any]:
    """Return a piece of an ACP agent's answer."""
    return acp(kind, content={"type": "text", "text": text}, **({} if id is None else {"messageId": id}))


def answered(reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 2, "result": {"stopReason": reason, **fields}}


# -- Codex's app server ------------------------------------------------------------


@pytest.mark.parametrize("name", ["codex-server-own-app-server", "acp-own-opencode"])
def test_facts_of_the_run_are_read(name: str) -> None:
    """The session to go on with, the model, and how full its context is."""
    run = follow(messages_of(name))

    assert run.session
    assert run.model in ("gpt-5", "anthropic/claude-sonnet-4-5")
    assert (run.context_used, run.context_size) in ((170, 258_400), (305, 200_000))


@pytest.mark.parametrize("name", ["codex-server-own-app-server", "acp-own-opencode"])
def test_a_permission_request_waits_below_its_tool(name: str) -> None:
    """The request is as the agent sent it; who draws it finds the command in it."""
    run = follow(messages_of(name))
    waiting = [event for event in run.events().ready() if isinstance(event, StepWaiting)]
    tools = {step.id for step in run.turns[0].step.steps}

    assert waiting
    assert all(event.step in tools and event.request["params"] for event in waiting)


def test_codex_says_itself_that_a_request_was_answered() -> None:
    """Whoever has answered, nobody is asked any more."""
    messages = messages_of("codex-server-own-app-server")
    waiting = [event for event in follow(messages).events().ready() if isinstance(event, StepWaiting)]

    assert [(event.id, event.answered) for event in waiting] == [("0", True), ("0", True)]


def test_the_output_of_a_running_command_arrives_in_pieces() -> None:
    """An interface shows it before the command ends."""
    item = {"type": "commandExecution", "id": "c", "command": "make"}
    run = follow(
        [
            turn("turn/started"),
            codex("item/started", item={**item, "status": "inProgress"}),
            codex("item/commandExecution/outputDelta", itemId="c", delta="one\n"),
            codex("item/commandExecution/outputDelta", itemId="c", delta="two\n"),
            codex(
                "item/completed",
                item={**item, "status": "completed", "aggregatedOutput": "one\ntwo\n", "exitCode": 2},
            ),
            done(),
        ]
    )
    (tool,) = run.turns[0].step.steps

    assert (tool.output, tool.state, tool.error) == ("one\ntwo\n", "failed", "exit code 2")


def test_text_without_deltas_is_taken_from_the_whole_item() -> None:
    """Some providers behind Codex send no deltas; and where some are missing, the rest is added."""
    run = follow(
        [
            turn("turn/started"),
            codex(
                "item/completed",
                item={"type": "reasoning", "id": "r", "summary": ["One.", "Two."], "content": []},
            ),
            codex("item/completed", item={"type": "agentMessage", "id": "a", "text": "Hello."}),
            codex("item/agentMessage/delta", itemId="b", delta="Good"),
            codex("item/completed", item={"type": "agentMessage", "id": "b", "text": "Goodbye."}),
            done(),
        ]
    )

    messages = run.turns[0].step.messages
    assert [message.text for message in messages] == ["Hello.", "Goodbye."]
    assert [part.text for part in messages[0].parts if part.kind == "reasoning"] == ["One.", "Two."]


def test_a_turn_counts_its_own_tokens() -> None:
    """The app server counts those of the thread so far."""

    def usage(tokens: int, id: str = "1") -> dict[str, Any]:
        total = {"inputTokens": tokens, "outputTokens": tokens // 10}
        return codex("thread/tokenUsage/updated", turnId=id, tokenUsage={"total": total, "last": {}})

    run = follow(
        [
            turn("turn/started"), usage(100), usage(200), usage(200), done(),
            turn("turn/started", "2"), usage(500, "2"), turn("turn/completed", "2", status="completed"),
        ]
    )  # fmt: skip

    assert [each.usage.input_tokens for each in run.turns] == [200, 300]


def test_a_resumed_thread_does_not_count_its_earlier_turns() -> None:
    """The counts go on from those of an earlier process; the last request's own tell what came before."""

    def usage(total: int, last: int) -> dict[str, Any]:
        counts = {"total": {"inputTokens": total}, "last": {"inputTokens": last}}
        return codex("thread/tokenUsage/updated", turnId="1", tokenUsage=counts)

    run = follow([turn("turn/started"), usage(1100, 100), usage(1100, 100), usage(1250, 150), done()])

    assert run.turns[0].usage.input_tokens == 250


def test_messages_about_turns_and_items_that_come_again_change_nothing() -> None:
    messages = messages_of("codex-server-own-app-server")
    has_id = ["delta" not in str(message.get("method")).lower() for message in messages]
    doubled = [each for each, twice in zip(messages, has_id, strict=True) for _ in range(1 + twice)]
    once, twice = follow(messages), follow([*doubled, *doubled[-1:]])

    assert [message.text for message in once.turns[0].step.messages] == [
        message.text for message in twice.turns[0].step.messages
    ]
    assert len(twice.turns) == 1
    assert once.turns[0].usage == twice.turns[0].usage
    assert [(step.name, step.result) for step in once.turns[0].step.steps] == [
        (step.name, step.result) for step in twice.turns[0].step.steps
    ]


_SPAWN: dict[str, Any] = {
    "type": "collabAgentToolCall",
    "id": "spawn",
    "tool": "spawnAgent",
    "receiverThreadIds": ["child"],
}
_CHILD_STARTS = {"method": "turn/started", "params": {"threadId": "child", "turn": {"id": "c1"}}}
_CHILD_ENDS = {
    "method": "turn/completed",
    "params": {"threadId": "child", "turn": {"id": "c1", "status": "completed"}},
}


def child_says(text: str) -> dict[str, Any]:
    params = {"threadId": "child", "turnId": "c1", "itemId": "a", "delta": text}
    return {"method": "item/agentMessage/delta", "params": params}


def test_a_subagent_of_codex_is_below_the_call_that_began_it() -> None:
    run = follow(
        [
            turn("turn/started"),
            codex("item/started", item={**_SPAWN, "status": "inProgress"}),
            _CHILD_STARTS,
            child_says("I look."),
            codex("item/agentMessage/delta", itemId="b", delta="It works."),
            child_says(" Found."),
            _CHILD_ENDS,
            codex(
                "item/completed",
                item={**_SPAWN, "status": "completed", "agentsStates": {"child": {"status": "completed"}}},
            ),
            done(),
        ]
    )
    (main,) = run.turns
    (spawn,) = main.step.steps
    (child,) = spawn.steps

    assert (main.step.text, child.text) == ("It works.", "I look. Found.")
    assert (spawn.name, child.agent, child.state) == ("spawnAgent", "child", "done")


@pytest.mark.parametrize("late", [[], ["Found."]])
def test_what_a_subagent_of_codex_says_after_the_turn_is_a_turn_of_its_own(late: list[str]) -> None:
    begun = codex("item/started", item={**_SPAWN, "status": "inProgress"})
    run = follow(
        [
            *(turn("turn/started"), begun, _CHILD_STARTS, child_says("I look."), done("interrupted")),
            *(*map(child_says, late), _CHILD_ENDS),
        ]
    )
    main, *others = run.turns

    assert (main.state, main.step.steps[0].steps[0].text) == ("stopped", "I look.")
    assert [(each.session, each.state, each.result) for each in others] == [
        ("child", "done", text) for text in late
    ]


@pytest.mark.parametrize("info", ["usageLimitExceeded", {"httpConnectionFailed": {}}, None])
def test_a_failed_turn_says_why(info: Any) -> None:
    """The app server may give a code, with details or without, or none."""
    error = {"message": "no credit", "codexErrorInfo": info}
    run = follow([turn("turn/started"), done("failed", error=error)])

    assert run.turns[0].state == "failed"
    assert "no credit" in str(run.turns[0].error)


def test_an_interrupted_turn_is_stopped_and_the_next_one_goes_on() -> None:
    """`turn/interrupt` of a person is no failure of the agent."""
    run = follow(
        [
            turn("turn/started"),
            codex("item/agentMessage/delta", itemId="a", delta="I will"),
            done("interrupted"),
            turn("turn/started", "2"),
            {
                "method": "item/agentMessage/delta",
                "params": {"threadId": "t", "turnId": "2", "itemId": "b", "delta": "Yes"},
            },
            turn("turn/completed", "2", status="completed"),
        ]
    )

    assert [(each.state, each.step.text) for each in run.turns] == [("stopped", "I will"), ("done", "Yes")]
    assert ["cancelled", "stop"] == [each.step.messages[0].finish_reason for each in run.turns]


def test_the_plan_of_codex_is_news_of_the_turn() -> None:
    plan = [{"step": "look", "status": "completed"}, {"step": "mend", "status": "inProgress"}]
    plan.append({"step": "wait", "status": "blocked"})
    run = follow([turn("turn/started"), codex("turn/plan/updated", plan=plan), done()])

    assert run.turns[0].step.updates["plan"]["entries"] == [
        {"content": "look", "status": "completed"},
        {"content": "mend", "status": "in_progress"},
        {"content": "wait", "status": "blocked"},
    ]


# -- ACP --------------------------------------------------------------------------


def test_the_agent_introduces_itself() -> None:
    """`acp` is the protocol; the name of the program comes from its answer to `initialize`."""
    assert follow(messages_of("acp-own-opencode")).agent == "OpenCode"
    assert follow([said("Hi"), answered()]).agent == "acp"


def test_another_message_is_another_answer_and_a_thought_before_it_is_part_of_it() -> None:
    """Without ids, only a tool call ends an answer."""
    thought = "agent_thought_chunk"
    with_ids = [said("Hm.", "t1", thought), said("A", "m1"), said("B", "m1"), said("C", "m2"), answered()]
    without = [said("Hm.", None, thought), said("A"), said("B"), said("C"), answered()]

    assert [message.text for message in follow(with_ids).turns[0].step.messages] == ["AB", "C"]
    assert [message.text for message in follow(without).turns[0].step.messages] == ["ABC"]
    assert follow(with_ids).turns[0].step.messages[0].reasoning == "Hm."


def test_the_content_of_a_tool_is_sent_anew_each_time_and_reported_once() -> None:
    """`tool_call_update` replaces what it names."""

    def content(text: str) -> list[Any]:
        return [{"type": "content", "content": {"type": "text", "text": text}}]

    run = follow(
        [
            acp("tool_call", toolCallId="1", title="make", kind="execute", status="in_progress"),
            acp("tool_call_update", toolCallId="1", content=content("one\n")),
            acp("tool_call_update", toolCallId="1", content=content("one\ntwo\n")),
            acp("tool_call_update", toolCallId="1", content=content("one\ntwo\n"), status="completed"),
            answered(),
        ]
    )
    (tool,) = run.turns[0].step.steps

    assert (tool.name, tool.output, tool.state) == ("make", "one\ntwo\n", "done")
    assert tool.result == content("one\ntwo\n")


def test_an_update_of_an_unknown_call_begins_it() -> None:
    """Version 2 of the protocol has no other form; an end that comes again changes nothing."""
    end = acp(
        "tool_call_update", toolCallId="1", title="read", status="failed", rawOutput={"error": "no such file"}
    )
    run = follow([said("I look."), end, end, answered()])

    assert [(step.name, step.state, step.error) for step in run.turns[0].step.steps] == [
        ("read", "failed", "no such file")
    ]


def test_arguments_that_follow_the_call_replace_those_before() -> None:
    """Opencode names the command in the second message about a call."""
    run = follow(
        [
            acp("tool_call", toolCallId="1", title="bash", rawInput={}),
            acp("tool_call_update", toolCallId="1", title="ls", rawInput={"command": "ls"}),
            acp("tool_call_update", toolCallId="1", rawInput={"command": "ls"}, status="completed"),
            answered(),
        ]
    )
    (tool,) = run.turns[0].step.steps
    news = [event.data for event in run.events().ready() if isinstance(event, StepUpdate)]

    assert tool.cause is not None
    assert tool.cause.arguments == {"command": "ls"}
    assert news == [{"type": "call", "title": "ls", "arguments": {"command": "ls"}}]


@pytest.mark.parametrize(
    ("reason", "state", "finish"),
    [
        ("end_turn", "done", "stop"),
        ("max_tokens", "done", "length"),
        ("refusal", "done", "refusal"),
        ("cancelled", "stopped", "cancelled"),
        ("a new one", "done", "unknown"),
    ],
)
def test_the_reason_of_the_end_is_that_of_the_answer(reason: str, state: str, finish: str) -> None:
    """Only a cancelled turn is stopped."""
    (turn,) = follow([said("Hello"), answered(reason)]).turns

    assert turn.step.message is not None
    assert (turn.state, turn.step.message.finish_reason, turn.step.text) == (state, finish, "Hello")


def test_an_agent_that_dies_within_a_turn_is_reported_with_its_exit_code() -> None:
    """The turn is truncated, and the code says that the process has failed."""
    lines = [
        json.dumps(turn("turn/started")),
        json.dumps(codex("item/agentMessage/delta", itemId="a", delta="I")),
    ]
    with Steps() as run, pytest.raises(StreamTruncated, match="exit code 3") as raised:
        list(run.follow(lines, exit_code=3))

    assert raised.value.partial.text == "I"


def test_the_tokens_of_gemini_are_read_from_its_own_field() -> None:
    quota = {"quota": {"token_count": {"input_tokens": 7, "output_tokens": 3}}}
    (turn,) = follow([said("a"), answered(_meta=quota)]).turns

    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (7, 3)
