"""A reader's position in the tool calls of a choice, with validated arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import Finish, PartDone, PartStart, ToolCallDone, ToolCallStart
from tokenstream.stream._views.position import CallPosition

if TYPE_CHECKING:
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import ToolCall
    from tokenstream.stages._tools.calls import ValidatedCalls

_DECIDING_EVENTS = frozenset({ToolCallDone, PartDone, Finish, PartStart, ToolCallStart})
"""Events that end a call, or from which it follows that an ended call was not cut off."""


class CheckedCursor(CallPosition):
    """A reader's cursor in the ended calls of a choice, which a stage checks.

    Args:
        tools: The stage that checks the calls.
        wait: True to hold back all calls until the answer is complete.
        answers: True to record the error of a call that cannot be run as the call's result.
    """

    __slots__ = ("_answers", "_maybe_cut", "_tools")

    def __init__(
        self,
        accumulator: Accumulator,
        choice: int,
        tools: ValidatedCalls,
        *,
        wait: bool = False,
        answers: bool = False,
    ) -> None:
        super().__init__(accumulator, choice, wait=wait)
        self._tools = tools
        self._answers = answers
        self._maybe_cut: ToolCall | None = None
        """A call that has ended with unfinished arguments, and was cut off unless another part follows it."""

    def refuse_async(self) -> None:
        """Refuse asynchronous tools, for a stream that cannot await their results."""
        self._tools.refuse_async()

    def after(self, event: object) -> ToolCall | None:
        """Return the call that an event ends, even if its arguments are not JSON."""
        return self.ready() if event.__class__ in _DECIDING_EVENTS else None

    def make_waiting(self) -> CheckedCursor:
        """Return a cursor that delivers the tool calls only once the answer is complete."""
        return CheckedCursor(self.accumulator, self.choice, self._tools, wait=True, answers=self._answers)

    def _check(self, call: ToolCall) -> list[ToolCall] | None:
        """Check a call that has ended; None for a call that may have been cut off."""
        # Choice 0 stands for the first choice, even if the answer has none with index 0.
        choice = self.choice or self.accumulator.main
        # A call that lacked its end the last time is not parsed again.
        lacks_end = call is self._maybe_cut or (not call.complete and self._tools.lacks_end(call))
        if lacks_end:
            # If another part follows the call, the call was not cut off.
            self._maybe_cut = call
            choices, *_ = self.accumulator.state_to_copy()
            state = choices.get(choice)
            if state is None or not state.has_gone_on(call.id):
                return None
            # Something follows the call, so the model itself ended it like this. Unlike `feed`, `settle`
            # adds the missing end.
            (checked,) = self._tools.settle(call)
        else:
            (checked,) = self._tools.feed(call)
        if checked.repairs and checked.error is None:
            # The accumulator records only calls with valid JSON as delivered, and this one was repaired.
            self.accumulator.note_delivered(checked.id)
        if checked.error is not None:
            checked.error.partial = self.accumulator.message_of(choice)
            checked.error.origin = self.accumulator.origin
            if self._answers:
                self.accumulator.refuse_call(checked, choice)
        return [checked]
