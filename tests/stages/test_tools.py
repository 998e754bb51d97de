"""Tool calls checked against types and functions: what can be run, and what is wrong with the rest."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid
from tokenstream.message import Message, ToolCall
from tokenstream.stages import ValidatedCalls


class WeatherArgs(BaseModel):
    city: str
    days: int = Field(default=1, ge=1, le=7)


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict):
    verbose: bool


def _nothing() -> None: ...


def get_weather(city: str, days: int = 1) -> str:
    return f"{city} for {days}"


async def get_time(city: str) -> str:
    return f"noon in {city}"


def made(name: str, arguments: Any, **fields: Any) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    whole: dict[str, Any] = {"complete": True, **fields}
    return ToolCall(id="call_1", name=name, arguments_text=text, **whole)


def checked(tool: Any, arguments: Any, **fields: Any) -> ToolCall:
    [call] = ValidatedCalls(tool=tool).feed(made("tool", arguments, **fields))
    return call


@pytest.mark.parametrize(
    "wanted, arguments, expected",
    [
        (WeatherArgs, {"city": "Oslo"}, WeatherArgs(city="Oslo")),
        (Point, {"x": 1}, Point(1)),
        (Options, {"verbose": True}, {"verbose": True}),
        (TypeAdapter(WeatherArgs | Point), {"x": 2, "y": 3}, Point(2, 3)),
        (WeatherArgs | Point, {"x": 2}, Point(2)),
        (list[int], [1, 2], [1, 2]),
    ],
    ids=["model", "dataclass", "typed dict", "adapter", "union", "list"],
)
def test_arguments_get_the_types_of_the_declaration(wanted: Any, arguments: Any, expected: Any) -> None:
    call = checked(wanted, arguments)

    assert expected == call.arguments
    assert (None, "") == (call.error, call.error_for_model)


def test_a_function_is_run_with_the_models_arguments() -> None:
    call = checked(get_weather, {"city": "Oslo", "days": 3})

    assert {"city": "Oslo", "days": 3} == call.arguments
    assert "Oslo for 3" == call.run()
    assert "Oslo for 3" == call.run()


def test_tools_have_their_own_names_or_names_by_keyword() -> None:
    half = functools.partial(get_time, city="Oslo")
    named: dict[str, Any] = {"get-point": Point}
    tools = ValidatedCalls(WeatherArgs, get_weather, half, look_up=Options, **named)

    assert ("WeatherArgs", "get_weather", "get_time", "look_up", "get-point") == tools.names


@pytest.mark.parametrize(
    "tools, named, says",
    [
        ([], {}, "no tools"),
        ([3], {}, "int is no tool"),
        (["get_weather"], {}, "str is no tool"),
        ([get_weather, get_weather], {}, "two tools are named 'get_weather'"),
        ([get_weather], {"get_weather": Point}, "two tools are named 'get_weather'"),
        ([TypeAdapter(int)], {}, "no name of its own"),
        ([list[int]], {}, "no name of its own"),
        ([lambda city: city], {}, "no name of its own"),
        ([functools.partial(_nothing)], {"_nothing": Point}, "two tools are named '_nothing'"),
    ],
)
def test_an_object_that_is_not_a_tool_is_refused_at_once(
    tools: list[Any], named: dict[str, Any], says: str
) -> None:
    with pytest.raises(MisuseError, match=says):
        ValidatedCalls(*tools, **named)


@pytest.mark.parametrize("text", ["", "  ", "null", "{}", " {} "])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    """Servers say it in several ways."""
    assert {} == checked(_nothing, text).arguments


def test_a_call_with_invalid_arguments_has_an_error() -> None:
    call = checked(WeatherArgs, {"city": 7, "days": 9})
    error = call.error

    assert isinstance(error, OutputInvalid)
    assert [("city",), ("days",)] == [each["loc"] for each in error.errors]
    assert call.arguments_text == error.text
    with pytest.raises(OutputInvalid) as read:
        _ = call.arguments
    with pytest.raises(OutputInvalid) as run:
        call.run()
    assert error is read.value is run.value


def test_the_error_quotes_nothing_of_the_arguments() -> None:
    """The arguments may be private; `text` and `errors` have them."""
    call = checked(WeatherArgs, {"city": ["secret"]})
    broken = checked(WeatherArgs, '{"city": secret')

    assert not [error for error in (call.error, broken.error) if "secret" in str(error)]


@pytest.mark.parametrize("complete", [True, False])
def test_arguments_that_ended_as_no_json_are_on_the_call(complete: bool) -> None:
    text = '{"city": "Oslo",}'
    call = checked(get_weather, text, complete=complete)
    error = call.error

    assert isinstance(error, InvalidJSON)
    assert (text, 16) == (error.text, error.offset)
    with pytest.raises(InvalidJSON):
        call.run()


def test_a_call_with_arguments_beyond_the_limits_has_an_error() -> None:
    """The model has written the arguments, so the stream continues."""
    call = checked(get_weather, '{"city": ' + "[" * 300 + "]" * 300 + "}", complete=False)

    assert isinstance(call.error, OutputInvalid)
    assert "the arguments: is nested too deeply" in call.error_for_model


@pytest.mark.parametrize("text, kind", [("", "function"), ('{"city": "Os"}', "function"), ("pri", "custom")])
def test_a_call_that_was_cut_off_is_not_returned(text: str, kind: str) -> None:
    """The arguments only look whole, so there is nothing for the model to correct."""
    assert [] == ValidatedCalls(get_weather).feed(made("get_weather", text, complete=False, type=kind))


def test_a_tool_that_was_not_named_is_on_the_call() -> None:
    [call] = ValidatedCalls(get_weather, Point).feed(made("get_wether", "{}"))

    assert isinstance(call.error, OutputInvalid)
    assert "get_wether" not in str(call.error)
    assert "There is no tool of that name. The tools are: get_weather, Point. Call one of these." == (
        call.error_for_model
    )


def test_a_call_of_a_type_and_one_that_nothing_was_checked_of_have_nothing_to_run() -> None:
    of_type, unchecked = checked(WeatherArgs, {"city": "Oslo"}), made("get_weather", "{}")

    assert (None, "") == (unchecked.error, unchecked.error_for_model)
    for call, said in ((of_type, r"use call\.arguments"), (unchecked, "validated_calls")):
        with pytest.raises(MisuseError, match=said):
            call.run()


def test_free_text_is_the_functions_first_argument() -> None:
    """A custom tool's input is no JSON."""

    def run_python(code: str, timeout: float = 1.0) -> str:
        return f"{code} {timeout}"

    assert "print('{}') 1.0" == checked(run_python, "print('{}')", type="custom").run()
    assert "3" == checked(str, "3", type="custom").arguments
    assert "- code: should be" in checked(_takes_a_number, "x", type="custom").error_for_model
    assert "- input: is not known here" in checked(_nothing, "x", type="custom").error_for_model


def _takes_a_number(code: int) -> int:
    return code


def test_a_checked_call_is_the_call_to_everything_else() -> None:
    plain = made("tool", {"city": "Oslo"}, provider_data={"signature": "s"})
    [call] = ValidatedCalls(tool=get_weather).feed(plain)
    message = Message(parts=(call,))

    assert isinstance(call, ToolCall)
    assert repr(plain) == repr(call)
    assert plain.model_dump() == call.model_dump()
    assert (plain,) == Message.model_validate_json(message.model_dump_json()).tool_calls


def test_a_checked_call_pickles() -> None:
    of_function = pickle.loads(pickle.dumps(checked(get_weather, {"city": "Oslo"})))
    of_type = pickle.loads(pickle.dumps(checked(WeatherArgs, {"city": "Oslo"})))

    assert "Oslo for 1" == of_function.run()
    assert WeatherArgs(city="Oslo") == of_type.arguments
    for invalid in (checked(get_weather, arguments) for arguments in ({"city": 3}, '{"city')):
        copy = pickle.loads(pickle.dumps(invalid))
        assert (invalid.error_for_model, type(invalid.error)) == (copy.error_for_model, type(copy.error))
