"""`tap` beside a loop over any objects: the loop gets the very objects, and a second loop goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.stream.bodies import ANSWER
from tests.stream.tap.support import PAYLOADS, WHOLE, Failing, Items, later, payloads
from tests.support.tables import in_one_test
from tokenstream import Decoder, tap
from tokenstream.errors import StreamInterrupted


def test_the_loop_gets_the_very_objects() -> None:
    """Each item is the source's own, in its order, and unchanged."""
    theirs = payloads()
    got = list(tapped := tap(theirs))

    assert all(ours is own for ours, own in zip(got, theirs, strict=True))
    assert theirs == PAYLOADS
    assert tapped.message == WHOLE
    assert tapped.error is None


@pytest.mark.anyio
async def test_one_item_at_a_time_will_do() -> None:
    """`next` and `anext` read the source's next item, and it is seen."""
    first, second = tap(iter(payloads())), tap(later(payloads()))
    got = [next(first), await anext(second)]

    assert [PAYLOADS[0]] * 2 == got
    assert ["Hm. "] * 2 == [first.message.reasoning, second.message.reasoning]
    items, items_too = iter(first), aiter(second)
    assert list(items) == [item async for item in items_too] == PAYLOADS[1:]
    assert [WHOLE] * 2 == [first.message, second.message]


@in_one_test("count", range(len(PAYLOADS) + 1))
def test_nothing_is_read_ahead(count: int) -> None:
    """After each item the source was read so far, and the message holds so much; neither is ahead."""
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
    """A second loop goes on where the first one stopped, and nothing is seen twice."""
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
    """A list begins anew with each loop; the message does not."""
    tapped = tap(payloads())
    for item, _ in zip(tapped, range(count), strict=False):
        assert item
    again = list(tapped)

    assert again == PAYLOADS
    assert tapped.message == WHOLE


class Later:
    """An asynchronous iterator that is no generator, and may be left anywhere."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


class Anew:
    """Something that begins anew with each loop, and is no list."""

    def __iter__(self) -> Iterator[Any]:
        return iter(payloads())

    def __aiter__(self) -> AsyncIterator[Any]:
        return Later(iter(payloads()))


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
    """Whether it begins anew or goes on is told by its first item."""
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


def test_a_loop_that_begins_anew_with_what_cannot_be_told_is_left_alone() -> None:
    """Of an item that gives no payload nobody knows whether it came before."""

    class Strange:
        def __iter__(self) -> Iterator[Any]:
            return iter([Failing()])

    tapped = tap(Strange())

    assert 2 == len([*tapped, *tapped])
    assert isinstance(tapped.error, StreamInterrupted)
