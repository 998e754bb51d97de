"""Joins the events of a continuation to a broken-off answer, as if the answer had not broken off.

The joint is the place where the continuation's new text begins, after the repeated words.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream.events import (
    CitationAdded,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    Resumed,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.joint import Joint
    from tokenstream.accumulator import Accumulator
    from tokenstream.events import Event
    from tokenstream.message import Part

_NO_TEXT_YET = (MessageStart, ReasoningDelta, CitationAdded, PartDelta, Ping, UsageUpdate, Unknown)
"""Events after which the continuation can still add to the answer's unfinished text."""
_ENDED = -1
"""Part index for closing an unfinished text that the continuation does not continue."""
_SILENT = frozenset({"text", "reasoning", "citation", "server_tool_call", "server_tool_result"})
"""Kinds of parts after which the continuation can still add to the answer's unfinished text."""
_NAMED = frozenset({"tool_call", "server_tool_call", "server_tool_result"})
"""Kinds of parts with ids to which other parts refer."""


class Seam:
    """Connects the format of a continuation with the accumulator of the answer.

    1. `decides` is called with each event that is held back, until the joint is decided.
    2. `sew` turns the held-back events into the continuation, without the repeated text.
    3. `relocate` changes the part indexes of these and all later events to those in the answer.

    Args:
        accumulator: Holds the answer.
        joint: Finds the repeated text.
    """

    def __init__(self, accumulator: Accumulator, joint: Joint) -> None:
        message = accumulator.message
        self._accumulator = accumulator
        self._joint = joint
        self._parts = len(message.parts)
        """The number of parts that the answer had before the continuation."""
        self._open = _open_text(message.parts)
        self._places: dict[int, int] = {}
        """Maps each part index in the continuation to the index in the answer."""
        self._joined: int | None = None
        """The part of the continuation that continues the answer's unfinished text."""
        self._given = message.text
        self._given_in_part = "" if self._open is None else getattr(message.parts[self._open], "text", "")
        self._used = {str(getattr(part, "id", "")) for part in message.parts if part.kind in _NAMED}
        self._ids: dict[str, str] = {}
        """New ids, by the continuation's ids that the answer has already used."""
        self._known = frozenset(message.provider_data)
        self._left_out: set[int | None] = set()
        """Parts of the continuation to leave out: the model's reasoning about how to continue."""
        self._sources = message.citations
        self.id: str | None = None
        """The provider's id of the continuation."""
        self.model: str | None = None
        """The model that writes the continuation."""

    @property
    def moves(self) -> bool:
        """True if part indexes change, so that no chunk may be read on the fast path."""
        last = self._open is not None and self._open + 1 == self._parts
        return not last or any(part != place for part, place in self._places.items())

    @property
    def known_confidence(self) -> float | None:
        """Confidence from 0 to 1 that nothing is missing or doubled; None until the joint is decided."""
        return self._joint.confidence if self._joint.decided else None

    def decides(self, event: Event) -> bool:
        """Take a held-back event; return True once it is known how much the continuation repeats."""
        if isinstance(event, TextDelta):
            return self._joint.feed(event.text)
        if isinstance(event, PartStart) and isinstance(event.content, TextPart) and event.content.text:
            return self._joint.feed(event.content.text)
        if _leaves_open(event):
            return False
        # Something other than text follows.
        self._joint.end()
        return True

    def resumed(self) -> Resumed:
        """Return the event that announces the continuation."""
        self._joint.end()
        joint = self._joint
        return Resumed(mode="continue", dropped=joint.dropped, confidence=joint.confidence)

    def sew(self, events: Iterable[Event]) -> list[Event]:
        """Turn the events that were held back into the answer's next events."""
        left = self._joint.dropped
        sewn: list[Event] = []
        for event in self._drop_known([*events]):
            found = event
            if isinstance(event, PartStart) and isinstance(event.content, TextPart) and self._joins(event):
                if not event.content.text:
                    continue
                found = TextDelta(event.content.text, choice=event.choice, part=event.part, raw=event.raw)
            elif self._closes(event):
                sewn.append(PartDone(None, part=_ENDED))
            if isinstance(found, TextDelta):
                self._joins(found)
                cut = min(left, len(found.text))
                left -= cut
                if cut == len(found.text):
                    continue
                if cut:
                    found = copy(found)
                    found.text = found.text[cut:]
            self._place(found)
            sewn.append(found)
        return sewn

    def _drop_known(self, events: list[Event]) -> list[Event]:
        """Return the events except those that the answer already contains or should not contain."""
        if not any(_needs_thought(event) for event in events):
            # The model's reasoning before the continuation is about the request to continue.
            self._left_out = {event.part for event in events if event.choice == 0 and _is_thought(event)}
        new: list[Event] = []
        for event in events:
            if isinstance(event, MessageStart):
                self.id, self.model = event.id, event.model
            elif isinstance(event, Unknown) and event.kind == "field" and event.name in self._known:
                continue
            elif not self._is_known(event):
                new.append(event)
        return new

    def relocate(self, event: Any) -> Any:  # noqa: ANN401 - any event
        """Convert an event of the continuation to an event of the answer; None to leave it out."""
        if self._is_known(event):
            return None
        if event.part is None or event.choice != 0:
            return event
        # A copy, because the format may still use its own event.
        moved: Any = copy(event)
        moved.part = self._place(event)
        if isinstance(event, PartDone) and event.part == self._joined:
            # The part began before the seam, so the end in the continuation contains only some of it.
            moved.content = None
        self._rename(moved)
        return moved

    def _is_known(self, event: Event) -> bool:
        """Return True if the answer already contains an event, or should not contain it."""
        if isinstance(event, MessageStart):
            # Later additions to the head describe only the continuation, like its head.
            return True
        if event.part is not None and event.choice == 0 and event.part in self._left_out:
            return True
        if isinstance(event, CitationAdded):
            return event.citation.cites is None and event.citation in self._sources
        return isinstance(event, PartStart) and event.choice == 0 and event.part == self._joined

    def _joins(self, event: TextDelta | PartStart) -> bool:
        """Return True if an event belongs to the part that continues the answer's unfinished text."""
        if self._open is not None and self._joined is None:
            self._joined = event.part
            self._places[event.part] = self._open
        return event.part == self._joined

    def _closes(self, event: Event) -> bool:
        """Return True if an event means that the answer's unfinished text is not continued, and ends here."""
        if self._open is None or self._joined is not None:
            return False
        if isinstance(event, Resumed) or _leaves_open(event):
            return False
        self._places[_ENDED], self._open = self._open, None
        return True

    def _place(self, event: Any) -> int | None:  # noqa: ANN401 - any event
        """Return the index of an event's part in the answer."""
        if event.part is None or event.choice != 0:
            return event.part  # type: ignore[no-any-return]
        place = self._places.get(event.part)
        if place is None:
            added = [place for place in self._places.values() if place >= self._parts]
            place = self._places[event.part] = self._parts + len(added)
        return place

    def _rename(self, event: Any) -> None:  # noqa: ANN401 - any event
        """Replace the ids in an event that the answer has already used, and update its citation."""
        if isinstance(event, ToolCallStart | ToolCallDelta):
            event.id = self._id_of(event.id)
        elif isinstance(event, ToolCallDone):
            event.call = self._rename_part(event.call)
        elif isinstance(event, PartStart | PartDone):
            event.content = self._rename_part(event.content)
        elif isinstance(event, CitationAdded):
            event.citation = self._relocate_citation(event.citation)

    def _relocate_citation(self, citation: Any) -> Any:  # noqa: ANN401 - a citation
        """Return a citation whose part and positions refer to the whole answer."""
        if citation.cites not in (None, self._joined):
            return citation.model_copy(update={"cites": self._places.get(citation.cites, citation.cites)})
        before = self._given if citation.cites is None else self._given_in_part
        before = before[: max(0, len(before) - self._joint.dropped)]
        # Google counts bytes, all other providers count characters.
        size = len(
            before.encode("utf-8", "surrogatepass") if self._accumulator.format == "gemini" else before
        )
        changes: dict[str, Any] = {} if citation.cites is None else {"cites": self._places[citation.cites]}
        for name in ("start", "end"):
            at = getattr(citation, name)
            if at is not None:
                changes[name] = at + size
        return citation.model_copy(update=changes)

    def _rename_part(self, part: Any) -> Any:  # noqa: ANN401 - any part
        if part is None or part.kind not in _NAMED:
            return part
        id = self._id_of(part.id)
        return part if id == part.id else part.model_copy(update={"id": id})

    def _id_of(self, id: str) -> str:
        """Return the id that a call has in the answer: a new one if the answer has already used its id."""
        if id not in self._used:
            return id
        found = self._ids.get(id)
        number = 2
        while found is None:
            candidate = f"{id}_{number}"
            found = None if candidate in self._used else candidate
            number += 1
        self._ids[id] = found
        return found


def _open_text(parts: tuple[Part, ...]) -> int | None:
    """Return the index of the text in which the answer broke off; None if it broke off between parts."""
    last = [index for index, part in enumerate(parts) if part.kind != "citation"][-1:]
    return next((index for index in last if not parts[index].complete), None)


def _kind_of(event: Event) -> str | None:
    """Return the kind of the part that an event begins or ends; None if the event does not contain it."""
    content = event.content if isinstance(event, PartStart | PartDone) else None
    return None if content is None else content.kind


def _leaves_open(event: Event) -> bool:
    """Return True if, after this event, the continuation can still add to the answer's unfinished text."""
    kind = _kind_of(event)
    return kind in _SILENT if kind is not None else isinstance(event, (*_NO_TEXT_YET, PartDone))


def _is_thought(event: Event) -> bool:
    return isinstance(event, ReasoningDelta) or _kind_of(event) == "reasoning"


def _needs_thought(event: Event) -> bool:
    """Return True if an event begins a call, which providers accept back only together with its reasoning."""
    return isinstance(event, ToolCallStart) or _kind_of(event) in _NAMED
