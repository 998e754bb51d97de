"""A run of LangGraph, whose nodes work as its events are asked for: none is read ahead of the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.support.recordings import events_of
from tokenstream import AsyncStream, merge

pytestmark = pytest.mark.anyio

_EVENTS = events_of("langchain-protocol/agent_with_subagent")


class Graph:
    """What `graph.astream_events(…, version="v3")` returns, which counts what was asked for."""

    abort = interrupted = interrupts = output = None

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked = 0
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[Any]:
        for event in _EVENTS:
            self.asked += 1
            await anyio.sleep(self._seconds)
            yield event


async def test_a_loop_over_answers_asks_for_no_event_ahead() -> None:
    """A node that spends or sends does not run before the program wants to go on."""
    graph, seen = Graph(), 0
    async with AsyncStream(graph) as stream:
        async for answer in stream.responses:
            async for _ in answer:
                before = graph.asked
                await anyio.sleep(0.01)
                assert graph.asked == before
                seen += 1
    assert seen
    assert graph.asked == len(_EVENTS)


async def test_a_timeout_around_a_read_loses_nothing() -> None:
    events = []
    async with AsyncStream(Graph(0.002)) as stream:
        while True:
            with anyio.move_on_after(0.001):
                try:
                    events.append(await anext(stream))
                except StopAsyncIteration:
                    break
    whole = [event async for event in AsyncStream(Graph())]

    assert [type(event) for event in events] == [type(event) for event in whole]


async def test_a_merge_reads_it_beside_others() -> None:
    async with merge({"a": AsyncStream(Graph()), "b": AsyncStream(Graph(0.001))}) as merged:
        labels = [label async for label, _ in merged]

    assert labels.count("a") == labels.count("b") > 0
