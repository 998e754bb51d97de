"""Inside `with`, a loop over one value of a document ends where another value begins after it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.stream.recipes import COLOURS
from tests.support.either import Each, got, in_each_loop, inside, run_in, stream_in
from tests.support.texts import pieces_of
from tokenstream import Retry, Stream, resilient, testing
from tokenstream.errors import OutputIncomplete, OutputInvalid, StreamInterrupted

MAIL = {"subject": "Your order", "steps": [1, 2, 3], "body": "It is on its way. Bye.", "tip": "Wait."}
TEXT = json.dumps(MAIL)
MORE = "x" * 30
"""The text of a value after the one that is read."""
TWICE = f'{{"a": "one", "a": "two", "b": "{MORE}"}}'
FENCED = f'Here:\n```json\n{{"a": [1, 2], "b": "{MORE}"}}\n```\nDone.'
TWO = '{"a": [1, 2], "b": "xxx"} {"a": [3], "b": "yyy"}'


class Case(NamedTuple):
    """A loop, what it gives (text joined, but for words and the like), and the ending of the message then."""

    view: Callable[[Any], Any]
    items: list[Any]
    ending: str = "streaming"
    document: object = MAIL


CASES: dict[str, Case] = {
    "the first string": Case(lambda s: s.field("subject"), ["Your order"]),
    "a string in the middle": Case(lambda s: s.field("body"), ["It is on its way. Bye."]),
    "its words": Case(lambda s: s.field("subject").words(), ["Your", " order"]),
    "its sentences": Case(lambda s: s.field("body").sentences(), ["It is on its way. ", "Bye."]),
    "what it is until a marker": Case(lambda s: s.field("body").until(" way"), ["It is on its"]),
    "an array": Case(lambda s: s.items(int, at="steps"), [1, 2, 3]),
    "the last string": Case(lambda s: s.field("tip"), ["Wait."], "complete"),
    "the whole document": Case(lambda s: s.items(object), [*MAIL.values()], "complete"),
    "a path with a wildcard": Case(lambda s: s.items(int, at="*"), [1, 2], "complete", {"a": [1], "b": [2]}),
    "the last value of an object that more follows": Case(
        lambda s: s.items(int, at="r.s"), [1], document={"r": {"s": [1]}, "b": MORE}
    ),
    "an element": Case(lambda s: s.field("a.0"), ["one"], document={"a": ["one", "two", MORE]}),
    "null": Case(lambda s: s.field("a"), [], document={"a": None, "b": MORE}),
    "null for an array": Case(lambda s: s.items(int, at="a"), [], document={"a": None, "b": MORE}),
    "a key that comes twice": Case(lambda s: s.field("a"), ["onetwo"], document=TWICE),
    "an empty string": Case(lambda s: s.field("a"), [], document={"a": "", "b": MORE}),
    "almost-JSON in prose": Case(lambda s: s.items(int, at="a", lenient=True), [1, 2], document=FENCED),
    "the first document of two": Case(
        lambda s: s.items(int, at="a", lenient=True, document="first"), [1, 2], document=TWO
    ),
    "two documents that differ": Case(lambda s: s.items(int, at="a", lenient=True), [1, 2], document=TWO),
    "the last document of two": Case(
        lambda s: s.items(int, at="a", lenient=True, document="last"), [3], "complete", TWO
    ),
}


def source(colour: str, document: object = MAIL, *, size: int = 4, broken_at: int | None = None) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)

    def pieces() -> Iterator[str]:
        yield from pieces_of(text[:broken_at], size)
        if broken_at is not None:
            raise ConnectionResetError("reset")

    async def each() -> AsyncIterator[str]:
        for piece in pieces():
            yield piece

    return stream_in(colour)(pieces() if colour == "sync" else each(), format="pieces")


async def items_of(view: Any) -> list[Any]:
    return [item async for item in Each(view)]


def joined(items: list[Any]) -> list[Any]:
    """Return text, whose pieces may be of any size, as one item."""
    return ["".join(items)] if items and all(isinstance(item, str) for item in items) else items


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("name", CASES)
@in_each_loop
async def test_the_loop_ends_with_the_value(colour: str, size: int, name: str) -> None:
    view, items, ending, document = CASES[name]
    async with inside(source(colour, document, size=size)) as stream:
        read = view(stream)
        found = await items_of(read)
        assert items in (found, joined(found))
        assert stream.message.ending == ending
        assert await items_of(read) == []


@in_each_loop
async def test_the_next_loop_streams(colour: str) -> None:
    async with inside(source(colour)) as stream:
        await items_of(stream.items(int, at="steps"))
        pieces = await items_of(stream.field("body"))
        assert len(pieces) > 4
        assert "".join(pieces) == MAIL["body"]
        assert await got(stream.result(dict[str, Any])) == MAIL


@pytest.mark.parametrize("size", range(1, 12))
def test_any_chunking_ends_the_loop_at_the_same_place(size: int) -> None:
    with source("sync", '{"a": "one", "b": 1, "a": "two", "c": 2}', size=size * 4) as stream:
        assert "one" == "".join(stream.field("a"))


@pytest.mark.parametrize("colour", COLOURS)
def test_values_that_are_paced_are_given_whole(colour: str) -> None:
    with testing.VirtualClock():

        async def main() -> None:
            async with inside(source(colour)) as stream:
                assert "Your order" == (await items_of(stream.field("subject").accumulate()))[-1]
                assert MAIL["body"] == "".join(await items_of(stream.field("body").throttle(hz=5)))
                assert stream.message.ending == "streaming"

        run_in(colour, main)


def test_the_program_of_the_page_shows_the_tip_live() -> None:
    document = {"steps": ["Whisk", "Fry"], "tip": "Let it rest for half an hour."}
    shown: list[tuple[float, str]] = []

    def each(clock: testing.VirtualClock) -> Iterator[str]:
        for piece in pieces_of(json.dumps(document), 4):
            clock.advance(1)
            yield piece

    with testing.VirtualClock() as clock, Stream(each(clock), format="pieces") as stream:
        shown.extend((clock(), step) for step in stream.items(str, at="steps"))
        steps = len(shown)
        shown.extend((clock(), piece) for piece in stream.field("tip"))
        total = clock()

    assert steps == 2
    assert "".join(piece for _, piece in shown[steps:]) == document["tip"]
    times = [at for at, _ in shown[steps:]]
    assert times == [total - behind for behind in range(len(times))][::-1]
    assert len(times) > 6


@in_each_loop
async def test_what_breaks_after_it_comes_up_in_the_next_read(colour: str) -> None:
    async with inside(source(colour, broken_at=60)) as stream:
        assert ["Your order"] == joined(await items_of(stream.field("subject")))
        with pytest.raises(StreamInterrupted):
            await items_of(stream.text)
        with pytest.raises(OutputIncomplete) as caught:
            await got(stream.result(dict[str, Any]))
        assert isinstance(caught.value.__cause__, StreamInterrupted)


@in_each_loop
async def test_if_nothing_more_is_read_the_block_stops_the_stream(colour: str) -> None:
    """`final` reads on: it has the usage, or raises the error."""
    async with inside(source(colour, broken_at=60)) as stream:
        await items_of(stream.field("subject"))
    assert stream.message.ending == "stopped"
    async with inside(source(colour, broken_at=60)) as stream:
        await items_of(stream.field("subject"))
        with pytest.raises(StreamInterrupted):
            await got(stream.final())


WRONG: dict[str, tuple[Callable[[Any], Any], object, str]] = {
    "a string that is a number": (lambda s: s.field("a"), {"a": 1, "b": MORE}, "complete"),
    "an array that is a string": (lambda s: s.items(int, at="a"), {"a": "x", "b": MORE}, "streaming"),
    "a key that is missing": (lambda s: s.field("zz"), MAIL, "complete"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_the_wrong_kind_is_raised_where_it_was(name: str) -> None:
    view, document, ending = WRONG[name]
    with source("sync", document) as stream:
        with pytest.raises(OutputInvalid):
            list(view(stream))
        assert stream.message.ending == ending


def test_an_invalid_element_takes_its_place() -> None:
    with source("sync", {"a": [1, "no", 3], "b": MORE}) as stream:
        view = stream.items(int, at="a")
        found = [next(view)]
        with pytest.raises(OutputInvalid):
            next(view)
        found.extend(view)
        assert (found, stream.message.ending) == ([1, 3], "streaming")


def test_calls_of_a_tool_are_read_on() -> None:
    """The elements are those of all its calls; a string is that of one call."""
    script = testing.script().tool_call("f", MAIL).tool_call("f", {"subject": "", "steps": [4], "body": MORE})
    chunks = script.finish("tool_calls").chunks("openai-responses")
    with Stream(chunks) as stream:
        assert [1, 2, 3, 4] == list(stream.items(int, at="steps", tool="f"))
    with Stream(chunks) as stream:
        assert "Your order" == "".join(stream.field("subject", tool="f"))


@in_each_loop
async def test_readers_of_a_stream_in_a_block_have_it_too(colour: str) -> None:
    async with inside(source(colour)) as stream:
        hub = stream.broadcast()
        async with inside(hub.reader()) as first, inside(hub.reader()) as second:
            assert ["Your order"] == joined(await items_of(first.field("subject")))
            assert [1, 2, 3] == await items_of(second.items(int, at="steps"))
            assert ["Your order"] == joined(await items_of(second.field("subject").words()))
            assert ["Your order"] == joined(await items_of(stream.choice(0).field("subject")))
            assert stream.message.ending == "streaming"


RESTARTS: dict[str, tuple[list[int], bool]] = {
    "with the same elements": ([1, 2, 3, 4, 5, 6], True),
    "with fewer": ([1, 2], False),
    "with others": ([1, 9, 3, 4, 5, 6], False),
}


@pytest.mark.parametrize("name", RESTARTS)
def test_a_restarted_answer_has_to_repeat_the_elements(name: str) -> None:
    second, is_same = RESTARTS[name]

    def chunks(steps: list[int]) -> list[Any]:
        text = json.dumps({"steps": steps, "tip": MORE})
        return testing.script().text(*pieces_of(text, 3)).finish().chunks("openai-chat")

    def broken() -> Iterator[Any]:
        yield from chunks([1, 2, 3, 4, 5, 6])[:10]
        raise ConnectionResetError("reset")

    sources = iter([broken(), iter(chunks(second))])
    found: list[int] = []
    with testing.VirtualClock(), resilient(lambda: next(sources), Retry(again=True)) as stream:
        try:
            found.extend(stream.items(int, at="steps"))
        except StreamInterrupted:
            assert (is_same, found[:1]) == (False, [1])
        else:
            assert is_same
            assert (found, "".join(stream.field("tip"))) == ([1, 2, 3, 4, 5, 6], MORE)


@in_each_loop
async def test_outside_of_a_block_the_loop_reads_on(colour: str) -> None:
    """Nobody else would close the stream."""
    stream = source(colour)
    assert ["Your order"] == joined(await items_of(stream.field("subject")))
    assert (stream.message.ending, stream.closed) == ("complete", True)
