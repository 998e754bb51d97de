"""The table of decisions: how an answer that broke off goes on, by the facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.errors import StreamInterrupted
from tokenstream.recovery._decision import (
    AttemptPlan,
    Failure,
    ModeChoice,
    NoPlan,
    OpenerFacts,
    TimeBound,
    choose,
    plan,
)

OBSTACLE = "it has a tool call"


CUT = StreamInterrupted("cut")


def broken(error: Any = CUT, **facts: Any) -> Failure:
    given: dict[str, Any] = {"again": False, "has_content": True, "delivered": "content", "backoff": 2.0}
    return Failure(error=error, now=100.0, **{**given, **facts})


@pytest.mark.parametrize(
    ("opener", "facts", "expected"),
    [
        (OpenerFacts(is_paused=True), {}, "pause"),
        (OpenerFacts(), {"has_content": False}, "restart"),
        (OpenerFacts(obstacle=OBSTACLE), {"has_content": False}, "restart"),
        (OpenerFacts(), {"is_divided": True}, None),
        (OpenerFacts(), {}, "continue"),
        (OpenerFacts(obstacle=OBSTACLE), {}, None),
    ],
)
def test_each_row_of_the_table(opener: OpenerFacts, facts: dict[str, Any], expected: str | None) -> None:
    assert expected == choose(broken(**facts), opener).mode


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, False),
        ({"again": True}, True),
        ({"delivered": "reasoning"}, True),
        ({"is_call_cut": True}, True),
        ({"again": True, "has_content": False}, False),
        ({"again": True, "is_divided": True}, False),
        ({"again": True, "is_whole": True}, False),
        ({"again": True, "has_spent_all": True}, False),
    ],
)
def test_another_answer_may_replace_what_can_be_repeated(facts: dict[str, Any], expected: bool) -> None:
    assert broken(**facts).may_begin_again is expected


@pytest.mark.parametrize(
    ("facts", "opener", "expected"),
    [
        ({}, {}, AttemptPlan("continue", 0, 2.0)),
        ({}, {"index": 1, "is_other": True}, AttemptPlan("continue", 1, 0.0, may_wait=False)),
        (
            {"prefix_refused": True, "wants": lambda _: False},
            {},
            AttemptPlan("continue", 0, 0.0, may_wait=False, is_free=True),
        ),
        ({"is_deferred": True}, {}, AttemptPlan("continue", 0, 2.0, is_free=True)),
        ({"fetches": "document"}, {}, AttemptPlan("continue", 0, 2.0)),
        ({}, {"is_paused": True}, AttemptPlan("pause", 0, 2.0, kind="leg")),
        ({"backoff": None}, {}, NoPlan()),
        ({"wants": lambda _: False}, {"is_other": True}, NoPlan()),
    ],
    ids=[
        "same",
        "other",
        "without a prefix",
        "later",
        "not fetched",
        "paused",
        "too long a wait",
        "not wanted",
    ],
)
def test_each_row_of_the_table_of_requests(
    facts: dict[str, Any], opener: dict[str, Any], expected: AttemptPlan | NoPlan
) -> None:
    assert expected == plan(broken(**facts), OpenerFacts(**opener))


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
    facts = broken(bounds=(TimeBound(1.0, "Retry.timeout", 0.0),), sets_wait=True)

    assert plan(facts, OpenerFacts()) == AttemptPlan("continue", 0, 2.0)
    assert isinstance(plan(facts, OpenerFacts(is_other=True)), NoPlan)
