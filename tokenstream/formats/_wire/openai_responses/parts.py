"""Finds and creates the items of a response's output, which become parts of the message."""

from __future__ import annotations

from collections import Counter, deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, dicts_of, index_of, text_of, whole_number
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.sessions import SessionParts
from tokenstream.formats._wire.openai_responses.calls import CallItem, is_for_application
from tokenstream.formats._wire.openai_responses.item import (
    HostedItem,
    ImageItem,
    OpaqueItem,
    ResponseItem,
    ResultItem,
)
from tokenstream.formats._wire.openai_responses.research import SOURCE_ITEMS, Research
from tokenstream.formats._wire.openai_responses.shell import (
    HostedShellItem,
    ShellCallItem,
    ShellCommands,
    ShellOutputItem,
)
from tokenstream.formats._wire.openai_responses.texts import (
    MessageItem,
    ReasoningItem,
    Section,
    TextItem,
    WorkerItem,
    is_from_worker,
)
from tokenstream.formats._wire.openai_responses.words import media_of
from tokenstream.message import MediaPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.limits import Limits

_ITEM_CLASSES: dict[str, type[ResponseItem]] = {
    "message": MessageItem,
    "reasoning": ReasoningItem,
    "image_generation_call": ImageItem,
    "program": HostedItem,
    "shell_call": HostedShellItem,
    "shell_call_output": ShellOutputItem,
}

MADE_OF: tuple[type, ...] = (
    CallItem,
    HostedItem,
    HostedShellItem,
    ImageItem,
    MessageItem,
    OpaqueItem,
    ReasoningItem,
    Research,
    ResultItem,
    Section,
    ShellCallItem,
    ShellCommands,
    ShellOutputItem,
    WorkerItem,
)
"""Classes of the objects that hold the state of a response's items."""

_MAX_SEQUENCE_NUMBER = 10**15
_TEXT_TYPES = frozenset({"message", "reasoning"})


class ResponseItems(SessionParts):
    """Turns the output items of a response into parts of the message.

    Each delta has the index of its item. Items are found by index, because the id of an item may
    change from event to event.
    """

    __slots__ = (
        "_all_items",
        "_audio",
        "_highest",
        "_items",
        "last_section",
        "number",
        "research",
        "unread_delta",
    )

    # A saved state has the number of this delta instead.
    unkept: ClassVar[frozenset[str]] = frozenset({"unread_delta"})

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        # The numbers of events.
        self.number: int | None = None
        """The number of the last decoded event that had a number."""
        self.unread_delta: Event | None = None
        """The last delta, if it was read without decoding; its payload may have a later number."""
        self._audio: OpenPart | None = None
        """The media part with the spoken answer."""
        self.research = Research()
        """The thoughts and sources that were reported."""
        self._forget_items()

    def _forget_items(self) -> None:
        """Begin a response, which has no output items yet."""
        self._places.clear()
        self._items: dict[int | tuple[int, str] | str, ResponseItem] = {}
        """Maps each index, each index and type, and each id to the item that has used it last."""
        self._highest = -1
        """The highest index of an item."""
        self._all_items: list[ResponseItem] = []
        """All output items of the response, in order of arrival."""
        self.last_section: Section | None = None
        """The text that the last decoded text delta added to."""

    @override
    def dispose(self) -> None:
        super().dispose()
        # The items refer to these parts.
        self._forget_items()

    def begin_response(self, id: str | None, model: str | None) -> None:
        """Begin a further response of the same answer."""
        self.begin_answer(id, model)
        self._forget_items()
        self._audio, self.research = None, Research()

    def mend_surrogates_in(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return data that will be stored, with halves of surrogate pairs replaced."""
        return mend_surrogates(data) if self.may_hold_surrogates else data

    def note_number(self, number: int) -> None:
        """Set the number of the last event, which was decoded; a delta of the fast path came before it."""
        self.number, self.unread_delta = number, None

    @property
    def sequence_number(self) -> int | None:
        """The number of the last event, after which the provider can replay; None if no event had one."""
        number = None if self.unread_delta is None else sequence_number_of(self.unread_delta.raw)
        return self.number if number is None else number

    def read_latest_number(self) -> None:
        """Store the sequence number of the last event in `number`.

        If that event is a delta that the fast path has read (`unread_delta`), its payload is searched for the
        number now, and the delta is dropped.
        """
        self.number, self.unread_delta = self.sequence_number, None

    # -- finding items -----------------------------------------------------

    def start_item(self, payload: dict[str, Any], item: dict[str, Any]) -> None:
        """Start an item; if its start is repeated, ignore it."""
        index = number_of(payload, "output_index")
        if index is None:
            self.note("part_index_missing")
            index = self._free_index()
        previous = self._items.get(index)
        if previous is not None:
            item_type, item_id = text_of(item, "type"), text_of(item, "id")
            if previous.id is not None and (previous.type, previous.id) == (item_type, item_id):
                self.note("part_repeated")
                self._update_id(previous, item)
                return
            self.note("part_index_reused")
            if previous.type == item_type and not previous.ended:
                # Later events with this index and type will be about the new item.
                self.note("part_unclosed")
                previous.close(complete=True)
        self._create_item(index, item).read_item(item, complete=False)

    def end_item(self, payload: dict[str, Any], item: dict[str, Any]) -> None:
        """End an item, and report its content, except the content that earlier events have sent."""
        item_type = text_of(item, "type")
        state = self.find_item(payload, item_type)
        if state is None or (item_type and state.type != item_type):
            self.note("part_unopened" if state is None else "part_index_reused")
            index = number_of(payload, "output_index")
            state = self._create_item(self._free_index() if index is None else index, item)
        elif state.ended:
            self.note("part_end_unmatched")
        self._update_id(state, item)
        self._read_finished(state, item)

    def _read_finished(self, state: ResponseItem, item: dict[str, Any]) -> None:
        """Read a complete item, and report its sources."""
        self.place = state.place
        state.read_item(item, complete=True)
        if state.type in SOURCE_ITEMS:
            self.research.cite_sources(self, item)

    def find_item(self, payload: dict[str, Any], item_type: str | None = None) -> ResponseItem | None:
        """Return the item that an event is about, of this type if that is known; None if none was started."""
        index = number_of(payload, "output_index")
        if index is not None:
            item = self._items.get(index)
            if item is not None and item_type is not None and item.type != item_type:
                # If no item of the type has this index, the caller decides whether one of another type fits.
                item = self._items.get((index, item_type), item)
        else:
            self.note("part_index_missing")
            item_id = text_of(payload, "item_id")
            item = None if item_id is None else self._items.get(item_id)
            if item is None and self._all_items:
                # Without an index or a known id, the event is probably about the last item.
                item = self._all_items[-1]
        if item is not None:
            self.place = item.place
        return item

    def find_or_start_item(self, payload: dict[str, Any], item_type: str) -> ResponseItem:
        """Return the item that an event is about; start an item if there is none that fits the event."""
        item = self.find_item(payload, item_type)
        if item is not None and _fits(item, item_type):
            return item
        self.note("part_unopened" if item is None else "part_index_reused")
        index = number_of(payload, "output_index")
        payload = self.mend_surrogates_in(payload)
        data: dict[str, Any] = {"type": item_type}
        if (item_id := text_of(payload, "item_id")) is not None:
            data["id"] = item_id
        if agent := dict_of(payload, "agent"):
            data["agent"] = agent
        started = self._create_item(self._free_index() if index is None else index, data)
        started.read_item(data, complete=False)
        return started

    def _create_item(self, index: int, item: dict[str, Any]) -> ResponseItem:
        """Create the state of an item, which later events with the item's index or id belong to."""
        self.check_room(len(self._all_items))
        item_type = text_of(item, "type") or ""
        self.place = (len(self._all_items), (False, 0))
        state = _item_class(item_type, item)(self, item_type, index)
        self._highest = max(self._highest, index)
        self._items[index] = self._items[index, item_type] = state
        self._all_items.append(state)
        self._update_id(state, item)
        return state

    def _update_id(self, state: ResponseItem, item: dict[str, Any]) -> None:
        """Record the id of an item, since the id may have changed."""
        item_id = text_of(item, "id")
        if item_id is not None and item_id != state.id:
            if state.id is not None:
                self._items.pop(state.id, None)
            state.id = item_id
            self._items[item_id] = state

    def _free_index(self) -> int:
        """Return an index that no item has used."""
        return self._highest + 1

    @property
    def has_open(self) -> bool:
        """True if an item has not ended."""
        return any(not item.ended for item in self._all_items)

    # -- the whole output --------------------------------------------------

    def read_output(self, output: object, *, complete: bool) -> None:
        """Read the whole output, report the content that no event has sent, and close all items."""
        items = [self.mend_surrogates_in(item) for item in dicts_of(output)]
        begun, late, before = [*self._all_items], dict[int, list[int]](), -1
        for position, (item, state) in enumerate(zip(items, self._match_reported(items), strict=True)):
            if state is not None:
                before = state.place[0]
                self._read_finished(state, item)
            elif (text_of(item, "id") or "") in self._items:
                # The output has the item twice, or with another type than in events.
                self.note("content_twice")
            else:
                new = self._create_item(position, item)
                late.setdefault(before, []).append(new.place[0])
                self._read_finished(new, item)
        for state in self._all_items:
            if not state.ended:
                self.note("part_unclosed")
                state.close(complete=complete)
        self._put_in_order(begun, late)

    def _put_in_order(self, begun: list[ResponseItem], late: dict[int, list[int]]) -> None:
        """Order the parts by the indexes of the items that events have begun, unless two have the same.

        Those that only the whole output has are `late`: each follows the item before it in the output.
        """
        if len({item.index for item in begun}) == len(begun):
            begun.sort(key=attrgetter("index"))
        numbers = [-1, *(item.place[0] for item in begun)]
        self.put_in_order([each for number in numbers for each in (number, *late.get(number, ()))])

    def _match_reported(self, items: list[dict[str, Any]]) -> list[ResponseItem | None]:
        """Return a list with the state of each item of the whole output, None for an item without events.

        Items are matched by type and id. If the ids differ from those in events, the remaining
        items of each type are matched in their order.
        """
        types = [text_of(item, "type") or "" for item in items]
        # An id that several items have in common identifies none of them.
        id_counts = Counter(state.id for state in self._all_items)
        by_type_and_id = {
            (state.type, state.id): state
            for state in self._all_items
            if state.id and id_counts[state.id] == 1
        }
        # `pop`, because a second item with the same id must not be matched.
        matches = [
            by_type_and_id.pop((item_type, text_of(item, "id") or ""), None)
            for item_type, item in zip(types, items, strict=True)
        ]
        matched = {id(state) for state in matches}
        unmatched: dict[str, deque[ResponseItem]] = {}
        for state in sorted(self._all_items, key=lambda state: state.index):
            if id(state) not in matched:
                unmatched.setdefault(state.type, deque()).append(state)
        for position, item_type in enumerate(types):
            if matches[position] is None and unmatched.get(item_type):
                matches[position] = unmatched[item_type].popleft()
        return matches

    def close_all(self, *, complete: bool) -> None:
        """Close every part, and report the last event's number; hand out calls if the answer is complete."""
        if complete:
            for item in self._all_items:
                if not item.ended:
                    item.close(complete=True)
        super().close_all(complete=complete)
        self.report_number()

    def report_number(self) -> None:
        """Report the number of the last event as a field of the answer."""
        number = self.sequence_number
        if number is not None:
            self.field("sequence_number", number)

    # -- audio, which belongs to no item -----------------------------------

    def add_audio(self, data: str, transcript: str) -> None:
        """Add a piece of audio, in base64, or of its transcript to the spoken answer."""
        audio = media_of(data)
        if audio is None:
            self.add_undecodable_media(0, "audio", {"data": data})
            return
        if self._audio is None or self._audio.closed:
            self._audio = self.open(0, MediaPart())
        self.add_media(self._audio, audio, transcript)


def number_of(payload: dict[str, Any], name: str) -> int | None:
    """Return a field that is a whole number, or text that is one; None for any other value.

    Example:
        >>> number_of({"index": "2"}, "index"), number_of({"index": True}, "index")
        (2, None)
    """
    return whole_number(index_of(payload.get(name)))


def sequence_number_of(payload: dict[str, Any]) -> int | None:
    """Return the number of an event in its response; None if it has none, or an impossible one.

    Example:
        >>> sequence_number_of({"sequence_number": 7}), sequence_number_of({"sequence_number": -7})
        (7, None)
    """
    number = payload.get("sequence_number")
    in_range = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _MAX_SEQUENCE_NUMBER
    return number if in_range else None


def _fits(item: ResponseItem, item_type: str) -> bool:
    """Return whether an event may be about the item that its index or id names.

    If the event or the item is about texts, as in a message or in reasoning, the types must be equal. Other
    types of items are not told apart.
    """
    if item_type in _TEXT_TYPES or isinstance(item, TextItem):
        return item.type == item_type
    return True


def _item_class(item_type: str, item: dict[str, Any]) -> type[ResponseItem]:
    """Return the class for items of a type; an unknown type is judged by the ending of its name."""
    if is_for_application(item_type, item):
        return ShellCallItem if item_type == "shell_call" else CallItem
    if item_type == "message" and is_from_worker(item):
        return WorkerItem
    if item_type in _ITEM_CLASSES:
        return _ITEM_CLASSES[item_type]
    if item_type.endswith("_call"):
        return HostedItem
    return ResultItem if item_type.endswith("_output") else OpaqueItem
