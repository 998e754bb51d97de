"""Values as they are sent: JSON that every parser accepts, and errors without private messages."""

from __future__ import annotations

from copy import copy
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.events import ToolResult

_MAX_BITS = 14_284
"""The size of the largest integers that have at most 4,300 digits, more than which no reader takes."""


def prepare_result(event: ToolResult, *, raw: bool) -> ToolResult:
    """Return a tool's result with a JSON value as its output; the event itself is not changed.

    Without `raw`, the message of an exception, which may be private, is left out.
    """
    error = event.error if raw or event.error is None else keep_class_name(event.error)
    prepared = copy(event)
    prepared.output, prepared.error = to_json_value(event.output), error
    return prepared


def replace_unsound(value: object) -> Json:
    """Return a value with everything that JSON cannot express replaced by null."""
    if is_dict(value):
        return {str(key): replace_unsound(inner) for key, inner in value.items()}
    if is_list(value):
        return [replace_unsound(inner) for inner in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else None
    return value if isinstance(value, str) else None


def parse_object(text: str) -> JsonObject | None:
    """Return the JSON object that a text is, an empty one for an empty text; None for any other text."""
    try:
        value = decode(text or "{}")
    except ProtocolError:
        return None
    return value if is_dict(value) else None


def keep_class_name(words: str) -> str:
    """Return the class name from a text like `Class: message`; the message may be private.

    Any other text is returned unchanged: the errors of tools and unfinished steps are written for users.
    """
    name, colon, _ = words.partition(":")
    return name if colon and all(each.isidentifier() for each in name.split(".")) else words


def to_json_value(value: Any) -> Json:  # noqa: ANN401 - whatever the caller has, such as a tool's output
    """Return a value of the caller as a JSON value.

    An object that JSON cannot express becomes the name of its class.
    """
    if value is None or value.__class__ is str:
        return value
    try:
        plain = to_jsonable_python(value, bytes_mode="base64", fallback=_name_class)
    except ValueError:
        # The value contains itself, or is nested too deeply.
        return _name_class(value)
    return replace_unsound(plain)


def to_json_object(value: JsonObject) -> JsonObject:
    """Return a dict of the caller as a JSON object; a value in it that is no JSON is its class's name."""
    return {str(key): to_json_value(inner) for key, inner in value.items()}


def _name_class(value: object) -> str:
    return type(value).__name__
