"""Joins the events of a continuation to a broken-off answer, as if the answer had not broken off.

A continuation may begin with words of the answer: the *overlap*, which must not appear twice. Also, the
request to continue may have quoted the answer's last words between *markers*, `<last_words>` and
`</last_words>`: if the model copies them, they must not appear at all.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream._basics.overlap import MarkerFilter, breaks_line_after_marker, holds_markers, without_markers
from tokenstream._providers.apis import api_named
from tokenstream._values.parts import BESIDE, WORDED
from tokenstream.events import (
    CitationAdded,
    Finish,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    Resumed,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.overlap import Overlap
    from tokenstream.events import Event
    from tokenstream.formats._kit.whole_text import WholeText
    from tokenstream.message import Part

_BESIDE_TEXT = (ReasoningDelta, CitationAdded)
"""Events of a part after which a piece of text can still go on."""
_NOT_CLOSING = (*_BESIDE_TEXT, PartDelta, PartDone)
"""Events of a part after which the continuation can still add to the answer's unfinished text."""
_UNCONTINUED = -1
"""The index of the event that ends an unfinished text which nothing continues; `relocate` replaces it."""
_NOT_CLOSING_KINDS = frozenset({"text", "reasoning", "server_tool_call", "server_tool_result"}) | BESIDE
"""Kinds of parts after which the continuation can still add to the answer's unfinished text."""
_NATURAL_ENDS = frozenset({"stop", "stop_sequence"})
"""Finish reasons with which a model says that nothing was left to write."""
_WITH_ID = frozenset({"tool_call", "server_tool_call", "server_tool_result"})
"""Kinds of parts with ids to which other parts refer."""


class SeamJoiner:
    """Changes the events of a continuation so that they go on with the answer that broke off.

    1. The first events are held back, and `look_for_overlap` gets each of them, until the overlap is known.
    2. `drop_overlap` removes the overlap from the held-back events.
    3. `relocate` changes the part indexes of these and all later events to those in the whole answer.

    Args:
        accumulator: Holds the answer.
        overlap: Finds the overlap.
        marked: True if the request quoted the answer's last words between markers, such as `<last_words>`.
            The model may copy these markers, so they are removed from its text.
        missing: The names, or their beginnings, of the calls that were cut and have to be made again.
    """

    def __init__(
        self, accumulator: Accumulator, overlap: Overlap, *, marked: bool = False, missing: Iterable[str] = ()
    ) -> None:
        message, self._cut_calls = accumulator.message, accumulator.cut_calls
        # The model is asked to make them again.
        parts = message.parts[: len(message.parts) - len(self._cut_calls)]
        self._accumulator = accumulator
        self._overlap = overlap
        # The answer before the continuation.
        self._part_count = len(parts)
        self._open_part = _find_open_part(parts)
        """Index of the answer's unfinished text; None if there is none, or if it has ended."""
        self._left_open = [
            index
            for index, part in enumerate(parts)
            if isinstance(part, WORDED) and not part.complete and index != self._open_part
        ]
        """Indexes of earlier texts that the server had not ended: llama.cpp ends all at the end (2026-11)."""
        self._text_before = message.text
        if self._open_part is None:
            overlap.close_text()
        self._missing = [*missing]
        self._part_before = "" if self._open_part is None else getattr(parts[self._open_part], "text", "")
        """The text of the answer's unfinished part before the continuation."""
        self._known_fields = frozenset(message.provider_data)
        """Names of the provider's fields that the answer already contains."""
        self._citations = message.citations

        # The continuation's own head, which the answer does not get.
        self.id: str | None = None
        """The provider's id of the continuation."""
        self.model: str | None = None

        # An answer that is itself about the markers of the request keeps them: nothing is filtered.
        is_filtered = marked and not holds_markers(message.text)
        self._search_filter: MarkerFilter | None = MarkerFilter() if is_filtered else None
        """Removes the markers from the text in which the overlap is searched for; None to remove nothing."""
        self._text_searched = ""
        """The continuation's text until the overlap was known, with the markers."""

        # Changes to the events that are returned.
        self._answer_filter: MarkerFilter | None = MarkerFilter() if is_filtered else None
        """Removes the markers from the text that becomes part of the answer; None to remove nothing."""
        self._filtered_part: int | None = None
        """The continuation's part to which the text in `_answer_filter` belongs."""
        self._dropped: Counter[int] = Counter()
        """Maps each part index in the continuation to the number of characters dropped at its beginning."""
        self._left_out: set[int | None] = set()
        """Parts of the continuation to leave out: the model's reasoning about how to continue."""
        self._joined_part: int | None = None
        """The part of the continuation that continues the answer's unfinished text."""
        self._indexes: dict[int, int] = {}
        """Maps each part index in the continuation to the index in the answer."""
        self._next_index = self._part_count
        """Index in the answer of the continuation's next new part."""
        self._ids: dict[str, str] = {}
        """Maps each id in the continuation to the id in the answer."""
        self._used_ids = {str(getattr(part, "id", "")) for part in message.parts if part.kind in _WITH_ID}
        """Ids of the answer's calls and results, before the continuation and in it."""
        self.is_over = False
        """True once no further event belongs to the continuation, since `end` was called."""

    def end(self) -> None:
        """Let further events pass as they are: they end the answer, and belong to no continuation."""
        self.is_over = True

    @property
    def moves(self) -> bool:
        """True if part indexes or texts change, so that no chunk may be read on the fast path."""
        if self._answer_filter is not None:
            # The text of each event may have to be changed.
            return True
        # Indexes stay the same only if the continuation's parts begin with the answer's last part.
        is_last = self._open_part is not None and self._open_part + 1 == self._part_count
        return not is_last or any(index != in_answer for index, in_answer in self._indexes.items())

    @property
    def misses_call(self) -> bool:
        """True if a call that was cut has not begun again, so that the answer is not complete with this."""
        return bool(self._missing)

    @property
    def known_confidence(self) -> float | None:
        """Confidence from 0 to 1 that no text is lost or repeated; None if unknown, or without the call."""
        return self._overlap.confidence if self._overlap.decided and not self._missing else None

    @property
    def repeated(self) -> int:
        """Number of characters that the continuation has written again, which the provider bills."""
        return self._overlap.dropped

    def look_for_overlap(self, event: Event) -> bool:
        """Look in the next held-back event for repeated text and calls; return True once all are known."""
        if isinstance(event, MessageStart):
            # The answer keeps the head that it began with.
            self.id, self.model = event.id, event.model
        if isinstance(event, ToolCallStart):
            # A name may have been cut as well.
            begun = next((name for name in self._missing if event.name.startswith(name)), None)
            if begun is not None:
                self._missing.remove(begun)
        is_known = self._look_for_text(event)
        return is_known and (not self._missing or isinstance(event, Finish))

    def _look_for_text(self, event: Event) -> bool:
        """Look in the next event for repeated text; return True once all of that is known."""
        if isinstance(event, TextDelta):
            return self._search(event.text)
        if isinstance(event, PartStart) and isinstance(event.content, TextPart) and event.content.text:
            return self._search(event.content.text)
        if _may_precede_text(event):
            return False
        # Something other than text follows.
        self._end_search()
        if isinstance(event, RefusalDelta) or _find_kind(event) == "refusal":
            self._overlap.doubt()
        elif isinstance(event, Finish) and not self._text_searched and event.reason not in _NATURAL_ENDS:
            # Nothing was written, and the model does not say that nothing was left to write.
            self._overlap.doubt()
        elif self._open_part is None and not self._text_searched and _needs_reasoning(event):
            self._overlap.trust()
        return True

    def _search(self, text: str) -> bool:
        """Search the next piece of the continuation's text for the overlap; return True once it is known."""
        self._text_searched += text
        return self._overlap.feed(text if self._search_filter is None else self._search_filter.feed(text))

    def _end_search(self) -> None:
        """End the search for repeated text, since no more text is to be compared."""
        if self._search_filter is not None and (rest := self._search_filter.flush()):
            self._overlap.feed(rest)
        self._overlap.end()

    def make_announcement(self) -> Resumed:
        """End the search for repeated text, and return the event that announces the continuation."""
        overlap = self._overlap
        if not overlap.decided:
            self._end_search()
        trailing_space = self._text_before[len(self._text_before.rstrip()) :]
        breaks_line = self._search_filter is not None and breaks_line_after_marker(self._text_searched)
        if breaks_line and "\n" not in trailing_space:
            # The model has written a line break after a marker, where the answer has none: it may belong to
            # the marker or to the text.
            overlap.doubt()
        return Resumed(
            mode="continue",
            dropped=overlap.dropped,
            confidence=overlap.confidence,
            at=len(self._part_before),
            id=self.id,
            model=self.model,
            discarded=self._cut_calls,
        )

    def clean(self, event: AnyEvent) -> list[Any]:
        """Remove the markers of the request from an event, and return the events that can be used now.

        The end of a text is held back while it may be the beginning of a marker, so the result may be empty.
        It may also begin with text that was held back and is no marker.
        """
        answer_filter = self._answer_filter
        if answer_filter is None or event.choice != 0 or _is_beside_text(event, _BESIDE_TEXT):
            return [event]
        if not isinstance(event, TextDelta):
            return [*self.flush(), _clean_part(event)]
        earlier = self.flush() if event.part != self._filtered_part else []
        self._filtered_part = event.part
        text = answer_filter.feed(event.text)
        if text == event.text:
            return [*earlier, event]
        changed = copy(event)
        changed.text = text
        return [*earlier, changed] if text else earlier

    def flush(self) -> list[Any]:
        """Return the text that was held back because it might have become a marker."""
        rest = "" if self._answer_filter is None else self._answer_filter.flush()
        return [TextDelta(rest, part=self._filtered_part)] if rest else []  # type: ignore[arg-type] # text has a part

    def drop_overlap(self, events: Iterable[Event]) -> list[Event]:
        """Return the held events without the repeated text; `relocate` changes their indexes later."""
        to_drop = self._overlap.dropped
        joined: list[Event] = []
        for number, index in enumerate(self._left_open, 1):
            # Replaced by `relocate`, as `_UNCONTINUED` is.
            self._indexes[_UNCONTINUED - number] = index
            joined.append(PartDone(None, part=_UNCONTINUED - number))
        event: Any
        cleaned = [each for event in events for each in self.clean(event)]
        for event in self._drop_left_out(cleaned):
            # The event that follows in the answer, in place of `event`.
            following: Any = event
            if (
                isinstance(event, PartStart)
                and isinstance(event.content, TextPart)
                and self._join_text(event)
            ):
                # The answer's part goes on, so only the text of the start remains.
                if not event.content.text:
                    continue
                following = TextDelta(event.content.text, choice=event.choice, part=event.part, raw=event.raw)
            elif self._end_open_text(event):
                joined.append(PartDone(None, part=_UNCONTINUED))
            if isinstance(following, TextDelta):
                # The continuation may have a text without a start.
                self._join_text(following)
                repeated = min(to_drop, len(following.text))
                self._dropped[following.part] += repeated
                to_drop -= repeated
                if repeated == len(following.text):
                    continue
                if repeated:
                    following = copy(following)
                    following.text = following.text[repeated:]
            # New parts get their indexes in the order of their events.
            self._index_in_answer(following)
            joined.append(following)
        return joined

    def _drop_left_out(self, events: list[Event]) -> list[Event]:
        """Return the held-back events that belong in the answer.

        The others are the head of the continuation; fields and citations that the answer already has; and
        the continuation's reasoning, unless one of the events begins a call.
        """
        if not any(_needs_reasoning(event) for event in events):
            # The model's reasoning before the continuation is about the request to continue. It stays only
            # with a call, since providers accept a call back only together with its reasoning.
            self._left_out = {
                each.part
                for each in events
                if each.choice == 0 and (isinstance(each, ReasoningDelta) or _find_kind(each) == "reasoning")
            }
        new: list[Event] = []
        for event in events:
            if isinstance(event, MessageStart):
                # The answer keeps the head that it began with.
                data, lists, shared = event.provider_data or {}, {}, True
            elif isinstance(event, ProviderData):
                data, lists, shared = event.data, event.lists, event.shared
            else:
                if not self._is_left_out(event):
                    new.append(event)
                continue
            # The answer keeps the values that it has.
            data = {name: value for name, value in data.items() if name not in self._known_fields}
            if data or lists:
                new.append(ProviderData(data, lists, shared, choice=event.choice, raw=event.raw))
        return new

    def relocate(self, event: AnyEvent) -> AnyEvent:
        """Convert an event of the continuation to an event of the answer; None to leave it out."""
        if self._is_left_out(event):
            return None
        if isinstance(event, Finish) and event.order and event.choice == 0:
            ended = copy(event)
            ended.order = tuple(self._indexes[part] for part in event.order if part in self._indexes)
            return ended
        if event.part is None or event.choice != 0:
            # The event belongs to no part, or to another choice, which was not continued.
            return event
        moved = self._copy_with_references(event)
        moved.part = self._index_in_answer(event)
        if isinstance(event, PartDone) and event.part == self._joined_part:
            # The part began before the seam, so the end in the continuation contains only some of it.
            moved.content = None
        return moved

    def locate(self, whole: WholeText) -> WholeText:
        """Return a copy of `whole`, a part's whole text, in which the part has its index in the answer."""
        located = copy(whole)
        located.part = self._indexes.get(whole.part, -1)
        return located

    def find_text(self, whole: WholeText, in_answer: str) -> str:
        """Return a continued part's text so far; `in_answer` also has the text before the continuation."""
        if whole.part in self._left_out:
            # The answer leaves the part out, so the comparison has to find nothing missing.
            return whole.text
        if whole.kind != "text":
            return in_answer
        begins_at = len(self._part_before) if whole.part == self._joined_part else 0
        unmarked = whole.text if self._answer_filter is None else without_markers(whole.text)
        # The overlap has arrived, but was dropped; the answer has what came after it.
        found = unmarked[: self._dropped[whole.part]] + in_answer[begins_at:]
        # If only the markers make a difference, nothing is missing.
        return whole.text if found == unmarked else found

    def _is_left_out(self, event: Event) -> bool:
        """Return True for a head, citation or start that the answer has, and in parts that are left out."""
        if isinstance(event, MessageStart):
            # Later additions to the head describe only the continuation, like its head.
            return True
        if event.part is not None and event.choice == 0 and event.part in self._left_out:
            return True
        if isinstance(event, CitationAdded):
            return event.citation.cites is None and event.citation in self._citations
        # The part began before the seam.
        return isinstance(event, PartStart) and event.choice == 0 and event.part == self._joined_part

    def _join_text(self, event: TextDelta | PartStart) -> bool:
        """Join the continuation's first text to the answer's unfinished text; return True if this is it."""
        if self._open_part is not None and self._joined_part is None:
            self._joined_part = event.part
            self._indexes[event.part] = self._open_part
        return event.part == self._joined_part

    def _end_open_text(self, event: Event) -> bool:
        """Stop waiting for the answer's open text at an event after it; return True the first time."""
        if self._open_part is None or self._joined_part is not None:
            return False
        if _may_precede_text(event):
            return False
        # The caller's event gets the index `_UNCONTINUED`, which `relocate` replaces by that of the text.
        self._indexes[_UNCONTINUED], self._open_part = self._open_part, None
        return True

    def _index_in_answer(self, event: AnyEvent) -> int | None:
        """Return the index of an event's part in the answer: the next free one for a new part."""
        if event.part is None or event.choice != 0:
            return event.part  # type: ignore[no-any-return]
        index = self._indexes.get(event.part)
        if index is None:
            index = self._indexes[event.part] = self._next_index
            self._next_index += 1
        return index

    def _copy_with_references(self, event: AnyEvent) -> AnyEvent:
        """Return an event for the answer: a call's id that is taken is replaced, a citation relocated."""
        # The format may still use its own event.
        moved = copy(event)
        if isinstance(event, ToolCallStart | ToolCallDelta):
            moved.id = self._id_in_answer(event.id)
        elif isinstance(event, ToolCallDone):
            moved.call = self._rename_part(event.call)
        elif isinstance(event, PartStart | PartDone):
            moved.content = self._rename_part(event.content)
        elif isinstance(event, CitationAdded):
            moved.citation = self._relocate_citation(event.citation)
        return moved

    def _relocate_citation(self, citation: Any) -> Any:  # noqa: ANN401 - a citation
        """Return a citation with the part index and the positions that it has in the whole answer."""
        # `cites` is the index of the cited part; None if the positions count in the text of all parts.
        if citation.cites not in (None, self._joined_part):
            # Positions in a part of the continuation alone do not change.
            return citation.model_copy(update={"cites": self._indexes.get(citation.cites, citation.cites)})
        before = self._text_before if citation.cites is None else self._part_before
        # The provider counts the overlap as text of the continuation.
        before = before[: max(0, len(before) - self._overlap.dropped)]
        # Google counts bytes, all other providers count characters.
        api = api_named(self._accumulator.format)
        counts_bytes = api is not None and api.counts_bytes
        shift = len(before.encode("utf-8", "surrogatepass")) if counts_bytes else len(before)
        changes: dict[str, Any] = {} if citation.cites is None else {"cites": self._indexes[citation.cites]}
        for name in ("start", "end"):
            position = getattr(citation, name)
            if position is not None:
                changes[name] = position + shift
        return citation.model_copy(update=changes)

    def _rename_part(self, part: Any) -> Any:  # noqa: ANN401 - any part
        """Return a part, with a new id if the answer has already used its id."""
        if part is None or part.kind not in _WITH_ID:
            return part
        id = self._id_in_answer(part.id)
        return part if id == part.id else part.model_copy(update={"id": id})

    def _id_in_answer(self, id: str) -> str:
        """Return the id that a call has in the answer: a new one if the answer has already used its id."""
        known = self._ids.get(id)
        if known is not None:
            return known
        new_id, number = id, 2
        while new_id in self._used_ids:
            new_id, number = f"{id}_{number}", number + 1
        self._used_ids.add(new_id)
        self._ids[id] = new_id
        return new_id


def _find_open_part(parts: tuple[Part, ...]) -> int | None:
    """Return the index of the part in which the answer broke off, before those beside it; None for none."""
    for index in reversed(range(len(parts))):
        if parts[index].kind not in BESIDE:
            return None if parts[index].complete else index
    return None


def _find_kind(event: Event) -> str | None:
    """Return the kind of the part that an event starts or ends; None if the event contains no part."""
    content = event.content if isinstance(event, PartStart | PartDone) else None
    return None if content is None else content.kind


def _clean_part(event: AnyEvent) -> AnyEvent:
    """Return an event that starts or ends a text without the request's markers; any other event unchanged."""
    content = event.content if isinstance(event, PartStart | PartDone) else None
    if not isinstance(content, TextPart) or not holds_markers(content.text):
        return event
    changed = copy(event)
    changed.content = content.model_copy(update={"text": without_markers(content.text)})
    return changed


def _may_precede_text(event: Event) -> bool:
    """Return True if, after this event, the continuation can still add to the answer's unfinished text."""
    kind = _find_kind(event)
    return _is_beside_text(event, _NOT_CLOSING) if kind is None else kind in _NOT_CLOSING_KINDS


def _is_beside_text(event: AnyEvent, classes: tuple[type[Any], ...]) -> bool:
    """Return True for an event of these classes, or about the whole answer; a `Finish` ends its text."""
    return isinstance(event, classes) or (event.part is None and not isinstance(event, Finish))


def _needs_reasoning(event: Event) -> bool:
    """Return True if an event begins a call, which later requests must send together with its reasoning."""
    return isinstance(event, ToolCallStart) or _find_kind(event) in _WITH_ID
