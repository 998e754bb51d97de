"""What happens in a run as events: whoever draws it sees which step each belongs to."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.steps.answers import asking, async_stream_of, messages_of, stream_of, talk
from tests.support.encoders import create
from tests.support.recordings import Recorded, ours
from tests.support.sampling import sampled
from tests.support.timing import PATIENCE
from tokenstream import Decoder, Retry, Steps, Stream, resilient, testing
from tokenstream.errors import StreamError
from tokenstream.events import (
    CitationAdded,
    Event,
    MessageStart,
    PartStart,
    Restarted,
    Resumed,
    StepDone,
    StepStart,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import Citation, ToolCall
from tokenstream.steps._events import _StepAnswerCursor

if TYPE_CHECKING:
    from tokenstream.steps import Step


def parts_of(events: list[Event]) -> dict[int, set[str | None]]:
    found: dict[int, set[str | None]] = {}
    for event in events:
        if event.part is not None:
            found.setdefault(event.part, set()).add(event.step)
    return found


def in_turns(streams: list[Stream], dice: random.Random) -> None:
    left = [iter(stream) for stream in streams]
    while left:
        mine = dice.choice(left)
        try:
            next(mine)
        except (StopIteration, StreamError):
            left.remove(mine)


def steps_in_turns(dice: random.Random) -> tuple[list[Event], dict[str, Stream]]:
    """Return the events of a run whose three steps are read in turns, and the stream of each by its id."""
    found, streams = list[Event](), dict[str, Stream]()
    with Steps() as run:
        seen, left = run.events(), []
        for name, body in zip(
            "abc", (asking("Oslo", "Rome"), asking("Oslo"), talk("Hel", "lo")), strict=True
        ):
            step = run.step(name)
            streams[step.id] = step.follow(stream_of(body))
            left.append((step, iter(streams[step.id])))
        while left:
            mine = dice.choice(left)
            if next(mine[1], None) is None:
                left.remove(mine)
                mine[0].end()
            found += seen.ready()
    return found + seen.ready(), streams


@pytest.mark.slow
def test_three_steps_in_turns_keep_their_own_parts() -> None:
    """No two parts have one number, calls of one id are told apart, and each step adds up to its message."""
    for seed in range(20):
        found, streams = steps_in_turns(random.Random(seed))
        messages = messages_of(found)
        ids = [event.id for event in found if isinstance(event, ToolCallStart)]

        assert all(len(steps) == 1 for steps in parts_of(found).values())
        assert sorted(parts_of(found)) == list(range(len(parts_of(found))))
        assert len(ids) == len(set(ids)) == 3
        for step, stream in streams.items():
            assert _told(stream.message) == _told(messages[step])


def _told(message: Any) -> Any:
    """Return what a message says, without the ids of its calls and what no event tells."""
    parts = [
        part.model_copy(update={"id": ""}) if isinstance(part, ToolCall) else part for part in message.parts
    ]
    return message.model_copy(update={"parts": tuple(parts), "ending": "streaming", "format": None})


@pytest.mark.parametrize("recorded", sampled(ours(), one_in=6), ids=lambda recorded: recorded.name)
def test_a_step_of_any_recording_adds_up_to_its_message(recorded: Recorded) -> None:
    dice = random.Random(len(recorded.body))
    with Steps() as run:
        seen = run.events()
        one, two = run.step("one"), run.step("two")
        streams = [step.follow(Stream(recorded.body, format=recorded.format)) for step in (one, two)]
        in_turns(streams, dice)
        found = seen.ready()
    expected = [stream.message.model_copy(update={"choice": 0}) for stream in streams]
    messages = messages_of(event for event in found if event.choice == 0)

    assert [(each.text, each.reasoning, each.refusal, len(each.parts)) for each in expected] == [
        (each.text, each.reasoning, each.refusal, len(each.parts))
        for each in (messages[one.id], messages[two.id])
    ]
    assert all(len(steps) == 1 for steps in parts_of([e for e in found if e.choice == 0]).values())


def test_whoever_comes_late_is_told_all_from_the_start() -> None:
    with Steps() as run:
        early = run.events()
        with run.step("ask", agent="a") as step:
            first = early.ready()
            for _ in step.follow(stream_of(talk("Hel", "lo"))):
                first += early.ready()
        first += early.ready()
        late = run.events().ready()

    assert [StepStart("1", "ask", agent="a"), TextDelta("Hello"), StepDone("1")] == [
        event for event in late if isinstance(event, StepStart | TextDelta | StepDone)
    ]
    assert [TextDelta("Hel"), TextDelta("lo")] == [event for event in first if isinstance(event, TextDelta)]
    assert messages_of(first) == messages_of(late)


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[_StepAnswerCursor]:
    """Return a list to which each look of a run's reader at an answer is added."""
    looks: list[_StepAnswerCursor] = []
    ready = _StepAnswerCursor.ready

    def counted(reader: _StepAnswerCursor) -> list[Event]:
        looks.append(reader)
        return ready(reader)

    monkeypatch.setattr(_StepAnswerCursor, "ready", counted)
    return looks


def test_each_event_of_a_step_with_many_answers_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that follows along looks no more at the answers that are over, of streams and fed ones."""
    looks = count_looks(monkeypatch)
    with Steps() as run, run.step("talk") as step:
        reader = run.events()
        told: list[Event] = []
        for number in range(20):
            if number % 2:
                step.follow(stream_of(asking("Hello"))).final()
            else:
                step.feed(MessageStart(another=True))
                step.feed(TextDelta("Hello"))
            told += reader.ready()
        assert len(looks) <= 3 * 20
    assert len([event for event in told if isinstance(event, TextDelta)]) == 20
    assert len([event for event in told if isinstance(event, MessageStart) and event.another]) == 19


def test_a_step_is_caused_by_a_call_that_was_reported_before() -> None:
    with Steps() as run:
        run.step("other").follow(stream_of(asking("Rome"))).final()
        with run.step("ask") as step:
            stream = step.follow(stream_of(asking("Oslo")))
            for call in stream.tool_calls:
                with run.step(call):
                    pass
    events = list(run.events())
    (caused,) = [event for event in events if isinstance(event, StepStart) and event.cause is not None]
    called = [event.call.id for event in events[: events.index(caused)] if isinstance(event, ToolCallDone)]

    assert caused.cause is not None
    assert ["call_0", "call_0-2"] == called
    assert "call_0-2" == caused.cause.id
    assert {"call_0-2"} == {
        event.id for event in events if isinstance(event, ToolCallDelta) and event.step == step.id
    }


def test_a_citation_cites_the_part_by_its_number_in_the_run() -> None:
    with Steps() as run:
        steps: list[Step] = [run.step("a"), run.step("b")]
        for step in steps:
            step.feed(TextDelta("Hi"))
            step.feed(CitationAdded(Citation(url="u", cites=0), part=1))
        events = run.events().ready()

    cited = [(event.part, event.citation.cites) for event in events if isinstance(event, CitationAdded)]
    assert [(1, 0), (3, 2)] == cited


def test_an_answer_that_begins_again_says_so_in_its_step() -> None:
    bodies = iter([talk("Hel", "lo")[:3], talk("Good", "bye")])
    with Steps() as run, run.step("ask") as step:
        seen = run.events()
        stream = step.follow(resilient(lambda: next(bodies), Retry(again=True, wait=0), format="openai-chat"))
        found: list[Event] = []
        for _ in stream:
            found += seen.ready()

    assert [step.id] == [event.step for event in found if isinstance(event, Restarted)]
    assert {0} == {event.part for event in found if isinstance(event, PartStart)}
    assert "Goodbye" == messages_of(found)[step.id].text
    assert None is stream.attempts[0].error or "Goodbye" == stream.message.text


def test_a_cut_call_that_is_left_out_has_its_id_of_the_run() -> None:
    text = "I look for the weather there. "
    cut = testing.script().text(text).tool_call("look", ('{"at": "', 'Oslo"}'), id="call_1")
    again = testing.script().tool_call("look", {"at": "Oslo"}, id="call_2").finish("tool_calls")
    bodies = iter([cut.chunks("openai-chat")[:-1], again.chunks("openai-chat")])
    with Steps() as run, run.step("ask") as step:
        seen = run.events()
        step.follow(stream_of(asking("Oslo"))).final()
        retry = Retry(again=True, wait=0)
        stream = step.follow(resilient(lambda _: next(bodies), retry, format="openai-chat"))
        found: list[Event] = seen.ready()
        for _ in stream:
            found += seen.ready()

    begun = [event.id for event in found if isinstance(event, ToolCallStart)]
    assert 3 == len({*begun}) == len(begun)
    assert [[begun[1]]] == [
        [call.id for call in each.discarded] for each in found if isinstance(each, Resumed)
    ]
    calls = messages_of(found)[step.id].tool_calls
    assert [(begun[0], True), (begun[2], True)] == [(call.id, call.complete) for call in calls]


@pytest.mark.parametrize("format", ["ui-message", "ag-ui", "openai-responses"])
def test_a_run_is_written_as_one_answer_with_the_parts_of_all(format: Any) -> None:
    """The end of one step closes no part of another's, where parts may be written in turns."""
    found, _ = steps_in_turns(random.Random(1))
    encoder, decoder = create(format, lossy=True), Decoder(format)
    for chunk in [*(chunk for event in found for chunk in encoder.feed(event)), *encoder.end()]:
        decoder.feed(chunk)
    message = decoder.message

    assert ["Hello", "Let me look.", "Let me look."] == sorted(
        part.text for part in message.parts if part.kind == "text"
    )
    assert ["Oslo", "Oslo", "Rome"] == sorted(call.arguments["city"] for call in message.tool_calls)
    assert 3 == len({call.id for call in message.tool_calls})


# -- loops --------------------------------------------------------------------------------


def test_a_loop_in_another_thread_ends_with_the_run() -> None:
    found: list[list[Event]] = [[], []]
    with Steps() as run:
        threads = [
            threading.Thread(target=lambda mine=mine: mine.extend(run.events()), daemon=True)
            for mine in found
        ]
        for thread in threads:
            thread.start()
        with run.step("ask") as step:
            step.follow(stream_of(talk(*("word " * 200).split(" ")[:-1]))).final()
    for thread in threads:
        thread.join(PATIENCE)

    assert ["word" * 200] * 2 == [messages_of(mine)[step.id].text for mine in found]
    assert all(isinstance(mine[0], StepStart) and isinstance(mine[-1], StepDone) for mine in found)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_in_a_task_sees_what_comes(backend: str) -> None:
    found: list[Event] = []

    async def main() -> None:
        run = Steps()

        async def show() -> None:
            async for event in run.events():
                found.append(event)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            with run:
                with run.step("here") as step:
                    await step.follow(async_stream_of(talk("Hel", "lo"))).final()
                with run.step("there") as step:
                    stream = step.follow(stream_of(talk("Good", "bye")))
                    await anyio.to_thread.run_sync(stream.final)

    anyio.run(main, backend=backend)

    assert ["Hello", "Goodbye"] == [message.text for message in messages_of(found).values()]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_is_cancelled_loses_nothing(backend: str) -> None:
    """What comes later is given to the next one."""

    async def main() -> list[Event]:
        with Steps() as run:
            events, found = run.events(), list[Event]()
            for word in ("one", "two", "three"):
                with anyio.move_on_after(0.001):
                    while True:
                        found.append(await anext(events))
                run.step(word).end()
        found += [event async for event in events]
        return found

    assert 6 == len(anyio.run(main, backend=backend))


def test_a_program_of_one_thread_looks_without_waiting() -> None:
    run = Steps()
    events = run.events()
    with run:
        run.step("ask").end()
        looks = [events.ready(), events.ready()]
        over = events.over
    events.ready()

    assert [[StepStart("1", "ask"), StepDone("1")], []] == looks
    assert (False, True) == (over, events.over)
