"""The table of decisions: how an answer that broke off goes on, by the facts alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tokenstream.recovery._decision import Ended, ModeChoice, OpenerFacts, choose, needs_candidate

MODES: list[Any] = ["auto", "continue", "restart", "resume"]
EXTENTS: list[Any] = ["nothing", "reasoning", "content"]
OBSTACLE = "it has a tool call"


def ended(mode: Any = "auto", delivered: Any = "content", **facts: Any) -> Ended:
    given: dict[str, Any] = {"mode": mode, "has_content": True, "delivered": delivered, **facts}
    return Ended(**given)


def modes_for(candidate: OpenerFacts, **facts: Any) -> dict[str, Any]:
    """Return the choice in each mode of the caller's."""
    return {mode: choose(ended(mode, **facts), candidate).mode for mode in MODES}


@pytest.mark.parametrize(
    ("candidate", "facts", "expected"),
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
def test_each_row_of_the_table(candidate: OpenerFacts, facts: dict[str, Any], expected: list[Any]) -> None:
    assert dict(zip(MODES, expected, strict=True)) == modes_for(candidate, **facts)


def test_what_was_delivered_decides_if_the_answer_may_begin_again() -> None:
    """Reasoning can be taken back; a caller who only resumes wants no other answer."""
    may = {(mode, extent): ended(mode, extent).may_begin_again for mode, extent in product(MODES, EXTENTS)}

    assert may == {
        (mode, extent): extent != "content" and mode != "resume" for mode, extent in product(MODES, EXTENTS)
    }


@pytest.mark.parametrize("fact", ["is_out_of_time", "has_spent_all", "is_whole", "may_lack"])
@pytest.mark.parametrize("extent", EXTENTS)
def test_time_money_and_gaps_come_first(fact: str, extent: Any) -> None:
    """Nothing goes on from an answer with a gap, but another one may replace it; a whole one stays."""
    facts = ended("auto", extent, **{fact: True})

    assert facts.may_go_on == (fact == "is_whole")
    assert facts.may_begin_again == (fact == "may_lack" and extent != "content")


def test_the_reason_is_told_where_the_answer_is_not_continued() -> None:
    assert choose(ended(), OpenerFacts(obstacle=OBSTACLE)) == ModeChoice(None, OBSTACLE)
    assert choose(ended("continue"), OpenerFacts(obstacle=OBSTACLE)) == ModeChoice("restart", OBSTACLE)
    assert choose(ended(), OpenerFacts(follows_modes=False, obstacle=OBSTACLE)) == ModeChoice(None, OBSTACLE)


def test_an_opener_is_only_asked_where_the_choice_depends_on_it() -> None:
    """The question may call a function of the caller's."""
    for mode, has_content in product(MODES, [True, False]):
        facts = ended(mode, has_content=has_content)
        different = {choose(facts, OpenerFacts(obstacle=obstacle)).mode for obstacle in (None, OBSTACLE)}
        assert needs_candidate(facts) or len(different) == 1
