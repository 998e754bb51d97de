"""The table of decisions: how an answer that broke off goes on, by the facts alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tokenstream.errors import PositionLost, StatusError, StreamError, StreamInterrupted
from tokenstream.recovery._decision import (
    AttemptPlan,
    Broken,
    ModeChoice,
    NoPlan,
    OpenerFacts,
    TimeBound,
    choose,
    depends_on_opener,
    plan,
)

MODES: list[Any] = ["auto", "continue", "restart", "resume"]
EXTENTS: list[Any] = ["nothing", "reasoning", "content"]
OBSTACLE = "it has a tool call"


CUT = StreamInterrupted("cut")
BAD_REQUEST = StatusError("no", status=400)


def broken(error: Any = CUT, **facts: Any) -> Broken:
    given: dict[str, Any] = {"mode": "auto", "has_content": True, "delivered": "content", "backoff": 2.0}
    return Broken(error=error, now=100.0, **{**given, **facts})


def modes_for(opener: OpenerFacts, **facts: Any) -> dict[str, Any]:
    """Return the choice in each mode of the caller's."""
    return {mode: choose(broken(mode=mode, **facts), opener).mode for mode in MODES}


@pytest.mark.parametrize(
    ("opener", "facts", "expected"),
    [
        (OpenerFacts(is_paused=True), {}, ["pause"] * 4),
        (OpenerFacts(), {"has_content": False}, ["restart"] * 4),
        (OpenerFacts(obstacle=OBSTACLE), {"has_content": False}, ["restart"] * 4),
        (OpenerFacts(), {}, ["continue", "continue", "restart", None]),
        (OpenerFacts(obstacle=OBSTACLE), {}, [None, "restart", "restart", None]),
        (OpenerFacts(only_restarts=True), {}, [None, None, "restart", None]),
        (OpenerFacts(only_restarts=True, obstacle=OBSTACLE), {}, [None, "restart", "restart", None]),
        (OpenerFacts(follows_modes=False), {}, [None, "continue", "restart", None]),
    ],
    ids=[
        "paused",
        "no content",
        "no content to continue",
        "can go on",
        "can't",
        "elsewhere",
        "nowhere",
        "own",
    ],
)
def test_each_row_of_the_table(opener: OpenerFacts, facts: dict[str, Any], expected: list[Any]) -> None:
    assert dict(zip(MODES, expected, strict=True)) == modes_for(opener, **facts)


def test_what_was_delivered_decides_if_the_answer_may_begin_again() -> None:
    """Reasoning can be taken back; a caller who only resumes wants no other answer."""
    for mode, extent in product(MODES, EXTENTS):
        facts = broken(mode=mode, delivered=extent)
        assert facts.may_begin_again == (extent != "content" and mode != "resume")


@pytest.mark.parametrize("fact", ["is_out_of_time", "has_spent_all", "is_whole"])
@pytest.mark.parametrize("extent", EXTENTS)
def test_time_and_money_come_first(fact: str, extent: Any) -> None:
    """And a whole answer stays."""
    facts = broken(delivered=extent, **{fact: True})

    assert facts.may_go_on == (fact == "is_whole")
    assert not facts.may_begin_again


def test_the_reason_is_told_where_the_answer_is_not_continued() -> None:
    stuck, own = OpenerFacts(obstacle=OBSTACLE), OpenerFacts(follows_modes=False, obstacle=OBSTACLE)

    assert choose(broken(), stuck) == ModeChoice(None, OBSTACLE)
    assert choose(broken(mode="continue"), stuck) == ModeChoice("restart", OBSTACLE)
    assert choose(broken(), own) == ModeChoice(None, OBSTACLE)


def test_an_opener_is_only_asked_where_the_choice_depends_on_it() -> None:
    """The question may call a function of the caller's."""
    for mode, has_content in product(MODES, [True, False]):
        facts = broken(mode=mode, has_content=has_content)
        different = {choose(facts, OpenerFacts(obstacle=obstacle)).mode for obstacle in (None, OBSTACLE)}
        assert depends_on_opener(facts) or len(different) == 1


@pytest.mark.parametrize(
    ("facts", "opener", "expected"),
    [
        ({}, {}, AttemptPlan("continue", 0, 2.0)),
        ({}, {"index": 1, "is_other": True}, AttemptPlan("continue", 1, 0.0, may_wait=False)),
        (
            {"prefix_refused": True, "wants": lambda _: False},
            {},
            AttemptPlan("continue", 0, 0.0, may_wait=False, prefix_refused=True),
        ),
        ({"fetches": "document"}, {}, AttemptPlan("continue", 0, 2.0)),
        ({}, {"is_paused": True}, AttemptPlan("pause", 0, 2.0, kind="leg")),
        ({"backoff": None}, {}, NoPlan()),
        ({"wants": lambda _: False}, {"is_other": True}, NoPlan()),
    ],
    ids=["same", "other", "without a prefix", "not fetched", "paused", "too long a wait", "not wanted"],
)
def test_each_row_of_the_table_of_requests(
    facts: dict[str, Any], opener: dict[str, Any], expected: AttemptPlan | NoPlan
) -> None:
    assert expected == plan(broken(**facts), OpenerFacts(**opener))


@pytest.mark.parametrize(
    ("error", "facts", "opener", "is_made"),
    [
        (BAD_REQUEST, {}, {}, False),
        (BAD_REQUEST, {}, {"is_other": True}, True),
        (BAD_REQUEST, {"request_refused": True}, {}, True),
        (PositionLost("gone"), {}, {}, True),
        (PositionLost("gone"), {"has_content": False}, {}, False),
    ],
    ids=["again", "elsewhere", "refused continuation", "lost position", "lost position of nothing"],
)
def test_an_error_that_would_occur_again_is_not_retried(
    error: StreamError, facts: dict[str, Any], opener: dict[str, Any], is_made: bool
) -> None:
    """Another server, or another request, may do better."""
    assert is_made == isinstance(plan(broken(error, **facts), OpenerFacts(**opener)), AttemptPlan)


FETCHED = AttemptPlan("resume", 0, 0.0, may_wait=False, kind="document")
POLLED = AttemptPlan("resume", 0, 2.0, kind="poll")


@pytest.mark.parametrize(
    ("error", "facts", "expected"),
    [
        (BAD_REQUEST, {"fetches": "document"}, FETCHED),
        (BAD_REQUEST, {"fetches": "poll", "wants": lambda _: False, "reconnect_after": 9}, POLLED),
        (BAD_REQUEST, {"fetches": "document", "fetch_failed": True}, NoPlan()),
        (BAD_REQUEST, {"fetches": "poll", "fetch_failed": True}, NoPlan()),
        (CUT, {"fetches": "document", "fetch_failed": True}, FETCHED._replace(wait=2.0, may_wait=True)),
        (CUT, {"fetches": "poll", "fetch_failed": True}, POLLED),
    ],
    ids=["document", "poll", "refused document", "refused poll", "cut document", "cut poll"],
)
def test_a_finished_answer_is_fetched_at_once_and_an_unfinished_one_is_polled(
    error: StreamError, facts: dict[str, Any], expected: AttemptPlan | NoPlan
) -> None:
    """The model is not asked. One that has failed is an attempt like any other, and waits like one."""
    found = broken(error, **facts)

    assert expected == plan(found, OpenerFacts(), ModeChoice("resume"))
    assert found.is_free == ("fetch_failed" not in facts)


def test_a_server_that_names_a_reconnection_time_is_resumed_then() -> None:
    """The time does not count for another request than one that resumes."""
    facts = broken(reconnect_after=1500)

    assert plan(facts, OpenerFacts(), ModeChoice("resume")) == AttemptPlan("resume", 0, 1.5, server_asks=True)
    assert plan(facts, OpenerFacts()) == AttemptPlan("continue", 0, 2.0)


@pytest.mark.parametrize("is_other", [False, True])
def test_no_attempt_begins_later_than_a_bound_allows(is_other: bool) -> None:
    """The bounds count from their own beginnings; the wait before the attempt counts, too."""
    bounds = TimeBound(9.0, "Retry.timeout", 92.0), TimeBound(50.0, "Deadlines.total", 0.0)
    planned = [plan(broken(bounds=(bound,), backoff=2.0), OpenerFacts(is_other=is_other)) for bound in bounds]

    late = "no further attempt was made: it would begin later than {} allows ({} s)"
    first = AttemptPlan("continue", 0, 0.0, may_wait=False) if is_other else None
    notes = [late.format("Retry.timeout", 9), late.format("Deadlines.total", 50)]
    assert planned == [first or NoPlan(notes[0]), NoPlan(notes[1])]


def test_a_function_for_the_wait_is_asked_before_the_bounds_are() -> None:
    """Only with its result is it known when the attempt begins."""
    facts = broken(bounds=(TimeBound(1.0, "Retry.timeout", 0.0),), sets_wait=True)

    assert plan(facts, OpenerFacts()) == AttemptPlan("continue", 0, 2.0)
    assert isinstance(plan(facts, OpenerFacts(is_other=True)), NoPlan)


@pytest.mark.parametrize("error", [CUT, BAD_REQUEST])
def test_why_an_answer_is_not_continued_is_told_of_errors_that_are_retried(error: StreamError) -> None:
    """Otherwise, the error itself is the reason."""
    obstacle = OpenerFacts(obstacle=OBSTACLE)
    told = NoPlan(f"the answer was not continued: {OBSTACLE}", OBSTACLE)

    assert plan(broken(error), obstacle) == (told if error is CUT else NoPlan())
    assert plan(broken(error, request_refused=True), obstacle) == told
