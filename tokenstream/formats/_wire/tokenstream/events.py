"""Convert payloads to events, and validate every field: another program may have sent the payload."""

from __future__ import annotations

import re
from ast import literal_eval
from base64 import b64decode
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args

from pydantic import ValidationError

from tokenstream import events as _events
from tokenstream import message as _message
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import ProtocolError
from tokenstream.formats._wire.tokenstream.words import error_of
from tokenstream.message import Citation, FinishReason, Message, Part, ToolCall, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.events import Event

_Reader: TypeAlias = Callable[[Any], Any]
"""Returns a JSON value as the value of a field; raises TypeError or ValueError for an invalid one."""


class _EventType(NamedTuple):
    """A class of events, with a function for each of its fields that reads the field's value from JSON.

    The functions are found by the keys that the fields have in the protocol.
    """

    cls: Any
    required: dict[str, _Reader]
    optional: dict[str, _Reader]


def event_of(payload: dict[str, Any]) -> Event | None:
    """Return the event in a payload; None if its type is unknown.

    Raises:
        ProtocolError: A field is missing or invalid.

    Example:
        >>> event_of({"type": "text_delta", "text": "Hel", "part": 2})
        TextDelta(choice=0, part=2, text='Hel')
    """
    name: Any = payload.get("type")
    event_type = EVENTS.get(name) if isinstance(name, str) else None
    if event_type is None:
        return None
    # A relay need not send the discarded message, which a reader knows from earlier events.
    values: dict[str, Any] = {"discarded": None} if name == "restarted" else {}
    # The key of the field being read; errors name it. `FIELDS` has the keys that are not the field's name.
    key = ""
    try:
        for key, read in event_type.required.items():
            values[FIELDS.get(key, key)] = read(payload[key])
        for key, read in event_type.optional.items():
            if key in payload:
                values[FIELDS.get(key, key)] = read(payload[key])
    except KeyError as error:
        msg = f"an event of the type {name!r} lacks its field {error.args[0]!r}"
        raise ProtocolError(msg) from None
    except (TypeError, ValueError, OverflowError):
        msg = f"the field {key!r} of an event of the type {name!r} is not what it must be"
        raise ProtocolError(msg) from None
    event: Event = event_type.cls(**values)
    if "step" in payload:
        step = payload["step"]
        if not isinstance(step, str):
            msg = "the id of a step must be text"
            raise ProtocolError(msg)
        event.step = step
    return event


# -- fields ----------------------------------------------------------------------


def _read_text(value: Json) -> str:
    if value.__class__ is not str:
        raise TypeError
    text: str = value
    return text


def _read_index(value: Json) -> int:
    if value.__class__ is not int or value < 0:
        raise TypeError
    number: int = value
    return number


def _read_bool(value: Json) -> bool:
    if value.__class__ is not bool:
        raise TypeError
    truth: bool = value
    return truth


def _read_number(value: Json) -> float:
    if value.__class__ not in (int, float) or not isfinite(value):
        raise TypeError
    return float(value)


def _read_bytes(value: object) -> bytes:
    return b64decode(_read_text(value), validate=True)


def _read_any(value: object) -> Json:
    return value


def _read_object(value: object) -> dict[str, Any]:
    if not is_dict(value):
        raise TypeError
    return value


def _word_reader(*words: str) -> _Reader:
    """Return a function that reads a field whose value must be one of several words."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError
        return _read_text(value)

    return read


# -- values ----------------------------------------------------------------------

_PARTS: dict[str, Any] = {cls.model_fields["kind"].default: cls for cls in get_args(get_args(Part)[0])}


@cache
def _blank_part(kind: str) -> Any:  # noqa: ANN401 - a part
    """Return an empty part of a kind, which all answers share."""
    return _PARTS[kind].model_construct()


def _read_value(cls: Any, value: Json) -> Any:  # noqa: ANN401 - a class of values
    """Return a JSON object as an instance of a class; ignore keys that this version does not know.

    Raises:
        TypeError: The value is not an object.
        ValueError: A field of the object is invalid.
    """
    if not is_dict(value):
        raise TypeError
    data = {name: inner for name, inner in value.items() if name in cls.model_fields}
    if cls is _message.MediaPart and "data" in data:
        data["data"] = _read_bytes(data["data"])
    try:
        return cls.model_validate(data)
    except ValidationError:
        raise ValueError from None


def _read_part(value: Json) -> Part:
    """Return a JSON object as a part of its `kind`; raise ValueError if no part has this kind."""
    kind = value["kind"] if is_dict(value) else None
    if not isinstance(kind, str) or kind not in _PARTS:
        raise ValueError
    # An object with only its kind is an empty part, the usual start of a part.
    part: Part = _blank_part(kind) if len(value) == 1 else _read_value(_PARTS[kind], value)
    return part


def _reader_of(cls: type) -> _Reader:
    """Return a function that reads a field whose value is a JSON object, as an instance of a class."""
    return lambda value: _read_value(cls, value)


def _read_message(value: Json) -> Message | None:
    """Return a JSON object as a message with its parts and usage.

    Raises:
        TypeError: The value is not an object, or its parts are not a list.
        ValueError: A field of the message is invalid.
    """
    if value is None:
        return None
    if not is_dict(value):
        raise TypeError
    data: dict[str, Any] = {**value}
    if "parts" in data:
        if not is_list(data["parts"]):
            raise TypeError
        data["parts"] = tuple(_read_part(part) for part in data["parts"])
    if data.get("usage") is not None:
        data["usage"] = _read_value(Usage, data["usage"])
    message: Message = _read_value(Message, data)
    return message


def _read_error(value: object) -> Json:
    """Return the `StreamError` that a JSON object describes; None for any other value."""
    return error_of(value) if is_dict(value) else None


# -- events ----------------------------------------------------------------------

FIELDS = {"call_type": "type"}
"""Maps keys in the protocol to fields of events, if they differ: `type` is the type of the event."""
_KEYS = {field: key for key, field in FIELDS.items()}
_READERS: dict[str, _Reader] = {
    "Any": _read_any,
    "Citation": _reader_of(Citation),
    "FinishReason": _word_reader(*get_args(FinishReason)),
    "Message": _read_message,
    "Part": _read_part,
    "StreamError": _read_error,
    "ToolCall": _reader_of(ToolCall),
    "Usage": _reader_of(Usage),
    "bool": _read_bool,
    "bytes": _read_bytes,
    "dict[str, Any]": _read_object,
    "float": _read_number,
    "int": _read_index,
    "str": _read_text,
}
"""Maps the annotations of events' fields to functions that read the values."""
_LEFT_OUT = frozenset({"discarded"})
"""Fields without a default that a relay need not send, because a reader knows them from earlier events."""


def _read_field(annotation: str) -> _Reader:
    """Return the function that reads a field; None stays None if the annotation allows it."""
    inner = annotation.removesuffix(" | None")
    is_literal = inner.startswith("Literal[")
    read = _word_reader(*literal_eval(inner.removeprefix("Literal"))) if is_literal else _READERS[inner]
    return read if inner == annotation else lambda value: None if value is None else read(value)


def _event_type(cls: Any) -> _EventType:  # noqa: ANN401 - a class of events
    """Return a class of events with its fields; the annotation and the default of each say how to read it."""
    required: dict[str, _Reader] = {}
    optional: dict[str, _Reader] = {}
    for field in fields(cls):
        if field.type != "None":
            is_required = field.default is MISSING and field.name not in _LEFT_OUT
            target = required if is_required else optional
            target[_KEYS.get(field.name, field.name)] = _read_field(str(field.type))
    return _EventType(cls, required, optional)


EVENTS: dict[str, _EventType] = {
    re.sub(r"\B([A-Z])", r"_\1", cls.__name__).lower(): _event_type(cls) for cls in get_args(_events.Event)
}
"""Maps types of events to their class and fields: `text_delta` to `TextDelta`."""
