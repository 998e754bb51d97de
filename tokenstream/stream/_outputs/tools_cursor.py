"""Cursor in the tool calls whose arguments are validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.events import Finish, PartDone, PartStart, ToolCallDone, ToolCallStart
from tokenstream.stream._views.cursors import CallCursor

if TYPE_CHECKING:
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import ToolCall
    from tokenstream.stages._tools.calls import ValidatedCalls

_TELLING = frozenset({ToolCallDone, PartDone, Finish, PartStart, ToolCallStart})
"""Events that end a call, or that show that an ended call was not cut."""


class CheckedCursor(CallCursor):
    """A reader's cursor in a choice's ended calls, as checked by a stage.

    Args:
        accumulator: The stream's accumulator.
        choice: The choice.
        tools: Checks the calls.
        wait: Whether to hold all calls until the answer is complete.
    """

    __slots__ = ("_tools", "_unsettled")

    def __init__(
        self, accumulator: Accumulator, choice: int, tools: ValidatedCalls, *, wait: bool = False
    ) -> None:
        super().__init__(accumulator, choice, wait=wait)
        self._tools = tools
        self._unsettled: ToolCall | None = None
        """A call that ended with unfinished arguments; the next part shows whether it was cut."""

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event ends, even if its arguments are not JSON."""
        return self.ready() if event.__class__ in _TELLING else None

    def make_waiting(self) -> CheckedCursor:
        """Return a cursor that gives the calls once the answer is complete."""
        return CheckedCursor(self.accumulator, self.choice, self._tools, wait=True)

    def _find(self, number: int) -> ToolCall | None:
        choice = self.choice or self.accumulator.main
        call = self.accumulator.ended_call(choice, number)
        if call is None:
            return None
        if call is self._unsettled or (not call.complete and self._tools.lacks_end(call)):
            self._unsettled = call
            state = self.accumulator.standing()[0].get(choice)
            if state is None or not state.has_gone_on(call.id):
                return None
            (checked,) = self._tools.settle(call)
        else:
            (checked,) = self._tools.feed(call)
        if checked.repairs and checked.error is None:
            # The format withheld this call; it is delivered here, repaired.
            self.accumulator.note_delivered(checked.id)
        if checked.error is not None:
            checked.error.partial = self.accumulator.message_of(choice)
        return checked
