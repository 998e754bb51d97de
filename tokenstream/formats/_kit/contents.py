"""Assign content to choices and parts: text, reasoning, refusals, media and citations, without tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from typing_extensions import override

from tokenstream._message_parts import WORDED
from tokenstream.errors import ProtocolError
from tokenstream.events import (
    CitationAdded,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolResult,
)
from tokenstream.formats._kit.answer import AnswerEvents
from tokenstream.formats._kit.open import OpenChoice, OpenPart, join_halves, mend_surrogates
from tokenstream.formats._kit.told_text import ToldText, added_by
from tokenstream.message import Citation, OpaquePart, ReasoningPart, RefusalPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream._basics.loose import Json
    from tokenstream.events import Event
    from tokenstream.limits import Limits
    from tokenstream.message import MediaPart, Part, ServerToolCall, ServerToolResult

TextKind: TypeAlias = Literal["text", "reasoning", "refusal"]

# Created without validation: setting up the validation would add six milliseconds to every import.
BLANK_TEXT, BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()
"""Empty parts; they never change, so all streams share them."""
_BLANK_PARTS: dict[str, TextPart | ReasoningPart | RefusalPart] = {
    "text": BLANK_TEXT,
    "reasoning": BLANK_REASONING,
    "refusal": RefusalPart.model_construct(),
}


_ANSWERS = frozenset({"text", "refusal", "media"})
"""Kinds of parts that answer by themselves, as calls of the application's tools do."""
_TOLD_KINDS = {"media": "transcript", "server_tool_call": "arguments"}
"""Maps kinds of parts to the kinds of their texts, if these have other names."""
_WITHDRAWN_DATA = {"dropped": True}
_WITHDRAWN: dict[str, Part] = {
    "text": TextPart.model_construct(provider_data=_WITHDRAWN_DATA),
    "reasoning": ReasoningPart.model_construct(provider_data=_WITHDRAWN_DATA),
}
"""Maps the kind of a part to the content that the part has once the server has withdrawn it."""
_WITHDRAWN_OTHER = OpaquePart.model_construct(type="dropped")
"""The content of a withdrawn part that is neither text nor reasoning."""


class ContentParts(AnswerEvents):
    """Turns the content of an answer, except for tool calls, into events of numbered parts.

    A format whose wire marks the beginning and the end of parts calls `open`, `add` and
    `close`; any other calls `write`. `Parts` derives from this class and adds tool calls.
    """

    __slots__ = ("_last_written", "begins_inside", "starts")

    unkept: ClassVar[frozenset[str]] = frozenset({"starts"})
    """The message has the starts of parts, too."""

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.begins_inside = False
        """True if the input begins inside the answer: the start of its first text may not have arrived."""
        self.starts: dict[tuple[int, int], TextPart | ReasoningPart | RefusalPart] = {}
        """The texts, without their text, that the end of the answer may complete; by choice and index."""
        self._last_written: OpenPart | None = None
        """The part written to last, if the format calls `record_written_part`."""

    def open(self, choice: int, content: Part) -> OpenPart:
        """Open a part, report its start, and return the part."""
        state = self.choice(choice)
        if self.may_hold_surrogates:
            content = mend_surrogates(content)
        part = OpenPart(content.kind, choice, self._take_part_index(state))
        state.opened[part.index] = part
        if not _is_blank(content):
            self._note_content(part)
        is_inside = self.begins_inside or not self.started
        if is_inside and isinstance(content, WORDED):
            self.starts[choice, part.index] = content
        self._add(PartStart, choice, part.index).content = content
        return part

    def _note_content(self, part: OpenPart) -> None:
        """Note that a part has content, and if it is of a kind that answers by itself, that there is one."""
        part.is_written = self.has_content = True
        self.has_answer = self.has_answer or part.kind in _ANSWERS

    def report_start_again(self, part: OpenPart, content: Part) -> None:
        """Report the start of a part again, with more data; the part keeps its text."""
        if self.may_hold_surrogates:
            content = mend_surrogates(content)
        start = self.starts.get((part.choice, part.index))
        if start is not None and isinstance(content, WORDED):
            if start.text:
                content = content.model_copy(update={"text": start.text})
            self.starts[part.choice, part.index] = content
        self._add(PartStart, part.choice, part.index).content = content

    def whole(
        self, choice: int, content: ServerToolCall | ServerToolResult | MediaPart | OpaquePart | ReasoningPart
    ) -> None:
        """Add a part that arrived whole, in one payload; text that follows begins a new part."""
        state = self.choice(choice)
        self._close_current(state)
        self.close(self.open(choice, content), content)

    def add_undecodable_media(self, choice: int, type: str, data: Json) -> None:  # noqa: A002 - the field's name
        """Add media that are not valid base64, which is a departure, unchanged, as an opaque part."""
        self.note("media_invalid")
        self.whole(choice, OpaquePart(type=type, data=data))

    def write(self, choice: int, kind: TextKind, text: str, start: TextPart | None = None) -> None:
        """Add text to the open part of this kind, or to a new one; for formats that do not mark parts."""
        state = self.choices.get(choice) or self.choice(choice)
        part = state.current_part
        # A signature ends its block: it is about the text before it, and only that.
        if part is None or part.kind != kind or part.signature:
            if not text:
                # An empty text opens no part.
                return
            self._close_current(state)
            if state.finish is not None:
                self.note("content_after_finish")
            part = state.current_part = self.open(choice, start or _BLANK_PARTS[kind])
        self.add(part, text)

    def sign(self, choice: int, signature: str) -> None:
        """Add a signature to the reasoning being written, or to a new, empty reasoning part.

        The signature arrives whole: another one than that of the part belongs to another part.
        """
        state = self.choice(choice)
        part = state.current_part
        if part is None or part.kind != "reasoning" or part.signature not in ("", signature):
            self._close_current(state)
            part = state.current_part = self.open(choice, BLANK_REASONING)
        self.add_signature(part, signature)

    def write_reasoning(self, choice: int, text: str, signature: str | None) -> None:
        """Add a piece of reasoning that may have a signature, for formats that do not mark parts.

        A text with the signature of the current part belongs to that part. A text that arrives with the
        part's signature may be the whole text of the part, which is then not added again.
        """
        part = self.choice(choice).current_part
        if not signature or part is None or part.kind != "reasoning":
            self.write(choice, "reasoning", text)
        elif part.signature == signature:
            self.add(part, text)
        elif part.signature or not self.has_text(part, text):
            self.write(choice, "reasoning", text)
        if signature:
            self.sign(choice, signature)

    def has_text(self, part: OpenPart, text: str) -> bool:
        """Return True if a text is the whole text of a part of reasoning, as far as it has arrived."""
        if self.find_text is None or not text:
            return False
        told = ToldText("", 0, "reasoning", choice=part.choice, part=part.index)
        return text == self.find_text(told) + added_by(self._out, told)

    def add(self, part: OpenPart, text: str) -> None:
        """Report text as a delta of a part; hold back half a surrogate pair until the other half arrives."""
        if part.told and self.is_told(part, text):
            return
        # Halves of surrogate pairs occur only in text that is not ASCII.
        if part.held or not text.isascii():
            text = join_halves(part, text, self.note)
        if not text:
            # The text was only half a pair, which is held back.
            return
        if not part.is_written:
            # `_note_content`, without a call.
            part.is_written = self.has_content = True
            self.has_answer = self.has_answer or part.kind in _ANSWERS
        kind = part.kind
        if kind == "text":
            self._add(TextDelta, part.choice, part.index).text = text
        elif kind == "reasoning":
            self._out.append(ReasoningDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        elif kind == "refusal":
            self._out.append(RefusalDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        else:
            self._out.append(PartDelta(text, choice=part.choice, part=part.index, raw=self.raw))

    def add_whole(self, part: OpenPart, text: str) -> None:
        """Add the whole text of a part, of which no delta has arrived; some may follow."""
        if part.kind == "media":
            self.add_media(part, transcript=text)
        else:
            self.add(part, text)
        part.tell(text, 0)

    def is_told(self, part: OpenPart, delta: str) -> bool:
        """Return True if the whole text of a part has told a delta behind it, and count it.

        Raises:
            ProtocolError: The delta is not in the text that was told.
        """
        if not part.told or not delta:
            return False
        if part.repeats_told(delta):
            self.note("content_twice")
            return True
        # Stored as well, because no finish reason makes up for it.
        self.difference = ProtocolError(
            f"a delta of part {part.index} came after the whole text of the part, and does not repeat it"
        )
        raise self.difference

    def tell(
        self, part: OpenPart, whole: str, length: int, *, rewritten: bool = False, goes_on: bool = False
    ) -> None:
        """Compare the whole text of a part, which the server repeats, with the message; add what is missing.

        Deltas behind it may only repeat it, unless the text `goes_on`.
        """
        # Half a pair that is held back is whole in the whole text.
        part.held = ""
        if whole:
            self._note_content(part)
        kind: Any = _TOLD_KINDS.get(part.kind, part.kind)
        whole = mend_surrogates(whole)
        told: Any = ToldText(
            whole,
            length,
            kind,
            ended=part.closed,
            rewritten=rewritten,
            start=self.starts.get((part.choice, part.index)),
            open=None if goes_on else part,
            choice=part.choice,
            part=part.index,
            raw=self.raw,
        )
        self._out.append(told)  # `take` replaces it by a delta with the missing text
        self.whole_text_repeated = True

    @override
    def _keep_beginnings(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, PartStart) and (event.choice, event.part) in self.starts:
                content = event.content
                if isinstance(content, WORDED) and content.text:
                    self.starts[event.choice, event.part] = content
                    if not self.begins_inside:
                        self.begins_inside = True
                        self.note("start_missing")

    def record_written_part(self, part: OpenPart) -> None:
        """Record the part that text is now added to; count a departure if that interrupts an open part."""
        previous, self._last_written = self._last_written, part
        if previous is not part and previous is not None and not previous.closed:
            self.note("parts_interleaved")

    def add_signature(self, part: OpenPart, signature: str) -> None:
        """Add a signature, or a piece of one, to a reasoning part, unless it repeats the whole signature."""
        if self.may_hold_surrogates:
            signature = mend_surrogates(signature)
        if signature and signature != part.signature:
            part.signature += signature
            part.is_written = self.has_content = True
            self._out.append(ReasoningDelta("", signature, choice=part.choice, part=part.index, raw=self.raw))

    def add_media(self, part: OpenPart, data: bytes = b"", transcript: str = "") -> None:
        """Add data or a transcript to a media part; half a surrogate pair waits for its other half."""
        if transcript and self.is_told(part, transcript):
            transcript = ""
        if transcript and (part.held or not transcript.isascii()):
            transcript = join_halves(part, transcript, self.note)
        if data or transcript:
            self._out.append(MediaDelta(data, transcript, choice=part.choice, part=part.index, raw=self.raw))

    def cite(self, choice: int, citation: Citation) -> None:
        """Add a citation as a separate part; the text around the citation stays open."""
        if citation.cites in self._places:
            self.place = self._places[citation.cites]
        index = self._take_part_index(self.choice(choice))
        self.has_content = True
        if self.may_hold_surrogates:
            citation = mend_surrogates(citation)
        if self.text_before and citation.cites is None:
            # The positions count in the text of all parts, of which the message has more than this answer.
            positions = {"start": citation.start, "end": citation.end}
            moved = {name: at + self.text_before for name, at in positions.items() if at is not None}
            citation = citation.model_copy(update=moved)
        self._out.append(CitationAdded(citation, choice=choice, part=index, raw=self.raw))

    def result_of_call(
        self, id: str, output: Json, error: str | None = None, *, provider_executed: bool = False
    ) -> None:
        """Report a tool's result that is no part, because the application called the tool."""
        if self.may_hold_surrogates:
            id, output, error = mend_surrogates(id), mend_surrogates(output), mend_surrogates(error)
        self._out.append(ToolResult(id, output, error, provider_executed, raw=self.raw))

    def close(self, part: OpenPart, content: Part | None = None) -> None:
        """Close a part unless it is closed; its end has `content` if the deltas do not add up to that."""
        if part.closed:
            return
        # Before the end, because this may add the last piece of text.
        self._release(part)
        part.closed = True
        if content is not None and self.may_hold_surrogates:
            content = mend_surrogates(content)
        state = self.choices.get(part.choice) or self.choice(part.choice)
        state.opened.pop(part.index, None)
        if state.current_part is part:
            state.current_part = None
        self._add(PartDone, part.choice, part.index).content = content
        if part.kind == "server_tool_result":
            self._out.append(make_result_of_part(part.choice, self.raw))

    def withdraw(self, index: int, kind: str) -> None:
        """Close a part of the first choice, if it is open, and replace its content by an empty one."""
        state = self.choice(0)
        part = state.opened.pop(index, None)
        if part is not None:
            # Half a surrogate pair that the part still holds is dropped.
            part.held, part.closed = "", True
            if state.current_part is part:
                state.current_part = None
        # The end of a part replaces the content that its deltas have built.
        self._out.append(PartDone(_WITHDRAWN.get(kind, _WITHDRAWN_OTHER), part=index, raw=self.raw))

    def end_current(self, choice: int) -> None:
        """Close the text or the like to which pieces without an index or id are added, if there is one."""
        self._close_current(self.choice(choice))

    def _close_current(self, choice: OpenChoice) -> None:
        """Close the part to which pieces without an index or id are added, if such a part is open."""
        if choice.current_part is not None:
            self.close(choice.current_part)

    def _release(self, part: OpenPart) -> None:
        """Add a part's text that is held back: half a surrogate pair, which becomes U+FFFD."""
        if part.held:
            part.held = ""
            self.note("lone_surrogate")
            if part.kind == "media":
                self.add_media(part, transcript="\ufffd")
            else:
                self.add(part, "\ufffd")


def _is_blank(content: Part) -> bool:
    """Return True for a text, reasoning or refusal in which there is nothing yet."""
    if not isinstance(content, WORDED) or content.text:
        return False
    return not (isinstance(content, ReasoningPart) and (content.signature or content.redacted))


def make_result_of_part(choice: int, raw: Json) -> ToolResult:
    """Return the `ToolResult` that follows the end of a `ServerToolResult`; the accumulator fills it in.

    Only the accumulator has the whole content of a part whose result arrived in pieces.
    """
    result = ToolResult("", provider_executed=True, choice=choice, raw=raw)
    result.told_before = True
    return result
