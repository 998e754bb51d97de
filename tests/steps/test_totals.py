"""The tokens of a run are the sum of its turns, field by field, and a price counts each token once."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.agents.support import FOLDER, cuts_of
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream._message_parts import COUNTS
from tokenstream.errors import TokenStreamError
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORDINGS = sorted(FOLDER.rglob("*.jsonl"))
_COUNTS_OF_CLAUDE = {"input_tokens": 400, "output_tokens": 29, "cache_read_input_tokens": 100}


def _follow(body: bytes, **options: Any) -> Steps:
    with Steps() as run, suppress(TokenStreamError):
        for _ in run.follow(body.splitlines(keepends=True), **options):
            pass
    return run


def _claude(turns: int, **fields: Any) -> bytes:
    """Return the lines of turns of Claude Code, whose last line has some fields."""
    lines: list[dict[str, Any]] = []
    for n in range(turns):
        message = {"id": f"m{n}", "role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
        lines += [
            {"type": "system", "subtype": "init", "model": "m"},
            {"type": "assistant", "message": {**message, "usage": _COUNTS_OF_CLAUDE}},
            {"type": "result", "subtype": "success", "result": "Hi.", "usage": _COUNTS_OF_CLAUDE, **fields},
        ]
    return b"".join(json.dumps({**line, "session_id": "s"}).encode() + b"\n" for line in lines)


@in_one_test("path", _RECORDINGS, ids=lambda path: path.stem)
def test_the_total_is_the_sum_of_the_turns(path: Path) -> None:
    """Also if the lines are cut anywhere."""
    body = path.read_bytes()
    for place in [*cuts_of(body, path.name), len(body)]:
        run = _follow(body[:place])
        if run.turns:
            beside = [step.total_usage for step in run.steps if step not in [turn.step for turn in run.turns]]
            total = sum([*[turn.usage for turn in run.turns], *beside], start=Usage())
            assert [getattr(total, name) for name in COUNTS] == [
                getattr(run.total_usage, name) for name in COUNTS
            ], place


@pytest.mark.parametrize("agent", ["claude-code", "qwen-code"])
def test_cached_tokens_are_in_the_total_and_not_in_the_input(agent: str) -> None:
    """Two turns; the input is what the provider counts."""
    run = _follow(_claude(2), agent=agent)

    total = run.total_usage
    assert (total.input_tokens, total.output_tokens, total.cached_tokens) == (800, 58, 200)


def test_codex_counts_cached_tokens_as_input() -> None:
    usage = {"input_tokens": 500, "cached_input_tokens": 100, "output_tokens": 29}
    lines = [{"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}]
    lines.append({"type": "turn.completed", "usage": usage})  # type: ignore[dict-item]
    run = _follow(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    total = run.total_usage
    assert (total.input_tokens, total.output_tokens, total.cached_tokens) == (500, 29, 100)


def test_a_killed_run_of_claude_code_has_the_tokens_of_its_lines() -> None:
    """A line is told anew for each block of its message, and counts once."""
    lines = _claude(1).splitlines(keepends=True)[:2]
    run = _follow(b"".join([*lines, lines[1]]), exit_code=-9)

    assert run.turns[0].state == "failed"
    assert run.turns[0].usage == run.total_usage
    assert (run.total_usage.input_tokens, run.total_usage.cached_tokens) == (400, 100)


def _claude_message(id: str | None, text: str, usage: object) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {
        "type": "assistant",
        "message": {"id": id, "role": "assistant", "content": content, "usage": usage},
    }


class _Cancelled(BaseException):
    """Ends a loop as a cancellation does: nothing says to the run that no line follows."""


@in_one_test(
    ("streams", "is_cancelled"), [(False, False), (False, True), (True, False), (True, True)], ids=str
)
def test_a_loop_that_is_left_has_the_tokens_of_all_lines(streams: bool, is_cancelled: bool) -> None:
    """Also those of a subagent, whose lines are whole where the agent's answers come in events."""

    def lines() -> Iterator[str]:
        told: list[dict[str, Any]] = [{"type": "system", "subtype": "init", "model": "m"}]
        for n in range(3):
            whole = _claude_message(f"m{n}", "Hi.", _COUNTS_OF_CLAUDE)
            if streams:
                start = {**whole["message"], "content": []}
                told += [
                    {"type": "stream_event", "event": {"type": "message_start", "message": start}},
                    {"type": "stream_event", "event": {"type": "message_stop"}},
                ]
            told += [whole, whole]
        beside = _claude_message("sub", "Hm.", {"input_tokens": 5, "output_tokens": 1})
        for line in [*told, {**beside, "parent_tool_use_id": "call"}]:
            yield json.dumps({**line, "session_id": "s"})
        if is_cancelled:
            raise _Cancelled
        yield '{"type": "system", "subtype": "status", "session_id": "s"}'

    with suppress(_Cancelled), Steps() as run:
        for line in run.follow(lines(), agent="claude-code"):
            if line.get("subtype") == "status":
                break

    total = run.turns[0].usage
    assert total == run.total_usage
    assert (total.input_tokens, total.output_tokens, total.cached_tokens) == (1205, 88, 300)


def test_answers_without_ids_are_told_apart_by_their_counts() -> None:
    """As Amp's: each has counts of its own, and the turn has their sum."""
    first, second = ({"input_tokens": n, "output_tokens": 2} for n in (10, 20))
    lines = [
        {"type": "system", "subtype": "init", "tools": []},
        _claude_message(None, "One", first),
        _claude_message(None, "Still one", first),
        _claude_message(None, "Two", second),
        {"type": "result", "subtype": "success", "result": "Two"},
    ]
    run = _follow(b"".join(json.dumps({**line, "session_id": "T-1"}).encode() + b"\n" for line in lines))

    [turn] = run.turns
    assert (run.agent, [message.text for message in turn.step.messages]) == ("amp", ["OneStill one", "Two"])
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (30, 4)


@in_one_test(("adds_cached", "input_tokens"), [(True, 400), (False, 500)])
def test_a_price_counts_each_cached_token_once(adds_cached: bool, input_tokens: int) -> None:
    """The same request costs the same, whether the input leaves out the cached tokens or has them."""
    pytest.importorskip("genai_prices")
    from tokenstream.stream._prices import Tariff, count_tokens

    usage = Usage(input_tokens=input_tokens, cached_tokens=100, output_tokens=29)
    tariff = Tariff("claude-sonnet-4-0", "https://api.anthropic.com", adds_cached)
    same = Tariff("claude-sonnet-4-0", "https://api.anthropic.com", False)

    assert count_tokens(usage, adds_cached=adds_cached) == 529
    assert tariff.find_cost(usage) == same.find_cost(usage.model_copy(update={"input_tokens": 500}))
