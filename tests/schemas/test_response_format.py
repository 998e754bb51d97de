"""`response_format`: the keys that ask for an answer of a type, in every API's form."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, WithJsonSchema

from tests.partial_json.typed import CASES
from tests.schemas.sdks import TOOLS, accept_form, method_of
from tests.support.packages import needed
from tests.support.sampling import sampled
from tokenstream import response_format
from tokenstream.errors import MisuseError


class Step(BaseModel):
    title: str = Field(min_length=1, max_length=80)
    minutes: int = Field(default=5, ge=0, le=600)


class Recipe(BaseModel):
    """A recipe.

    For a few people.
    """

    name: str
    best: Step = Field(description="The one to watch.")
    steps: list[Step] = Field(description="In order.")
    price: Decimal | None = None


KEYS = {
    "openai-chat": "response_format",
    "openai-responses": "text",
    "anthropic": "output_config",
    "gemini": "generationConfig",
    "bedrock": "outputConfig",
    "ollama": "format",
    "cohere": "response_format",
    "mistral": "response_format",
}
_TYPES = [Recipe, *[type_ for type_, _ in CASES]]
_REFUSALS = re.compile("asks for|is not an object|no JSON schema can describe")


_SAYS = {"type", "properties", "anyOf", "items", "$ref"}


def _schema(keys: Any) -> Any:
    if isinstance(keys, str) and keys.startswith("{"):
        keys = json.loads(keys)
    if not isinstance(keys, dict):
        return None
    if _SAYS & keys.keys() and keys.get("type") not in ("json_schema", "json_object"):
        return keys
    return next((found for each in keys.values() if (found := _schema(each)) is not None), None)


@pytest.mark.parametrize("api", TOOLS)
def test_every_api_takes_it_by_its_own_types(api: str) -> None:
    """The SDKs' types are the oracle; the keys are those of the request."""
    keys = getattr(response_format(Recipe), method_of(api))()
    schema = _schema(keys)

    assert [KEYS[api]] == list(keys)
    accept_form(api, keys)
    assert "name" in schema["required"]
    assert "In order." in schema["properties"]["steps"]["description"]
    assert "The one to watch." in schema["properties"]["best"]["description"]


@pytest.mark.slow_rows("bedrock")
@pytest.mark.parametrize("third", sampled(range(3), one_in=3))
@pytest.mark.parametrize("api", TOOLS)
def test_each_shape_of_types_is_taken_or_refused_with_words(api: str, third: int) -> None:
    refused = []
    for type_ in _TYPES[third::3]:
        try:
            keys = getattr(response_format(type_), method_of(api))()
        except MisuseError as error:
            refused.append(str(error))
        else:
            accept_form(api, keys)

    assert [] == [words for words in refused if not _REFUSALS.search(words)]
    assert len(refused) < len(_TYPES[third::3])


def _fixpoint(strict: Callable[[Any], Any], keys: Any) -> None:
    schema = _schema(keys)

    assert schema == strict(copy.deepcopy(schema))


def test_openais_sdk_finds_nothing_to_change_in_a_strict_schema() -> None:
    helper = needed("openai.lib._pydantic")
    strict = helper._ensure_strict_json_schema  # noqa: SLF001 - it takes a schema, and not only a type
    for type_ in _TYPES:
        try:
            keys = response_format(type_).to_openai_chat()
        except MisuseError:
            continue
        _fixpoint(lambda schema: strict(schema, path=(), root=schema), keys)
    theirs = helper.to_strict_json_schema(Step)
    ours = _schema(response_format(Step).to_openai_responses())

    assert theirs["required"] == ours["required"]
    assert theirs["additionalProperties"] == ours["additionalProperties"]


def test_anthropics_sdk_finds_nothing_to_change_in_a_schema() -> None:
    """The SDK's `transform_schema` has nothing left to do, but it drops the type beside an enum."""
    transform = needed("anthropic.lib._parse._transform").transform_schema
    compared = 0
    for type_ in _TYPES:
        try:
            schema = _schema(response_format(type_).to_anthropic())
        except MisuseError:
            continue
        if "enum" not in json.dumps(schema) and "const" not in json.dumps(schema):
            assert schema == transform(copy.deepcopy(schema))
            compared += 1

    assert compared > 10


def test_what_an_api_has_no_keyword_for_is_reported_in_words() -> None:
    """The model reads the words, though nothing holds it to them; validation still does."""
    title = _schema(response_format(Step).to_openai_chat())["properties"]["title"]
    minutes = _schema(response_format(Step).to_anthropic())["properties"]["minutes"]

    assert {"type": "string", "description": "(maxLength: 80; minLength: 1)"} == title
    assert {"type": "integer", "description": "(default: 5; maximum: 600; minimum: 0)"} == minutes
    price = _schema(response_format(Recipe).to_openai_chat())["properties"]["price"]
    assert "pattern" not in json.dumps(price).replace("(pattern", "")


def test_what_was_written_by_hand_stays() -> None:
    given: Any = {"$ref": "https://example.com/schema"}

    class Odd(BaseModel):
        where: Annotated[str, WithJsonSchema(given)]
        who: Annotated[str, WithJsonSchema({"anyOf": [True, {"type": "array", "items": True}]})]

    plain = response_format(Odd).to_ollama()["format"]
    gemini = response_format(Odd).to_gemini()["generationConfig"]["responseJsonSchema"]

    assert given == plain["properties"]["where"] == gemini["properties"]["where"]
    assert {"anyOf": [{}, {"type": "array", "items": True}]} == gemini["properties"]["who"]


def test_a_pattern_that_looks_around_is_reported_in_words() -> None:
    """OpenAI takes no such pattern, and Anthropic no length of an array but 0 and 1."""

    class Told(BaseModel):
        words: list[Annotated[str, WithJsonSchema({"type": "string", "pattern": "^a(?=b)"})]] = Field(
            min_length=2
        )

    words = _schema(response_format(Told).to_openai_chat())["properties"]["words"]

    assert {
        "type": "array",
        "minItems": 2,
        "items": {"type": "string", "description": '(pattern: "^a(?=b)")'},
    } == words
    words = _schema(response_format(Told).to_anthropic())["properties"]["words"]
    assert "(minItems: 2)" == words["description"]


def test_what_is_no_object_goes_where_an_api_takes_it() -> None:
    """OpenAI's SDK takes models alone; Gemini, Ollama and Anthropic take any JSON."""
    steps = response_format(list[Step])

    assert "array" == steps.to_ollama()["format"]["type"]
    assert "array" == steps.to_gemini()["generationConfig"]["responseJsonSchema"]["type"]
    assert "array" == steps.to_anthropic()["output_config"]["format"]["schema"]["type"]
    for api in ("openai_chat", "openai_responses", "mistral", "cohere", "bedrock"):
        with pytest.raises(
            MisuseError, match=r"list\[Step\] is not an object, and \w+ answers only with objects"
        ):
            getattr(steps, f"to_{api}")()


def test_names_are_such_as_apis_take() -> None:
    def name_of(type_: Any, **given: str) -> Any:
        return response_format(type_, **given).to_openai_chat(strict=False)["response_format"]["json_schema"][
            "name"
        ]

    assert "Recipe" == name_of(Recipe)
    assert "dict_str__int_" == name_of(dict[str, int])
    assert "step_1" == name_of(TypeAdapter(Step), name="step 1")
    assert "<ResponseFormat Recipe>" == repr(response_format(Recipe))


def test_what_cannot_be_expressed_names_the_field() -> None:
    class Calling(BaseModel):
        name: str
        handler: Callable[[], int]

    class Open(BaseModel):
        name: str
        steps: list[dict[str, int]]

    with pytest.raises(
        MisuseError, match="the field 'handler' of Calling has a type that no JSON schema can describe"
    ):
        response_format(Calling)
    with pytest.raises(MisuseError, match=r"the field 'steps\[\]' of Open is an object of any keys"):
        response_format(Open).to_openai_chat()
    with pytest.raises(MisuseError, match="no schema can be built for"):
        response_format(3)
