"""What users' editors infer of checked tool calls; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_type

from pydantic import BaseModel, TypeAdapter

from tokenstream import AsyncStream, Message, Router, Stream, ToolCall, Tools, response_format
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import CallUncertain, OutputInvalid
from tokenstream.events import ToolCallDelta, ToolCallDone
from tokenstream.partial_json._repairs import Repair
from tokenstream.stages import ValidatedCalls
from tokenstream.stream import View


class WeatherArgs(BaseModel):
    city: str


@dataclass
class Point:
    x: int


def book_table(seats: int, name: str = "") -> float:
    return float(seats) + len(name)


async def get_time(city: str) -> bytes:
    return city.encode()


class Desk:
    def book(self, seats: int) -> bool:
        return seats > 1

    def __call__(self, seats: int) -> int:
        return seats


Booked = ToolCall[dict[str, Any], float]


def one_tool(body: Iterable[bytes]) -> None:
    """A type says what the arguments are, a function what running it gives."""
    for weather in Stream(body).validated_calls(WeatherArgs):
        assert_type(weather, ToolCall[WeatherArgs])
        assert_type(weather, ToolCall[WeatherArgs, Any])
        assert_type(weather.arguments, WeatherArgs)
        assert_type(weather.error, OutputInvalid | CallUncertain | None)
        assert_type(weather.error_for_model, str)
        assert_type(weather.repairs, tuple[Repair, ...])
        assert_type(weather.id, str)
    for point in Stream(body).choice(1).validated_calls(Point):
        assert_type(point.arguments, Point)
    for booked in Stream(body).validated_calls(book_table):
        assert_type(booked, Booked)
        assert_type(booked.arguments, dict[str, Any])
        assert_type(booked.run(), float)
    for seated in Stream(body).validated_calls(Desk().book):
        assert_type(seated.run(), bool)
    for partly in Stream(body).validated_calls(partial(book_table, name="Ada")):
        assert_type(partly.run(), float)
    for either in Stream(body).validated_calls(TypeAdapter[WeatherArgs | Point](WeatherArgs | Point)):
        assert_type(either.arguments, WeatherArgs | Point)


def several_tools(body: Iterable[bytes]) -> None:
    """A union, whatever the order; of three, each running gives `Any`, and of more, a plain call."""
    stream = Stream(body)
    view = stream.validated_calls(WeatherArgs, book_table)
    for call in view:
        assert_type(call, ToolCall[WeatherArgs] | Booked)
    for call in view.when_complete():
        assert_type(call, ToolCall[WeatherArgs] | Booked)
    assert_type(view.when_complete(), View[ToolCall[WeatherArgs] | Booked])
    for models in stream.validated_calls(WeatherArgs, Point):
        assert_type(models, ToolCall[WeatherArgs] | ToolCall[Point])
        assert_type(models.arguments, WeatherArgs | Point)
    for functions in stream.validated_calls(book_table, Desk().book):
        assert_type(functions.run(), float | bool)
    for three in stream.validated_calls(book_table, WeatherArgs, Desk().book):
        assert_type(three, ToolCall[WeatherArgs] | ToolCall[dict[str, Any]])
        assert_type(three.run(), Any)
    for four in stream.validated_calls(WeatherArgs, Point, book_table, Desk().book):
        assert_type(four, ToolCall)
        assert_type(four.arguments, Any)
        if isinstance(four.arguments, WeatherArgs):
            assert_type(four.arguments.city, str)


def named_tools(body: Iterable[bytes]) -> None:
    """By the name that the model calls them by."""
    stream = Stream(body)
    for weather in stream.validated_calls(get_weather=WeatherArgs):
        assert_type(weather, ToolCall[WeatherArgs])
    for booked in stream.validated_calls(book=book_table):
        assert_type(booked, Booked)
    for anything in stream.validated_calls(book_table, get_weather=WeatherArgs):
        assert_type(anything, ToolCall)
    for called in stream.validated_calls(book=Desk()):
        assert_type(called, ToolCall)


async def asynchronous_tools(body: AsyncIterator[bytes]) -> None:
    """The same; what an async function gives is awaited."""
    stream = AsyncStream(body)
    async for call in stream.validated_calls(WeatherArgs, book_table):
        assert_type(call, ToolCall[WeatherArgs] | Booked)
    async for timed in stream.choice(1).validated_calls(get_time).when_complete():
        later: Awaitable[bytes] = timed.run()
        assert_type(await timed.run(), bytes)
        assert_type(await later, bytes)


def takes_models(calls: Iterable[ToolCall[BaseModel]]) -> None:
    """A call with arguments of a class is one with those of its bases."""
    for call in calls:
        assert_type(call.arguments, BaseModel)


def takes_anything(calls: Iterable[ToolCall[object]]) -> None:
    """What several tools by keyword give: mypy joins their types, pyright keeps a union."""
    for call in calls:
        if isinstance(call.arguments, Point):
            assert_type(call.arguments.x, int)


def several_named_tools(body: Iterable[bytes]) -> None:
    """The kinds of arguments are told apart by what they are."""
    takes_anything(Stream(body).validated_calls(get_weather=WeatherArgs, look_up=Point))


def plain_calls(message: Message, done: ToolCallDone, delta: ToolCallDelta) -> None:
    """A call of which nothing was checked holds any JSON."""
    assert_type(message.tool_calls, tuple[ToolCall, ...])
    assert_type(done.call, ToolCall)
    assert_type(done.call.arguments, Any)
    assert_type(done.call.partial_arguments, Any)
    assert_type(delta.partial_arguments, Any)
    assert_type(delta.lenient_arguments, Any)
    takes_models([ToolCall[WeatherArgs]()])
    assert_type(ValidatedCalls(WeatherArgs, book_table).feed(done.call), list[ToolCall])


def described_tools(body: Iterable[bytes]) -> None:
    """What a request says of tools is JSON; their calls are plain ones, and `match` narrows them."""
    tools = Tools(WeatherArgs, book_table, time=get_time)
    assert_type(tools.to_openai_chat(strict=True), list[dict[str, Any]])
    assert_type(response_format(TypeAdapter(Point)).to_gemini(), dict[str, Any])
    assert_type(Router(tools, concurrency=2).tools, Tools)
    for call in Stream(body).validated_calls(tools):
        assert_type(call, ToolCall)
        match call.arguments:
            case WeatherArgs(city=city):
                assert_type(city, str)
            case _:
                pass


def search(query: str) -> Generator[str, None, int]:
    """Show texts, and return a number."""
    yield query
    return len(query)


def count(to: int) -> Iterator[int]:
    yield from range(to)


async def search_later(query: str) -> AsyncGenerator[str, None]:
    """Show texts, of which the last is the result."""
    yield query


def tools_that_stream(body: Iterable[bytes]) -> None:
    """The result of a generator is what it returns, and its progress what it yields."""
    for call in Stream(body).validated_calls(search):
        assert_type(call.run(), int)
        assert_type(call.run(on_progress=print), int)
    for counted in Stream(body).validated_calls(count):
        assert_type(counted.run(), Any)
    for booked in Stream(body).validated_calls(book_table):
        assert_type(booked.run(), float)
    router = Router()
    assert_type(router.tool(result="last")(search)("q"), Generator[str, None, int])
    assert_type(router.tool("search_later")(search_later)("q"), AsyncGenerator[str, None])


async def tools_that_stream_later(body: AsyncIterator[bytes], store: MemoryCallStore) -> None:
    """The result of an async generator is the last value, if it yields one; it is awaited."""
    async for call in AsyncStream(body).validated_calls(search_later):
        assert_type(await call.run(on_progress=print), str | None)
    async for plain in AsyncStream(body).validated_calls(search):
        assert_type(plain.run(), int)
    async for kept in AsyncStream(body).validated_calls(search, once=store):
        assert_type(await kept.run(), int)
    async for late in AsyncStream(body).validated_calls(search_later, once=store):
        assert_type(await late.run(), str | None)
