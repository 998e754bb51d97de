"""Assembly of a pydantic value from values that have already been validated.

The schema of an object or array is changed: the schemas of the values in it are replaced
by validators that return the values validated before, the *known values*. The changed schema
then reads a text with the same keys, but with a number for each value. This way pydantic itself
does everything around the values: missing fields, defaults, unknown keys, lengths, the
validators of a model. The numbers are never visible: in errors, the values replace them.
"""

from __future__ import annotations

from abc import abstractmethod
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator

from tokenstream.partial_json._shapes.shape import (
    ContextNeeded,
    InvalidEntry,
    InvalidValue,
    NestedErrors,
    ValueStructure,
)
from tokenstream.partial_json._shapes.write import find_schema_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._shapes.core_schema import CoreSchema
    from tokenstream.partial_json._shapes.shape import Entries, ErrorDetails, FoundErrors

    Config: TypeAlias = CoreSchema | None
    # The layers around a structure, from the outside in: validators, and tags for the locations of errors.
    Layers: TypeAlias = tuple[SchemaValidator | str, ...]

FAILED = "tokenstream_failed"
"""The type of the error that stands for the errors of a value which was found invalid before."""

_known_values: ContextVar[Any] = ContextVar("_known_values")
"""The values that were validated before, by key or number; called "known values" below."""


def _get_known(value: object) -> object:
    """Return a value that was validated before; raise an error if it was found invalid (`InvalidEntry`).

    The error is a placeholder, which `convert_errors` replaces by the value's own errors.
    """
    if value.__class__ is InvalidEntry:
        raise PydanticCustomError(FAILED, "the value is invalid")
    return value


def _make_plain_validator(function: Callable[[Any], Any]) -> CoreSchema:
    """Return a core schema that passes the input to a function, and takes its result as the value."""
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def make_known_value_schema(key: object) -> CoreSchema:
    """Return a schema that takes a value validated before, whatever its input is.

    The value is the one that `validate_with_known` has passed for the key. With such schemas, pydantic
    assembles an object without validating the values in it again.
    """
    # `_known_values` has these values while a validator runs.
    return _make_plain_validator(lambda _: _get_known(_known_values.get()[key]))


KNOWN_BY_NUMBER = _make_plain_validator(lambda number: _get_known(_known_values.get()[number]))
"""A schema that reads the number of a value validated before (a known value), and returns that value."""


def make_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator that follows a changed schema, also for a model that has a validator of its own."""
    # The options keep pydantic from using a model's own validator, which does not know replaced parts.
    make: Any = SchemaValidator
    validator: SchemaValidator = make(schema, config, **find_schema_options(make))
    return validator


def validate_with_known(validator: SchemaValidator, text: str, known_values: object) -> Any:  # noqa: ANN401 - any value
    """Return an object or array made of values validated before, for which numbers stand in `text`."""
    # The functions in the validator's schema look the values up in this variable.
    token = _known_values.set(known_values)
    try:
        return validator.validate_json(text)
    finally:
        _known_values.reset(token)


def strip_ref(schema: CoreSchema) -> CoreSchema:
    """Return a copy of a schema, to be changed, without its reference name, serialization and metadata."""
    return {key: value for key, value in schema.items() if key not in {"ref", "serialization", "metadata"}}


def make_layer_validator(schema: CoreSchema, config: Config) -> SchemaValidator:
    """Return a validator that does only the work of a wrapper around a value, such as calling a constructor.

    It does not validate the value again, but takes the value that `validate_with_known` passes.
    """
    return make_validator(strip_ref(schema) | {"schema": make_known_value_schema(0)}, config)


def convert_errors(error: ValidationError, entries: Entries, plain_data: object) -> FoundErrors:
    """Return the errors of an object or array that could not be assembled from the values in it.

    They equal the errors of validating the object or array as a whole.
    """
    out: list[ErrorDetails | NestedErrors] = []
    for item in list_errors(error):
        loc = item["loc"]
        entry = entries.get(loc[0]) if loc else None
        if item["type"] == FAILED and isinstance(entry, InvalidEntry):
            # The invalid value's own errors, in place of the placeholder.
            out.append(NestedErrors(loc, entry.errors))
        elif not loc or (item["type"] == "missing" and len(loc) == 1):
            # The error is about the whole object or array. pydantic's input was a text in which numbers
            # stand for the values, so the error gets the real data.
            out.append({**item, "input": plain_data})
        else:
            out.append(item)
    return tuple(out)


@cache
def is_assembly_sound() -> bool:
    """Return True if this version of pydantic validates by a model's schema as this library has changed it.

    If pydantic uses the model's own validator instead, every value is read as a whole: validated
    later, but never wrongly.
    """

    class ProbeModel(BaseModel):
        # Set to a text below.
        value: int

    schema: Any = ProbeModel.__pydantic_core_schema__
    try:
        validator = make_layer_validator(schema, config=None)
        # The known value has the form of a model's data: fields, extra data, names of the fields set.
        # The text in place of an int shows that pydantic does not validate the field again.
        made = validate_with_known(validator, "0", [({"value": "kept"}, None, {"value"})])
    except ValidationError:
        return False
    return isinstance(made, ProbeModel) and vars(made) == {"value": "kept"}


def list_errors(error: ValidationError) -> tuple[ErrorDetails, ...]:
    return tuple({**item} for item in error.errors(include_url=False))


class LayeredSchema(NamedTuple):
    """The schema of an object or array, and the layers around it, which act once the object is assembled.

    The layers are listed from the outside in. A layer is the validator of a wrapper, such as a model around
    its fields, or a str: the tag of a union's member, which is part of the locations of errors.
    """

    schema: CoreSchema
    config: Config
    layers: Layers = ()
    tentative: bool = False
    """True if the assembly gives other errors than reading the value as a whole: then it is read again."""

    def inside(self, schema: CoreSchema, *layers: SchemaValidator | str) -> LayeredSchema:
        """Return the layered schema of a schema inside this one; `layers` are the layers between the two."""
        return self._replace(schema=schema, layers=self.layers + layers)


class AssembledStructure(ValueStructure):
    """Assembles an object or array from its validated values with pydantic, and then applies the layers.

    Args:
        layered: The schema of the object or array, with the layers around it: the wrappers' validators,
            and tags of unions.
    """

    def __init__(self, layered: LayeredSchema) -> None:
        self._tentative = layered.tentative
        """True if only reading the value as a whole gives its errors."""
        # The tags of the union members around the value, with which the locations of errors begin.
        prefix: list[str] = []
        around: list[tuple[SchemaValidator, tuple[str, ...]]] = []
        for layer in layered.layers:
            if isinstance(layer, str):
                prefix.append(layer)
            else:
                around.append((layer, tuple(prefix)))
        self._around = around[::-1]
        """The validators of the layers, the innermost first, each with the tags outside of it."""
        self.prefix = tuple(prefix)

    def assemble(self, entries: Entries, plain_data: object) -> object:
        """Return the object or array made of validated values, after each wrapper around it has validated it.

        The wrappers are the layers of `LayeredSchema`, such as a model around its fields.
        """
        try:
            value = self._gather(entries)
        except ValidationError as error:
            errors = convert_errors(error, self._locate_entries(entries), plain_data)
            raise self._make_refusal(self.prefix, errors) from None
        # From the inside out: each layer validates the value that the layers inside it have made. The
        # text "0" stands for that value.
        for validator, prefix in self._around:
            try:
                value = validate_with_known(validator, "0", (value,))
            except ValidationError as error:
                raise self._make_refusal(prefix, convert_errors(error, {}, plain_data)) from None
        return value

    def _make_refusal(self, prefix: tuple[str, ...], errors: FoundErrors) -> InvalidValue | ContextNeeded:
        """Return the exception to raise for an invalid object or array.

        Usually it is `InvalidValue` with the errors, whose locations get `prefix` in front. For a member of
        a union (`tentative`), it is `ContextNeeded`: only the whole union has the right errors.
        """
        return ContextNeeded() if self._tentative else InvalidValue((NestedErrors(prefix, errors),))

    def _locate_entries(self, entries: Entries) -> Entries:
        """Return the values so far (`entries`), under the names that the locations of errors use."""
        return entries

    @abstractmethod
    def _gather(self, entries: Entries) -> object:
        """Return the object or array made of its entries (values by key), before any layer validates it."""
