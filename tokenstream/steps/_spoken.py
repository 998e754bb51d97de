"""Reads a model's answer from a framework's pieces with a format, and feeds it to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict
from tokenstream.events import MessageStart, ToolCallDone
from tokenstream.formats import _registry as registry
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.sources._payloads import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import ToolCall
    from tokenstream.steps._step import Step


class ModelAnswer:
    """One answer of a model in a step.

    Args:
        step: The step.
        format: The format that reads the payloads.
        calls: Receives the answer's complete tool calls.
    """

    __slots__ = ("_calls", "_format", "begun", "step")

    def __init__(self, step: Step, format: str, calls: list[ToolCall]) -> None:
        self.step = step
        self.begun = False
        """True once the answer has given an event."""
        self._format = registry.create(format, limits=DEFAULT_LIMITS, pings=False)
        self._calls = calls

    def take(self, item: Any) -> None:  # noqa: ANN401 - an object of a framework, or a payload
        """Take a piece of the answer; ignored after the end of its step."""
        payload: object = payload_of(item)
        if is_dict(payload) and self.step.ended is None:
            self._give(self._format.feed(payload))

    def end(self) -> StreamError | None:
        """End the answer; return its error, or None if it is complete."""
        if self.step.ended is not None:
            return None
        self._give(self._format.end())
        if not self.begun:
            return None
        error = self._format.error
        self.step.conclude("complete" if error is None else "truncated")
        return error

    def _give(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self.begun:
                # The first event begins a new answer of the step.
                self.begun = True
                head = event if isinstance(event, MessageStart) else MessageStart()
                head.another = bool(self.step.messages)
                self.step.feed(head)
                if event is head:
                    continue
            if isinstance(event, ToolCallDone):
                self._calls.append(event.call)
            self.step.feed(event)
