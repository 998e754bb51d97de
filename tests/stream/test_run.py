"""`stream.run(router)`: what the handlers are given, what comes back, and who is ended when."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, AsyncSource, Source, call, chunk
from tests.stream.routers import END, RESULTS, Bug, City, given, with_tools
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import Finish, ReasoningDelta, TextDelta, ToolCallDone, ToolCallStart
from tokenstream.router import Router, ToolFailed

# -- what is handled, and what comes back ----------------------------------------


def test_a_run_reads_to_the_end_and_gives_what_the_tools_gave_back() -> None:
    source = Source(ANSWER)
    results = Stream(source).run(with_tools())

    assert RESULTS == dict(results)
    assert ("Let me see.", "complete", 1) == (results.message.text, results.message.ending, source.closed)
    assert [("assistant", ["call_a", "call_b"]), ("tool", "call_a"), ("tool", "call_b")] == [
        (turn["role"], turn.get("tool_call_id") or [made["id"] for made in turn["tool_calls"]])
        for turn in [results.message.to_openai_chat(drop="reasoning"), *results.to_openai_chat()]
    ]


@pytest.mark.anyio
async def test_both_kinds_of_stream_do_the_same() -> None:
    told: dict[str, list[Any]] = {"sync": [], "async": []}

    def router_for(kind: str) -> Router:
        router = with_tools()
        router.on(TextDelta, ReasoningDelta)(lambda event: told[kind].append(event.text))
        router.on(ToolCallDone)(lambda event: told[kind].append(event.call.id))
        return router

    results = await AsyncStream(AsyncSource(ANSWER)).run(router_for("async"))

    assert Stream(ANSWER).run(router_for("sync")) == results
    assert ["Hm. ", "Weather.", "Let ", "me ", "see.", "call_a", "call_b"] == told["sync"] == told["async"]


def test_a_run_that_starts_late_misses_no_tool() -> None:
    router = with_tools()
    told: list[str] = []
    router.on(TextDelta, Finish)(lambda event: told.append(type(event).__name__))
    stream = Stream(ANSWER)
    for event in stream:
        if isinstance(event, ToolCallStart) and event.id == "call_b":
            break

    assert RESULTS == dict(stream.run(router))
    assert ["Finish"] == told


def test_calls_that_cannot_be_run_are_reported_to_the_model() -> None:
    calls = [
        call(0, "c1", "get_weather", '{"town": 1}'),
        call(1, "c2", "get_weather", '{"city": '),
        call(2, "c3", "get_whether", "{}"),
        call(3, "c4", "get_time", ""),
    ]
    results = Stream([*map(chunk, calls), *END]).run(with_tools())

    assert frozenset({"c1", "c2", "c3"}) == results.errors
    assert ["c1", "c2", "c3", "c4"] == sorted(results)
    told = ["of get_weather are not valid", "of get_weather are no valid JSON", "There is no tool"]
    assert all(words in results[id] for words, id in zip(told, ("c1", "c2", "c3"), strict=True))


def test_a_handler_may_stop_the_stream() -> None:
    stream = Stream(ANSWER)
    router = Router()
    router.on(TextDelta)(lambda _: stream.stop("enough"))
    results = stream.run(router)

    assert ("stopped", "Let ") == (results.message.ending, results.message.text)


def test_only_a_router_can_be_run() -> None:
    source = Source(ANSWER)
    stream: Any = Stream(source)
    with pytest.raises(MisuseError, match="takes a Router, not function"):
        stream.run(_later)
    assert source.reads == 0
    stream.close()


def test_a_second_run_calls_the_tools_again() -> None:
    """Each run does what its table says, as each view begins at the start."""
    router = Router()
    told: list[str] = []
    router.tool("get_weather", City)(lambda asked: told.append(asked.city))
    stream = Stream(ANSWER)
    stream.run(router)
    stream.run(router)

    assert ["Oslo", "Oslo"] == told


def test_a_handler_may_read_the_stream_itself() -> None:
    stream = Stream(ANSWER)
    router = with_tools()
    told: list[str] = []
    router.on(TextDelta)(lambda event: told.append(event.text + stream.final().ending))

    assert RESULTS == dict(stream.run(router))
    assert ["Let complete"] == told


# -- errors, one after the other ---------------------------------------------------


@pytest.mark.parametrize(
    "error", [Bug("oops"), KeyboardInterrupt(), StopIteration(), StreamTruncated("other")]
)
def test_an_error_of_a_handler_comes_out_as_it_is_and_closes_the_stream(error: BaseException) -> None:
    def show(event: TextDelta) -> None:
        if event.text == "me ":
            raise error

    router = with_tools()
    router.on(TextDelta)(show)
    source = Source(ANSWER)
    stream = Stream(source)
    with pytest.raises(type(error)) as caught:
        stream.run(router)

    assert caught.value is error
    [note] = caught.value.__notes__
    assert "show' for TextDelta" in note
    assert ("Let me ", "stopped", 1) == (stream.message.text, stream.message.ending, source.closed)
    del error.__notes__


def test_an_error_of_a_tool_tells_of_its_call() -> None:
    router = Router()

    @router.tool
    def get_time() -> None:
        raise Bug

    @router.tool("get_weather", City)
    def weather(_: City) -> None:
        raise Bug

    with pytest.raises(Bug) as caught:
        Stream(ANSWER).run(router)

    [note] = caught.value.__notes__
    assert note.endswith("weather' for tool 'get_weather', call 'call_a'")


def test_a_failure_for_the_model_ends_the_run_where_a_handler_raises_it() -> None:
    """What is no tool has no call that it could answer."""
    router = Router()

    @router.on(TextDelta)
    def show(_: TextDelta) -> None:
        raise ToolFailed("nobody asked")

    stream = Stream(ANSWER)
    with pytest.raises(ToolFailed, match="nobody asked"):
        stream.run(router)
    assert stream.closed


def test_what_the_tools_gave_back_is_on_the_error_of_a_stream_that_fails() -> None:
    """The failure does not undo what was run."""
    with pytest.raises(StreamTruncated) as caught:
        Stream(ANSWER[:8]).run(with_tools())

    assert {"call_a": RESULTS["call_a"]} == given(caught.value)
    assert ("call_a",) == caught.value.tool_calls_delivered


class _Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


@pytest.mark.parametrize("error", [Bug("oops"), KeyboardInterrupt(), _Frozen()])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_the_tools_gave_back_before_is_on_the_exception_of_one(kind: str, error: BaseException) -> None:
    router = Router()
    router.tool("get_weather", City)(lambda asked: asked.city)

    @router.tool
    def get_time() -> None:
        raise error

    async def run() -> object:
        return await AsyncStream(ANSWER).run(router)

    with pytest.raises(type(error)) as caught:
        Stream(ANSWER).run(router) if kind == "sync" else anyio.run(run)

    assert caught.value is error
    assert isinstance(error, _Frozen) or given(error) == {"call_a": "Oslo"}


async def _later(event: object) -> None:
    raise NotImplementedError


def test_an_asynchronous_handler_is_refused_before_anything_is_read() -> None:
    router = with_tools()
    router.tool("later", City)(_later)
    source = Source(ANSWER)
    with (
        Stream(source) as stream,
        pytest.raises(MisuseError, match=r"'_later' for tool 'later' .* AsyncStream"),
    ):
        stream.run(router)

    assert source.reads == 0


@pytest.mark.parametrize("make", [_later, lambda _: asyncio.Future(loop=asyncio.SelectorEventLoop())])
def test_what_turns_out_to_be_asynchronous_is_refused_then(make: Any) -> None:
    router = Router()
    made: list[Any] = []

    @router.on(TextDelta)
    def show(event: TextDelta) -> Any:
        made.append(make(event))
        return made[-1]

    with warnings.catch_warnings(), pytest.raises(MisuseError, match="show' for TextDelta is asynchronous"):
        warnings.simplefilter("error")
        Stream(ANSWER).run(router)
    if isinstance(made[0], asyncio.Future):
        made[0].get_loop().close()
