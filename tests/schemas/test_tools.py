"""`Tools`: one object for the request, the checking and the running, in every API's form."""

from __future__ import annotations

import functools
import json
import pickle
import re
import sys
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Unpack

import msgspec
import pytest
from pydantic import BaseModel, Field, Json, SecretStr, TypeAdapter, create_model
from typing_extensions import TypedDict

from tests.schemas.sdks import STRICT, TOOLS, accept_tools, method_of, schemas_of
from tests.stages.test_tools import Options, Packed, Point, WeatherArgs, made
from tests.stages.test_tools_signature import Node, Some, every_kind
from tests.support.packages import needed
from tokenstream import AsyncStream, Router, Stream, Tools
from tokenstream.errors import MisuseError
from tokenstream.stages import ValidatedCalls


class Search(BaseModel):
    """Search the catalogue.

    Only what is on stock.
    """

    query: str = Field(description="Words.")
    filters: dict[str, int] = {}
    kind: Literal["book", "film"] = "book"
    inner: Search | None = None


class Desk(BaseModel):
    """Where to sit."""

    seats: int = Field(ge=1, description="How many.")
    quiet: bool


def book_table(city: str, seats: Annotated[int, Field(ge=1, description="How many.")] = 2) -> str:
    """Book a table in a city.

    It may be full,
    or not.

    Args:
        city: Where
            the table is.
        seats: Ignored, since the type tells it.
    """
    return f"{seats} in {city}"


def get_time() -> str:
    return "noon"


def place(point: Point, *, client: Callable[[], str] | None = None, near: WeatherArgs | None = None) -> str:
    """:param point: Where it is."""
    return f"{point} {client} {near}"


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


SIMPLE = Tools(book_table, get_time, place, Point, Options, Packed, WeatherArgs, Node)
WIDE = Tools(SIMPLE, Search, every_kind, some=functools.partial(book_table, seats=3), union=TypeAdapter(Some))


@pytest.mark.parametrize("api", TOOLS)
def test_every_api_takes_the_tools_by_its_own_types(api: str) -> None:
    """The SDKs' types are the oracle; with strict mode and without it."""
    accept_tools(api, getattr(WIDE, method_of(api))())
    if api == "cohere":
        accept_tools(api, Tools(book_table, Point).to_cohere(strict=True))
    elif api in STRICT:
        accept_tools(api, getattr(SIMPLE, method_of(api))(strict=True))


@pytest.mark.parametrize("api", TOOLS)
def test_what_a_function_says_of_itself_is_in_every_form(api: str) -> None:
    """Name, first paragraph, and what the type or else the docstring tells of each parameter."""
    tools = getattr(Tools(book_table), method_of(api))()
    said = json.dumps(tools)
    schema = schemas_of(api, tools)["book_table"]

    assert '"description": "Book a table in a city."' in said
    assert ["city"] == schema["required"]
    assert {"type": "string", "description": "Where the table is."} == schema["properties"]["city"]
    assert schema["properties"]["seats"]["description"].startswith("How many.")
    assert "default" in json.dumps(schema["properties"]["seats"])


def test_the_plain_form_is_json_schema() -> None:
    """Nothing is lost where an API takes all of it: bounds, defaults, definitions, further keys."""
    schemas = schemas_of("openai-chat", WIDE.to_openai_chat())

    assert {"minimum": 1, "default": 2}.items() <= schemas["book_table"]["properties"]["seats"].items()
    assert {"type": "object", "properties": {}, "additionalProperties": False} == schemas["get_time"]
    # pydantic 2.10 tells that there are some, and not of what type.
    assert schemas["every_kind"]["additionalProperties"] in ({"type": "integer"}, True)
    assert {"type": "array", "items": {"type": "number"}} == schemas["every_kind"]["properties"]["rest"]
    assert ["a"] == schemas["every_kind"]["required"]
    assert {"$ref": "#/$defs/Search"} in schemas["Search"]["properties"]["inner"]["anyOf"]
    assert "Search" in schemas["Search"]["$defs"]
    # The names of fields, once more as titles, tell a model nothing.
    assert '"title"' not in json.dumps(schemas["book_table"])


def test_what_no_json_can_be_is_left_to_its_default() -> None:
    """As the checking of calls leaves it: the model hears nothing of it."""

    def run(
        city: str, client: Stream | None = None, *others: AsyncStream, call: Callable[[], int] = int
    ) -> str:
        return f"{city} {client} {others} {call()}"

    tools = Tools(run)
    [call] = ValidatedCalls(tools).feed(made("run", {"city": "Oslo"}))

    assert ["city"] == list(schemas_of("anthropic", tools.to_anthropic())["run"]["properties"])
    assert "Oslo None () 0" == call.run()


def test_a_default_that_no_json_can_be_is_not_told() -> None:
    """Nor one that is secret: it stays the function's or the type's own; the schema is JSON nevertheless."""

    class Bounds(BaseModel):
        most: float = float("inf")
        key: SecretStr | None = SecretStr("not told")
        keys: dict[str, list[SecretStr]] = {"all": [SecretStr("not told")]}
        least: float = 0.5

    def cut(
        bounds: Bounds = Bounds(),  # noqa: B008 - that a default may be
        most: float = float("nan"),
        how: object = object(),
        least: float = 0.5,
    ) -> None: ...

    tools = Tools(Bounds, Limits)
    for tool in (*tools.to_anthropic(), *Tools(cut).to_gemini()[0]["functionDeclarations"]):
        json.dumps(tool, allow_nan=False)
        schema = tool.get("input_schema") or tool["parametersJsonSchema"]
        assert "0.5" in json.dumps(schema["properties"]["least"])
        assert "default" not in json.dumps(schema["properties"]["most"])
        assert "***" not in json.dumps(tool)
        assert "not told" not in json.dumps(tool)


def _empty(value: Any) -> None:
    if isinstance(value, dict | list):
        for each in list(value.values() if isinstance(value, dict) else value):
            _empty(each)
        value.clear()


@pytest.mark.parametrize("api", TOOLS)
def test_what_was_written_is_the_callers(api: str) -> None:
    """Who changes a request changes neither the tools, nor what a type holds, nor the next request."""
    examples: list[Any] = [["a", {"b": "c"}]]

    def pick(
        kind: Literal["a", "b"],
        *,
        sizes: Annotated[list[int], Field(examples=examples)] = [1, 2],  # noqa: B006 - that a default may be
        desk: Annotated[Search, Field(examples=examples)] = Search(query="x"),  # noqa: B008 - and this
    ) -> None: ...

    tools = Tools(pick)
    first, second = [getattr(tools, method_of(api))() for _ in range(2)]
    _empty(first)

    assert [] == first
    assert second == getattr(tools, method_of(api))()
    assert [["a", {"b": "c"}]] == examples


def test_openais_sdk_makes_the_same_tool_of_a_model() -> None:
    """But for the titles that pydantic makes of names."""
    theirs = needed("openai").pydantic_function_tool(Desk)
    for each in (theirs["function"]["parameters"], *theirs["function"]["parameters"]["properties"].values()):
        del each["title"]
    del theirs["function"]["parameters"]["description"]

    assert [theirs] == Tools(Desk).to_openai_chat(strict=True)


def test_an_only_parameter_that_is_an_object_is_the_arguments() -> None:
    """As the checking of calls reads them."""

    def order(point: Point) -> int:
        """Order."""
        return point.x

    [tool] = Tools(order).to_anthropic()
    [call] = ValidatedCalls(Tools(order)).feed(made("order", {"x": 3}))

    assert {"x", "y"} == tool["input_schema"]["properties"].keys()
    assert "Order." == tool["description"]
    assert 3 == call.run()


@pytest.mark.parametrize(
    "tools, words",
    [
        (
            {"tool": _bad},
            "the parameter 'handler' of the tool 'tool' has a type that no JSON schema can describe",
        ),
        ({"tool": _bad_more}, "the parameter 'handler' of the tool 'tool' has a type"),
        ({"tool": _WithCallable}, "the parameter 'handler' of the tool 'tool' has a type"),
        ({"tool": TypeAdapter(_WithCallable)}, "the parameter 'handler' of the tool 'tool' has a type"),
        (
            {"tool": TypeAdapter(Callable[[], int])},
            "the tool 'tool' has a type that no JSON schema can describe",
        ),
        ({"tool": list[int]}, "the tool 'tool' does not take a JSON object, as tools must"),
        ({"tool": Point | WeatherArgs}, "the tool 'tool' does not take a JSON object"),
        ({"get weather": get_time}, "no API takes the tool's name 'get weather'"),
        ({"wetter_ä": get_time}, "no API takes the tool's name"),
        ({"x" * 65: get_time}, "no API takes the tool's name"),
        ({"tool": 3}, "int is no tool"),
        ({}, "no tools were given"),
    ],
)
def test_what_cannot_be_told_is_refused_at_once(tools: dict[str, Any], words: str) -> None:
    """The tool and the parameter are named, when the tools are given and not when they are called."""
    with pytest.raises(MisuseError) as caught:
        Tools(**tools)

    assert words in str(caught.value)


def test_two_tools_of_one_name_are_refused() -> None:
    """Those of other `Tools` count."""
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


def test_cohere_asks_for_a_required_parameter() -> None:
    """Its documents say so of `strict_tools`."""
    with pytest.raises(
        MisuseError, match="the tool 'get_time' has no required field, and Cohere's strict_tools"
    ):
        Tools(get_time).to_cohere(strict=True)


def test_gemini_has_no_schema_of_no_parameters() -> None:
    """It refuses an object without properties; one of any keys is told."""

    def note(**more: int) -> None: ...

    [tool] = Tools(get_time, note).to_gemini()
    time, noted = tool["functionDeclarations"]

    assert {"name": "get_time"} == time
    assert "additionalProperties" in noted["parametersJsonSchema"]


class _Kind(Enum):
    BOOK = "book"


class _Part(BaseModel):
    size: int
    parts: list[_Part] = []


_BY_KEY: dict[str, Any] = {
    "patternProperties": dict[Annotated[str, Field(pattern="^a")], _Part],
    "propertyNames": dict[_Kind, int],
    "additionalProperties": dict[str, _Part],
    "contentSchema": Json[_Part],
}


@pytest.mark.parametrize("api", TOOLS)
@pytest.mark.parametrize("keyword", _BY_KEY)
def test_what_is_referred_to_is_there(api: str, keyword: str) -> None:
    """Wherever a schema stands within another; where an API has no keyword for it, the words say all."""

    def find(parts: Any, most: int = 1) -> None: ...

    find.__annotations__["parts"] = _BY_KEY[keyword]
    tools = Tools(find)
    written, plain = getattr(tools, method_of(api))(), json.dumps(tools.to_openai_chat())
    schema = schemas_of(api, written)["find"]
    told = json.dumps(schema)

    accept_tools(api, written)
    assert set(re.findall(r"#/\$defs/(\w+)", told)) <= schema.get("$defs", {}).keys()
    assert [word in plain for word in ("book", "size")] == [word in told for word in ("book", "size")]
    # pydantic 2.10 tells nothing of some keys.
    assert "size" in told or keyword == "propertyNames"


def test_types_that_hold_each_other_are_written_once() -> None:
    """Not in every order that they can follow each other in, where definitions are written in place."""
    make: Any = create_model
    names = [f"Node{number}" for number in range(12)]
    node_type = " | ".join(names)
    fields: dict[str, Any] = {"inner": (f"list[{node_type}]", []), "keyed": (f"dict[str, {node_type}]", {})}
    nodes: dict[str, Any] = {name: make(name, **fields) for name in names}
    for node in nodes.values():
        node.model_rebuild(_types_namespace=nodes)
    tools = Tools(nodes["Node0"])

    for api in TOOLS:
        assert len(json.dumps(getattr(tools, method_of(api))())) < 200_000


def test_whether_it_is_strict_is_told_as_each_api_wants_it() -> None:
    """OpenAI Responses is strict where nothing is told; Cohere's request has a key of its own for it."""
    plain, strict = Tools(book_table), {"strict": True}

    assert [False, True] == [plain.to_openai_responses(strict=each)[0]["strict"] for each in (False, True)]
    assert "strict" not in plain.to_openai_chat()[0]["function"]
    assert plain.to_openai_chat(strict=True)[0]["function"]["strict"]
    assert strict.items() <= plain.to_anthropic(strict=True)[0].items()
    assert strict.items() <= plain.to_bedrock(strict=True)[0]["toolSpec"].items()
    assert strict.items() <= plain.to_mistral(strict=True)[0]["function"].items()
    assert '"strict"' not in json.dumps([plain.to_cohere(strict=True), plain.to_gemini(), plain.to_ollama()])


def test_the_same_object_checks_the_calls() -> None:
    """Alone, and among others."""
    calls = [made("book_table", {"city": "Oslo"}), made("Point", {"x": 1}), made("more", {})]
    checked = [ValidatedCalls(SIMPLE, more=get_time).feed(call)[0] for call in calls]

    assert ["2 in Oslo", "noon"] == [checked[0].run(), checked[2].run()]
    assert Point(1) == checked[1].arguments
    assert (*SIMPLE.names, "more") == ValidatedCalls(SIMPLE, more=get_time).names
    assert 8 == len(SIMPLE)
    assert "<Tools get_time, Point>" == repr(Tools(get_time, Point))
    assert SIMPLE.to_gemini() == pickle.loads(pickle.dumps(SIMPLE)).to_gemini()


def _answer(*calls: tuple[str, str]) -> list[dict[str, Any]]:
    told = [
        {"index": index, "id": f"call_{index}", "function": {"name": name, "arguments": text}}
        for index, (name, text) in enumerate(calls)
    ]
    return [{"choices": [{"index": 0, "delta": {"tool_calls": told}, "finish_reason": "tool_calls"}]}]


def test_the_same_object_makes_a_router() -> None:
    """What it runs, and what its own tools tell of themselves, registered in whatever way."""
    router = Router(Tools(book_table), concurrency=2)

    @router.tool("search", Search)
    def find(search: Search) -> str:
        """Find things."""
        return search.query

    @router.tool
    def wait(*, minutes: int) -> int:
        return minutes

    calls = _answer(
        ("book_table", '{"city": "Oslo"}'), ("search", '{"query": "x"}'), ("wait", '{"minutes": 1}')
    )
    results = Stream(calls, format="openai-chat").run(router)
    named = {tool["name"]: tool for tool in router.tools.to_anthropic()}

    assert {"call_0": "2 in Oslo", "call_1": "x", "call_2": 1} == dict(results)
    assert ["book_table", "search", "wait"] == list(named)
    assert ["Book a table in a city.", "Find things."] == [
        named[name]["description"] for name in ("book_table", "search")
    ]
    assert Tools(Search).to_anthropic()[0]["input_schema"] == named["search"]["input_schema"]
    checked = Stream(calls, format="openai-chat").validated_calls(router.tools)
    assert Search(query="x") == [call.arguments for call in checked][1]
    drafts = list(Stream(calls, format="openai-chat").tool_partials(router.tools))
    assert [Search(query="x")] == [each.final() for each in drafts if each.name == "search" and each.complete]


def test_a_router_runs_functions_alone() -> None:
    """A type has nothing to run, and one without tools has none for a request."""
    with pytest.raises(MisuseError, match="the tool 'Search' was given as a type, which has nothing to run"):
        Router(Tools(book_table, Search))
    wrong: Any = [book_table]
    with pytest.raises(MisuseError, match=r"Router\(\) takes tokenstream\.Tools"):
        Router(wrong)
    with pytest.raises(MisuseError, match="no tools were given"):
        _ = Router().tools


def test_callable_objects_and_methods_are_tools() -> None:
    """Described by the docstring of what is called."""

    class Reception:
        """Runs a desk."""

        def book(self, seats: int) -> int:
            """Book seats."""
            return seats

        def __call__(self, seats: int) -> int:
            return seats

    desk = Reception()
    tools = Tools(desk.book, desk=desk, lots=functools.partial(desk.book, seats=9))

    assert [("book", "Book seats."), ("desk", "Runs a desk."), ("lots", "Book seats.")] == [
        (tool["name"], tool.get("description")) for tool in tools.to_anthropic()
    ]


class _PlainClass: ...


class Limits(msgspec.Struct):
    most: float = float("inf")
    least: float = 0.5


class Inner(msgspec.Struct):
    """An inner.

    More.
    """

    size: Annotated[int, msgspec.Meta(ge=1, description="How big.")]
    inner: Inner | None = None


class HoldsPlain(msgspec.Struct):
    inner: Inner
    plain: _PlainClass


class DefaultsToPlain(msgspec.Struct):
    least: int = 1
    anything: Any = _PlainClass()


def test_structs_tell_their_own_schema() -> None:
    """By msgspec, with what it knows of bounds; a type of them that pydantic must read has none."""

    def tell(a: int, inner: Inner) -> None: ...

    [tool] = Tools(Inner).to_openai_chat()

    assert "An inner." == tool["function"]["description"]
    assert {"minimum": 1, "type": "integer", "description": "How big."} == tool["function"]["parameters"][
        "properties"
    ]["size"]
    accept_tools("openai-chat", Tools(Inner).to_openai_chat(strict=True))
    with pytest.raises(MisuseError, match="the parameter 'inner' of the tool 'tell'"):
        Tools(tell)
    with pytest.raises(MisuseError, match="the parameter 'plain' of the tool 'HoldsPlain' has a type"):
        Tools(HoldsPlain)
    with pytest.raises(MisuseError, match="parameter 'anything' of the tool 'DefaultsToPlain' has a type or"):
        Tools(DefaultsToPlain)


@pytest.mark.parametrize(
    "docstring, description",
    [
        ("Parameters of a city are looked up.", "Parameters of a city are looked up."),
        ("Look\nit up.\n\nSlowly.", "Look it up."),
        ("Look.\nArgs:\n    city: It.", "Look."),
        ("Look.\nReturns:\n    It.", "Look."),
        ("Look.\n:param city: It.\n:returns: It.", "Look."),
        ("Look.\nParameters\n----------\ncity\n    It.", "Look."),
        ("Parameters\n----------\ncity\n    It.", None),
        ("Args:\n    city: It.", None),
        (":param city: It.", None),
        ("  ", None),
    ],
)
def test_a_description_ends_where_a_section_begins(docstring: str, description: str | None) -> None:
    """Many write no empty line before it; what is said of parameters is not said of the tool."""

    def look(city: str) -> None: ...

    look.__doc__ = docstring

    assert description == Tools(look).to_anthropic()[0].get("description")


def test_docstrings_tell_parameters_where_griffe_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's, NumPy's and Sphinx's style; without the package they are left out, and nothing else."""

    def google(city: str, *days: int) -> None:
        """Look.

        Args:
            city (str): The city.
            *days: The days.
            nobody: Not there.
        """

    def numpy(city: str, *days: int) -> None:
        """Look.

        Parameters
        ----------
        city : str
            The city.
        days
            The days.
        """

    def sphinx(city: str, *days: int) -> None:
        """Look.

        :param str city: The city.
        :param days: The days.
        :returns: nothing
        """

    def nothing(city: str, *days: int) -> None:
        """Look.

        And look again.
        """

    def told(function: Callable[..., None]) -> list[str | None]:
        [tool] = Tools(tool=function).to_anthropic()
        assert "Look." == tool["description"]
        return [each.get("description") for each in tool["input_schema"]["properties"].values()]

    for function in (google, numpy, sphinx):
        assert ["The city.", "The days."] == told(function)
    assert [None, None] == told(nothing)
    monkeypatch.setitem(sys.modules, "griffe", None)
    assert [None, None] == told(google)
