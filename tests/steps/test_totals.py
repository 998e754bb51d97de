"""The tokens of a run are the sum of its turns, field by field, and a price counts each token once."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.agents.claude_code import INIT, ended, said, words
from tests.steps.agents.support import FOLDER, cuts_of
from tests.support.recordings import Recorded, ours, shared
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream._values.parts import COUNTS
from tokenstream.errors import TokenStreamError
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORDINGS = sorted(FOLDER.rglob("*.jsonl"))
_COUNTS_OF_CLAUDE = {"input_tokens": 400, "output_tokens": 29, "cache_read_input_tokens": 100}


def _follow(body: bytes, **options: Any) -> Steps:
    with Steps() as run, suppress(TokenStreamError):
        list(run.follow(io.BytesIO(body), **options))
    return run


def _printed(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _claude(turns: int) -> bytes:
    counts: dict[str, Any] = {"usage": _COUNTS_OF_CLAUDE}
    told = [(INIT, said(f"m{n}", words("Hi."), **counts), ended("Hi.", **counts)) for n in range(turns)]
    return _printed(*[line for turn in told for line in turn])


def _amounts_of(run: Steps) -> dict[str, float]:
    """Return what a run has counted, without an estimate."""
    total = run.total_usage
    counted = {name: getattr(total, name) or 0 for name in COUNTS}
    if total.basis == "estimated":
        counted["output_tokens"] = 0
    return {**counted, "cost": run.cost or 0}


@in_one_test("path", _RECORDINGS, ids=lambda path: path.stem)
def test_the_total_is_the_sum_of_the_turns(path: Path) -> None:
    body = path.read_bytes()
    whole = _amounts_of(_follow(body))
    for place in [*cuts_of(body, path.name)[::3], len(body)]:
        run = _follow(body[:place])
        if run.turns:
            beside = [step.total_usage for step in run.steps if step not in [turn.step for turn in run.turns]]
            total = sum([*[turn.usage for turn in run.turns], *beside], start=Usage())
            assert [getattr(total, name) for name in COUNTS] == [
                getattr(run.total_usage, name) for name in COUNTS
            ], place
        assert all(n <= whole[name] for name, n in _amounts_of(run).items()), place


def _assert_that_cuts_have_less(body: bytes, **options: Any) -> None:
    whole = _amounts_of(_follow(body, **options))
    ends = [place for place, byte in enumerate(body) if byte == 0x0A]
    for place in ends[:: len(ends) // 20 + 1]:
        cut = _amounts_of(_follow(body[: place + 1], **options))
        assert all(n <= whole[name] for name, n in cut.items()), place


@pytest.mark.slow
@in_one_test("recorded", [*ours(), *shared()], ids=lambda recorded: recorded.name)
def test_a_cut_run_of_a_server_never_has_more_tokens_than_the_whole(recorded: Recorded) -> None:
    if _follow(recorded.body).turns:
        _assert_that_cuts_have_less(recorded.body)


def _models_of(line: dict[str, Any]) -> list[int]:
    return [
        sum(model[name] for model in line["modelUsage"].values())
        for name in ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    ]


@in_one_test("path", [path for path in _RECORDINGS if b"modelUsage" in path.read_bytes()])
def test_the_total_is_what_the_agent_itself_counts(path: Path) -> None:
    body = path.read_bytes()
    results = [json.loads(line) for line in body.splitlines() if b'"modelUsage"' in line]
    total = _follow(body).total_usage

    counted = [getattr(total, name) or 0 for name in ("input_tokens", "output_tokens")]
    counted += [total.cached_tokens or 0, total.cache_write_tokens or 0]
    assert counted == _models_of(results[-1])


@in_one_test("has_ledger", [True, False], ids=str)
def test_a_turn_has_the_tokens_of_its_subagents(has_ledger: bool) -> None:
    counts = {"input_tokens": 100, "output_tokens": 10}
    spent = {"inputTokens": 300, "outputTokens": 30, "costUSD": 0.5}
    ledger: dict[str, Any] = {"modelUsage": {"m": spent}, "total_cost_usd": 0.5} if has_ledger else {}
    session = _printed(
        INIT,
        said("m1", words("Ask."), usage=counts),
        said("s1", words("Sub."), usage=counts, parent="call"),
        said("m2", words("It is 7."), usage=counts),
        ended(usage={"input_tokens": 200, "output_tokens": 20}, **ledger),
    )

    run = _follow(session, agent="claude-code")
    for counted in (run.turns[0].usage, run.total_usage):
        assert (counted.input_tokens, counted.output_tokens) == (300, 30)
    _assert_that_cuts_have_less(session, agent="claude-code")


def test_a_session_that_is_resumed_has_the_tokens_of_its_own_turns() -> None:
    before, after = ({"m": {"inputTokens": n, "outputTokens": 1}} for n in (900, 950))
    first = ended(modelUsage=before, model_usage_since_last_result={})
    run = _follow(_printed(INIT, first, ended(modelUsage=after)), agent="claude-code")

    assert [turn.usage.input_tokens for turn in run.turns] == [0, 50]


def test_cached_tokens_are_in_the_total_and_not_in_the_input() -> None:
    """Two turns; the input is what the provider counts."""
    run = _follow(_claude(2), agent="claude-code")

    total = run.total_usage
    assert (total.input_tokens, total.output_tokens, total.cached_tokens) == (800, 58, 200)


def test_codex_counts_cached_tokens_as_input() -> None:
    usage = {"input_tokens": 500, "cached_input_tokens": 100, "output_tokens": 29}
    begun = [{"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}]
    run = _follow(_printed(*begun, {"type": "turn.completed", "usage": usage}))

    total = run.total_usage
    assert (total.input_tokens, total.output_tokens, total.cached_tokens) == (500, 29, 100)


def test_a_killed_run_of_claude_code_has_the_tokens_of_its_lines() -> None:
    """A line is told anew for each block of its message, and counts once."""
    lines = _claude(1).splitlines(keepends=True)[:2]
    run = _follow(b"".join([*lines, lines[1]]), exit_code=-9)

    assert run.turns[0].state == "failed"
    assert run.turns[0].usage == run.total_usage
    assert (run.total_usage.input_tokens, run.total_usage.cached_tokens) == (400, 100)


class _Cancelled(BaseException):
    """Ends a loop as a cancellation does: nothing says to the run that no line follows."""


@in_one_test(
    ("streams", "is_cancelled"), [(False, False), (False, True), (True, False), (True, True)], ids=str
)
def test_a_loop_that_is_left_has_the_tokens_of_all_lines(streams: bool, is_cancelled: bool) -> None:
    def lines() -> Iterator[str]:
        told = [INIT]
        for n in range(3):
            whole = said(f"m{n}", words("Hi."), usage=_COUNTS_OF_CLAUDE)
            if streams:
                start = {**whole["message"], "content": []}
                told += [
                    {"type": "stream_event", "event": {"type": "message_start", "message": start}},
                    {"type": "stream_event", "event": {"type": "message_stop"}},
                ]
            told += [whole, whole]
        counts = {"input_tokens": 5, "output_tokens": 1}
        for line in [*told, said("sub", words("Hm."), usage=counts, parent="call")]:
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
    """Amp's answers have no ids."""
    first, second = ({"input_tokens": n, "output_tokens": 2} for n in (10, 20))
    lines = [
        INIT,
        said(None, words("One"), usage=first),
        said(None, words("Still one"), usage=first),
        said(None, words("Two"), usage=second),
        ended("Two"),
    ]
    run = _follow(_printed(*[{**line, "session_id": "T-1"} for line in lines]))

    [turn] = run.turns
    assert (run.agent, [message.text for message in turn.step.messages]) == ("amp", ["OneStill one", "Two"])
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (30, 4)


@in_one_test(("adds_cached", "input_tokens"), [(True, 400), (False, 500)])
def test_a_price_counts_each_cached_token_once(adds_cached: bool, input_tokens: int) -> None:
    pytest.importorskip("genai_prices")
    from tokenstream.stream._prices import Tariff, count_tokens

    usage = Usage(input_tokens=input_tokens, cached_tokens=100, output_tokens=29)
    tariff = Tariff("claude-sonnet-4-0", "https://api.anthropic.com", adds_cached)
    same = Tariff("claude-sonnet-4-0", "https://api.anthropic.com", False)

    assert count_tokens(usage, adds_cached=adds_cached) == 529
    assert tariff.find_cost(usage) == same.find_cost(usage.model_copy(update={"input_tokens": 500}))
