"""Write the values in a format's slots as JSON, and read them back.

An object is written in full where it first occurs, and as a number where it occurs again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tokenstream import events as _events
from tokenstream import message as _message
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._event_base import is_told
from tokenstream.formats._kit.open import NO_PART
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_EVENTS: dict[str, Any] = {name: getattr(_events, name) for name in _events.__all__ if name != "Event"}
_VALUES: dict[str, Any] = {name: kind for name, kind in vars(_message).items() if hasattr(kind, "model_dump")}
_EVENT_KINDS = frozenset(_EVENTS.values())
_VALUE_KINDS = frozenset(_VALUES.values())
_SCALARS = frozenset({bool, int, float, type(None)})

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
        """Return any value as JSON.

        Raises:
            TypeError: The value is an object of a class that is not in the layout.
        """
        kind = value.__class__
        if kind in _SCALARS or (kind is str and value.isascii()):
            return value
        if kind is str:
            # JSON cannot hold half of a surrogate pair that waits for its other half.
            return {"text": [ord(character) for character in value]} if _has_half_pair(value) else value
        if kind is bytes:
            return {"bytes": b64encode(value).decode()}
        if is_list(value):
            return {"list": [self.write(each) for each in value]}
        if kind is tuple:
            return {"tuple": [self.write(each) for each in value]}
        if kind is set:
            return {"set": [self.write(each) for each in value]}
        if is_dict(value):
            if _is_json(value):
                # Copied, because the value may grow after it was saved.
                return {"json": deepcopy(value)}
            return {"map": [[self.write(key), self.write(inner)] for key, inner in value.items()]}
        if kind is TextLog:
            return {"log": self.write(value.join())}
        if kind in _EVENT_KINDS:
            written = [self.write(getattr(value, each.name)) for each in fields(value) if each.name != "raw"]
            # The step of a run is not a field of the event's class.
            step = {} if value.step is None else {"step": value.step}
            # Nor is the mark that a result repeats the part before it.
            told = {"told": True} if kind is _events.ToolResult and is_told(value) else {}
            return {"event": [kind.__name__, *written], **step, **told}
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
            msg = f"{thing.__class__.__qualname__} cannot be kept"
            raise TypeError(msg)
        self._numbers[id(thing)] = len(self._numbers)
        return {"new": [thing.__class__.__name__, *self._write_slots(thing)]}

    def _write_slots(self, thing: object) -> list[Any]:
        """Return the values of an object's saved slots as JSON, in the order of the layout."""
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
        """Set the slots of existing objects, such as a format, to their saved values.

        Args:
            saved: For each object, the values of its slots, as `StateWriter.write_roots` returned them.
        """
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
                if "told" in saved:
                    event.told_before = True
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
        """Set the slots of an object to the saved values, which are in the order of the layout."""
        for name, saved in zip(self._layout[thing.__class__], slots, strict=True):
            setattr(thing, name, self.read(saved))


def _has_half_pair(text: str) -> bool:
    """Return True if a text contains half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_json(value: Any) -> bool:  # noqa: ANN401 - any value
    """Return True if a value is JSON at every level, without half of a surrogate pair in any text."""
    kind = value.__class__
    if kind is dict:
        has_text_keys = all(key.__class__ is str and not _has_half_pair(key) for key in value)
        return has_text_keys and all(map(_is_json, value.values()))
    if kind is list:
        return all(map(_is_json, value))
    return kind in _SCALARS or (kind is str and not _has_half_pair(value))
