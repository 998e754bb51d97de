"""Tools that a router runs beside an observed answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.otel.backend import Backend
from tokenstream import Router, Steps, testing
from tokenstream.otel import observe
from tokenstream.otel._report import Receivers
from tokenstream.otel._runs import around_tools
from tokenstream.router import ToolFailed

if TYPE_CHECKING:
    from collections.abc import Generator

ASKING = (
    testing.script().tool_call("get_weather", {"city": "Oslo"}).tool_call("get_weather", {"city": "Rome"})
)
DURATION = "gen_ai.execute_tool.duration"


def _current() -> Any:
    return trace.get_current_span().get_span_context().span_id


def test_a_tool_has_a_span_which_is_current_while_it_runs(backend: Backend) -> None:
    router, seen = Router(), list[Any]()

    @router.tool
    def get_weather(city: str) -> str:
        seen.append(_current())
        return city

    results = observe(ASKING.finish().stream(), **backend.takes).run(router)
    first, second, chat = backend.spans

    assert ["Oslo", "Rome"] == list(results.values())
    assert [span.context.span_id for span in (first, second) if span.context] == seen
    assert ("execute_tool get_weather", SpanKind.INTERNAL, "chat") == (first.name, first.kind, chat.name)
    assert {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.type": "function",
    } == dict(first.attributes or {})
    assert [2] == [point.count for point in backend.points(DURATION)]
    assert 0 == _current()


@pytest.mark.anyio
async def test_tools_that_run_at_once_are_told_apart(backend: Backend) -> None:
    """Each has a span of its own, part of what the answer is part of; in a thread, too."""
    router, seen = Router(), dict[str, Any]()

    @router.tool
    async def get_weather(city: str) -> str:
        seen[city] = _current()
        return city

    with trace.get_tracer("tests", tracer_provider=backend.tracers).start_as_current_span("agent") as agent:
        await observe(ASKING.finish().astream(), **backend.takes).run(router)
        assert agent.get_span_context().span_id == _current()
    tools = [span for span in backend.spans if span.name == "execute_tool get_weather"]

    assert 2 == len({*seen.values()} & {span.context.span_id for span in tools if span.context})
    assert {agent.get_span_context().span_id} == {span.parent.span_id for span in tools if span.parent}


@pytest.mark.anyio
async def test_a_plain_tool_has_its_span_in_its_thread(backend: Backend) -> None:
    router, seen = Router(), list[Any]()

    @router.tool
    def get_weather(city: str) -> str:
        seen.append(_current())
        return city

    await observe(ASKING.finish().astream(), **backend.takes).run(router)

    assert {*seen} == {span.context.span_id for span in backend.spans if span.context and span.name != "chat"}


def test_a_tool_that_fails_is_reported_by_its_error(backend: Backend) -> None:
    router = Router()

    @router.tool
    def get_weather(city: str) -> str:
        if city == "Oslo":
            raise ToolFailed("my secret")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe(ASKING.finish().stream(), **backend.takes).run(router)
    tools = [span for span in backend.spans if span.name != "chat"]

    assert ["ToolFailed", "ZeroDivisionError"] == [(span.attributes or {})["error.type"] for span in tools]
    assert [StatusCode.ERROR] * 2 == [span.status.status_code for span in tools]
    assert "secret" not in "".join(span.to_json() for span in backend.spans)
    assert ["ToolFailed", "ZeroDivisionError"] == [
        point.attributes["error.type"] for point in backend.points(DURATION)
    ]


def test_a_router_that_is_run_late_has_its_spans(backend: Backend) -> None:
    """The answer may be over by then."""
    router = Router()
    router.tool("get_weather")(lambda city: city)
    stream = observe(ASKING.finish().stream(), **backend.takes)
    stream.final()
    stream.run(router)

    assert ["chat", *["execute_tool get_weather"] * 2] == [span.name for span in backend.spans]


@pytest.mark.parametrize("first", ["observed", "followed"])
def test_steps_that_follow_an_observed_stream_have_their_tools(backend: Backend, first: str) -> None:
    router = Router()
    router.tool("get_weather")(lambda city: city)
    with Steps("trip") as run, run.step("ask") as step:
        stream = ASKING.finish().stream()
        if first == "observed":
            step.follow(observe(stream, **backend.takes))
        else:
            observe(step.follow(stream), **backend.takes)
        stream.run(router)

    assert ["get_weather"] * 2 == [tool.name for tool in step.steps]
    assert [*["execute_tool get_weather"] * 2, "chat"] == [span.name for span in backend.spans]


def test_what_fails_in_opentelemetry_never_reaches_the_tool(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get_tracer(self, *_: object, **__: object) -> Any:
            raise RuntimeError

        def get_meter(self, *_: object, **__: object) -> Any:
            raise RuntimeError

    broken: Any = Broken()
    router = Router()
    router.tool("get_weather")(lambda city: city)
    stream = observe(ASKING.finish().stream(), tracer_provider=broken, meter_provider=broken)

    assert ["Oslo", "Rome"] == list(stream.run(router).values())
    assert {"OpenTelemetry failed: RuntimeError; the stream is not disturbed"} == {*caplog.messages}


def test_a_block_of_somebody_else_is_within_the_span(backend: Backend) -> None:
    seen = list[Any]()

    @contextmanager
    def within(call: Any) -> Generator[str]:
        seen.append((call.id, _current()))
        yield "theirs"

    call = ASKING.finish().message.tool_calls[0]
    told = Receivers(backend.tracers, backend.meters, trace.set_span_in_context(trace.INVALID_SPAN))
    with around_tools(told, within)(call) as given:
        assert ("theirs", [(call.id, _current())]) == (given, seen)
