"""Save a format's state between two payloads as JSON, and restore it into another format of the same class.

The state consists of all slots of the format and of the objects that it uses, in order, so that none can
be forgotten, and of a checksum of the slots' names: a state with other slots is rejected. An object is
written in full where it first occurs, and as a number where it occurs again. Values that the message
holds, too (finished calls, fields of the answer), are not written, but looked up in the message.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tokenstream import events as _events
from tokenstream import message as _message
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import is_dict, is_encodable
from tokenstream._values.event_base import MARKS
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.open import NO_PART, CallsInTurn, EndedCalls, OpenCall, OpenChoice, OpenPart
from tokenstream.formats._kit.repeated import LateArguments, RepeatedArguments, Wholeness
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.message import Message

_EVENTS: dict[str, Any] = {name: getattr(_events, name) for name in _events.__all__ if name != "Event"}
_VALUES: dict[str, Any] = {name: kind for name, kind in vars(_message).items() if hasattr(kind, "model_dump")}
_EVENT_KINDS = frozenset(_EVENTS.values())
_VALUE_KINDS = frozenset(_VALUES.values())
_SCALARS = frozenset({bool, int, float, type(None)})
_ITEMS = (list, tuple, set)

Layout = dict[type, list[str]]
"""The names of the saved slots of each class, in order."""


class StateWriter:
    """Writes values as JSON: scalars unchanged, any other value as an object whose first key names its kind.

    Args:
        layout: The saved slots of each class.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._numbers: dict[int, int] = {}
        """The number of each object that was written, by `id(object)`."""

    def write_roots(self, roots: list[object]) -> list[Any]:
        """Return the slots of each object as JSON, without the object's class.

        The reader does not create these objects, such as a format: `fill_roots` fills those that it is given.
        """
        self._numbers = {id(thing): number for number, thing in enumerate(roots)}
        return [self._write_slots(thing) for thing in roots]

    def write(self, value: Any) -> Json:  # noqa: ANN401, C901 - one line for each kind of value
        """Return any value as JSON; raise a `TypeError` for an object of a class outside the layout."""
        kind = value.__class__
        if kind in _SCALARS or (kind is str and value.isascii()):
            return value
        if kind is str:
            # JSON cannot hold half of a surrogate pair that waits for its other half.
            return value if is_encodable(value) else {"text": [ord(character) for character in value]}
        if kind is bytes:
            return {"bytes": b64encode(value).decode()}
        if kind in _ITEMS:
            return {kind.__name__: [self.write(each) for each in value]}
        if is_dict(value):
            if _is_plain_json(value):
                # Copied, because the value may grow after it was saved.
                return {"json": deepcopy(value)}
            return {"map": [[self.write(key), self.write(inner)] for key, inner in value.items()]}
        if kind is TextLog:
            return {"log": self.write(value.join())}
        if kind in _EVENT_KINDS:
            written = [self.write(getattr(value, each.name)) for each in fields(value) if each.name != "raw"]
            # The step of a run is not a field of the event's class.
            step = {} if value.step is None else {"step": value.step}
            # Nor are the marks that say what earlier events had of it.
            marks = {name: True for name in MARKS if getattr(value, name, False)}
            return {"event": [kind.__name__, *written], **step, **marks}
        if kind is ToolCall and self._layout:
            # The id suffices, because the message has the call. Events that are saved alone have no layout.
            return {"call": value.id}
        if kind in _VALUE_KINDS:
            return {"value": [kind.__name__, value.model_dump_json(exclude_defaults=True)]}
        return self._write_object(value)

    def _write_object(self, thing: object) -> Json:
        """Return an object as JSON: its number if it was written before, else its class and slots."""
        # A placeholder, of which a process has one: the reader must return its own.
        if thing is NO_PART:
            return {"object": -1}
        number = self._numbers.get(id(thing))
        if number is not None:
            return {"object": number}
        if thing.__class__ not in self._layout:
            raise TypeError(f"{thing.__class__.__qualname__} cannot be kept")
        self._numbers[id(thing)] = len(self._numbers)
        return {"new": [thing.__class__.__name__, *self._write_slots(thing)]}

    def _write_slots(self, thing: object) -> list[Any]:
        return [self.write(getattr(thing, name)) for name in self._layout[thing.__class__]]


class StateReader:
    """Reads the JSON of a `StateWriter` that had the same layout.

    Args:
        layout: The saved slots of each class.
        calls: The tool calls that were handed out, by id.
    """

    def __init__(self, layout: Layout, calls: dict[str, ToolCall]) -> None:
        self._layout = layout
        self._kinds: dict[str, Any] = {kind.__name__: kind for kind in layout}
        self._calls = calls
        self._objects: list[Any] = []
        """The objects that were read, by number."""

    def fill_roots(self, roots: list[object], saved: list[Any]) -> None:
        """Set the slots of existing objects, such as a format, to their saved values."""
        self._objects = [*roots]
        for thing, slots in zip(roots, saved, strict=True):
            self._fill_slots(thing, slots)

    def read(self, saved: Json) -> Any:  # noqa: ANN401, C901 - one line for each kind of value
        """Return the value that was written as this JSON."""
        match saved:
            case {"text": codes}:
                return "".join(map(chr, codes))
            case {"bytes": encoded}:
                return b64decode(encoded)
            case {"list": values}:
                return [self.read(each) for each in values]
            case {"tuple": values}:
                return tuple(self.read(each) for each in values)
            case {"set": values}:
                return {self.read(each) for each in values}
            case {"json": value}:
                # Copied, because the value will grow, and the saved state may be read again.
                return deepcopy(value)
            case {"map": pairs}:
                return {self.read(key): self.read(inner) for key, inner in pairs}
            case {"log": text}:
                log = TextLog()
                log.append(self.read(text))
                return log
            case {"event": [name, *written]}:
                kind = _EVENTS[name]
                names = [each.name for each in fields(kind) if each.name != "raw"]
                event = kind(**{name: self.read(each) for name, each in zip(names, written, strict=True)})
                # The step of a run is not a field of the event's class.
                if "step" in saved:
                    event.step = saved["step"]
                for name in saved.keys() & MARKS:
                    setattr(event, name, True)
                return event
            case {"call": call_id}:
                # If no message has the call, one with only the id takes its place.
                return self._calls.get(call_id) or ToolCall(id=call_id)
            case {"value": [name, data]}:
                return _VALUES[name].model_validate_json(data)
            case {"object": number}:
                # The number of an object that was read before; -1 for the placeholder `NO_PART`.
                return self._objects[number] if number >= 0 else NO_PART
            case {"new": [name, *slots]}:
                thing: Any = object.__new__(self._kinds[name])
                # Before its slots are read, because they may refer to the object itself.
                self._objects.append(thing)
                self._fill_slots(thing, slots)
                return thing
            case _:
                # A scalar, or text that JSON can hold, was written unchanged.
                return saved

    def _fill_slots(self, thing: object, slots: list[Any]) -> None:
        for name, saved in zip(self._layout[thing.__class__], slots, strict=True):
            setattr(thing, name, self.read(saved))


def _is_plain_json(value: Any) -> bool:  # noqa: ANN401 - any value
    """Return True if a value is JSON at every level, without half of a surrogate pair in any text."""
    kind = value.__class__
    if kind is dict:
        has_text_keys = all(key.__class__ is str and is_encodable(key) for key in value)
        return has_text_keys and all(map(_is_plain_json, value.values()))
    if kind is list:
        return all(map(_is_plain_json, value))
    return kind in _SCALARS or (kind is str and is_encodable(value))


_SHARED = (
    OpenPart,
    OpenCall,
    CallsInTurn,
    OpenChoice,
    EndedCalls,
    RepeatedArguments,
    LateArguments,
    Wholeness,
)
"""Classes that the open parts of all formats consist of."""


def state_of(format: Format) -> JsonObject | None:
    """Return a format's state as JSON; None if the format holds a value that cannot be saved."""
    if hasattr(format, "__dict__"):
        # Attributes outside of slots cannot be saved.
        return None
    layout = _layout_of(format)
    try:
        slots = StateWriter(layout).write_roots([format, format.parts])
    except TypeError:
        return None
    # A field of a choice is named by a tuple of the choice and the name, which JSON can only hold as a list.
    field_names = [name if isinstance(name, str) else [*name] for name in format.parts.fields]
    return _add_checksum({"layout": _layout_checksum(layout), "fields": field_names, "kept": slots})


def restore_format(format: Format, state: JsonObject, messages: Sequence[Message]) -> None:
    """Restore a format's saved state in a new one of its class; refuse one altered or of another version."""
    layout = _layout_of(format)
    body = _check_and_unwrap(state)
    if body["layout"] != _layout_checksum(layout):
        raise MisuseError(
            f"the checkpoint was written by another version of tokenstream, which reads {format.name} in "
            "another way; ask for the answer anew"
        )
    # The state only has the ids of finished calls; the calls themselves are in the messages.
    calls = {call.id: call for message in messages for call in message.tool_calls if call.complete}
    StateReader(layout, calls).fill_roots([format, format.parts], body["kept"])
    # The values of reported fields are looked up in the messages. A field of the whole answer is named by
    # text and is in every message; a field of a choice is named by a pair of the choice and the name.
    by_choice = {message.choice: message.provider_data for message in messages}
    shared = messages[0].provider_data if messages else {}
    for name in body["fields"]:
        if isinstance(name, str):
            if name in shared:
                format.parts.fields[name] = shared[name]
        else:
            choice, field = name
            values = by_choice.get(choice, {})
            if field in values:
                format.parts.fields[choice, field] = values[field]


def write_events(events: Iterable[Event]) -> JsonObject:
    """Return events as JSON, without the payloads in their `raw`."""
    writer = StateWriter(layout={})  # events contain no objects of a format's state
    return _add_checksum({"events": [writer.write(event) for event in events]})


def read_events(saved: JsonObject) -> list[Event]:
    reader = StateReader(layout={}, calls={})
    return [reader.read(event) for event in _check_and_unwrap(saved)["events"]]


def _add_checksum(body: JsonObject) -> JsonObject:
    return {**body, "sum": _checksum_of(body)}


def _check_and_unwrap(state: JsonObject) -> JsonObject:
    body = {name: value for name, value in state.items() if name != "sum"}
    if state.get("sum") != _checksum_of(body):
        raise MisuseError(
            "the checkpoint's state is not what `checkpoint()` gave: store it as it is, or ask anew"
        )
    return body


def _checksum_of(body: JsonObject) -> int:
    return crc32(json.dumps(body, sort_keys=True).encode())


def _layout_of(format: Format) -> Layout:
    # `made_of` has the format's own classes of state, and `_SHARED` those that all formats have.
    kinds = (type(format), type(format.parts), *format.made_of, *_SHARED)
    return {kind: [*_list_slots(kind)] for kind in kinds}


def _list_slots(kind: type) -> Iterator[str]:
    """Yield the saved slots of a class, those of its bases first; slots named in `unkept` are not saved."""
    for base in reversed(kind.__mro__):
        slots: tuple[str, ...] = base.__dict__.get("__slots__", ())
        unkept: frozenset[str] = base.__dict__.get("unkept", frozenset())
        yield from (name for name in slots if name not in unkept)


def _layout_checksum(layout: Layout) -> int:
    return crc32(repr([(kind.__name__, slots) for kind, slots in layout.items()]).encode())
