"""What comes of frames that a format reads, and frames that were changed at random."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamTruncated
from tokenstream.events import TextDelta, ToolCallDone, Unknown
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats.base import Format, Frame
    from tokenstream.message import Message, ToolCall

DONE = b"[DONE]"
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "{}", "\ud800", [], [None], ["x"], {}, {"x": 1}, [{}],
]  # fmt: skip
"""Values that no field of a format has, or that few have."""


@dataclass
class Told:
    """What came of some frames."""

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
    def rules(self) -> set[str]:
        return set(self.format.departures)

    @property
    def kinds(self) -> list[str]:
        """The kinds of the message's parts."""
        return [part.kind for part in self.message.parts]

    @property
    def texts(self) -> list[str]:
        """The pieces of text, one by one."""
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def done(self) -> list[ToolCall]:
        """The calls that were handed out."""
        return [event.call for event in self.events if isinstance(event, ToolCallDone)]

    @property
    def unknown(self) -> list[str]:
        """The names of payloads that were carried whole."""
        return [event.name for event in self.events if isinstance(event, Unknown) and event.kind == "event"]

    @property
    def outcome(self) -> Any:
        """All that a user can see, to be compared."""
        rules = {name: (noted.count, noted.first_event) for name, noted in self.format.departures.items()}
        return [(event, event.raw) for event in self.events], repr(self.error), rules, self.messages


def frame_of(payload: Any) -> Frame:
    """Return a payload as the framing hands it over; a pair is an event with a name."""
    if isinstance(payload, bytes | ServerSentEvent):
        return payload
    if isinstance(payload, tuple):
        name, data = payload
        body = data if isinstance(data, bytes) else bytes_of(data)
        return ServerSentEvent(body, name, "")
    return bytes_of(payload)


def bytes_of(payload: Any) -> bytes:
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a character has no bytes; it is sent as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def tell(format: Format, *frames: Any, plain: bool = False) -> Told:
    """Read frames up to the end of the input.

    Args:
        format: A new format.
        frames: Bytes, events, payloads, or pairs of an event's name and a payload.
        plain: Whether dicts are handed over as they are, as SDKs' objects are.
    """
    told = Told(format)
    for frame in frames:
        _take(told, format.feed(frame if plain and isinstance(frame, dict) else frame_of(frame)))
    _take(told, format.end())
    if format.error is None:
        told.accumulator.conclude("complete")
    else:
        told.accumulator.conclude("truncated" if isinstance(format.error, StreamTruncated) else "failed")
    return told


def _take(told: Told, events: list[Event]) -> None:
    for event in events:
        told.events.append(event)
        told.accumulator.take(event)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a payload: what holds it, and its key there."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


@st.composite
def changed(draw: st.DrawFn, payloads: list[Any], *, most: int = 14) -> list[Any]:
    """Payloads in any order, some again, with fields dropped, retyped, renamed and swapped."""
    frames = [deepcopy(payloads[i]) for i in draw(st.lists(st.integers(0, len(payloads) - 1), max_size=most))]
    for _ in range(draw(st.integers(0, 4))):
        bodies = [frame[1] if isinstance(frame, tuple) else frame for frame in frames]
        inner = [place for place in _places(bodies) if isinstance(place[0], dict)]
        if not inner:
            break
        holder, key = draw(st.sampled_from(inner))
        action = draw(st.sampled_from(["drop", "retype", "swap", "rename"]))
        if action == "drop":
            holder.pop(key, None)
        elif action == "retype":
            holder[key] = deepcopy(draw(st.sampled_from(ODD)))
        elif action == "swap":
            other, name = draw(st.sampled_from(inner))
            if name in other:
                holder[key] = deepcopy(other[name])
        else:
            holder["renamed"] = holder.pop(key, None)
    return [*frames, DONE] if draw(st.booleans()) else frames
