"""The output of a response: items, which have an index and become parts of the message."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dicts_of, index_of, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._wire.openai_responses.calls import CallItem, is_clients
from tokenstream.formats._wire.openai_responses.item import (
    HostedItem,
    ImageItem,
    OpaqueItem,
    ResponseItem,
    ResultItem,
)
from tokenstream.formats._wire.openai_responses.words import media_of
from tokenstream.formats._wire.openai_responses.written import (
    MessageItem,
    ReasoningItem,
    Section,
    WrittenItem,
)
from tokenstream.message import MediaPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.limits import Limits

_MAKERS: dict[str, type[ResponseItem]] = {
    "message": MessageItem,
    "reasoning": ReasoningItem,
    "image_generation_call": ImageItem,
    "program": HostedItem,
}

MADE_OF: tuple[type, ...] = (
    CallItem,
    HostedItem,
    ImageItem,
    MessageItem,
    OpaqueItem,
    ReasoningItem,
    ResultItem,
    Section,
)
"""Classes of the objects that hold the state of a response's items."""

_MOST_NUMBER = 10**15
_WRITTEN = frozenset({"message", "reasoning"})


class ResponseItems(Parts):
    """Parts whose deltas have the index of an output item.

    The id of an item may change from event to event, so items are found by index.

    Args:
        limits: Bounds on parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = (
        "_audio",
        "_by_id",
        "_by_index",
        "_by_place",
        "_highest",
        "_seen",
        "latest",
        "number",
        "written",
    )

    splits_calls = False
    unkept: ClassVar[frozenset[str]] = frozenset({"latest"})

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.number: int | None = None
        """The number of the last decoded event that had a number."""
        self.latest: Event | None = None
        """The last delta after that event that was read without decoding, which may have a later number."""
        self._by_index: dict[int, ResponseItem] = {}
        self._by_place: dict[tuple[int, str], ResponseItem] = {}
        """Maps index and type to an item."""
        self._by_id: dict[str, ResponseItem] = {}
        self._highest = -1
        """The highest index of an item."""
        self._seen: list[ResponseItem] = []
        self.written: Section | None = None
        """The text that the last decoded text delta added to."""
        self._audio: OpenPart | None = None

    def clean(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return data that will be stored, with may_hold_surrogates of surrogate pairs replaced."""
        return mend_surrogates(data) if self.may_hold_surrogates else data

    @property
    def sequence_number(self) -> int | None:
        """The number of the last event, after which the provider can replay."""
        number = None if self.latest is None else sequence_number_of(self.latest.raw)
        return self.number if number is None else number

    def settle_number(self) -> None:
        """Read the number of the stored delta, and drop the delta."""
        self.number, self.latest = self.sequence_number, None

    # -- finding items -----------------------------------------------------

    def begin(self, payload: dict[str, Any], item: dict[str, Any]) -> None:
        """Start an item."""
        index = number_of(payload, "output_index")
        if index is None:
            self.note("part_index_missing")
            index = self._free_index()
        held = self._by_index.get(index)
        if held is not None:
            item_type = text_of(item, "type")
            if held.id is not None and (held.type, held.id) == (item_type, text_of(item, "id")):
                self.note("part_repeated")
                return
            self.note("part_index_reused")
            if held.type == item_type and not held.over:
                self.note("part_unclosed")
                held.close(complete=True)
        self._make(index, item).take(item, over=False)

    def end(self, payload: dict[str, Any], item: dict[str, Any]) -> None:
        """End an item; the payload repeats all content of the item."""
        item_type = text_of(item, "type")
        held = self.find(payload, item_type)
        if held is None or (item_type and held.type != item_type):
            self.note("part_unopened" if held is None else "part_index_reused")
            index = number_of(payload, "output_index")
            held = self._make(self._free_index() if index is None else index, item)
        elif held.over:
            self.note("part_end_unmatched")
        self._name(held, item)
        held.take(item, over=True)

    def find(self, payload: dict[str, Any], item_type: str | None = None) -> ResponseItem | None:
        """Return the item that an event is about; None if no such item was started.

        Args:
            payload: The event.
            item_type: The item's type, if known; another item may have the same index.
        """
        index = number_of(payload, "output_index")
        if index is not None:
            held = self._by_index.get(index)
            if held is None or item_type is None or held.type == item_type:
                return held
            return self._by_place.get((index, item_type), held)
        self.note("part_index_missing")
        item_id = text_of(payload, "item_id")
        found = None if item_id is None else self._by_id.get(item_id)
        return found if found is not None or not self._seen else self._seen[-1]

    def item(self, payload: dict[str, Any], item_type: str) -> ResponseItem:
        """Return the item that an event is about, which is started if necessary.

        Args:
            payload: The event.
            item_type: The type of item that the event belongs to.
        """
        held = self.find(payload, item_type)
        if held is not None and _fits(held, item_type):
            return held
        self.note("part_unopened" if held is None else "part_index_reused")
        index = number_of(payload, "output_index")
        payload, data = self.clean(payload), {"type": item_type}
        if (item_id := text_of(payload, "item_id")) is not None:
            data["id"] = item_id
        made = self._make(self._free_index() if index is None else index, data)
        made.take(data, over=False)
        return made

    def _make(self, index: int, item: dict[str, Any]) -> ResponseItem:
        """Create an item, which the next event with its index or id belongs to."""
        # An item may have no parts, so the limit on parts must be checked here, too.
        if len(self._seen) >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        item_type = text_of(item, "type") or ""
        made = _maker_of(item_type, item)(self, item_type, index)
        self._highest = max(self._highest, index)
        self._by_index[index] = self._by_place[index, item_type] = made
        self._seen.append(made)
        self._name(made, item)
        return made

    def _name(self, held: ResponseItem, item: dict[str, Any]) -> None:
        """Record the id of an item, which may have changed."""
        item_id = text_of(item, "id")
        if item_id is not None and item_id != held.id:
            if held.id is not None:
                self._by_id.pop(held.id, None)
            held.id = item_id
            self._by_id[item_id] = held

    def _free_index(self) -> int:
        return self._highest + 1

    # -- the whole output --------------------------------------------------

    def settle(self, output: object, *, complete: bool) -> None:
        """Read the whole output, and report the content that no event has sent.

        Args:
            output: The items as the server sent them.
            complete: True if the answer was not cut off.
        """
        items = [self.clean(item) for item in dicts_of(output)]
        for place, (item, held) in enumerate(zip(items, self._match_reported(items), strict=True)):
            if held is None and text_of(item, "id") in self._by_id:
                self.note("content_twice")
                continue
            (held or self._make(place, item)).take(item, over=True)
        for held in self._seen:
            if not held.over:
                self.note("part_unclosed")
                held.close(complete=complete)

    def _match_reported(self, items: list[dict[str, Any]]) -> list[ResponseItem | None]:
        """Return, for each item, the same item as reported by events, or None if the item is new."""
        counts = Counter(held.id for held in self._seen)
        named = {(held.type, held.id or ""): held for held in self._seen if held.id and counts[held.id] == 1}
        kinds = [text_of(item, "type") or "" for item in items]
        by_id = [
            named.pop((kind, text_of(item, "id") or ""), None)
            for kind, item in zip(kinds, items, strict=True)
        ]
        # The ids may differ from the ids in events: match the remaining items by type and order.
        taken = {id(held) for held in by_id}
        waiting: dict[str, deque[ResponseItem]] = {}
        for other in sorted(self._seen, key=lambda held: held.index):
            if id(other) not in taken:
                waiting.setdefault(other.type, deque()).append(other)
        found: list[ResponseItem | None] = []
        for kind, held in zip(kinds, by_id, strict=True):
            others = waiting.get(kind)
            found.append(others.popleft() if held is None and others else held)
        return found

    def close_all(self, *, complete: bool) -> None:
        """Close every part; if the answer was cut off, no tool call is handed out."""
        if complete:
            for held in self._seen:
                if not held.over:
                    held.close(complete=True)
        super().close_all(complete=complete)
        self.report_number()

    def report_number(self) -> None:
        """Report the number of the last event."""
        number = self.sequence_number
        if number is not None:
            self.field("sequence_number", number)

    # -- audio, which belongs to no item -----------------------------------

    def add_audio(self, data: str, transcript: str) -> None:
        """Add to the spoken answer.

        Args:
            data: A piece of the audio, in base64.
            transcript: A piece of the transcript.
        """
        sound = media_of(data)
        if sound is None:
            self.refuse_media(0, "audio", {"data": data})
            return
        if self._audio is None or self._audio.closed:
            self._audio = self.open(0, MediaPart())
        self.add_media(self._audio, sound, transcript)


def number_of(payload: dict[str, Any], name: str) -> int | None:
    """Return a field that is a whole number, or text that is one; None for any other value.

    Example:
        >>> number_of({"index": "2"}, "index"), number_of({"index": True}, "index")
        (2, None)
    """
    value = index_of(payload.get(name))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def sequence_number_of(payload: dict[str, Any]) -> int | None:
    """Return the number of an event in its response.

    Example:
        >>> sequence_number_of({"sequence_number": 7}), sequence_number_of({"sequence_number": -7})
        (7, None)
    """
    number = payload.get("sequence_number")
    in_range = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _MOST_NUMBER
    return number if in_range else None


def _fits(held: ResponseItem, item_type: str) -> bool:
    """Return whether an event that belongs to a type of item may be about this item."""
    if item_type in _WRITTEN or isinstance(held, WrittenItem):
        return held.type == item_type
    return True


def _maker_of(item_type: str, item: dict[str, Any]) -> type[ResponseItem]:
    """Return the class for items of a type; an unknown type is judged by the ending of its name."""
    if is_clients(item_type, item):
        return CallItem
    maker = _MAKERS.get(item_type)
    if maker is not None:
        return maker
    if item_type.endswith("_call"):
        return HostedItem
    return ResultItem if item_type.endswith("_output") else OpaqueItem
