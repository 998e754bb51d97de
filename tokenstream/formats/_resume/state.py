"""Save a format's state between two payloads as JSON, and restore it into another format of the same class.

The state consists of all slots of the format and of the objects that it uses, in order, so that none can
be forgotten, and of a checksum of the slots' names: a state with other slots is rejected. An object is
written in full where it first occurs, and as a number where it occurs again. Values that the message
holds, too (finished calls, fields of the answer), are not written, but looked up in the message.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tokenstream.errors import MisuseError
from tokenstream.formats._kit.late import LateArguments
from tokenstream.formats._kit.open import OpenCall, OpenChoice, OpenPart
from tokenstream.formats._kit.repeated import RepeatedArguments
from tokenstream.formats._kit.whole import Wholeness
from tokenstream.formats._resume.state_json import StateReader, StateWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._resume.state_json import Layout
    from tokenstream.message import Message

_SHARED = (OpenPart, OpenCall, OpenChoice, RepeatedArguments, LateArguments, Wholeness)
"""Classes that the open parts of all formats consist of."""


def state_of(format: Format) -> dict[str, Any] | None:
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


def restore_format(format: Format, state: dict[str, Any], messages: Sequence[Message]) -> None:
    """Restore the saved state of a format in a new format of the same class.

    Args:
        format: The new format.
        state: The value that `state_of` returned.
        messages: The messages at the time when the state was saved.

    Raises:
        MisuseError: The state was altered, or is from another version of the library.
    """
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


def write_events(events: Iterable[Event]) -> dict[str, Any]:
    """Return events as JSON, without the payloads in their `raw`."""
    writer = StateWriter(layout={})  # events contain no objects of a format's state
    return _add_checksum({"events": [writer.write(event) for event in events]})


def read_events(saved: dict[str, Any]) -> list[Event]:
    """Return the events that `write_events` wrote.

    Raises:
        MisuseError: The saved events were altered.
    """
    reader = StateReader(layout={}, calls={})
    return [reader.read(event) for event in _check_and_unwrap(saved)["events"]]


def _add_checksum(body: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum under the key `sum`."""
    return {**body, "sum": _checksum_of(body)}


def _check_and_unwrap(state: dict[str, Any]) -> dict[str, Any]:
    """Check the checksum of a saved state, and return the state without it."""
    body = {name: value for name, value in state.items() if name != "sum"}
    if state.get("sum") != _checksum_of(body):
        raise MisuseError(
            "the checkpoint's state is not what `checkpoint()` gave: store it as it is, or ask anew"
        )
    return body


def _checksum_of(body: dict[str, Any]) -> int:
    """Return the checksum of a JSON value."""
    return crc32(json.dumps(body, sort_keys=True).encode())


def _layout_of(format: Format) -> Layout:
    """Return the saved slots of each class that a format's state consists of."""
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
    """Return the checksum of a layout, which maps classes to their saved slots.

    If it changes, another version of this library cannot restore the state.
    """
    return crc32(repr([(kind.__name__, slots) for kind, slots in layout.items()]).encode())
