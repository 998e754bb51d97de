"""What users' editors infer of tool calls while they are written; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, assert_type

from pydantic import TypeAdapter

from tests.typing.tools import Point, WeatherArgs, book_table
from tokenstream import AsyncStream, Partial, Stream, ToolCall
from tokenstream.errors import CallUncertain, OutputInvalid
from tokenstream.partial_json._repairs import Repair
from tokenstream.stages import CallDraft
from tokenstream.stream import AsyncView, View

Booked = CallDraft[dict[str, Any], float]


def one_tool(body: Iterable[bytes]) -> None:
    """A type says what the draft becomes, a function what running the call gives."""
    for weather in Stream(body).tool_partials(WeatherArgs):
        assert_type(weather, CallDraft[WeatherArgs])
        assert_type(weather.draft, Partial[WeatherArgs])
        assert_type(weather.final(), WeatherArgs)
        assert_type(weather.call, ToolCall[WeatherArgs] | None)
        assert_type(weather.error, OutputInvalid | CallUncertain | None)
        assert_type((weather.id, weather.name, weather.index, weather.complete), tuple[str, str, int, bool])
    for booked in Stream(body).choice(1).tool_partials(book_table):
        assert_type(booked, Booked)
        if booked.call is not None:
            assert_type(booked.call.run(), float)
    for either in Stream(body).tool_partials(TypeAdapter[WeatherArgs | Point](WeatherArgs | Point)):
        assert_type(either.final(), WeatherArgs | Point)


def several_tools(body: Iterable[bytes]) -> None:
    """A union, as of validated calls; `match` narrows what is final."""
    stream = Stream(body)
    assert_type(stream.tool_partials(WeatherArgs, book_table), View[CallDraft[WeatherArgs] | Booked])
    for drafted in stream.tool_partials(WeatherArgs, Point):
        assert_type(drafted, CallDraft[WeatherArgs] | CallDraft[Point])
        match drafted.final():
            case WeatherArgs() as weather:
                assert_type(weather.city, str)
            case point:
                assert_type(point, Point)
    for three in stream.tool_partials(book_table, WeatherArgs, Point):
        assert_type(three, CallDraft[dict[str, Any]] | CallDraft[WeatherArgs] | CallDraft[Point])
    for four in stream.tool_partials(WeatherArgs, Point, book_table, Point):
        assert_type(four, CallDraft)
        assert_type(four.final(), Any)
    for named in stream.tool_partials(get_weather=WeatherArgs):
        assert_type(named, CallDraft[WeatherArgs])
    for lenient in stream.tool_partials(WeatherArgs, book_table, lenient="closed"):
        assert_type(lenient, CallDraft[WeatherArgs] | Booked)
        assert_type(lenient.repairs, tuple[Repair, ...])
    for anything in stream.tool_partials(book_table, get_weather=WeatherArgs):
        assert_type(anything, CallDraft)


async def asynchronous(body: AsyncIterator[bytes]) -> None:
    view = AsyncStream(body).tool_partials(WeatherArgs, book_table)
    assert_type(view, AsyncView[CallDraft[WeatherArgs] | Booked])
    async for drafted in view:
        assert_type(drafted, CallDraft[WeatherArgs] | Booked)
