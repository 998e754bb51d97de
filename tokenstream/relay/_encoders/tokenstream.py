"""The protocols `tokenstream` and `ndjson`: this library's events as JSON without loss, in SSE or in lines.

A *record* is the JSON of one event, or of the answer's end; journals store records as well.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import MISSING, fields
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tokenstream._basics.json import decode, to_json_bytes
from tokenstream._basics.untrusted import is_dict
from tokenstream._values.event_base import is_repeat
from tokenstream._values.parts import COUNTS, amendment_of
from tokenstream.errors import AnswerFailure, ErrorKind, ProtocolError, ProviderError
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    PartDone,
    ProviderData,
    Restarted,
    StepDone,
    StepUpdate,
    StepWaiting,
    TextDelta,
    ToolCallDelta,
    ToolProgress,
    ToolResult,
    Unknown,
)
from tokenstream.formats._wire.tokenstream.words import EVENTS, FIELDS, End, end_of, error_fields, event_of
from tokenstream.message import Ending, FinishReason, MediaPart, Message, OpaquePart
from tokenstream.relay._encoders.encoder import Encoder
from tokenstream.relay._encoders.losses import PHRASES
from tokenstream.relay._encoders.pieces import PROBE, TEXTS, string
from tokenstream.relay._encoders.values import (
    keep_class_name,
    prepare_result,
    replace_unsound,
    to_json_object,
    to_json_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.relay._encoders.vocabulary import FinishWords

_TYPES: dict[type, str] = {kind.cls: name for name, kind in EVENTS.items()}
_KEYS_BY_FIELD = {field: key for key, field in FIELDS.items()}
"""Maps the names of events' fields to the keys in the protocol, where the two differ."""
_GIVEN: dict[tuple[type, str], Callable[[Any], Json]] = {
    (StepUpdate, "data"): to_json_object,
    (StepWaiting, "request"): to_json_value,
    (ToolProgress, "output"): to_json_value,
}
"""Maps the fields that the caller has filled, perhaps with no JSON value, to functions that return one."""
_MAX_CACHED_ID = 200
"""The maximum length, in characters, of an id for which the bytes around pieces are cached."""
_PRIVATE = frozenset({"provider_data"})
"""Fields of messages and parts that are private to the provider; `_PRIVATE_OF` has the exceptions."""
_PRIVATE_OF: dict[type, frozenset[str]] = {
    Message: frozenset({"id", "provider_data"}),
    MediaPart: frozenset({"id", "provider_data"}),
    OpaquePart: frozenset({"data"}),
}


def record(event: Event, *, raw: bool = False) -> bytes:
    r"""Return an event as a record, a JSON object in one line; empty if the event is not sent.

    Args:
        raw: True to include the provider's ids, payloads and unknown fields.
    """
    piece = None if raw else record_piece(event)
    if piece is not None:
        return piece
    payload = write_fields(event, raw=raw)
    return b"" if payload is None else to_strict_json(payload)


def record_piece(event: AnyEvent) -> bytes | None:
    """Return the record of a piece of a part, made from a template.

    The result is None for any other event, for an empty piece, and if no template fits.
    """
    cls = event.__class__
    read_text = TEXTS.get(cls)
    text = "" if read_text is None else read_text(event)
    if not text:
        return None
    # The slot behind `event.step`: a property would be called for each token.
    step = getattr(event, "_step", None)
    try:
        # For most pieces, those of a text that is the first part of the answer, the template is a constant.
        if cls is TextDelta and step is None and not event.part and not event.choice:
            return b'{"type":"text_delta","text":%b}' % string(text)
        # All other pieces get the template of their part from the cache of `_surroundings`.
        id = event.id if cls is ToolCallDelta else ""
        # Templates are cached by their ids, so a long id gets none.
        if max(len(id), len(step or "")) > _MAX_CACHED_ID:
            return None
        # A template is the record of a probe, cut at the probe's text. If a call's id contains that text,
        # there are three parts, and this raises ValueError.
        head, tail = _surroundings(cls, id, event.choice, event.part, step)
        return b"%b%b%b" % (head, string(text), tail)
    except ValueError:
        return None


@lru_cache(maxsize=1_000)
def _surroundings(cls: Any, id: str, choice: int, part: int, step: str | None) -> list[bytes]:  # noqa: ANN401 - an event's class
    """Return the bytes around the text in the records of one part's pieces; only a call's have an id."""
    piece = cls(*([id] if cls is ToolCallDelta else ()), PROBE, choice=choice, part=part)
    if step is not None:
        piece.step = step
    return to_strict_json(write_fields(piece)).split(string(PROBE))


def write_fields(event: Event, *, raw: bool = False) -> JsonObject | None:
    """Return the JSON value of an event's record; None if the event is not sent.

    With `raw`, it includes the provider's ids, payloads and unknown fields.
    """
    cls: type[Any] = event.__class__
    name = _TYPES.get(cls)
    if name is None or (cls in (ProviderData, Unknown) and not raw):
        return None
    if isinstance(event, ToolResult):
        if is_repeat(event):
            return None
        event = prepare_result(event, raw=raw)
    payload: JsonObject = {"type": name}
    amendment = amendment_of(event)
    if amendment is not None:
        payload["amended"] = True
    # A value that the reader knows from earlier events is left out. The abandoned message of a step's
    # restart is kept, because a reader of a run cannot rebuild it.
    may_be_known = cls is PartDone or (cls is Restarted and event.step is None)
    is_known = may_be_known and is_repeat(event)
    hidden = _HIDDEN_KEYS_OF_START if cls is MessageStart else _HIDDEN_KEYS
    for field, key, default in _FIELDS[cls]:
        is_private = key in hidden and not raw
        if is_private or (is_known and key in _REBUILT_KEYS):
            continue
        value = getattr(event, field) if amendment is None or field != "content" else amendment
        if value is not default and value != default:
            convert = _GIVEN.get((cls, field))
            payload[key] = _write_field_json(value, raw=raw) if convert is None else convert(value)
    if isinstance(event, StepDone) and event.error and not raw:
        payload["error"] = keep_class_name(event.error)
    if event.step is not None:
        payload["step"] = event.step
    return payload


def is_recorded(event: AnyEvent) -> bool:
    return event.__class__ in _TYPES


def read_record(record: bytes) -> Event | End:
    payload = decode(record)
    if not is_dict(payload):
        raise ProtocolError("a record must be a JSON object")
    if payload.get("type") in ("end", "error"):
        return end_of(payload)
    event = event_of(payload)
    if event is None:
        raise ProtocolError("a record must be of a type known to the protocol")
    return event


def end_record(ending: Ending) -> bytes:
    return to_strict_json({"type": "end", "ending": ending})


def error_record(error: AnswerFailure, *, raw: bool = False, ending: Ending | None = None) -> bytes:
    """Return the last record of an answer that failed, by default with the ending that the error implies.

    With `raw`, it includes the provider's own message, which may be private.
    """
    payload = {"type": "error", **error_fields(error, raw=raw)}
    return to_strict_json({**payload, "ending": ending or implied_ending(error)})


def implied_ending(error: AnswerFailure) -> Ending:
    """Return the ending of an answer that an error has ended."""
    # The rule is that by which a reader takes the ending from an error record without one.
    return end_of({"type": "error", **error_fields(error)}).ending


def frame(position: int | None, record: bytes) -> bytes:
    return b"data: %b\n\n" % record if position is None else b"id: %d\ndata: %b\n\n" % (position, record)


def line(position: int | None, record: bytes) -> bytes:
    r"""Return a record as a JSON line; without the line feed it is a WebSocket message."""
    # The slice leaves out the opening brace, which comes before `at`.
    return b"%b\n" % record if position is None else b'{"at":%d,%b\n' % (position, record[1:])


# -- values ----------------------------------------------------------------------

_HIDDEN_KEYS = frozenset({"provider_data", "raw"})
_HIDDEN_KEYS_OF_START = _HIDDEN_KEYS | {"id"}
"""Keys of events that are private to the provider: of most events, and of `MessageStart`."""
_REBUILT_KEYS = frozenset({"content", "discarded"})
"""Keys that are left out of records, because readers can rebuild their values from earlier events."""


def _list_fields(cls: Any) -> tuple[tuple[str, str, Any], ...]:  # noqa: ANN401 - an event's class
    """Return the fields of a class of events: the name of each, its key in a record, and its default."""
    # The common fields come last in a record.
    ordered = sorted(fields(cls), key=lambda each: each.name in ("choice", "part", "raw"))
    return tuple(
        (
            each.name,
            _KEYS_BY_FIELD.get(each.name, each.name),
            each.default if each.default_factory is MISSING else each.default_factory(),
        )
        for each in ordered
    )


_FIELDS = {cls: _list_fields(cls) for cls in _TYPES}


def _write_field_json(value: Any, *, raw: bool) -> Json:  # noqa: ANN401 - a field of an event
    """Return the value of an event's field as JSON: a pydantic model without its defaults."""
    if value.__class__ is str:
        return value
    if isinstance(value, BaseModel):
        return _model_to_plain(value, raw=raw)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, AnswerFailure):
        return error_fields(value, raw=raw)
    if is_dict(value):
        return {key: _write_field_json(inner, raw=raw) for key, inner in value.items()}
    if value.__class__ in (list, tuple):
        return [_write_field_json(inner, raw=raw) for inner in value]
    return value


def _model_to_plain(value: BaseModel, *, raw: bool) -> JsonObject:
    """Return a message or part as a JSON object, without the fields that have their defaults."""
    kind = getattr(value, "kind", None)
    plain: JsonObject = {} if kind is None else {"kind": kind}
    cls = type(value)
    private = frozenset[str]() if raw else _PRIVATE_OF.get(cls, _PRIVATE)
    for name, default in _list_defaults(cls):
        inner = getattr(value, name)
        if name in private:
            continue
        if isinstance(default, FieldInfo):
            # The reader computes it from the fields that are sent.
            default = default.get_default(call_default_factory=True, validated_data=plain)  # noqa: PLW2901
        if inner != default:
            plain[name] = _write_field_json(inner, raw=raw)
    return plain


@cache
def _list_defaults(cls: type[BaseModel]) -> tuple[tuple[str, Any], ...]:
    """Return a class's fields with their defaults, or the pydantic field of a default that depends."""
    defaults: dict[str, Any] = {**cls.model_fields}
    for name, field in cls.model_fields.items():
        if not field.default_factory_takes_validated_data:
            defaults[name] = field.get_default(call_default_factory=True, validated_data={})
    return tuple(defaults.items())


def to_strict_json(payload: object) -> bytes:
    """Return a value as JSON that every parser accepts: in one line, without NaN, surrogates escaped."""
    try:
        return to_json_bytes(payload, allow_nan=False)
    except (ValueError, TypeError):
        return to_json_bytes(replace_unsound(payload), allow_nan=False)


class TokenStreamEncoder(Encoder):
    """Encodes an answer as this library's own events, each in one SSE event.

    Args:
        lossy: Without effect: the protocol can express everything.
        ids: True to number the events, from 1.
        raw: True to include the provider's ids, payloads and unknown fields.
    """

    name = "tokenstream"
    expresses = frozenset(PHRASES)
    counts = frozenset(COUNTS)
    words: ClassVar[FinishWords] = {word: word for word in get_args(FinishReason)}
    choices = True
    frame_record = staticmethod(frame)
    """The function that returns a record as a chunk, with its position if that is not None."""

    def __init__(self, *, lossy: bool = False, ids: bool = False, raw: bool = False) -> None:
        super().__init__(lossy=lossy)
        self.raw = raw
        self.position: int | None = 0 if ids else None
        """The id of the last event; None if events are not numbered."""
        self._end_sent = False

    def feed(self, event: Event, *, now: float = 0.0) -> list[bytes]:
        """Return the chunk of an event, in a list; no chunk for an event that the protocol does not send."""
        if isinstance(event, Finish):
            # `end` takes an answer for complete only if it has a finish.
            self.finishes[event.choice] = event
        event_record = record(event, raw=self.raw)
        if event_record:
            return [self._frame_next(event_record)]
        if not is_recorded(event):
            self.lose(event)
        return []

    def ping(self) -> list[bytes]:
        """Return the chunk of a heartbeat, which is not part of the answer, and so gets no number."""
        return [self.frame_record(None, b'{"type":"ping"}')]

    def encode_later_piece(self, event: Event) -> bytes | None:
        piece = None if self.raw else record_piece(event)
        return None if piece is None else self._frame_next(piece)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks that end the answer; none without a `Finish`, or if the end was sent already."""
        return self.conclude("complete") if self.finishes else []

    def conclude(self, ending: Ending, error: AnswerFailure | None = None) -> list[bytes]:
        """Return the last record, but only once: a later call returns no chunks."""
        if self._end_sent:
            return []
        self._end_sent = True
        last = end_record(ending) if error is None else error_record(error, raw=self.raw, ending=ending)
        return [self._frame_next(last)]

    def failure(self, kind: ErrorKind, message: str | None = None, *, code: str | None = None) -> list[bytes]:
        """Return the last record of an answer that failed with an error of the provider.

        No chunks are returned if a last record was returned before.
        """
        if self._end_sent:
            return []
        self._end_sent = True
        error = ProviderError(message or "", kind=kind, code=code)
        # `raw` sends the message: the caller has passed it for the reader.
        return [self._frame_next(error_record(error, raw=message is not None))]

    def _frame_next(self, record: bytes) -> bytes:
        """Return a record as a chunk, with the next number if records are numbered."""
        if self.position is not None:
            self.position += 1
        return self.frame_record(self.position, record)


class NDJSONEncoder(TokenStreamEncoder):
    """Encodes an answer as this library's own events, each in one JSON line."""

    name = "ndjson"
    content_type = "application/x-ndjson"
    # Readers of other protocols with JSON lines fail on an empty line.
    heartbeat = b"\n"
    has_ids = True
    frame_record = staticmethod(line)
