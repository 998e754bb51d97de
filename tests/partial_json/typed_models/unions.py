"""Unions, told apart by tags or by trying."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from tests.partial_json.typed_models.shapes import Node, Recipe, Step, Steps


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


Nested = Annotated[Annotated[OneA | TwoA, Field(discriminator="s")] | B, Field(discriminator="k")]


def unchanged(value: Any) -> Any:
    return value


class Unions(BaseModel):
    a: list[Step] | str | None = None
    b: Step | int = 0
    c: dict[str, Step] | list[int] | None = None
    d: Step | Recipe | None = None
    e: Annotated[Step, AfterValidator(unchanged)] | int = 0
    f: Steps | int = 0


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
