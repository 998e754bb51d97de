"""Arguments of a tool call that are a JSON string of JSON, as a whole or in a field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from tokenstream import ToolCall
from tokenstream.stages import ValidatedCalls


class Place(BaseModel):
    """A place."""

    city: str
    tags: list[str] = []


def find(path: str, note: str = "") -> str:
    """Find."""
    return path + note


def plan(steps: list[dict[str, int]], place: Place | None = None, extra: str | list[int] = "") -> int:
    """Plan."""
    return len(steps) + len(extra) + (place is not None)


def go(place: Place) -> str:
    """Go."""
    return place.city


def _check(function: Any, arguments: object, lenient: Any = True) -> Any:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = ToolCall(id="c", name=function.__name__, arguments_text=text, complete=True)
    [checked] = ValidatedCalls(function, lenient=lenient).feed(call)
    return checked


def _wrapped(value: object, times: int) -> str:
    for _ in range(times):
        value = json.dumps(value)
    return str(value)


@pytest.mark.parametrize("times", [2, 3, 6])
def test_the_whole_arguments_are_unwrapped(times: int) -> None:
    checked = _check(find, _wrapped({"path": "a", "note": '{"b": 1}'}, times))

    assert {"path": "a", "note": '{"b": 1}'} == {**checked.arguments}
    assert ["json_in_string"] * (times - 1) == [repair.name for repair in checked.repairs]


def test_arguments_encoded_too_often_are_refused() -> None:
    """The bound is on untrusted input."""
    assert _check(find, _wrapped({"path": "a"}, 12)).error is not None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"steps": '[{"a": 1}]'}, {"steps": [{"a": 1}]}),
        ({"steps": ['{"a": 1}', {"b": 2}]}, {"steps": [{"a": 1}, {"b": 2}]}),
        ({"steps": json.dumps([json.dumps({"a": 1})])}, {"steps": [{"a": 1}]}),
        ({"steps": [], "extra": "[1]"}, {"steps": [], "extra": "[1]"}),
        ({"steps": [], "place": '{"city": "Oslo"}'}, {"steps": [], "place": Place(city="Oslo")}),
    ],
)
def test_a_field_is_unwrapped_where_the_tool_wants_an_object_or_a_list(
    arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A string that the tool accepts stays a string."""
    given = _check(plan, arguments).arguments

    assert expected == {name: given[name] for name in expected}


def test_the_only_parameter_may_be_wrapped_with_or_without_its_name() -> None:
    """Models write the object of such a parameter either way."""
    for arguments in ('{"city": "Oslo"}', {"place": '{"city": "Oslo"}'}, {"city": "Oslo", "tags": '["a"]'}):
        wrapped = json.dumps(arguments) if isinstance(arguments, str) else arguments

        assert "Oslo" == _check(go, wrapped).run()


@pytest.mark.parametrize(
    "arguments", [{"steps": "[1"}, {"steps": "1"}, {"steps": 'no "list"'}, '"text"', '"7"', {"steps": "[7]"}]
)
def test_what_does_not_help_is_an_error(arguments: Any) -> None:
    checked = _check(plan, arguments)

    assert checked.error is not None
    assert () == checked.repairs


@pytest.mark.parametrize("lenient", [False, "closed"])
def test_only_lenient_true_unwraps(lenient: Any) -> None:
    assert _check(plan, {"steps": "[]"}, lenient).error is not None
    assert _check(find, _wrapped({"path": "a"}, 2), lenient).error is not None
