"""Events that belong to no run, come late or are not as expected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.steps.follow.support import GRAPH, event, follow, of_agent, piece, tree
from tokenstream import Steps
from tokenstream.errors import MisuseError


@pytest.mark.parametrize("events", [3, "text", b"", {"event": "x"}])
def test_what_is_no_loop_is_refused(events: Any) -> None:
    with Steps() as run, pytest.raises(MisuseError, match="astream_events"):
        run.follow(events)


@pytest.mark.parametrize("chunk", [piece("Hel"), b"data: x"])
def test_pieces_of_one_answer_are_for_a_step(chunk: Any) -> None:
    """The mistake is told at the first of them."""
    with Steps() as run, pytest.raises(MisuseError, match=r"step\.follow"):
        list(run.follow([chunk]))


def test_events_of_no_known_framework_pass_and_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    odd = [SimpleNamespace(kind="odd")]
    with Steps() as run:
        assert odd == list(run.follow(odd))

    assert () == run.steps
    assert ["none of the 1 events that were followed made a step: they are of no known framework"] == [
        record.getMessage() for record in caplog.records
    ]


def test_what_comes_after_the_end_of_a_step_disturbs_nobody() -> None:
    """A node that has ended takes its model along; a tool without an end is stopped."""
    events = [
        event("chain_start", "ask", node="ask"),
        event("chat_model_start", "m", "ask"),
        event("chain_end", "ask", node="ask"),
        event("chat_model_stream", "m", "ask", chunk=piece("late")),
        event("tool_start", "t", "ask", name="search"),
        event("chat_model_end", "m", "ask", output=None),
        event("odd", "x"),
        {"event": "on_chat_model_start", "run_id": 7},
    ]
    run = follow(events)

    assert [("ask", "done", ("m", "stopped")), ("search", "stopped")] == tree(run.steps)


def test_events_that_are_not_as_expected_disturb_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A version of a framework may come that has others: what is open is stopped, and the log says so."""
    events = [of_agent("triage", input=[]), of_agent("triage", response=None), of_agent("writer", input=[])]
    with Steps() as run:
        assert 3 == len(list(run.follow(events)))

    assert [("triage", "stopped")] == tree(run.steps)
    assert 1 == len(caplog.records)


def test_a_run_that_has_ended_follows_nothing() -> None:
    with Steps() as run:
        pass

    with pytest.raises(MisuseError, match="has already ended"):
        list(run.follow(GRAPH))
