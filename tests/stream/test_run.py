"""`stream.run(router)`: what the handlers are given, what comes back, and who is ended when."""

from __future__ import annotations

import asyncio
import signal
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import AfterValidator, BaseModel, TypeAdapter

from tests.stream.async_sources import PATIENCE
from tests.stream.bodies import ANSWER, DONE, AsyncSource, Source, call, chunk
from tokenstream import AsyncStream, Stream
from tokenstream.errors import (
    ConcurrentRead,
    MisuseError,
    OutputIncomplete,
    OutputInvalid,
    StreamTruncated,
    TokenStreamError,
)
from tokenstream.events import Finish, ReasoningDelta, TextDelta, ToolCallDone, ToolCallStart
from tokenstream.router import Router, ToolFailed, ToolResults


class City(BaseModel):
    """Arguments of a tool."""

    city: str


def _with_tools() -> Router:
    """Return a router with the tools of `ANSWER`."""
    router = Router()

    @router.tool("get_weather", City)
    def weather(asked: City) -> dict[str, Any]:
        return {"city": asked.city, "degrees": 7}

    @router.tool
    def get_time() -> str:
        return "12:00"

    return router


_RESULTS = {"call_a": {"city": "Oslo", "degrees": 7}, "call_b": "12:00"}
_CALLS = [chunk(call(number, f"call_{number}", "wait", f'{{"number": {number}}}')) for number in range(4)]
_END = [chunk({}, "tool_calls"), DONE]
_JSON = [chunk({"content": piece}) for piece in ('{"title": "Pan', 'cakes", "steps": [1, ', '"x", 3]}')]
_WHOLE = [*_JSON, chunk({}, "stop"), DONE]


def _given(error: TokenStreamError) -> dict[str, Any]:
    """Return what an error tells of the tools."""
    results = error.tool_results
    assert isinstance(results, ToolResults)
    return dict(results)


# -- what is handled, and what comes back ----------------------------------------


def test_a_run_reads_to_the_end_and_gives_what_the_tools_gave_back() -> None:
    """By call id, with the message, ready for the next request."""
    source = Source(ANSWER)
    results = Stream(source).run(_with_tools())

    assert _RESULTS == dict(results)
    assert ("Let me see.", "complete", 1) == (results.message.text, results.message.ending, source.closed)
    assert [
        ("assistant", ["call_a", "call_b"]),
        ("tool", "call_a"),
        ("tool", "call_b"),
    ] == [
        (turn["role"], turn.get("tool_call_id") or [made["id"] for made in turn["tool_calls"]])
        for turn in [
            results.message.to_openai_chat(drop="reasoning"),
            *results.to_openai_chat(),
        ]
    ]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_both_kinds_of_stream_do_the_same(backend: str) -> None:
    """In the same order, with the same results."""
    told: dict[str, list[Any]] = {"sync": [], "async": []}

    def router_for(kind: str) -> Router:
        router = _with_tools()
        router.on(TextDelta, ReasoningDelta)(lambda event: told[kind].append(event.text))
        router.on(ToolCallDone)(lambda event: told[kind].append(event.call.id))
        return router

    async def main() -> ToolResults:
        return await AsyncStream(AsyncSource(ANSWER)).run(router_for("async"))

    assert Stream(ANSWER).run(router_for("sync")) == anyio.run(main, backend=backend)
    assert ["Hm. ", "Weather.", "Let ", "me ", "see.", "call_a", "call_b"] == told["sync"] == told["async"]


def test_fields_and_items_get_what_the_model_writes() -> None:
    """Each piece and each element as it comes; the first that is invalid is raised at the end."""
    router = Router()
    told: list[Any] = []
    router.field("title")(told.append)
    router.item("steps", int)(told.append)
    with pytest.raises(OutputInvalid) as caught:
        Stream(_WHOLE).run(router)

    assert ["Pan", "cakes", 1, 3] == told
    assert {} == _given(caught.value)
    assert caught.value.partial.text == '{"title": "Pancakes", "steps": [1, "x", 3]}'


def test_an_item_may_be_null() -> None:
    """It is an element like any other."""
    router = Router()
    told: list[Any] = []
    router.item("", TypeAdapter(int | None))(told.append)
    Stream([chunk({"content": "[1, null]"}), chunk({}, "stop"), DONE]).run(router)

    assert [1, None] == told


def test_an_invalid_item_may_end_the_stream_at_once() -> None:
    """With `fail_fast`; what the server would have sent is not paid for."""
    router = Router()
    told: list[Any] = []
    router.item("steps", int, fail_fast=True)(told.append)
    source = Source([*_JSON, *[chunk({"content": " "})] * 50, chunk({}, "stop"), DONE])
    with pytest.raises(OutputInvalid):
        Stream(source).run(router)

    assert [1] == told
    assert (source.closed, source.reads < 10) == (1, True)


def test_an_answer_that_ends_inside_its_json_is_incomplete() -> None:
    """As in a loop over the view."""
    router = Router()
    router.field("title")(str)
    with pytest.raises(OutputIncomplete):
        Stream([_JSON[0], chunk({}, "length"), DONE]).run(router)


def test_an_answer_of_tool_calls_need_not_be_json() -> None:
    """The model talks before it calls."""
    router = _with_tools()
    router.field("title")(str)

    assert _RESULTS == dict(Stream(ANSWER).run(router))


def test_a_run_that_starts_late_misses_no_tool_and_no_field() -> None:
    """Handlers of events get those that are still to come."""
    router = _with_tools()
    told: list[str] = []
    router.on(TextDelta, Finish)(lambda event: told.append(type(event).__name__))
    stream = Stream(ANSWER)
    for event in stream:
        if isinstance(event, ToolCallStart) and event.id == "call_b":
            break

    assert _RESULTS == dict(stream.run(router))
    assert ["Finish"] == told


def test_a_run_works_after_the_end_too() -> None:
    """As a view does."""
    stream = Stream(ANSWER)
    stream.final()

    assert _RESULTS == dict(stream.run(_with_tools()))


def test_a_router_may_be_run_with_many_streams() -> None:
    """It holds nothing of a run."""
    router = _with_tools()
    told: list[str] = []
    router.field("title")(told.append)
    for _ in range(2):
        Stream(_WHOLE).run(router)

    assert ["Pan", "cakes"] * 2 == told
    assert _RESULTS == dict(Stream(ANSWER).run(router))


def test_calls_that_cannot_be_run_are_told_to_the_model() -> None:
    """A call that is invalid, that is no JSON, or of a tool that is not there."""
    calls = [
        call(0, "c1", "get_weather", '{"town": 1}'),
        call(1, "c2", "get_weather", '{"city": '),
        call(2, "c3", "get_whether", "{}"),
        call(3, "c4", "get_time", ""),
    ]
    results = Stream([*map(chunk, calls), *_END]).run(_with_tools())

    assert frozenset({"c1", "c2", "c3"}) == results.errors
    assert ["c1", "c2", "c3", "c4"] == sorted(results)
    told = ["of get_weather are not valid", "of get_weather are no valid JSON", "There is no tool"]
    assert all(words in results[id] for words, id in zip(told, ("c1", "c2", "c3"), strict=True))


def test_a_handler_may_stop_the_stream() -> None:
    """The run ends as at the end of the answer; what is cut is no error."""
    stream = Stream(_WHOLE)
    router = Router()
    router.field("title")(lambda _: stream.stop("enough"))
    results = stream.run(router)

    assert ("stopped", '{"title": "Pan') == (results.message.ending, results.message.text)


def test_only_a_router_can_be_run() -> None:
    """Anything else is refused before the stream is read."""
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
    """The run misses no call of what the handler has read, and no other handler sees it."""
    stream = Stream(ANSWER)
    router = _with_tools()
    told: list[str] = []
    router.on(TextDelta)(lambda event: told.append(event.text + stream.final().ending))

    assert _RESULTS == dict(stream.run(router))
    assert ["Let complete"] == told


# -- errors, one after the other ---------------------------------------------------


class _Bug(Exception):
    """A handler's own error."""


@pytest.mark.parametrize(
    "error", [_Bug("oops"), KeyboardInterrupt(), StopIteration(), StreamTruncated("other")]
)
def test_an_error_of_a_handler_comes_out_as_it_is_and_closes_the_stream(error: BaseException) -> None:
    """With a note whose it is; what had arrived is kept."""

    def show(event: TextDelta) -> None:
        if event.text == "me ":
            raise error

    router = _with_tools()
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
    """Its name and id."""
    router = Router()

    @router.tool
    def get_time() -> None:
        raise _Bug

    @router.tool("get_weather", City)
    def weather(_: City) -> None:
        raise _Bug

    with pytest.raises(_Bug) as caught:
        Stream(ANSWER).run(router)

    [note] = caught.value.__notes__
    assert note.endswith("weather' for tool 'get_weather', call 'call_a'")


def _failing_for_the_model() -> Router:
    """Return a router whose one tool fails, and whose other one works."""
    router = Router()

    @router.tool("get_weather", City)
    def weather(asked: City) -> None:
        raise ToolFailed(f"no station in {asked.city}")

    router.tool("get_time")(lambda: "12:00")
    return router


_FAILED = ({"call_a": "no station in Oslo", "call_b": "12:00"}, frozenset({"call_a"}))


def test_a_tool_may_tell_the_model_that_it_failed() -> None:
    """The run goes on, and the result is flagged as an error."""
    results = Stream(ANSWER).run(_failing_for_the_model())

    assert (dict(results), results.errors) == _FAILED


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
        Stream(ANSWER[:8]).run(_with_tools())

    assert {"call_a": _RESULTS["call_a"]} == _given(caught.value)
    assert ("call_a",) == caught.value.tool_calls_delivered


async def _later(event: object) -> None:
    raise NotImplementedError


def test_an_asynchronous_handler_is_refused_before_anything_is_read() -> None:
    """By its name, and with what to do."""
    router = _with_tools()
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
    """Without a warning that it was never awaited."""
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


# -- tools beside the reading --------------------------------------------------------


async def _run(stream: AsyncStream, router: Router) -> ToolResults:
    """Run a router, and do not wait for ever for what a test waits for."""
    with anyio.fail_after(PATIENCE):
        return await stream.run(router)


class _Gate(AsyncIterator[bytes]):
    """A body that gives each chunk once the test lets it: a chunk, or an event to wait for."""

    def __init__(self, *steps: bytes | anyio.Event | Exception) -> None:
        self._steps: Iterator[Any] = iter(steps)
        self.closed = False

    async def __anext__(self) -> bytes:
        for step in self._steps:
            await anyio.lowlevel.checkpoint()
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                raise step
            await step.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class _Tools:
    """A tool that waits for its turn, and tells what became of its calls."""

    def __init__(self, router: Router) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.cancelled: list[int] = []
        self.started = anyio.Event()
        self.go = anyio.Event()
        router.tool("wait")(self.wait)

    async def wait(self, number: int) -> int:
        self.begun.append(number)
        self.started.set()
        try:
            await self.go.wait()
            self.done.append(number)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.cancelled.append(number)
            raise
        return number * 10


@pytest.mark.anyio
async def test_tools_run_while_the_stream_is_read_on() -> None:
    """Each begins when its call is complete, and the run is over when all are done."""
    router = Router()
    tools = _Tools(router)
    # The body goes on once the first tool runs, and the tool ends once the body has.
    source = _Gate(*_CALLS[:2], tools.started, *_END)

    @router.on(Finish)
    async def finished(_: Finish) -> None:
        await anyio.lowlevel.checkpoint()
        tools.go.set()

    results = await _run(AsyncStream(source), router)

    assert {"call_0": 0, "call_1": 10} == dict(results)
    assert results.message.complete


@pytest.mark.anyio
async def test_a_tool_begins_at_once_also_where_the_rest_is_at_hand() -> None:
    """A body that never has to be waited for does not keep it."""
    router = Router()
    tools = _Tools(router)
    seen: list[list[int]] = []
    router.on(ToolCallStart, Finish)(lambda _: seen.append(list(tools.begun)))

    @router.on(Finish)
    def finished(_: Finish) -> None:
        tools.go.set()

    results = await _run(AsyncStream(b"".join([*_CALLS, *_END])), router)

    assert [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]] == seen
    assert {f"call_{number}": number * 10 for number in range(4)} == dict(results)


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_so_many_tools_run_at_once_and_no_more(concurrency: int) -> None:
    """The others wait, in the order of their calls."""
    router = Router(concurrency=concurrency)
    running: list[int] = []
    most: list[int] = []
    begun: list[int] = []
    full = anyio.Event()

    @router.tool("wait")
    async def wait(number: int) -> str:
        begun.append(number)
        running.append(number)
        most.append(len(running))
        if len(running) == concurrency:
            full.set()
        await full.wait()
        await anyio.lowlevel.checkpoint()
        running.remove(number)
        return "done"

    results = await _run(AsyncStream(AsyncSource([*_CALLS, *_END])), router)

    assert concurrency == max(most)
    assert list(range(4)) == begun
    assert ["done"] * 4 == list(results.values())


@pytest.mark.anyio
async def test_a_place_that_is_free_again_is_taken_by_a_later_call() -> None:
    """Also where no call had waited for it."""
    router = Router(concurrency=1)
    done = [anyio.Event(), anyio.Event(), anyio.Event()]

    @router.tool
    async def wait(number: int) -> int:
        done[number].set()
        return number

    source = _Gate(_CALLS[0], _CALLS[1], done[0], _CALLS[2], done[1], *_END, done[2])
    results = await _run(AsyncStream(source), router)

    assert {"call_0": 0, "call_1": 1, "call_2": 2} == dict(results)


@pytest.mark.anyio
async def test_plain_tools_run_in_threads_as_many_at_once_as_may() -> None:
    """They may block, and hold up neither the reading nor each other; more than anyio's own 40 as well."""
    count = 41
    router = Router(concurrency=count)
    full = threading.Barrier(count, timeout=PATIENCE)
    finished = threading.Event()
    asked_by: ContextVar[str] = ContextVar("asked_by")
    asked_by.set("Ada")

    @router.tool
    def wait(number: int) -> str:
        full.wait()
        return f"{number} {finished.wait(PATIENCE)} {asked_by.get()}"

    router.on(Finish)(lambda _: finished.set())
    calls = [chunk(call(number, f"c{number}", "wait", f'{{"number": {number}}}')) for number in range(count)]
    results = await _run(AsyncStream(AsyncSource([*calls, *_END])), router)

    assert {f"c{number}": f"{number} True Ada" for number in range(count)} == dict(results)


@pytest.mark.anyio
async def test_a_plain_tool_that_returns_something_to_await_is_awaited() -> None:
    """As a decorator makes one of an asynchronous function."""
    router = Router()

    async def later(city: str) -> str:
        await anyio.lowlevel.checkpoint()
        return city

    router.tool("get_weather", City)(lambda asked: later(asked.city))
    router.tool("get_time")(lambda: None)

    assert {"call_a": "Oslo", "call_b": None} == dict(await _run(AsyncStream(AsyncSource(ANSWER)), router))


@pytest.mark.anyio
async def test_results_have_the_order_of_the_calls() -> None:
    """Whichever tool is done first."""
    router = Router()
    done = anyio.Event()

    @router.tool
    async def wait(number: int) -> int:
        if number:
            done.set()
        else:
            await done.wait()
        return number

    results = await _run(AsyncStream(AsyncSource([*_CALLS[:2], *_END])), router)

    assert ["call_0", "call_1"] == list(results)


@pytest.mark.anyio
async def test_other_handlers_are_awaited_before_the_stream_is_read_on() -> None:
    """One event after the other, plain and asynchronous handlers in their order."""
    router = Router()
    told: list[str] = []

    @router.on(TextDelta)
    async def slowly(event: TextDelta) -> None:
        await anyio.sleep(0.001)
        told.append(f"slowly {event.text}")

    router.on(TextDelta)(lambda event: told.append(f"plainly {event.text}"))
    await _run(AsyncStream(AsyncSource(ANSWER)), router)

    assert [f"{how} {text}" for text in ("Let ", "me ", "see.") for how in ("slowly", "plainly")] == told


@pytest.mark.anyio
async def test_a_router_may_be_run_with_many_streams_at_once() -> None:
    """Each run has its own views, tools and results."""
    router = Router()
    tools = _Tools(router)
    router.field("title")(str)
    found: dict[int, ToolResults] = {}

    async def run(number: int) -> None:
        found[number] = await _run(AsyncStream(AsyncSource([_CALLS[number], *_END])), router)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(run, number)
        while len(tools.begun) < 3:
            await anyio.lowlevel.checkpoint()
        tools.go.set()

    assert {number: {f"call_{number}": number * 10} for number in range(3)} == {
        number: dict(results) for number, results in found.items()
    }


# -- errors, beside each other ---------------------------------------------------------


class _Abort(BaseException):
    """Not even an Exception."""


@pytest.mark.anyio
@pytest.mark.parametrize("error", [_Bug("oops"), _Abort(), StreamTruncated("another stream")])
async def test_an_error_of_a_tool_ends_the_others_the_reading_and_the_stream(error: BaseException) -> None:
    """All are over when it comes out, as it was raised and in no group."""
    router = Router()
    tools = _Tools(router)

    @router.tool("fail")
    async def fail() -> None:
        await tools.started.wait()
        raise error

    source = _Gate(_CALLS[0], chunk(call(1, "c9", "fail", "{}")), _CALLS[2], anyio.Event())
    stream = AsyncStream(source)
    with pytest.raises(type(error)) as caught:
        async with stream:
            await _run(stream, router)

    assert caught.value is error
    [note] = caught.value.__notes__
    assert note.endswith("fail' for tool 'fail', call 'c9'")
    assert ([0], []) == (tools.cancelled, tools.done)
    assert ["call_0", "c9"] == [each.id for each in stream.message.tool_calls][:2]
    assert ("stopped", True) == (stream.message.ending, source.closed)
    del error.__notes__


@pytest.mark.anyio
@pytest.mark.parametrize("awaits", [False, True])
async def test_an_error_of_another_handler_ends_the_tools(awaits: bool) -> None:
    """They are cancelled and over; calls that waited for a free place are not begun."""
    router = Router(concurrency=1)
    tools = _Tools(router)
    told: list[str] = []

    @router.on(Finish)
    async def finished(_: Finish) -> None:
        if awaits:
            await anyio.sleep(0.001)
        raise _Bug

    router.on(Finish)(lambda _: told.append("not this"))
    source = AsyncSource([*_CALLS, *_END])
    stream = AsyncStream(source)
    with pytest.raises(_Bug) as caught:
        await _run(stream, router)

    [note] = caught.value.__notes__
    assert "finished' for Finish" in note
    assert ([0], [0], []) == (tools.begun, tools.cancelled, told)
    assert (1, False) == (source.closed, isinstance(caught.value.__cause__, BaseExceptionGroup))


@pytest.mark.anyio
async def test_of_several_tools_that_fail_at_once_the_first_is_raised() -> None:
    """It has a note for each of the others, also for what they raise as they are cancelled."""
    router = Router()
    begun: list[int] = []
    all_run = anyio.Event()

    @router.tool
    async def wait(number: int) -> None:
        begun.append(number)
        await all_run.wait()
        raise _Bug

    @router.tool
    async def fail() -> None:
        begun.append(-1)
        if len(begun) == 3:
            all_run.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError

    calls = [chunk(call(number, f"c{number}", "fail", "{}")) for number in (1, 2, 3)]
    async with AsyncStream(_Gate(_CALLS[0], *calls, anyio.Event())) as stream:
        with pytest.raises(_Bug) as caught:
            await _run(stream, router)

    blamed, *others = caught.value.__notes__
    assert [0, -1, -1] == begun
    assert blamed.endswith("call 'call_0'")
    assert ["beside it, LookupError was raised"] * 2 == others


@pytest.mark.anyio
async def test_no_tool_begins_once_the_run_has_failed() -> None:
    """Not even behind one that takes its cancellation for a reason to return."""
    router = Router(concurrency=1)
    begun: list[int] = []

    @router.tool
    async def wait(number: int) -> None:
        begun.append(number)
        with anyio.CancelScope(shield=True):
            await failed.wait()

    failed = anyio.Event()

    @router.on(Finish)
    def finished(_: Finish) -> None:
        failed.set()
        raise _Bug

    with pytest.raises(_Bug):
        await _run(AsyncStream(AsyncSource([*_CALLS, *_END])), router)

    assert [0] == begun


@pytest.mark.anyio
async def test_a_tool_may_tell_the_model_that_it_failed_beside_others() -> None:
    """They go on, and so does the run."""
    results = await _run(AsyncStream(AsyncSource(ANSWER)), _failing_for_the_model())

    assert (dict(results), results.errors) == _FAILED


@pytest.mark.anyio
async def test_a_plain_tool_is_waited_for_where_another_one_fails() -> None:
    """A thread cannot be cancelled, and none outlives the run."""
    router = Router()
    running, told = threading.Event(), anyio.Event()
    done: list[int] = []

    @router.tool
    def wait(number: int) -> None:
        running.set()
        threading.Event().wait(0.02)
        done.append(number)

    @router.tool
    async def fail() -> None:
        while not running.is_set():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)
        raise _Bug

    source = _Gate(_CALLS[0], chunk(call(1, "c9", "fail", "{}")), _CALLS[2], told)
    async with AsyncStream(source) as stream:
        with pytest.raises(_Bug):
            await _run(stream, router)

    assert [0] == done


@pytest.mark.anyio
async def test_tools_that_run_when_the_stream_fails_are_waited_for() -> None:
    """What was handed out is not recalled: also the calls that had to wait are run."""
    router = Router(concurrency=1)
    tools = _Tools(router)
    source = AsyncSource([*_CALLS[:3], chunk({"content": "a"})])
    async with anyio.create_task_group() as group:
        group.start_soon(_set_when_closed, tools.go, source)
        with pytest.raises(StreamTruncated) as caught:
            await _run(AsyncStream(source), router)

        assert {"call_0": 0, "call_1": 10} == _given(caught.value)
        assert ("call_0", "call_1") == caught.value.tool_calls_delivered


@pytest.mark.anyio
async def test_a_tool_that_fails_after_the_stream_is_noted_on_the_streams_error() -> None:
    """What came first is what is raised."""
    router = Router()
    failed = anyio.Event()

    @router.tool("wait", dict[str, int])
    async def wait(_: dict[str, int]) -> None:
        await failed.wait()
        raise _Bug

    source = AsyncSource([*_CALLS[:2], chunk({"content": "a"})])
    async with anyio.create_task_group() as group:
        group.start_soon(_set_when_closed, failed, source)
        with pytest.raises(StreamTruncated) as caught:
            await _run(AsyncStream(source), router)

        assert ["beside it, _Bug was raised"] == caught.value.__notes__
        assert {} == _given(caught.value)


async def _set_when_closed(event: anyio.Event, source: AsyncSource) -> None:
    """Let tools end once the stream has failed."""
    with anyio.fail_after(PATIENCE):
        while not source.closed:  # noqa: ASYNC110 - it tells nobody
            await anyio.sleep(0.001)
    await anyio.sleep(0.01)
    event.set()


@pytest.mark.anyio
async def test_what_is_wrong_with_the_output_waits_for_the_tools() -> None:
    """And has what they gave back."""
    router = _with_tools()
    router.item("", int)(str)
    body = [chunk({"content": '["x"]'}), *ANSWER[5:]]
    with pytest.raises(OutputInvalid) as caught:
        await _run(AsyncStream(AsyncSource(body)), router)

    assert _RESULTS == _given(caught.value)


@pytest.mark.anyio
async def test_cancelling_a_run_cancels_its_tools_and_leaves_the_stream_to_its_block() -> None:
    """What was cancelled has ended; the answer can be read on."""
    router = Router()
    tools = _Tools(router)
    goes_on = anyio.Event()
    async with AsyncStream(_Gate(*_CALLS[:2], goes_on, *_END)) as stream:
        with anyio.CancelScope() as scope:
            router.on(ToolCallDone)(lambda _: scope.cancel())
            await _run(stream, router)
        assert ([0], "streaming") == (tools.cancelled, stream.message.ending)
        goes_on.set()
        message = await stream.final()

    assert ("complete", 2) == (message.ending, len(message.tool_calls))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("tool", [False, True])
@pytest.mark.anyio
async def test_a_cancellation_that_a_handler_meets_elsewhere_is_no_result(tool: bool) -> None:
    """The run ends with it, as any coroutine would."""
    router = Router()

    async def meet(*_: object) -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    (router.tool("get_weather", City) if tool else router.on(TextDelta))(meet)
    stream = AsyncStream(AsyncSource(ANSWER))
    with pytest.raises(asyncio.CancelledError):
        await _run(stream, router)
    await stream.aclose()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("plain", [False, True])
def test_ctrl_c_comes_out_as_it_is(backend: str, plain: bool) -> None:
    """Once the tools are over, also those that have to be waited for; in no group of exceptions."""
    router = Router()
    source = _Gate(*_CALLS[:2], *_END)
    over: list[int] = []
    read = threading.Event()
    router.on(Finish)(lambda _: read.set())

    def interrupt(number: int) -> None:
        if number == 0:
            read.wait(PATIENCE)
            threading.Event().wait(0.05)
            signal.raise_signal(signal.SIGINT)
        threading.Event().wait(0.02)
        over.append(number)

    async def interrupted(number: int) -> None:
        try:
            if number == 0:
                signal.raise_signal(signal.SIGINT)
            await anyio.sleep(PATIENCE)
        finally:
            over.append(number)

    router.tool("wait")(interrupt if plain else interrupted)

    async def main() -> None:
        async with AsyncStream(source) as stream:
            await stream.run(router)

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)
    assert (0 in over, source.closed) == (True, True)


def _broken(value: int) -> int:
    raise LookupError(value)


@pytest.mark.anyio
async def test_an_error_of_a_validator_comes_out_as_it_is() -> None:
    """It is neither the model's nor a handler's; the tools are ended."""
    router = Router()
    tools = _Tools(router)
    router.item("", TypeAdapter(Annotated[int, AfterValidator(_broken)]))(str)
    body = [*_CALLS[:2], chunk({"content": "[1, 2]"}), *_END]
    with Stream(body) as plain, pytest.raises(LookupError):
        plain_router = Router()
        plain_router.item("", TypeAdapter(Annotated[int, AfterValidator(_broken)]))(str)
        plain.run(plain_router)
    async with AsyncStream(AsyncSource(body)) as stream:
        with pytest.raises(LookupError):
            await _run(stream, router)

    assert 0 in tools.begun
    assert tools.begun == tools.cancelled


@pytest.mark.anyio
async def test_a_run_beside_another_read_is_refused() -> None:
    """The other one goes on."""
    never = anyio.Event()
    async with AsyncStream(_Gate(never)) as stream, anyio.create_task_group() as group:
        group.start_soon(stream.final)
        await anyio.sleep(0.01)
        with pytest.raises(ConcurrentRead):
            await stream.run(_with_tools())
        assert not stream.closed
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_only_a_router_can_be_run_there_either() -> None:
    """As on a Stream."""
    given: Any = None
    async with AsyncStream(AsyncSource(ANSWER)) as stream:
        with pytest.raises(MisuseError, match="takes a Router, not NoneType"):
            await stream.run(given)
