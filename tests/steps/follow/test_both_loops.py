"""Sources that both `for` and `async for` can read: the loop that reads the run chooses."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.follow.support import GRAPH, tree
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

LINES = [
    '{"type": "thread.started", "thread_id": "t"}',
    '{"type": "turn.started"}',
    '{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Done."}}',
    '{"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}',
]


class Both:
    """A source for both kinds of loop, which counts those that have begun."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.begun: list[str] = []

    def __iter__(self) -> Iterator[Any]:
        self.begun.append("for")
        yield from self.items

    async def __aiter__(self) -> AsyncIterator[Any]:
        self.begun.append("async for")
        for item in self.items:
            yield item


def _read(followed: Any, loop: str) -> list[Any]:
    async def read() -> list[Any]:
        async with followed:
            return [item async for item in followed]

    if loop == "async for":
        return asyncio.run(read())
    with followed:
        return [*followed]


@in_one_test("loop", ["for", "async for"])
@in_one_test("options, expected", [({}, LINES), ({"agent": "codex"}, [json.loads(line) for line in LINES])])
def test_the_loop_chooses(options: dict[str, Any], expected: list[Any], loop: str) -> None:
    """Nothing is touched before it."""
    source = Both(LINES)
    with Steps() as run:
        followed = run.follow(source, **options)
        assert source.begun == []
        items = _read(followed, loop)

    assert source.begun == [loop]
    assert items == expected
    assert [(turn.state, turn.result) for turn in run.turns] == [("done", "Done.")]


@in_one_test("loop", ["for", "async for"])
def test_the_events_of_a_framework_are_read_by_either(loop: str) -> None:
    with Steps() as run, Steps() as told:
        assert _read(run.follow(Both(GRAPH)), loop) == GRAPH
        assert [*told.follow(GRAPH)] == GRAPH

    assert tree(run.steps) == tree(told.steps)


@pytest.mark.parametrize("first", ["for", "async for"])
def test_lines_are_read_on_as_they_were_begun(first: str) -> None:
    """Two loops over one output would each get a part of it; closing counts as a loop."""
    second = "async for" if first == "for" else "for"
    with Steps() as run:
        followed = run.follow(Both(LINES), until="turn")
        assert (followed.plain_lines, followed.stderr) == (0, "")
        _read(followed, first)
        with pytest.raises(MisuseError, match=f"go on with `{first}`"):
            _read(followed, second)

    assert (followed.plain_lines, followed.stderr) == (0, "")


@pytest.mark.anyio
async def test_single_steps_choose_too() -> None:
    with Steps() as run:
        assert next(run.follow(Both(LINES), agent="codex"))["type"] == "thread.started"
        async with run.follow(Both(LINES), agent="codex") as followed:
            assert (await anext(followed))["type"] == "thread.started"


MAKES: dict[str, Callable[[Iterable[str]], Any]] = {
    "a generator": lambda lines: (line for line in lines),
    "bytes": lambda lines: (line.encode() for line in lines),
    "line ends": lambda lines: (line + "\n" for line in lines),
    "an iterator": iter,
}


@in_one_test("make", MAKES)
def test_a_generator_of_lines_is_known_by_its_first_line(make: str) -> None:
    with Steps() as run:
        assert [*run.follow(MAKES[make]([LINES[0], "a log", *LINES[1:]]))] == [
            *MAKES[make]([LINES[0], "a log", *LINES[1:]])
        ]

    assert [(turn.state, turn.result) for turn in run.turns] == [("done", "Done.")]


@in_one_test("line", ["Hel", '{"half', "[1]", '{"choices": [{"index": 0, "delta": {"content": "Hi"}}]}'])
def test_pieces_of_text_are_no_lines(line: str) -> None:
    with Steps() as run, pytest.raises(MisuseError, match=r"step\.follow.* agent=…"):
        list(run.follow(part for part in [line]))
