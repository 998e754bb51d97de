"""What comes of frames that a format reads."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from pydantic_core import from_json

from tests.support.recordings import frames_of
from tests.support.wire import bytes_of, sse
from tokenstream import Stream
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import ProviderError, StreamError, StreamTruncated
from tokenstream.events import Event, Finish, MessageStart, ProviderData, TextDelta, ToolCallDone, Unknown
from tokenstream.formats import Format, Frame
from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.message import Message, ToolCall

FormatT = TypeVar("FormatT", bound="Format")

DONE = b"[DONE]"


@dataclass
class Told:
    format: Format
    accumulator: Accumulator = field(default_factory=Accumulator)
    events: list[Event] = field(default_factory=list)

    @property
    def message(self) -> Message:
        return self.accumulator.message

    @property
    def messages(self) -> list[Message]:
        return self.accumulator.messages

    @property
    def error(self) -> StreamError | None:
        return self.format.error

    @property
    def failure(self) -> ProviderError:
        """The provider's error, which must have come."""
        assert isinstance(self.error, ProviderError)
        return self.error

    @property
    def truncated(self) -> bool:
        return isinstance(self.error, StreamTruncated)

    @property
    def departures(self) -> dict[str, int]:
        """How often each rule was broken."""
        return self.format.departures.details

    @property
    def rules(self) -> set[str]:
        return set(self.format.departures.details)

    @property
    def reason(self) -> str | None:
        return self.message.finish_reason

    @property
    def raw_reason(self) -> str | None:
        return self.message.raw_finish_reason

    @property
    def ending(self) -> str:
        return self.message.ending

    @property
    def data(self) -> dict[str, Any]:
        """What the provider says beside the message's parts."""
        return self.message.provider_data

    @property
    def parts(self) -> tuple[Any, ...]:
        return self.message.parts

    @property
    def kinds(self) -> list[str]:
        """The kinds of the message's parts."""
        return [part.kind for part in self.parts]

    @property
    def text(self) -> str:
        """The pieces of text, one after the other; of all choices and parts, in the order they came."""
        return "".join(self.texts)

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def calls(self) -> list[ToolCall]:
        return [event.call for event in self.events if isinstance(event, ToolCallDone)]

    @property
    def unknown(self) -> list[str]:
        """The names of payloads that no format reads, and of fields that no document names."""
        return [event.name for event in self.events if isinstance(event, Unknown)]

    @property
    def fields(self) -> list[tuple[str, Any]]:
        """The fields without an event of their own, with their values, in the order they were told."""
        told: list[tuple[str, Any]] = []
        for event in self.events:
            if isinstance(event, MessageStart | Finish | ProviderData):
                data = event.data if isinstance(event, ProviderData) else event.provider_data
                told.extend((data or {}).items())
        return told

    @property
    def outcome(self) -> Any:
        """All that a user can see, to be compared."""
        rules = dict(self.format.departures)
        told = [(event, event.raw) for event in self.events]
        return told, repr(self.error), rules, self.messages, self.format.frames

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append(event)
            self.accumulator.take(event)

    def read(self, frames: Iterable[Frame], *, end: bool = True) -> Self:
        """Read frames, up to the end of the input if they are all that comes."""
        for frame in frames:
            self.take(self.format.feed(frame))
        if end:
            self.take(self.format.end())
            self._conclude()
        return self

    def _conclude(self) -> None:
        if self.error is None:
            self.accumulator.conclude("complete")
        else:
            self.accumulator.conclude("truncated" if self.truncated else "failed")


def frame_of(payload: Any) -> Frame:
    """Return a payload as the framing hands it over; a pair is an event with a name."""
    if isinstance(payload, bytes | ServerSentEvent | EventStreamMessage):
        return payload
    if isinstance(payload, tuple):
        name, data = payload
        body = data if isinstance(data, bytes) else bytes_of(data)
        return ServerSentEvent(body, name, "")
    return bytes_of(payload)


def tell(format: Format, *frames: Any, plain: bool = False) -> Told:
    """Read frames up to the end of the input.

    Args:
        format: A new format.
        frames: Bytes, events, payloads, or pairs of an event's name and a payload.
        plain: Whether dicts are handed over as they are, as SDKs' objects are.
    """
    return Told(format).read(
        [frame if plain and isinstance(frame, dict) else frame_of(frame) for frame in frames]
    )


def responses_of(*events: dict[str, Any]) -> list[Any]:
    """Return the messages of a session, one for each answer; partial ones for answers that failed."""
    messages = []
    for response in Stream([sse(each, event=each["type"]) for each in events]).responses:
        try:
            messages.append(response.final())
        except StreamError as error:
            messages.append(error.partial)
    return messages


def adds_up(told: Told) -> None:
    """Hold what is true of any answer: only our errors come out, and what was yielded is the text."""
    assert told.error is None or isinstance(told.error, StreamError)
    for message in told.messages:
        pieces = [
            event.text
            for event in told.events
            if isinstance(event, TextDelta) and event.choice == message.choice
        ]
        assert message.text == "".join(pieces)


def is_sound(told: Told, *, whole: bool = True, has_bytes: bool = False) -> None:
    """Hold what is true of any answer, whatever came: no text is lost and no call is handed out twice.

    Args:
        told: What came.
        whole: False if the server may take text back.
        has_bytes: True if bytes, which JSON has no word for, may stand in a field.
    """
    assert told.error is None or isinstance(told.error, StreamError)
    assert not whole or sorted(told.text) == sorted("".join(message.text for message in told.messages))
    done = [(event.choice, event.part) for event in told.events if isinstance(event, ToolCallDone)]
    assert len(done) == len(set(done))
    assert all(call.complete for call in told.calls)
    for message in told.messages:
        assert Message.model_validate(message.model_dump()) == message
        as_json = message.model_dump_json()
        assert has_bytes or Message.model_validate_json(as_json) == message


def without_shortcuts(format: FormatT) -> FormatT:
    """Return a new format, which now decodes each payload."""
    format.shortcuts = False
    return format


def reads_alike_at_a_glance(make: Callable[[], Format], frames: Iterable[Any]) -> None:
    """Hold that events, payloads, departures and errors are those of the plain way."""
    frames = list(frames)

    assert tell(without_shortcuts(make()), *frames).outcome == tell(make(), *frames).outcome


def payloads_in(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the payloads of a body with the names of their events; those in chunks of AWS unpacked."""
    for frame in frames_of(body):
        data: Any = getattr(frame, "payload", frame)
        if isinstance(data, bytes) and data.lstrip()[:1] == b"{":
            data = from_json(data, allow_partial=True)
        if isinstance(data, dict) and data.keys() <= {"bytes", "p"}:
            data = from_json(b64decode(data["bytes"]))
        yield getattr(frame, "event", "") or "", data


def values_in(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each object and list in a value with its place, in which an object is known by its type."""
    if isinstance(value, dict):
        yield (f"{place}<{value['type']}>" if place and "type" in value else place), value
        for name, inner in value.items():
            yield from values_in(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        yield place, value
        for inner in value:
            yield from values_in(inner, f"{place}.[]")
