"""Decode events, and validate every field: a payload need not be from a relay of this library."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
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
    from tokenstream.events import Event

_Reader: TypeAlias = Callable[[Any], Any]


class _Kind(NamedTuple):
    """An event class and the readers of its fields."""

    cls: Any
    required: dict[str, _Reader]
    optional: dict[str, _Reader]


def event_of(payload: dict[str, Any]) -> Event | None:
    """Return the event in a payload; None if its type is unknown.

    Args:
        payload: The decoded payload, a JSON object.

    Raises:
        ProtocolError: A field is missing or invalid.

    Example:
        >>> event_of({"type": "text_delta", "text": "Hel", "part": 2})
        TextDelta(choice=0, part=2, text='Hel')
    """
    name: Any = payload.get("type")
    kind = EVENTS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    # The protocol leaves out the discarded message, which a reader knows from earlier events.
    values: dict[str, Any] = {"discarded": None} if name == "restarted" else {}
    key = ""
    try:
        for key, read in kind.required.items():
            values[FIELDS.get(key, key)] = read(payload[key])
        for key, read in kind.optional.items():
            if key in payload:
                values[FIELDS.get(key, key)] = read(payload[key])
    except KeyError as error:
        msg = f"an event of the type {name!r} lacks its field {error.args[0]!r}"
        raise ProtocolError(msg) from None
    except (TypeError, ValueError, OverflowError):
        msg = f"the field {key!r} of an event of the type {name!r} is not what it must be"
        raise ProtocolError(msg) from None
    event = kind.cls(**values)
    if "step" in payload:
        step = payload["step"]
        if not isinstance(step, str):
            msg = "the id of a step must be text"
            raise ProtocolError(msg)
        event.step = step
    found: Event = event
    return found


# -- fields ----------------------------------------------------------------------


def _read_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value.__class__ is not str:
        raise TypeError
    text: str = value
    return text


def _read_text_or_none(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    return None if value is None else _read_text(value)


def _index(value: Any) -> int:  # noqa: ANN401 - any JSON value
    if value.__class__ is not int or value < 0:
        raise TypeError
    number: int = value
    return number


def _read_truth(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if value.__class__ is not bool:
        raise TypeError
    truth: bool = value
    return truth


def _read_share(value: Any) -> float:  # noqa: ANN401 - any JSON value
    if value.__class__ not in (int, float) or not isfinite(value):
        raise TypeError
    return float(value)


def _read_bytes(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return b64decode(_read_text(value), validate=True)


def _read_any(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value


def _read_object_or_none(value: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any JSON value
    if value is not None and not is_dict(value):
        raise TypeError
    return value


def _read_word(*words: str) -> _Reader:
    def read(value: Any) -> str:  # noqa: ANN401 - any JSON value
        if value not in words:
            raise ValueError
        return _read_text(value)

    return read


# -- values ----------------------------------------------------------------------

_PARTS: dict[str, Any] = {cls.model_fields["kind"].default: cls for cls in get_args(get_args(Part)[0])}


@cache
def _read_blank(kind: str) -> Any:  # noqa: ANN401 - a part
    return _PARTS[kind].model_construct()


def _read_value(cls: Any, value: Any) -> Any:  # noqa: ANN401 - a class of values; any JSON value
    """Validate a value of a class; ignore unknown keys, which may be from another version."""
    if not is_dict(value):
        raise TypeError
    data = {name: inner for name, inner in value.items() if name in cls.model_fields}
    if cls is _message.MediaPart and "data" in data:
        data["data"] = _read_bytes(data["data"])
    try:
        return cls.model_validate(data)
    except ValidationError:
        raise ValueError from None


def _read_part(value: Any) -> Part:  # noqa: ANN401 - any JSON value
    kind = value["kind"] if is_dict(value) else None
    if not isinstance(kind, str) or kind not in _PARTS:
        raise ValueError
    found: Part = _read_blank(kind) if len(value) == 1 else _read_value(_PARTS[kind], value)
    return found


def _read_part_or_none(value: Any) -> Part | None:  # noqa: ANN401 - any JSON value
    return None if value is None else _read_part(value)


def _of(cls: type) -> _Reader:
    return lambda value: _read_value(cls, value)


def _read_message_or_none(value: Any) -> Message | None:  # noqa: ANN401 - any JSON value
    """Validate a message with its parts and usage; None stays None."""
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


def _read_call_or_none(value: Any) -> ToolCall | None:  # noqa: ANN401 - any JSON value
    return None if value is None else _read_value(ToolCall, value)


def _read_error(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return error_of(value) if is_dict(value) else None


# -- events ----------------------------------------------------------------------

_COMMON: dict[str, _Reader] = {"choice": _index, "raw": _read_any}
_OF_PART: dict[str, _Reader] = {**_COMMON, "part": _index}
_CALL: dict[str, _Reader] = {"id": _read_text, "name": _read_text}
FIELDS = {"call_type": "type"}
"""Maps keys in the protocol to fields of events, if they differ: `type` is the type of the event."""

EVENTS: dict[str, _Kind] = {
    "text_delta": _Kind(_events.TextDelta, {"text": _read_text}, _OF_PART),
    "reasoning_delta": _Kind(
        _events.ReasoningDelta, {"text": _read_text}, {"signature": _read_text_or_none, **_OF_PART}
    ),
    "refusal_delta": _Kind(_events.RefusalDelta, {"text": _read_text}, _OF_PART),
    "tool_call_start": _Kind(
        _events.ToolCallStart,
        _CALL,
        {"call_type": _read_text, "provider_data": _read_object_or_none, **_OF_PART},
    ),
    "tool_call_delta": _Kind(_events.ToolCallDelta, {"id": _read_text, "fragment": _read_text}, _OF_PART),
    "tool_call_done": _Kind(_events.ToolCallDone, {"call": _of(ToolCall)}, _OF_PART),
    "part_start": _Kind(_events.PartStart, {"content": _read_part}, _OF_PART),
    "part_delta": _Kind(_events.PartDelta, {"fragment": _read_text}, _OF_PART),
    "part_done": _Kind(_events.PartDone, {}, {"content": _read_part_or_none, **_OF_PART}),
    "citation_added": _Kind(_events.CitationAdded, {"citation": _of(Citation)}, _OF_PART),
    "media_delta": _Kind(_events.MediaDelta, {}, {"data": _read_bytes, "transcript": _read_text, **_OF_PART}),
    "message_start": _Kind(
        _events.MessageStart,
        {},
        {
            "id": _read_text_or_none,
            "model": _read_text_or_none,
            "role": _read_text,
            "another": _read_truth,
            **_COMMON,
        },
    ),
    "usage_update": _Kind(_events.UsageUpdate, {"usage": _of(Usage)}, _COMMON),
    "finish": _Kind(
        _events.Finish,
        {"reason": _read_word(*get_args(FinishReason))},
        {"raw_reason": _read_text_or_none, "message": _read_text_or_none, **_COMMON},
    ),
    "ping": _Kind(_events.Ping, {}, _COMMON),
    "restarted": _Kind(
        _events.Restarted, {}, {"discarded": _read_message_or_none, "error": _read_error, **_COMMON}
    ),
    "resumed": _Kind(
        _events.Resumed,
        {},
        {"mode": _read_word("resume", "continue"), "dropped": _index, "confidence": _read_share, **_COMMON},
    ),
    "stopped": _Kind(_events.Stopped, {"reason": _read_text}, _COMMON),
    "step_start": _Kind(
        _events.StepStart,
        {"id": _read_text, "name": _read_text},
        {"parent": _read_text_or_none, "agent": _read_text_or_none, "cause": _read_call_or_none, **_COMMON},
    ),
    "step_done": _Kind(
        _events.StepDone,
        {"id": _read_text},
        {"state": _read_word("done", "failed", "stopped"), "error": _read_text_or_none, **_COMMON},
    ),
    "unknown": _Kind(
        _events.Unknown,
        {"name": _read_text, "data": _read_any},
        {"kind": _read_word("event", "field", "items"), "shared": _read_truth, **_COMMON},
    ),
}
"""Maps types of events to their class and fields."""
