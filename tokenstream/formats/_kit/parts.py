"""Assign content to choices, parts and tool calls, and make their events.

A format calls methods of `Parts` for what it finds in a payload, such as more text
for choice 0, or a call with a certain id. `Parts` tracks which parts are open,
numbers them, and makes the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from tokenstream._basics.json import is_one_value, split_values
from tokenstream.errors import LimitExceeded
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.formats._kit.answer import Answer
from tokenstream.formats._kit.open import OpenCall, OpenChoice, OpenPart, join_halves, mend_surrogates
from tokenstream.formats._kit.values import json_text
from tokenstream.message import (
    Citation,
    FinishReason,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.limits import Limits
    from tokenstream.message import MediaPart, Part, ServerToolCall, ServerToolResult

__all__ = ["BLANK_REASONING", "BLANK_TEXT", "OpenCall", "OpenChoice", "OpenPart", "Parts", "TextKind"]

TextKind: TypeAlias = Literal["text", "reasoning", "refusal"]

# Created without validation: setting up the validation would add six milliseconds to every import.
BLANK_TEXT, BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()
"""Empty parts; they never change, so all streams share them."""
_STARTS: dict[str, TextPart | ReasoningPart | RefusalPart] = {
    "text": BLANK_TEXT,
    "reasoning": BLANK_REASONING,
    "refusal": RefusalPart.model_construct(),
}
_CUT_SHORT: frozenset[str] = frozenset({"length", "content_filter", "refusal", "error", "cancelled"})


class Parts(Answer):
    """Turns the content that formats read into events with choice and part indexes.

    A format whose wire marks the beginning and the end of parts calls `open`, `add` and
    `close`; any other calls `write`. Several tool calls may be open at the same time.

    Args:
        limits: Bounds on choices, parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = ("_written", "calls_seen")

    splits_calls: ClassVar[bool] = True
    """True if several JSON documents in one call's arguments are several calls."""

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.calls_seen = 0
        self._written: OpenPart | None = None
        """The part written to last, if the format calls `record_written_part`."""

    @property
    def open_calls(self) -> int:
        """Number of open tool calls over all choices."""
        return sum(len(choice.calls()) for choice in self.choices.values())

    def part_of(self, event: Any) -> OpenPart | None:  # noqa: ANN401 - any event of a part
        """Return the open part that an earlier event belongs to; None if it is closed."""
        state = self.choices.get(event.choice)
        index = event.part if self.stage is None else self.stage.original_index(event.choice, event.part)
        return None if state is None else state.opened.get(index)

    # -- ends --------------------------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record a choice's finish reason and close its open parts.

        The reason "stop" becomes "tool_calls" if the message calls tools: some providers
        send "stop" in both cases. Open calls with whole arguments are handed out, but not
        the last one if the reason is that of a cut, such as "length".
        """
        state = self.choice(choice)
        if self.may_hold_surrogates:
            raw_reason = mend_surrogates(raw_reason)
        if state.finish is not None:
            self.note("finish_repeated")
            if state.finish.raw_reason == raw_reason:
                return
        if reason == "stop" and state.calls_seen:
            reason = "tool_calls"
        self.close_choice(state, complete=reason not in _CUT_SHORT)
        said = mend_surrogates(state.finish_message) if self.may_hold_surrogates else state.finish_message
        state.finish = Finish(reason, raw_reason, said, choice=choice)
        self._out.append(Finish(reason, raw_reason, said, choice=choice, raw=self.raw))

    def close_choice(self, choice: OpenChoice, *, complete: bool) -> None:
        """Close every part of a choice.

        Args:
            choice: The choice.
            complete: True if the choice ended by itself. If it was cut off, two kinds of
                open calls are not handed out: the last one, even if it looks whole, and
                calls without arguments, which may have been cut off before their first piece.
        """
        last_call = next(reversed(choice.calls()), None)
        for part in list(choice.opened.values()):
            if isinstance(part, OpenCall):
                written = part is not last_call and part.arguments.length > 0
                self.close_call(part, whole=complete or written)
            else:
                self.close(part)
        choice.current_part = None

    def close_all(self, *, complete: bool) -> None:
        """Close every part of every choice; if the answer was cut off, no tool call is handed out."""
        for choice in self.choices.values():
            for part in list(choice.opened.values()):
                if isinstance(part, OpenCall):
                    self.close_call(part, whole=complete)
                elif complete:
                    self.close(part)
                else:
                    self._release(part)
                    part.closed = True
                    if self.stage is not None:
                        self.stage.cut(part.choice, part.index)
            choice.opened.clear()
            choice.current_part = None

    # -- parts -------------------------------------------------------------

    def open(self, choice: int, content: Part) -> OpenPart:
        """Open a part and report its start.

        Args:
            choice: The choice's index.
            content: The part as it is before any text is added.
        """
        state = self.choice(choice)
        if self.may_hold_surrogates:
            content = mend_surrogates(content)
        part = OpenPart(content.kind, choice, self._next_index(state))
        state.opened[part.index] = part
        self._out.append(PartStart(content, choice=choice, part=part.index, raw=self.raw))
        return part

    def report_start_again(self, part: OpenPart, content: Part) -> None:
        """Report the start of a part again, with more data; the part keeps its text."""
        if self.may_hold_surrogates:
            content = mend_surrogates(content)
        self._out.append(PartStart(content, choice=part.choice, part=part.index, raw=self.raw))

    def whole(
        self, choice: int, content: ServerToolCall | ServerToolResult | MediaPart | OpaquePart | ReasoningPart
    ) -> None:
        """Add a part that arrived in one piece; text after it begins a new part."""
        state = self.choice(choice)
        self._end_flow(state)
        self.close(self.open(choice, content), content)

    def refuse_media(self, choice: int, type: str, data: Any) -> None:  # noqa: A002, ANN401 - the fields' types
        """Add media that are not base64 as an opaque part, unchanged.

        Args:
            choice: The choice.
            type: The server's word for the type of the media.
            data: The media and the fields sent along with them.
        """
        self.note("media_invalid")
        self.whole(choice, OpaquePart(type=type, data=data))

    def write(self, choice: int, kind: TextKind, text: str, start: TextPart | None = None) -> None:
        """Add text to the open part of this kind, or to a new one; for formats that do not mark parts.

        Args:
            choice: The choice.
            kind: The part's kind.
            text: The text to add.
            start: The part without its text, used if a new part is opened; blank by default.
        """
        state = self.choices.get(choice) or self.choice(choice)
        part = state.current_part
        if part is None or part.kind != kind:
            if not text:
                return
            self._end_flow(state)
            if state.finish is not None:
                self.note("content_after_finish")
            part = state.current_part = self.open(choice, start or _STARTS[kind])
        self.add(part, text)

    def sign(self, choice: int, signature: str) -> None:
        """Add a signature to the reasoning being written, or to a new, empty reasoning part."""
        state = self.choice(choice)
        if state.current_part is None or state.current_part.kind != "reasoning":
            self._end_flow(state)
            state.current_part = self.open(choice, BLANK_REASONING)
        self.add_signature(state.current_part, signature)

    def add(self, part: OpenPart, text: str) -> None:
        """Add text to a part; half a surrogate pair is held back until the other half arrives."""
        if part.held or not text.isascii():
            text = join_halves(part, text, self.note)
        if not text:
            return
        kind = part.kind
        if kind == "text":
            self._out.append(TextDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        elif kind == "reasoning":
            self._out.append(ReasoningDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        elif kind == "refusal":
            self._out.append(RefusalDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        else:
            self._out.append(PartDelta(text, choice=part.choice, part=part.index, raw=self.raw))

    def record_written_part(self, part: OpenPart) -> None:
        """Record the part that is written to now; count a departure if another one, still open, was before.

        Args:
            part: The part written to now.
        """
        last, self._written = self._written, part
        if last is not part and last is not None and not last.closed:
            self.note("parts_interleaved")

    def add_signature(self, part: OpenPart, signature: str) -> None:
        """Add a signature, or a piece of one, to a reasoning part."""
        if self.may_hold_surrogates:
            signature = mend_surrogates(signature)
        if signature:
            self._out.append(ReasoningDelta("", signature, choice=part.choice, part=part.index, raw=self.raw))

    def add_media(self, part: OpenPart, data: bytes = b"", transcript: str = "") -> None:
        """Add data or a transcript to a media part.

        Args:
            part: The part, opened with a `MediaPart`.
            data: Bytes of the media, without base64.
            transcript: Words spoken in the media.
        """
        if data or transcript:
            self._out.append(MediaDelta(data, transcript, choice=part.choice, part=part.index, raw=self.raw))

    def cite(self, choice: int, citation: Citation) -> None:
        """Add a citation as a separate part; the text around the citation stays open."""
        index = self._next_index(self.choice(choice))
        if self.may_hold_surrogates:
            citation = mend_surrogates(citation)
        self._out.append(CitationAdded(citation, choice=choice, part=index, raw=self.raw))

    def close(self, part: OpenPart, content: Part | None = None) -> None:
        """Close a part.

        Args:
            part: The part.
            content: The part's whole content, if its deltas do not add up to that.
        """
        if part.closed:
            return
        self._release(part)
        part.closed = True
        if content is not None and self.may_hold_surrogates:
            content = mend_surrogates(content)
        state = self.choice(part.choice)
        state.opened.pop(part.index, None)
        if state.current_part is part:
            state.current_part = None
        self._out.append(PartDone(content, choice=part.choice, part=part.index, raw=self.raw))

    # -- tool calls --------------------------------------------------------

    def open_call(
        self,
        choice: int,
        id: str | None,
        name: str,
        *,
        type: str = "function",  # noqa: A002 - the field's name
        provider_data: dict[str, Any] | None = None,
        number: object = None,
    ) -> OpenCall:
        """Open a call of one of the application's tools; a missing id is made up.

        A call with the id of a finished call may be a repetition. Once its content differs
        from the finished call, it is reported with a new id; if it never differs, it is dropped.

        Args:
            choice: The choice's index.
            id: The call's id; None if the server sent none.
            name: The tool's name.
            type: "function", or the provider's word for another kind.
            provider_data: Fields that only this provider has.
            number: The call's index on the wire; equal ids with different indexes are different calls.

        Raises:
            LimitExceeded: There are more calls than `Limits.tool_calls`.
        """
        state = self.choice(choice)
        if self.calls_seen >= self.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        if not id:
            self.note("call_id_missing")
        if self.may_hold_surrogates:
            id, name, provider_data = (
                mend_surrogates(id),
                mend_surrogates(name),
                mend_surrogates(provider_data),
            )
        call = OpenCall(
            choice,
            ~self.calls_seen,
            id=id or self.new_id(choice),
            name=name,
            type=type,
            provider_data=provider_data,
            number=number,
        )
        self.calls_seen += 1
        state.calls_seen += 1
        state.opened[call.index] = call
        call.may_repeat = [
            done
            for place, done in state.handed_out.get(call.sent_id, ())
            if (place, done.name, done.type) == (number, name, type)
        ]
        if not call.may_repeat:
            self.report_call(call)
        return call

    def new_id(self, choice: int) -> str:
        """Return an id for a call that has none, or has the id of another call."""
        used, number = self.choice(choice).handed_out, self.calls_seen
        while f"call_{number}" in used:
            number += 1
        return f"call_{number}"

    def report_call(self, call: OpenCall) -> None:
        """Report a call's start and its arguments so far; if another call has its id, give it a new id."""
        state = self.choice(call.choice)
        call.may_repeat = []
        self._end_flow(state)
        if state.finish is not None:
            self.note("content_after_finish")
        if call.sent_id in state.handed_out:
            self.note("call_id_repeated")
            call.id = self.new_id(call.choice)
            state.handed_out[call.id] = []
        else:
            state.handed_out[call.sent_id] = []
        del state.opened[call.index]
        call.index = self._next_index(state)
        state.opened[call.index] = call
        self._out.append(
            ToolCallStart(
                call.id,
                call.name,
                call.type,
                call.provider_data,
                choice=call.choice,
                part=call.index,
                raw=self.raw,
            )
        )
        if call.has_arguments:
            text = call.arguments.join()
            self._out.append(ToolCallDelta(call.id, text, choice=call.choice, part=call.index, raw=self.raw))

    def add_arguments(self, call: OpenCall, fragment: str) -> None:
        """Add a fragment to a call's arguments; half a surrogate pair is held back."""
        if call.held or not fragment.isascii():
            fragment = join_halves(call, fragment, self.note)
        if call.may_repeat:
            self._compare(call, fragment)
        elif fragment:
            call.arguments.append(fragment)
            self._out.append(
                ToolCallDelta(call.id, fragment, choice=call.choice, part=call.index, raw=self.raw)
            )

    def _compare(self, call: OpenCall, fragment: str) -> None:
        """Add to a call that has only repeated an earlier call so far; once it differs, report it."""
        at = call.arguments.length
        call.arguments.append(fragment)
        call.may_repeat = [done for done in call.may_repeat if done.arguments_text.startswith(fragment, at)]
        if not call.may_repeat:
            self.report_call(call)

    def add_argument_values(self, call: OpenCall, values: object) -> None:
        """Convert arguments that arrived as JSON values to JSON text, and add the text to a call."""
        self.note("arguments_parsed")
        self.add_arguments(call, json_text(values))

    def is_whole(self, call: OpenCall) -> bool:
        """Return whether a call's arguments are free text, empty, or one whole JSON value."""
        if call.type == "custom":
            return True
        text = call.arguments.join()
        return not text or text.isspace() or is_one_value(text)

    def close_call(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call, and hand it out if it is whole.

        Args:
            call: The call.
            whole: False if the answer was cut off inside the call.
        """
        if call.closed:
            return
        self._release(call)
        repeated = False
        if call.may_repeat:
            text = call.arguments.join()
            # Without arguments, only the start of the call was repeated.
            repeated = not text or any(text == done.arguments_text for done in call.may_repeat)
            if not repeated:
                self.report_call(call)
        call.closed = True
        state = self.choice(call.choice)
        state.opened.pop(call.index, None)
        if repeated:
            self.note("call_repeated")
        elif not whole:
            self.note("call_open_at_end")
        elif self.is_whole(call):
            self._hand_out(call, call.arguments.join())
        else:
            self._close_broken(call)

    def _close_broken(self, call: OpenCall) -> None:
        """Close a call whose arguments are not one JSON value: several values may be several calls."""
        pieces = split_values(call.arguments.join()) if self.splits_calls else None
        if pieces is None:
            self.note("call_invalid")
            broken = _tool_call(call, call.arguments.join(), complete=False)
            self._out.append(PartDone(broken, choice=call.choice, part=call.index, raw=self.raw))
            return
        self.note("call_glued")
        self._hand_out(call, pieces[0])
        for text in pieces[1:]:
            more = self.open_call(call.choice, None, call.name, type=call.type)
            self.add_arguments(more, text)
            self.close_call(more)

    def _hand_out(self, call: OpenCall, text: str) -> None:
        done = _tool_call(call, text, complete=True)
        self.choice(call.choice).handed_out.setdefault(call.sent_id, []).append((call.number, done))
        self._out.append(ToolCallDone(done, choice=call.choice, part=call.index, raw=self.raw))

    # -- internals ---------------------------------------------------------

    def _end_flow(self, choice: OpenChoice) -> None:
        if choice.current_part is not None:
            self.close(choice.current_part)

    def _release(self, part: OpenPart) -> None:
        """Add the held-back text to a part: a replaced half of a surrogate pair, or the arguments `{}`."""
        if isinstance(part, OpenCall) and part.placeholder:
            text, part.placeholder = part.placeholder, ""
            self.add_arguments(part, text)
        if part.held:
            part.held = ""
            self.note("lone_surrogate")
            if isinstance(part, OpenCall):
                self.add_arguments(part, "\ufffd")
            else:
                self.add(part, "\ufffd")


def _tool_call(call: OpenCall, text: str, *, complete: bool) -> ToolCall:
    """Return an ended call in the form in which the message contains it."""
    return ToolCall(
        id=call.id,
        name=call.name,
        arguments_text=text,
        complete=complete,
        type=call.type,
        provider_data=call.provider_data,
    )
