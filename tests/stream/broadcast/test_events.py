"""One stream for several consumers: each gets every event and all views, as its options say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, later
from tests.stream.broadcast.support import PIECES, in_threads, letters, said
from tests.support.either import Each, got, in_each_loop, inside, stream_in
from tests.support.raised import misuse
from tokenstream import Retry, Stream, resilient, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.events import Restarted, TextDelta
from tokenstream.stream._fan_out.broadcast import Broadcast, BroadcastReader


@pytest.mark.parametrize("policy", ["wait", "drop_oldest", "raise"])
def test_every_reader_gets_every_event(policy: Any) -> None:
    expected = list(Stream(ANSWER))
    one, two, three = Stream(ANSWER).tee(3, policy=policy)
    pairs = list(zip(one, two, strict=True))

    assert [(event, event) for event in expected] == pairs
    assert expected == list(three)
    assert 0 == three.dropped


def test_events_of_the_stream_itself_go_on_where_they_were() -> None:
    stream, plain = Stream(ANSWER), list(Stream(ANSWER))
    before = [next(stream), next(stream)]
    stream.broadcast()

    assert plain == [*before, *stream]


def test_a_late_joiner_gets_what_the_events_have_come_to_and_then_each() -> None:
    stream = said(pieces=letters(40))
    hub = stream.broadcast(policy="drop_oldest", size=4)
    text = stream.text
    for _ in range(20):
        next(text)
    late, accumulator = hub.reader(), Accumulator()
    events = list(late)
    for event in events:
        accumulator.feed(event)

    assert stream.message.text == accumulator.message.text
    assert stream.message.parts == accumulator.message.parts
    assert letters(40)[20:] == [event.text for event in events if isinstance(event, TextDelta)][1:]


def test_drop_oldest_goes_on_with_what_is_held() -> None:
    fast, slow = said(pieces=letters(20)).tee(2, policy="drop_oldest", size=5)
    before = [next(slow)]
    count = len(list(fast))
    after = list(slow)

    assert count == len(before) + slow.dropped + len(after)
    assert (5, 0) == (len(after), fast.dropped)


@pytest.mark.parametrize("size", [1, 2, 30])
def test_drop_oldest_never_skips_that_the_answer_began_anew(size: int) -> None:
    given_up = testing.script().text("Once ", "upon ").chunks("anthropic")
    told = testing.script().text("Long ", "ago, ", "it ", "rained.").finish().chunks("anthropic")
    left = iter([given_up, told])
    stream = resilient(lambda _: next(left), Retry(again=True, wait=0))
    fast, slow = stream.tee(2, policy="drop_oldest", size=size)
    before = [next(slow)]
    while not isinstance(before[-1], TextDelta):
        before.append(next(slow))
    whole = list(fast)
    after = list(slow)
    [restarted] = [event for event in after if isinstance(event, Restarted)]
    shown = "".join(event.text for event in after[after.index(restarted) :] if isinstance(event, TextDelta))

    assert restarted.discarded is not None
    assert "Once upon " == restarted.discarded.text
    assert "Long ago, it rained.".endswith(shown)
    assert len(whole) == len(before) + len(after) + slow.dropped


def test_raise_tells_only_the_reader_that_is_behind() -> None:
    fast, slow = said(pieces=letters(20)).tee(2, policy="raise", size=5)
    next(slow)
    text = slow.text
    next(text)
    count = len(list(fast))
    for _ in range(2):
        with pytest.raises(MisuseError, match=rf"'reader 2' fell {count - 1} events behind"):
            next(slow)

    assert "".join(letters(20)[1:]) == "".join(text)


@in_each_loop
async def test_in_one_loop_a_full_queue_is_misuse_that_names_the_reader(colour: str) -> None:
    """Waiting for oneself would never end; once that reader has caught up, reading goes on."""
    """Waiting for oneself would never end; once that reader has caught up, reading goes on."""
    source = letters(20) if colour == "sync" else later(letters(20))
    async with inside(stream_in(colour)(source, format="pieces")) as stream:
        hub = stream.broadcast(size=5)
        reader, late = hub.reader(), hub.reader(name="the log")
        fast, slow, count = Each(reader), Each(late), 0
        await anext(slow)
        with pytest.raises(MisuseError, match="'the log'"):
            async for _ in fast:
                count += 1
        assert 6 == count
        for _ in range(3):
            await anext(slow)
        for _ in range(3):
            await anext(fast)
        await got(late.close() if colour == "sync" else late.aclose())

        assert 23 == count + 3 + len([event async for event in fast])


def test_a_reader_that_has_read_only_views_holds_nobody_up() -> None:
    fast, views, _idle = said(pieces=letters(20)).tee(3, size=2)
    next(views.text)

    assert 23 == len(list(fast))


def test_a_reader_whose_thread_has_ended_is_not_waited_for() -> None:
    """A reader may be held by the error that ended its consumer."""
    fast, dead = said(pieces=letters(20)).tee(2, size=3)
    in_threads(lambda: next(dead))

    assert 23 == len(list(fast))
    with pytest.raises(MisuseError, match="events behind"):
        next(dead)


def test_a_reader_has_all_views_and_what_a_stream_knows() -> None:
    def seen(stream: Any) -> list[Any]:
        return [
            list(stream.text),
            list(stream.text.words()),
            list(stream.reasoning),
            [(type(delta), delta.text) for delta in stream.deltas],
            [call.name for call in stream.tool_calls],
            [call.name for call in stream.tool_calls.when_complete()],
            [call.arguments for call in stream.validated_calls(get_weather=dict, get_time=dict)],
            list(stream.field("city", tool="get_weather")),
            stream.result(dict[str, str], tool="get_weather"),
            list(stream.choice(0).text),
            stream.message,
            stream.messages,
            stream.metrics.chunks,
            stream.format,
            stream.stop_reason,
        ]

    shared = Stream(ANSWER)
    reader = shared.broadcast().reader()

    assert seen(Stream(ANSWER)) == seen(reader)


def test_a_slow_view_gets_one_larger_piece() -> None:
    fast, slow = said().tee(2)
    first = next(slow.text)
    assert PIECES == list(fast.text)

    assert ["The ", "The sky is blue."] == [first, *slow.text]


def test_the_stream_is_one_more_reader() -> None:
    stream = said()
    head = next(stream.text)
    (reader,) = stream.tee(1)

    assert ["The ", "The ", "sky ", "The sky "] == [head, *islice(stream.text, 2), next(reader.text)]
    assert "The sky is blue." == reader.final().text == stream.message.text


def test_a_stream_has_one_hub() -> None:
    stream = said()
    hub = stream.broadcast(policy="raise", size=7)
    assert hub is stream.broadcast() is stream.broadcast(size=7)

    with pytest.raises(MisuseError, match="policy='raise' and size=7"):
        stream.tee(2, policy="wait")
    assert isinstance(hub, Broadcast)
    assert isinstance(hub.reader(), BroadcastReader)


def test_options_may_be_chosen_until_a_reader_of_events_has_begun() -> None:
    stream = said(pieces=letters(20))
    stream.broadcast()
    next(stream.text)
    (one,) = stream.tee(1, policy="drop_oldest", size=30)
    assert 23 == len(list(one))
    with pytest.raises(MisuseError, match="'drop_oldest' and size=30"):
        stream.broadcast(size=31)

    other = said()
    assert 8 == len(list(other.tee(1)[0]))
    with pytest.raises(MisuseError, match="'wait' and size=1024"):
        other.broadcast(policy="raise")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"policy": "drop"}, "'wait', 'drop_oldest', 'raise'"), ({"size": 0}, "size= takes a whole number")],
)
def test_options_that_are_none_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(MisuseError, match=told):
        said().broadcast(**options)


def test_a_view_that_was_made_before_is_refused() -> None:
    stream = said()
    text = stream.text
    stream.tee(2)

    with misuse("concurrent", match="ask for views after that"):
        next(text)


def test_a_listener_is_told_of_all_that_comes_and_of_the_end() -> None:
    stream = said()
    told: list[str] = []
    end = stream.broadcast().listen(lambda: told.append(stream.message.ending))
    stream.final()
    end()

    assert ["streaming", "complete"] == [told[0], told[-1]]
    assert 9 == len(told)


@pytest.mark.parametrize("end", [Stream.close, Stream.stop])
def test_a_listener_is_told_of_an_end_that_nobody_reads(end: Callable[[Stream], None]) -> None:
    stream = said()
    told: list[str] = []
    stream.broadcast().listen(lambda: told.append(stream.message.ending))
    next(stream.text)
    end(stream)

    assert "stopped" == told[-1]
