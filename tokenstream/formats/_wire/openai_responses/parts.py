"""Finds and creates the items of a response's output, which become parts of the message."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, dicts_of, index_of, int_of, text_of, whole_number
from tokenstream.formats._kit.identity import Identity
from tokenstream.formats._kit.sessions import ITEM_FIELDS, SessionParts
from tokenstream.formats._kit.values import mend_surrogates
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
from tokenstream.formats._wire.openai_responses.words import custom_tools_in, media_of
from tokenstream.message import MediaPart

if TYPE_CHECKING:
    from collections.abc import Container

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart

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
    Identity,
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
_MOST_COMPARED = 64
"""The most items whose content is compared with what an event without an id and an index repeats."""
_TEXT_TYPES = frozenset({"message", "reasoning"})


class ResponseItems(SessionParts):
    """Turns the output items of a response into parts of the message.

    An item is found by its id; by its index if the id changes from event to event, or is that of several
    items; and by its type and order if neither says which item it is.
    """

    __slots__ = ("_audio", "_custom_tools", "_identity", "last_section", "number", "research", "unread_delta")

    # A saved state has the number of this delta instead.
    unkept = frozenset({"unread_delta"})

    def _set_up(self) -> None:
        super()._set_up()
        # The numbers of events.
        self.number: int | None = None
        """The number of the last decoded event that had a number."""
        self.unread_delta: Event | None = None
        """The last delta, if it was read without decoding; its payload may have a later number."""
        self._audio: OpenPart | None = None
        self._custom_tools: dict[str, None] | None = None
        """The names of the request's tools that take free text; None unless the response lists them all."""
        self.research = Research()
        self._forget_items()

    def _forget_items(self) -> None:
        """Begin a response, which has no output items yet."""
        self._places.clear()
        self._identity = Identity[ResponseItem]()
        """Finds the response's items; a call's id is a name together with the type of the item."""
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

    def mend_surrogates_in(self, data: JsonObject) -> JsonObject:
        """Return data that will be stored, with halves of surrogate pairs replaced."""
        return mend_surrogates(data) if self.may_hold_surrogates else data

    def note_tools(self, tools: list[JsonObject]) -> None:
        """Note the tools of the request, which a response repeats."""
        self._custom_tools = custom_tools_in(tools)

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

    def start_item(self, payload: JsonObject, item: JsonObject) -> None:
        """Start an item; if its start is repeated, ignore it."""
        index, item_type = number_of(payload, "output_index"), text_of(item, "type") or ""
        if index is None:
            index, previous = self._identity.free_index(), self._find_by_id(item_type, item)
            if previous and (previous.ended or previous.likeness(item) < 0):
                # Of items that share an id and have no index, only one at a time is open.
                previous = None
        elif (previous := self._identity.find_at(index)) is not None:
            item_id = text_of(item, "id")
            same = (previous.type, previous.id) == (item_type, item_id) and previous.likeness(item) >= 0
            if previous.id is None or not same:
                self.note("part_index_reused")
                previous = None
        if previous is not None:
            self.note("part_repeated")
            self._update_id(previous, item)
            return
        self._create_item(index, item).read_item(item, complete=False)

    def end_item(self, payload: JsonObject, item: JsonObject) -> None:
        """End an item, and report its content, except the content that earlier events have sent."""
        item_type = text_of(item, "type")
        state = self.find_item(payload, item_type, item)
        if state is None or (item_type and state.type != item_type):
            state = self._create_for(payload, item)
        elif state.ended:
            self.note("part_end_unmatched")
        self._update_id(state, item)
        self._read_finished(state, item)

    def _read_finished(self, state: ResponseItem, item: JsonObject) -> None:
        self.place = state.place
        state.read_item(item, complete=True)
        if state.type in SOURCE_ITEMS:
            self.research.cite_sources(self, item)

    def find_item(
        self, payload: JsonObject, item_type: str | None, whole: JsonObject | None = None
    ) -> ResponseItem | None:
        """Return the item that an event is about; None if no item fits it.

        1. An item is its id: that of the event, of the `whole` item in it, or of its call.
        2. The item with the event's index and type, unless the event has the id of another item.
        3. The open last item of the type; the whole content, if the event has it, tells open ones apart.

        Args:
            payload: The event.
            item_type: The type of item that the event is about; None for content of any item with texts.
            whole: The item, as far as the event has it whole.
        """
        index, item_id = number_of(payload, "output_index"), text_of(payload, "item_id")
        item = self._find_by_id(item_type, {"id": item_id})
        if item is not None:
            item.is_named = True
        else:
            item = self._find_by_id(item_type, whole or {})
        if item is None:
            if index is not None and not (item_type and self._identity.is_shared(index)):
                item = self._identity.find_at(index, item_type or "")
            elif item_type is not None:
                if index is None:
                    self.note("part_index_missing")
                item = self._find_by_order(item_type, whole)
            if item is not None and (
                not _may_be_about(item, item_type)
                or (item.is_named and item_id is not None and not self._identity.is_known(item_id))
                or (index is not None and _is_other(item, whole or {}))
            ):
                item = None
        if item is not None:
            self.place = item.place
        return item

    def _find_by_id(self, item_type: str | None, names: JsonObject) -> ResponseItem | None:
        """Return the only item with an id, or of those of the type the only one with the id of its call."""
        is_about_texts = item_type is None or item_type in _TEXT_TYPES
        item_id, call_id = text_of(names, "id"), text_of(names, "call_id")
        for name in (item_id, (item_type or "", call_id or item_id or "")):
            item = self._identity.find_named([name])
            if item is not None and isinstance(item, TextItem) is is_about_texts:
                return item
        return None

    def _find_by_order(self, item_type: str, whole: JsonObject | None) -> ResponseItem | None:
        """Return the item of a type that an event is about which names none: see `find_by_order`."""
        recent = [item for item in self._identity.items[-_MOST_COMPARED:] if _may_be_about(item, item_type)]
        recent = [item for item in recent if item.type == item_type] or recent
        return self.find_by_order(recent, whole)

    def find_or_start_item(
        self, payload: JsonObject, item_type: str, whole: JsonObject | None = None
    ) -> ResponseItem:
        """Return the item that an event is about; start an item if there is none that fits the event."""
        item = self.find_item(payload, item_type, whole)
        if item is not None:
            return item
        payload = self.mend_surrogates_in(payload)
        known = {"type": item_type, "id": text_of(payload, "item_id"), "agent": dict_of(payload, "agent")}
        data = {name: value for name, value in known.items() if value}
        started = self._create_for(payload, data)
        started.read_item(data, complete=False)
        return started

    def _create_for(self, payload: JsonObject, item: JsonObject) -> ResponseItem:
        index = number_of(payload, "output_index")
        identity = self._identity
        is_used = index is not None and identity.find_at(index) is not None
        self.note("part_index_reused" if is_used else "part_unannounced")
        return self._create_item(identity.free_index() if index is None else index, item)

    def _create_item(self, index: int, item: JsonObject) -> ResponseItem:
        """Create the state of an item, which later events with the item's index or id belong to."""
        self.check_room(len(self._identity.items))
        item_type = text_of(item, "type") or ""
        self.place = (len(self._identity.items), (False, 0))
        state = _item_class(item_type, item, self._custom_tools)(self, item_type, index)
        self._identity.begin(state, index)
        self._update_id(state, item)
        return state

    def _update_id(self, state: ResponseItem, item: JsonObject) -> None:
        """Record the ids of an item and its call: they may change, and one that items share names none."""
        item_id, call_id = text_of(item, "id"), text_of(item, "call_id")
        if item_id is not None and item_id != state.id:
            self._identity.add_name(state, item_id, before=state.id)
            state.id = item_id
        if call_id is not None and state.call_id is None:
            self._identity.add_name(state, (state.type, call_id))
            state.call_id = call_id

    @property
    def has_open(self) -> bool:
        return any(not item.ended for item in self._identity.items)

    # -- the whole output --------------------------------------------------

    def read_output(self, output: object, *, complete: bool) -> None:
        """Read the whole output, report the content that no event has sent, and close all items."""
        items = [self.mend_surrogates_in(item) for item in dicts_of(output)]
        begun, late, before = [*self._identity.items], dict[int, list[int]](), -1
        for position, (item, state) in enumerate(zip(items, self._match_reported(items), strict=True)):
            if state is not None:
                before = state.place[0]
                if state.ended:
                    self.tell_inside(item, ITEM_FIELDS)
                self._read_finished(state, item)
            elif self._identity.is_known(text_of(item, "id")):
                # The output has the item twice, or with another type than in events.
                self.note("content_twice")
            else:
                new = self._create_item(position, item)
                late.setdefault(before, []).append(new.place[0])
                self._read_finished(new, item)
        for state in self._identity.items:
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

    def _match_reported(self, items: list[JsonObject]) -> list[ResponseItem | None]:
        """Return a list with the state of each item of the whole output, None for an item without events.

        Items are matched by type and id. If the ids differ from those in events, the remaining
        items of each type are matched in their order.
        """
        types = [text_of(item, "type") or "" for item in items]
        matches: list[ResponseItem | None] = []
        matched = set[int]()
        for item_type, item in zip(types, items, strict=True):
            state = self._find_by_id(item_type, item)
            # A second item with the same id must not be matched.
            if state is not None and (state.type != item_type or id(state) in matched):
                state = None
            matches.append(state)
            matched.add(id(state))
        unmatched: dict[str, deque[ResponseItem]] = {}
        for state in sorted(self._identity.items, key=lambda state: state.index):
            if id(state) not in matched:
                unmatched.setdefault(state.type, deque()).append(state)
        for position, item_type in enumerate(types):
            if matches[position] is None and unmatched.get(item_type):
                matches[position] = unmatched[item_type].popleft()
        return matches

    def close_all(self, *, complete: bool) -> None:
        if complete:
            for item in self._identity.items:
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


def number_of(payload: JsonObject, name: str) -> int | None:
    """Return a field that is a whole number, or text that is one; None for any other value."""
    return whole_number(index_of(payload.get(name)))


def sequence_number_of(payload: JsonObject) -> int | None:
    """Return the number of an event in its response; None if it has none, or an impossible one."""
    number = int_of(payload, "sequence_number")
    return number if number is not None and 0 <= number < _MAX_SEQUENCE_NUMBER else None


def _may_be_about(item: ResponseItem, item_type: str | None) -> bool:
    """Return whether an event may be about the item that its index or the order names.

    If the event or the item is about texts, as in a message or in reasoning, the types must be equal. Other
    types of items are not distinguished. None is any type with texts.
    """
    if item_type is None:
        return isinstance(item, TextItem)
    if item_type in _TEXT_TYPES or isinstance(item, TextItem):
        return item.type == item_type
    return True


def _is_other(item: ResponseItem, whole: JsonObject) -> bool:
    """Return whether a whole item, found by its index, is another than one that has ended."""
    item_id = text_of(whole, "id")
    return item.ended and None not in {item_id, item.id} and item_id != item.id and item.likeness(whole) < 1


def _item_class(item_type: str, item: JsonObject, custom_tools: Container[str] | None) -> type[ResponseItem]:
    """Return the class for items of a type; an unknown type is judged by the ending of its name."""
    name = text_of(item, "name") or ""
    if item_type == "custom_tool_call" and custom_tools is not None and name not in custom_tools:
        # xAI runs searches of its own, and reports them so (2026-11).
        return HostedItem
    if is_for_application(item_type, item):
        return ShellCallItem if item_type == "shell_call" else CallItem
    if item_type == "message" and is_from_worker(item):
        return WorkerItem
    if item_type in _ITEM_CLASSES:
        return _ITEM_CLASSES[item_type]
    if item_type.endswith("_call"):
        return HostedItem
    return ResultItem if item_type.endswith("_output") else OpaqueItem
