"""Answers of models in the steps of a run, made from a framework's events or from an agent's lines."""

from __future__ import annotations

from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDone,
    UsageUpdate,
)
from tokenstream.formats import _registry as registry
from tokenstream.formats._fast.path import make_frame_shortcut
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.message import Ending, FinishReason, ReasoningPart, TextPart, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.whole_text import WholeText
    from tokenstream.steps._step import Step


class ModelAnswer:
    """One answer of a model in a step.

    Args:
        step: The step.
        format: The format that reads the payloads, or its name.
        calls: A list to which the complete tool calls of the answer are added.
        earlier: An earlier answer of the same server, whose payloads look alike; None for none.
    """

    def __init__(
        self, step: Step, format: str | Format, calls: list[ToolCall], earlier: ModelAnswer | None = None
    ) -> None:
        self.step = step
        self.has_begun = False
        """True once the format has read an event of the answer."""
        self.format = registry.create(format, limits=DEFAULT_LIMITS)
        # A format keeps no text, but has to compare it with the whole text that a server may repeat.
        self.format.parts.find_text = partial(_find_arrived, ref(self))
        self._calls = calls
        self._read_like_last: Callable[[Any], Event | None] | None = None
        """Reads a payload that differs from the last one only in its text; None after any but a delta."""
        if earlier is not None:
            # Learning the shapes of an answer of a few pieces would cost as much as reading all its pieces.
            fast, other = self.format.fast_path, earlier.format.fast_path
            if fast is not None and other is not None:
                fast.adopt_shapes(other)

    @property
    def is_over(self) -> bool:
        """True once the answer has ended by itself, or has failed."""
        return self.format.ended or self.error is not None

    @property
    def error(self) -> StreamError | None:
        """The error with which the answer has failed; None if it has not."""
        return self.format.error

    def read_piece(self, item: object) -> None:
        """Read a piece of the answer; after the end of its step, ignore it."""
        payload: Any = item if item.__class__ is dict else to_payload(item)
        if payload.__class__ is not dict or self.step.ended is not None:
            return
        event = None if self._read_like_last is None else self._read_like_last(payload)
        if event is not None:
            # Most pieces are a delta like the last one.
            self.step.feed(event)
            return
        self._feed_step(self.format.feed(payload))
        self._read_like_last = make_frame_shortcut(self.format)

    def end(self) -> StreamError | None:
        """End the answer; return its error, or None if the answer is complete or nothing of it arrived."""
        if self.step.ended is not None:
            # The end of a step concludes its answers.
            return None
        self._read_like_last = None
        self._feed_step(self.format.end())
        if not self.has_begun:
            return None
        ending: Ending = "truncated" if isinstance(self.error, StreamTruncated) else "failed"
        self.step.conclude("complete" if self.error is None else ending)
        return self.error

    def fail(self) -> None:
        """End the answer as failed, because of something that its own pieces do not tell."""
        if self.step.ended is None and self.has_begun:
            self._read_like_last = None
            self.step.conclude("failed")

    def _feed_step(self, events: Iterable[Event]) -> None:
        """Feed events of the answer to the step, and note its complete tool calls."""
        for event in events:
            if not self.has_begun:
                # The first event marks the start of a new answer in the step.
                self.has_begun = True
                head = event if isinstance(event, MessageStart) else MessageStart()
                head.another = self.step.has_answer
                self.step.feed(head)
                if event is head:
                    continue
            if isinstance(event, ToolCallDone):
                self._calls.append(event.call)
            self.step.feed(event)


def _find_arrived(find_answer: Callable[[], ModelAnswer | None], whole: WholeText) -> str:
    """Return the text that an answer has of a part; the format that asks does not keep the answer."""
    answer = find_answer()
    # Before this answer has begun, the last message of the step is that of the answer before. The message
    # is that of the first choice, so the text of other choices is not known.
    message = answer.step.message if answer is not None and answer.has_begun else None
    if message is None or whole.choice or whole.part >= len(message.parts):
        return ""
    return whole.find_in(message.parts[whole.part])


class TextAnswer:
    """An answer in a step that is made of whole pieces of text and reasoning, as agents print them.

    Args:
        step: The step.
        model: The name of the model; None if it is not known.
    """

    def __init__(self, step: Step, model: str | None) -> None:
        self.step = step
        self._part = -1
        self._kind: str | None = None
        self._texts: list[str] = []
        """The texts of the open part, which are joined once."""
        self.has_text = False
        step.feed(MessageStart(model=model, another=step.has_answer))

    def add(self, kind: str, text: str, *, is_whole: bool) -> None:
        """Add text to the open part of a kind, or begin a part."""
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

    def end(self, reason: FinishReason, usage: Usage | None) -> None:
        self.close_part()
        if usage:
            self.step.feed(UsageUpdate(usage))
        self.step.feed(Finish(reason))
        self.step.conclude("failed" if reason == "error" else "complete")

    def break_off(self, usage: Usage | None) -> None:
        """End the answer in its middle, since nothing more of it comes."""
        if usage:
            self.step.feed(UsageUpdate(usage))
        self.step.conclude("truncated")

    def close_part(self) -> None:
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

    def __init__(self, step: Step, id: str | None, earlier: ModelAnswer | None) -> None:
        self.id = id
        self.block: JsonObject = {}
        """The event that began the last block, until its whole line has come; empty before it."""
        self.counts: JsonObject = {}
        """The counts of tokens as its last line with another id has them."""
        self.calls: list[ToolCall] = []
        """The calls that are complete, and whose steps have not begun."""
        self.reader = ModelAnswer(step, "anthropic", self.calls, earlier)
        self.blocks = 0
        """Number of whole blocks that were read; 0 for an answer whose events were sent."""
        self.has_called = False
        """True once a whole block was a call."""
        self.has_results = False
        """True once a result of a tool has come after it."""

    def takes(self, id: str | None, counts: JsonObject, *, is_split: bool) -> bool:
        """Return True if a whole line is of this answer.

        Without an id for all of it, its counts or the results of its tools tell that it has ended.
        """
        is_same = id is not None and id == self.id
        is_open = not self.counts.get("input_tokens") if is_split else id == self.id and counts == self.counts
        return self.reader.step.ended is None and (is_same or (is_open and not self.has_results))

    def feed_block(self, block: JsonObject) -> None:
        """Read a whole block, as the events that Anthropic's API would send for it."""
        index, self.blocks = self.blocks, self.blocks + 1
        start: JsonObject = {"type": "content_block_start", "index": index, "content_block": block}
        pieces = [start]
        if block.get("type") == "tool_use":
            self.has_called = True
            start["content_block"] = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": dumps(block.get("input") or {})}
            pieces.append({"type": "content_block_delta", "index": index, "delta": delta})
        for piece in (*pieces, {"type": "content_block_stop", "index": index}):
            self.reader.read_piece(piece)

    def end_call(self, content: Json) -> None:
        """End the block of a call whose whole line has come: its result may come before the block's end."""
        open_id = text_of(dict_of(self.block, "content_block"), "id")
        if open_id is not None and open_id in [block.get("id") for block in dicts_of(content)]:
            self.reader.read_piece({"type": "content_block_stop", "index": self.block.get("index")})
            self.block = {}

    def end(self, usage: Json = None, reason: str | None = None) -> None:
        """End the answer; one of whole lines has no event that ends it."""
        if self.blocks:
            delta = {"stop_reason": reason or ("tool_use" if self.has_called else "end_turn")}
            self.reader.read_piece({"type": "message_delta", "delta": delta, "usage": usage or {}})
            self.reader.read_piece({"type": "message_stop"})
        self.reader.end()
