"""Whose piece is it: choices, parts and tool calls, and the events that tell of them.

Formats say what a payload holds ("more text for choice 0", "a call with this
id"); `Parts` knows which part is open, gives parts their index, and makes the
events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from tokenstream._json import is_one_value, split_values
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.message import (
    Citation,
    FinishReason,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.limits import Limits
    from tokenstream.message import MediaPart, OpaquePart, Part, ServerToolCall, ServerToolResult

__all__ = ["Choice", "OpenCall", "OpenPart", "Parts", "TextKind"]

TextKind: TypeAlias = Literal["text", "reasoning", "refusal"]

_STARTS: dict[str, type[TextPart | ReasoningPart | RefusalPart]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "refusal": RefusalPart,
}
_ABSENT = object()
_CUT_SHORT: frozenset[str] = frozenset({"length", "content_filter", "error", "cancelled"})


class OpenPart:
    """A part that can still grow."""

    __slots__ = ("choice", "closed", "held", "index", "kind")

    def __init__(self, kind: str, choice: int, index: int) -> None:
        self.kind = kind
        self.choice = choice
        self.index = index
        self.closed = False
        self.held = ""
        """The first half of a surrogate pair whose other half has not come."""


class OpenCall(OpenPart):
    """A tool call that can still grow; its argument pieces are needed to tell its end."""

    __slots__ = ("id", "id_made_up", "name", "pieces", "provider_data", "type")

    def __init__(self, choice: int, index: int, id: str, name: str, type: str) -> None:  # noqa: A002 - field names
        super().__init__("tool_call", choice, index)
        self.id = id
        self.id_made_up = False
        self.name = name
        self.type = type
        self.provider_data: dict[str, Any] | None = None
        self.pieces: list[str] = []

    @property
    def has_arguments(self) -> bool:
        """Whether any argument text has come."""
        return bool(self.pieces)

    def join(self) -> str:
        """Return the argument text so far, joined once."""
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class Choice:
    """What is known of one alternative answer."""

    __slots__ = ("calls", "fields", "finish", "flow", "index", "next_part", "opened", "streams")

    def __init__(self, index: int) -> None:
        self.index = index
        self.next_part = 0
        self.flow: OpenPart | None = None
        """The part that pieces without a mark of their own belong to."""
        self.opened: dict[int, OpenPart] = {}
        """Every open part, by index."""
        self.calls: list[OpenCall] = []
        """The open calls, in order of arrival."""
        self.finish: Finish | None = None
        self.fields: dict[str, object] = {}
        self.streams = 0
        """How many client tool calls it has made."""


class Parts:
    """Turns what formats read into events with choices and part indexes.

    Args:
        limits: Bounds on choices, parts and tool calls.
        note: Counts a departure.
    """

    splits_calls: ClassVar[bool] = True
    """Whether several documents in one call's arguments are several calls."""

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        self.limits = limits
        self.note = note
        self.raw: Any = None
        """The payload that is being read; it goes on every event that it gives."""
        self.choices: dict[int, Choice] = {}
        self.calls_seen = 0
        self._parts_seen = 0
        self._out: list[Event] = []
        self._head: MessageStart | None = None
        self._fields: dict[str, object] = {}

    # -- what came of it ---------------------------------------------------

    def take(self) -> list[Event]:
        """Return the events made since the last call."""
        out = self._out
        if out:
            self._out = []
        return out

    def emit(self, event: Event) -> None:
        """Add an event that needs no bookkeeping."""
        self._out.append(event)

    @property
    def finished(self) -> bool:
        """Whether every choice that was seen has its finish reason."""
        choices = self.choices
        return bool(choices) and all(choice.finish is not None for choice in choices.values())

    @property
    def open_calls(self) -> int:
        """How many tool calls are open, over all choices."""
        return sum(len(choice.calls) for choice in self.choices.values())

    @property
    def started(self) -> bool:
        """Whether the answer's head came."""
        return self._head is not None

    # -- the answer as a whole ---------------------------------------------

    def head(self, *, id: str | None = None, model: str | None = None, role: str | None = None) -> None:  # noqa: A002 - the field's name
        """Take the answer's head; the first id and role count, and the last model."""
        head = self._head
        if head is None:
            head = self._head = MessageStart(
                id=id or None, model=model or None, role=role or "assistant", raw=self.raw
            )
            self._out.append(head)
            return
        if id and head.id and id != head.id:
            self.note("id_changed")
        new_id, new_model = head.id or id or None, model or head.model
        if new_id != head.id or new_model != head.model:
            self._head = MessageStart(id=new_id, model=new_model, role=head.role, raw=self.raw)
            self._out.append(self._head)

    def usage(self, usage: Usage) -> None:
        """Take a report of token counts."""
        self._out.append(UsageUpdate(usage, raw=self.raw))

    def field(self, name: str, value: object, choice: int | None = None) -> None:
        """Take a field that we have no word for; one that says nothing new gives no event.

        Args:
            name: The field's name.
            value: Its value.
            choice: The choice that it belongs to; None for the answer as a whole.
        """
        fields = self._fields if choice is None else self.choice(choice).fields
        if fields.get(name, _ABSENT) != value:
            fields[name] = value
            self._out.append(
                Unknown(name, value, kind="field", shared=choice is None, choice=choice or 0, raw=self.raw)
            )

    def items(self, name: str, values: list[Any], choice: int = 0) -> None:
        """Take list items that add to those before, such as log probabilities."""
        self.choice(choice)
        self._out.append(Unknown(name, values, kind="items", choice=choice, raw=self.raw))

    def unknown(self, name: str, data: object) -> None:
        """Carry a payload that we have no word for."""
        self._out.append(Unknown(name, data, raw=self.raw))

    # -- choices -----------------------------------------------------------

    def choice(self, index: object) -> Choice:
        """Return what is known of a choice.

        Raises:
            ProtocolError: `index` is no index.
            LimitExceeded: There are more choices than `Limits.choices`.
        """
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            msg = "a choice's index must be a whole number of at least 0"
            raise ProtocolError(msg)
        choice = self.choices.get(index)
        if choice is None:
            if len(self.choices) >= self.limits.choices:
                raise LimitExceeded(limit="choices", value=self.limits.choices)
            choice = self.choices[index] = Choice(index)
        return choice

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Take a choice's finish reason: what is open in it is over.

        A stop on a message that calls tools is `tool_calls`, whatever the
        provider's word: some say "stop" for both.
        """
        state = self.choice(choice)
        if state.finish is not None:
            self.note("finish_repeated")
            if state.finish.raw_reason == raw_reason:
                return
        if reason == "stop" and state.streams:
            reason = "tool_calls"
        self.close_choice(state, complete=reason not in _CUT_SHORT)
        state.finish = Finish(reason, raw_reason, choice=choice, raw=self.raw)
        self._out.append(state.finish)

    def close_choice(self, choice: Choice, *, complete: bool) -> None:
        """Close every part of a choice.

        Args:
            choice: The choice.
            complete: Whether it ended of itself; where it was cut, the call that
                was being written is not handed out, even if it looks whole.
        """
        last_call = choice.calls[-1] if choice.calls else None
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
            choice.opened.clear()
            choice.flow = None

    # -- parts -------------------------------------------------------------

    def open(self, choice: int, content: Part) -> OpenPart:
        """Open a part that has a start of its own."""
        state = self.choice(choice)
        part = OpenPart(content.kind, choice, self._next_index(state))
        state.opened[part.index] = part
        self._out.append(PartStart(content, choice=choice, part=part.index, raw=self.raw))
        return part

    def whole(
        self, choice: int, content: ServerToolCall | ServerToolResult | MediaPart | OpaquePart | ReasoningPart
    ) -> None:
        """Add a part that came in one piece; text that follows begins a new part."""
        state = self.choice(choice)
        self._end_flow(state)
        self.close(self.open(choice, content), content)

    def write(self, choice: int, kind: TextKind, text: str) -> None:
        """Add to the open part of that kind, or open one: for formats that do not mark their parts."""
        state = self.choices.get(choice) or self.choice(choice)
        part = state.flow
        if part is None or part.kind != kind:
            if not text:
                return
            self._end_flow(state)
            if state.finish is not None:
                self.note("content_after_finish")
            part = state.flow = self.open(choice, _STARTS[kind]())
        self.add(part, text)

    def sign(self, choice: int, signature: str) -> None:
        """Add a signature to the reasoning that is being written, or to a new, empty part."""
        state = self.choice(choice)
        if state.flow is None or state.flow.kind != "reasoning":
            self._end_flow(state)
            state.flow = self.open(choice, ReasoningPart())
        self.add_signature(state.flow, signature)

    def add(self, part: OpenPart, text: str) -> None:
        """Add text to a part; half a surrogate pair waits for its other half."""
        if part.held or not text.isascii():
            text = self._whole_characters(part, text)
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

    def add_signature(self, part: OpenPart, signature: str) -> None:
        """Add a signature, or a piece of one, to a reasoning part."""
        if signature:
            self._out.append(
                ReasoningDelta("", signature, choice=part.choice, part=part.index, raw=self.raw)
            )

    def add_media(self, part: OpenPart, data: bytes = b"", transcript: str = "") -> None:
        """Add to a media part."""
        if data or transcript:
            self._out.append(
                MediaDelta(data, transcript, choice=part.choice, part=part.index, raw=self.raw)
            )

    def cite(self, choice: int, citation: Citation) -> None:
        """Add a citation; it is a part of its own and does not end the text that it stands in."""
        index = self._next_index(self.choice(choice))
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
        state = self.choice(part.choice)
        state.opened.pop(part.index, None)
        if state.flow is part:
            state.flow = None
        self._out.append(PartDone(content, choice=part.choice, part=part.index, raw=self.raw))

    # -- tool calls --------------------------------------------------------

    def open_call(
        self,
        choice: int,
        id: str | None,  # noqa: A002 - the field's name
        name: str,
        *,
        type: str = "function",  # noqa: A002 - the field's name
        provider_data: dict[str, Any] | None = None,
    ) -> OpenCall:
        """Open a call of one of the application's tools; an id that was not sent is made up.

        Raises:
            LimitExceeded: There are more calls than `Limits.tool_calls`.
        """
        state = self.choice(choice)
        if self.calls_seen >= self.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        self._end_flow(state)
        if state.finish is not None:
            self.note("content_after_finish")
        if not id:
            self.note("call_id_missing")
        call = OpenCall(choice, self._next_index(state), id or f"call_{self.calls_seen}", name, type)
        call.id_made_up = not id
        call.provider_data = provider_data
        self.calls_seen += 1
        state.streams += 1
        state.opened[call.index] = call
        state.calls.append(call)
        self._out.append(
            ToolCallStart(
                call.id, name, type, provider_data, choice=choice, part=call.index, raw=self.raw
            )
        )
        return call

    def add_arguments(self, call: OpenCall, fragment: str) -> None:
        """Add a fragment to a call's arguments; half a surrogate pair waits for its other half."""
        if call.held or not fragment.isascii():
            fragment = self._whole_characters(call, fragment)
        if fragment:
            call.pieces.append(fragment)
            self._out.append(
                ToolCallDelta(call.id, fragment, choice=call.choice, part=call.index, raw=self.raw)
            )

    def add_argument_values(self, call: OpenCall, values: object) -> None:
        """Add arguments that came as JSON values, written as JSON."""
        self.note("arguments_parsed")
        self.add_arguments(call, json.dumps(values, ensure_ascii=False, separators=(", ", ": ")))

    def is_whole(self, call: OpenCall) -> bool:
        """Tell whether a call's arguments are free text, empty, or one whole JSON value."""
        if call.type == "custom":
            return True
        text = call.join()
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
        call.closed = True
        state = self.choice(call.choice)
        state.opened.pop(call.index, None)
        state.calls.remove(call)
        if not whole:
            self.note("call_open_at_end")
        elif self.is_whole(call):
            self._hand_out(call, call.join())
        else:
            self._close_broken(call)

    def _close_broken(self, call: OpenCall) -> None:
        glued = split_values(call.join()) if self.splits_calls else None
        if glued is None:
            self.note("call_invalid")
            return
        self.note("call_glued")
        self._hand_out(call, glued[0])
        for text in glued[1:]:
            more = self.open_call(call.choice, None, call.name, type=call.type)
            self.add_arguments(more, text)
            self.close_call(more)

    def _hand_out(self, call: OpenCall, text: str) -> None:
        done = ToolCall.model_construct(
            id=call.id,
            name=call.name,
            arguments_text=text,
            complete=True,
            type=call.type,
            provider_data=call.provider_data,
        )
        self._out.append(ToolCallDone(done, choice=call.choice, part=call.index, raw=self.raw))

    # -- within ------------------------------------------------------------

    def _next_index(self, choice: Choice) -> int:
        if self._parts_seen >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        self._parts_seen += 1
        index = choice.next_part
        choice.next_part += 1
        return index

    def _end_flow(self, choice: Choice) -> None:
        if choice.flow is not None:
            self.close(choice.flow)

    def _whole_characters(self, part: OpenPart, text: str) -> str:
        """Join halves of surrogate pairs; keep back a first half at the end."""
        if part.held:
            text, part.held = part.held + text, ""
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            part.held, text = text[-1], text[:-1]
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if "\ufffd" in whole and "\ufffd" not in text:
            self.note("lone_surrogate")
        return whole

    def _release(self, part: OpenPart) -> None:
        """Give what was held back: half a pair whose other half never came."""
        if part.held:
            part.held = ""
            self.note("lone_surrogate")
            if isinstance(part, OpenCall):
                self.add_arguments(part, "\ufffd")
            else:
                self.add(part, "\ufffd")
