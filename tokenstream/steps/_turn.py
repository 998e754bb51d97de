"""Waits between an agent and its user: for the end of a turn, and for the answers to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.events import StepWaiting
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.steps._log import Log
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


class _StepRequest(NamedTuple):
    """A request of a step, and the function that sends its answer to the agent."""

    event: StepWaiting
    step: Step
    send: Callable[[Any], object] | None


class Requests:
    """The requests of a run, by their ids; each is answered once.

    Args:
        log: The run's log, to which the requests and their answers are added.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._requests: dict[str, _StepRequest] = {}
        self._used_ids: set[str] = set()
        """The ids of all requests, and those that were given out for one."""
        self._last_numbers: dict[str, int] = {}
        """Maps an id that several agents have used to the number of its last new id: 2 for "0-2"."""

    @property
    def open(self) -> tuple[StepWaiting, ...]:
        """The requests that still wait for an answer, the oldest first."""
        with self._log.lock:
            return tuple(each.event for each in self._requests.values() if _is_open(each))

    def add(self, step: Step, id: str, request: object, send: Callable[[Any], object] | None) -> StepWaiting:
        """Add a request and return its event; a request that comes again is left as it is.

        Args:
            step: The step that waits.
            id: The id of the request.
            send: Sends an answer to the agent; None if the run cannot do that.
        """
        with self._log.lock:
            known = self._requests.get(id)
            if known is not None:
                return known.event
            event = StepWaiting(id, request)
            self._used_ids.add(id)
            self._requests[id] = _StepRequest(event, step, send)
            self._log.add_event(event, step.id)
        self._log.wake_readers()
        return event

    def find_free_id(self, id: str) -> str:
        """Return the id that the request of an agent has in the run, with a suffix if the id is in use.

        Args:
            id: The id that the agent has given the request.
        """
        with self._log.lock:
            run_id, number = id, self._last_numbers.get(id, 1)
            while run_id in self._used_ids:
                number += 1
                run_id = f"{id}-{number}"
                self._last_numbers[id] = number
            self._used_ids.add(run_id)
        return run_id

    def answer(self, id: str, answer: object) -> None:
        """Send the answer to a request, and mark the request as answered.

        Raises:
            MisuseError: There is no such request, it was answered before, its step has ended, or
                nothing can send the answer.
        """
        with self._log.lock:
            request = self._requests.get(id)
            if request is None:
                raise MisuseError(f"no request {id!r} waits for an answer: use the id of a StepWaiting event")
            if request.event.answered:
                raise MisuseError(f"the request {id!r} was already answered: answer each request once")
            if request.step.ended is not None:
                raise MisuseError(f"the step {request.step.name!r} has ended, and with it the request {id!r}")
            if request.send is None:
                raise MisuseError(
                    f"the run cannot send the answer to the request {id!r}: follow a Peer, or pass send= to "
                    "Step.wait_for"
                )
            # Marked before the answer is sent: another thread may answer the same request meanwhile.
            request.event.answered = True
        try:
            request.send(answer)
        except BaseException:
            request.event.answered = False
            raise
        self._tell_answered(request)

    def note_answered(self, id: str) -> None:
        """Mark a request as answered by others; an unknown or answered one is left as it is."""
        with self._log.lock:
            request = self._requests.get(id)
            if request is None or request.event.answered:
                return
            request.event.answered = True
        self._tell_answered(request)

    def _tell_answered(self, request: _StepRequest) -> None:
        """Add an event to the log which says that a request was answered."""
        with self._log.lock:
            if request.step.ended is None:
                again = StepWaiting(request.event.id, request.event.request, answered=True)
                self._log.add_event(again, request.step.id)
        self._log.wake_readers()


def _is_open(request: _StepRequest) -> bool:
    """Return True if a request can still be answered."""
    return not request.event.answered and request.step.ended is None
