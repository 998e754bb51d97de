"""Functions as tools: each kind of parameter, each kind of callable, and how it is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, Required, Unpack

import pytest
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypedDict
from typing_extensions import Unpack as LaterUnpack

from tests.stages.test_tools import checked
from tokenstream import Tools
from tokenstream.errors import MisuseError

Positive = Annotated[int, Field(ge=1)]


class Place(BaseModel):
    city: str
    zip_code: str = Field(default="", alias="zip")


@dataclass
class Point:
    x: int


class More(TypedDict, total=False):
    limit: Required[int]
    order: str


class Some(TypedDict):
    limit: int
    order: NotRequired[Annotated[str, Field(min_length=2)]]


class Node(BaseModel):
    inner: Node | None = None


def every_kind(
    a: int, /, b: str = "b", *rest: float, c: Positive = 5, d: int = Field(default=7, le=9), **more: int
) -> Any:
    return a, b, rest, c, d, more


def test_every_kind_of_parameter_is_an_argument() -> None:
    call = checked(
        every_kind, {"a": 1, "b": "x", "rest": [1, 2.5], "c": 3, "d": 8, "z": 4, "self": 5, "args": 6}
    )

    assert (1, "x", (1.0, 2.5), 3, 8, {"z": 4, "self": 5, "args": 6}) == call.run()


def test_defaults_are_the_functions_own() -> None:
    call = checked(every_kind, {"a": 1})

    assert {"a": 1, "d": 7} == call.arguments
    assert (1, "b", (), 5, 7, {}) == call.run()


def test_an_argument_that_the_function_does_not_take_is_an_error() -> None:
    """The call would raise a TypeError without this check."""

    def ping(host: str) -> str:
        return host

    assert "- port: is not known here" in checked(ping, {"host": "h", "port": 1}).error_for_model


def test_a_positional_only_parameter_that_is_left_out_keeps_its_default() -> None:
    def add(a: int = 1, b: int = 2, /) -> tuple[int, int]:
        return a, b

    assert (1, 5) == checked(add, {"b": 5}).run()


def test_a_parameter_without_a_type_takes_anything() -> None:
    call = checked(
        lambda value, *values, **named: (value, values, named), {"value": [1], "values": [None], "x": {}}
    )

    assert ([1], (None,), {"x": {}}) == call.run()


@pytest.mark.parametrize("more", [Unpack[More], Unpack[Some], LaterUnpack[Some]])
def test_named_arguments_can_be_a_typed_dict(more: Any) -> None:
    def search(text: str, **more: Any) -> Any:
        return text, more

    search.__annotations__["more"] = more

    assert ("t", {"limit": 1}) == checked(search, {"text": "t", "limit": 1}).run()
    assert ("t", {"limit": 1, "order": "up"}) == checked(
        search, {"text": "t", "limit": 1, "order": "up"}
    ).run()
    assert "- limit: is missing" in checked(search, {"text": "t"}).error_for_model
    assert (
        "- page: is not known here" in checked(search, {"text": "t", "limit": 1, "page": 2}).error_for_model
    )


def test_a_local_name_hides_a_global_one() -> None:
    class Place(BaseModel):
        town: str

    def take(place: Any, more: int = 1) -> Any:
        return place, more

    take.__annotations__["place"] = "Place"

    assert (Place(town="Oslo"), 1) == checked(take, {"place": {"town": "Oslo"}}).run()


def take_place(place: Place) -> Place:
    return place


def take_point(point: Point) -> Point:
    return point


def take_more(more: More) -> More:
    return more


@pytest.mark.parametrize(
    "function, name, arguments, expected",
    [
        (take_place, "place", {"city": "Oslo", "zip": "0150"}, Place(city="Oslo", zip="0150")),
        (take_point, "point", {"x": 1}, Point(1)),
        (take_more, "more", {"limit": 1}, {"limit": 1}),
    ],
)
def test_the_only_parameter_can_be_the_whole_object(
    function: Any, name: str, arguments: dict[str, Any], expected: Any
) -> None:
    """A model, a dataclass or a TypedDict takes the arguments themselves."""
    call = checked(function, arguments)

    assert {name: expected} == call.arguments
    assert expected == call.run()


def test_the_only_parameter_can_be_named_by_the_model_all_the_same() -> None:
    assert Place(city="Oslo") == checked(take_place, {"place": {"city": "Oslo"}}).run()
    assert "- place.city: is missing" in checked(take_place, {"place": {}}).error_for_model
    assert "- city: is missing" in checked(take_place, {}).error_for_model
    assert "no valid JSON" in checked(take_place, '{"city').error_for_model


@pytest.mark.parametrize("default", [Place(city="Bergen"), Field(default=Place(city="Bergen"))])
def test_the_only_parameter_keeps_its_default_if_it_is_left_out(default: Any) -> None:
    def take(place: Place = default) -> Place:
        return place

    nothing: Any
    for nothing in ({}, "", "null", " { } "):
        assert Place(city="Bergen") == checked(take, nothing).run()
    assert Place(city="Oslo") == checked(take, {"city": "Oslo"}).run()
    assert "- city: is missing" in checked(take, {"zip": "0150"}).error_for_model
    assert "- place.city: is missing" in checked(take, {"place": {}}).error_for_model


class Options(BaseModel):
    size: int = 1


def test_a_call_without_arguments_runs_with_the_functions_own_default() -> None:
    def take(options: Options = Options(size=5)) -> int:  # noqa: B008 - the default under test
        return options.size

    assert [5, 5, 2] == [checked(take, arguments).run() for arguments in ({}, "", {"size": 2})]


class Numbers(RootModel[list[int]]): ...


class Home(RootModel[Place]): ...


class Counts(RootModel[Mapping[str, int]]): ...


def test_a_root_model_is_an_object_only_if_its_root_is_one() -> None:
    """A list goes by the parameter's name, even if that is `root`."""

    def listed(root: Numbers) -> list[int]:
        return root.root

    def placed(home: Home) -> Place:
        return home.root

    def counted(counts: Counts) -> Mapping[str, int]:
        return counts.root

    parameters = Tools(listed).to_openai_chat()[0]["function"]["parameters"]

    assert parameters["required"] == ["root"]
    assert [1, 2] == checked(listed, {"root": [1, 2]}).run()
    for arguments in ({"city": "Oslo"}, {"home": {"city": "Oslo"}}):
        assert Place(city="Oslo") == checked(placed, arguments).run()
    for counts in ({"eggs": 2}, {"counts": {"eggs": 2}}):
        assert {"eggs": 2} == checked(counted, counts).run()


def test_a_field_that_has_the_parameters_name_is_the_field() -> None:
    def take(city: Place) -> Place:
        return city

    assert Place(city="Oslo") == checked(take, {"city": "Oslo"}).run()


def test_a_list_of_objects_is_no_object() -> None:
    """`*places` is a list under its name, and `**places` has them by name."""

    def listed(*places: Place) -> Any:
        return places

    def named(**places: Place) -> Any:
        return places

    assert (Place(city="Oslo"),) == checked(listed, {"places": [{"city": "Oslo"}]}).run()
    assert {"home": Place(city="Oslo")} == checked(named, {"home": {"city": "Oslo"}}).run()


class Desk:
    rate = 3

    def book(self, seats: int) -> int:
        return seats * self.rate

    @classmethod
    def count(cls, seats: int) -> int:
        return seats * cls.rate

    @staticmethod
    def check(seats: int) -> int:
        return seats

    def __call__(self, seats: int) -> int:
        return seats + self.rate


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def scale(seats: int, by: int = 1) -> int:
    return seats * by


@pytest.mark.parametrize(
    "function, expected",
    [
        (Desk().book, 12),
        (Desk.count, 12),
        (Desk.check, 4),
        (Desk(), 7),
        (functools.partial(scale, by=2), 8),
        (functools.partial(functools.partial(scale), by=3), 12),
        (logged(scale), 4),
        (logged(Desk().book), 12),
    ],
    ids=["method", "class method", "static method", "object", "partial", "partials", "decorated", "both"],
)
def test_every_kind_of_callable_is_a_tool(function: Any, expected: int) -> None:
    assert expected == checked(function, {"seats": 4}).run()
    assert "- seats: should be" in checked(function, {"seats": "many"}).error_for_model


def test_types_may_be_written_before_they_are_there() -> None:
    class Local(BaseModel):
        value: int

    def take(one: Local, more: list[Local], node: Node) -> Any:
        return one, more, node

    take.__annotations__["return"] = "Missing"
    call = checked(take, {"one": {"value": 1}, "more": [{"value": 2}], "node": {"inner": {}}})

    assert (Local(value=1), [Local(value=2)], Node(inner=Node())) == call.run()


class Odd:
    __signature__ = "none"

    def __call__(self) -> None: ...


def _unfindable() -> Callable[..., Any]:
    def take(one: Any) -> None: ...

    take.__annotations__["one"] = "Nowhere"
    return take


@pytest.mark.parametrize("function", [_unfindable(), Odd()])
def test_a_signature_that_cannot_be_read_is_refused_at_once(function: Any) -> None:
    with pytest.raises(MisuseError, match="give a type for its arguments"):
        checked(function, "{}")


def test_a_parameter_that_json_cannot_express_keeps_its_default() -> None:
    """A tool may have parameters that the program fills in."""

    class Client: ...

    client = Client()

    def fetch(url: str, using: Client = client) -> Any:
        return url, using

    assert ("u", client) == checked(fetch, {"url": "u"}).run()
    assert (
        "- using: is not what is expected here" in checked(fetch, {"url": "u", "using": {}}).error_for_model
    )
