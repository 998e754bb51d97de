"""What errors say of the first fault of a value: where it is, and nothing that a model wrote."""

from __future__ import annotations

import json
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, AnyUrl, BaseModel, ConfigDict, Field, IPvAnyAddress, Json
from pydantic_core import PydanticCustomError

from tests.partial_json.typed import draft_of
from tests.support.tables import in_one_test
from tokenstream.errors import OutputInvalid

SECRET = "s3cr3t"


def _quote(text: str) -> str:
    raise ValueError(f"what is {text}?")


def _custom(text: str) -> str:
    raise PydanticCustomError("odd", "what is {text}?", {"text": text})


def _like_pydantic(text: str) -> str:
    # As pydantic's own check of e-mail addresses does.
    raise PydanticCustomError("value_error", "what is {text}?", {"text": text})


class Size(Enum):
    SMALL = "small"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(gt=0)] = 1
    day: date | None = None
    size: Size | None = None
    word: Annotated[str, Field(pattern="^z")] | None = None
    id: UUID | None = None
    link: AnyUrl | None = None
    data: Json[Any] | None = None
    address: IPvAnyAddress | None = None
    quoted: Annotated[str, AfterValidator(_quote)] | None = None
    custom: Annotated[str, AfterValidator(_custom)] | None = None
    mail: Annotated[str, AfterValidator(_like_pydantic)] | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    prices: dict[str, int] = {}
    steps: list[Cat] = []
    renamed: int = Field(0, alias="its name")


def _says(type_: Any, document: Any) -> str:
    draft = draft_of(type_, json.dumps(document))
    draft.end()
    with pytest.raises(OutputInvalid) as caught:
        draft.partial().final()
    return str(caught.value)


@in_one_test(
    "document, says",
    [
        ({"count": 0}, "at count: Input should be greater than 0"),
        ({"day": SECRET}, "at day: Input should be a valid date or datetime, input is too short"),
        ({"size": SECRET}, "at size: Input should be 'small'"),
        ({"word": SECRET}, "at word: String should match pattern '^z'"),
        ({"id": SECRET}, "at id: uuid_parsing"),
        ({"link": SECRET}, "at link: url_parsing"),
        ({"data": SECRET}, "at data: json_invalid"),
        ({"address": SECRET}, "at address: ip_any_address"),
        ({"quoted": SECRET}, "at quoted: value_error"),
        ({"custom": SECRET}, "at custom: odd"),
        ({"mail": SECRET}, "at mail: value_error"),
        ({"pet": {"kind": SECRET}}, "at pet: union_tag_invalid"),
        ({"pet": {"kind": "cat", "lives": SECRET}}, "at pet.cat.lives: Input should be a valid integer"),
        ({"prices": {SECRET: SECRET}}, "at prices.*: Input should be a valid integer"),
        ({SECRET: 1}, "at *: Extra inputs are not permitted"),
        ({"its name": SECRET}, "at its name: Input should be a valid integer"),
        ({"steps": [{"kind": "cat"}]}, "at steps.0.lives: Field required"),
        (
            {"count": 0, SECRET: 1, "day": 5.5},
            "at count: Input should be greater than 0, and 2 more in `errors`",
        ),
        (SECRET, "not a valid Form: Input should be an object"),
    ],
)
def test_an_error_says_where_the_first_fault_is(document: Any, says: str) -> None:
    said = _says(Form, document)

    assert said.startswith("the output is not a valid Form: ")
    assert says in said
    assert SECRET not in said


def test_what_is_said_has_a_bounded_length() -> None:
    deep: Any = list[int]
    document: Any = [SECRET]
    for place in reversed(range(20)):
        deep, document = list[deep], [*[[]] * place, document]
    wide = type("Wide", (BaseModel,), {"__annotations__": {"word": Literal[tuple(map(str, range(500)))]}})

    assert _says(deep, document).endswith(
        "at 0.1.2.3.4.5.….15.16.17.18.19.0: Input should be a valid integer, "
        "unable to parse string as an integer"
    )
    assert 201 == len(_says(wide, {"word": SECRET}).partition("at word: ")[2])


def test_a_default_that_holds_itself_hides_no_words() -> None:
    default: list[Any] = []
    default.append(default)

    class Own(BaseModel):
        title: int
        more: Any = default

    assert "at title: Input should be a valid integer" in _says(Own, {"title": SECRET})
