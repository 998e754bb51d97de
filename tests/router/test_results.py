"""Results of tools, for the handlers of a router."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.steps.answers import asking, async_stream_of, stream_of
from tokenstream import AsyncStream, Router, Stream, relay
from tokenstream.errors import StreamTruncated
from tokenstream.events import Event, Finish, ToolCallDone, ToolResult
from tokenstream.message import ToolCall
from tokenstream.router import ToolFailed


def weather(city: str) -> dict[str, str]:
    """Tell the weather; there is no station in Rome."""
    if city == "Rome":
        raise ToolFailed("there is no station in Rome")
    if city == "Pisa":
        raise RuntimeError("the line is down")
    return {"city": city}


def router_with(told: list[Event]) -> Router:
    router = Router()
    router.on(ToolCallDone, ToolResult)(told.append)
    router.tool(weather)
    return router


def names(told: list[Event]) -> list[str]:
    return [type(event).__name__ for event in told]


def test_a_handler_is_given_each_result_after_its_call() -> None:
    told: list[Event] = []
    results = stream_of(asking("Oslo", "Rome")).run(router_with(told))

    assert ["ToolCallDone", "ToolResult"] * 2 == names(told)
    assert [
        ToolResult("call_0", {"city": "Oslo"}),
        ToolResult("call_1", error="there is no station in Rome"),
    ] == told[1::2]
    assert ("there is no station in Rome", {"call_1"}) == (results["call_1"], {*results.errors})


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_handler_of_an_async_stream_is_given_the_results_too(backend: str) -> None:
    told: list[Event] = []

    async def main() -> Any:
        router = router_with([])

        @router.on(ToolResult)
        async def tell(event: ToolResult) -> None:
            await anyio.lowlevel.checkpoint()
            told.append(event)

        async with async_stream_of(asking("Oslo", "Rome")) as stream:
            return await stream.run(router)

    results = anyio.run(main, backend=backend)

    assert {("call_0", None), ("call_1", "there is no station in Rome")} == {
        (event.id, event.error) for event in told if isinstance(event, ToolResult)
    }
    assert {"call_0", "call_1"} == results.keys()


def test_a_tool_that_ends_the_run_has_no_result() -> None:
    told: list[Event] = []
    with pytest.raises(RuntimeError, match="line is down"):
        stream_of(asking("Oslo", "Pisa", "Bern")).run(router_with(told))

    assert [ToolResult("call_0", {"city": "Oslo"})] == [each for each in told if isinstance(each, ToolResult)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_handler_that_fails_ends_the_run(backend: str) -> None:
    seen: list[str] = []
    router = router_with([])

    @router.on(ToolResult)
    def show(event: ToolResult) -> None:
        seen.append(event.id)
        raise LookupError("no window")

    async def main() -> None:
        async with async_stream_of(asking("Oslo", "Bern")) as stream:
            await stream.run(router)

    with pytest.raises(LookupError) as caught:
        stream_of(asking("Oslo", "Bern")).run(router)
    assert "show' for ToolResult" in caught.value.__notes__[0]
    assert ["call_0"] == seen
    with pytest.raises(LookupError):
        anyio.run(main, backend=backend)
    assert 2 == len(seen)


def test_tools_that_run_on_after_the_answer_broke_off_tell_their_results() -> None:
    told: list[Event] = []

    async def main() -> None:
        stream: AsyncStream = async_stream_of(asking("Oslo", "Rome")[:-3])
        async with stream:
            await stream.run(router_with(told))

    with pytest.raises(StreamTruncated):
        anyio.run(main)
    assert [ToolResult("call_0", {"city": "Oslo"})] == [each for each in told if isinstance(each, ToolResult)]


def test_a_result_that_the_stream_brings_is_reported_as_it_is() -> None:
    """A router without tools shows what another program has run."""
    call = ToolCall(id="c", name="f", complete=True)
    sent: list[Event] = [ToolCallDone(call), ToolResult("c", "sun", provider_executed=True), Finish("stop")]
    router, told = Router(), list[Event]()
    router.on(ToolResult)(told.append)
    Stream([b"".join(relay.encode(sent))]).run(router)

    assert sent[1:2] == told
