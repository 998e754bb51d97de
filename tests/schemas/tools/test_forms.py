"""`Tools` in the form of each API."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, Json, SecretStr, TypeAdapter, create_model

from tests.schemas.sdks import STRICT, TOOLS, accept_tools, method_of, schemas_of
from tests.schemas.tools.support import SIMPLE, Search, book_table, get_time
from tests.stages.test_tools import Point, made
from tests.stages.test_tools_signature import Some, every_kind
from tokenstream import AsyncStream, Stream, Tools
from tokenstream.errors import MisuseError
from tokenstream.stages import ValidatedCalls


class Desk(BaseModel):
    """Where to sit."""

    seats: int = Field(ge=1, description="How many.")
    quiet: bool


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
    tools = getattr(Tools(book_table), method_of(api))()
    said = json.dumps(tools)
    schema = schemas_of(api, tools)["book_table"]

    assert '"description": "Book a table in a city."' in said
    assert ["city"] == schema["required"]
    assert {"type": "string", "description": "Where the table is."} == schema["properties"]["city"]
    assert schema["properties"]["seats"]["description"].startswith("How many.")
    assert "default" in json.dumps(schema["properties"]["seats"])


def test_the_plain_form_is_json_schema() -> None:
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
    def run(
        city: str, client: Stream | None = None, *others: AsyncStream, call: Callable[[], int] = int
    ) -> str:
        return f"{city} {client} {others} {call()}"

    tools = Tools(run)
    [call] = ValidatedCalls(tools).feed(made("run", {"city": "Oslo"}))

    assert ["city"] == list(schemas_of("anthropic", tools.to_anthropic())["run"]["properties"])
    assert "Oslo None () 0" == call.run()


def test_a_default_that_no_json_can_be_is_not_reported() -> None:
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

    tools = Tools(Bounds)
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


def test_cohere_asks_for_a_required_parameter() -> None:
    """Cohere's documents ask for a required parameter with `strict_tools`."""
    with pytest.raises(
        MisuseError, match="the tool 'get_time' has no required field, and Cohere's strict_tools"
    ):
        Tools(get_time).to_cohere(strict=True)


def test_gemini_has_no_schema_of_no_parameters() -> None:
    """Gemini refuses an object without properties."""

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


def test_whether_it_is_strict_is_reported_as_each_api_wants_it() -> None:
    """OpenAI Responses is strict where nothing is told; Cohere's request has a key of its own for it."""
    plain, strict = Tools(book_table), {"strict": True}

    assert [False, True] == [plain.to_openai_responses(strict=each)[0]["strict"] for each in (False, True)]
    assert "strict" not in plain.to_openai_chat()[0]["function"]
    assert plain.to_openai_chat(strict=True)[0]["function"]["strict"]
    assert strict.items() <= plain.to_anthropic(strict=True)[0].items()
    assert strict.items() <= plain.to_bedrock(strict=True)[0]["toolSpec"].items()
    assert strict.items() <= plain.to_mistral(strict=True)[0]["function"].items()
    assert '"strict"' not in json.dumps([plain.to_cohere(strict=True), plain.to_gemini(), plain.to_ollama()])
