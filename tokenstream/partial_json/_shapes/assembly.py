"""Assembly of a pydantic value from values that are validated already.

In the schema of an object or array, the schemas of its values are replaced by
validators that return the values validated before. This schema then reads a text
with the same keys and a number for each value. That runs everything around the
values as usual: missing fields, defaults, unknown keys, lengths, the model's own
validators. The numbers never show: in errors the values replace them again.
"""

from __future__ import annotations

from abc import abstractmethod
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from tokenstream.partial_json._shapes.shape import Inside, Invalid, InvalidEntry, Unsure, ValueStructure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tokenstream.partial_json._shapes.core_schema import CoreSchema
    from tokenstream.partial_json._shapes.shape import Entries, Errors

    Config: TypeAlias = CoreSchema | None
    # The layers around a structure, from the outside in: validators, and the tags for locations.
    Outer: TypeAlias = tuple[SchemaValidator | str, ...]

FAILED = "tokenstream_failed"
"""The type of the placeholder error, which the errors of the entry replace."""

_given: ContextVar[Any] = ContextVar("_given")
"""The values that `hand_out_at` and `given_by_number` return."""


def _hand_out(value: Any) -> Any:  # noqa: ANN401 - any value
    if value.__class__ is InvalidEntry:
        raise PydanticCustomError(FAILED, "the value is invalid")
    return value


def _make_plain_validator(function: Callable[[Any], Any]) -> CoreSchema:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def hand_out_at(key: object) -> CoreSchema:
    """Return a schema that ignores its input and returns the given value at a key."""
    return _make_plain_validator(lambda _: _hand_out(_given.get()[key]))


given_by_number = _make_plain_validator(lambda number: _hand_out(_given.get()[number]))
"""A schema that reads a number and returns the given value at that number."""


def make_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator that follows its schema.

    For a model, pydantic would otherwise use the validator that the model already has.
    """
    make: Any = SchemaValidator
    validator: SchemaValidator = make(schema, config, **find_options())
    return validator


@cache
def find_options() -> dict[str, bool]:
    """Return the options that make this version of pydantic use a validator's own schema."""
    option = {"_use_prebuilt": False}
    make: Any = SchemaValidator
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option


def validate_given(validator: SchemaValidator, text: str, given: Any) -> Any:  # noqa: ANN401 - any value
    """Return the value that a validator makes of a text and of given values.

    Raises:
        ValidationError: They do not fit the validator's schema.
    """
    token = _given.set(given)
    try:
        return validator.validate_json(text)
    finally:
        _given.reset(token)


def strip_ref(schema: CoreSchema) -> CoreSchema:
    """Return a copy of a schema without its reference name, serialization and metadata."""
    return {key: value for key, value in schema.items() if key not in {"ref", "serialization", "metadata"}}


def make_layer_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator for the layer that a schema adds around the schema inside it."""
    return make_validator(strip_ref(schema) | {"schema": hand_out_at(0)}, config)


def convert_errors(error: ValidationError, entries: Entries, raw: Any) -> Errors:  # noqa: ANN401 - any value
    """Return the errors of an assembled value, equal to those of reading it whole.

    Args:
        error: The error of the assembly.
        entries: The entries, by their name in locations.
        raw: The value as plain data.
    """
    out: list[dict[str, Any] | Inside] = []
    for plain in list_errors(error):
        loc = plain["loc"]
        entry = entries.get(loc[0]) if loc else None
        if plain["type"] == FAILED and isinstance(entry, InvalidEntry):
            out.append(Inside(loc, entry.errors))
        elif not loc or (plain["type"] == "missing" and len(loc) == 1):
            out.append({**plain, "input": raw})
        else:
            out.append(plain)
    return tuple(out)


@cache
def is_assembly_sound() -> bool:
    """Return True if this version of pydantic follows a changed schema of a model.

    If a version uses the model's own validator instead, every value is read whole:
    later, but never wrongly.
    """

    class ProbeModel(BaseModel):
        value: int

    schema: Any = ProbeModel.__pydantic_core_schema__
    try:
        made = validate_given(make_layer_validator(schema, None), "0", [({"value": "kept"}, None, {"value"})])
    except ValidationError:
        return False
    return isinstance(made, ProbeModel) and vars(made) == {"value": "kept"}


def list_errors(error: ValidationError) -> tuple[dict[str, Any], ...]:
    """Return pydantic's errors, without their URLs."""
    return tuple({**item} for item in error.errors(include_url=False))


class SchemaPlace(NamedTuple):
    """A schema, its config and the layers around it."""

    schema: CoreSchema
    config: Config
    outer: Outer = ()
    tentative: bool = False
    """True if reading the value whole reports errors differently, so that it must be read again."""

    def inside(self, schema: CoreSchema, *outer: SchemaValidator | str) -> SchemaPlace:
        """Return the place of a schema inside this one."""
        return self._replace(schema=schema, outer=self.outer + outer)


class Assembled(ValueStructure):
    """A structure that pydantic assembles: first the entries, then the layers around them."""

    def __init__(self, place: SchemaPlace) -> None:
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
            value = self._gather(entries)
        except ValidationError as error:
            raise self._make_refusal(
                self.prefix, convert_errors(error, self._locate_entries(entries), raw)
            ) from None
        for validator, prefix in self._around:
            try:
                value = validate_given(validator, "0", (value,))
            except ValidationError as error:
                raise self._make_refusal(prefix, convert_errors(error, {}, raw)) from None
        return value

    def _make_refusal(self, prefix: tuple[str, ...], errors: Errors) -> Invalid | Unsure:
        return Unsure() if self._tentative else Invalid((Inside(prefix, errors),))

    def _locate_entries(self, entries: Entries) -> Entries:
        """Return the entries by their name in locations."""
        return entries

    @abstractmethod
    def _gather(self, entries: Entries) -> Any:  # noqa: ANN401 - any value
        """Return the value of the entries, before the layers around it validate it."""
