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
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.open import NO_PART, OpenCall, OpenChoice, OpenPart
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.message import Message

_EVENTS: dict[str, Any] = {name: getattr(_events, name) for name in _events.__all__ if name != "Event"}
_VALUES: dict[str, Any] = {name: kind for name, kind in vars(_message).items() if hasattr(kind, "model_dump")}
_EVENT_KINDS = frozenset(_EVENTS.values())
_VALUE_KINDS = frozenset(_VALUES.values())
_SCALARS = frozenset({bool, int, float, type(None)})
_SHARED = (OpenPart, OpenCall, OpenChoice)
"""Classes that the open parts of all formats consist of."""

_Slots = dict[type, list[str]]


def state_of(known: Format) -> dict[str, Any] | None:
    """Return a format's state as JSON; None if the format holds a value that cannot be saved.

    Args:
        known: The format.
    """
    if hasattr(known, "__dict__"):
        # Attributes outside of slots cannot be saved.
        return None
    layout = _layout_of(known)
    try:
        kept = _StateWriter(layout).write_roots([known, known.parts])
    except TypeError:
        return None
    written = [name if isinstance(name, str) else [*name] for name in known.parts.fields]
    return _seal({"layout": _layout_checksum(layout), "fields": written, "kept": kept})


def restore_format(known: Format, state: dict[str, Any], messages: Sequence[Message]) -> None:
    """Restore the saved state of a format in a new format of the same class.

    Args:
        known: The new format.
        state: The value that `state_of` returned.
        messages: The messages at the time when the state was saved.

    Raises:
        MisuseError: The state was altered, or is from another version of the library.
    """
    layout = _layout_of(known)
    body = _unseal(state)
    if body["layout"] != _layout_checksum(layout):
        raise MisuseError(
            f"the checkpoint was written by another version of tokenstream, which reads {known.name} in "
            "another way; ask for the answer anew"
        )
    calls = {call.id: call for message in messages for call in message.tool_calls if call.complete}
    _StateReader(layout, calls).fill_roots([known, known.parts], body["kept"])
    data = {message.choice: message.provider_data for message in messages}
    shared = messages[0].provider_data if messages else {}
    for name in body["fields"]:
        found, key = (shared, name) if isinstance(name, str) else (data.get(name[0], {}), name[1])
        if key in found:
            known.parts.fields[name if isinstance(name, str) else (name[0], name[1])] = found[key]


def write_events(events: Iterable[Event]) -> dict[str, Any]:
    """Return events as JSON, without their payloads."""
    writer = _StateWriter({})
    return _seal({"events": [writer.write(event) for event in events]})


def read_events(kept: dict[str, Any]) -> list[Event]:
    """Return the events that `write_events` wrote.

    Raises:
        MisuseError: The saved events were altered.
    """
    reader = _StateReader({}, {})
    return [reader.read(event) for event in _unseal(kept)["events"]]


def _seal(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "sum": _checksum_of(body)}


def _unseal(state: dict[str, Any]) -> dict[str, Any]:
    body = {name: value for name, value in state.items() if name != "sum"}
    if state.get("sum") != _checksum_of(body):
        raise MisuseError(
            "the checkpoint's state is not what `checkpoint()` gave: store it as it is, or ask anew"
        )
    return body


def _checksum_of(body: dict[str, Any]) -> int:
    """Return the checksum of a JSON value."""
    return crc32(json.dumps(body, sort_keys=True).encode())


def _layout_of(known: Format) -> _Slots:
    kinds = (type(known), type(known.parts), *known.made_of, *_SHARED)
    return {kind: [*_list_slots(kind)] for kind in kinds}


def _list_slots(kind: type) -> Iterator[str]:
    for base in reversed(kind.__mro__):
        own: tuple[str, ...] = base.__dict__.get("__slots__", ())
        unkept: frozenset[str] = base.__dict__.get("unkept", frozenset())
        yield from (name for name in own if name not in unkept)


def _layout_checksum(layout: _Slots) -> int:
    """Return the checksum of a layout."""
    return crc32(repr([(kind.__name__, slots) for kind, slots in layout.items()]).encode())


class _StateWriter:
    """Writes values as JSON: scalars unchanged, any other value as an object whose first key names its kind.

    Args:
        layout: The saved slots of each class.
    """

    def __init__(self, layout: _Slots) -> None:
        self._layout = layout
        self._numbers: dict[int, int] = {}

    def write_roots(self, things: list[object]) -> list[Any]:
        """Write the slots of the objects that the reader need not create."""
        self._numbers = {id(thing): number for number, thing in enumerate(things)}
        return [self._write_slots(thing) for thing in things]

    def write(self, value: Any) -> Any:  # noqa: ANN401, C901 - one line for each kind of value
        """Return any value as JSON."""
        kind = value.__class__
        if kind in _SCALARS or (kind is str and value.isascii()):
            return value
        if kind is str:
            # JSON cannot hold half of a surrogate pair that waits for its other half.
            return {"text": [ord(each) for each in value]} if _is_broken(value) else value
        if kind is bytes:
            return {"bytes": b64encode(value).decode()}
        if is_list(value):
            return {"list": [self.write(each) for each in value]}
        if kind is tuple:
            return {"tuple": [self.write(each) for each in value]}
        if kind is set:
            return {"set": [self.write(each) for each in value]}
        if is_dict(value):
            if _is_plain(value):
                return {"json": deepcopy(value)}
            return {"map": [[self.write(key), self.write(inner)] for key, inner in value.items()]}
        if kind is TextLog:
            return {"log": self.write(value.join())}
        if kind in _EVENT_KINDS:
            written = [self.write(getattr(value, each.name)) for each in fields(value) if each.name != "raw"]
            step = {} if value.step is None else {"step": value.step}
            return {"event": [kind.__name__, *written], **step}
        if kind is ToolCall and self._layout:
            return {"call": value.id}
        if kind in _VALUE_KINDS:
            return {"value": [kind.__name__, value.model_dump_json(exclude_defaults=True)]}
        return self._write_object(value)

    def _write_object(self, thing: object) -> Any:  # noqa: ANN401 - a JSON value
        """Return an object as JSON: its number if it was written before, else its class and slots."""
        if thing is NO_PART:
            return {"object": -1}
        number = self._numbers.get(id(thing))
        if number is not None:
            return {"object": number}
        if thing.__class__ not in self._layout:
            msg = f"{thing.__class__.__qualname__} cannot be kept"
            raise TypeError(msg)
        self._numbers[id(thing)] = len(self._numbers)
        return {"new": [thing.__class__.__name__, *self._write_slots(thing)]}

    def _write_slots(self, thing: object) -> list[Any]:
        return [self.write(getattr(thing, name)) for name in self._layout[thing.__class__]]


class _StateReader:
    """Reads the JSON of a `_StateWriter` that had the same layout.

    Args:
        layout: The saved slots of each class.
        calls: The tool calls that were handed out, by id.
    """

    def __init__(self, layout: _Slots, calls: dict[str, ToolCall]) -> None:
        self._layout = layout
        self._kinds: dict[str, Any] = {kind.__name__: kind for kind in layout}
        self._calls = calls
        self._made: list[Any] = []

    def fill_roots(self, things: list[object], kept: list[Any]) -> None:
        """Set the slots of existing objects to the values that `write_roots` wrote."""
        self._made = [*things]
        for thing, slots in zip(things, kept, strict=True):
            self._fill(thing, slots)

    def read(self, kept: Any) -> Any:  # noqa: ANN401, C901 - one line for each kind of value
        """Return the value that was written as this JSON."""
        match kept:
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
                if "step" in kept:
                    event.step = kept["step"]
                return event
            case {"call": call_id}:
                return self._calls.get(call_id) or ToolCall(id=call_id)
            case {"value": [name, data]}:
                return _VALUES[name].model_validate_json(data)
            case {"object": number}:
                return self._made[number] if number >= 0 else NO_PART
            case {"new": [name, *slots]}:
                thing: Any = object.__new__(self._kinds[name])
                self._made.append(thing)
                self._fill(thing, slots)
                return thing
            case _:
                return kept

    def _fill(self, thing: object, slots: list[Any]) -> None:
        for name, kept in zip(self._layout[thing.__class__], slots, strict=True):
            setattr(thing, name, self.read(kept))


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_plain(value: Any) -> bool:  # noqa: ANN401 - any value
    """Return whether a value is JSON at every level."""
    kind = value.__class__
    if kind is dict:
        texts = all(key.__class__ is str and not _is_broken(key) for key in value)
        return texts and all(map(_is_plain, value.values()))
    if kind is list:
        return all(map(_is_plain, value))
    return kind in _SCALARS or (kind is str and not _is_broken(value))
