"""Models by the keys of their documents: aliases, and keys that are extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from tests.partial_json.typed_models.shapes import Step


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


class ByFieldName(BaseModel):
    model_config = ConfigDict(loc_by_alias=False)
    a: int = Field(alias="AA")
    steps: list[Step] = Field(alias="SS", default=[])
