"""Models by what their fields may hold: strict, bounded and odd values."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, GetPydanticSchema, Json, SecretStr
from pydantic_core import core_schema

from tests.partial_json.typed_models.shapes import Options, Plain, Step


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    a: int
    day: dt.date
    raw: bytes
    id: uuid.UUID | None = None
    pair: tuple[int, str] = (1, "x")
    price: decimal.Decimal = decimal.Decimal(0)
    numbers: set[int] = set()


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


def _ends(_source: Any, _handler: Any) -> Any:
    return core_schema.tuple_schema(
        [core_schema.int_schema(), core_schema.str_schema(), core_schema.int_schema()], variadic_item_index=1
    )


Ends = Annotated[tuple[Any, ...], GetPydanticSchema(_ends)]


class Leaves(BaseModel):
    colour: Colour
    word: Literal["a", "b", 1]
    when: dt.datetime | None = None
    price: decimal.Decimal = decimal.Decimal(1)
    many: tuple[int, ...] = ()
    pair: tuple[Step, int] | None = None
    ends: Ends = ()
    names: set[str] = set()
    anything: Any = None
    union: int | str | list[Step] | Step = 0
    secret: SecretStr = SecretStr("")
    sequence: Sequence[Step] = ()
    share: float = 0.0
    inner: Json[list[int]] | None = None


class Configured(BaseModel):
    model_config = ConfigDict(
        frozen=True, str_strip_whitespace=True, str_max_length=5, coerce_numbers_to_str=True
    )
    s: str
    texts: list[str] = []
    plain: Plain | None = None
    options: Options | None = None


class Bounded(BaseModel):
    numbers: Annotated[list[int], Field(min_length=1, max_length=3)]
    fast: Annotated[list[int], FailFast()] = []
    short: Annotated[dict[Annotated[str, Field(max_length=2)], int], Field(max_length=2)] = {}
    by_number: dict[int, list[Step]] = {}
    pair: tuple[int, Step] | None = None
