"""Input for an agent while it works: what was sent, and what the agent says of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, int_of, text_of
from tokenstream._steer import Steer
from tokenstream.errors import MisuseError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream._steer import SteerState
    from tokenstream.steps._agents.reader import AgentReader
    from tokenstream.steps._turn import Turn

_IDLE_CODE = "no_turn_in_progress"
"""The code of the refusal of input that comes while the agent does nothing."""
_MAX_EARLY = 64
"""The maximum number of answers that are kept because their requests are not known yet."""


class AgentSteer(Steer):
    """A `Steer` of an agent's turn; the turn's step reports each change as a `StepUpdate`.

    Args:
        text: The input.
        turn: The turn in progress; None if there is none.
        turn_id: The id that the agent has given to the turn; None if it has none.
    """

    __slots__ = ("_turn", "text")

    def __init__(self, text: str, turn: Turn | None, turn_id: str | None = None) -> None:
        super().__init__(turn_id)
        self.text = text
        """The input."""
        self._turn = turn

    def become(self, state: SteerState, error: ProviderError | None = None) -> None:
        """Note what has become of the input, unless that was known; tell the readers of the run's events."""
        if self.state in ("applied", "refused", "lost") or self.state == state:
            return
        self.state, self.error = state, error
        if self._turn is not None and self._turn.step.ended is None:
            self._turn.step.update({"type": "steer", "state": state, "text": self.text})

    def refuse(self, message: str, code: str | None = None) -> None:
        """Note that the agent does not use the input.

        Args:
            message: Why.
            code: The agent's code for the reason; None if it has none.
        """
        self.become("refused", ProviderError(message, code=code))


class Steering:
    """Input for an agent at work, until the agent has said what becomes of it."""

    __slots__ = ("_early", "_lock", "_waiting", "ask", "write")

    def __init__(self) -> None:
        self.ask: Callable[[str, dict[str, Json]], int] | None = None
        """Sends a request of JSON-RPC, and returns its id; None if the agent is only read."""
        self.write: Callable[[dict[str, Json]], object] | None = None
        """Writes a line to the agent's standard input; None if the agent is only read."""
        self._waiting: dict[str, AgentSteer] = {}
        """The input, by the ids of the requests or lines."""
        self._early: dict[str, dict[str, Json]] = {}
        """Answers that another thread has read before their requests were known here."""
        self._lock = threading.Lock()

    @property
    def waiting(self) -> list[AgentSteer]:
        """The input of which the agent has not said what becomes of it, in the order in which it was sent."""
        return [*self._waiting.values()]

    def request(self, steer: AgentSteer, method: str, params: dict[str, Json]) -> dict[str, Json] | None:
        """Send input as a request; return the answer to it if another thread has read that meanwhile.

        Raises:
            MisuseError: The agent is only read.
            StreamInterrupted: The agent no longer reads.
        """
        if self.ask is None:
            raise MisuseError("this agent is only read: follow a Peer or an AsyncPeer to steer it")
        id = str(self.ask(method, params))
        with self._lock:
            self._waiting[id] = steer
            return self._early.pop(id, None)

    def send(self, steer: AgentSteer, id: str, line: dict[str, Json]) -> None:
        """Write input as a line.

        Args:
            steer: The input.
            id: The id of the line.
            line: The line.

        Raises:
            MisuseError: The agent is only read.
            StreamInterrupted: The agent no longer reads.
        """
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

    def find(self, id: object, answer: dict[str, Json] | None = None) -> AgentSteer | None:
        """Return the input with an id, of which the agent has spoken; None if there is none.

        Args:
            id: The id of the request or line.
            answer: The agent's answer, which is kept if the input is not known yet.
        """
        with self._lock:
            steer = self._waiting.get(str(id))
            if steer is None and answer is not None and len(self._early) < _MAX_EARLY:
                self._early[str(id)] = answer
        return steer

    def settle(self) -> None:
        """Forget the input of which nothing more will be said."""
        with self._lock:
            self._waiting = {id: each for id, each in self._waiting.items() if not each.is_settled}

    def lose(self, turn_id: str | None = None) -> None:
        """Note that the agent will say no more.

        Args:
            turn_id: The turn that has ended; None for all.
        """
        for steer in self.waiting:
            if turn_id in (None, steer.target):
                steer.become("lost")
        self.settle()

    def close(self) -> None:
        """Note that the run has ended."""
        self.lose()
        self.ask = self.write = None


def steer_agent(reader: AgentReader | None, text: object, *, is_over: bool) -> Steer:
    """Say something to the agent that a run follows.

    Args:
        reader: Reads the agent's events; None if there is none.
        text: The words.
        is_over: True if the run has ended.

    Raises:
        MisuseError: No agent is followed, it takes no input while it works, or it is only read.
        StreamInterrupted: The agent no longer reads.
    """
    if not isinstance(text, str) or not text:
        raise MisuseError(f"run.steer() takes the words to say, not {text!r:.80}")
    if is_over:
        return refuse_idle(text)
    if reader is None:
        raise MisuseError("there is no agent to steer: call run.follow(…), and read from it first")
    return reader.steer(text)


def refuse_idle(text: str) -> AgentSteer:
    """Return input that is refused because the agent has no turn in progress."""
    steer = AgentSteer(text, None)
    steer.refuse("the agent has no turn in progress: begin one with the input", _IDLE_CODE)
    return steer


def take_refusal(steer: AgentSteer, answer: dict[str, Json]) -> bool:
    """Note the error in an answer to a request; return False if it has none."""
    if answer.get("error") is None:
        return False
    error = dict_of(answer, "error")
    code = int_of(error, "code")
    message = text_of(error, "message") or "the agent gives no reason"
    steer.refuse(message, None if code is None else str(code))
    return True
