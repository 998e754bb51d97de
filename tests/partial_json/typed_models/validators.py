"""Models with validators, defaults and code of their own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    OnErrorOmit,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticOmit, PydanticUseDefault

from tests.partial_json.typed_models.shapes import Step
from tests.partial_json.typed_models.unions import unchanged


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


def default_value(value: Any) -> Any:
    """Return a default that is of another type, until it is validated."""
    return value


@dataclass(config=ConfigDict(extra="forbid", validate_default=True))
class Forbidding:
    a: int
    b: int = default_value("7")

    @field_validator("a")
    @classmethod
    def told(cls, value: int, info: ValidationInfo) -> int:
        return value + len(info.data)


class Initialising(BaseModel):
    a: int

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "a": given.get("a", 4)})


class CheckedDefaults(BaseModel):
    model_config = ConfigDict(validate_default=True)
    a: int = default_value("3")
    steps: list[Step] = default_value([{"title": "d"}])


class WrongDefault(BaseModel):
    model_config = ConfigDict(validate_default=True)
    a: int = default_value("x")
    steps: list[Step] = default_value([{"note": "d"}])


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


def _doubled(model: Any) -> int:
    return int(model.a * 2)


class Computing(BaseModel):
    a: int
    _seen: int = PrivateAttr(5)
    double = computed_field(property(_doubled))

    def model_post_init(self, context: Any, /) -> None:
        self._seen = self.a


class Annotations(BaseModel):
    steps: Annotated[list[Annotated[Step, AfterValidator(unchanged)]], AfterValidator(tuple)]
    step: Annotated[Step | None, AfterValidator(unchanged)] = None
    plain: Annotated[int, PlainValidator(unchanged)] = 0


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
