"""What type checkers make of `Router`; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from tests.typing.tools import WeatherArgs
from tokenstream import AsyncStream, Message, Stream
from tokenstream.events import Event, Finish, ReasoningDelta, TextDelta, ToolCallDone, UsageUpdate
from tokenstream.message import ToolCall
from tokenstream.router import Router, ToolResults

router = Router(concurrency=4)


@router.on(TextDelta)
def show(event: TextDelta) -> None:
    """One class of events."""


@router.on(TextDelta, ReasoningDelta)
def show_both(event: TextDelta | ReasoningDelta) -> str:
    return event.text


@router.on(TextDelta, ReasoningDelta, Finish)
async def show_three(event: TextDelta | ReasoningDelta | Finish) -> int:
    """Three, and asynchronous."""
    return event.choice


@router.on(TextDelta, ReasoningDelta, Finish, UsageUpdate)
def show_many(event: Event) -> None:
    """Of more, the handler takes any event."""


@router.on(ToolCallDone)
def show_any(event: object) -> None:
    """A handler may take more than it gets."""


@router.tool("get_weather", WeatherArgs)
async def get_weather(asked: WeatherArgs) -> dict[str, int]:
    """A tool that takes its arguments as one object."""
    return {asked.city: 7}


@router.tool("book", WeatherArgs)
def book(asked: WeatherArgs, call: ToolCall[WeatherArgs]) -> str:
    assert_type(call.arguments, WeatherArgs)
    return asked.city + call.id


@router.tool
def now(zone: str, *, seconds: bool = False) -> str:
    """A function is its own schema."""
    return f"{zone} {seconds}"


@router.tool("later")
async def wait(seconds: float) -> None:
    """With another name."""


def what_stays(message: Message) -> None:
    """Decorated functions keep their type."""
    assert_type(show(TextDelta("a")), None)
    assert_type(show_both(ReasoningDelta("a")), str)
    assert_type(book(WeatherArgs(city="Oslo"), ToolCall()), str)
    assert_type(now("UTC", seconds=True), str)
    assert_type(ToolResults(message, {"call_1": 1}).message, Message)


async def what_stays_asynchronous() -> None:
    """What an async function returns is still to be awaited."""
    assert_type(await show_three(Finish("stop")), int)
    assert_type(await get_weather(WeatherArgs(city="Oslo")), dict[str, int])
    registered: Callable[[WeatherArgs], Coroutine[Any, Any, dict[str, int]]] = get_weather
    assert_type(await registered(WeatherArgs(city="Oslo")), dict[str, int])


def runs(stream: Stream) -> None:
    results = stream.run(router)
    assert_type(results, ToolResults)
    assert_type(results["call_1"], Any)
    assert_type(results.errors, frozenset[str])
    assert_type(results.to_openai_chat(), list[dict[str, Any]])


async def asynchronous_runs(stream: AsyncStream) -> None:
    assert_type(await stream.run(router), ToolResults)
