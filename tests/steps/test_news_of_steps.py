"""News of a running step beside its answers: output, progress, and requests that wait for an answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream import Steps
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.events import (
    Event,
    PartStart,
    ReasoningDelta,
    StepDelta,
    StepDone,
    StepStart,
    StepUpdate,
    StepWaiting,
    TextDelta,
)
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.message import ReasoningPart


def _told_by(run: Steps) -> list[Any]:
    """Return the events of a run without its answers, for a reader that begins now."""
    return [each for each in run.events().ready() if isinstance(each, StepDelta | StepUpdate | StepWaiting)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=3), st.booleans()), max_size=30))
def test_every_reader_gets_the_whole_output_of_each_step_in_order(said: list[tuple[str, str, bool]]) -> None:
    """A reader may look after any piece, or only at the end: the pieces of a step add up to its output."""
    with Steps() as run:
        steps = {name: run.step(name) for name in "ab"}
        often, found = run.events(), list[Event]()
        for name, text, looks in said:
            steps[name].add_output(text)
            if looks:
                found += often.ready()
        outputs = {step.id: step.output for step in steps.values()}
    found += often.ready()

    for events in (found, run.events().ready()):
        for id, output in outputs.items():
            pieces = [each for each in events if isinstance(each, StepDelta) and each.id == id]
            assert "".join(each.text for each in pieces) == output
            assert all(each.text and each.step == id for each in pieces)
    assert outputs[steps["a"].id] == "".join(text for name, text, _ in said if name == "a")


def test_output_comes_between_the_start_and_the_end_of_its_step() -> None:
    """An interface that draws a step when it begins always knows the step that some output is of."""
    with Steps() as run, run.step("test") as step:
        step.add_output("1 passed")
    kinds = [type(each) for each in run.events().ready()]

    assert kinds == [StepStart, StepDelta, StepDone]


def test_output_beyond_the_limit_is_refused_and_the_rest_is_kept() -> None:
    """A command that prints for ever does not fill the memory."""
    large = "x" * (DEFAULT_LIMITS.text // 2)
    with Steps() as run, run.step("test") as step:
        step.add_output(large)
        step.add_output(large)
        with pytest.raises(LimitExceeded, match=r"Limits\.text"):
            step.add_output("x")

        assert len(step.output) == DEFAULT_LIMITS.text


def test_news_of_one_type_replace_each_other() -> None:
    plan = {"type": "plan", "entries": [{"content": "look", "status": "pending"}]}
    with Steps() as run, run.step("agent") as step:
        step.update(plan)
        step.update({"type": "progress", "progress": 1})
        step.update({**plan, "entries": []})

        assert step.updates == {
            "plan": {**plan, "entries": []},
            "progress": {"type": "progress", "progress": 1},
        }
    assert [each.data["type"] for each in _told_by(run)] == ["plan", "progress", "plan"]


def test_news_without_a_type_are_refused() -> None:
    """A reader could not tell which earlier news they replace."""
    with Steps() as run, run.step("agent") as step, pytest.raises(MisuseError, match="type"):
        step.update({"progress": 2})


def test_a_request_is_answered_once_and_all_readers_see_that() -> None:
    """The answer goes to whoever has asked; who comes later sees that nobody has to answer any more."""
    answers: list[object] = []
    with Steps() as run, run.step("delete") as step:
        early = run.events()
        event = step.wait_for("r1", {"path": "build"}, send=answers.append)
        assert (event.answered, run.waiting) == (False, (event,))
        assert [(each.id, each.answered) for each in early.ready() if isinstance(each, StepWaiting)] == [
            ("r1", False)
        ]
        run.reply("r1", {"allow": True})
        assert (run.waiting, step.state) == ((), "running")
        with pytest.raises(MisuseError, match="already answered"):
            run.reply("r1", {"allow": False})

    assert answers == [{"allow": True}]
    assert [each.answered for each in early.ready() if isinstance(each, StepWaiting)] == [True]
    assert all(each.answered and each.step == step.id for each in _told_by(run))


def test_a_request_that_comes_again_is_not_asked_twice() -> None:
    """A replayed request that was answered says so."""
    with Steps() as run, run.step("delete") as step:
        step.wait_for("r1", {}, send=lambda _: None)
        run.reply("r1", True)
        again = step.wait_for("r1", {})

    assert again.answered
    assert len(_told_by(run)) == 2


def test_no_answer_after_the_end_of_the_step() -> None:
    """The agent does not wait any more."""
    answers: list[object] = []
    with Steps() as run:
        with run.step("delete") as step:
            step.wait_for("r1", {}, send=answers.append)
        assert run.waiting == ()
        with pytest.raises(MisuseError, match="has ended"):
            run.reply("r1", True)
        with pytest.raises(MisuseError, match="no request"):
            run.reply("r2", True)

    assert answers == []


def test_a_run_that_cannot_send_says_so() -> None:
    """An answer that nobody gets would leave the agent waiting for ever."""
    with Steps() as run, run.step("delete") as step:
        event = step.wait_for("r1", {})
        with pytest.raises(MisuseError, match="cannot send"):
            run.reply("r1", True)

        assert not event.answered


def test_of_many_threads_one_answers() -> None:
    """Two people may press the button at the same time."""
    answers: list[object] = []
    refused: list[MisuseError] = []
    with Steps() as run, run.step("delete") as step:
        step.wait_for("r1", {}, send=answers.append)
        barrier = threading.Barrier(8)

        def press() -> None:
            barrier.wait()
            try:
                run.reply("r1", True)
            except MisuseError as error:
                refused.append(error)

        threads = [threading.Thread(target=press) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (len(answers), len(refused)) == (1, 7)


@pytest.mark.parametrize(
    "deltas", [[ReasoningDelta("hm"), TextDelta("Hi")], [TextDelta("Hi"), ReasoningDelta("hm")]]
)
def test_deltas_of_two_kinds_in_one_part_are_refused(deltas: list[Any]) -> None:
    """Until now, the text was lost in silence; what was said before is kept."""
    accumulator = Accumulator()
    with Steps() as run, run.step("agent") as step:
        step.feed(deltas[0])
        accumulator.feed(deltas[0])
        with pytest.raises(MisuseError, match="number the parts"):
            step.feed(deltas[1])
        with pytest.raises(MisuseError, match="number the parts"):
            accumulator.feed(deltas[1])
        deltas[1].part = 1
        step.feed(deltas[1])

    assert {(part.kind, getattr(part, "text", None)) for part in step.messages[0].parts} == {
        ("text", "Hi"),
        ("reasoning", "hm"),
    }


def test_a_delta_of_another_kind_than_its_part_is_refused() -> None:
    """The start of a part says of which kind its text is."""
    with Steps() as run, run.step("agent") as step:
        step.feed(PartStart(ReasoningPart(text="", complete=False)))
        with pytest.raises(MisuseError, match="'reasoning' got a delta of the kind 'text'"):
            step.feed(TextDelta("Hi"))
