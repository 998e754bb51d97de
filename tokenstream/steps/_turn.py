"""Turns of an agent, with what passes between it and its user: requests, and input while it works."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.untrusted import dict_of, int_of, text_of
from tokenstream._values.steer import Steer, SteerState
from tokenstream.errors import MisuseError, ProviderError
from tokenstream.events import StepWaiting
from tokenstream.steps._log import FreeIds, Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import Usage
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._step import Step, StepState

_MAX_EARLY = 64
"""The maximum number of answers that are kept because their requests are not known yet."""


class Turn:
    """One turn of an agent that `Steps.follow` reads, up to the agent's verdict.

    Its answers and tools are in its step. A turn that ended without a verdict has failed, and
    its error says so.

    Example:
        >>> from tokenstream import Steps
        >>> lines = [
        ...     '{"type": "thread.started", "thread_id": "t"}',
        ...     '{"type": "turn.started"}',
        ...     '{"type": "item.completed", "item": {"type": "agent_message", "text": "Done"}}',
        ...     '{"type": "turn.completed", "usage": {"input_tokens": 9, "output_tokens": 2}}',
        ... ]
        >>> with Steps() as run:
        ...     for line in run.follow(lines):
        ...         pass
        >>> [(turn.state, turn.result, turn.usage.output_tokens) for turn in run.turns]
        [('done', 'Done', 2)]
    """

    def __init__(self, step: Step, session: str | None) -> None:
        self.step = step
        """The step with the answers and the tools of this turn."""
        self.session = session
        """The id of the agent's session, with which the agent can go on later; None if it has sent none."""
        self.result: Any = None
        """The agent's result: its last text, or the value that it gives; None before the end."""
        self.cost: float | None = None
        """The cost of this turn in US dollars, as the agent counts it; None if it has not."""

    def note_session(self, session: str | None) -> None:
        """Note the id of the agent's session, if it is known."""
        self.session = session or self.session

    def __repr__(self) -> str:
        return f"<Turn {self.step.name}: {self.state}>"

    @property
    def usage(self) -> Usage:
        """The tokens of this turn, as the agent counts them; false if it has not.

        It is the sum of its answers unless the agent counts the turn as a whole.
        """
        return self.step.total_usage

    @property
    def state(self) -> StepState:
        """The current state: "running", "done", "failed", or "stopped" if the run ended first.

        "waiting": the agent has stopped to ask a person, see `Steps.waiting`.
        """
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

    A request is open until one of these happens:

    1. It is answered, by `answer` or by others.
    2. The agent had stopped to ask (`hold`), and the next run of the same agent begins (`resumed_by`).
    3. Its step ends, unless it is held; or a held one fails.

    Args:
        log: The run's log, to which the requests and their answers are added.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._requests: dict[str, _StepRequest] = {}
        self._free_ids = FreeIds()
        """The ids of all requests, and those that were given out for one."""
        self._held: dict[str, list[str]] = {}
        """The ids of the requests with which agents have stopped, by the names of what goes on later."""
        self.unsettled: dict[str, Step] = {}
        """The steps of calls that have waited and have no result yet, by the ids of the calls."""

    @property
    def open(self) -> tuple[StepWaiting, ...]:
        """The requests that still wait for an answer, the oldest first."""
        with self._log.lock:
            return tuple(each.event for each in self._requests.values() if _is_open(each))

    def add(self, step: Step, id: str, request: object, send: Callable[[Any], object] | None) -> StepWaiting:
        """Add a request and return its event; a request that comes again is left as it is.

        An id is that of one agent: where another one asks under it, its request has another id in the run.
        """
        with self._log.lock:
            known = self._requests.get(id)
            if known is not None and _is_open(known) and _top_of(known.step) is not _top_of(step):
                id, known = self._free_ids.find(id), None
            if known is not None and not (known.event.answered and known.step.has_stopped_to_ask):
                return known.event
            event = StepWaiting(id, request)
            self._free_ids.used.add(id)
            self._requests[id] = _StepRequest(event, step, send)
            self._log.add_event(event, step.id)
        self._log.wake_readers()
        return event

    def find_free_id(self, id: str) -> str:
        """Return the id that the request of an agent has in the run, with a suffix if the id is in use."""
        with self._log.lock:
            return self._free_ids.find(id)

    def hold(self, step: Step, name: str, *news: StepWaiting) -> None:
        """Let a step wait until the requests in it are answered, for example by the next run of a name.

        Args:
            step: The step.
            name: The name.
            news: The requests, if those before them are held already.
        """
        with self._log.lock:
            events = news or step.open_requests
            asked = [each for event in events if _is_open(each := self._requests[event.id])]
            for held in {step, *[each.step for each in asked]}:
                held.hold([each.event for each in asked])
            self._held.setdefault(name, []).extend(each.event.id for each in asked)

    def settle(self, id: str, result: object, error: BaseException | None) -> None:
        """Give the result of a call to its step, if that has waited and has ended before the result came."""
        step = self.unsettled.pop(id, None)
        if step is not None:
            step.settle(result, error)

    def resumed_by(self, name: str) -> None:
        """Note that a run goes on: it has got, or has cancelled, what it had stopped for."""
        for id in self._held.pop(name, ()):
            self.note_answered(id)

    def answer(self, id: str, answer: object) -> None:
        """Send the answer to a request, and mark the request as answered."""
        with self._log.lock:
            request = self._requests.get(id)
            if request is None:
                raise MisuseError(f"no request {id!r} waits for an answer: use the id of a StepWaiting event")
            if request.event.answered:
                raise MisuseError(f"the request {id!r} was already answered: answer each request once")
            if not _is_open(request):
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
        with self._log.lock:
            step = request.step
            if step.ended is None or (step.has_stopped_to_ask and not self._log.has_ended):
                again = StepWaiting(request.event.id, request.event.request, answered=True)
                self._log.add_event(again, request.step.id)
        self._log.wake_readers()


def _top_of(step: Step) -> Step:
    """Return the step that contains a step and is in none itself, such as that of a turn."""
    while step.parent is not None:
        step = step.parent
    return step


def _is_open(request: _StepRequest) -> bool:
    return not request.event.answered and (request.step.ended is None or request.step.state == "waiting")


class AgentSteer(Steer):
    """A `Steer` of an agent's turn; the turn's step reports each change as a `StepUpdate`.

    Args:
        text: The input.
        turn: The turn in progress; None if there is none.
        turn_id: The id that the agent has given to the turn; None if it has none.
    """

    def __init__(self, text: str, turn: Turn | None, turn_id: str | None = None) -> None:
        super().__init__(turn_id)
        self.text = text
        self._turn = turn

    def become(self, state: SteerState, error: ProviderError | None = None) -> None:
        """Note what has become of the input, unless that was known; tell the readers of the run's events."""
        if self.state in ("applied", "refused", "lost") or self.state == state:
            return
        self.state, self.error = state, error
        if self._turn is not None and self._turn.step.ended is None:
            self._turn.step.update({"type": "steer", "state": state, "text": self.text})

    def refuse(self, message: str, code: str | None = None) -> None:
        self.become("refused", ProviderError(message, code=code))


class Steering:
    """Input for an agent at work, until the agent has reported what becomes of it."""

    def __init__(self) -> None:
        self.ask: Callable[[str, JsonObject], int] | None = None
        """Sends a request of JSON-RPC, and returns its id; None if the agent is only read."""
        self.write: Callable[[JsonObject], object] | None = None
        """Writes a line to the agent's standard input; None if the agent is only read."""
        self._waiting: dict[str, AgentSteer] = {}
        """The input, by the ids of the requests or lines."""
        self._early: dict[str, JsonObject] = {}
        """Answers that another thread has read before their requests were known here."""
        self._lock = threading.Lock()

    @property
    def waiting(self) -> list[AgentSteer]:
        """The input whose outcome the agent has not reported, in the order in which it was sent."""
        return [*self._waiting.values()]

    def request(self, steer: AgentSteer, method: str, params: JsonObject) -> JsonObject | None:
        """Send input as a request; return the answer to it if another thread has read that meanwhile."""
        if self.ask is None:
            raise MisuseError("this agent is only read: follow a Peer or an AsyncPeer to steer it")
        id = str(self.ask(method, params))
        with self._lock:
            self._waiting[id] = steer
            return self._early.pop(id, None)

    def send(self, steer: AgentSteer, id: str, line: JsonObject) -> None:
        """Write input as a line."""
        if self.write is None:
            raise MisuseError(
                "this agent is only read: pass its standard input, as in "
                "run.follow(process.stdout, stdin=process.stdin), to steer it"
            )
        steer.id, self._waiting[id] = id, steer
        try:
            self.write(line)
        except BaseException:
            steer.become("lost")
            self.settle()
            raise

    def find(self, id: object, answer: JsonObject | None = None) -> AgentSteer | None:
        """Return the input of an id, or None; an `answer` is kept for an input that is not known yet."""
        with self._lock:
            steer = self._waiting.get(str(id))
            if steer is None and answer is not None and len(self._early) < _MAX_EARLY:
                self._early[str(id)] = answer
        return steer

    def settle(self) -> None:
        """Forget the input of which nothing more will be reported."""
        with self._lock:
            self._waiting = {id: each for id, each in self._waiting.items() if not each.is_settled}

    def lose(self, turn_id: str | None = None) -> None:
        """Note that the agent will say no more."""
        for steer in self.waiting:
            if turn_id in (None, steer.target):
                steer.become("lost")
        self.settle()

    def close(self) -> None:
        """Note that the run has ended."""
        self.lose()
        self.ask = self.write = None


def steer_agent(reader: AgentReader | None, text: object, *, is_over: bool) -> Steer:
    if not isinstance(text, str) or not text:
        raise MisuseError(f"run.steer() takes the words to say, not {text!r:.80}")
    if is_over:
        return refuse_idle(text)
    if reader is None:
        raise MisuseError("there is no agent to steer: call run.follow(…), and read from it first")
    return reader.steer(text)


def refuse_idle(text: str) -> AgentSteer:
    steer = AgentSteer(text, None)
    steer.refuse("the agent has no turn in progress: begin one with the input", "no_turn_in_progress")
    return steer


def take_refusal(steer: AgentSteer, answer: JsonObject) -> bool:
    """Note the error in an answer to a request; return False if it has none."""
    if answer.get("error") is None:
        return False
    error = dict_of(answer, "error")
    code = int_of(error, "code")
    message = text_of(error, "message") or "the agent gives no reason"
    steer.refuse(message, None if code is None else str(code))
    return True
