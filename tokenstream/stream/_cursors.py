"""Cursors in the text, the reasoning and the tool calls of a choice.

What a view has given cannot be taken back. Where the answer begins again, its
cursor compares: what equals what was given is not given again, and at the first
difference the error that broke off the answer before is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._align import difference, is_same_call
from tokenstream.events import ToolCallDone

if TYPE_CHECKING:
    from tokenstream._log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
    from tokenstream.message import ToolCall

__all__ = ["CallCursor", "TextCursor"]


class TextCursor:
    """Where a reader is in the text, the reasoning or the refusal of a choice."""

    __slots__ = ("_accumulator", "_choice", "_compared", "_expected", "_log", "_position", "_type", "kind")

    def __init__(
        self,
        accumulator: Accumulator,
        choice: int,
        kind: str,
        type: type[TextDelta | ReasoningDelta | RefusalDelta],  # noqa: A002
    ) -> None:
        self._accumulator = accumulator
        self._choice = choice
        self.kind = kind
        """The kind of the parts that it reads."""
        self._type = type
        self._log: TextLog | None = None
        self._position = 0
        self._expected: str | None = None
        """What was given before the answer began again, until that is compared."""
        self._compared: TextLog | None = None
        """What it is compared with; `_position` says how far."""

    @property
    def position(self) -> int:
        """How many characters of that kind the reader has been given, since the answer began."""
        return self._position

    def ready(self) -> str | None:
        """Return the text that the reader has missed, in one piece.

        Raises:
            StreamError: The answer began again, and is another one.
        """
        log = self._log
        if log is None:
            if self._expected is not None:
                return self._compare(self._expected)
            log = self._log = self._find()
            if log is None:
                return None
        if log.void:
            return self._begin_again(log)
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
        """Return the text that only the end of the stream has told of.

        Raises:
            StreamError: The answer began again, and lacks what was given.
        """
        text = self.ready()
        if self._expected is not None and self._accumulator.ending != "stopped":
            raise difference(self._accumulator)
        return text

    # -- within ------------------------------------------------------------

    def _find(self) -> TextLog | None:
        return self._accumulator.find_log(self._choice or self._accumulator.main, self.kind)

    def _begin_again(self, given: TextLog) -> str | None:
        """Compare from here on with what was given."""
        # Joined in full, since `since` counts from the start.
        self._expected = given.join()[: self._position] or None
        self._log, self._position = None, 0
        return self.ready()

    def _compare(self, expected: str) -> str | None:
        """Pass over what was given; return what comes behind it."""
        log = self._compared
        if log is None or log.void:
            log, self._position = self._find(), 0
            self._compared = log
        if log is None or log.length == self._position:
            return None
        text = log.since(self._position)
        again = expected[self._position : self._position + len(text)]
        if not text.startswith(again):
            raise difference(self._accumulator)
        self._position += len(again)
        if self._position < len(expected):
            return None
        self._expected = self._compared = None
        self._log, self._position = log, log.length
        return text[len(again) :] or None


class CallCursor:
    """Where a reader is in the tool calls of a choice.

    Args:
        accumulator: What has been said.
        choice: The choice.
        wait: Whether to give none before the answer is complete.
    """

    __slots__ = ("_given", "_next", "_restarts", "_wait", "accumulator", "choice", "renamed")

    def __init__(self, accumulator: Accumulator, choice: int, *, wait: bool = False) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self._given: list[ToolCall] = []
        self._next = 0
        """Number of the next call, counted since the answer began."""
        self._restarts = 0
        self._wait = wait
        self.renamed: dict[str, str] = {}
        """The ids that calls have now which were given under another one, before the answer began again."""

    def ready(self) -> ToolCall | None:
        """Return the next call that was handed out.

        Raises:
            StreamError: The answer began again, and has another call in the place of one that was given.
        """
        accumulator = self.accumulator
        if self._wait and accumulator.ending_of(self.choice) != "complete":
            return None
        if self._restarts != accumulator.restarts:
            self._restarts, self._next = accumulator.restarts, 0
        while (call := self._find(self._next)) is not None:
            if self._next == len(self._given):
                self._next += 1
                self._given.append(call)
                return call
            before = self._given[self._next]
            if not is_same_call(before, call):
                raise difference(accumulator)
            self._next += 1
            self.renamed[before.id] = call.id
        return None

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event hands out."""
        return self.ready() if event.__class__ is ToolCallDone else None

    def end(self) -> ToolCall | None:
        """Return the next call that only the end of the stream hands out.

        Raises:
            StreamError: The answer began again, and lacks a call that was given.
        """
        call = self.ready()
        if call is None and self._next < len(self._given) and self.accumulator.ending != "stopped":
            raise difference(self.accumulator)
        return call

    def waiting(self) -> CallCursor:
        """Return a cursor that gives the calls once the answer is complete."""
        return CallCursor(self.accumulator, self.choice, wait=True)

    def _find(self, number: int) -> ToolCall | None:
        return self.accumulator.delivered(self.choice or self.accumulator.main, number)
