"""Agents' runs in which the messages of several turns meet: what is late, or sent again, changes no other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tokenstream import Steps
from tokenstream.steps._agents.acp import ACP

_TURNS = 5


# -- late updates ----------------------------------------------------------------


def _update(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "method": "session/update",
        "params": {"sessionId": "s", "update": {"sessionUpdate": kind, **fields}},
    }


def _piece(number: int, text: str, *, has_id: bool, kind: str = "agent_message_chunk") -> dict[str, Any]:
    id = {"messageId": f"m{number}"} if has_id else {}
    return _update(kind, content={"type": "text", "text": text}, **id)


def _late_of(number: int, *, has_id: bool) -> list[dict[str, Any]]:
    """Return what may come of a turn after its end."""
    late = [
        _piece(number, " and more", has_id=has_id),
        _piece(number, "Hm", has_id=has_id, kind="agent_thought_chunk"),
    ]
    if has_id:
        return [*late, _update("tool_call_update", toolCallId=f"t{number}", status="completed", title="late")]
    entries = [{"content": "late", "status": "pending"}]
    return [
        *late,
        _update("plan", entries=entries),
        _update("tool_call", toolCallId=f"x{number}", title="late"),
    ]


def _late_updates(choose: random.Random) -> Iterator[tuple[Any, Any]]:
    """What has an id comes anywhere later, also in another turn; the rest between two turns."""
    with Steps() as run:
        reader = ACP(run)
        waiting: list[dict[str, Any]] = []

        def read(*updates: dict[str, Any]) -> None:
            for update in updates:
                reader.read(update)
                while waiting and choose.random() < 0.4:
                    reader.read(waiting.pop(choose.randrange(len(waiting))))

        for number in range(_TURNS):
            reader.read_sent("session/prompt", {"sessionId": "s", "prompt": []}, number)
            read(
                _piece(number, f"Look {number}.", has_id=True),
                _update("tool_call", toolCallId=f"t{number}", title=f"tool {number}"),
                _piece(number, f"Seen {number}", has_id=True),
                _piece(number, ".", has_id=True),
            )
            reader.read_answer("session/prompt", {"id": number, "result": {"stopReason": "end_turn"}})
            waiting += _late_of(number, has_id=True)
            for update in choose.sample(_late_of(number, has_id=False), choose.randrange(5)):
                reader.read(update)
        for update in waiting:
            reader.read(update)
        reader.end(None)
    for number, turn in enumerate(run.turns):
        told = [message.text for message in turn.step.messages], [tool.name for tool in turn.step.steps]
        yield ([f"Look {number}.", f"Seen {number}."], [f"tool {number}"]), told
        yield ({}, "done", f"Seen {number}."), (turn.step.updates, turn.state, turn.result)
    yield _TURNS, len(run.turns)


# -- told again ------------------------------------------------------------------


def _claude_turn(number: int) -> list[dict[str, Any]]:
    """Return the lines of a turn of Claude Code with a tool, and its counts."""
    tool = {"type": "tool_use", "id": f"c{number}", "name": "Look", "input": {"at": number}}
    result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": f"seen {number}"}
    said = {"type": "text", "text": f"Done {number}."}
    usage = {"input_tokens": 10 + number, "output_tokens": 2}
    parts = {
        "a": {"input_tokens": 4, "output_tokens": 1},
        "b": {"input_tokens": 6 + number, "output_tokens": 1},
    }

    def line(kind: str, place: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "session_id": "s", "uuid": f"{place} {number}", **fields}

    def answer(id: str, block: dict[str, Any]) -> dict[str, Any]:
        said = {"role": "assistant", "model": "m", "content": [block], "usage": parts[id]}
        return {"id": f"{id}{number}", **said}

    return [
        line("system", "init", subtype="init", model="m", tools=[]),
        line("assistant", "call", message=answer("a", tool), parent_tool_use_id=None),
        line("user", "result", message={"role": "user", "content": [result]}, parent_tool_use_id=None),
        line("assistant", "said", message=answer("b", said), parent_tool_use_id=None),
        line(
            "result",
            "end",
            subtype="success",
            result=said["text"],
            usage=usage,
            total_cost_usd=0.25 * (number + 1),
        ),
    ]


def _codex_turn(number: int) -> list[dict[str, Any]]:
    """Return the messages of a turn of Codex's server, with the tokens of the thread so far."""
    place = {"threadId": "s", "turnId": f"u{number}"}
    said = {"type": "agentMessage", "id": f"b{number}", "text": f"Done {number}."}
    ran = {"type": "commandExecution", "id": f"c{number}", "command": f"look {number}", "exitCode": 0}
    counts = {
        "total": {"inputTokens": sum(10 + each for each in range(number + 1))},
        "last": {"inputTokens": 10 + number},
    }
    ended = {"id": f"u{number}", "status": "completed"}
    told: list[tuple[str, dict[str, Any]]] = [
        ("turn/started", {"turn": {"id": f"u{number}"}}),
        ("item/started", {"item": ran}),
        ("item/completed", {"item": {**ran, "status": "completed"}}),
        ("item/agentMessage/delta", {"itemId": f"b{number}", "delta": f"Done {number}."}),
        ("item/completed", {"item": said}),
        ("thread/tokenUsage/updated", {"tokenUsage": counts}),
        ("turn/completed", {"turn": ended}),
    ]
    return [{"method": method, "params": {**place, **params}} for method, params in told]


_AGENTS = {"claude-code": _claude_turn, "codex-server": _codex_turn}


def _told_of(loops: list[list[dict[str, Any]]], agent: str) -> Any:
    """Return what a run has of its turns, after a loop for each list of lines."""
    with Steps() as run:
        for lines in loops:
            list(run.follow(lines, agent=agent))
    return [
        (turn.state, turn.result, turn.usage.input_tokens, len(turn.step.steps), turn.cost)
        for turn in run.turns
    ]


def _expected(agent: str) -> Any:
    cost = 0.25 if agent == "claude-code" else None
    return [("done", f"Done {number}.", 10 + number, 1, cost) for number in range(_TURNS)]


def _told_again(choose: random.Random) -> Iterator[tuple[Any, Any]]:
    """Each message comes again at once, or after some others of its own turn or of a later one."""
    for agent, lines_of in _AGENTS.items():
        lines: list[dict[str, Any]] = []
        known: list[dict[str, Any]] = []
        held: list[dict[str, Any]] = []
        for number in range(_TURNS):
            for line in lines_of(number):
                lines.append(line)
                # A delta has no id of its own: it is known to be one told again once its item has ended.
                held.append(line)
                if "delta" not in line.get("params", {}):
                    known += held
                    held.clear()
                if known and choose.random() < 0.5:
                    lines.append(choose.choice(known))
        yield _expected(agent), _told_of([lines], agent)


def _counted_over_loops(choose: random.Random) -> Iterator[tuple[Any, Any]]:
    """However the turns of a session are shared among loops, each has its own tokens and cost."""
    for agent, lines_of in _AGENTS.items():
        loops: list[list[dict[str, Any]]] = [[]]
        for number in range(_TURNS):
            loops[-1] += lines_of(number)
            if choose.random() < 0.6:
                loops.append([])
        yield _expected(agent), _told_of([lines for lines in loops if lines], agent)


@pytest.mark.slow
@pytest.mark.parametrize("meeting", [_late_updates, _told_again, _counted_over_loops])
@pytest.mark.parametrize("seed", range(8))
def test_a_message_belongs_to_the_turn_that_its_id_names(
    meeting: Callable[[random.Random], Iterator[tuple[Any, Any]]], seed: int
) -> None:
    pairs = list(meeting(random.Random(seed)))

    assert pairs
    for expected, told in pairs:
        assert expected == told
