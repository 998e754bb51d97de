"""A run as a tree that grows: what its steps say of themselves, and how they end."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from tests.steps.answers import asking, stream_of, talk
from tests.support.clocks import on
from tokenstream import Limits, Steps, Usage
from tokenstream.errors import LimitExceeded, MisuseError, StreamTruncated
from tokenstream.events import MessageStart, TextDelta, UsageUpdate
from tokenstream.message import ToolCall
from tokenstream.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.steps import Step

CALL = ToolCall(id="call_1", name="weather", arguments_text="{}", complete=True)


# -- the tree ---------------------------------------------------------------------


def test_what_was_read_of_a_step_does_not_change() -> None:
    """Later steps and answers are in what is read after them."""
    with Steps() as run, run.step("plan") as plan:
        first = plan.step("search")
        plan.feed(TextDelta("Hello"))
        steps, messages = plan.steps, plan.messages
        plan.step("write")
        plan.feed(MessageStart(another=True))
        plan.feed(TextDelta("again"))

    assert (steps, [message.text for message in messages]) == ((first,), ["Hello"])
    assert [step.name for step in plan.steps] == ["search", "write"]
    assert [message.text for message in plan.messages] == ["Hello", "again"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_nest_below_the_block_that_they_were_started_in(backend: str) -> None:
    """Side by side, none within another."""

    async def work(run: Steps, name: str) -> None:
        with run.step(name):
            await anyio.lowlevel.checkpoint()
            with run.step(f"{name} below"):
                await anyio.lowlevel.checkpoint()

    async def main() -> Steps:
        with Steps() as run, run.step("all"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work, run, "one")
                tasks.start_soon(work, run, "two")
        return run

    (above,) = anyio.run(main, backend=backend).steps

    steps = sorted(above.steps, key=lambda step: step.name)
    assert ["one", "two"] == [step.name for step in steps]
    assert [["one below"], ["two below"]] == [[below.name for below in step.steps] for step in steps]


def test_threads_that_copy_the_context_nest_too() -> None:
    async def main() -> Steps:
        with Steps() as run, run.step("all") as above:
            await asyncio.to_thread(lambda: run.step("copied").end())
            thread = threading.Thread(target=lambda: above.step("told").end())
            thread.start()
            thread.join()
        return run

    (above,) = asyncio.run(main()).steps

    assert ["copied", "told"] == [step.name for step in above.steps]


def test_two_runs_at_once_do_not_mix() -> None:
    """A step is a part of a step of its own run."""
    with (
        Steps() as one,
        Steps() as two,
        one.step("a") as above,
        two.step("b") as other,
        one.step("c") as below,
    ):
        pass

    assert (None, above) == (other.parent, below.parent)


def test_generators_that_take_turns_leave_the_right_block() -> None:
    """Blocks that end in another order than they began end as those that they are."""

    def work(step: Step) -> Iterator[None]:
        with step:
            yield

    with Steps() as run, run.step("all") as above:
        one, two = work(above.step("one")), work(above.step("two"))
        next(one)
        next(two)
        assert next(one, None) is None
        run.step("below two").end()
        assert next(two, None) is None
        run.step("three").end()

    assert [("one", []), ("two", ["below two"]), ("three", [])] == [
        (step.name, [below.name for below in step.steps]) for step in above.steps
    ]


# -- what a step shows --------------------------------------------------------------


def test_a_step_shows_its_stream_while_it_runs() -> None:
    """Text, counts and figures; the stream is read as ever."""
    with Steps() as run, run.step("write") as step:
        stream = step.follow(stream_of(talk("Hel", "lo")))
        before = (step.text, step.usage)
        pieces: list[tuple[str, str]] = [(piece, step.text) for piece in stream.text]

    assert ("", Usage()) == before
    assert [("Hel", "Hel"), ("lo", "Hello")] == pieces
    assert (stream,) == step.streams
    assert step.metrics is not None
    assert (stream.message, (stream.message,), stream.metrics.chunks) == (
        step.message,
        step.messages,
        step.metrics.chunks,
    )


def test_a_step_may_follow_several_streams() -> None:
    with Steps() as run, run.step("write") as step:
        step.follow(stream_of(talk("One."))).final()
        with run.step("check") as below:
            below.follow(stream_of(talk("Good."))).final()
        step.follow(stream_of(talk("T", "wo."))).final()

    assert "One.\n\nTwo." == step.text
    assert [3, 1] == [each.usage.output_tokens for each in (step, below)]
    assert [4, 4] == [each.total_usage.output_tokens for each in (step, run)]


def test_a_stream_that_was_read_already_is_shown_from_its_start() -> None:
    """Whoever reads it goes on from where it was."""
    stream = stream_of(talk("Hel", "lo"))
    events = iter(stream)
    first = next(event for event in events if isinstance(event, TextDelta))
    with Steps() as run, run.step("write") as step:
        step.follow(stream)
        shown = step.text
        after = list(stream)

    assert "Hel" == shown
    assert ["Hel", "lo"] == [event.text for event in (first, *after) if isinstance(event, TextDelta)]
    assert ["Hello"] == [event.text for event in run.events() if isinstance(event, TextDelta)]


def test_a_stream_that_fails_leaves_what_had_come() -> None:
    """The step has failed, since nobody has caught the error within it."""
    run = Steps()
    with pytest.raises(StreamTruncated), run, run.step("write") as step:
        step.follow(stream_of(talk("Hel", "lo")[:2])).final()
    (step,) = run.steps

    assert ("failed", "Hel") == (step.state, step.text)
    assert step.error is not None
    assert step.error.startswith("StreamTruncated: ")


def test_time_is_reported_while_a_step_runs_and_after() -> None:
    clock = VirtualClock()
    with on(clock, Steps) as run:
        clock.until(1.0)
        with run.step("think") as step:
            clock.until(3.5)
            running = step.seconds
        clock.until(9.0)

    assert (2.5, 2.5, 9.0) == (running, step.seconds, run.seconds)
    assert (1.0, 3.5) == (step.started, step.ended)


# -- how it ends ----------------------------------------------------------------------


def test_a_step_that_raises_has_failed() -> None:
    """The error goes on, and its words stay."""
    run = Steps()
    with pytest.raises(ValueError, match="no such"), run, run.step("look") as step:
        assert "running" == step.state
        raise ValueError("no such city")

    assert ("failed", "ValueError: no such city") == (step.state, step.error)
    assert "failed" == run.state


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_step_that_is_cancelled_has_stopped(backend: str) -> None:
    async def main() -> Any:
        with Steps() as run, anyio.move_on_after(0.01), run.step("wait"):
            await anyio.sleep_forever()
        return run.steps[0].state, run.state

    assert ("stopped", "done") == anyio.run(main, backend=backend)


def test_a_step_that_is_left_open_is_stopped_with_what_it_is_a_part_of() -> None:
    with Steps("trip") as run:
        with run.step("plan") as plan:
            open_step = run.step("search")
        other = run.step("write")

    assert ("stopped", "it was still open when the step 'plan' ended") == (open_step.state, open_step.error)
    assert ("stopped", "it was still open when the run 'trip' ended") == (other.state, other.error)
    assert "done" == plan.state


@pytest.mark.slow
def test_a_run_may_nest_deeper_than_functions_do() -> None:
    """An agent whose next turn is begun within the last one goes on for long."""
    with Steps("chat") as run:
        step = run.step("0")
        for number in range(1, 1_100):
            step = step.step(str(number))
        step.feed(UsageUpdate(Usage(output_tokens=2)))
        lines = str(run).split("\n")

    assert 1_101 == len(lines)
    assert Usage(output_tokens=2, basis="partial") == run.total_usage
    assert "it was still open when the step '1098' ended" == step.error
    assert 2_200 < len(run.events().ready())


def test_what_has_ended_takes_nothing_more() -> None:
    """The error says what to do; a stream that cannot be followed is left as it was."""
    stream = stream_of(talk("Hel", "lo"))
    text = stream.text
    with Steps("trip") as run, run.step("plan") as step:
        pass
    for misuse in (
        lambda: run.step("more"),
        lambda: step.step("more"),
        lambda: step.follow(stream),
        lambda: step.feed(TextDelta("Hi")),
        step.__enter__,
        run.__enter__,
    ):
        with pytest.raises(MisuseError, match="has already ended"):
            misuse()
    step.end()
    run.end()

    assert "done" == step.state
    assert ["Hel", "lo"] == list(text)


def test_a_run_that_nobody_ends_warns() -> None:
    """Whoever waits for its events would wait for ever."""
    run = Steps("trip")
    run.step("plan").end()

    with pytest.warns(ResourceWarning, match="Steps trip: running, 1 steps> was never ended"):
        del run
        gc.collect()


def test_what_is_no_stream_is_refused() -> None:
    not_one: Any = [b"Hi"]
    unnamed: Any = 7
    with Steps() as run, run.step("a") as step, run.step("b") as other:
        stream = step.follow(stream_of(talk("Hi")))
        with pytest.raises(MisuseError, match="not list"):
            step.follow(not_one)
        with pytest.raises(MisuseError, match="already follows this stream"):
            other.follow(stream)
        with pytest.raises(MisuseError, match="not int"):
            run.step(unnamed)
        with pytest.raises(MisuseError, match="not int"):
            run.step("c", cause=unnamed)

    assert "Hi" == stream.final().text


# -- to look at -------------------------------------------------------------------------


def test_a_run_is_printed_as_a_tree() -> None:
    """Names, agents, calls, states, times and tokens."""
    clock = VirtualClock()
    run = on(clock, Steps, "trip")
    step = run.step(CALL)
    with pytest.raises(TimeoutError), run, run.step("plan", agent="planner") as plan:
        plan.follow(stream_of(asking("Oslo"))).final()
        with step:
            clock.until(1.24)
        with run.step("write", agent="writer"):
            raise TimeoutError

    assert str(run).split("\n") == [
        "trip failed 1.2 s 5 + 7 tokens",
        "├─ weather done 1.2 s",
        "└─ plan (planner) failed 1.2 s 5 + 7 tokens - TimeoutError",
        "   └─ write (writer) failed 0.0 s - TimeoutError",
    ]
    assert ("<Steps trip: failed, 2 steps>", "<Step weather done 1.2 s>") == (repr(run), repr(step))


@pytest.mark.parametrize(
    ("usage", "figures"),
    [
        (Usage(input_tokens=1_200, output_tokens=7), "1,200 + 7 tokens"),
        (Usage(output_tokens=7), "? + 7 tokens"),
    ],
)
def test_what_nobody_counted_is_not_shown_as_zero(usage: Usage, figures: str) -> None:
    """A question mark stands for it."""
    with on(VirtualClock(), Steps, "trip") as run, run.step("ask") as step:
        step.feed(UsageUpdate(usage))

    assert f"trip done 0.0 s {figures}\n└─ ask done 0.0 s {figures}" == str(run)


def test_an_answer_ends_in_a_way_that_there_is() -> None:
    unknown: Any = "cut"
    with Steps() as run, run.step("agent") as step:
        step.feed(TextDelta("Hel"))
        with pytest.raises(MisuseError, match="not 'cut'"):
            step.conclude(unknown)

    assert "complete" == step.messages[0].ending


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("", "tool done"),
        ("{}", "tool done"),
        ('{"path": "a.txt", "line": 3}', 'tool path="a.txt" line=3 done'),
        ('{"text": "Grüße\\u001b[31m"}', 'tool text="Grüße\\u001b[31m" done'),
        ("print(1)\nprint(2)", "tool print(1)\\nprint(2) done"),
        ('{"path": "a', 'tool {"path": "a done'),
        ('{"n": "' + "x" * 100 + '"}', 'tool n="' + "x" * 56 + "… done"),
        ('{"n": "' + "x" * 9_000 + '"}', 'tool {"n": "' + "x" * 52 + "… done"),
    ],
)
def test_a_tool_is_reported_by_its_name_and_its_arguments(arguments: str, shown: str) -> None:
    """Two calls of one tool have different arguments, and ids that say nothing; long ones are cut."""
    call = ToolCall(id="call_1", name="tool", arguments_text=arguments, complete=True)
    with on(VirtualClock(), Steps, "trip") as run, run.step(call):
        pass

    assert str(run) == f"trip done 0.0 s\n└─ {shown} 0.0 s"


def test_a_run_has_so_many_steps_at_most() -> None:
    """Each takes memory as long as the run is kept, so their number has a bound."""
    with Steps(limits=Limits(steps=2)) as run, run.step("a") as step:
        step.step("b").end()
        with pytest.raises(LimitExceeded) as caught:
            run.step("c")

    assert (caught.value.limit, caught.value.value) == ("steps", 2)
    assert [each.name for each in step.steps] == ["b"]


def test_an_agent_with_too_many_tools_ends_the_loop() -> None:
    """What had come is kept, and the turn has failed with the bound."""
    tool = {"type": "tool_use", "sessionID": "s"}
    state = {"status": "completed", "input": {}, "output": "ok"}
    lines = [{**tool, "part": {"callID": str(n), "tool": "ls", "state": state}} for n in range(9)]
    for source in (lines, [json.dumps(line) for line in lines], iter(lines)):
        with Steps(limits=Limits(steps=4)) as run, pytest.raises(LimitExceeded, match="steps"):
            list(run.follow(source))

        (turn,) = run.turns
        assert (turn.state, len(turn.step.steps)) == ("failed", 3)
