"""One stream for several consumers: each gets every event, or is told what it missed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stream.bodies import ANSWER
from tests.stream.broadcast.support import in_threads, letters, said
from tokenstream import Retry, Stream, resilient, testing
from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.events import Restarted, TextDelta


@pytest.mark.parametrize("policy", ["wait", "drop_oldest", "raise"])
def test_every_reader_gets_every_event(policy: Any) -> None:
    """Those of a plain stream, also where it begins when another one has read to the end."""
    expected = list(Stream(ANSWER))
    one, two, three = Stream(ANSWER).tee(3, policy=policy)
    pairs = list(zip(one, two, strict=True))

    assert [(event, event) for event in expected] == pairs
    assert expected == list(three)
    assert 0 == three.dropped


def test_events_of_the_stream_itself_go_on_where_they_were() -> None:
    """What was read before the stream was shared is not given again."""
    stream, plain = Stream(ANSWER), list(Stream(ANSWER))
    before = [next(stream), next(stream)]
    stream.broadcast()

    assert plain == [*before, *stream]


def test_a_late_joiner_gets_what_the_events_have_come_to_and_then_each() -> None:
    """Fed to an accumulator they make an equal message."""
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
    """The reader that is behind skips, and counts; others get everything."""
    fast, slow = said(pieces=letters(20)).tee(2, policy="drop_oldest", size=5)
    before = [next(slow)]
    count = len(list(fast))
    after = list(slow)

    assert count == len(before) + slow.dropped + len(after)
    assert (5, 0) == (len(after), fast.dropped)


@pytest.mark.parametrize("size", [1, 2, 30])
def test_drop_oldest_never_skips_that_the_answer_began_anew(size: int) -> None:
    """A reader that is behind does not join the end of the new answer to the beginning of the old one."""
    given_up = testing.script().text("Once ", "upon ").chunks("anthropic")
    told = testing.script().text("Long ", "ago, ", "it ", "rained.").finish().chunks("anthropic")
    left = iter([given_up, told])
    stream = resilient(lambda _: next(left), Retry(mode="restart", wait=0))
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
    """By how much it was behind; its views go on."""
    fast, slow = said(pieces=letters(20)).tee(2, policy="raise", size=5)
    next(slow)
    text = slow.text
    next(text)
    count = len(list(fast))
    for _ in range(2):
        with pytest.raises(MisuseError, match=rf"'reader 2' fell {count - 1} events behind"):
            next(slow)

    assert "".join(letters(20)[1:]) == "".join(text)


def test_in_one_thread_a_full_queue_is_misuse_that_names_the_reader() -> None:
    """Waiting for oneself would never end; once that reader has caught up, reading goes on."""
    stream = said(pieces=letters(20))
    hub = stream.broadcast(size=5)
    fast, slow = hub.reader(), hub.reader(name="the log")
    next(slow)
    got = 0
    with pytest.raises(MisuseError, match="'the log'"):
        for _ in fast:
            got += 1
    assert 6 == got
    for _ in range(3):
        next(slow)

    assert got + 3 == got + len([next(fast) for _ in range(3)])
    slow.close()
    assert 23 == got + 3 + len(list(fast))


def test_a_reader_that_has_read_only_views_holds_nobody_up() -> None:
    """Nor one that has read nothing."""
    fast, views, _idle = said(pieces=letters(20)).tee(3, size=2)
    next(views.text)

    assert 23 == len(list(fast))


def test_a_reader_that_another_thread_reads_is_waited_for() -> None:
    """Nothing is lost on it."""
    stream = said(pieces=letters(300))
    hub = stream.broadcast(size=3)
    readers = [hub.reader() for _ in range(3)]
    counts: list[int] = []
    for reader in readers:
        next(reader)
    in_threads(*(lambda reader=reader: counts.append(len(list(reader))) for reader in readers))

    assert [302] * 3 == counts


def test_a_reader_whose_thread_has_ended_is_not_waited_for() -> None:
    """It may be held by the error that ended its consumer; it is told when it is read again."""
    fast, dead = said(pieces=letters(20)).tee(2, size=3)
    in_threads(lambda: next(dead))

    assert 23 == len(list(fast))
    with pytest.raises(MisuseError, match="events behind"):
        next(dead)
