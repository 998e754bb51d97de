"""One stream for several consumers: they come and go, and all hear of the end."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.stream.bodies import ANSWER, Source, chunk
from tests.stream.broadcast.support import PIECES, letters, said
from tokenstream import Router, Stream
from tokenstream.errors import StreamClosed, StreamConsumed, StreamTruncated
from tokenstream.events import TextDelta

# -- coming and going ----------------------------------------------------------------


def test_a_reader_that_is_closed_holds_nobody_up() -> None:
    """Its loop ends, a new one is refused, and closing twice is fine."""
    stay, leave = said(pieces=letters(20)).tee(2, size=3)
    next(leave)
    with leave:
        leave.close()

    assert 23 == len(list(stay))
    assert [] == list(leave.text)[1:]
    with pytest.raises(StreamClosed, match="reader was closed"):
        iter(leave)


def test_a_reader_that_is_forgotten_leaves_nothing_behind() -> None:
    """It is collected at once, and holds nobody up."""
    stream = said(pieces=letters(20))
    hub = stream.broadcast(size=3)
    stay, leave = hub.reader(), hub.reader()
    next(leave)
    gone = weakref.ref(leave)
    gc.disable()
    try:
        del leave
        assert gone() is None
    finally:
        gc.enable()

    assert 23 == len(list(stay))


def test_a_stream_whose_readers_are_forgotten_warns_as_any_other() -> None:
    """Nothing holds it but its readers."""
    source = Source([chunk({"content": "Hel"})] * 3)
    readers = Stream(source).tee(2)
    next(readers[0].text)
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="never closed"):
            del readers
    finally:
        gc.enable()

    assert 1 == source.closed


def test_closing_the_stream_closes_it_for_all() -> None:
    """At the end of `with`, too."""
    source = Source(ANSWER)
    with Stream(source) as stream:
        (reader,) = stream.tee(1)
        text = reader.text
        first = next(text)

    assert (["Let "], "stopped", 1) == ([first, *text], reader.message.ending, source.closed)


# -- the end -----------------------------------------------------------------------


def test_an_error_reaches_every_reader_behind_what_came_before() -> None:
    """And again, each time it is read."""
    one, two = Stream(Source(ANSWER[:4])).tee(2)
    for reader in (one, two):
        got: list[str] = []
        for _ in range(2):
            with pytest.raises(StreamTruncated):
                got.extend(reader.text)
            with pytest.raises(StreamTruncated):
                list(reader)
        assert "truncated" == reader.message.ending


def test_a_loop_over_events_that_were_read_is_refused_as_on_a_stream() -> None:
    """The views give the answer again."""
    one, two = said().tee(2)
    list(one)
    with pytest.raises(StreamConsumed):
        list(one)

    assert (PIECES, 8) == ([*two.text] and PIECES, len(list(two)))


def test_a_router_runs_on_a_reader() -> None:
    """Beside other readers; where a handler raises, only its reader is closed."""
    router, seen = Router(), list[str]()

    @router.on(TextDelta)
    def show(event: TextDelta) -> None:
        seen.append(event.text)

    @router.tool("get_weather", dict)
    def get_weather(asked: dict[str, str]) -> str:
        return asked["city"]

    broken = Router()

    @broken.on(TextDelta)
    def fail(event: TextDelta) -> None:
        raise LookupError(event.text)

    one, two, three = Stream(ANSWER).tee(3)
    next(three.text)
    with pytest.raises(LookupError):
        two.run(broken)
    results = one.run(router)

    assert (["Let ", "me ", "see."], "Oslo") == (seen, results["call_a"])
    assert "complete" == three.final().ending
