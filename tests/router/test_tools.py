"""`Router`: tools, and the calls that they answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import core_schema

from tests.router.support import City, takes_none, takes_three
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.events import ToolCallDone
from tokenstream.message import ToolCall
from tokenstream.router import Router


def test_a_tool_gets_its_checked_arguments_and_the_call_if_it_has_room() -> None:
    """A function without a type is its own schema."""
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

    @router.tool
    def stay(city: str, days: int = 1) -> str:
        return f"{city} {days}"

    @router.tool("book_table")
    def table(people: int) -> int:
        return people

    answer = testing.script().tool_call("weather", {"city": "Oslo"}, id="c1")
    answer = answer.tool_call("book", {"city": "Rome"}, id="c2").tool_call("sum", "[1, 2]", id="c3")
    answer = answer.tool_call("stay", {"city": "Oslo"}, id="c4").tool_call(
        "book_table", {"people": 2}, id="c5"
    )

    results = answer.finish("tool_calls").stream("openai-chat").run(router)

    assert results == {"c1": "Oslo °C", "c2": "Rome c2", "c3": 3, "c4": "Oslo 1", "c5": 2}
    assert (weather(City(city="Bern")), add([1]), stay("Rome", days=2)) == ("Bern °C", 1, "Rome 2")


def test_tools_come_after_the_handlers_of_the_same_event() -> None:
    """A handler that raises keeps a tool from running."""
    router = Router()
    called: list[str] = []
    router.tool("weather", City)(lambda _: called.append("run"))
    router.on(ToolCallDone)(lambda _: called.append("first"))
    router.on(ToolCallDone)(lambda _: called.append("second"))

    testing.script().tool_call("weather", {"city": "Oslo"}).finish().stream("openai-chat").run(router)

    assert called == ["first", "second", "run"]


def test_a_second_tool_of_the_same_name_is_refused() -> None:
    """A call has one result."""
    router = Router()
    router.tool("weather", City)(lambda asked: asked)

    with pytest.raises(MisuseError, match="already has a tool 'weather'"):
        router.tool("weather")(lambda city: city)


@pytest.mark.parametrize("function", [takes_none, takes_three])
def test_a_tool_takes_its_arguments_and_at_most_the_call(function: Any) -> None:
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
    called: list[str] = []
    router.on(ToolCallDone)(lambda event: called.append(event.call.id))
    answer = testing.script().tool_call("weather", {}, id="c1").finish("tool_calls")

    assert not answer.stream("openai-chat").run(router)
    assert called == ["c1"]


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
