"""Where a reader is in the tool calls whose arguments are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.events import PartDone, ToolCallDone
from tokenstream.stream._cursors import CallCursor

if TYPE_CHECKING:
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import ToolCall
    from tokenstream.stages.tools import ValidatedCalls

__all__ = ["CheckedCursor"]


class CheckedCursor(CallCursor):
    """Where a reader is in the calls of a choice that have ended, as a stage has checked them.

    Args:
        accumulator: What has been said.
        choice: The choice.
        tools: Checks the calls.
        wait: Whether to give none before the answer is complete.
    """

    __slots__ = ("_tools",)

    def __init__(
        self, accumulator: Accumulator, choice: int, tools: ValidatedCalls, *, wait: bool = False
    ) -> None:
        super().__init__(accumulator, choice, wait=wait)
        self._tools = tools

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event ends, whether its arguments are JSON or not."""
        return self.ready() if event.__class__ is ToolCallDone or event.__class__ is PartDone else None

    def waiting(self) -> CheckedCursor:
        """Return a cursor that gives the calls once the answer is complete."""
        return CheckedCursor(self.accumulator, self.choice, self._tools, wait=True)

    def _find(self, number: int) -> ToolCall | None:
        choice = self.choice or self.accumulator.main
        call = self.accumulator.ended_call(choice, number)
        if call is None:
            return None
        (checked,) = self._tools.feed(call)
        if checked.error is not None:
            checked.error.partial = self.accumulator.message_of(choice)
        return checked
