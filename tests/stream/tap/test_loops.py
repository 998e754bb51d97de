"""`tap` beside a loop over any objects: what can be tapped, what is passed on, and what is kept of it."""

from __future__ import annotations

import asyncio
import copy
import gc
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import MagicMock

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER, Later, later
from tests.stream.tap.support import PAYLOADS, WHOLE, Chunk, Failing, Items, opened, payloads
from tests.support.clocks import on
from tests.support.loopback import Loopback, chunked
from tests.support.tables import in_one_test
from tokenstream import Decoder, Limits, tap
from tokenstream.errors import ConnectError, LimitExceeded, MisuseError, StreamInterrupted


def test_the_loop_gets_the_very_objects() -> None:
    theirs = payloads()
    got = list(tapped := tap(theirs))

    assert all(ours is own for ours, own in zip(got, theirs, strict=True))
    assert theirs == PAYLOADS
    assert tapped.message == WHOLE
    assert tapped.error is None


@pytest.mark.anyio
async def test_one_item_at_a_time_will_do() -> None:
    first, second = tap(iter(payloads())), tap(later(payloads()))
    got = [next(first), await anext(second)]

    assert [PAYLOADS[0]] * 2 == got
    assert ["Hm. "] * 2 == [first.message.reasoning, second.message.reasoning]
    items, items_too = iter(first), aiter(second)
    assert list(items) == [item async for item in items_too] == PAYLOADS[1:]
    assert [WHOLE] * 2 == [first.message, second.message]


@in_one_test("count", range(len(PAYLOADS) + 1))
def test_nothing_is_read_ahead(count: int) -> None:
    tapped = tap(source := Items(payloads()))
    for _ in range(count):
        next(tapped)
    decoder = Decoder()
    for event in ANSWER[:count]:
        decoder.feed(event)

    assert (count, 0) == (source.reads, source.closed)
    assert tapped.message == decoder.message
    assert tapped.message.ending == "streaming"


def test_break_leaves_everything_open() -> None:
    tapped = tap(source := Items(payloads()))
    for _ in tapped:
        break
    reads, ending = source.reads, tapped.message.ending
    for _ in tapped:
        pass

    assert (1, "streaming") == (reads, ending)
    assert tapped.message == WHOLE


@pytest.mark.parametrize("count", [1, 4, len(PAYLOADS)])
def test_a_list_that_is_looped_over_again_is_seen_once(count: int) -> None:
    tapped = tap(payloads())
    for item, _ in zip(tapped, range(count), strict=False):
        assert item
    again = list(tapped)

    assert again == PAYLOADS
    assert tapped.message == WHOLE


class Anew:
    """Something that begins anew with each loop, and is no list."""

    def __iter__(self) -> Iterator[Any]:
        return iter(payloads())

    def __aiter__(self) -> AsyncIterator[Any]:
        return Later(payloads())


class Onwards:
    """Something whose loops go on where the one before was left, though it is no iterator itself."""

    def __init__(self) -> None:
        self._items = iter(payloads())

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:  # noqa: UP028 - leaving this loop must not end the items
            yield item

    def __aiter__(self) -> AsyncIterator[Any]:
        return Later(self._items)


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 2, len(PAYLOADS)])
@pytest.mark.parametrize("kind", [Anew, Onwards])
async def test_a_second_loop_doubles_nothing_and_misses_nothing(kind: Callable[[], Any], count: int) -> None:
    tapped: Any = tap(kind())
    for _ in zip(tapped, range(count), strict=False):
        pass
    list(tapped)
    waiting: Any = tap(kind())
    passing = aiter(waiting)
    for _ in range(count):
        await anext(passing)
    async for _ in waiting:
        pass

    assert tapped.message == WHOLE == waiting.message


def test_a_loop_that_begins_anew_with_what_cannot_be_compared_is_left_alone() -> None:
    class Strange:
        def __iter__(self) -> Iterator[Any]:
            return iter([Failing()])

    tapped = tap(Strange())

    assert 2 == len([*tapped, *tapped])
    assert isinstance(tapped.error, StreamInterrupted)


def test_limits_bound_what_is_kept_and_nothing_else() -> None:
    got = list(tapped := tap(payloads(), limits=Limits(text=3)))

    assert got == PAYLOADS
    assert isinstance(tapped.error, LimitExceeded)


def test_the_clock_may_have_begun_earlier() -> None:
    """`started_at` says when the request went out, and entering does not move it."""
    readings = iter(range(5, 1_000))
    with on(lambda: float(next(readings)), tap, opened(Items(payloads())), started_at=1.0) as tapped:
        next(tapped)

    assert ("request", 4.0) == (tapped.metrics.started, tapped.metrics.first_byte)


def test_the_items_themselves_are_not_kept() -> None:
    tapped = tap(Chunk(payload) for payload in payloads())
    alive = [weakref.ref(chunk) for chunk in tapped]
    gc.collect()

    assert {None} == {reference() for reference in alive}
    assert tapped.message == WHOLE


def _wreck(value: Any) -> None:
    """Empty whatever can be emptied, down to the leaves."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _wreck(inner)
        value.clear()


def test_the_message_does_not_change_with_the_objects() -> None:
    for item in (tapped := tap(payloads())):
        before = tapped.message
        _wreck(item)
        assert tapped.message == before

    assert tapped.message == WHOLE


def test_what_the_loop_does_to_an_object_does_not_hide_the_next_one() -> None:
    """A field that changes is seen to change, though the loop wrote the new value into the old object."""

    def said(text: str, place: int) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], "seen": {"at": place}}

    theirs = [said("a", 1), said("b", 1), said("c", 2)]
    for item in (first := tap(theirs)):
        item["seen"]["at"] = 2
    theirs[1]["seen"]["at"] = 1
    for item, chunk in zip(theirs, second := tap(map(Chunk, theirs)), strict=True):
        assert isinstance(chunk, Chunk)
        item["seen"]["at"] = 2

    for tapped in (first, second):
        assert {"at": 2} == (tapped.message.provider_data or {})["seen"]


@given(st.data())
def test_whatever_is_done_with_the_loop_the_message_is_that_of_what_passed(data: st.DataObject) -> None:
    tapped, passed = tap(Items(payloads())), 0
    steps: list[Callable[[], Any]] = [lambda: next(iter(tapped), None), lambda: next(tapped, None)]
    for step in data.draw(st.lists(st.sampled_from(steps), max_size=len(PAYLOADS))):
        passed += step() is not None
    decoder = Decoder()
    for event in ANSWER[:passed]:
        decoder.feed(event)

    assert tapped.message == decoder.message


def test_attributes_and_methods_are_the_streams() -> None:
    source = Items(payloads())
    tapped = tap(source)
    next(tapped)

    assert tapped.reads == 1
    with pytest.raises(AttributeError, match="get_final_message"):
        tapped.get_final_message()
    assert "Items: openai-chat, streaming" in repr(tapped)
    assert copy.copy(tapped).message == tapped.message


def test_a_mock_is_tapped_as_what_it_gives() -> None:
    mock = MagicMock()
    mock.__iter__.return_value = iter(payloads())
    tapped: Any = tap(mock)

    assert list(tapped) == PAYLOADS
    assert tapped.message == WHOLE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_awaited_is_tapped_for_an_async_loop() -> None:
    """Futures can be iterated over, too, but only by the event loop."""
    asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asked.set_result(later(payloads()))
    tapped: Any = tap(asked)
    async with tapped:
        assert PAYLOADS == [item async for item in tapped]

    assert tapped.message == WHOLE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_request_of_aiohttp_is_entered_by_the_tap() -> None:
    with Loopback(chunked(ANSWER)) as server:
        async with aiohttp.ClientSession() as session:
            tapped: Any = tap(session.post(server.url))
            async with tapped:
                assert b"".join(ANSWER) == await tapped.read()


def test_a_source_that_is_read_in_both_ways_can_be() -> None:
    """Some SDKs have one class for both; the tap has both loops then."""

    class Both(Items):
        def __aiter__(self) -> AsyncIterator[Any]:
            return later(self)

    async def read(tapped: Any) -> list[Any]:
        return [item async for item in tapped]

    tapped = tap(Both(payloads()))

    assert [next(tapped), *asyncio.run(read(tapped))] == PAYLOADS
    assert tapped.message == WHOLE


@pytest.mark.parametrize(
    "source",
    [b"data: a", "data: a", {"choices": []}, Chunk({}), 7, None],
    ids=lambda source: type(source).__name__,
)
def test_what_is_no_stream_is_refused(source: Any) -> None:
    with pytest.raises(MisuseError, match="cannot be tapped"):
        tap(source)


def test_a_format_can_be_named() -> None:
    """Pieces of text that somebody else decoded are no wire text."""
    got = list(tapped := tap(iter(["Hel", "lo"]), format="pieces"))

    assert ["Hel", "lo"] == got
    assert ("Hello", "complete") == (tapped.message.text, tapped.message.ending)


def test_bytes_are_chunks_of_a_body() -> None:
    assert ANSWER == list(tapped := tap(iter(ANSWER)))
    assert tapped.message == WHOLE
    assert tapped.metrics.started == "wrapped"


@asynccontextmanager
async def opened_later(source: Items) -> AsyncGenerator[AsyncIterator[Any]]:
    try:
        yield later(source)
    finally:
        source.close()


class Refused:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __enter__(self) -> Items:
        raise self._error

    def __exit__(self, *raised: object) -> None: ...


class Request:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __await__(self) -> Generator[Any, Any, AsyncIterator[Any]]:
        raise self._error


@pytest.mark.anyio
async def test_entering_the_tap_enters_what_it_taps() -> None:
    sources = [Items(payloads()), Items(payloads())]
    with tap(opened(sources[0])) as first:
        got = list(first)
    async with tap(opened_later(sources[1])) as second:
        assert got == [item async for item in second]

    assert [1, 1] == [source.closed for source in sources]
    assert [WHOLE] * 2 == [first.message, second.message]
    assert ["request"] * 2 == [first.metrics.started, second.metrics.started]


@pytest.mark.anyio
async def test_a_manager_that_swallows_an_exception_goes_on_doing_so() -> None:
    told: list[object] = []

    def fail(error: Exception) -> None:
        raise error

    class Manager:
        def __enter__(self) -> Items:
            return Items(payloads())

        def __exit__(self, kind: object, error: object, traceback: object) -> bool:
            told.append(error)
            return True

    class AsyncManager:
        async def __aenter__(self) -> AsyncIterator[Any]:
            return later(payloads())

        async def __aexit__(self, kind: object, error: object, traceback: object) -> bool:
            told.append(error)
            return True

    raised = [KeyError("a"), KeyError("b")]
    with tap(Manager()) as first:
        next(first)
        fail(raised[0])
    async with tap(AsyncManager()) as second:
        fail(raised[1])

    assert told == raised
    assert ["stopped", "stopped"] == [first.message.ending, second.message.ending]


@pytest.mark.anyio
async def test_an_awaitable_is_awaited_on_entering() -> None:
    """`async with tap(client.create(…))` sends the request, and taps what comes of it."""

    async def request() -> AsyncIterator[Any]:
        return later(payloads())

    async with tap(request()) as tapped:
        got = [item async for item in tapped]

    assert (got, tapped.message) == (PAYLOADS, WHOLE)


@pytest.mark.anyio
@pytest.mark.parametrize("raised", [ConnectionRefusedError(), KeyboardInterrupt(), LookupError()], ids=repr)
async def test_a_request_that_fails_raises_what_it_would_have_raised(raised: BaseException) -> None:
    request: Awaitable[AsyncIterator[Any]] = Request(raised)
    first, second = tap(Refused(raised)), tap(request)
    with pytest.raises(type(raised)) as met, first:
        pass
    with pytest.raises(type(raised)) as met_too:
        await second.__aenter__()

    assert met.value is met_too.value is raised
    failed = isinstance(raised, OSError)
    assert ["failed" if failed else "stopped"] * 2 == [first.message.ending, second.message.ending]
    assert isinstance(first.error, ConnectError) is isinstance(second.error, ConnectError) is failed


@pytest.mark.anyio
async def test_what_is_not_open_yet_says_how_to_open_it() -> None:
    """A loop over a manager is told to enter it; nothing is entered by surprise."""
    with pytest.raises(MisuseError, match=r"with tap\(…\) as stream"):
        iter(tap(opened(Items())))
    with pytest.raises(MisuseError, match="async with tap"):
        await anext(tap(opened_later(Items())))
