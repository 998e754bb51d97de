"""Base class of encoders for OpenAI's APIs whose answers are lists of items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.text_log import TextLog
from tokenstream.events import Finish, MediaDelta
from tokenstream.message import MediaPart, Part, ToolCall
from tokenstream.relay._encoders.encoder import Encoder, Payload, Payloads
from tokenstream.relay._encoders.pieces import Template, TextRecorder, add_number
from tokenstream.relay._encoders.vocabulary import CALLS, CUT_REASONS

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.events import (
        Event,
        PartDone,
        PartStart,
        RefusalDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallDone,
        ToolCallStart,
    )


@dataclass(slots=True, eq=False)
class OutputItem:
    """One item of an answer, with a start and an end of its own."""

    kind: str
    part: int
    index: int
    fields: JsonObject
    id: str = ""
    text: TextLog = field(default_factory=TextLog)
    """The item's text so far; for a call, the arguments."""
    annotations: list[JsonObject] = field(default_factory=list[dict[str, Any]])
    media: list[bytes] = field(default_factory=list[bytes])
    """The pieces of a medium."""
    is_complete: bool = False
    """True for a complete call."""
    end_sent: bool = False
    final_json: JsonObject = field(default_factory=dict[str, Any])
    """The item's JSON as it was sent at the item's end."""


class ItemEncoder(Encoder, ABC):
    """Encodes an answer as a list of items, each with a start, pieces and an end.

    The end of a text is delayed until the next item begins, because citations of the text may follow.
    """

    begins_at_once = True
    number_field: ClassVar[bytes]
    """The bytes before the number in an event."""
    first_number: ClassVar[int] = 0

    def reset(self) -> None:
        super().reset()
        self.numbers = count(self.first_number)
        """The numbers of the next events."""
        self.items: list[OutputItem] = []
        self.starts: dict[int, Part] = {}
        """The content of the last `PartStart` of each part, by the part's index."""
        self._items_by_part: dict[int, OutputItem] = {}
        self._unended: list[OutputItem] = []
        """Items whose parts are complete, and whose ends were not sent yet."""

    # -- for encoders: each returns the payloads to send --------------------------

    @abstractmethod
    def encode_begin(self, item: OutputItem) -> Payloads:
        """Return the payloads that begin an item."""

    @abstractmethod
    def encode_piece(self, item: OutputItem, text: str) -> Payloads:
        """Return the payloads for more of an item's text."""

    @abstractmethod
    def encode_end(self, item: OutputItem, status: str) -> Payloads:
        """Return the payloads that end an item, as "completed" or, if it was cut off, as "incomplete"."""

    @abstractmethod
    def encode_ending(self, finish: Finish) -> Payloads:
        """Return the payloads that end an answer."""

    # -- events ------------------------------------------------------------------

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Keep the content of a part's start; return no payloads.

        The item begins at the first piece, since a part may have several starts, of which the last counts.
        """
        self.starts[event.part] = event.content
        return ()

    def encode_text(self, event: TextDelta) -> Payloads:
        return self.write_text(event.part, "text", event.text)

    def encode_refusal(self, event: RefusalDelta) -> Payloads:
        return self.write_text(event.part, "refusal", event.text)

    def encode_call(self, event: ToolCallStart) -> Payloads:
        kind = "custom_tool_call" if event.type == "custom" else "tool_call"
        _, payloads = self.open_item(event.part, kind, call_id=event.id, name=event.name)
        return payloads

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return self.write_text(event.part, "tool_call", event.fragment)

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Return the end of a call, with the final arguments in place of the fragments."""
        return self._end_call(event.part, event.call)

    def _end_call(self, part: int, call: ToolCall) -> Payloads:
        """Return the end of a call, with the final arguments in place of the fragments."""
        item = self._items_by_part[part]
        item.is_complete, item.text = True, TextLog()
        item.text.append(call.arguments_text)
        return self.end_item(item)

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the payloads for the end of a part; usually none.

        The end of a part's item is usually sent when the next item begins, because citations may follow.
        There are payloads for a call whose arguments are invalid, which ends at once, and for a medium that
        arrived without pieces, which is sent whole.
        """
        if isinstance(event.content, ToolCall):
            # The arguments are not JSON, but the call has ended all the same.
            return self._end_call(event.part, event.content)
        item, start = self._items_by_part.get(event.part), self.starts.get(event.part)
        payloads: Payloads = ()
        if item is None and isinstance(start, MediaPart) and start.data:
            # There was no piece: the start contains the whole medium.
            payloads = self.encode_media(MediaDelta(start.data, part=event.part))
            item = self._items_by_part.get(event.part)
        if item is not None:
            self._unended.append(item)
        return payloads

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason for the end; "tool_calls" in an answer without calls is a loss."""
        if event.reason == "tool_calls" and CALLS.isdisjoint(item.kind for item in self.items):
            # No call was sent: all calls were left out, which `has_calls` counts all the same, or the
            # answer has none. The client then has nothing to run, so an ordinary end is sent.
            if not self.has_calls():
                self.omit_reason("tool_calls")
            event = Finish("stop", event.raw_reason)
        return super().keep_finish(event)

    def encode_tail(self) -> Payloads:
        # These formats have a single choice, which has index 0.
        finish = self.finishes[0]
        yield from self.unsent_head()
        yield from self.end_all(cut=finish.reason in CUT_REASONS)
        yield from self.encode_ending(finish)

    # -- items -------------------------------------------------------------------

    def open_item(self, part: int, kind: str, **fields: Json) -> tuple[OutputItem, list[Payload]]:
        """Return the item of a part, and the payloads that begin the item if it is new."""
        existing = self._items_by_part.get(part)
        # Text after the end of its item, which was sent, begins another item.
        if existing is not None and not existing.end_sent:
            return existing, []
        item = OutputItem(kind, part, len(self.items), fields)
        payloads = self.unsent_head()
        # Now that another item begins, no more citations of these items can arrive.
        for unended in self._unended:
            payloads += self.end_item(unended)
        self._unended.clear()
        self.items.append(item)
        self._items_by_part[part] = item
        payloads += self.encode_begin(item)
        return item, payloads

    def find_item(self, part: int | None) -> OutputItem | None:
        return None if part is None else self._items_by_part.get(part)

    def write_text(self, part: int, kind: str, text: str) -> Payloads:
        """Return the payloads for a piece of a part's text, and for the start of the item if it is new."""
        item, payloads = self.open_item(part, kind)
        item.text.append(text)
        payloads += self.encode_piece(item, text)
        return payloads

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        make_template = partial(super().make_template, event, tail=tail)
        # `head` has the number of the event that was sent: the next number takes its place in each chunk.
        return add_number(make_template, head, self.number_field, self.numbers.__next__)

    def find_recorder(self, event: AnyEvent) -> TextRecorder | None:
        item = self.find_item(event.part)
        return None if item is None else item.text.append

    def end_item(self, item: OutputItem, status: str = "completed") -> Payloads:
        """Return the payloads that end an item, unless they were sent; see `encode_end` for its status."""
        if item.end_sent:
            return []
        item.end_sent = True
        return list(self.encode_end(item, status))

    def end_all(self, *, cut: bool) -> Payloads:
        payloads: list[Payload] = []
        for item in self.items:
            is_incomplete = cut or (item.kind in CALLS and not item.is_complete)
            payloads += self.end_item(item, "incomplete" if is_incomplete else "completed")
        return payloads
