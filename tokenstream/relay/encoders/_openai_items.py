"""What the encoders of OpenAI's APIs share whose answers are lists of items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream._log import TextLog
from tokenstream.events import Finish, MediaDelta
from tokenstream.message import MediaPart, ToolCall
from tokenstream.relay.encoders._encoder import Encoder
from tokenstream.relay.encoders._openai import CUT
from tokenstream.relay.encoders._pieces import keeping

if TYPE_CHECKING:
    from tokenstream.events import (
        Event,
        MessageStart,
        PartDone,
        PartStart,
        RefusalDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallDone,
        ToolCallStart,
    )
    from tokenstream.message import Part
    from tokenstream.relay.encoders._encoder import Payload, Payloads
    from tokenstream.relay.encoders._pieces import Wrap

__all__ = ["CALLS", "Item", "ItemEncoder"]

CALLS = frozenset({"tool_call", "custom_tool_call"})
"""Kinds of items that are calls of the application's tools."""


class Item:
    """One thing of an answer that has a beginning and an end on the wire.

    Args:
        kind: What it is, one of the kinds that its encoder has.
        part: The index of the part that it is.
        index: Its place among the items.
        fields: What is told of it besides its content.
    """

    __slots__ = (
        "annotations",
        "data",
        "fields",
        "id",
        "index",
        "kind",
        "over",
        "part",
        "told",
        "whole",
        "written",
    )

    def __init__(self, kind: str, part: int, index: int, fields: dict[str, Any]) -> None:
        self.kind = kind
        self.part = part
        self.index = index
        self.fields = fields
        self.id = ""
        self.written = TextLog()
        """Its text so far; a call's arguments."""
        self.annotations: list[dict[str, Any]] = []
        self.data: list[bytes] = []
        """Pieces of the medium that it is."""
        self.whole = False
        """Whether it is a call whose end was told."""
        self.over = False
        """Whether its end was sent."""
        self.told: dict[str, Any] = {}
        """The item as its end tells it."""


class ItemEncoder(Encoder, ABC):
    """Writes an answer that is a list of items, each with a beginning, pieces and an end.

    A text ends on the wire once the next item begins: until then sources can be named for it.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self.items: list[Item] = []
        self.starts: dict[int, Part] = {}
        """What was said of each part last, by its index."""
        self._of_part: dict[int, Item] = {}
        self._leaving: list[Item] = []
        """Items whose part is over, and whose end was not sent."""

    # -- for the formats: each returns the payloads to send ----------------------

    @abstractmethod
    def head(self) -> Payloads:
        """What an answer begins with."""

    @abstractmethod
    def begun(self, item: Item) -> Payloads:
        """What begins an item."""

    @abstractmethod
    def more(self, item: Item, text: str) -> Payloads:
        """More of its text."""

    @abstractmethod
    def ended(self, item: Item, status: str) -> Payloads:
        """What ends an item: "completed", or "incomplete" where it was cut."""

    @abstractmethod
    def ending(self, finish: Finish) -> Payloads:
        """What ends an answer."""

    # -- events ------------------------------------------------------------------

    def begin(self, event: MessageStart) -> Payloads:
        """What begins the answer; a later head says nothing."""
        super().begin(event)
        return self.ahead()

    def open(self, event: PartStart) -> Payloads:
        """Nothing yet: more may be said of the part before its first piece."""
        self.starts[event.part] = event.content
        return ()

    def text(self, event: TextDelta) -> Payloads:
        """More of a text."""
        return self.write(event.part, "text", event.text)

    def refusal(self, event: RefusalDelta) -> Payloads:
        """More of a refusal."""
        return self.write(event.part, "refusal", event.text)

    def call(self, event: ToolCallStart) -> Payloads:
        """A call begins."""
        kind = "custom_tool_call" if event.type == "custom" else "tool_call"
        return self.item(event.part, kind, call_id=event.id, name=event.name)[1]

    def arguments(self, event: ToolCallDelta) -> Payloads:
        """More of a call's arguments."""
        return self.write(event.part, "tool_call", event.fragment)

    def call_done(self, event: ToolCallDone) -> Payloads:
        """A call ends; what its end says counts, whatever the fragments were."""
        return self._end_call(event.part, event.call)

    def _end_call(self, part: int, call: ToolCall) -> Payloads:
        item = self._of_part[part]
        item.whole, item.written = True, TextLog()
        item.written.append(call.arguments_text)
        return self.end_item(item)

    def close(self, event: PartDone) -> Payloads:
        """Nothing yet: a source may be named for what was said last; a medium without pieces is told."""
        if isinstance(event.content, ToolCall):
            # What the model wrote is no JSON; it has ended all the same.
            return self._end_call(event.part, event.content)
        item, start = self._of_part.get(event.part), self.starts.get(event.part)
        payloads: Payloads = ()
        if item is None and isinstance(start, MediaPart):
            if start.data:
                payloads = self.media(MediaDelta(start.data, part=event.part))
                item = self._of_part.get(event.part)
            elif start.url is not None:
                self.omit("media that were not sent themselves", "media")
        if item is not None:
            self._leaving.append(item)
        return payloads

    def finish(self, event: Finish) -> Payloads:
        """The reason why the answer ended, kept for the end.

        Raises:
            NotExpressible: There is no word for it, or it is "tool_calls" and there are none.
        """
        if event.reason == "tool_calls" and CALLS.isdisjoint(item.kind for item in self.items):
            if "all" not in self.drop and not self.has_calls():
                raise self.refused("the finish reason 'tool_calls' without a tool call")
            # They were left out, and what is left waits for nothing.
            event = Finish("stop", event.raw_reason)
        return super().finish(event)

    def tail(self) -> Payloads:
        """The ends of all items, and that of the answer."""
        finish = self.finishes[0]
        yield from self.ahead()
        yield from self.end_all(cut=finish.reason in CUT)
        yield from self.ending(finish)

    # -- items -------------------------------------------------------------------

    def item(self, part: int, kind: str, **fields: Any) -> tuple[Item, list[Payload]]:  # noqa: ANN401 - any JSON value
        """Return the item that a part is, and what begins it where it has not begun.

        Args:
            part: The part's index.
            kind: What the item is.
            **fields: What is told of it besides its content.
        """
        held = self._of_part.get(part)
        if held is not None:
            return held, []
        item = Item(kind, part, len(self.items), fields)
        payloads = self.ahead()
        for before in self._leaving:
            payloads += self.end_item(before)
        self._leaving.clear()
        self.items.append(item)
        self._of_part[part] = item
        payloads += self.begun(item)
        return item, payloads

    def held(self, part: int | None) -> Item | None:
        """Return the item that a part is; None where none has begun."""
        return None if part is None else self._of_part.get(part)

    def write(self, part: int, kind: str, text: str) -> list[Payload]:
        """Return what is sent for more text of a part, whose item begins where it has not.

        Args:
            part: The part's index.
            kind: What its item is.
            text: What is added.
        """
        item, payloads = self.item(part, kind)
        item.written.append(text)
        payloads += self.more(item, text)
        return payloads

    def wrap(self, event: Event, head: bytes, tail: bytes) -> Wrap:
        """Keep the text of an item."""
        item = self.held(event.part)
        wrap = super().wrap(event, head, tail)
        return wrap if item is None else keeping(wrap, item.written.append)

    def end_item(self, item: Item, status: str = "completed") -> list[Payload]:
        """Return what ends an item, once.

        Args:
            item: The item.
            status: "completed", or "incomplete" where it was cut.
        """
        if item.over:
            return []
        item.over = True
        return list(self.ended(item, status))

    def end_all(self, *, cut: bool) -> list[Payload]:
        """Return what ends the items that are open.

        Args:
            cut: Whether what was being said was cut.
        """
        payloads: list[Payload] = []
        for item in self.items:
            partial = cut or (item.kind in CALLS and not item.whole)
            payloads += self.end_item(item, "incomplete" if partial else "completed")
        return payloads
