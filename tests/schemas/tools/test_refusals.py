"""`Tools`: what cannot be a tool, and what strict mode would lose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NotRequired, Unpack

import pytest
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict

from tests.schemas.sdks import STRICT, accept_tools, method_of
from tests.schemas.tools.support import Search, get_time
from tests.stages.test_tools import Point, WeatherArgs
from tests.support.tables import in_one_test
from tokenstream import Tools
from tokenstream.errors import MisuseError


def _bad(handler: Callable[[], int]) -> None: ...


def _untyped(city: str, more) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def _any_keys(city: str, filters: dict[str, int]) -> None: ...


def _any_more(city: str, **more: int) -> None: ...


def _pairs(city: str, pair: tuple[int, str]) -> None: ...


def _bare(city: str, values: list[Any]) -> None: ...


class _More(TypedDict):
    depth: int
    handler: NotRequired[Callable[[], int]]


def _bad_more(city: str, **more: Unpack[_More]) -> None: ...


class _Deep(BaseModel):
    city: str
    steps: list[Search]


class _WithCallable(BaseModel):
    city: str
    handler: Callable[[], int]


@in_one_test(
    "tools, words",
    [
        (
            {"tool": _bad},
            "the parameter 'handler' of the tool 'tool' has a type that no JSON schema can describe",
        ),
        ({"tool": _bad_more}, "the parameter 'handler' of the tool 'tool' has a type"),
        ({"tool": TypeAdapter(_WithCallable)}, "the parameter 'handler' of the tool 'tool' has a type"),
        (
            {"tool": TypeAdapter(Callable[[], int])},
            "the tool 'tool' has a type that no JSON schema can describe",
        ),
        ({"tool": Point | WeatherArgs}, "the tool 'tool' does not take a JSON object"),
        ({"get weather": get_time}, "no API takes the tool's name 'get weather'"),
        ({"x" * 65: get_time}, "no API takes the tool's name"),
        ({"tool": 3}, "int is no tool"),
        ({}, "no tools were given"),
    ],
)
def test_what_cannot_be_expressed_is_refused_at_once(tools: dict[str, Any], words: str) -> None:
    with pytest.raises(MisuseError) as caught:
        Tools(**tools)

    assert words in str(caught.value)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(MisuseError, match="two tools are named 'get_time'"):
        Tools(Tools(get_time), get_time)


@pytest.mark.parametrize("api", STRICT)
@pytest.mark.parametrize(
    "tool, words",
    [
        (_untyped, "the parameter 'more' of the tool 'tool' has no type"),
        (_any_keys, "the parameter 'filters' of the tool 'tool' is an object of any keys"),
        (_any_more, "the tool 'tool' is an object of any keys"),
        (_pairs, "the parameter 'pair' of the tool 'tool' is an array whose elements have no type in common"),
        (_bare, "the parameter 'values[]' of the tool 'tool' has no type"),
        (_Deep, "the parameter 'steps[].filters' of the tool 'tool' is an object of any keys"),
    ],
)
def test_strict_mode_refuses_what_it_would_lose(api: str, tool: Any, words: str) -> None:
    """SDKs close such an object, so that a model can write nothing into it; here it is said."""
    tools = Tools(tool=tool)
    with pytest.raises(MisuseError) as caught:
        getattr(tools, method_of(api))(strict=True)

    assert words in str(caught.value)
    assert "leave strict=True out" in str(caught.value)
    accept_tools(api, getattr(tools, method_of(api))())
