"""Cursors in the text, the reasoning and the tool calls of a choice.

A view cannot take back the content that it has delivered. When a retry restarts the answer,
the cursor compares the new answer with the delivered content. Equal content is not delivered
twice; at the first difference, the cursor raises the error that broke off the previous attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._pipeline.align import is_same_call, make_difference_error
from tokenstream.events import ToolCallDone

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.text_log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
    from tokenstream.message import ToolCall


class TextCursor:
    """A reader's position in the text, the reasoning or the refusal of a choice.

    Args:
        kind: The kind of parts to read: "text", "reasoning" or "refusal".
        type: The class of the events that add to these parts.
    """

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
        """The kind of parts that the cursor reads."""
        self._type = type
        self._log: TextLog | None = None
        """The log with the text; None until the text has begun, and during a comparison."""
        self._position = 0
        """Number of characters of the log that were delivered, or compared."""
        self._expected: str | None = None
        """The text delivered before the answer was restarted; None once the comparison is over."""
        self._compared: TextLog | None = None
        """The new text, which is compared with `_expected`."""

    @property
    def position(self) -> int:
        """Number of characters delivered since the answer began."""
        return self._position

    def ready(self) -> str | None:
        """Return the text that has arrived since the last call, in one piece; None if none has arrived.

        Raises:
            StreamError: The answer was restarted, and differs from the text that the reader has.
        """
        log = self._log
        if log is None:
            if self._expected is not None:
                # The answer was restarted, and its text has equalled the delivered text so far.
                return self._compare(self._expected)
            log = self._log = self._find_log()
            if log is None:
                return None
        if log.void:
            # The answer was restarted.
            return self._start_comparison(log)
        if log.length == self._position:
            return None
        text = log.since(self._position)
        self._position = log.length
        return text

    def after(self, event: AnyEvent) -> str | None:
        """Return the text that an event adds; None if the event adds no text of this kind."""
        if event.__class__ is not self._type or event.choice != self._choice:
            return None
        text: str = event.text
        log = self._log
        # Without a log, the text has not begun, or is compared after a restart: `ready` handles both.
        if log is not None and log.length == self._position + len(text):
            # Only this event is new, so its text need not be read from the log.
            self._position = log.length
            return text or None
        # More is new, or the text is the first one, or a restarted answer is compared.
        return self.ready()

    def end(self) -> str | None:
        """Return the text that the end of the stream added; None if it added no text.

        Raises:
            StreamError: The answer was restarted, and the new one lacks text that the reader already has.
        """
        text = self.ready()
        # In an answer that was stopped, the missing text might still have come.
        if self._expected is not None and self._accumulator.ending != "stopped":
            raise make_difference_error(self._accumulator)
        return text

    # -- within ------------------------------------------------------------

    def _find_log(self) -> TextLog | None:
        """Return the log, which holds all text of this kind in the choice; None until the text has begun."""
        # 0 stands for the first choice, which may have another index.
        return self._accumulator.find_log(self._choice or self._accumulator.main, self.kind)

    def _start_comparison(self, old_log: TextLog) -> str | None:
        """Start to compare a restarted answer with the delivered text, and return new text, or None.

        Args:
            old_log: The log with the text of the previous attempt.
        """
        # The whole text is joined, since `since` can only cut off the start.
        self._expected = old_log.join()[: self._position] or None
        self._log, self._position = None, 0
        return self.ready()

    def _compare(self, expected: str) -> str | None:
        """Skip the part of a restarted text that repeats the delivered text; return the rest, or None.

        Args:
            expected: The text that was delivered before the restart. If the new text differs from it, this
                raises an error.
        """
        log = self._compared
        if log is None or log.void:
            # The comparison begins, or the answer was restarted once more.
            log, self._position = self._find_log(), 0
            self._compared = log
        if log is None or log.length == self._position:
            return None
        text = log.since(self._position)
        # Shorter than `text` if the delivered text ends within it.
        repeated = expected[self._position : self._position + len(text)]
        if not text.startswith(repeated):
            raise make_difference_error(self._accumulator)
        self._position += len(repeated)
        if self._position < len(expected):
            return None
        # The comparison is over.
        self._expected = self._compared = None
        self._log, self._position = log, log.length
        return text[len(repeated) :] or None


class ToolCallCursor:
    """A reader's position in the tool calls of a choice.

    Args:
        wait: True to hold back all calls until the answer is complete.
    """

    __slots__ = (
        "_delivered",
        "_next_number",
        "_restarts",
        "_until_complete",
        "accumulator",
        "choice",
        "renamed",
    )

    def __init__(self, accumulator: Accumulator, choice: int, *, wait: bool = False) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self._delivered: list[ToolCall] = []
        """The calls that were delivered, by number."""
        self._next_number = 0
        """Number of the next call, counted from the start of the answer."""
        self._restarts = 0
        """Number of the answer's restarts for which this cursor has started over."""
        self._until_complete = wait
        """True to deliver no call before the answer is complete."""
        self.renamed: dict[str, str] = {}
        """Maps ids of calls that were delivered before a restart to the ids of the same calls after it."""

    def ready(self) -> ToolCall | None:
        """Return the next tool call that the accumulator has released; None if no further call is released.

        Raises:
            StreamError: The answer was restarted, and has a different call in place of a delivered one.
        """
        accumulator = self.accumulator
        if self._until_complete and accumulator.ending_of(self.choice) != "complete":
            return None
        if self._restarts != accumulator.restarts:
            # Go through the calls again from the first one.
            self._restarts, self._next_number = accumulator.restarts, 0
        while (call := self._find_call(self._next_number)) is not None:
            if self._next_number == len(self._delivered):
                self._next_number += 1
                self._delivered.append(call)
                return call
            # The answer was restarted; the call in this place was delivered before.
            before = self._delivered[self._next_number]
            if not is_same_call(before, call):
                raise make_difference_error(accumulator)
            self._next_number += 1
            self.renamed[before.id] = call.id
        return None

    def after(self, event: object) -> ToolCall | None:
        """Return the call that an event completes, or None."""
        return self.ready() if event.__class__ is ToolCallDone else None

    def end(self) -> ToolCall | None:
        """Return the next call that the end of the stream released; None if no call is left.

        Raises:
            StreamError: The answer was restarted, and lacks a call that was delivered.
        """
        call = self.ready()
        lacks_calls = call is None and self._next_number < len(self._delivered)
        # In an answer that was stopped, the missing calls might still have come.
        if lacks_calls and self.accumulator.ending != "stopped":
            raise make_difference_error(self.accumulator)
        return call

    def make_waiting(self) -> ToolCallCursor:
        """Return a cursor that delivers the tool calls only once the answer is complete."""
        return ToolCallCursor(self.accumulator, self.choice, wait=True)

    def _find_call(self, number: int) -> ToolCall | None:
        """Return the choice's call with a number, from 0; None if the accumulator still holds it back."""
        # 0 stands for the first choice, which may have another index.
        return self.accumulator.delivered(self.choice or self.accumulator.main, number)
