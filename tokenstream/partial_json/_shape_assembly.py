"""Putting a pydantic value together from values that are validated already.

A schema is taken apart where an object or array has its values: in their places
it gets validators that hand out what was validated before. Reading a text of the
same keys, with a number for each value, then does what reading the whole text
does around the values: what is missing, defaults, unknown keys, lengths, the
model's own validators. The numbers never show: errors get the values back.
"""

from __future__ import annotations

from abc import abstractmethod
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from tokenstream.partial_json._shape import Failed, Inside, Invalid, Structure, Unsure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tokenstream.partial_json._shape import Entries, Errors
    from tokenstream.partial_json._shape_schema import CoreSchema

    Config: TypeAlias = CoreSchema | None
    # What is around a structure, from the outside in: validators, and the tags that locations get.
    Outer: TypeAlias = tuple[SchemaValidator | str, ...]

__all__ = [
    "FAILED",
    "Assembled",
    "Place",
    "assembled",
    "given_at",
    "given_by_number",
    "is_assembly_sound",
    "make_validator",
    "plain_errors",
    "step",
    "told",
    "without_ref",
]

FAILED = "tokenstream_failed"
"""The type of the error that stands for those of an entry, until they are put in its place."""

_given: ContextVar[Any] = ContextVar("_given")
"""What the validators that hand something out are to hand out."""


def _handed_out(value: Any) -> Any:  # noqa: ANN401 - any value
    if value.__class__ is Failed:
        raise PydanticCustomError(FAILED, "the value is invalid")
    return value


def _plain(function: Callable[[Any], Any]) -> CoreSchema:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def given_at(key: object) -> CoreSchema:
    """Return a schema that hands out what is given at a key, whatever it reads."""
    return _plain(lambda _: _handed_out(_given.get()[key]))


given_by_number = _plain(lambda number: _handed_out(_given.get()[number]))
"""A schema that hands out what is given at the number that it reads."""


def make_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator that does what its schema says.

    A model's schema would otherwise be passed over for the validator that the model has.
    """
    make: Any = SchemaValidator
    validator: SchemaValidator = make(schema, config, **options())
    return validator


@cache
def options() -> dict[str, bool]:
    """Return what makes this pydantic use the schema that a validator is made of."""
    option = {"_use_prebuilt": False}
    make: Any = SchemaValidator
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option


def assembled(validator: SchemaValidator, text: str, given: Any) -> Any:  # noqa: ANN401 - any value
    """Return what a validator makes of a text, with what it is given.

    Raises:
        ValidationError: It makes nothing of it.
    """
    token = _given.set(given)
    try:
        return validator.validate_json(text)
    finally:
        _given.reset(token)


def without_ref(schema: CoreSchema) -> CoreSchema:
    """Return a schema that nothing refers to."""
    return {key: value for key, value in schema.items() if key not in {"ref", "serialization", "metadata"}}


def step(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator for what a schema does around the one inside it."""
    return make_validator(without_ref(schema) | {"schema": given_at(0)}, config)


def told(error: ValidationError, entries: Entries, raw: Any) -> Errors:  # noqa: ANN401 - any value
    """Return what is wrong with an assembled value, as reading the whole tells it.

    Args:
        error: What went wrong.
        entries: What had come, by what a location names it.
        raw: The value as plain data.
    """
    out: list[dict[str, Any] | Inside] = []
    for plain in plain_errors(error):
        loc = plain["loc"]
        entry = entries.get(loc[0]) if loc else None
        if plain["type"] == FAILED and isinstance(entry, Failed):
            out.append(Inside(loc, entry.errors))
        elif not loc or (plain["type"] == "missing" and len(loc) == 1):
            out.append({**plain, "input": raw})
        else:
            out.append(plain)
    return tuple(out)


@cache
def is_assembly_sound() -> bool:
    """Tell whether this pydantic lets a model's schema be taken apart.

    Where it should one day use the model's own validator all the same, every
    value is read whole: later, but never wrongly.
    """

    class Probe(BaseModel):
        value: int

    schema: Any = Probe.__pydantic_core_schema__
    try:
        made = assembled(step(schema, None), "0", [({"value": "kept"}, None, {"value"})])
    except ValidationError:
        return False
    return isinstance(made, Probe) and vars(made) == {"value": "kept"}


def plain_errors(error: ValidationError) -> tuple[dict[str, Any], ...]:
    """Return what is wrong, as pydantic tells it."""
    return tuple({**item} for item in error.errors(include_url=False))


class Place(NamedTuple):
    """A schema, and what is around it."""

    schema: CoreSchema
    config: Config
    outer: Outer = ()
    tentative: bool = False
    """Whether errors are told in another way where the value is read whole."""

    def inside(self, schema: CoreSchema, *outer: SchemaValidator | str) -> Place:
        """Return the place of a schema inside this one."""
        return self._replace(schema=schema, outer=self.outer + outer)


class Assembled(Structure):
    """A structure that pydantic puts together: first what holds the entries, then what is around that."""

    def __init__(self, place: Place) -> None:
        self._tentative = place.tentative
        prefix: list[str] = []
        around: list[tuple[SchemaValidator, tuple[str, ...]]] = []
        for outer in place.outer:
            if isinstance(outer, str):
                prefix.append(outer)
            else:
                around.append((outer, tuple(prefix)))
        self._around = around[::-1]
        self.prefix = tuple(prefix)

    def assemble(self, entries: Entries, raw: Any) -> Any:  # noqa: ANN401 - any value
        try:
            value = self._gathered(entries)
        except ValidationError as error:
            raise self._refusal(self.prefix, told(error, self._located(entries), raw)) from None
        for validator, prefix in self._around:
            try:
                value = assembled(validator, "0", (value,))
            except ValidationError as error:
                raise self._refusal(prefix, told(error, {}, raw)) from None
        return value

    def _refusal(self, prefix: tuple[str, ...], errors: Errors) -> Invalid | Unsure:
        return Unsure() if self._tentative else Invalid((Inside(prefix, errors),))

    def _located(self, entries: Entries) -> Entries:
        """Return the entries by what locations call them."""
        return entries

    @abstractmethod
    def _gathered(self, entries: Entries) -> Any:  # noqa: ANN401 - any value
        """Return what the entries make, before what is around is asked."""
