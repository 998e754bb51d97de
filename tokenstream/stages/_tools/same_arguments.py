"""Describes validated arguments, so that calls are told to be the same however the model has written them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticSerializationError, to_jsonable_python

from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import OutputInvalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from tokenstream.partial_json._typed.schema import Schema

_FIELDS_OF_MODELS = "model-fields"


def describe_arguments(schema: Schema[Any], text: str) -> str | None:
    """Return a JSON text that is the same for all arguments that are equal once they are validated.

    `100` and `100.0` for a float are equal, as are a default and its absence. The text is that of the
    arguments themselves, with sorted keys, if the model has written them in the usual way.

    Args:
        schema: The schema of the arguments.
        text: The arguments as JSON.

    Returns:
        The text; None if it might be the same for different arguments, or another one for the same: as for
        a type that hides a secret, or whose default is the current time.
    """
    serializer: Any = getattr(schema.slot, "serializer", None)
    if serializer is None or _has_factory(schema.core, is_in_model=False):
        return None
    try:
        described = _describe(serializer, schema.validate_text(text))
        value = schema.validate_text(text)
        # Reading the text again must give an equal value, or else the text does not say all.
        copy = schema.validate_text(serializer.to_json(value, by_alias=True).decode())
        is_faithful = bool(copy == value) and described == _describe(serializer, value)
    except (PydanticSerializationError, OutputInvalid, ValueError, TypeError):
        return None
    return described if is_faithful else None


def _describe(serializer: Any, value: object) -> str:  # noqa: ANN401 - of pydantic_core
    """Return the description of a validated value."""
    # A field that is left out may have a default that differs from time to time.
    written = serializer.to_python(value, by_alias=True, exclude_unset=True, exclude_defaults=True)
    return _to_text(_simplify(written))


def _to_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _simplify(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON, the same one for equal values."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | Decimal):
        return _simplify_number(value)
    if isinstance(value, Mapping):
        fields: Mapping[Any, Any] = cast("Any", value)
        if all(isinstance(key, str) for key in fields):
            return {str(key): _simplify(item) for key, item in fields.items()}
        return sorted(([_simplify(key), _simplify(item)] for key, item in fields.items()), key=_to_text)
    if isinstance(value, set | frozenset | list | tuple):
        items = cast("Collection[Any]", value)
        simplified: list[Any] = [_simplify(item) for item in items]
        return sorted(simplified, key=_to_text) if isinstance(value, set | frozenset) else simplified
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return to_jsonable_python(value)


def _simplify_number(value: float | Decimal) -> float | str:
    """Return a number that is the same for equal numbers: an integer if it is one."""
    if value == int(value):
        return int(value)
    return str(value.normalize()) if isinstance(value, Decimal) else value


def _has_factory(core: object, *, is_in_model: bool) -> bool:
    """Return True if a schema has a default that a function makes, other than in the fields of a model.

    Pydantic tells which fields of a model were left out, but not those of a dataclass.
    """
    if is_dict(core):
        if "default_factory" in core and not is_in_model:
            return True
        kind = core.get("type")
        is_in_model = kind == _FIELDS_OF_MODELS or (is_in_model and kind in (None, "model-field"))
        return any(_has_factory(item, is_in_model=is_in_model) for item in core.values())
    if not isinstance(core, list | tuple):
        return False
    items = cast("Collection[Any]", core)
    return any(_has_factory(item, is_in_model=is_in_model) for item in items)
