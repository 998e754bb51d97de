"""A run of steps as the bytes of a protocol."""

from __future__ import annotations

import random
from typing import Any, cast

import anyio
import pytest

from tests.relay.encode.support import all_of
from tokenstream import Steps, Stream, relay, testing
from tokenstream.events import Event, StepDone, StepStart, TextDelta


def _run(seed: int) -> Steps:
    """Return a run of three steps, read in turns, event by event."""
    dice = random.Random(seed)
    answers = [
        testing.script()
        .reasoning("Hm", ".")
        .text(f"text {number} ", "is ", "here")
        .tool_call("now", {"n": number})
        for number in range(3)
    ]
    with Steps() as run:
        left = []
        for number, answer in enumerate(answers):
            step = run.step("ask" if number else "plan", agent="a")
            left.append((step, iter(step.follow(answer.finish("tool_calls").stream("anthropic")))))
        while left:
            mine = dice.choice(left)
            if next(mine[1], None) is None:
                left.remove(mine)
                mine[0].end()
    return run


@pytest.mark.parametrize("seed", range(5))
def test_a_run_is_carried_with_its_steps(seed: int) -> None:
    run = _run(seed)
    events = run.events().ready()
    chunks = list(relay.encode(run.events(), raw=True))
    stream = Stream([b"".join(chunks)])
    again = list(stream)

    assert chunks == anyio.run(lambda: all_of(relay.encode(run.events(), raw=True)))
    assert events == again
    assert [event.step for event in events] == [event.step for event in again]
    assert "complete" == stream.message.ending
    whole = b"".join(chunks)
    assert whole.count(b"is here") == 3


@pytest.mark.parametrize("seed", range(3))
def test_one_steps_end_closes_nobody_elses_part(seed: int) -> None:
    """In AG-UI and in UI messages every text has its own id, one start, one end, and all of its pieces."""
    for name, started, ended, said, id in (
        ("ui-message", "text-start", "text-end", "text-delta", "id"),
        ("ag-ui", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "TEXT_MESSAGE_CONTENT", "messageId"),
    ):
        opened: set[str] = set()
        texts: dict[str, str] = {}
        for each in relay.payloads(_live(_run(seed)), cast("Any", name)):
            if each["type"] == started:
                assert each[id] not in texts
                opened.add(each[id])
                texts[each[id]] = ""
            elif each["type"] == ended:
                opened.remove(each[id])
            elif each["type"] == said:
                assert each[id] in opened
                texts[each[id]] += each["delta"]
            elif each["type"] in ("RUN_FINISHED", "finish", "finish-step"):
                assert not opened
        assert {f"text {number} is here" for number in range(3)} == set(texts.values())


def _live(run: Steps) -> list[Event]:
    """Return a run's events, of which each step's are spread over those of the others."""
    lanes: dict[str | None, list[Event]] = {}
    for event in run.events().ready():
        lanes.setdefault(event.step, []).append(event)
    dice = random.Random(1)
    found: list[Event] = []
    while lanes:
        key = dice.choice(list(lanes))
        found.append(lanes[key].pop(0))
        if not lanes[key]:
            del lanes[key]
    return found


def test_a_run_that_failed_says_so() -> None:
    failed: list[Event] = [StepStart("1", "a"), StepStart("2", "b", "1"), StepDone("2", "failed", "no")]
    assert b'"ending":"complete"' in list(relay.encode([*failed, StepDone("1")]))[-1]
    assert b'"type":"error"' in list(relay.encode([*failed, StepDone("1", "failed")]))[-1]
    assert b'"ending":"stopped"' in list(relay.encode([*failed, StepDone("1", "stopped")]))[-1]
    assert b"RUN_ERROR" in list(relay.encode([*failed, StepDone("1", "failed")], "ag-ui"))[-1]


def test_steps_are_reported_in_ui_streams() -> None:
    """AG-UI has events for them, whose names are unique while they are open; UI messages have data parts."""
    events: list[Event] = [StepStart("1", "ask"), StepStart("2", "ask"), StepDone("1"), TextDelta("a")]
    names = [
        (each["type"], each["stepName"]) for each in relay.payloads(events, "ag-ui") if "stepName" in each
    ]
    assert [
        ("STEP_STARTED", "ask"),
        ("STEP_STARTED", "ask 2"),
        ("STEP_FINISHED", "ask"),
        ("STEP_FINISHED", "ask 2"),
    ] == names
    parts = [each for each in relay.payloads(events, "ui-message") if each["type"] == "data-step"]
    assert [("1", "running"), ("2", "running"), ("1", "done")] == [
        (each["id"], each["data"]["state"]) for each in parts
    ]
