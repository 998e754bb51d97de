"""Convert payloads of the protocol to events, endings and errors, and validate every field."""

from __future__ import annotations

import re
from ast import literal_eval
from base64 import b64decode
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from pydantic import ValidationError

from tokenstream import errors as _errors
from tokenstream import events as _events
from tokenstream import message as _message
from tokenstream._basics.error_marks import add_sentence, notice_of
from tokenstream._basics.untrusted import float_of, int_of, is_dict, is_list, text_of
from tokenstream._values.error_kinds import clause_for
from tokenstream.errors import (
    AnswerFailure,
    AnswerRejected,
    ConnectError,
    CostExceeded,
    ErrorKind,
    LimitExceeded,
    Outcome,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamStalled,
)
from tokenstream.formats._kit.values import mend_surrogates
from tokenstream.message import Citation, FinishReason, Message, Part, ToolCall, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.events import Event
    from tokenstream.message import Ending

CONTROL = frozenset({"end", "error", "live"})
"""Types of records that are not events: the answer's end or error, and the position where a replay ends."""

_MAX_MESSAGE, _MAX_WORD = 500, 100
"""The longest message of an error, and the longest code or other word, that is read; the rest is cut off."""
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_ERRORS: dict[str, type[StreamError]] = {
    name: found
    for name in (*_errors.__all__, "PurseUnavailable")
    if isinstance(found := getattr(_errors, name), type) and issubclass(found, StreamError)
}
_DETAIL_KEYS = {
    "code": "code",
    "error_type": "type",
    "status": "status",
    "limit": "limit",
    "value": "value",
    "stage": "stage",
    "outcome": "outcome",
    "event": "event",
    "offset": "offset",
}
"""Maps keys in the protocol to attributes that only some classes of errors have."""
_WORD = re.compile(r"[\w-]{1,100}(?:\.[A-Z][\w-]{0,100}){0,3}", re.ASCII)
"""A code or type of an error, such as `Throttling.RateQuota`; the name of a host does not match."""
_ENDS: dict[str, Ending] = {"complete": "complete", "stopped": "stopped"}
"""The endings that a record of the type "end" may state."""

_ValueReader: TypeAlias = Callable[[Any], Any]
"""Returns a JSON value as the value of a field; raises TypeError or ValueError for an invalid one."""


@dataclass(frozen=True, slots=True)
class End:
    """The last record of an answer: how it ended.

    Example:
        >>> End("complete").error is None
        True
    """

    ending: Ending
    error: StreamError | None = None


def error_fields(error: AnswerFailure, *, raw: bool = False) -> JsonObject:
    """Return an error as a JSON object of the protocol.

    By default, the provider's message, which may be private, is replaced by one of this library's.

    Example:
        >>> error_fields(ProviderError("the provider reports an error: no GPU", kind="server"))["message"]
        'the provider has failed'
    """
    # An application's own class is sent as its base class in this library.
    own = (cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
    name = next(own, CostExceeded.__name__)
    message = str(error.message) if raw else notice_of(error) or clause_for(name, error.kind)
    record: JsonObject = {"error": name, "kind": error.kind, "message": message, "retryable": error.retryable}
    if error.retry_after is not None:
        record["retry_after"] = error.retry_after
    details = {key: getattr(error, attribute, None) for key, attribute in _DETAIL_KEYS.items()}
    known = {key: value for key, value in details.items() if value is not None}
    return {**record, **{key: value for key, value in known.items() if raw or _is_public(value)}}


def _is_public(value: object) -> bool:
    """Return True if an error's detail may be sent on: a number, or one word, such as `rate_limit_exceeded`.

    Some servers put sentences, with hosts and names in them, into the code or the type of an error.
    """
    return isinstance(value, int) or (isinstance(value, str) and _WORD.fullmatch(value) is not None)


def error_of(payload: JsonObject) -> StreamError:
    """Return the error that a payload describes, of the class that the payload names.

    If this version has no such class, the error is a `StreamError`. Invalid fields are ignored.

    Example:
        >>> error_of({"error": "StreamStalled", "limit": "idle_content", "kind": "network"}).retryable
        True
    """
    kind: Any = payload.get("kind")
    kind = kind if isinstance(kind, str) and kind in _KINDS else None
    name = text_of(payload, "error") or ""
    cls = _ERRORS.get(name, StreamError)
    failure = clause_for(name, kind or cls.default_kind)
    message = text_of(payload, "message") or failure
    error = _create_error(cls, mend_surrogates(message[:_MAX_MESSAGE]), payload)
    add_sentence(error, failure)  # the message is another server's
    error.kind = kind or error.kind
    wait = float_of(payload, "retry_after")
    error.retry_after = wait if wait is not None and isfinite(wait) and wait >= 0 else None
    # If the payload does not say whether a retry may help, the error's kind does.
    retryable = payload.get("retryable")
    error.retryable = retryable if isinstance(retryable, bool) else StreamError("", kind=error.kind).retryable
    return error


def _create_error(cls: type[StreamError], message: str, payload: JsonObject) -> StreamError:
    code, error_type = _short_text(payload, "code"), _short_text(payload, "error_type")
    # A derived class is looked for before its base class.
    if issubclass(cls, StatusError):
        return cls(message, status=int_of(payload, "status") or 0, code=code, type=error_type)
    if issubclass(cls, ProviderError):
        return cls(message, code=code, type=error_type)
    if issubclass(cls, ConnectError):
        stage: Literal["connect", "head"] = "head" if payload.get("stage") == "head" else "connect"
        return cls(message, stage=stage)
    if issubclass(cls, StreamStalled):
        return cls(message, limit=_short_text(payload, "limit") or "")
    if issubclass(cls, LimitExceeded):
        return cls(message, limit=_short_text(payload, "limit") or "", value=int_of(payload, "value") or 0)
    if issubclass(cls, ProtocolError):
        return cls(message, event=int_of(payload, "event"), offset=int_of(payload, "offset"))
    if issubclass(cls, AnswerRejected):
        outcome: Any = payload.get("outcome")
        return cls(message, outcome=outcome if outcome in _OUTCOMES else "empty")
    return cls(message)


def end_of(payload: JsonObject) -> End:
    """Return the end of the answer that a payload of the type "end" or "error" states."""
    if payload.get("type") == "error":
        error = error_of(payload)
        if payload.get("ending") == "complete":
            # This choice ended before the error cut off another one.
            return End("complete", error)
        return End("truncated" if text_of(payload, "error") in _TRUNCATIONS else "failed", error)
    ending = _ENDS.get(str(payload.get("ending")))
    if ending is None:
        # An ending that this version does not know.
        return End("truncated", error_of({"error": "StreamTruncated"}))
    return End(ending)


def _short_text(payload: JsonObject, name: str) -> str | None:
    """Return a field that is text, cut to the length limit of a word; None for any other value."""
    word = text_of(payload, name)
    return None if word is None else mend_surrogates(word[:_MAX_WORD])


_TRUNCATIONS = {"StreamTruncated", "StreamInterrupted", "StreamStalled", "CostExceeded"}


class _EventType(NamedTuple):
    """A class of events, with a function for each of its fields that reads the field's value from JSON.

    The functions are found by the keys that the fields have in the protocol.
    """

    cls: Any
    required: dict[str, _ValueReader]
    optional: dict[str, _ValueReader]


def event_of(payload: JsonObject) -> Event | None:
    """Return the event in a payload, None for an unknown type; an invalid field is a `ProtocolError`.

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
        raise ProtocolError(f"an event of the type {name!r} lacks its field {error.args[0]!r}") from None
    except (TypeError, ValueError, OverflowError):
        msg = f"the field {key!r} of an event of the type {name!r} is not what it must be"
        raise ProtocolError(msg) from None
    event: Event = event_type.cls(**values)
    if "step" in payload:
        step = payload["step"]
        if not isinstance(step, str):
            raise ProtocolError("the id of a step must be text")
        event.step = step
    if isinstance(event, _events.PartDone) and payload.get("amended") is True:
        event.is_amended = True
    return event


# -- fields ----------------------------------------------------------------------


def _exactly(cls: type) -> _ValueReader:
    """Return a function that reads a field whose value must be of a class of JSON values."""

    def read(value: object) -> Json:
        if value.__class__ is not cls:
            raise TypeError
        return value

    return read


_read_text = _exactly(str)


def _read_index(value: Json) -> int:
    if value.__class__ is not int or value < 0:
        raise TypeError
    number: int = value
    return number


def _read_number(value: Json) -> float:
    if value.__class__ not in (int, float) or not isfinite(value):
        raise TypeError
    return float(value)


def _read_bytes(value: object) -> bytes:
    return b64decode(_read_text(value), validate=True)


def _word_reader(*words: str) -> _ValueReader:
    """Return a function that reads a field whose value must be one of several words."""

    def read(value: object) -> Json:
        if value not in words:
            raise ValueError
        return _read_text(value)

    return read


# -- values ----------------------------------------------------------------------

_PARTS: dict[str, Any] = {cls.model_fields["kind"].default: cls for cls in get_args(get_args(Part)[0])}


@cache
def _blank_part(kind: str) -> Any:  # noqa: ANN401 - a part
    return _PARTS[kind].model_construct()


def _read_value(cls: Any, value: Json) -> Any:  # noqa: ANN401 - a class of values
    """Return a JSON object as a class's instance; ignore keys that this version does not know.

    A value that is no object raises a `TypeError`, an invalid field a `ValueError`.
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


def _reader_of(cls: type) -> _ValueReader:
    """Return a function that reads a field whose value is a JSON object, as an instance of a class."""
    return lambda value: _read_value(cls, value)


def _read_indexes(value: Json) -> tuple[int, ...]:
    if not is_list(value):
        raise TypeError
    return tuple(map(_read_index, value))


def _read_lists(value: Json) -> dict[str, list[Any]]:
    if not is_dict(value) or not all(map(is_list, value.values())):
        raise TypeError
    return value


def _read_calls(value: Json) -> tuple[ToolCall, ...]:
    if not is_list(value):
        raise TypeError
    return tuple(_read_value(ToolCall, call) for call in value)


def _read_message(value: Json) -> Message | None:
    if value is None:
        return None
    if not is_dict(value):
        raise TypeError
    data: JsonObject = {**value}
    if "parts" in data:
        if not is_list(data["parts"]):
            raise TypeError
        data["parts"] = tuple(_read_part(part) for part in data["parts"])
    if data.get("usage") is not None:
        data["usage"] = _read_value(Usage, data["usage"])
    message: Message = _read_value(Message, data)
    return message


def _read_error(value: object) -> Json:
    return error_of(value) if is_dict(value) else None


# -- events ----------------------------------------------------------------------

FIELDS = {"call_type": "type", "text_at": "at"}
"""Maps keys in the protocol to fields of events, if they differ: `type` and `at` are those of the record."""
_KEYS = {field: key for key, field in FIELDS.items()}
_READERS: dict[str, _ValueReader] = {
    "Any": lambda value: value,
    "Citation": _reader_of(Citation),
    "FinishReason": _word_reader(*get_args(FinishReason)),
    "Message": _read_message,
    "Part": _read_part,
    "StreamError": _read_error,
    "ToolCall": _reader_of(ToolCall),
    "Usage": _reader_of(Usage),
    "bool": _exactly(bool),
    "bytes": _read_bytes,
    "dict[str, Any]": _exactly(dict),
    "dict[str, list[Any]]": _read_lists,
    "float": _read_number,
    "int": _read_index,
    "str": _read_text,
    "tuple[ToolCall, ...]": _read_calls,
    "tuple[int, ...]": _read_indexes,
}
"""Maps the annotations of events' fields to functions that read the values."""
_LEFT_OUT = frozenset({"discarded"})
"""Fields without a default that a relay need not send, because a reader knows them from earlier events."""


def _read_field(annotation: str) -> _ValueReader:
    """Return the function that reads a field; None stays None if the annotation allows it."""
    inner = annotation.removesuffix(" | None")
    is_literal = inner.startswith("Literal[")
    read = _word_reader(*literal_eval(inner.removeprefix("Literal"))) if is_literal else _READERS[inner]
    return read if inner == annotation else lambda value: None if value is None else read(value)


def _event_type(cls: Any) -> _EventType:  # noqa: ANN401 - a class of events
    """Return a class of events with its fields; the annotation and the default of each say how to read it."""
    required: dict[str, _ValueReader] = {}
    optional: dict[str, _ValueReader] = {}
    for field in fields(cls):
        if field.type != "None":
            has_default = field.default is not MISSING or field.default_factory is not MISSING
            is_required = not has_default and field.name not in _LEFT_OUT
            target = required if is_required else optional
            target[_KEYS.get(field.name, field.name)] = _read_field(str(field.type))
    return _EventType(cls, required, optional)


EVENTS: dict[str, _EventType] = {
    re.sub(r"\B([A-Z])", r"_\1", cls.__name__).lower(): _event_type(cls) for cls in get_args(_events.Event)
}
"""Maps types of events to their class and fields: `text_delta` to `TextDelta`."""
KNOWN_FIELDS = frozenset(["type", "at", "amended", "answer", "step", "raw"]).union(
    *[each.required | each.optional for each in EVENTS.values()],
    *[cls.model_fields for cls in (*_PARTS.values(), Citation, Message, Usage)],
)
"""The keys of all events, and the fields of the values in them."""
