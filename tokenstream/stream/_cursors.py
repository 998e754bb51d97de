"""Cursors in the text, the reasoning and the tool calls of a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.events import ToolCallDone

if TYPE_CHECKING:
    from tokenstream._log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.events import ReasoningDelta, TextDelta
    from tokenstream.message import ToolCall

__all__ = ["CallCursor", "TextCursor"]


class TextCursor:
    """Where a reader is in the text or the reasoning of a choice."""

    __slots__ = ("_accumulator", "_choice", "_kind", "_log", "_position", "_type")

    def __init__(
        self,
        accumulator: Accumulator,
        choice: int,
        kind: str,
        type: type[TextDelta | ReasoningDelta],  # noqa: A002
    ) -> None:
        self._accumulator = accumulator
        self._choice = choice
        self._kind = kind
        self._type = type
        self._log: TextLog | None = None
        self._position = 0

    def ready(self) -> str | None:
        """Return the text that the reader has missed, in one piece."""
        log = self._log
        if log is None:
            log = self._log = self._accumulator.find_log(self._choice or self._accumulator.main, self._kind)
            if log is None:
                return None
        if log.length == self._position:
            return None
        text = log.since(self._position)
        self._position = log.length
        return text

    def after(self, event: Any) -> str | None:  # noqa: ANN401 - any event
        """Return the text that an event adds."""
        if event.__class__ is not self._type or event.choice != self._choice:
            return None
        text: str = event.text
        log = self._log
        if log is not None and log.length == self._position + len(text):
            self._position = log.length
            return text or None
        return self.ready()

    def end(self) -> str | None:
        """Return the text that only the end of the stream has told of."""
        return self.ready()


class CallCursor:
    """Where a reader is in the tool calls of a choice.

    Args:
        accumulator: What has been said.
        choice: The choice.
        wait: Whether to give none before the answer is complete.
    """

    __slots__ = ("_given", "_wait", "accumulator", "choice")

    def __init__(self, accumulator: Accumulator, choice: int, *, wait: bool = False) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self._given = 0
        self._wait = wait

    def ready(self) -> ToolCall | None:
        """Return the next call that was handed out."""
        if self._wait and self.accumulator.ending_of(self.choice) != "complete":
            return None
        call = self._find(self._given)
        if call is not None:
            self._given += 1
        return call

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event hands out."""
        return self.ready() if event.__class__ is ToolCallDone else None

    def end(self) -> ToolCall | None:
        """Return the next call that only the end of the stream hands out."""
        return self.ready()

    def waiting(self) -> CallCursor:
        """Return a cursor that gives the calls once the answer is complete."""
        return CallCursor(self.accumulator, self.choice, wait=True)

    def _find(self, number: int) -> ToolCall | None:
        return self.accumulator.delivered(self.choice or self.accumulator.main, number)
