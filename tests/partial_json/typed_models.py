"""Types of every kind that a document can be asked to become: what the tests of drafts share."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Required, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    GetPydanticSchema,
    Json,
    OnErrorOmit,
    PlainValidator,
    PrivateAttr,
    RootModel,
    SecretStr,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    computed_field,
    field_validator,
    model_validator,
    with_config,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticOmit, PydanticUseDefault, core_schema
from typing_extensions import TypeAliasType, TypedDict


class Step(BaseModel):
    title: str
    minutes: int = 0
    note: str | None = None


class Recipe(BaseModel):
    name: Annotated[str, Field(max_length=12)]
    steps: list[Step]
    tags: dict[str, int] = {}
    best: Step | None = None


class Aliased(BaseModel):
    a: int = Field(alias="A")
    b: str = Field("x", validation_alias=AliasChoices("b1", "b2"))
    c: list[int] = Field(default_factory=list, validation_alias=AliasPath("C"))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    a: int = Field(alias="A")
    b: Step = Field(alias="B")


class OnlyByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False)
    a: int = Field(1, alias="A")


class FromInside(BaseModel):
    a: int = Field(validation_alias=AliasPath("q", 0))
    b: str


class SameKey(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(1, alias="b")
    b: int


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class TypedExtra(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int

    if not TYPE_CHECKING:
        # The base class has any values here, which a checker takes for final.
        __pydantic_extra__: dict[str, int] = Field(init=False)


class After(BaseModel):
    a: int
    b: int = 1

    @model_validator(mode="after")
    def in_order(self) -> After:
        if self.a > self.b:
            raise ValueError("a is larger than b")
        return self


class Before(BaseModel):
    a: int
    b: int = 1

    @model_validator(mode="before")
    @classmethod
    def filled(cls, value: Any) -> Any:
        return {**value, "b": value.get("b", 7)} if isinstance(value, dict) else value


class Wrapped(BaseModel):
    a: int
    step: Step | None = None

    @model_validator(mode="wrap")
    @classmethod
    def counted(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        made = handler(value)
        made.a += 1
        return made


class Fields(BaseModel):
    first: str
    second: str
    numbers: list[int] = []
    more: int = Field(3, validate_default=True)

    @field_validator("second")
    @classmethod
    def same(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("first") != value:
            raise ValueError(f"differs from {sorted(info.data)}")
        return value

    @field_validator("first", mode="before")
    @classmethod
    def stripped(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value

    @field_validator("numbers")
    @classmethod
    def in_order(cls, value: list[int]) -> list[int]:
        return sorted(value)

    @field_validator("more", mode="wrap")
    @classmethod
    def added(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return handler(value) + 1


class Late(BaseModel):
    most: int = 5
    steps: list[Step] = []
    count: int

    @field_validator("steps")
    @classmethod
    def few(cls, value: list[Step], info: ValidationInfo) -> list[Step]:
        if len(value) > info.data.get("most", 0):
            raise ValueError("too many")
        return value

    @field_validator("count")
    @classmethod
    def counted(cls, value: int, info: ValidationInfo) -> int:
        return value + len(info.data)


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


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int
    friends: list[Pet] = []


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str
    step: Step | None = None


class Bird(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["bird", "b2"] = "bird"
    name: str = Field(alias="called")


Pet = Annotated[Cat | Dog | Bird, Field(discriminator="kind")]
Cat.model_rebuild()


class Owner(BaseModel):
    pets: list[Pet]
    favourite: Pet | None = None
    by_name: dict[str, Pet] = {}


class OneA(BaseModel):
    k: Literal["a"]
    s: Literal["1"]
    v: int


class TwoA(BaseModel):
    k: Literal["a"]
    s: Literal["2"]
    v: str


class B(BaseModel):
    k: Literal["b"]
    v: list[int]


Nested = Annotated[
    Annotated[OneA | TwoA, Field(discriminator="s")] | B,
    Field(discriminator="k"),
]


class Node(BaseModel):
    v: int
    left: Node | None = None
    kids: list[Node] = []


class Steps(RootModel[list[Step]]):
    pass


class Counts(RootModel[dict[str, int]]):
    @model_validator(mode="after")
    def some(self) -> Counts:
        if not self.root:
            raise ValueError("empty")
        return self


class Roots(BaseModel):
    steps: Steps
    counts: Counts | None = None


ItemT = TypeVar("ItemT")


class Box(BaseModel, Generic[ItemT]):
    item: ItemT
    items: list[ItemT] = []


@dataclasses.dataclass
class Plain:
    a: int
    step: Step | None = None
    numbers: list[int] = dataclasses.field(default_factory=list)


@dataclass
class Checked:
    a: int
    b: str = "x"
    plain: Plain | None = None

    def __post_init__(self) -> None:
        if self.a == 13:
            raise ValueError("thirteen")


@dataclasses.dataclass
class Uninitialised:
    a: int
    z: int = dataclasses.field(default=2, init=False)


@dataclasses.dataclass
class Initial:
    a: int
    given: dataclasses.InitVar[int] = 0


def _default(value: Any) -> Any:
    """Return a default that is of another type, until it is validated."""
    return value


@dataclass(config=ConfigDict(extra="forbid", validate_default=True))
class Forbidding:
    a: int
    b: int = _default("7")

    @field_validator("a")
    @classmethod
    def told(cls, value: int, info: ValidationInfo) -> int:
        return value + len(info.data)


class Options(TypedDict):
    a: int
    b: NotRequired[str]
    steps: NotRequired[list[Step]]


@with_config(ConfigDict(extra="forbid", strict=True))
class StrictOptions(TypedDict, total=False):
    a: Required[int]
    options: Options


class Point(NamedTuple):
    x: int
    name: str = "x"


class Others(BaseModel):
    point: Point
    options: Options | None = None
    checked: Checked | None = None


class Initialising(BaseModel):
    a: int

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "a": given.get("a", 4)})


class Configured(BaseModel):
    model_config = ConfigDict(
        frozen=True, str_strip_whitespace=True, str_max_length=5, coerce_numbers_to_str=True
    )
    s: str
    texts: list[str] = []
    plain: Plain | None = None
    options: Options | None = None


class ByFieldName(BaseModel):
    model_config = ConfigDict(loc_by_alias=False)
    a: int = Field(alias="AA")
    steps: list[Step] = Field(alias="SS", default=[])


class CheckedDefaults(BaseModel):
    model_config = ConfigDict(validate_default=True)
    a: int = _default("3")
    steps: list[Step] = _default([{"title": "d"}])


class WrongDefault(BaseModel):
    model_config = ConfigDict(validate_default=True)
    a: int = _default("x")
    steps: list[Step] = _default([{"note": "d"}])


class TellingDefaults(BaseModel):
    a: int = 1
    b: int = Field(default_factory=lambda data: data.get("a", 0) + 1)
    steps: list[Step] = Field(default_factory=lambda data: [Step(title=str(data.get("b")))])


def _left_out(value: Any) -> Any:
    if value == 3:
        raise PydanticOmit
    if value == 4:
        raise PydanticUseDefault
    return value


LeftOut = Annotated[Any, BeforeValidator(lambda _: _left_out(3))]


class LeavingOut(BaseModel):
    numbers: list[Annotated[int, BeforeValidator(_left_out)]] = [9]
    a: Annotated[int, BeforeValidator(_left_out)] = 8
    sound: list[OnErrorOmit[int]] = []
    by_name: dict[str, OnErrorOmit[int]] = {}


class Bounded(BaseModel):
    numbers: Annotated[list[int], Field(min_length=1, max_length=3)]
    fast: Annotated[list[int], FailFast()] = []
    short: Annotated[dict[Annotated[str, Field(max_length=2)], int], Field(max_length=2)] = {}
    by_number: dict[int, list[Step]] = {}
    pair: tuple[int, Step] | None = None


def _same(value: Any) -> Any:
    return value


class Unions(BaseModel):
    a: list[Step] | str | None = None
    b: Step | int = 0
    c: dict[str, Step] | list[int] | None = None
    d: Step | Recipe | None = None
    e: Annotated[Step, AfterValidator(_same)] | int = 0
    f: Steps | int = 0


def _doubled(model: Any) -> int:
    return int(model.a * 2)


class Computing(BaseModel):
    a: int
    _seen: int = PrivateAttr(5)
    double = computed_field(property(_doubled))

    def model_post_init(self, context: Any, /) -> None:
        self._seen = self.a


class Annotations(BaseModel):
    steps: Annotated[list[Annotated[Step, AfterValidator(_same)]], AfterValidator(tuple)]
    step: Annotated[Step | None, AfterValidator(_same)] = None
    plain: Annotated[int, PlainValidator(_same)] = 0


Tree = TypeAliasType("Tree", "str | int | list[Tree] | dict[str, Tree] | None")
Nest = TypeAliasType("Nest", "list[Nest]")


def _tag(value: Any) -> str:
    return "node" if isinstance(value, dict) and "v" in value else "step"


class Called(BaseModel):
    x: Annotated[Annotated[Node, Tag("node")] | Annotated[Step, Tag("step")], Discriminator(_tag)]


class AliasedX(BaseModel):
    type_: Literal["x"] = Field(alias="type")
    q: int


class AliasedY(BaseModel):
    type_: Literal["y"] = Field(alias="type")
    w: list[int]


class AliasedTags(BaseModel):
    z: Annotated[AliasedX | AliasedY, Field(discriminator="type_")]


class Informed(BaseModel):
    a: int

    @model_validator(mode="after")
    def outside(self, info: ValidationInfo) -> Informed:
        if info.data and info.data.get("p") == 1:
            raise ValueError("p is 1")
        return self


class Informing(BaseModel):
    p: int = 0
    many: list[Informed] = []
    one: Informed | None = None


class PutOff(BaseModel):
    model_config = ConfigDict(defer_build=True)
    a: int
    step: Step | None = None
