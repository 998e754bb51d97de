"""`Router`: tools, and the calls that they answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import core_schema

from tests.router.support import City, done, message_of, run_on, takes_none, takes_three, tool_call
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.events import Event, ToolCallDone
from tokenstream.message import ToolCall
from tokenstream.router import Router


def _ended(calls: tuple[ToolCall, ...]) -> list[Event]:
    return [ToolCallDone(call) for call in calls]


def test_a_tool_gets_its_checked_arguments_and_the_call_if_it_has_room() -> None:
    router = Router()

    @router.tool("weather", City)
    def weather(asked: City, *, unit: str = "°C") -> str:
        return f"{asked.city} {unit}"

    @router.tool("book", City)
    def book(asked: City, call: ToolCall[City]) -> str:
        return f"{asked.city} {call.id}"

    @router.tool("sum", TypeAdapter(list[int]))
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    calls = (
        tool_call("c1", "weather", '{"city": "Oslo"}'),
        tool_call("c2", "book", '{"city": "Rome"}'),
        tool_call("c3", "sum", "[1, 2]"),
    )

    assert [["Oslo °C"], ["Rome c2"], [3]] == done(run_on(router, calls=calls), *_ended(calls))
    assert (weather(City(city="Bern")), add([1])) == ("Bern °C", 1)


def test_a_function_without_a_type_is_its_own_schema() -> None:
    router = Router()

    @router.tool
    def weather(city: str, days: int = 1) -> str:
        return f"{city} {days}"

    @router.tool("book_table")
    def book(people: int) -> int:
        return people

    calls = (tool_call("c1", "weather", '{"city": "Oslo"}'), tool_call("c2", "book_table", '{"people": 2}'))

    assert [["Oslo 1"], [2]] == done(run_on(router, calls=calls), *_ended(calls))
    assert weather("Rome", days=2) == "Rome 2"


def test_tools_come_after_the_handlers_of_the_same_event() -> None:
    """A handler that raises keeps a tool from running."""
    router = Router()
    router.tool("weather", City)(lambda _: "run")
    router.tool("book", City)(lambda _: "not this")
    router.on(ToolCallDone)(lambda _: "first")
    router.on(ToolCallDone)(lambda _: "second")
    calls = (tool_call("c1", "weather", '{"city": "Oslo"}'),)

    assert [["first", "second", "run"]] == done(run_on(router, calls=calls), *_ended(calls))


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    """A call has one result."""
    router = Router()
    router.tool("weather", City)(lambda asked: asked)

    with pytest.raises(MisuseError, match="already has a tool 'weather'"):
        router.tool("weather")(lambda city: city)


@pytest.mark.parametrize("function", [takes_none, takes_three])
def test_a_tool_takes_its_arguments_and_at_most_the_call(function: Any) -> None:
    """Anything else is refused where it is registered."""
    with pytest.raises(MisuseError, match=r"for tool 'weather' must take"):
        Router().tool("weather", City)(function)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (42, "must be a function, not 42"),
        (functools.partial(print), "no name of its own"),
        (lambda city: city, "no name of its own"),
    ],
)
def test_a_tool_is_a_function_and_has_a_name(function: Any, words: str) -> None:
    with pytest.raises(MisuseError, match=words):
        Router().tool(function)


@pytest.mark.parametrize("register", [lambda tool: tool(City), lambda tool: tool("weather")(City)])
def test_a_type_alone_is_no_tool(register: Callable[[Any], Any]) -> None:
    with pytest.raises(MisuseError, match=r"City is a type.* @router\.tool\('\w+', City\) above"):
        register(Router().tool)


def test_a_router_without_tools_answers_no_call() -> None:
    """Whoever handles the events of calls answers them."""
    router = Router()
    router.on(ToolCallDone)(lambda event: event.call.id)
    calls = (tool_call("c1", "weather"),)
    run = run_on(router)

    assert [["c1"]] == done(run, *_ended(calls))
    assert {} == dict(run.finish(message_of("", "complete", *calls)))


class Town:
    """A type that counts how often a schema is made for it."""

    made = 0

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        cls.made += 1
        return core_schema.no_info_after_validator_function(str.title, core_schema.str_schema())


def go(town: Annotated[str, Town]) -> str:
    return f"to {town}"


@pytest.mark.parametrize("arguments", [None, dict[str, Annotated[str, Town]]], ids=["function", "type"])
def test_all_answers_share_the_schema_of_a_tool(arguments: Any) -> None:
    """A schema takes far longer to make than to use, and an agent has many tools and answers."""
    router = Router()
    script = testing.script().tool_call("go", {"town": "rome"}, id="call_1").finish("tool_calls")

    if arguments is None:
        router.tool(go)
    else:
        router.tool("go", arguments)(lambda ticket: go(**ticket))
    made: list[int] = []
    for _ in range(3):
        Town.made = 0
        assert script.stream("openai-chat").run(router) == {"call_1": "to Rome"}
        made.append(Town.made)

    assert made[1:] == [0, 0]
