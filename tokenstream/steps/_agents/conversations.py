"""Base classes for the readers of agents that send several conversations at once, each with an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import ref

from tokenstream._basics.untrusted import dict_of
from tokenstream.steps._agents import AgentReader, TextAgentReader
from tokenstream.steps._turn import AgentSteer, Turn, take_refusal

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyFunction, Json, JsonObject
    from tokenstream._values.steer import Steer
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

ConversationT = TypeVar("ConversationT", bound="ConversationReader")


class Conversations(AgentReader, Generic[ConversationT]):
    """Reads several conversations, and hands each message to the reader of its conversation.

    The turns of a subagent's conversation are below the tool call that began the subagent.
    """

    steer_method: ClassVar[str] = ""
    """The request with input for the turn in progress; empty for agents that take none."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._conversations: dict[str, ConversationT] = {}
        self._starters: dict[str, Step] = {}
        """The steps of the tool calls that began subagents, by the ids of the subagents' conversations."""

    @property
    def has_open_turn(self) -> bool:
        """True while a turn of the run is in progress; the turns of subagents do not count."""
        return self.find_working() is not None

    def find_working(self) -> ConversationT | None:
        """Return the conversation with a turn in progress, other than a subagent's; None if there is none."""
        own = [each for id, each in self._conversations.items() if id not in self._starters]
        return next((each for each in own if each.has_open_turn), None)

    def _conversation_of(self, id: str, reader: type[ConversationT]) -> ConversationT:
        conversation = self._conversations.get(id)
        if conversation is None:
            conversation = self._conversations[id] = reader(self._run, id, self)
        conversation.leave_ended_turn()
        return conversation

    def is_of_subagent(self, id: str) -> bool:
        return id in self._starters

    def read_answer(self, method: str, answer: JsonObject) -> None:
        """Read the answer to a request of the program: to input for a turn, or to any other."""
        if method != self.steer_method:
            super().read_answer(method, answer)
            return
        steer = self.steering.find(answer.get("id"), answer)
        if steer is not None and not take_refusal(steer, answer):
            self._take_acceptance(steer, dict_of(answer, "result"))
        self.steering.settle()

    def _request_steer(self, steer: AgentSteer, params: JsonObject) -> Steer:
        """Send input for the turn in progress; return it."""
        early = self.steering.request(steer, self.steer_method, params)
        if early is not None:
            self.read_answer(self.steer_method, early)
        return steer

    def _take_acceptance(self, steer: AgentSteer, result: JsonObject) -> None:
        """Note what an answer without an error says of input."""
        steer.become("accepted")

    def end(self, exit_code: int | None) -> StreamError | None:
        self.steering.lose()
        errors = [each.end_open_turn(exit_code) for each in self._conversations.values()]
        return next((error for error in errors if error is not None), None) or super().end(exit_code)

    def stop(self, error: BaseException) -> None:
        for conversation in self._conversations.values():
            conversation.stop(error)

    def begin_turn(self, conversation: ConversationReader) -> Turn:
        """Return a new turn of a conversation; a subagent's is a sub-step, and not among the run's turns."""
        id, starter = conversation.id, self._starters.get(conversation.id)
        if starter is not None and starter.ended is None:
            return Turn(starter.step(self.name, agent=id), id)
        turn = Turn(self._run.step(self.name, agent=self.name), id)
        self._run.add_turn(turn)
        return turn

    def note_starter(self, id: Json, step: Step) -> None:
        """Note that a tool call has begun the subagent of a conversation."""
        if isinstance(id, str):
            self._starters.setdefault(id, step)


class ConversationReader(TextAgentReader):
    """Base class for the reader of one of several conversations.

    Args:
        run: The run that receives the steps.
        id: The conversation's id.
        owner: The reader of all conversations.
    """

    def __init__(self, run: Steps, id: str, owner: Conversations[Any]) -> None:
        super().__init__(run)
        self.id = id
        # Weak, since the owner keeps the readers of its conversations.
        self._find_owner: AnyFunction = ref(owner)

    @property
    def _owner(self) -> Any:  # noqa: ANN401 - the reader of all conversations, of the agent's own class
        """The reader of all conversations, which hands the messages to this one."""
        return self._find_owner()

    @property
    def turn(self) -> Turn | None:
        """The turn in progress; None between two turns."""
        return self._turn

    def leave_ended_turn(self) -> None:
        """Forget a subagent's turn that has ended with the turn around it: what still comes is in another."""
        if self._turn is not None and self._turn.step.ended is not None:
            self._turn = self._answer = None
            self._tools.clear()

    def _open_turn(self) -> Turn:
        turn: Turn = self._turn or self._owner.begin_turn(self)
        self._turn = turn
        return turn

    def _count_turn(self) -> None:
        """Count a turn that has ended, for the whole run unless it is a subagent's."""
        super()._count_turn()
        if not self._owner.is_of_subagent(self.id):
            self._owner.turns_ended += 1
