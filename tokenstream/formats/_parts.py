"""Whose piece is it: choices, parts and tool calls, and the events that tell of them.

Formats say what a payload holds ("more text for choice 0", "a call with this
id"); `Parts` knows which part is open, gives parts their index, and makes the
events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from tokenstream._json import is_one_value, split_values
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
from tokenstream.formats._answer import Answer
from tokenstream.formats._open import Choice, OpenCall, OpenPart, join_halves, mend
from tokenstream.formats._values import json_text
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

__all__ = ["BLANK_REASONING", "BLANK_TEXT", "Choice", "OpenCall", "OpenPart", "Parts", "TextKind"]

TextKind: TypeAlias = Literal["text", "reasoning", "refusal"]

# Made without validation, whose set-up would cost every import six milliseconds.
BLANK_TEXT, BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()
"""Parts of which nothing is known yet; they never change, so all streams share them."""
_STARTS: dict[str, TextPart | ReasoningPart | RefusalPart] = {
    "text": BLANK_TEXT,
    "reasoning": BLANK_REASONING,
    "refusal": RefusalPart.model_construct(),
}
_CUT_SHORT: frozenset[str] = frozenset({"length", "content_filter", "refusal", "error", "cancelled"})


class Parts(Answer):
    """Turns what formats read into events with choices and part indexes.

    Args:
        limits: Bounds on choices, parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = ("_written", "calls_seen")

    splits_calls: ClassVar[bool] = True
    """Whether several documents in one call's arguments are several calls."""

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.calls_seen = 0
        self._written: OpenPart | None = None
        """The part that was written to last, where a format says so."""

    @property
    def open_calls(self) -> int:
        """How many tool calls are open, over all choices."""
        return sum(len(choice.calls()) for choice in self.choices.values())

    def part_of(self, event: Any) -> OpenPart | None:  # noqa: ANN401 - any event of a part
        """Return the open part that an event which was given belongs to; None where that is closed."""
        state = self.choices.get(event.choice)
        index = event.part if self.through is None else self.through.own(event.choice, event.part)
        return None if state is None else state.opened.get(index)

    # -- ends --------------------------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Take a choice's finish reason: what is open in it is over.

        A stop on a message that calls tools is `tool_calls`, whatever the
        provider's word: some say "stop" for both.
        """
        state = self.choice(choice)
        if self.halves:
            raw_reason = mend(raw_reason)
        if state.finish is not None:
            self.note("finish_repeated")
            if state.finish.raw_reason == raw_reason:
                return
        if reason == "stop" and state.calls_seen:
            reason = "tool_calls"
        self.close_choice(state, complete=reason not in _CUT_SHORT)
        said = mend(state.finish_message) if self.halves else state.finish_message
        state.finish = Finish(reason, raw_reason, said, choice=choice)
        self._out.append(Finish(reason, raw_reason, said, choice=choice, raw=self.raw))

    def close_choice(self, choice: Choice, *, complete: bool) -> None:
        """Close every part of a choice.

        Args:
            choice: The choice.
            complete: Whether it ended of itself; where it was cut, the call that
                was being written is not handed out, even if it looks whole.
        """
        last_call = next(reversed(choice.calls()), None)
        for part in list(choice.opened.values()):
            if isinstance(part, OpenCall):
                self.close_call(part, whole=complete or part is not last_call)
            else:
                self.close(part)
        choice.flow = None

    def close_all(self, *, complete: bool) -> None:
        """Close every part of every choice; where the answer was cut, no tool call is handed out."""
        for choice in self.choices.values():
            for part in list(choice.opened.values()):
                if isinstance(part, OpenCall):
                    self.close_call(part, whole=complete)
                elif complete:
                    self.close(part)
                else:
                    self._release(part)
                    part.closed = True
                    if self.through is not None:
                        self.through.cut(part.choice, part.index)
            choice.opened.clear()
            choice.flow = None

    # -- parts -------------------------------------------------------------

    def open(self, choice: int, content: Part) -> OpenPart:
        """Open a part that has a start of its own."""
        state = self.choice(choice)
        if self.halves:
            content = mend(content)
        part = OpenPart(content.kind, choice, self._next_index(state))
        state.opened[part.index] = part
        self._out.append(PartStart(content, choice=choice, part=part.index, raw=self.raw))
        return part

    def tell_again(self, part: OpenPart, content: Part) -> None:
        """Give an open part's start again, with more of what is known; its text stays."""
        if self.halves:
            content = mend(content)
        self._out.append(PartStart(content, choice=part.choice, part=part.index, raw=self.raw))

    def whole(
        self, choice: int, content: ServerToolCall | ServerToolResult | MediaPart | OpaquePart | ReasoningPart
    ) -> None:
        """Add a part that came in one piece; text that follows begins a new part."""
        state = self.choice(choice)
        self._end_flow(state)
        self.close(self.open(choice, content), content)

    def refuse_media(self, choice: int, type: str, data: Any) -> None:  # noqa: A002, ANN401 - the fields' types
        """Carry media that are no base64 as they came.

        Args:
            choice: The choice.
            type: What they are, in the server's word.
            data: They, with what stands beside them.
        """
        self.note("media_invalid")
        self.whole(choice, OpaquePart(type=type, data=data))

    def write(self, choice: int, kind: TextKind, text: str, start: TextPart | None = None) -> None:
        """Add to the open part of that kind, or open one: for formats that do not mark their parts.

        Args:
            choice: The choice.
            kind: The part's kind.
            text: What is added.
            start: What a new part begins as; by default one of which nothing is known.
        """
        state = self.choices.get(choice) or self.choice(choice)
        part = state.flow
        if part is None or part.kind != kind:
            if not text:
                return
            self._end_flow(state)
            if state.finish is not None:
                self.note("content_after_finish")
            part = state.flow = self.open(choice, start or _STARTS[kind])
        self.add(part, text)

    def sign(self, choice: int, signature: str) -> None:
        """Add a signature to the reasoning that is being written, or to a new, empty part."""
        state = self.choice(choice)
        if state.flow is None or state.flow.kind != "reasoning":
            self._end_flow(state)
            state.flow = self.open(choice, BLANK_REASONING)
        self.add_signature(state.flow, signature)

    def add(self, part: OpenPart, text: str) -> None:
        """Add text to a part; half a surrogate pair waits for its other half."""
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

    def turn_to(self, part: OpenPart) -> None:
        """Count a change from a part that is still open to another one, where parts come one after the other.

        Args:
            part: The part that is written to now.
        """
        last, self._written = self._written, part
        if last is not part and last is not None and not last.closed:
            self.note("parts_interleaved")

    def add_signature(self, part: OpenPart, signature: str) -> None:
        """Add a signature, or a piece of one, to a reasoning part."""
        if self.halves:
            signature = mend(signature)
        if signature:
            self._out.append(ReasoningDelta("", signature, choice=part.choice, part=part.index, raw=self.raw))

    def add_media(self, part: OpenPart, data: bytes = b"", transcript: str = "") -> None:
        """Add to a media part."""
        if data or transcript:
            self._out.append(MediaDelta(data, transcript, choice=part.choice, part=part.index, raw=self.raw))

    def cite(self, choice: int, citation: Citation) -> None:
        """Add a citation; it is a part of its own and does not end the text that it stands in."""
        index = self._next_index(self.choice(choice))
        if self.halves:
            citation = mend(citation)
        self._out.append(CitationAdded(citation, choice=choice, part=index, raw=self.raw))

    def close(self, part: OpenPart, content: Part | None = None) -> None:
        """Close a part.

        Args:
            part: The part.
            content: What it is as a whole, where its deltas do not say.
        """
        if part.closed:
            return
        self._release(part)
        part.closed = True
        if content is not None and self.halves:
            content = mend(content)
        state = self.choice(part.choice)
        state.opened.pop(part.index, None)
        if state.flow is part:
            state.flow = None
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
        """Open a call of one of the application's tools; an id that was not sent is made up.

        A call under the id of one that was handed out is told of once it says something
        else, and then has an id of its own; where it never does, it is dropped.

        Args:
            choice: The choice's index.
            id: Its id; None where none was sent.
            name: The tool's name.
            type: What is called: "function", or the provider's word for another kind.
            provider_data: Fields that only this provider has.
            number: Its index on the wire; calls with one id and two indexes are two calls.

        Raises:
            LimitExceeded: There are more calls than `Limits.tool_calls`.
        """
        state = self.choice(choice)
        if self.calls_seen >= self.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        if not id:
            self.note("call_id_missing")
        if self.halves:
            id, name, provider_data = mend(id), mend(name), mend(provider_data)
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
        call.earlier = [
            done
            for place, done in state.handed_out.get(call.sent, ())
            if (place, done.name, done.type) == (number, name, type)
        ]
        if not call.earlier:
            self.tell_of(call)
        return call

    def new_id(self, choice: int) -> str:
        """Return an id for a call that has none, or another call's."""
        used, number = self.choice(choice).handed_out, self.calls_seen
        while f"call_{number}" in used:
            number += 1
        return f"call_{number}"

    def tell_of(self, call: OpenCall) -> None:
        """Give the start of a call, and what has come of its arguments; its id must be its own."""
        state = self.choice(call.choice)
        call.earlier = []
        self._end_flow(state)
        if state.finish is not None:
            self.note("content_after_finish")
        if call.sent in state.handed_out:
            self.note("call_id_repeated")
            call.id = self.new_id(call.choice)
            state.handed_out[call.id] = []
        else:
            state.handed_out[call.sent] = []
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
        """Add a fragment to a call's arguments; half a surrogate pair waits for its other half."""
        if call.held or not fragment.isascii():
            fragment = join_halves(call, fragment, self.note)
        if call.earlier:
            self._compare(call, fragment)
        elif fragment:
            call.arguments.append(fragment)
            self._out.append(
                ToolCallDelta(call.id, fragment, choice=call.choice, part=call.index, raw=self.raw)
            )

    def _compare(self, call: OpenCall, fragment: str) -> None:
        """Add to a call that has only repeated an earlier one so far, and tell of it once it does not."""
        at = call.arguments.length
        call.arguments.append(fragment)
        call.earlier = [done for done in call.earlier if done.arguments_text.startswith(fragment, at)]
        if not call.earlier:
            self.tell_of(call)

    def add_argument_values(self, call: OpenCall, values: object) -> None:
        """Add arguments that came as JSON values, written as JSON."""
        self.note("arguments_parsed")
        self.add_arguments(call, json_text(values))

    def is_whole(self, call: OpenCall) -> bool:
        """Tell whether a call's arguments are free text, empty, or one whole JSON value."""
        if call.type == "custom":
            return True
        text = call.arguments.join()
        return not text or text.isspace() or is_one_value(text)

    def close_call(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call, and hand it out if it is whole.

        Args:
            call: The call.
            whole: False when the answer was cut inside it.
        """
        if call.closed:
            return
        self._release(call)
        repeated = False
        if call.earlier:
            text = call.arguments.join()
            # Where no arguments came, the start alone was sent again.
            repeated = not text or any(text == done.arguments_text for done in call.earlier)
            if not repeated:
                self.tell_of(call)
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
        glued = split_values(call.arguments.join()) if self.splits_calls else None
        if glued is None:
            self.note("call_invalid")
            broken = _tool_call(call, call.arguments.join(), complete=False)
            self._out.append(PartDone(broken, choice=call.choice, part=call.index, raw=self.raw))
            return
        self.note("call_glued")
        self._hand_out(call, glued[0])
        for text in glued[1:]:
            more = self.open_call(call.choice, None, call.name, type=call.type)
            self.add_arguments(more, text)
            self.close_call(more)

    def _hand_out(self, call: OpenCall, text: str) -> None:
        done = _tool_call(call, text, complete=True)
        self.choice(call.choice).handed_out.setdefault(call.sent, []).append((call.number, done))
        self._out.append(ToolCallDone(done, choice=call.choice, part=call.index, raw=self.raw))

    # -- within ------------------------------------------------------------

    def _end_flow(self, choice: Choice) -> None:
        if choice.flow is not None:
            self.close(choice.flow)

    def _release(self, part: OpenPart) -> None:
        """Give what was held back: half a pair whose other half never came, `{}` that nothing followed."""
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
    """Return a call that has ended, as the message holds it."""
    return ToolCall(
        id=call.id,
        name=call.name,
        arguments_text=text,
        complete=complete,
        type=call.type,
        provider_data=call.provider_data,
    )
