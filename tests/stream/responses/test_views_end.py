"""Every view of a stream ends where a loop over its events ends, and asks its source for nothing more."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, get_args

import pytest

from tests.formats import test_anthropic_agents as anthropic
from tests.formats import test_langchain_protocol as langchain
from tests.formats.gemini_live.support import DONE, text
from tests.support.either import Each, got, run_in, stream_in
from tests.support.views import VIEWS
from tokenstream import AsyncStream, Stream, testing
from tokenstream._providers.apis import ScriptFormat
from tokenstream.errors import OutputIncomplete, OutputInvalid, StreamError

VIEWS_OF_ALL: dict[str, Callable[[Any], Any]] = {
    **VIEWS,
    "events": lambda stream: stream,
    "deltas": lambda stream: stream.deltas,
    "reasoning": lambda stream: stream.reasoning,
    "words": lambda stream: stream.text.words(),
    "responses": lambda stream: stream.responses,
}
TEXT = ['{"title": "One",', ' "steps": ["a", "b"]}']


def graph(*ends: str) -> list[dict[str, Any]]:
    """Return the events of a graph with two answers, whose run a server ends."""
    answers = [
        (langchain.start(id=f"msg_{number}"), *langchain.HELLO, langchain.finish()) for number in (1, 2)
    ]
    said = [langchain.wrapped(event) for event in chain(*answers)]
    return [langchain.RUNNING, *said, *(langchain.wrapped({"event": end}, "lifecycle") for end in ends)]


SESSIONS: dict[str, list[Any]] = {
    "langchain-protocol": graph("completed"),
    "langchain-protocol, failed": graph("failed"),
    "langchain-protocol, cut": [*graph()[:-1], langchain.COMPLETED],
    "anthropic-agents": [
        anthropic.running(),
        anthropic.message("Hello"),
        anthropic.idle(),
        anthropic.event("session.status_terminated"),
    ],
    "anthropic-agents, in an answer": [
        anthropic.running(),
        anthropic.message("Hello"),
        anthropic.event("session.deleted"),
    ],
    "gemini-live, failed": [text("Hello"), DONE, {"error": {"code": 500, "message": "gone"}}],
}
BODIES: dict[str, list[Any]] = SESSIONS | {
    name: [*testing.script().text(*TEXT).finish().chunks(name)]
    for kind in get_args(ScriptFormat)
    for name in get_args(kind)
    # The first is no format that is read, and sessions of the others end with their connection.
    if name not in ("ndjson", "openai-realtime", "gemini-live")
}


NO_JSON = "no JSON"


class Trapped:
    """A source of either colour that fails if it is asked again, which it counts, as it does its closing."""

    def __init__(self, items: list[Any]) -> None:
        self._items = iter(items)
        self.asked = self.closed = 0

    def __next__(self) -> Any:
        item = next(self._items, None)
        if item is None:
            self.asked += 1
            raise OSError("asked again")
        return item

    def close(self) -> None:
        self.closed += 1


class SyncTrapped(Trapped):
    def __iter__(self) -> SyncTrapped:
        return self


class AsyncTrapped(Trapped):
    def __aiter__(self) -> AsyncTrapped:
        return self

    async def __anext__(self) -> Any:
        return next(self)

    async def aclose(self) -> None:
        self.close()


async def read(colour: str, items: list[Any], view_of: Callable[[Any], Any], format: str) -> Any:
    """Read a view, and each answer in it, to its end; return what was told of the source and the end."""
    source = (SyncTrapped if colour == "sync" else AsyncTrapped)(items)
    stream, error = stream_in(colour)(source, format=format), None
    try:
        async for item in Each(view_of(stream)):
            if isinstance(item, Stream | AsyncStream):
                await got(item.final())
    except (StreamError, OutputInvalid, OutputIncomplete) as raised:
        # The text of the sessions is no JSON.
        error = NO_JSON if isinstance(raised, OutputInvalid | OutputIncomplete) else type(raised)
    assert (source.closed, stream.closed) == (1, True)
    return source.asked, error


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("view", VIEWS_OF_ALL)
@pytest.mark.parametrize("name", BODIES)
def test_each_view_ends_where_the_loop_ends(name: str, view: str, colour: str) -> None:
    format = name.partition(",")[0]
    looped = run_in(colour, read, colour, BODIES[name], VIEWS_OF_ALL["events"], format)
    asked, error = run_in(colour, read, colour, BODIES[name], VIEWS_OF_ALL[view], format)

    assert asked <= looped[0]
    assert error in (looped[1], NO_JSON)
    if name in SESSIONS and view == "responses" and colour == "sync":
        assert asked == 0
