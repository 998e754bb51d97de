"""Calls that a checkpoint counts as handed out, in the next process: with a store, that decides."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.either import Each, got, inside, run_in, stream_in
from tokenstream import Job, Router, Tools, testing
from tokenstream.call_store import MemoryCallStore
from tokenstream.message import Checkpoint

EVENTS = [
    event.replace(b'"background":false', b'"background":true')
    for event in testing.script()
    .tool_call("order", {"part": "valve", "count": 2}, id="call_1")
    .tool_call("order", {"part": "hose", "count": 1}, id="call_2")
    .finish("tool_calls")
    .chunks("openai-responses")
]
VIEWS = ("validated_calls", "tool_partials", "router")


class Process:
    """A process that orders parts, with a store that all processes have."""

    def __init__(self, store: MemoryCallStore | None) -> None:
        self.store, self.ordered = store, list[str]()

    def order(self, part: str, count: int) -> str:
        self.ordered.append(part)
        return f"{count} ordered"

    async def run(self, stream: Any, view: str) -> None:
        if view == "router":
            await got(stream.run(Router(Tools(self.order), once=self.store)))
            return
        async for item in Each(getattr(stream, view)(self.order, once=self.store)):
            call = item.call if view == "tool_partials" else item
            if call is not None:
                await got(call.run())


def stop_at(number: int, *, runs: bool, store: MemoryCallStore) -> tuple[Checkpoint, list[str]]:
    """Return the checkpoint of a process that is killed at a call, before or after it has run that."""
    process, point = Process(store), None
    with stream_in("sync")(EVENTS) as stream:
        for place, call in enumerate(stream.validated_calls(process.order, once=store), 1):
            point = stream.checkpoint()
            if place < number or runs:
                call.run()
            if place == number:
                break
    assert point is not None
    return Checkpoint.model_validate_json(point.model_dump_json()), process.ordered


def go_on(point: Checkpoint, world: str) -> Any:
    assert isinstance(point.position, int)
    made: Any = stream_in(world)
    return made(EVENTS[point.position + 1 :], job=Job("job", checkpoint=point))


@pytest.mark.parametrize("world", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("runs", [False, True], ids=["before the call", "after the call"])
def test_each_call_is_run_once_over_both_processes(number: int, runs: bool, view: str, world: str) -> None:
    store = MemoryCallStore()
    point, first = stop_at(number, runs=runs, store=store)
    process = Process(store)

    async def read() -> None:
        async with inside(go_on(point, world)) as stream:
            await process.run(stream, view)

    run_in(world, read)

    assert ["valve", "hose"] == first + process.ordered
    assert [] == [*store.uncertain()]


@pytest.mark.parametrize("view", VIEWS)
def test_without_a_store_a_call_that_was_handed_out_is_not_run_again(view: str) -> None:
    """Nobody knows whether it was run."""
    point, _ = stop_at(1, runs=False, store=MemoryCallStore())
    process = Process(None)

    async def read() -> None:
        async with inside(go_on(point, "sync")) as stream:
            await process.run(stream, view)

    run_in("sync", read)

    assert ["hose"] == process.ordered


@pytest.mark.parametrize("number", [1, 2])
def test_drafts_of_calls_leave_out_those_of_the_checkpoint(number: int) -> None:
    point, _ = stop_at(number, runs=True, store=MemoryCallStore())
    with go_on(point, "sync") as stream:
        drafts = [draft.call for draft in stream.tool_partials(Tools(Process(None).order)) if draft.call]

    assert ["call_2"][: 2 - number] == [call.id for call in drafts]


def test_a_store_lets_drafts_begin_with_the_calls_of_the_checkpoint() -> None:
    """A form that was filled when the process died is shown once more, whole, and then the others grow."""
    store = MemoryCallStore()
    point, _ = stop_at(1, runs=True, store=store)
    process = Process(store)
    with go_on(point, "sync") as stream:
        drafts = list(stream.tool_partials(process.order, once=store))

    assert ["call_1", "call_2", "call_2"] == [draft.id for draft in drafts][:3]
    assert ("valve", True) == (drafts[0].draft["part"], drafts[0].complete)
    assert ["done", "new"] == [draft.call.state.status for draft in drafts if draft.call]
    assert [] == process.ordered


def test_a_store_that_is_away_loses_no_last_draft() -> None:
    class Away(MemoryCallStore):
        is_away = True

        def look(self, key: str) -> Any:
            if self.is_away:
                raise ConnectionError("away")
            return super().look(key)

    store = Away()
    process = Process(store)
    with stream_in("sync")(EVENTS) as stream:
        view = stream.tool_partials(process.order, once=store)
        with pytest.raises(ConnectionError):
            list(view)
        store.is_away = False
        whole = next(view)

    assert whole.call is not None
    assert ("2 ordered", ["valve"]) == (whole.call.run(), process.ordered)
