"""Encoding of one answer in a protocol: its events, its error and its end."""

from __future__ import annotations

from copy import copy
from functools import cache, lru_cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.error_marks import notice_of
from tokenstream._basics.json import decode
from tokenstream._values.event_base import AnswerEvent, PartEvent
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ProviderData,
    StepDone,
    StepStart,
    Stopped,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
    Unknown,
)
from tokenstream.relay import _encoders as encoders
from tokenstream.relay._attribution import ServedAnswer
from tokenstream.relay._encoders.tokenstream import TokenStreamEncoder, implied_ending
from tokenstream.relay._encoders.ui.ag_ui import AGUIEncoder
from tokenstream.relay._encoders.values import prepare_result
from tokenstream.relay._protocols import find_protocol
from tokenstream.relay._shape import Shaping
from tokenstream.stream._log import WARNING, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.message import Ending
    from tokenstream.relay._encoders import Encoder
    from tokenstream.relay._shape import Shape

EventChunks: TypeAlias = "list[Any]"
"""The chunks of an event: bytes, or objects for `relay.payloads`."""
TELLING: frozenset[type] = frozenset({StepStart, StepDone, Stopped})
"""Classes of events that say something about the ending; only these need be passed to `note`."""
_VALUE_FIELDS: dict[type, str] = {
    PartStart: "content",
    PartDone: "content",
    ToolCallDone: "call",
    CitationAdded: "citation",
}
"""Maps each class of event with a part, a call or a citation to the field with that value."""


class ReportedEnding:
    """Finds how an answer, or a run of several steps, has ended from its events."""

    def __init__(self) -> None:
        self.is_run = False
        """True once an event has begun or ended a step."""
        self._stopped = False
        self._root_ids: set[str] = set()
        self._last_state = "done"

    def note(self, event: AnyEvent) -> None:
        """Remember what an event of a class in `TELLING` implies about the ending."""
        if isinstance(event, Stopped):
            self._stopped = True
            return
        self.is_run = True
        # The run gets the state of the step without a parent that ends last; inner steps do not count.
        if isinstance(event, StepStart):
            if event.parent is None:
                self._root_ids.add(event.id)
        elif event.id in self._root_ids:
            self._last_state = event.state

    def choose(self, ending: Ending | None) -> Ending:
        """Return the ending of the answer; the events imply it if it is not known, or "streaming"."""
        if ending is None and self.is_run:
            endings: dict[str, Ending] = {"failed": "failed", "stopped": "stopped"}
            # The run ends as the last step without a parent; any state but these two means "complete".
            return endings.get(self._last_state, "complete")
        # The events have ended, so the answer is not "streaming" any more, even if its stream says so.
        if ending is None or ending == "streaming":
            return "stopped" if self._stopped else "complete"
        return ending


def strip_private(event: Event, id: str | None) -> Event | None:
    """Return an event without the provider's private ids and fields; None if nothing is left.

    The answer's id takes the place of the provider's. An event without anything private is returned
    itself.
    """
    stripped: Any = event
    cls = event.__class__
    if cls is MessageStart:
        stripped = copy(event)
        stripped.id, stripped.provider_data = id, None
    elif cls in (ProviderData, Unknown):
        # All of it is the provider's own payload.
        return None
    elif cls in (ToolCallStart, Finish) and stripped.provider_data is not None:
        stripped = copy(event)
        stripped.provider_data = None
    elif cls is ToolResult:
        stripped = prepare_result(stripped, raw=False)
    elif cls in _VALUE_FIELDS:
        # The part, call or citation in the event.
        field = _VALUE_FIELDS[cls]
        value = getattr(event, field)
        stripped_value = _strip_part(value)
        if stripped_value is not value:
            stripped = copy(event)
            setattr(stripped, field, stripped_value)
    result: Event = stripped
    return result


def _strip_part(value: Any) -> object:  # noqa: ANN401 - a part, or None
    """Return a part without its provider fields; the same object if it has none."""
    if getattr(value, "provider_data", None) is not None:
        return value.model_copy(update={"provider_data": None})
    # An opaque part has the provider's own payload as its data.
    if getattr(value, "kind", "") == "opaque" and value.data:
        return value.model_copy(update={"data": {}})
    return value


AWS_EVENT_STREAM = "application/vnd.amazon.eventstream"
"""The media type of Bedrock's protocols, which are binary."""
_EVENT_CLASSES: tuple[type, ...] = (AnswerEvent, PartEvent)


class Sending:
    """Encodes the events of an answer, or of a run, in a protocol.

    Args:
        ids: True to number the events, from 1.
        raw: True to send the provider's own ids, payloads, error messages and fields.
        shape: Transforms the text of each text part; None to send it unchanged.
        id: The answer's id, which replaces the provider's id; None for a random id that cannot be guessed.
        names: True to give the answer an id even if the protocol sends none.
        is_followed: True if the answer is in a journal, whose producer logs its failure.
        as_payloads: True to return JSON objects instead of bytes.
    """

    def __init__(
        self,
        protocol: str = "tokenstream",
        *,
        ids: bool = False,
        raw: bool = False,
        shape: Shape | None = None,
        id: str | None = None,
        names: bool = False,
        is_followed: bool = False,
        as_payloads: bool = False,
    ) -> None:
        self.protocol = find_protocol(protocol)
        if ids and not self.protocol.has_ids:
            raise MisuseError(f"events of {protocol!r} have no ids: leave ids=True out")
        if raw and shape is not None:
            raise MisuseError(
                "raw=True sends the provider's payloads as they came, in which shape= changes nothing: leave "
                "one of them out"
            )
        encoder_class = encoders.load(protocol)
        self._is_own_protocol = issubclass(encoder_class, TokenStreamEncoder)
        """True for "tokenstream" and "ndjson": their encoders number events and omit private fields."""
        if ids and as_payloads and not self._is_own_protocol:
            raise MisuseError(f"payloads of {protocol!r} have no place for ids: leave ids=True out")
        self._raw = raw
        self.frame_record: Callable[[int | None, bytes], bytes] | None
        """The function that frames a record unchanged; None if the protocol encodes events differently."""
        self.frame_record = getattr(encoder_class, "frame_record", None)
        own = {"ids": ids, "raw": raw} if self._is_own_protocol else {}
        self._encoder: Any = encoder_class(lossy=True, **own)
        self._is_followed = is_followed
        prefix = "" if raw or self._is_own_protocol else encoder_class.default_id
        if id is None and (prefix or names):
            # An encoder without a default id sends no ids.
            id = f"{prefix}{'-' if prefix else ''}{token_hex(12)}"
        self.served = ServedAnswer(id)
        # Ids of the answer and its messages, which replace the provider's private ones.
        self._id: str | None = None
        """The id that replaces the provider's id; None to send the provider's id, or none."""
        if not raw and not self._is_own_protocol:
            self._id = self._encoder.id = id
        if not raw and isinstance(self._encoder, AGUIEncoder):
            # AG-UI clients keep the messages of all runs of a thread in one list, so ids must not repeat.
            self._encoder.scope = f"{id or token_hex(12)}-"
        if as_payloads:
            # The application wants JSON objects, which it frames itself, and no bytes.
            _return_objects(self._encoder)
        # State that changes while events are encoded.
        self._shaping = None if shape is None else Shaping(shape)
        self._position = 0 if ids and not self._is_own_protocol else None
        """The id of the last event; None if this object does not number the events."""
        has_short_way = shape is None and self._position is None
        self._encode_piece: Callable[[Event], bytes | None] | None = (
            self._encoder.encode_later_piece if has_short_way else None
        )
        """Returns the bytes of a piece of a part; None if they are not those that the encoder returns."""
        self._reported = ReportedEnding()
        """Finds the ending of the answer from its events, for a source that does not know the ending."""

    def read_from(self, source: object) -> None:
        """Attribute the answer to the source of its events; its readers may share an id already."""
        id = self.served.attribute(source)
        if self._id is not None:
            self._id = self._encoder.id = id

    def encode_event(self, event: Event) -> EventChunks:
        """Return the chunks for an event, bytes or JSON objects; a function in `shape` may raise."""
        if not isinstance(event, _EVENT_CLASSES):
            raise MisuseError(
                f"a relay sends events, not {type(event).__qualname__}: pass the stream itself, "
                "not one of its views, and transform its text with shape="
            )
        shaping = self._shaping
        if not self.served.has_begun:
            self.served.begin()
        if shaping is None:
            return self._encode_shaped(event)
        return [chunk for each in shaping.shape(event) for chunk in self._encode_shaped(each)]

    def encode_events(self, events: Iterable[Event]) -> EventChunks:
        return [chunk for event in events for chunk in self.encode_event(event)]

    def join_event(self, event: Event) -> bytes:
        """Return the bytes for an event; what raises in `encode_event` does so here.

        A later piece of a part, as most events are, takes a short way to the same bytes.
        """
        chunk = None if self._encode_piece is None else self._encode_piece(event)
        return b"".join(self.encode_event(event)) if chunk is None else chunk

    def encode_end(self, ending: Ending | None = None) -> EventChunks:
        """Return the chunks that end an answer without an error; by default, the events imply its ending."""
        held_back = self._flush_shape()
        ending = self._reported.choose(ending)
        broken = self.served.find_broken(ending)
        if broken is not None:
            return [*held_back, *self.fail(broken)]
        encoder: Encoder = self._encoder
        if self._is_own_protocol:
            self._report_losses()
            return [*held_back, *self._encoder.conclude(ending)]
        if self._reported.is_run:
            # A step's finish reason is not the reason for which the run has ended.
            encoder.finishes.clear()
        if not encoder.finishes:
            encoder.finish_without_reason(ending)
        chunks = self._add_id(encoder.conclude(ending))
        self._report_losses()
        return [*held_back, *chunks]

    def fail(self, error: AnswerFailure, ending: Ending | None = None) -> EventChunks:
        """Log that the answer has failed, and return the chunks of `encode_error`."""
        if not self._is_followed:
            self.served.report(error)
        return self.encode_error(error, ending)

    def encode_error(self, error: AnswerFailure, ending: Ending | None = None) -> EventChunks:
        """Return the chunks that report an error, by default with the ending that the error implies."""
        held_back = self._flush_shape()
        self._report_losses()
        if self._is_own_protocol:
            return [*held_back, *self._encoder.conclude(ending, error)]
        self._encoder.ending = ending or implied_ending(error)
        # The provider's message may be private; without it, the encoder sends a general one.
        message = str(error.message) if self._raw else notice_of(error)
        return [*held_back, *self._add_id(self._encoder.failure(error.kind, message))]

    # -- within ------------------------------------------------------------------

    def _encode_shaped(self, event: Event) -> EventChunks:
        """Return the chunks for an event whose text `shape` has transformed already."""
        if event.__class__ in TELLING:
            self._reported.note(event)
        chunks: EventChunks
        if self._is_own_protocol:
            chunks = self._encoder.feed(event)
            return chunks
        if not self._raw:
            stripped = strip_private(event, self._id)
            if stripped is None:
                # All of the event is private.
                return []
            event = stripped
        chunks = self._encoder.feed(event)
        if self._encoder.id is None:
            # A restart of the answer has reset the encoder, including its id.
            self._encoder.id = self._id
        return self._add_id(chunks, counts=event.__class__ not in (ProviderData, Unknown))

    def _add_id(self, chunks: EventChunks, *, counts: bool = True) -> EventChunks:
        """Return an event's chunks, with an id in the last one, unless it is not part of the answer.

        A reader that has lost the last chunk does not know the id, and so asks for the whole event again.
        """
        if self._position is None or not counts:
            return chunks
        # Events without chunks are counted, too: an id is a number of events.
        self._position += 1
        if chunks:
            chunks = [*chunks[:-1], b"id: %d\n%b" % (self._position, chunks[-1])]
        return chunks

    def _report_losses(self) -> None:
        lost = self._encoder.losses.describe()
        if not lost:
            return
        if not self._encoder.losses.has_content:
            _report_usual_losses(self._encoder.name, lost)
        elif self._is_followed:
            _report_losses_of(self.served.id, self._encoder.name, lost)
        else:
            report_losses(self._encoder.name, lost, self.served)

    def _flush_shape(self) -> EventChunks:
        """Return the chunks of the text that the function `shape` has held back."""
        held_back = () if self._shaping is None else self._shaping.shape(None)
        return [chunk for each in held_back for chunk in self._encode_shaped(each)]


def report_losses(format: str, lost: str, served: ServedAnswer) -> None:
    """Log a warning that readers of a format do not get everything in an answer as it was."""
    warning = "the format %s cannot express everything in an answer; left out or changed: %s"
    served.tell(WARNING, warning, format, lost)


@cache
def _report_usual_losses(format: str, lost: str) -> None:
    """Log, once in a process, what no answer has in a format."""
    log("the format %s has no place for %s: `relay.losses` lists what it cannot express", format, lost)


@lru_cache(maxsize=1024)
def _report_losses_of(id: str | None, format: str, lost: str) -> None:
    """Call `report_losses`, but only once for each answer, which many readers may follow."""
    report_losses(format, lost, ServedAnswer(id))


def _return_objects(encoder: Any) -> None:  # noqa: ANN401 - an encoder whose output methods are replaced
    """Make an encoder return JSON objects instead of bytes."""
    if isinstance(encoder, TokenStreamEncoder):
        encoder.frame_record = _to_numbered_object  # type: ignore[assignment]
        return
    # A format without words for finish reasons sends bare text, which has no field for such a word.
    sends_bare_text = not any(encoder.words.values())
    if sends_bare_text:
        raise MisuseError(f"what {encoder.name!r} sends are not JSON objects: use relay.encode()")
    is_binary = encoder.content_type == AWS_EVENT_STREAM
    # A steady encoder makes chunks from templates, which would return bytes in spite of the other `frame`.
    encoder.steady = False
    # boto3 returns an event of Bedrock as an object with the event's name as the only key.
    encoder.frame = _to_named_object if is_binary else _to_object
    feed, end = encoder.feed, encoder.end

    def feed_objects(event: Event) -> list[Any]:
        # `_to_object` returns None for a sentinel, which is left out.
        return [each for each in feed(event) if each is not None]

    encoder.feed = feed_objects
    encoder.end = lambda: [each for each in end() if each is not None]


def _to_numbered_object(position: int | None, record: bytes) -> JsonObject:
    """Return a record of the protocol "tokenstream" as an object, with its position as `at` if it has one."""
    fields: JsonObject = decode(record)
    return fields if position is None else {"at": position, **fields}


def _to_named_object(name: str, payload: Json) -> JsonObject:
    return {name: payload}


def _to_object(name: str, payload: Json) -> JsonObject | None:
    """Return a payload as an object, with the event's name if the payload lacks it; None for a sentinel."""
    if isinstance(payload, str):
        # The end of the iteration says the same as a sentinel.
        return None
    # Most protocols name their events in the payload, too, under one of these keys.
    has_type = "type" in payload or "event_type" in payload
    return payload if has_type or not name else {"event": name, "data": payload}
