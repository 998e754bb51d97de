"""An answer of an agent that prints text and reasoning, and not the events of a model's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
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
        event = TextDelta(text) if kind == "text" else ReasoningDelta(text)
        event.part = self._part
        self.step.feed(event)
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
