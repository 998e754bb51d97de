"""Assembly of a pydantic value from values that have already been validated.

The schema of an object or array is changed: the schemas of the values in it are replaced
by validators that return the values validated before. The changed schema then reads a
text with the same keys, but with a number for each value. This way pydantic itself
does everything around the values: missing fields, defaults, unknown keys, lengths, the
validators of a model. The numbers are never visible: in errors, the values replace them.
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
    # The layers around a structure, from the outside in: validators, and tags for the locations of errors.
    Outer: TypeAlias = tuple[SchemaValidator | str, ...]

FAILED = "tokenstream_failed"
"""The type of a placeholder error, which is replaced by the errors of the entry itself."""

_given: ContextVar[Any] = ContextVar("_given")
"""The values that `hand_out_at` and `given_by_number` return; called "given" below."""


def _hand_out(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a given value; raise the placeholder error if it is invalid."""
    if value.__class__ is InvalidEntry:
        raise PydanticCustomError(FAILED, "the value is invalid")
    return value


def _make_plain_validator(function: Callable[[Any], Any]) -> CoreSchema:
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def hand_out_at(key: object) -> CoreSchema:
    """Return a schema that ignores its input, and returns the given value at a key."""
    return _make_plain_validator(lambda _: _hand_out(_given.get()[key]))


given_by_number = _make_plain_validator(lambda number: _hand_out(_given.get()[number]))
"""A schema that reads a number, and returns the given value at that number."""


def make_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator that follows its schema.

    Otherwise, pydantic would use the validator that a model already has.
    """
    make: Any = SchemaValidator
    validator: SchemaValidator = make(schema, config, **find_options())
    return validator


@cache
def find_options() -> dict[str, bool]:
    """Return the options with which this version of pydantic follows the schema of a validator."""
    option = {"_use_prebuilt": False}
    make: Any = SchemaValidator
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option


def validate_given(validator: SchemaValidator, text: str, given: Any) -> Any:  # noqa: ANN401 - any value
    """Return the value that a validator makes of a text and of the given values.

    Raises:
        ValidationError: The text and the values do not fit the validator's schema.
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
    """Return a validator of the layer that a schema adds around the schema inside it."""
    return make_validator(strip_ref(schema) | {"schema": hand_out_at(0)}, config)


def convert_errors(error: ValidationError, entries: Entries, raw: Any) -> Errors:  # noqa: ANN401 - any value
    """Return the errors of an assembled value, equal to the errors of validating it as a whole.

    Args:
        error: The error of the assembly.
        entries: The entries, by their names in locations.
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
    """Return True if this version of pydantic follows the changed schema of a model.

    If it uses the model's own validator instead, every value is read as a whole: later, but
    never wrongly.
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
