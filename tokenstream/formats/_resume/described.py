"""An event as it was read: its number or id, a digest of its content, and the ids that it names."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pydantic_core import from_json

from tokenstream._basics.json import decode_tolerantly
from tokenstream._basics.untrusted import dict_of, int_of, is_dict, text_of
from tokenstream.errors import ProtocolError
from tokenstream.formats._detect.payloads import event_in, payload_of
from tokenstream.formats._fast.shape import PADDING
from tokenstream.framing._frames import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Frame

_LONGEST_NUMBER = 32
_MADE_ANEW = frozenset({*PADDING, "created", "created_at"})
"""Fields that a server may change when it sends an event again."""
_WHOLE_ANSWER_FIELDS = ("response", "message", "interaction")
"""Fields with an object that describes the whole answer."""

EventKey: TypeAlias = "int | str | None"
"""The number or id of an event; None if it has none."""


class LoggedEvent(NamedTuple):
    """An event in the event log: its number or id, and a digest by which a repetition is recognised."""

    key: EventKey
    digest: bytes
    """A digest of the payload without padding."""


class Description(NamedTuple):
    """An event that has arrived, with all that is needed to compare it with the event log."""

    entry: LoggedEvent
    is_numbered: bool = False
    """True if `key` is from the payload, not the SSE id, which may be that of the event before."""
    answer: str | None = None
    """The id of the answer that the event names; None if it names none."""
    item: tuple[int, str] | None = None
    """The index and id of the output item that the event names; None if it names none."""
    is_kept: bool = True
    """False for an event that concerns one connection only, such as a heartbeat or a provider's error."""


class Ids:
    """The ids of the answer and its items, to notice that a server sends another answer.

    Ids that have changed within one connection prove nothing, and are not compared.
    """

    __slots__ = ("answers", "items", "keeps_items")

    def __init__(self) -> None:
        self.answers: set[str] = set()
        """The ids that events have named for the answer; several if the server changes them."""
        self.items: dict[int, str] = {}
        """The id of each output item, by its index."""
        self.keeps_items: bool | None = None
        """True if all events of an output item had its id; None until an item had two events."""

    @classmethod
    def restore(cls, saved: JsonObject) -> Ids:
        """Return the ids that `EventLog.save` has saved."""
        ids = cls()
        ids.answers.update(str(id) for id in saved["answers"])
        ids.items.update((int(index), str(id)) for index, id in saved.get("items", ()))
        ids.keeps_items = saved.get("keeps_items")
        return ids

    def add(self, event: Description) -> None:
        # Two ids suffice to know that the ids of this answer change, so that they cannot be compared.
        if event.answer is not None and len(self.answers) < 2:
            self.answers.add(event.answer)
        if event.item is not None:
            index, id = event.item
            if index in self.items:
                # Once an item has changed its id, `keeps_items` stays False.
                self.keeps_items = self.keeps_items is not False and self.items[index] == id
            else:
                self.items[index] = id

    def add_all(self, other: Ids) -> None:
        """Add the ids of a later connection."""
        self.answers |= other.answers
        self.items |= other.items
        if other.keeps_items is not None:
            self.keeps_items = self.keeps_items is not False and other.keeps_items

    def differ(self, event: Description) -> bool:
        """Return True if an event has an id of another answer or item; ids that have changed do not count."""
        if event.answer is not None and len(self.answers) == 1 and event.answer not in self.answers:
            return True
        if event.item is None or not self.keeps_items:
            return False
        index, id = event.item
        return self.items.get(index, id) != id


def size_of(frame: Frame) -> int:
    """Return the size of an event's payload in bytes; 256, a guess, for one that arrived decoded."""
    payload = frame.payload if isinstance(frame, ServerSentEvent) else frame
    return len(payload) if isinstance(payload, bytes) else 256


def decode_payload(payload: object) -> object:
    """Return a payload's JSON value; None if the payload is not JSON."""
    if not isinstance(payload, bytes):
        return payload
    try:
        value: object = from_json(payload)
    except ValueError:
        # `from_json` refuses halves of surrogate pairs, for example, which are read here nevertheless.
        with suppress(ProtocolError):
            return decode_tolerantly(payload)
        return None
    return value


def digest_bytes(data: bytes) -> bytes:
    return blake2b(data, digest_size=8).digest()


def digest_of(payload: JsonObject, name: str) -> bytes:
    """Return a digest of a payload, without the fields that a server may change when it repeats the event.

    Of an object that describes the whole answer, only the id counts: its other fields may have changed since.
    """
    content = {field: value for field, value in payload.items() if field not in _MADE_ANEW}
    for field in _WHOLE_ANSWER_FIELDS:
        id = text_of(dict_of(content, field), "id")
        if id is not None:
            content[field] = id
    text = json.dumps([name, content], sort_keys=True, default=repr)
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def key_of(id: str) -> EventKey:
    """Return the id of an event as a number if it is one; None for an event without an id."""
    if len(id) <= _LONGEST_NUMBER and id.isascii() and id.isdecimal():
        return int(id)
    return id or None


def answer_of(payload: JsonObject) -> str | None:
    """Return the id of the answer that a payload names; None if it names none."""
    for name in _WHOLE_ANSWER_FIELDS:
        inner = text_of(dict_of(payload, name), "id")
        if inner is not None:
            return inner
    # Elsewhere, the field `id` may be that of a part.
    is_answer = "choices" in payload or payload.get("object") in _WHOLE_ANSWER_FIELDS
    own_id = text_of(payload, "id") if is_answer else text_of(payload, "responseId")
    return own_id or text_of(payload, "response_id")


def item_of(payload: JsonObject) -> tuple[int, str] | None:
    """Return the index and id of the output item that a payload names; None if it names none."""
    index = int_of(payload, "output_index")
    id = text_of(payload, "item_id") or text_of(dict_of(payload, "item"), "id")
    return None if index is None or id is None else (index, id)


def content_of(frame: Frame) -> bytes:
    """Return a digest of a frame's content, without what a server may change when it repeats the frame."""
    payload = payload_of(frame)
    data = decode_payload(payload)
    if is_dict(data):
        return digest_of(data, event_in(frame))
    return digest_bytes(payload if isinstance(payload, bytes) else repr(payload).encode())
