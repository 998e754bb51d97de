"""Requests of a run that wait for an answer from outside, such as permissions to run a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import MisuseError
from tokenstream.events import StepWaiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.steps._log import Log
    from tokenstream.steps._step import Step


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
