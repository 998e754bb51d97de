"""Reads the answer of a model from the pieces in a framework's events, and feeds it to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._sources.payloads import payload_of
from tokenstream.errors import StreamTruncated
from tokenstream.events import MessageStart, ToolCallDone
from tokenstream.formats import _registry as registry
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.told import Told
    from tokenstream.message import ToolCall
    from tokenstream.steps._step import Step


class ModelAnswer:
    """One answer of a model in a step.

    Args:
        step: The step.
        format: The format that reads the payloads, or its name.
        calls: A list to which the complete tool calls of the answer are added.
        earlier: An earlier answer of the same server, whose payloads look alike; None for none.
    """

    __slots__ = ("_calls", "_read_like_last", "format", "has_begun", "step")

    def __init__(
        self, step: Step, format: str | Format, calls: list[ToolCall], earlier: ModelAnswer | None = None
    ) -> None:
        self.step = step
        self.has_begun = False
        """True once the format has read an event of the answer."""
        self.format = registry.create(format, limits=DEFAULT_LIMITS, pings=False)
        # A format keeps no text, but has to compare it with the whole text that a server may repeat.
        self.format.parts.find_text = self._find_arrived
        self._calls = calls
        self._read_like_last: Callable[[Any], Event | None] | None = None
        """Reads a payload that differs from the last one only in its text; None after any but a delta."""
        if earlier is not None:
            # Learning the shapes of an answer of a few pieces would cost as much as reading all its pieces.
            self.format.adopt_shapes(earlier.format)

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
        payload: Any = item if item.__class__ is dict else payload_of(item)
        if payload.__class__ is not dict or self.step.ended is not None:
            return
        event = None if self._read_like_last is None else self._read_like_last(payload)
        if event is not None:
            # Most pieces are a delta like the last one.
            self.step.feed(event)
            return
        self._feed_step(self.format.feed(payload))
        self._read_like_last = self.format.frame_shortcut()

    def end(self) -> StreamError | None:
        """End the answer; return its error, or None if the answer is complete or nothing of it arrived."""
        if self.step.ended is not None:
            # The end of a step concludes its answers.
            return None
        self._read_like_last = None
        self._feed_step(self.format.end())
        if not self.has_begun:
            return None
        error = self.error
        if error is None:
            self.step.conclude("complete")
        else:
            self.step.conclude("truncated" if isinstance(error, StreamTruncated) else "failed")
        return error

    def fail(self) -> None:
        """End the answer as failed, because of something that its own pieces do not tell."""
        if self.step.ended is None and self.has_begun:
            self._read_like_last = None
            self.step.conclude("failed")

    def _find_arrived(self, told: Told) -> str:
        """Return the text that the step has of a part, to be compared with the whole text in `told`."""
        message = self.step.message
        # Before this answer has begun, the last message of the step is that of the answer before. The message
        # is that of the first choice, so the text of other choices is not known.
        if not self.has_begun or message is None or told.choice or told.part >= len(message.parts):
            return ""
        field = "transcript" if told.kind == "transcript" else "text"
        return getattr(message.parts[told.part], field, "")

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
