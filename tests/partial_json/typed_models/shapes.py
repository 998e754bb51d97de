"""Types by what holds their fields: models, roots, generics, dataclasses, typed dicts and named tuples."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Generic, NamedTuple, NotRequired, Required, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator, with_config
from pydantic.dataclasses import dataclass
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


Tree = TypeAliasType("Tree", "str | int | list[Tree] | dict[str, Tree] | None")
Nest = TypeAliasType("Nest", "list[Nest]")


class PutOff(BaseModel):
    model_config = ConfigDict(defer_build=True)
    a: int
    step: Step | None = None
