"""Sessions of several turns: a loop for each turn builds the same turns as one loop over all of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.steps.agents.support import FOLDER
from tests.support.beside import SHARED
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDINGS = sorted(
    path
    for folder in (FOLDER, SHARED / "agents" / "recordings")
    for path in folder.rglob("*.jsonl")
    # These have the messages of both sides, in envelopes of their own.
    if not path.name.endswith(".both.jsonl")
)
AGENTS = (
    *("claude-code", "codex-server", "codex", "gemini-cli", "opencode-server", "opencode"),
    *("cursor", "pi", "copilot-cli", "kimi-code", "qwen-code", "adk", "acp"),
)
"""The names of readers with which the recordings' names begin."""


def _codex(thread: str, *totals: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of `codex exec` and of its resumptions, with the tokens of the thread so far."""
    for total in totals:
        item = {"id": "item_0", "type": "agent_message", "text": f"Up to {total}."}
        usage = {"input_tokens": total, "output_tokens": total // 10}
        yield [
            {"type": "thread.started", "thread_id": thread},
            {"type": "turn.started"},
            {"type": "item.completed", "item": item},
            {"type": "turn.completed", "usage": usage},
        ]


def _claude(session: str, *costs: float) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of the turns of Claude Code, with the cost of the session so far."""
    for cost in costs:
        told = {"session_id": session, "uuid": f"{session} {cost}"}
        yield [
            {"type": "system", "subtype": "init", "model": "m", "tools": [], **told},
            {
                "type": "result",
                "subtype": "success",
                "total_cost_usd": cost,
                **told,
                "uuid": f"{session} {cost} end",
            },
        ]


def _codex_server(thread: str, *totals: int | None) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages about the turns of a thread, with its tokens so far; None for a turn that breaks."""
    before = 0
    for number, total in enumerate(totals):
        place, turn = {"threadId": thread, "turnId": f"u{number}"}, {"id": f"u{number}"}
        counts = {"total": {"inputTokens": total}, "last": {"inputTokens": (total or before) - before}}
        before, told = total or before, {"method": "thread/tokenUsage/updated"}
        status = "interrupted" if total is None else "completed"
        yield [
            {"method": "turn/started", "params": {**place, "turn": turn}},
            *([] if total is None else [{**told, "params": {**place, "tokenUsage": counts}}]),
            {"method": "turn/completed", "params": {**place, "turn": {**turn, "status": status}}},
        ]


def _acp(session: str, *costs: float) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages of the turns of an ACP session, with its cost so far."""
    for number, cost in enumerate(costs):
        chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Yes."}}
        spent = {"sessionUpdate": "usage_update", "cost": {"amount": cost, "currency": "USD"}}
        told = [{"sessionId": session, "update": update} for update in (chunk, spent)]
        yield [
            *[{"method": "session/update", "params": params} for params in told],
            {"id": number, "result": {"stopReason": "end_turn"}},
        ]


SESSIONS = {
    "codex": [*_codex("t", 100, 300, 350)],
    "two threads of codex": [*_codex("t", 100), *_codex("s", 250), *_codex("t", 300), *_codex("s", 260)],
    "claude-code": [*_claude("s1", 0.25, 0.75)],
    "claude-code, two sessions": [*_claude("s1", 0.25), *_claude("s2", 0.5), *_claude("s1", 0.75)],
    "codex-server": [*_codex_server("t", 100, 300)],
    "codex-server, a turn without counts": [*_codex_server("t", 100, None, 300)],
    "acp": [*_acp("s1", 0.25, 0.75)],
}
"""The lines of each turn of some sessions."""
OWN: dict[str, list[float]] = {
    "codex": [100, 200, 50],
    "two threads of codex": [100, 250, 200, 10],
    "claude-code": [0.25, 0.5],
    "claude-code, two sessions": [0.25, 0.5, 0.5],
    "codex-server": [100, 200],
    "codex-server, a turn without counts": [100, 0, 200],
    "acp": [0.25, 0.5],
}
"""The tokens of the input, or the cost, that belong to each of these turns."""


def _facts(run: Steps) -> Any:
    """Return what a user sees of the turns of a run, and their sums."""
    turns = [(turn.state, turn.result, turn.usage, turn.cost, turn.session) for turn in run.turns]
    answers = [[(each.text, each.ending) for each in turn.step.messages] for turn in run.turns]
    return turns, answers, run.cost, sum((turn.usage.input_tokens or 0) for turn in run.turns)


def _follow(loops: list[list[Any]], agent: str | None) -> tuple[Steps, list[int]]:
    """Follow some lines, a loop for each list; return the run and the numbers of turns after each loop."""
    counts = []
    with Steps() as run:
        for lines in loops:
            # The law is about turns that end; a last turn without its end fails in both ways.
            with suppress(StreamError):
                list(run.follow(lines, agent=agent))
            counts.append(len(run.turns))
    return run, counts


def _loops_of(path: Path) -> tuple[str | None, list[list[bytes]]]:
    """Return the agent of a recording, and its lines: one list for each of its turns."""
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]
    taken: list[bytes] = []
    loops: list[list[bytes]] = []

    def take() -> Iterator[bytes]:
        for line in lines:
            taken.append(line)
            yield line

    with Steps() as run:
        followed = run.follow(take(), until="turn", agent=_name_of(path))
        while len(taken) < len(lines):
            try:
                list(followed)
            except StreamError:
                break
            loops.append([*taken])
        agent = run.agent
    starts = [0, *[len(each) for each in loops]]
    cut = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return agent, [each for each in cut if each]


def _name_of(path: Path) -> str:
    """Return the name of the reader of a recording, from its file or its folder."""
    told = path.name if path.is_relative_to(FOLDER) else f"{path.parent.name}-{path.name}"
    return next(name for name in AGENTS if told.replace("own-app-", "").startswith(name))


@in_one_test("path", RECORDINGS, by=_name_of)
def test_a_loop_for_each_turn_of_a_recording_builds_the_turns_of_one_loop(path: Path) -> None:
    """However many loops read a session, its turns have the same results, tokens and costs."""
    _, loops = _loops_of(path)
    agent = _name_of(path)
    whole, _ = _follow([[line for loop in loops for line in loop]], agent)
    split, _ = _follow(loops, agent)

    assert whole.turns or "error" in path.name
    assert _facts(whole) == _facts(split)


def test_over_acp_a_turn_has_the_counts_that_its_agent_sends() -> None:
    told = [(15_000, 40), (60_300, 95), (60_300, 95)]
    lines: list[dict[str, Any]] = []
    for number, (sent, received) in enumerate(told):
        said = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Yes."}}
        usage = {"inputTokens": sent, "outputTokens": received}
        lines += [
            {"method": "session/update", "params": {"sessionId": "s", "update": said}},
            {"id": number, "result": {"stopReason": "end_turn", "usage": usage}},
        ]
    run, _ = _follow([lines], "acp")

    assert told == [(turn.usage.input_tokens, turn.usage.output_tokens) for turn in run.turns]


@in_one_test("name", SESSIONS)
def test_a_loop_for_each_turn_of_a_session_counts_what_one_loop_counts(name: str) -> None:
    """A total of a session that is told again after each turn is subtracted, also in another loop."""
    turns = SESSIONS[name]
    agent = {"two threads of codex": "codex"}.get(name, name.partition(",")[0])
    whole, _ = _follow([[line for lines in turns for line in lines]], agent)
    split, _ = _follow(turns, agent)
    counted = [(turn.usage.input_tokens or 0) if turn.cost is None else turn.cost for turn in split.turns]

    assert OWN[name] == counted
    assert _facts(whole) == _facts(split)
