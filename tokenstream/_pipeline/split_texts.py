"""Turns reasoning and tool calls that a model writes into its text into separate parts."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._pipeline.text_calls import CallsInText, PartNumbers
from tokenstream._pipeline.text_scanner import TaggedText
from tokenstream._values.event_base import is_amended
from tokenstream._values.parts import with_words_of
from tokenstream.errors import LimitExceeded
from tokenstream.events import (
    CitationAdded,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    Restarted,
    TextDelta,
    ToolCallStart,
)
from tokenstream.formats._kit.values import CUT_SHORT
from tokenstream.formats._kit.whole_text import WholeText, added_by
from tokenstream.message import ReasoningPart, TextPart
from tokenstream.stages._calls.calls import CallScanner, ThoughtScanner
from tokenstream.stages._calls.steps import ArgumentsPiece, CallBegun, CallEnded
from tokenstream.stages._citations import CitedWords, MarkerScanner
from tokenstream.stages._text.scanning import Passage
from tokenstream.stages._text.tags import FirstText, LoneEnd, ScanTargets, TagScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._pipeline.text_scanner import Follow, SplitPiece
    from tokenstream.errors import ProtocolError
    from tokenstream.events import Event
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Citation


_BLANK_TEXT, _BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()


def make_split_factory(wanted: ScanTargets) -> StageFactory | None:
    """Return a function that creates a `SplitTexts` for each format; None if texts stay as they are."""
    return partial(SplitTexts, wanted) if wanted.tags or wanted.dialects or wanted.markers else None


def wanted_of(make_stage: StageFactory | None) -> ScanTargets:
    wanted: ScanTargets = make_stage.args[0] if isinstance(make_stage, partial) else ScanTargets()
    return wanted


def _is_content(event: Any) -> bool:  # noqa: ANN401 - an event of a part, or a `WholeText`
    """Return True if an event adds to its answer, so that a call in the reasoning before it was no call."""
    content = event.content if isinstance(event, PartStart) else event
    if isinstance(content, TextPart | ReasoningPart | TextDelta | ReasoningDelta | WholeText):
        return bool(content.text.strip())
    return not isinstance(event, PartDone | CitationAdded)


def _make_event(event: AnyEvent, part: int | None, kind: Callable[..., Any], *content: object) -> Any:  # noqa: ANN401 - an event
    """Return an event of a part, in the choice and from the payload of another event."""
    return kind(*content, choice=event.choice, part=part, raw=event.raw)


class SplitTexts:
    """A stage after a format that splits its text parts into text, reasoning and tool calls.

    A text part with tags or calls becomes several parts, and later parts are renumbered. A part
    begins with its first content, so that tags make no empty part. Events are copied instead of
    changed, since a format may still use its own events. Beyond `Limits.parts`, no tag begins another part.
    """

    def __init__(self, wanted: ScanTargets, parts: Parts) -> None:
        self._wanted, self._parts = wanted, parts
        self.reads_reasoning = bool(wanted.tags)
        self.error: ProtocolError | None = None
        """The error for more calls or text than a limit allows; None if there is none."""
        self._calls: dict[int, CallsInText] = {}
        self._open_texts: dict[tuple[int, int], TaggedText] = {}
        """The format's open text parts, and those of reasoning that may have calls, by choice and index."""
        self._waiting: dict[int, TaggedText] = {}
        """The text of each choice whose reasoning has calls at its end."""
        self._ended_texts: dict[tuple[int, int], TaggedText] = {}
        self._numbers = PartNumbers(parts.limits.parts, self._is_tagged)
        # Of all stages, this one alone renumbers parts.
        self.begin_at, self.original_index = self._numbers.begin_at, self._numbers.original
        self._tagged_choices: set[int] = set()
        """Choices with tags in their text, which were left out."""
        self._sources: dict[int, list[Citation]] = {}
        """The sources of each choice as a whole, which markers number from 1."""
        self._ended_whole: bool | None = None
        """True once the answer has ended by itself, so that calls whose markup has no end are handed out;
        False once it was cut off."""

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
        """Add what replaces events: the parts that are found in their texts."""
        for event in events:
            if event.part is None:
                if isinstance(event, Restarted) or (isinstance(event, MessageStart) and event.another):
                    # The next answer has calls of its own, or none.
                    self._calls.clear()
                    self._waiting.clear()
                if isinstance(event, Finish):
                    self._end_thoughts(event, out, is_whole=event.reason not in CUT_SHORT)
                    event = self._calls_of(event).finish(self._numbers.place_order(event), out)  # noqa: PLW2901 - its copy
                out.append(event)
                continue
            if event.choice in self._calls and self._calls[event.choice].finished:
                # The part is of another answer, which has calls of its own.
                del self._calls[event.choice]
            self._drop_openings(event)
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
            self._end_thoughts(rest, out, is_whole=False)
            self._release(text, rest, out)
        for choice in [*self._waiting]:
            self._end_thoughts(TextDelta("", choice=choice), out, is_whole=is_whole)
        for calls in self._calls.values():
            calls.settle(None, out, is_whole=is_whole)

    def _calls_of(self, event: AnyEvent) -> CallsInText:
        calls = self._calls.get(event.choice)
        if calls is None:
            calls = CallsInText(event.choice, self._parts, self._numbers)
            self._calls[event.choice] = calls
        return calls

    def _replace_one(self, event: Any, out: list[Event]) -> None:  # noqa: ANN401 - an event, or a `WholeText`
        text = self._open_texts.get((event.choice, event.part))
        if isinstance(event, TextDelta) or (text is not None and isinstance(event, ReasoningDelta)):
            self._write(text or self._begin(event, _BLANK_TEXT), event, out)
        elif isinstance(event, PartStart) and (
            isinstance(event.content, TextPart)
            or (isinstance(event.content, ReasoningPart) and self._wanted.dialects and self._parts.offered)
        ):
            self._start(text, event, event.content, out)
        elif isinstance(event, WholeText):  # the whole text of a part, which the server repeats at its end
            self._compare(event, out)
        elif isinstance(event, PartDone) and text is not None:
            self._end(text, event, out)
        else:
            if isinstance(event, CitationAdded):
                self._begin_cited_parts(event, out)
                if event.citation.cites is None and event.citation.start is None:
                    self._sources.setdefault(event.choice, []).append(event.citation)
            self._calls_of(event).read_own(event, out)

    def follow(self, delta: AnyEvent, inner: Follow) -> Follow:
        """Return a callback, around `inner`, for later deltas of the part; it returns False to decode one."""
        text = self._open_texts.get((delta.choice, self.original_index(delta.choice, delta.part)))
        # Only the text of text parts may contain tags.
        return inner if text is None or text.receiver != delta.part else text.follow(inner)

    def _begin(self, event: Event, start: TextPart | ReasoningPart) -> TaggedText:
        """Begin to look for tags in a text part of the format; `start` is the part without its text."""
        part: int = event.part or 0
        tags, starts_inside, dialects, is_auto, markers = self._wanted
        tools = self._parts.offered
        if is_auto and (not tools or self._calls_of(event).has_own):
            dialects = ()
        is_reasoning, limit = isinstance(start, ReasoningPart), self._parts.limits.event
        cited = first = tag_scanner = thoughts = None
        if is_reasoning:
            tag_scanner = TagScanner((), inside=True)
        elif tags and not self._calls_of(event).has_text:
            first = FirstText(tags, limit, starts_inside=starts_inside)
            self._calls_of(event).has_text = True
        if tags and not is_reasoning:
            tag_scanner = TagScanner(tags, is_first=first is not None)
        if markers and not is_reasoning:
            cited = MarkerScanner(markers, self._sources.setdefault(event.choice, []))
        if tools and dialects and tag_scanner is not None:
            thoughts = ThoughtScanner(dialects, tools, limit)
        calls = CallScanner(() if is_reasoning else dialects, tools, tag_scanner)
        text = TaggedText(part, start, calls, tag_scanner, thoughts, cited, first)
        self._open_texts[event.choice, part] = text
        return text

    def _start(
        self, text: TaggedText | None, event: PartStart, content: TextPart | ReasoningPart, out: list[Event]
    ) -> None:
        """Begin a text part of the format, or update the start of a part that has begun."""
        delta = _make_event(event, event.part, TextDelta, content.text)
        without: dict[str, Any] = {"text": ""}
        if isinstance(content, ReasoningPart):
            delta = _make_event(event, event.part, ReasoningDelta, content.text, content.signature)
            without["signature"] = None
        start = content.model_copy(update=without)
        if text is None:
            text = self._begin(event, start)
        elif text.start != start:
            # The text part that begins next, perhaps after reasoning, has the new start.
            text.start = start
            if text.inside is text.is_reasoning:
                # The message has the text part already: another start updates its fields.
                self._open(text, event, out)
        if delta.text or getattr(delta, "signature", None):
            self._write(text, delta, out)

    def _compare(self, whole: Any, out: list[Event]) -> None:  # noqa: ANN401 - no event of a reader
        """Compare a part's whole text with what has arrived; add an end that its open text lacks."""
        key = whole.choice, whole.part
        open_text = self._open_texts.get(key)
        text = open_text or self._ended_texts.get(key)
        if text is None or (open_text is None and whole.choice not in self._tagged_choices):
            # The message has the text just as the server has sent it.
            out.append(self._numbers.place(whole))
            return
        is_same, missing = text.is_beginning_of(whole.text), whole.text[text.length :]
        if is_same and open_text is not None:
            self._write(text, _make_event(whole, text.part, TextDelta, missing), out)
        elif not (is_same and not missing.strip()) and len(whole.text.strip()) >= text.length:
            # A shorter text is ignored, any other one is a difference; so is an end that an ended text lacks.
            moved = copy(whole)
            moved.part = text.receiver if text.receiver >= 0 else self._numbers.find(*key)
            out.append(moved)

    def _write(self, text: TaggedText, event: TextDelta | ReasoningDelta, out: list[Event]) -> None:
        """Split a text at its tags, and add its pieces; beyond the limit of parts, none begins a new part."""
        if isinstance(event, ReasoningDelta) and event.signature:
            text.signatures.append(event)
            event = _make_event(event, event.part, ReasoningDelta, event.text)
        self._add_pieces(text, text.feed(event.text), event, out)
        if text.held > self._parts.limits.text:
            # The message counts only what it gets.
            raise LimitExceeded(limit="text", value=self._parts.limits.text)

    def _add_pieces(self, text: TaggedText, pieces: list[SplitPiece], event: Event, out: list[Event]) -> None:
        """Add pieces of a text; note if calls at the end of its reasoning wait."""
        for piece in pieces:
            if isinstance(piece, Passage):
                # Without room for another part, a piece goes to the part that receives the text already.
                if text.inside is not None and self._numbers.is_full:
                    piece = piece._replace(inside=text.inside)  # noqa: PLW2901 - its copy
                self._add_piece(text, piece, event, out)
            elif isinstance(piece, LoneEnd):
                self._move_to_reasoning(text, event, out)
            elif isinstance(piece, CitedWords):
                self._add_citation(text, piece, event, out)
            else:
                self._add_call(text, piece, event, out)
        if text.waits:
            self._waiting[event.choice] = text
        elif self._waiting.get(event.choice) is text:
            del self._waiting[event.choice]

    def _add_piece(self, text: TaggedText, piece: Passage, event: Event, out: list[Event]) -> None:
        if text.inside is not piece.inside:
            self._begin_next_part(text, event, out, inside=piece.inside)
        text.note_written(len(piece.text))
        kind = ReasoningDelta if piece.inside else TextDelta
        if isinstance(event, kind) and piece.text == event.text and text.receiver == event.part:
            # The format's own event can be returned as it is.
            out.append(event)
        else:
            out.append(kind(piece.text, choice=event.choice, part=text.receiver, raw=event.raw))

    def _begin_next_part(self, text: TaggedText, event: Event, out: list[Event], *, inside: bool) -> None:
        """End the part to which a text goes, and begin the next one, which is reasoning within tags."""
        choice = event.choice
        self._end_receiver(text, event, out)
        text.turn_to(self._numbers.add(choice), inside=inside)
        # Citations that cite this text refer to its last text part, not to reasoning.
        self._numbers.note(choice, text.receiver, text.part, is_text=inside is text.is_reasoning)
        self._open(text, event, out)

    def _end_receiver(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        if text.inside is not None:
            out.append(_make_event(event, text.receiver, PartDone, None))
        text.turn_to(-1)

    def _open(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """Begin the part that receives the text: reasoning within tags, or else text like the split part."""
        content = text.start if text.inside is text.is_reasoning else _BLANK_REASONING
        out.append(_make_event(event, text.receiver, PartStart, content))

    def _move_to_reasoning(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """Make reasoning of the parts to which a text went: a closing tag alone has ended it."""
        find_text = self._parts.find_text
        if not text.has_parts or find_text is None:
            return
        self._parts.note("reasoning_late")
        if text.inside is False:
            self._end_receiver(text, event, out)
        for part in text.texts:
            whole = WholeText("", 0, choice=event.choice, part=part)
            words = find_text(whole) + added_by(out, whole)
            done = ReasoningPart(text=words, complete=True)
            out.append(_make_event(event, part, PartDone, done))
        text.texts.clear()

    def _begin_cited_parts(self, event: CitationAdded, out: list[Event]) -> None:
        """Begin a part in the message for each text that has none: the citation that is next may cite it."""
        for (choice, _), text in self._open_texts.items():
            if choice == event.choice and not text.has_parts:
                self._begin_next_part(text, event, out, inside=text.is_reasoning)

    def _release(self, text: TaggedText, event: Event, out: list[Event]) -> None:
        """Let a text go that has ended; one without any content becomes an empty part."""
        if text.called_at is None:
            if not text.has_parts:
                # No part has begun, because the text was empty.
                self._begin_next_part(text, event, out, inside=text.is_reasoning)
            out += [
                _make_event(each, text.receiver, ReasoningDelta, "", each.signature)
                for each in text.signatures
            ]
        if text.tagged:
            self._tagged_choices.add(event.choice)

    def _end(self, text: TaggedText, event: PartDone, out: list[Event]) -> None:
        """End a text part of the format, and with it the part to which its text goes."""
        if text.calls.dangles:
            self._waiting[event.choice] = text
            text.followers.append(event)
            return
        self._add_pieces(text, text.end(), event, out)
        if text.waits:
            text.followers.append(event)
            return
        self._ended_texts[event.choice, event.part] = self._open_texts.pop((event.choice, event.part))
        self._release(text, event, out)
        if text.inside is None:
            # The text ends with a call, whose end is an event of its own.
            return
        content, amends = event.content, is_amended(event)
        if isinstance(content, ReasoningPart) and text.called_at is not None:
            # The message has the reasoning without its calls.
            changes = {"text": content.text[: text.called_at], "signature": None}
            content = content.model_copy(update=changes)
        elif isinstance(content, TextPart) and text.tagged:
            # The end repeats the text with its tags; only its other fields are kept. Reasoning has none.
            fields = with_words_of(content, None)
            amends = not text.inside and fields != text.start
            content = fields if amends else None
        if text.receiver == event.part and content is event.content:
            # Neither the index nor the content has changed.
            out.append(event)
        else:
            done = _make_event(event, text.receiver, PartDone, content)
            done.is_amended = amends
            out.append(done)
        text.turn_to(-1)

    def _waits(self, event: AnyEvent, out: list[Event]) -> bool:
        """Let an event wait after calls at the end of reasoning; content shows that they are none."""
        text = self._waiting.get(event.choice)
        is_own = self._open_texts.get((event.choice, event.part)) is text
        if text is None or (is_own and not text.followers):
            return False
        if _is_content(event) and not (is_own and isinstance(event, WholeText)):
            self._end_thoughts(event, out, is_whole=False)
            return False
        text.followers.append(event)
        return True

    def _end_thoughts(self, event: Event, out: list[Event], *, is_whole: bool) -> None:
        """Hand out the calls at the end of a choice's reasoning, or give them as reasoning."""
        text = self._waiting.get(event.choice)
        if text is None:
            return
        rest = _make_event(event, text.part, TextDelta, "")
        if text.calls.dangles or not text.followers:
            self._add_pieces(text, text.end(), rest, out)
        pieces = text.take_calls(is_whole=is_whole)
        is_called = text.called_at is not None
        self._add_pieces(text, [] if is_called else pieces, rest, out)
        left, text.followers = text.followers, []
        # The reasoning may be signed by a part without text: what was signed has the calls.
        blank = {each.part for each in left if isinstance(getattr(each, "content", None), ReasoningPart)}
        for each in left:
            if not is_called or each.part not in blank - {text.part}:
                self._replace_one(each, out)
        self._add_pieces(text, pieces if is_called else [], rest, out)

    def _drop_openings(self, event: AnyEvent) -> None:
        """Leave out an opening that is held back in front of a call of the API."""
        for (choice, _), text in self._open_texts.items() if isinstance(event, ToolCallStart) else ():
            if choice == event.choice:
                text.calls.drop_opening()

    def _add_citation(self, text: TaggedText, piece: CitedWords, event: Event, out: list[Event]) -> None:
        if text.inside is not False:
            self._begin_next_part(text, event, out, inside=False)
        self._numbers.check_room()
        citation = piece.make_citation(text.written, text.receiver)
        out.append(_make_event(event, self._numbers.add(event.choice), CitationAdded, citation))

    def _add_call(
        self, text: TaggedText, piece: CallBegun | ArgumentsPiece | CallEnded, event: Event, out: list[Event]
    ) -> None:
        calls = self._calls_of(event)
        if isinstance(piece, CallBegun):
            self._numbers.check_room()
            self._end_receiver(text, event, out)
            call = calls.begin(piece, event.raw, out)
            text.turn_to(call.part, call=call)
            self._numbers.note(event.choice, call.part, text.part)
        elif text.call is not None and isinstance(piece, ArgumentsPiece):
            calls.write(text.call, piece.text, event.raw, out)
        elif text.call is not None and isinstance(piece, CallEnded):
            call = text.call
            text.turn_to(-1)
            calls.end(call, piece, event.raw, out)

    def _is_tagged(self, choice: int, part: int | None) -> bool:
        """Return True if tags were left out of an ended text of a choice, or of one that is open."""
        text = None if part is None else self._open_texts.get((choice, part))
        return choice in self._tagged_choices or (text is not None and text.tagged)
