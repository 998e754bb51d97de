"""Serialization of finished values to JSON, each as its type defines it."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import PydanticSerializationError, SchemaSerializer, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.partial_json._shapes.core_schema import CoreSchema


@cache
def find_schema_options(make: Any) -> dict[str, bool]:  # noqa: ANN401 - SchemaValidator or SchemaSerializer
    """Return the keyword arguments with which `make` follows the schema that it gets.

    Without them, pydantic would use the validator or the serializer that a model already has. The result
    is empty if this version of pydantic does not have the option.
    """
    option = {"_use_prebuilt": False}
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option


ByAlias: TypeAlias = bool | None
"""True to write fields under their aliases, False under their names, None as each type defines it."""

_KEYS_TO_STRIP = frozenset({"serialization", "ref", "metadata"})

write_string = json.encoder.encode_basestring

_decode_at = json.JSONDecoder().raw_decode


def write_plain_json(value: object, by_alias: ByAlias = None) -> str:
    """Return the JSON of a value of unknown type; NaN and infinities become null.

    If `by_alias` is True, fields are written under their aliases.
    """
    try:
        return to_json(value, by_alias=bool(by_alias), inf_nan_mode="null").decode()
    except PydanticSerializationError:
        # The value contains half a surrogate pair, which UTF-8 cannot encode.
        return json.dumps(_replace_nonfinite(value), default=_to_builtin, separators=(",", ":"))


def _to_builtin(value: object) -> object:
    """Return plain data for a value that `json` cannot write."""
    # An object that pydantic cannot write, either, becomes its str.
    return json.loads(to_json(value, inf_nan_mode="null", fallback=str))


def _replace_nonfinite(value: object) -> object:
    plain: Any = value
    if isinstance(value, dict):
        return {str(key): _replace_nonfinite(inner) for key, inner in plain.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(inner) for inner in plain]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def serialize(serializer: Any, value: object, by_alias: ByAlias, **options: object) -> str:  # noqa: ANN401 - any value
    alias_option = by_alias if _takes_none() else bool(by_alias)
    made: bytes = serializer.to_json(value, by_alias=alias_option, warnings=False, **options)
    return made.decode()


@cache
def _takes_none() -> bool:
    """Return True if this version of pydantic accepts `by_alias=None`."""
    serializer: Any = SchemaSerializer({"type": "any"})
    try:
        serializer.to_json(0, by_alias=None)
    except TypeError:
        return False
    return True


def make_serializer(schema: CoreSchema, config: CoreSchema | None, *, use_prebuilt: bool = True) -> object:
    make: Any = SchemaSerializer
    return make(schema, config, **({} if use_prebuilt else find_schema_options(make)))


class FieldWriter:
    """Writes those fields of an unfinished object for which the class has serializer methods.

    The methods are called on a substitute: an object of the class with the fields that have arrived.

    Args:
        names: The fields.
        serializer: The serializer of objects of the class, field by field.
    """

    def __init__(self, cls: type, names: frozenset[str], serializer: object) -> None:
        self._cls = cls
        self.names = names
        self._serializer = serializer

    def write(self, name: str, fields_so_far: Mapping[str, Any], by_alias: ByAlias) -> str | None:
        """Return a field's value as JSON; None if the field is left out."""
        try:
            text = serialize(self._serializer, self._make_stand_in(fields_so_far), by_alias, include={name})
        except PydanticSerializationError:
            # The method may need a field that has not arrived.
            return write_plain_json(fields_so_far[name], by_alias)
        if text == "{}":
            return None
        # The text is an object with one field: cut the value out of it, after the key and its colon.
        _, key_end = _decode_at(text, 1)
        return text[key_end + 1 : -1]

    def _make_stand_in(self, fields: Mapping[str, Any]) -> object:
        """Return an object of the class with only these fields, made without its constructor."""
        cls: Any = self._cls
        stand_in: Any = cls.__new__(cls)
        # The class may be frozen, or check assignments.
        set_attribute = object.__setattr__
        if hasattr(cls, "__pydantic_fields_set__"):
            set_attribute(stand_in, "__dict__", dict(fields))
            set_attribute(stand_in, "__pydantic_fields_set__", set(fields))
            set_attribute(stand_in, "__pydantic_extra__", None)
            set_attribute(stand_in, "__pydantic_private__", None)
        else:
            for name, value in fields.items():
                set_attribute(stand_in, name, value)
        return stand_in


def find_special_fields(schemas: Mapping[str, CoreSchema]) -> frozenset[str]:
    """Return the fields that have a serializer method, or a condition under which they are left out."""
    found: set[str] = set()
    for name, field in schemas.items():
        schema: CoreSchema = field["schema"]
        # The serializer is in the outermost of the schemas that wrap the value's own and have one.
        while "serialization" not in schema and isinstance(schema.get("schema"), dict):
            schema = schema["schema"]
        by_method = schema.get("serialization", {}).get("is_field_serializer", False)
        if by_method or field.get("serialization_exclude_if") is not None:
            found.add(name)
    return frozenset(found)


def strip_serializers(schema: CoreSchema, inner: CoreSchema) -> CoreSchema:
    """Return the schema of a class without its computed fields and the serializers of whole objects.

    A serializer of this schema writes single fields, also of an object that is not finished.
    """
    layers = {key: value for key, value in schema.items() if key not in _KEYS_TO_STRIP}
    without = _KEYS_TO_STRIP | {"computed_fields"}
    return layers | {"schema": {key: value for key, value in inner.items() if key not in without}}
