"""Turns reasoning and tool calls that a model writes into its text into separate parts."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._pipeline.text_calls import CallsInText
from tokenstream._pipeline.text_scanner import TaggedText, TextScanner
from tokenstream._pipeline.thoughts import ThoughtScanner
from tokenstream.errors import LimitExceeded
from tokenstream.events import (
    CitationAdded,
    Finish,
    PartDone,
    PartStart,
    ReasoningDelta,
    Restarted,
    TextDelta,
)
from tokenstream.formats._kit.parts import CUT_SHORT
from tokenstream.formats._kit.told import Told, added_by
from tokenstream.message import ReasoningPart, TextPart
from tokenstream.stages._calls.steps import CallBegun, CallEnded, Written
from tokenstream.stages._citations import Cited, MarkerScanner
from tokenstream.stages._text.tags import FirstText, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._pipeline.text_scanner import SplitPiece
    from tokenstream.errors import ProtocolError
    from tokenstream.events import Event
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Citation


_Follow: TypeAlias = "Callable[[Any], bool | None] | None"
_MOST_SKIPPED = 256
"""The most pieces that are read together, later."""
_BLANK_TEXT, _BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()


def make_split_factory(wanted: Wanted) -> StageFactory | None:
    """Return a function that creates a `SplitTexts` for each format; None if texts stay as they are."""
    return partial(SplitTexts, wanted) if wanted.tags or wanted.dialects or wanted.markers else None


def wanted_of(make_stage: StageFactory | None) -> Wanted:
    """Return what a stage looks for."""
    wanted: Wanted = make_stage.args[0] if isinstance(make_stage, partial) else Wanted()
    return wanted


def _is_content(event: Any) -> bool:  # noqa: ANN401 - an event of a part, or a `Told`
    """Return True if an event adds to its answer, so that a call in the reasoning before it was no call."""
    if isinstance(event, PartStart):
        return not isinstance(event.content, TextPart | ReasoningPart) or bool(event.content.text.strip())
    if isinstance(event, TextDelta | ReasoningDelta | Told):
        return bool(event.text.strip())
    return not isinstance(event, PartDone | CitationAdded)


class SplitTexts:
    """A stage after a format that splits its text parts into text, reasoning and tool calls.

    A text part with tags or calls becomes several parts, and later parts are renumbered. A part
    begins with its first content, so that tags make no empty part. Events are copied instead of
    changed, since a format may still use its own events.

    Args:
        wanted: What is looked for.
        parts: The parts of the format. Beyond `Limits.parts`, no tag begins another part.
    """

    __slots__ = (
        "_begun",
        "_by_receiver",
        "_calls",
        "_count",
        "_ended_texts",
        "_ended_whole",
        "_format_indexes",
        "_max_parts",
        "_message_indexes",
        "_open_texts",
        "_part_counts",
        "_parts",
        "_sources",
        "_tagged_choices",
        "_waiting",
        "_wanted",
        "error",
    )

    def __init__(self, wanted: Wanted, parts: Parts) -> None:
        self._wanted = wanted
        self._parts = parts
        self._max_parts = parts.limits.parts
        self.error: ProtocolError | None = None
        """The error for more calls or text than a limit allows; None if there is none."""
        self._calls = CallsInText(parts, self._renumber, self._count_new_part)
        self._open_texts: dict[tuple[int, int], TaggedText] = {}
        """The format's open text parts, by choice and the part's index in the format.

        So are parts of reasoning, if calls of known tools are looked for.
        """
        self._waiting: dict[int, tuple[TaggedText, list[Any]]] = {}
        """The text of each choice whose reasoning has calls at its end, with the events that follow it."""
        self._ended_texts: dict[tuple[int, int], TaggedText] = {}
        """The format's text parts that have ended."""
        self._by_receiver: dict[tuple[int, int], TaggedText] = {}
        """The open text parts, by choice and the index of the receiving part in the message."""
        self._message_indexes: dict[tuple[int, int], int] = {}
        """Each part's index in the message, by its index in the format; that of the last of its texts."""
        self._format_indexes: dict[tuple[int, int], int] = {}
        """The format's index of each part that is not text, by the part's index in the message."""
        self._part_counts: dict[int, int] = {}
        """The number of parts of each choice."""
        self._count = 0
        """The number of parts of all choices."""
        self._begun: set[int] = set()
        """Choices of which a text has begun."""
        self._tagged_choices: set[int] = set()
        """Choices with tags in their text, which were left out."""
        self._sources: dict[int, list[Citation]] = {}
        """The sources of each choice as a whole, which markers number from 1."""
        self._ended_whole: bool | None = None
        """True once the answer has ended by itself, so that calls whose markup has no end are handed out;
        False once it was cut off."""

    @property
    def reads_reasoning(self) -> bool:
        """True if reasoning is looked for in the text."""
        return bool(self._wanted.tags)

    def end(self, *, whole: bool) -> None:
        """Note that the answer has ended by itself, also if no finish reason has come, or was cut off."""
        self._ended_whole = self._ended_whole or whole

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that replace a payload's events: texts are split, and parts are renumbered."""
        out: list[Event] = []
        try:
            self._replace(events, out)
        except LimitExceeded as error:
            self.error = self.error or error
        return out

    def _replace(self, events: Sequence[Event], out: list[Event]) -> None:
        """Add the events that replace a payload's events."""
        for event in events:
            if event.part is None:
                if isinstance(event, Restarted):
                    self._calls.begin_again()
                    self._waiting.clear()
                if isinstance(event, Finish):
                    self._end_thoughts(event, out, is_whole=event.reason not in CUT_SHORT)
                    event = self._calls.finish(self._renumber_order(event), out)  # noqa: PLW2901 - its copy
                out.append(event)
                continue
            if self._calls.finished:
                self._calls.begin_part(event.choice)
                self._begun.discard(event.choice)
            if not (self._waiting and self._waits(event, out)):
                self._replace_one(event, out)
        if self._ended_whole is not None:
            self._end_all(out, is_whole=self._ended_whole)

    def _end_all(self, out: list[Event], *, is_whole: bool) -> None:
        """Add what was held back for the end of the answer."""
        # Text of a part that was cut off, held back because a tag might begin with it, is released.
        for choice, part in [*self._open_texts] if not is_whole else ():
            text = self._open_texts.pop((choice, part))
            rest = TextDelta("", choice=choice, part=part)
            self._add_pieces(text, text.end(), rest, out)
            self._release(text, rest, out)
        for choice in [*self._waiting]:
            self._end_thoughts(TextDelta("", choice=choice), out, is_whole=is_whole)
        self._calls.settle_all(out, is_whole=is_whole)

    def _replace_one(self, event: Any, out: list[Event]) -> None:  # noqa: ANN401 - an event, or a `Told`
        """Add the events that replace an event of a part."""
        text = self._open_texts.get((event.choice, event.part))
        if isinstance(event, TextDelta):
            self._write(text or self._begin(event, _BLANK_TEXT), event, out)
        elif text is not None and isinstance(event, ReasoningDelta):
            self._write(text, event, out)
        elif isinstance(event, PartStart) and (
            isinstance(event.content, TextPart)
            or (isinstance(event.content, ReasoningPart) and self._wanted.dialects and self._parts.offered)
        ):
            self._start(text, event, event.content, out)
        elif isinstance(event, Told):  # the whole text of a part, which the server repeats at its end
            self._compare(text, event, out)
        elif isinstance(event, PartDone) and text is not None:
            self._end(text, event, out)
        else:
            if isinstance(event, CitationAdded):
                self._begin_cited_parts(event, out)
                if event.citation.cites is None and event.citation.start is None:
                    self._sources.setdefault(event.choice, []).append(event.citation)
            self._calls.read_own(event, out)

    def begin_at(self, part: int) -> None:
        """Number the parts of the first choice from `part` on: the message has others from before a pause."""
        self._part_counts[0] = part

    def original_index(self, choice: int, index: int) -> int:
        """Return the index that the format gave to a part before this stage renumbered it.

        The part must not be a text, because a text may have become several parts.
        """
        return self._format_indexes.get((choice, index), index)

    def follow(self, delta: AnyEvent, inner: _Follow) -> _Follow:
        """Return a callback for the deltas that the fast path reads; None if no callback is needed.

        The fast path reads deltas of the same part as `delta` without decoding their payloads, and calls
        the callback with each, and this calls `inner`, that of the format. It returns False to decode one.
        """
        text = self._by_receiver.get((delta.choice, delta.part))
        if text is None:
            return inner  # only the text of text parts may contain tags
        receiver, skipped, skip = text.receiver, text.skipped, text.skipped.append
        # Three tests cost less than a search.
        (first, second, third), passes = text.scanner.firsts, text.scanner.passes
        rare = text.scanner.rare_firsts
        ascii_passes = rare is not None and not any(map(str.isascii, rare))

        def accept(event: AnyEvent) -> bool:
            """Skip the text of a delta from the fast path; return False if its payload has to be decoded."""
            words = event.text
            if (
                text.passes_to != receiver
                or first in words
                or second in words
                or third in words
                or (rare is not None and not ((ascii_passes and words.isascii()) or rare.isdisjoint(words)))
            ) and not (text.passes_to == receiver and passes(words)):
                return text.receiver == receiver and text.shorten(event, inner)
            if inner is not None and inner(event) is False:
                return False
            # The scanner has to know all text, although it leaves this text unchanged.
            skip(words)
            if len(skipped) >= _MOST_SKIPPED:
                text.catch_up()
            return True

        return accept

    # -- texts ---------------------------------------------------------------

    def _begin(self, event: Event, start: TextPart | ReasoningPart) -> TaggedText:
        """Begin to look for tags in a text part of the format; `start` is the part without its text."""
        part: int = event.part or 0
        tags, starts_inside, dialects, is_auto, markers = self._wanted
        tools = self._parts.offered
        if is_auto and (not tools or self._calls.has_own(event.choice)):
            dialects = ()
        within, thoughts = isinstance(start, ReasoningPart), None
        if tools and dialects and (tags or within):
            thoughts = ThoughtScanner(dialects, tools, self._parts.limits.event)
        if within:
            scanner = TextScanner((), (), tools, thoughts=thoughts, within=True)
        else:
            cited = MarkerScanner(markers, self._sources.setdefault(event.choice, [])) if markers else None
            first = None
            if tags and event.choice not in self._begun:
                self._begun.add(event.choice)
                first = FirstText(tags, self._parts.limits.event, starts_inside=starts_inside)
            scanner = TextScanner(tags, dialects, tools, cited, thoughts=thoughts, first=first)
        text = self._open_texts[event.choice, part] = TaggedText(scanner, part, start, own=within)
        return text

    def _start(
        self, text: TaggedText | None, event: PartStart, content: TextPart | ReasoningPart, out: list[Event]
    ) -> None:
        """Begin a text part of the format, or update the start of a part that has begun."""
        start = content.model_copy(update={"text": ""}) if content.text else content
        if text is None:
            text = self._begin(event, start)
            if text.own:
                self._begin_next_part(text, event, out, within=True)
        elif text.start != start:
            # The text part that begins next, perhaps after reasoning, has the new start.
            text.start = start
            if text.within is text.own:
                # The message has the text part already: another start updates its fields.
                self._open(text, event, out)
        if content.text:
            delta = ReasoningDelta if text.own else TextDelta
            self._write(text, delta(content.text, choice=event.choice, part=event.part, raw=event.raw), out)

    def _compare(self, text: TaggedText | None, told: Any, out: list[Event]) -> None:  # noqa: ANN401 - no event of a reader
        """Compare the whole text of a part with what has arrived, in its open text if there is one.

        A `Told` that this adds to `out` is compared once more, with the text in the message. That text
        lacks the tags, so for a text with tags this comparison fails, and the difference becomes an
        error.
        """
        if text is None:
            self._compare_other(told, out)
        else:
            self._compare_open(text, told, out)

    def _compare_open(self, text: TaggedText, told: Any, out: list[Event]) -> None:  # noqa: ANN401 - no event of a reader
        """Compare the whole text of an open part with what has arrived, and add an end that is missing."""
        if text.is_beginning_of(told.text):
            missing_end = told.text[text.length :]
            self._write(text, TextDelta(missing_end, choice=told.choice, part=text.part, raw=told.raw), out)
            return
        is_shorter = len(told.text.strip()) < text.length
        # A shorter text is ignored, any other one is a difference.
        if not is_shorter:
            moved = copy(told)
            moved.part = text.receiver
            out.append(moved)

    def _compare_other(self, told: Any, out: list[Event]) -> None:  # noqa: ANN401 - no event of a reader
        """Compare the whole text of a part that has ended, or is not a text part, with what has arrived."""
        ended = self._ended_texts.get((told.choice, told.part))
        if ended is None or told.choice not in self._tagged_choices:
            # The message has the text just as the server has sent it.
            out.append(self._renumber(told))
            return
        # An end that is missing could not be split at its tags any more, so it is a difference as well.
        is_same = ended.is_beginning_of(told.text) and not told.text[ended.length :].strip()
        is_shorter = len(told.text.strip()) < ended.length
        if not (is_same or is_shorter):
            out.append(self._renumber(told))

    def _write(self, text: TaggedText, event: TextDelta | ReasoningDelta, out: list[Event]) -> None:
        """Split a text at its tags, and add its pieces; beyond the limit of parts, none begins a new part."""
        if isinstance(event, ReasoningDelta) and event.signature:
            signed = ReasoningDelta(
                "", event.signature, choice=event.choice, part=text.receiver, raw=event.raw
            )
            out.append(signed)
            event = ReasoningDelta(event.text, choice=event.choice, part=event.part, raw=event.raw)
        self._add_pieces(text, text.feed(event.text), event, out)
        if text.scanner.waits:
            self._waiting.setdefault(event.choice, (text, []))
        elif self._waiting.get(event.choice, (None,))[0] is text:
            del self._waiting[event.choice]
        if text.held > self._parts.limits.text:
            # The message counts only what it gets.
            raise LimitExceeded(limit="text", value=self._parts.limits.text)

    def _add_pieces(self, text: TaggedText, pieces: list[SplitPiece], event: Event, out: list[Event]) -> None:
        """Add pieces of a text."""
        for piece in pieces:
            if isinstance(piece, CallBegun | Written | CallEnded):
                self._add_call(text, piece, event, out)
                continue
            if isinstance(piece, Cited):
                self._add_citation(text, piece, event, out)
                continue
            within, words = piece
            if not words:
                self._move_to_reasoning(text, event, out)
                continue
            # Without room for another part, a piece goes to the part that receives the text already.
            is_full = text.within is not None and self._count >= self._max_parts
            self._add_piece(text, words, event, out, within=bool(text.within) if is_full else within)

    def _add_piece(
        self, text: TaggedText, piece: str, event: Event, out: list[Event], *, within: bool
    ) -> None:
        """Add a piece of a text; begin another part if the piece goes into reasoning tags or out of them."""
        if text.within is not within:
            self._begin_next_part(text, event, out, within=within)
        text.note_written(len(piece))
        kind = ReasoningDelta if within else TextDelta
        if isinstance(event, kind) and piece == event.text and text.receiver == event.part:
            # The format's own event can be returned as it is.
            out.append(event)
        else:
            out.append(kind(piece, choice=event.choice, part=text.receiver, raw=event.raw))

    def _begin_next_part(self, text: TaggedText, event: Event, out: list[Event], *, within: bool) -> None:
        """End the part to which a text goes, and begin the next one, which is reasoning within tags."""
        choice = event.choice
        self._end_receiver(text, event, out)
        text.turn_to(self._count_new_part(choice), within=within)
        self._by_receiver[choice, text.receiver] = text
        if within is text.own:
            # Citations that cite this text refer to its last text part, not to reasoning.
            self._message_indexes[choice, text.part] = text.receiver
        self._open(text, event, out)

    def _end_receiver(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """End the part to which a text goes."""
        if text.within is not None:
            out.append(PartDone(None, choice=event.choice, part=text.receiver, raw=event.raw))
        self._by_receiver.pop((event.choice, text.receiver), None)
        text.turn_to(-1, within=None)

    def _open(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """Begin the part that receives the text: reasoning within tags, or else text like the split part."""
        content = text.start if text.within is text.own else _BLANK_REASONING
        out.append(PartStart(content, choice=event.choice, part=text.receiver, raw=event.raw))

    def _move_to_reasoning(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """End the part to which a text goes as reasoning: a closing tag alone has ended it."""
        find_text = self._parts.find_text
        if text.within is not False or find_text is None:
            return
        self._parts.note("reasoning_late")
        told = Told("", 0, choice=event.choice, part=text.receiver)
        words = find_text(told) + added_by(out, told)
        done = ReasoningPart(text=words, complete=True)
        out.append(PartDone(done, choice=event.choice, part=text.receiver, raw=event.raw))
        self._by_receiver.pop((event.choice, text.receiver), None)
        text.turn_to(-1, within=None)

    def _begin_cited_parts(self, event: CitationAdded, out: list[Event]) -> None:
        """Begin a part in the message for each text that has none yet, because a citation is next.

        A citation may cite the text, and so must follow the text's part.
        """
        for (choice, _), text in self._open_texts.items():
            if choice == event.choice and not text.has_parts:
                self._begin_next_part(text, event, out, within=text.own)

    def _release(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """Let a text go that has ended; one without any content becomes an empty part."""
        if not text.has_parts:
            # No part has begun, because the text was empty.
            self._begin_next_part(text, event, out, within=text.own)
        self._by_receiver.pop((event.choice, text.receiver), None)
        if text.scanner.tagged:
            self._tagged_choices.add(event.choice)

    def _end(self, text: TaggedText, event: PartDone, out: list[Event]) -> None:
        """End a text part of the format, and with it the part to which its text goes."""
        self._add_pieces(text, text.end(), event, out)
        if text.scanner.waits:
            self._waiting.setdefault(event.choice, (text, []))[1].append(event)
            return
        self._ended_texts[event.choice, event.part] = self._open_texts.pop((event.choice, event.part))
        self._release(text, event, out)
        if text.within is None:
            # The text ends with a call, whose end is an event of its own.
            return
        content = event.content
        if text.scanner.tagged and isinstance(content, ReasoningPart):
            # The message has the reasoning without its calls.
            content = content.model_copy(update={"text": content.text[: text.called_at]})
        elif text.scanner.tagged and isinstance(content, TextPart):
            # The end repeats the text with its tags; only its other fields are kept.
            without_text = content.model_copy(update={"text": "", "complete": False})
            if not text.within and without_text != text.start:
                # Another start replaces the other fields of a text that has begun; reasoning has none.
                out.append(PartStart(without_text, choice=event.choice, part=text.receiver, raw=event.raw))
            content = None
        if text.receiver == event.part and content is event.content:
            # Neither the index nor the content has changed.
            out.append(event)
        else:
            out.append(PartDone(content, choice=event.choice, part=text.receiver, raw=event.raw))

    # -- calls at the end of the reasoning ---------------------------------------

    def _waits(self, event: AnyEvent, out: list[Event]) -> bool:
        """Let an event wait behind calls at the end of reasoning; content shows that they are none."""
        waiting = self._waiting.get(event.choice)
        if waiting is None:
            return False
        text, events = waiting
        is_own = self._open_texts.get((event.choice, event.part)) is text
        if is_own and not events:
            return False
        if _is_content(event) and not (is_own and isinstance(event, Told)):
            self._end_thoughts(event, out, is_whole=False)
            return False
        events.append(event)
        return True

    def _end_thoughts(self, event: Event, out: list[Event], *, is_whole: bool) -> None:
        """Hand out the calls at the end of a choice's reasoning, or give them as reasoning."""
        choice, raw = event.choice, event.raw
        waiting = self._waiting.pop(choice, None)
        if waiting is None:
            return
        text, events = waiting
        rest = TextDelta("", choice=choice, part=text.part, raw=raw)
        if not events:
            self._add_pieces(text, text.end(), rest, out)
        calls = text.take_calls() if is_whole else []
        if words := text.scanner.release():
            self._add_piece(text, words, rest, out, within=True)
        for each in events:
            self._replace_one(each, out)
        for begun, pieces in calls:
            self._check_room()
            call = self._calls.begin(begun, choice, raw, out)
            for piece in pieces:
                if isinstance(piece, CallEnded):
                    self._calls.end(call, piece._replace(how="closed"), raw, out)
                else:
                    self._calls.write(call, piece.text, raw, out)

    # -- citations in a text ---------------------------------------------------

    def _add_citation(self, text: TaggedText, piece: Cited, event: Event, out: list[Event]) -> None:
        """Add a citation of the last words of a text."""
        if text.within is not False:
            self._begin_next_part(text, event, out, within=False)
        self._check_room()
        citation = piece.make_citation(text.written, text.receiver)
        part = self._count_new_part(event.choice)
        out.append(CitationAdded(citation, choice=event.choice, part=part, raw=event.raw))

    # -- calls in a text -------------------------------------------------------

    def _add_call(
        self, text: TaggedText, piece: CallBegun | Written | CallEnded, event: Event, out: list[Event]
    ) -> None:
        """Add what happens to a call in a text."""
        if isinstance(piece, CallBegun):
            self._check_room()
            self._end_receiver(text, event, out)
            call = self._calls.begin(piece, event.choice, event.raw, out)
            text.open_call(call)
            if call.part >= 0:
                self._by_receiver[event.choice, call.part] = text
        elif text.call is not None and isinstance(piece, Written):
            self._calls.write(text.call, piece.text, event.raw, out)
        elif isinstance(piece, CallEnded):
            self._by_receiver.pop((event.choice, text.receiver), None)
            self._calls.end(text.close_call(), piece, event.raw, out)

    # -- other parts -----------------------------------------------------------

    def _renumber(self, event: AnyEvent) -> AnyEvent:
        """Return an event of a part that is not text, with the part's index in the message."""
        key = event.choice, event.part
        new_index = self._message_indexes.get(key)
        if new_index is None:
            new_index = self._message_indexes[key] = self._count_new_part(event.choice)
            self._format_indexes[event.choice, new_index] = event.part
        cites = event.citation.cites if isinstance(event, CitationAdded) else None
        if new_index == event.part and event.choice not in self._tagged_choices and cites is None:
            # Neither the index nor a citation has to be changed.
            return event
        moved = copy(event)
        moved.part = new_index
        if isinstance(moved, CitationAdded):
            moved.citation = self._renumber_citation(moved)
        return moved

    def _renumber_citation(self, event: CitationAdded) -> Any:  # noqa: ANN401 - a citation
        """Return a citation with its part's index in the message; without positions if tags were removed."""
        citation = event.citation
        changes: dict[str, Any] = {}
        if citation.cites is not None:
            changes["cites"] = self._message_indexes.get((event.choice, citation.cites), citation.cites)
        text = None if citation.cites is None else self._open_texts.get((event.choice, citation.cites))
        if event.choice in self._tagged_choices or (text is not None and text.scanner.tagged):
            # The positions were counted in the text with its tags.
            changes |= {"start": None, "end": None}
        return citation.model_copy(update=changes)

    def _renumber_order(self, event: Finish) -> Finish:
        """Return a finish with the indexes that the parts in its order have in the message.

        The parts of a text that was split come just before its last one.
        """
        if not event.order:
            return event
        indexes, begin = dict[int, range](), 0
        for last, part in sorted(
            (last, part) for (choice, part), last in self._message_indexes.items() if choice == event.choice
        ):
            indexes[part], begin = range(begin, last + 1), last + 1
        moved = copy(event)
        moved.order = tuple(index for part in event.order for index in indexes.get(part, ()))
        return moved

    def _check_room(self) -> None:
        """Raise an error if the answer has as many parts as it may."""
        if self._count >= self._max_parts:
            raise LimitExceeded(limit="parts", value=self._max_parts)

    def _count_new_part(self, choice: int) -> int:
        """Return the index in the message of a choice's next part, and count that part."""
        new_index = self._part_counts.get(choice, 0)
        self._part_counts[choice] = new_index + 1
        self._count += 1
        return new_index
