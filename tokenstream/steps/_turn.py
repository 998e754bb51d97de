"""One turn of an agent: what was asked of it, until it says that it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream.steps._step import State, Step


@show_members
class Turn:
    """One turn of an agent that `Steps.follow` reads, up to the agent's verdict.

    Its answers and tools are in its step. A turn that ended without a verdict has failed, and
    its error says so.

    Example:
        >>> from tokenstream import Steps
        >>> lines = [
        ...     '{"type": "thread.started", "thread_id": "t"}',
        ...     '{"type": "turn.started"}',
        ...     '{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Done."}}',
        ...     '{"type": "turn.completed", "usage": {"input_tokens": 9, "output_tokens": 2}}',
        ... ]
        >>> with Steps() as run:
        ...     for line in run.follow(lines):
        ...         pass
        >>> [(turn.state, turn.result, turn.usage.output_tokens) for turn in run.turns]
        [('done', 'Done.', 2)]
    """

    __slots__ = ("_usage", "cost", "result", "session", "step")

    def __init__(self, step: Step, session: str | None) -> None:
        self.step = step
        """The step with the answers and the tools of this turn."""
        self.session = session
        """The id of the agent's session, with which the agent can go on later; None if it has sent none."""
        self.result: Any = None
        """The agent's result: its last text, or the value that it gives; None before the end."""
        self._usage: Usage | None = None
        """The tokens of this turn, as the agent counts them; None if it counts those of each answer."""
        self.cost: float | None = None
        """The cost of this turn in US dollars, as the agent counts it; None if it has not."""

    def __repr__(self) -> str:
        return f"<Turn {self.step.name}: {self.state}>"

    @property
    def usage(self) -> Usage:
        """The tokens of this turn, as the agent counts them; false if it has not.

        It is the sum of its answers unless the agent counts the turn as a whole.
        """
        if self._usage is not None:
            return self._usage
        told = (message.usage for message in self.step.messages)
        return sum((usage for usage in told if usage and usage.source != "estimated"), start=Usage())

    @usage.setter
    def usage(self, usage: Usage) -> None:
        self._usage = usage

    @property
    def state(self) -> State:
        """The current state: "running", "done", "failed", or "stopped" if the run ended first."""
        return self.step.state

    @property
    def error(self) -> str | None:
        """A description of the error with which the turn failed; None if it did not."""
        return self.step.error
