"""Answers in agents' lines: of texts and reasoning, and of the events that Claude Code prints."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.events import (
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import ReasoningPart, TextPart
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.events import CitationAdded
    from tokenstream.message import FinishReason, ToolCall, Usage
    from tokenstream.steps._step import Step


class TextAnswer:
    """An answer in a step that is made of whole pieces of text and reasoning, as agents print them.

    Args:
        step: The step.
        model: The name of the model; None if it is not known.
    """

    __slots__ = ("_kind", "_part", "_texts", "has_text", "step")

    def __init__(self, step: Step, model: str | None = None) -> None:
        self.step = step
        self._part = -1
        self._kind: str | None = None
        """The kind of the part that is open; None if none is."""
        self._texts: list[str] = []
        """The texts of the open part, which are joined once."""
        self.has_text = False
        """True once the answer has text, and not only reasoning."""
        step.feed(MessageStart(model=model, another=step.has_answer))

    def add(self, kind: str, text: str, *, is_whole: bool) -> None:
        """Add text to the open part of a kind, or begin a part.

        Args:
            kind: The kind of the part: "text" or "reasoning".
            text: The text.
            is_whole: True if it is a whole part.
        """
        if self._kind != kind or is_whole:
            self.close_part()
            self._part += 1
            self._kind, self._texts = kind, []
            empty = TextPart(text="") if kind == "text" else ReasoningPart(text="")
            self.step.feed(PartStart(empty.model_copy(update={"complete": False}), part=self._part))
        self._texts.append(text)
        self.has_text = self.has_text or kind == "text"
        delta = TextDelta if kind == "text" else ReasoningDelta
        self.step.feed(delta(text, part=self._part))
        if is_whole:
            self.close_part()

    def add_call(self, call: ToolCall) -> None:
        """Add a whole call of a tool that the caller of the agent runs."""
        self.close_part()
        self._part += 1
        self.step.feed(ToolCallStart(call.id, call.name, part=self._part))
        self.step.feed(ToolCallDelta(call.id, call.arguments_text, part=self._part))
        self.step.feed(ToolCallDone(call, part=self._part))

    def add_citation(self, event: CitationAdded) -> None:
        """Add a source, which is a part of its own beside the open one."""
        self.close_part()
        self._part += 1
        event.part = self._part
        self.step.feed(event)

    def end(self, reason: FinishReason, usage: Usage | None) -> None:
        """End the answer.

        Args:
            reason: The reason for its end.
            usage: Its token counts; None, or false, if they are not known.
        """
        self.close_part()
        if usage:
            self.step.feed(UsageUpdate(usage))
        self.step.feed(Finish(reason))
        self.step.conclude("failed" if reason == "error" else "complete")

    def break_off(self, usage: Usage | None) -> None:
        """End the answer in its middle, since nothing more of it comes.

        Args:
            usage: Its token counts; None, or false, if they are not known.
        """
        if usage:
            self.step.feed(UsageUpdate(usage))
        self.step.conclude("truncated")

    def close_part(self) -> None:
        """End the part that is open, if one is."""
        if self._kind is not None:
            text = "".join(self._texts)
            done = TextPart(text=text) if self._kind == "text" else ReasoningPart(text=text)
            self.step.feed(PartDone(done, part=self._part))
            self._kind = None


def last_text(step: Step) -> str | None:
    """Return the text of the last answer of a step that has any; an answer that broke off does not count."""
    for message in reversed(step.messages):
        if message.text and message.ending != "truncated":
            return message.text
    return None


class ClaudeAnswer:
    """An answer in progress, with the calls that its steps have not begun.

    Args:
        step: The step of its agent.
        id: The id of its message; None if it has none.
        earlier: The reader of an earlier answer; None for the first.
    """

    __slots__ = ("block", "blocks", "calls", "has_called", "id", "reader")

    def __init__(self, step: Step, id: str | None, earlier: ModelAnswer | None) -> None:
        self.id = id
        self.block: dict[str, Json] = {}
        """The event that began the last block, until its whole line has come; empty before it."""
        self.calls: list[ToolCall] = []
        """The calls that are complete, and whose steps have not begun."""
        self.reader = ModelAnswer(step, "anthropic", self.calls, earlier)
        self.blocks = 0
        """Number of whole blocks that were read; 0 for an answer whose events were sent."""
        self.has_called = False
        """True once a whole block was a call."""

    def feed_block(self, block: dict[str, Any]) -> None:
        """Read a whole block, as the events that Anthropic's API would send for it."""
        index, self.blocks = self.blocks, self.blocks + 1
        start: dict[str, Any] = {"type": "content_block_start", "index": index, "content_block": block}
        deltas: list[dict[str, Any]] = []
        if block.get("type") == "tool_use":
            self.has_called = True
            start["content_block"] = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": dumps(block.get("input") or {})}]
        self.reader.read_piece(start)
        for delta in deltas:
            self.reader.read_piece({"type": "content_block_delta", "index": index, "delta": delta})
        self.reader.read_piece({"type": "content_block_stop", "index": index})

    def end_call(self, content: Json) -> None:
        """End the block of a call whose whole line has come: its result may come before the block's end.

        Args:
            content: The blocks in the line.
        """
        open_id = text_of(dict_of(self.block, "content_block"), "id")
        if open_id is not None and open_id in [block.get("id") for block in dicts_of(content)]:
            self.reader.read_piece({"type": "content_block_stop", "index": self.block.get("index")})
            self.block = {}

    def end(self, usage: Json = None, reason: str | None = None) -> None:
        """End the answer; one of whole lines has no event that ends it.

        Args:
            usage: Its token counts, if it is of whole lines; None if they are not known.
            reason: The reason for its end, if it is of whole lines; None if it is not known.
        """
        if self.blocks:
            delta = {"stop_reason": reason or ("tool_use" if self.has_called else "end_turn")}
            self.reader.read_piece({"type": "message_delta", "delta": delta, "usage": usage or {}})
            self.reader.read_piece({"type": "message_stop"})
        self.reader.end()
