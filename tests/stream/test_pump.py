"""A pump opens a source once, reads it for one at a time, is stopped from anywhere, and closes it once."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from tests.stream.async_sources import END as DONE
from tests.stream.async_sources import HEL, LO
from tests.support.playing import silent_after
from tokenstream import Stream
from tokenstream._sources import AsyncSource, Deferred, SyncSource
from tokenstream.errors import ConcurrentRead
from tokenstream.events import TextDelta
from tokenstream.stream._reading.async_pump import AsyncPump
from tokenstream.stream._reading.items import END, LOST, WAITED, SourceFailed, SourceOpened
from tokenstream.stream._reading.pump import Pump

pytestmark = pytest.mark.anyio


class Closed:
    """Counts how often a source is closed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1

    async def later(self) -> None:
        self.times += 1


def pump_of(*chunks: Any, closed: Closed | None = None, **options: Any) -> Pump:
    source = SyncSource(iter(chunks), closed or Closed(), **options)
    return Pump(source, lambda: 0.0)


def read(pump: Pump, until: float | None = None) -> Any:
    """Read as a driver does, which says when an item is in its place."""
    assert pump.begin_read()
    try:
        return pump.read(until)
    finally:
        pump.pending = False
        pump.end_read()


def test_a_source_gives_its_chunks_and_then_its_end() -> None:
    """However often it is asked."""
    pump = pump_of(b"a", b"b")

    assert [read(pump) for _ in range(4)] == [b"a", b"b", END, END]


def test_a_source_is_opened_by_the_first_read() -> None:
    """Once, and what was read before belongs to it."""
    opened = SyncSource(iter([b"a"]), Closed())
    pump = Pump(Deferred(lambda: opened), lambda: 0.0)
    first = read(pump)

    assert isinstance(first, SourceOpened)
    assert first.source is opened
    assert [read(pump), read(pump)] == [b"a", END]


def test_another_source_goes_on_between_two_reads() -> None:
    """Open or to be opened; only the last one is closed by the pump."""
    first, second, third = Closed(), Closed(), Closed()
    pump = pump_of(b"a", b"never", closed=first)
    assert read(pump) == b"a"
    pump.replace(SyncSource(iter([b"b"]), second))
    assert [read(pump), read(pump)] == [b"b", END]
    pump.replace(Deferred(lambda: SyncSource(iter([b"c"]), third)))

    assert isinstance(read(pump), SourceOpened)
    assert read(pump) == b"c"
    pump.close()
    pump.close()
    assert [first.times, second.times, third.times] == [0, 0, 1]
    assert pump.closed


def test_what_is_put_back_comes_first() -> None:
    """Errors among it stay in their place."""
    pump, error = pump_of(b"c"), OSError("no cable")
    pump.put_back([b"a", SourceFailed(error)])
    first, second, third = read(pump), read(pump), read(pump)

    assert (first, third) == (b"a", b"c")
    assert isinstance(second, SourceFailed)
    assert second.error is error


def test_an_item_that_did_not_come_to_its_place_is_lost() -> None:
    """Ctrl-C may strike between a chunk and what is made of it: the next read says so."""
    pump = pump_of(b"a", b"b")
    assert pump.read(None) == b"a"

    assert pump.read(None) is LOST


def test_an_error_of_the_source_is_an_item() -> None:
    """It is raised in its place, behind what came before it."""
    item = read(Pump(SyncSource(map(int, ["no number"]), Closed()), lambda: 0.0))

    assert isinstance(item, SourceFailed)
    assert isinstance(item.error, ValueError)


def test_a_source_that_can_be_told_waits_no_longer() -> None:
    """The time is an item, and nothing is lost."""
    told: list[float | None] = []

    class Patient:
        def __init__(self) -> None:
            self.items = iter([TimeoutError(), b"a"])

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> Any:
            item = next(self.items)
            if isinstance(item, Exception):
                raise item
            return item

    pump = Pump(SyncSource(Patient(), Closed(), limit_read=told.append), lambda: 10.0)

    assert read(pump, 12.5) is WAITED
    assert read(pump) == b"a"
    assert told == [2.5, None]


def test_one_reads_at_a_time() -> None:
    """Neither another thread nor the same one again may enter."""
    pump, refused = pump_of(b"a"), list[bool]()
    assert pump.begin_read()
    thread = threading.Thread(target=lambda: refused.append(pump.begin_read()))
    thread.start()
    thread.join()

    assert (refused, pump.begin_read()) == ([False], False)
    pump.end_read()
    assert read(pump) == b"a"


def test_a_pump_that_is_stopped_reads_no_more() -> None:
    """Whatever the source still has."""
    pump = pump_of(b"a", b"b")
    read(pump)
    pump.stop()

    assert read(pump) is END


async def chunks(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def test_another_source_goes_on_between_two_reads_of_an_event_loop() -> None:
    """The same, where a task reads."""
    closed = Closed()
    first = AsyncSource(chunks(b"a"), closed.later)
    pump = AsyncPump(first, lambda: 0.0)
    assert [(await item(pump)), (await item(pump))] == [b"a", END]
    await pump.close()
    pump.replace(AsyncSource(chunks(b"b"), closed.later))

    assert [(await item(pump)), (await item(pump))] == [b"b", END]
    await pump.close()
    await pump.close()
    assert closed.times == 2
    assert pump.closed


async def item(pump: AsyncPump, until: float | None = None) -> Any:
    found = pump.take_item() or await pump.read(until)
    return found[1]


async def test_what_is_put_back_comes_first_in_an_event_loop() -> None:
    """Each with the clock at its arrival."""
    pump = AsyncPump(AsyncSource(chunks(b"c"), Closed().later), lambda: 0.0)
    pump.put_back([(1.0, b"a"), (2.0, b"b")])

    assert [pump.take_item(), pump.take_item()] == [(1.0, b"a"), (2.0, b"b")]
    assert await item(pump) == b"c"
    await pump.close()


async def test_a_wait_that_is_over_loses_nothing() -> None:
    """A source that survives it is read on."""
    go_on = anyio.Event()

    class Waiting:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            await go_on.wait()
            return b"a"

    pump = AsyncPump(AsyncSource(Waiting(), Closed().later, survives=True), anyio.current_time)

    assert await item(pump, anyio.current_time() + 0.01) is WAITED
    go_on.set()
    assert await item(pump) == b"a"
    await pump.close()


def test_a_view_that_acts_on_time_is_given_the_time_or_an_event() -> None:
    """Whichever comes first, and no event is lost."""
    playback = silent_after(HEL, 5.0, LO)
    stream = playback.stream(format="openai-chat")
    step_until: Callable[[float], Any] = stream._driver.step_until  # noqa: SLF001 - what views step with
    seen: list[Any] = []
    for until in (1.0, 3.0, 9.0):
        while (event := step_until(until)) is not None:
            seen += [event.text] if isinstance(event, TextDelta) else []
        seen.append(until)

    assert seen == ["Hel", 1.0, 3.0, "lo", 9.0]
    assert playback.clock() == pytest.approx(9.0, abs=1e-5)
    stream.close()


async def test_an_asynchronous_view_that_acts_on_time_is_given_the_time_or_an_event() -> None:
    """The same in an event loop."""
    playback = silent_after(HEL, 5.0, LO)
    stream = playback.astream(format="openai-chat")
    step_until: Callable[[float], Any] = stream._driver.step_until  # noqa: SLF001 - what views step with
    seen: list[Any] = []
    for until in (1.0, 3.0, 9.0):
        while (event := await step_until(until)) is not None:
            seen += [event.text] if isinstance(event, TextDelta) else []
        seen.append(until)

    assert seen == ["Hel", 1.0, 3.0, "lo", 9.0]
    await stream.aclose()


def test_a_view_that_acts_on_time_meets_the_end_and_other_readers() -> None:
    stream = Stream([HEL, LO, DONE], format="openai-chat")
    step_until: Callable[[float], Any] = stream._driver.step_until  # noqa: SLF001 - what views step with

    def again() -> Iterator[bytes]:
        with pytest.raises(ConcurrentRead):
            inner._driver.step_until(1e9)  # noqa: SLF001 - as above
        yield HEL

    inner = Stream(again(), format="openai-chat")
    inner._driver.step_until(1e9)  # noqa: SLF001 - as above
    inner.close()
    while True:
        try:
            assert step_until(1e9) is not None
        except StopIteration:
            break
    with pytest.raises(StopIteration):
        step_until(1e9)

    assert stream.message.text == "Hello"


@pytest.mark.parametrize(("late", "has_waited"), [(-0.0005, False), (0.0, True), (0.0005, True)])
def test_a_transport_that_gives_up_while_it_opens_has_waited_only_once_the_deadline_has_passed(
    late: float, has_waited: bool
) -> None:
    """Shortly before it, the stream would go on with a source that is gone; the wait is told to be longer."""
    now, told = 0.0, list[float]()

    def limit_open(find_left: Callable[[], float]) -> None:
        told.append(find_left())

    def fail() -> SyncSource:
        nonlocal now
        now = 5.0 + late
        raise TimeoutError

    pump = Pump(Deferred(fail, limit_open=limit_open), lambda: now)
    item = pump.read(5.0)

    assert has_waited == (item is WAITED)
    assert has_waited or isinstance(item, SourceFailed)
    assert all(wait > 5.0 for wait in told)
