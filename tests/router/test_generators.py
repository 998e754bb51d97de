"""Tools that stream: generators, whose values are shown while they run, and whose result is for the model."""

from __future__ import annotations

import functools
import inspect
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.steps.answers import asking, async_stream_of, stream_of
from tests.support.clocks import on
from tests.support.either import got, inside, run_in
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Router, Steps, Stream
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import MisuseError
from tokenstream.events import Event, StepDone, ToolProgress, ToolResult
from tokenstream.router import ToolFailed, ToolResults
from tokenstream.stages._tools.generators import run_async_generator

BACKENDS = ["asyncio", "trio"]


def weather(city: str) -> Generator[str, None, str]:
    """Ask two stations, one after the other."""
    yield f"asking {city} North"
    yield f"asking {city} South"
    return f"{city}: 7 °C"


async def weather_later(city: str) -> AsyncGenerator[str, None]:
    """Ask two stations, with waits; the last value is the weather."""
    await anyio.lowlevel.checkpoint()
    yield f"asking {city} North"
    await anyio.lowlevel.checkpoint()
    yield f"asking {city} South"
    yield f"{city}: 7 °C"


class Station:
    """A callable object whose code is a generator."""

    def __call__(self, city: str) -> Generator[str, None, str]:
        return (yield from weather(city))


SHOWN = ["asking Oslo North", "asking Oslo South"]


def router_for(tool: Callable[..., Any], **options: Any) -> tuple[Router, list[Event]]:
    router, told = Router(once=options.pop("once", None)), list[Event]()
    router.on(ToolProgress, ToolResult)(told.append)
    router.tool("weather", **options)(tool)
    return router, told


def run(
    tool: Callable[..., Any], *cities: str, backend: str | None = None, **options: Any
) -> tuple[ToolResults, list[Event]]:
    router, told = router_for(tool, **options)
    chunks = asking(*(cities or ("Oslo",)))

    async def main() -> ToolResults:
        async with inside((stream_of if backend is None else async_stream_of)(chunks)) as stream:
            ran: ToolResults = await got(stream.run(router))
            return ran

    return run_in(backend or "sync", main), told


def outputs(told: list[Event]) -> list[Any]:
    return [event.output for event in told if isinstance(event, ToolProgress)]


def call_weather(city: str) -> Generator[str, None, str]:
    return weather(city)


async def call_weather_later(city: str) -> AsyncGenerator[str, None]:
    return weather_later(city)


def hide_weather_later(city: str) -> object:
    """Return an async generator, as a plain function."""
    return weather_later(city)


SYNC: list[Any] = [weather, call_weather, Station(), functools.partial(weather)]
ASYNC: list[Any] = [weather_later, call_weather_later]


@in_one_test("tool", SYNC, ids=str)
def test_what_a_generator_yields_is_shown_before_its_result(tool: Any) -> None:
    results, told = run(tool)

    assert [
        *[ToolProgress("call_0", "weather", words) for words in SHOWN],
        ToolResult("call_0", "Oslo: 7 °C"),
    ] == told
    assert {"call_0": "Oslo: 7 °C"} == dict(results)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_async_stream_takes_generators_of_both_kinds(backend: str) -> None:
    """An async generator cannot return a value, so its result is the last value that it yields."""
    for tool in (*SYNC, *ASYNC):
        results, told = run(tool, backend=backend)
        shown = [*SHOWN, "Oslo: 7 °C"] if tool in ASYNC else SHOWN

        assert shown == outputs(told)
        assert [ToolResult("call_0", "Oslo: 7 °C")] == told[len(shown) :]
        assert {"call_0": "Oslo: 7 °C"} == dict(results)


def test_the_last_value_is_the_result_if_the_tool_was_registered_so() -> None:
    """The AI SDK takes the last value, too; a tool that yields nothing has null as its result."""

    def count(city: str) -> Iterator[int]:
        yield from range(len(city))

    for backend in (None, "asyncio"):
        assert {"call_0": 3, "call_1": None} == dict(
            run(count, "Oslo", "", backend=backend, result="last")[0]
        )
    router = Router()
    router.tool(result="last")(weather)
    assert {"call_0": SHOWN[-1]} == dict(stream_of(asking("Oslo")).run(router))


def test_a_result_is_in_the_return_value_or_in_the_last_value() -> None:
    wrong: Any = "first"
    with pytest.raises(MisuseError, match='result= takes "return" or "last"'):
        Router().tool("weather", result=wrong)


def test_a_router_with_tools_alone_may_keep_the_handlers_of_progress() -> None:
    router, told = router_for(weather)
    stream_of(asking("Oslo")).run(router.tools_only(ToolProgress))

    assert [ToolProgress("call_0", "weather", words) for words in SHOWN] == told
    stream_of(asking("Oslo")).run(router.tools_only())
    assert 2 == len(told)


def test_progress_is_shown_while_the_tool_runs() -> None:
    order = list[str]()

    def look(city: str) -> Generator[str, None, str]:
        for step in ("a", "b"):
            order.append(f"begins {step}")
            yield step
        return city

    async def tell(event: ToolProgress) -> None:
        await anyio.lowlevel.checkpoint()
        order.append(f"shown {event.output}")

    async def main() -> None:
        router = Router()
        router.on(ToolProgress)(tell)
        router.tool("weather")(look)
        async with async_stream_of(asking("Oslo")) as stream:
            await stream.run(router)

    for backend in BACKENDS:
        order.clear()
        anyio.run(main, backend=backend)

        assert ["begins a", "shown a", "begins b", "shown b"] == order


def test_a_sync_generator_runs_in_one_thread() -> None:
    """A cursor of a database may be used in the thread that has made it only; context variables stay."""
    place = ContextVar("place", default="")
    threads = set[int]()

    def look(city: str) -> Generator[int, None, str]:
        connection = sqlite3.connect(":memory:")
        place.set(city)
        for number in connection.execute("select 1 union select 2"):
            threads.add(threading.get_ident())
            yield number[0]
        connection.close()
        return place.get()

    for backend in BACKENDS:
        threads.clear()
        results, told = run(look, backend=backend)

        assert ([1, 2], {"call_0": "Oslo"}) == (outputs(told), dict(results))
        assert len(threads) == 1
        assert threading.get_ident() not in threads


def test_an_async_generator_is_refused_for_a_sync_stream() -> None:
    with stream_of(asking("Oslo")) as stream, pytest.raises(MisuseError, match="is asynchronous"):
        stream.run(router_for(weather_later)[0])
    with stream_of(asking("Oslo")) as stream, pytest.raises(MisuseError, match="is asynchronous"):
        stream.run(router_for(hide_weather_later)[0])
    with stream_of(asking("Oslo")) as stream, pytest.raises(MisuseError, match="is asynchronous"):
        stream.validated_calls(weather=weather_later)


# -- failures ----------------------------------------------------------------------


def failing(error: BaseException) -> Callable[[str], Generator[str, None, str]]:
    def look(city: str) -> Generator[str, None, str]:
        yield f"asking {city}"
        raise error

    return look


def test_a_failure_after_progress_is_reported_to_the_model() -> None:
    for backend in (None, *BACKENDS):
        results, told = run(failing(ToolFailed("no station")), backend=backend)

        assert [
            ToolProgress("call_0", "weather", "asking Oslo"),
            ToolResult("call_0", error="no station"),
        ] == told
        assert ({"call_0": "no station"}, {"call_0"}) == (dict(results), {*results.errors})
    with Steps() as steps, steps.step("plan") as step:
        step.follow(stream_of(asking("Oslo"))).run(router_for(failing(ToolFailed("no station")))[0])

    assert ("failed", ("asking Oslo",)) == (step.steps[0].state, step.steps[0].progress)


def test_any_other_exception_ends_the_run() -> None:
    for backend in (None, *BACKENDS):
        with pytest.raises(ZeroDivisionError) as caught:
            run(failing(ZeroDivisionError()), backend=backend)

        [note] = caught.value.__notes__
        assert "for tool 'weather', call 'call_0'" in note


def test_a_handler_of_progress_that_fails_ends_the_run_and_closes_the_generator() -> None:
    closed = list[str]()

    def look(city: str) -> Generator[str, None, str]:
        try:
            yield "asking"
        finally:
            closed.append(city)
        return city

    async def look_later(city: str) -> AsyncGenerator[str, None]:
        try:
            yield "asking"
            yield "never shown"
        finally:
            closed.append(city)

    tools: list[tuple[Any, str | None]] = [
        (look, None),
        *[(tool, name) for tool in (look, look_later) for name in BACKENDS],
    ]
    for kind in (ZeroDivisionError, ToolFailed):
        for tool, backend in tools:
            closed.clear()
            router = Router()

            @router.on(ToolProgress)
            def fail(event: ToolProgress, kind: type[Exception] = kind) -> None:
                assert event.name == "weather"
                raise kind("of a handler")

            router.tool("weather")(tool)
            with pytest.raises(kind, match="of a handler") as caught:
                if backend is None:
                    stream_of(asking("Oslo")).run(router)
                else:
                    anyio.run(_run_async, router, backend=backend)

            assert ["Oslo"] == closed
            assert ["for ToolProgress" in note for note in caught.value.__notes__] == [True]
            assert dict(caught.value.tool_results) == {}  # type: ignore[attr-defined]


def clinging(error: BaseException) -> list[Any]:
    """Return tools, one for each kind of generator, that raise an exception when they are closed."""

    def look(city: str) -> Generator[int, None, str]:
        try:
            yield len(city)
        except GeneratorExit:
            raise error from None
        return city

    async def look_later(city: str) -> AsyncGenerator[int, None]:
        try:
            yield len(city)
        except GeneratorExit:
            raise error from None

    return [look, look_later]


@in_one_test("backend", [None, *BACKENDS], ids=str)
@in_one_test("error", [ToolFailed("aborted"), OSError("aborted"), SystemExit("aborted")], ids=repr)
def test_a_handler_of_progress_that_fails_is_reported_whatever_closing_the_tool_raises(
    backend: str | None, error: BaseException
) -> None:
    """A tool that fails while it is closed only adds a note to the handler's error, and has no result."""
    for tool in clinging(error)[: 1 if backend is None else 2]:
        router, told = router_for(tool)

        @router.on(ToolProgress)
        def fail(event: ToolProgress) -> None:
            raise ZeroDivisionError(event.output)

        with pytest.raises(ZeroDivisionError) as caught:
            if backend is None:
                stream_of(asking("Oslo")).run(router)
            else:
                anyio.run(_run_async, router, backend=backend)

        assert [ToolProgress("call_0", "weather", 4)] == told
        assert {} == dict(caught.value.tool_results)  # type: ignore[attr-defined]
        assert [type(error).__name__ in note for note in caught.value.__notes__].count(True) == 1


@in_one_test("backend", [None, *BACKENDS], ids=str)
@in_one_test("error", [ToolFailed("aborted"), OSError("aborted")], ids=repr)
def test_a_stopped_tool_that_fails_while_it_is_closed_has_no_result(
    backend: str | None, error: BaseException
) -> None:
    for tool in clinging(error)[: 1 if backend is None else 2]:
        router, told = router_for(tool)
        streams = list[Any]()

        @router.on(ToolProgress)
        def stop(_: ToolProgress, streams: list[Any] = streams) -> None:
            streams[0].stop("enough")

        async def main(router: Router = router, streams: list[Any] = streams) -> ToolResults:
            async with async_stream_of(asking("Oslo")) as stream:
                streams.append(stream)
                return await stream.run(router)

        if backend is None:
            streams.append(stream_of(asking("Oslo")))
            results = streams[0].run(router)
        else:
            results = anyio.run(main, backend=backend)

        assert {} == dict(results)
        assert [ToolProgress("call_0", "weather", 4)] == told


def test_ctrl_c_while_a_stopped_tool_is_closed_ends_the_run() -> None:
    router, _ = router_for(clinging(KeyboardInterrupt())[0])
    stream = stream_of(asking("Oslo"))
    router.on(ToolProgress)(lambda _: stream.stop("enough"))
    with pytest.raises(KeyboardInterrupt):
        stream.run(router)


async def _run_async(router: Router) -> ToolResults:
    async with async_stream_of(asking("Oslo")) as stream:
        return await stream.run(router)


# -- endings -----------------------------------------------------------------------


class Endless:
    """A tool that goes on until it is closed, and notes how often it was."""

    def __init__(self) -> None:
        self.closed = 0
        self.begun = 0

    def look(self, city: str) -> Generator[int, None, str]:
        try:
            while True:
                self.begun += 1
                yield self.begun
        finally:
            self.closed += 1

    async def look_later(self, city: str) -> AsyncIterator[int]:
        try:
            while True:
                self.begun += 1
                yield self.begun
                await anyio.lowlevel.checkpoint()
        finally:
            # A generator may wait while it is closed.
            await anyio.lowlevel.cancel_shielded_checkpoint()
            self.closed += 1


def test_a_stopped_stream_closes_the_generator_once() -> None:
    tool = Endless()
    router = Router()
    router.tool("weather")(tool.look)
    with Steps() as steps, steps.step("plan") as step:
        stream = step.follow(Stream(iter(asking("Oslo", "Rome")), format="openai-chat"))

        @router.on(ToolProgress)
        def stop(event: ToolProgress) -> None:
            if event.output == 3:
                stream.stop("enough")

        results = stream.run(router)

    assert (1, 3) == (tool.closed, tool.begun)
    assert {} == dict(results)
    assert ("stopped", (1, 2, 3)) == (step.steps[0].state, step.steps[0].progress)
    assert "the tool was stopped while it was running" == step.steps[0].error
    assert "stopped" == results.message.ending
    assert (
        "the user has stopped it"
        == ToolResults(results.message, {}, missing="the user has stopped it")["call_0"]
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stopped_async_stream_closes_the_generators(backend: str) -> None:
    for name in ("look", "look_later"):
        tool, router = Endless(), Router()
        router.tool("weather")(getattr(tool, name))

        async def main(router: Router = router) -> ToolResults:
            gate = anyio.Event()

            async def chunks() -> AsyncIterator[bytes]:
                *first, last = asking("Oslo")
                for chunk in first:
                    yield chunk
                await gate.wait()
                yield last

            async with AsyncStream(chunks(), format="openai-chat") as stream:

                def stop(event: ToolProgress) -> None:
                    if event.output == 3:
                        stream.stop("enough")
                        gate.set()

                router.on(ToolProgress)(stop)
                return await stream.run(router)

        assert {} == dict(anyio.run(main, backend=backend))
        assert (1, 3) == (tool.closed, tool.begun)


def test_a_stop_after_the_end_of_the_answer_closes_the_generators() -> None:
    """Most calls are at the end of an answer, and their tools outlast it; a guard stops them, too."""
    for name, backend in [("look", "asyncio"), ("look_later", "asyncio"), ("look", "trio")]:
        tool, router = Endless(), Router()
        router.tool("weather")(getattr(tool, name))

        async def main(router: Router = router) -> None:
            async with async_stream_of(asking("Oslo")) as stream, anyio.create_task_group() as group:

                async def stop() -> None:
                    while stream.message.ending != "complete":
                        await anyio.lowlevel.checkpoint()
                    stream.stop("enough")

                group.start_soon(stop)
                assert {} == dict(await stream.run(router))

        anyio.run(main, backend=backend)

        assert tool.closed == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_run_closes_the_generators_once(backend: str) -> None:
    for name in ("look", "look_later"):
        tool, router = Endless(), Router()
        router.tool("weather")(getattr(tool, name))

        async def main(router: Router = router) -> None:
            async with async_stream_of(asking("Oslo")) as stream:
                with anyio.CancelScope() as scope:

                    @router.on(ToolProgress)
                    def cancel(event: ToolProgress, scope: anyio.CancelScope = scope) -> None:
                        if event.output == 3:
                            scope.cancel()

                    await stream.run(router)
                assert scope.cancelled_caught

        anyio.run(main, backend=backend)

        assert (1, 3) == (tool.closed, tool.begun)


def test_a_timeout_within_the_tool_is_its_own() -> None:
    """A generator may limit its own waits, and tell the model of it."""

    async def look(city: str) -> AsyncGenerator[str, None]:
        yield f"asking {city}"
        try:
            with anyio.fail_after(0):
                await anyio.sleep_forever()
        except TimeoutError:
            raise ToolFailed("the station does not answer") from None

    for backend in BACKENDS:
        results, told = run(look, backend=backend)

        assert (["asking Oslo"], "the station does not answer") == (outputs(told), results["call_0"])


def test_ctrl_c_in_a_generator_ends_the_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(failing(KeyboardInterrupt()))


def test_a_task_that_its_event_loop_drops_ends_at_once() -> None:
    """Nothing can be awaited any more, so the generator is left to the event loop."""

    class Forever:
        """Waits, and is never woken."""

        def __await__(self) -> Generator[None, None, None]:
            yield

    async def look() -> AsyncGenerator[str, None]:
        yield "asking"

    running = run_async_generator(look(), lambda _: Forever())
    running.send(None)
    running.close()

    assert inspect.getcoroutinestate(running) == inspect.CORO_CLOSED


# -- stores ------------------------------------------------------------------------


def test_a_store_keeps_only_the_result() -> None:
    for backend in (None, *BACKENDS):
        store = MemoryCallStore()
        router, told = router_for(weather, once=store)

        async def main(router: Router = router) -> ToolResults:
            async with AsyncStream(asking("Oslo"), format="openai-chat", job="answer 1") as stream:
                return await stream.run(router)

        for shown in (SHOWN, []):
            told.clear()
            if backend is None:
                results = Stream(asking("Oslo"), format="openai-chat", job="answer 1").run(router)
            else:
                results = anyio.run(main, backend=backend)

            assert (shown, {"call_0": "Oslo: 7 °C"}) == (outputs(told), dict(results))


def test_a_call_that_was_stopped_is_uncertain_to_a_store() -> None:
    """Nobody knows how far the tool has come, so it is not run again."""
    store, tool = MemoryCallStore(), Endless()
    router = Router(once=store)
    router.tool("weather")(tool.look)
    stream = Stream(iter(asking("Oslo", "Rome")), format="openai-chat", job="answer 1")
    router.on(ToolProgress)(lambda _: stream.stop())
    stream.run(router)

    assert len(store.uncertain()) == 1
    assert tool.closed == 1
    again = Stream(asking("Oslo"), format="openai-chat", job="answer 1").run(router)
    assert {"call_0"} == again.errors
    assert tool.begun == 1


# -- calls that the application runs ------------------------------------------------


def test_a_call_runs_a_generator_to_its_result() -> None:
    shown = list[str]()
    for options in ({}, {"once": MemoryCallStore()}):
        for on_progress in (None, shown.append):
            shown.clear()
            stream = stream_of(asking("Oslo"))
            [call] = stream.validated_calls(weather, **options)  # type: ignore[call-overload] # any option

            if on_progress is None:
                assert call.run() == "Oslo: 7 °C"
            else:
                assert call.run(on_progress=on_progress) == "Oslo: 7 °C"
    assert [] == shown  # the store has had the result


async def call_weather_soon(city: str) -> Generator[str, None, str]:
    await anyio.lowlevel.checkpoint()
    return weather(city)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_runs_every_generator_that_a_router_runs(backend: str) -> None:
    async def main(tool: Any, once: MemoryCallStore | None) -> tuple[Any, list[Any]]:
        shown = list[Any]()
        async with async_stream_of(asking("Oslo")) as stream:
            [call] = [call async for call in stream.validated_calls(weather=tool, once=once)]
            result = call.run(on_progress=shown.append)
            return (await result if inspect.isawaitable(result) else result), shown

    for tool in (*SYNC, *ASYNC, hide_weather_later, call_weather_soon):
        results, told = run(tool, backend=backend)
        for once in (None, MemoryCallStore()):
            assert (results["call_0"], outputs(told)) == anyio.run(main, tool, once, backend=backend)


def test_a_call_of_a_sync_stream_refuses_a_hidden_async_generator() -> None:
    for once in (None, MemoryCallStore()):
        [call] = stream_of(asking("Oslo")).validated_calls(weather=hide_weather_later, once=once)
        with pytest.raises(MisuseError, match="'weather' is asynchronous, and a Stream cannot await it"):
            call.run()


def test_a_function_for_progress_that_fails_closes_the_generator() -> None:
    tool = Endless()

    def fail(output: int) -> None:
        raise ZeroDivisionError(output)

    [call] = stream_of(asking("Oslo")).validated_calls(weather=tool.look)
    with pytest.raises(ZeroDivisionError):
        call.run(on_progress=fail)

    async def main() -> None:
        async for each in async_stream_of(asking("Oslo")).validated_calls(weather=tool.look_later):
            with pytest.raises(ZeroDivisionError):
                await each.run(on_progress=fail)

    anyio.run(main)

    assert (2, 2) == (tool.begun, tool.closed)


# -- steps -------------------------------------------------------------------------


def test_readers_of_a_run_get_the_progress_between_a_step_and_its_result() -> None:
    router, _ = router_for(weather)
    with Steps() as steps, steps.step("plan") as step:
        for _again in range(2):
            step.follow(stream_of(asking("Oslo"))).run(router)
    events = [event for event in steps.events() if isinstance(event, ToolProgress | ToolResult | StepDone)]

    assert [
        *[ToolProgress("call_0", "weather", words) for words in SHOWN],
        ToolResult("call_0", "Oslo: 7 °C"),
        StepDone("2"),
        *[ToolProgress("call_0-2", "weather", words) for words in SHOWN],
        ToolResult("call_0-2", "Oslo: 7 °C"),
        StepDone("3"),
        StepDone("1"),
    ] == events
    assert ["2", "2", "2"] == [event.step for event in events[:3]]
    assert tuple(SHOWN) == step.steps[0].progress


def test_a_slow_reader_gets_the_last_thousand_values_in_order() -> None:
    """Memory is bounded; a reader that keeps up gets every value."""
    router, fast = Router(), list[Any]()

    def look(city: str) -> Generator[int, None, str]:
        for number in range(2_500):
            yield number
            fast.extend(outputs(quick.ready()))
        return city

    router.tool("weather")(look)
    with Steps() as steps, steps.step("plan") as step:
        quick, slow = steps.events(), steps.events()
        step.follow(stream_of(asking("Oslo"))).run(router)

    assert [*range(2_500)] == fast
    assert [*range(1_500, 2_500)] == outputs(slow.ready()) == list(step.steps[0].progress)


def test_a_step_shows_progress_of_a_tool_that_the_application_runs() -> None:
    with Steps() as steps, stream_of(asking("Oslo")) as stream:
        [call] = stream.validated_calls(weather)
        with steps.step(call) as step:
            step.result = call.run(on_progress=step.add_progress)
        with steps.step("plan") as plan, pytest.raises(MisuseError, match="no call began the step 'plan'"):
            plan.add_progress("1 of 2")
        with pytest.raises(MisuseError, match="has already ended"):
            step.add_progress("late")

    assert tuple(SHOWN) == step.progress
    assert () == plan.progress
    assert SHOWN == outputs(list(steps.events()))


def test_the_tree_of_a_run_shows_the_last_progress_of_a_running_tool() -> None:
    router, lines = Router(), list[str]()
    endless = list[Any]()
    endless.append(endless)
    shown: list[Any] = ["1 of\n2", {"at": Station()}, "x" * 100, endless, {Station(): 1}, None]

    def look(city: str) -> Generator[Any, None, str]:
        for output in shown:
            yield output
            lines.append(str(steps).splitlines()[-1].partition("0.0 s")[2])
        return city

    router.tool("weather")(look)
    with on(lambda: 0.0, Steps) as steps, steps.step("plan") as step:
        step.follow(stream_of(asking("Oslo"))).run(router)

    assert [
        " - 1 of\\n2",
        ' - {"at": "Station"}',
        f" - {'x' * 59}…",
        " - list",
        " - dict",
        " - null",
    ] == lines
    assert str(steps).splitlines()[-1].endswith("done 0.0 s")
