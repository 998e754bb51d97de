"""The interface of the APIs that answer over a WebSocket: messages to send, facts received, whose each is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.errors import MisuseError
from tokenstream.formats._base import Format
from tokenstream.formats._kit.sessions import SessionParts
from tokenstream.session._rounds import HasRounds, Question, Round, rounds_after, write_history

if TYPE_CHECKING:
    from tokenstream.limits import Limits
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._steering import SentSteer

_LATE_CODE = "response_already_completed"
"""The code with which the server refuses input for a response that has ended."""
_BETWEEN_CODE = "no_response_in_progress"
"""The code for input that comes before a response, or between two responses of an answer."""
_MAX_IDS = 4_096
"""Number of ids to remember; an answer has one id, and one for each of its items."""


class Owners:
    """Remembers the exchange of each response, item and call on a connection, by its id.

    A late message of an answer that has ended names such an id, so that it is not taken for one of the next
    answer. The oldest ids are forgotten.
    """

    def __init__(self) -> None:
        self._owners: dict[str, AskedExchange] = {}

    def note(self, ids: Iterable[str | None], exchange: AskedExchange) -> None:
        """Note that ids belong to an exchange, unless they belong to another one already."""
        for id in ids:
            if id and id not in self._owners:
                self._owners[id] = exchange
        while len(self._owners) > _MAX_IDS:
            del self._owners[next(iter(self._owners))]

    def take_over(self, ids: Iterable[str | None], exchange: AskedExchange) -> None:
        """Note that ids belong to an exchange from here on: the server numbers each answer anew."""
        for id in ids:
            self._owners.pop(id or "", None)
        self.note(ids, exchange)

    def find(self, ids: Iterable[str | None]) -> AskedExchange | None:
        """Return the exchange to which the first known id belongs; None if none is known."""
        return next((self._owners[id] for id in ids if id in self._owners), None)

    def clear(self) -> None:
        """Forget all ids, since nothing late can come over another connection, whose ids may begin anew."""
        self._owners.clear()


Payload = dict[str, Any]


class Addressee(NamedTuple):
    """The place of a received message: the exchange whose answer it belongs to, and what follows from it."""

    exchange: AskedExchange | None = None
    """The exchange that gets the message; None to keep it for the next one."""
    is_end: bool = False
    """True if no more messages of the answer will come."""
    is_held: bool = False
    """True if the message ends a response that another one of the same answer may follow."""
    is_discarded: bool = False
    """True if nobody gets the message."""
    is_late_error: bool = False
    """True for an error of no open answer, which the log tells."""
    begins: bool = True
    """True if the message shows that the server has taken the question; False if it is about the session."""
    replies: Sequence[Payload] = ()
    """Messages to send at once."""
    ending: Payload | None = None
    """A message that ends the answer, since the server sends none where the application has to reply."""


NOBODY = Addressee(is_discarded=True)
LATE_ERROR = Addressee(is_discarded=True, is_late_error=True)
"""The place of an error between two answers, which never meets the next question."""


def place_aside(open_exchanges: Sequence[AskedExchange]) -> Addressee:
    """Return the place of what the user has said: the answer that is read, or else the next one."""
    return Addressee(next((each for each in open_exchanges if not each.dropped), None), begins=False)


def refuse_question(exchange: AskedExchange) -> Addressee:
    """Return the place of a refused question, which is asked again if somebody still reads its answer."""
    if exchange.dropped:
        return Addressee(exchange, is_end=True)
    exchange.ask_again()
    return NOBODY


class SessionAPI(ABC):
    """One API, and the state of the conversation at its server.

    Args:
        model: The model's name; None if the URL names it.
        tools: The list of tools in the form of the API; None without tools.
        settings: Further fields of the request, or of the session's setup.
    """

    format: ClassVar[str]
    """The name of the format of the API's answers."""
    turn_method: ClassVar[str]
    """The name of the method of `Message` that makes turns for the API's requests."""
    has_lanes: ClassVar[bool] = False
    """True if several answers may be in flight, each in a lane of its own."""
    keeps_attempts: ClassVar[bool] = False
    """True if an answer also builds on attempts at it that were given up on the same connection."""

    def __init__(self, model: str | None, tools: list[Payload] | None, settings: Mapping[str, Any]) -> None:
        self.model = model
        self.tools = tools
        self.settings = dict(settings)
        self.must_rotate = False
        """True once the server has announced that it will close the connection."""
        self.may_be_late = False
        """True once an answer has failed: what the server sends of it later may have no id, and must not be
        taken for the next answer, which needs another connection."""
        self.is_ready = True
        """False while the server prepares a new connection, and takes no questions."""
        self.connections = 0
        self.owners = Owners()
        """The exchanges of the responses, items and calls on this connection."""
        self.resent = 0
        """Number of times that the whole history was sent."""

    @classmethod
    def write_tools(cls, tools: Any) -> list[Payload]:  # noqa: ANN401 - a `Tools`, which is above
        """Return the API's list of tools, which the method of the same name as that for turns makes."""
        written: list[Payload] = getattr(tools, cls.turn_method)()
        return written

    def greet(self, *, is_set_up: bool) -> list[Payload]:
        """Return the first messages on a new connection; a session set up by an SDK may have no options."""
        self.connections += 1
        self.owners.clear()
        self.must_rotate = self.may_be_late = False
        return []

    def forget_handle(self) -> bool:
        """Forget the handle with which the session was to be resumed; return True if there was one."""
        return False

    @abstractmethod
    def write_request(self, exchange: AskedExchange, rounds: Sequence[Round]) -> list[Payload]:
        """Return the messages that ask a question, after the rounds before it."""

    def write_cancel(self, exchange: AskedExchange) -> list[Payload]:
        """Return the messages that ask the server to stop an answer; none if the API has no such message."""
        return []

    def write_steer(self, exchange: AskedExchange, steer: SentSteer) -> list[Payload]:
        """Return the messages that steer an answer in progress."""
        raise MisuseError(f"{self.format} cannot steer an answer: interrupt() it, and ask anew")

    def refuse_steer(self, exchange: AskedExchange) -> Payload | None:
        """Return the error with which input is refused; None if it can be sent."""
        asked = exchange.round.asked
        goes_on = exchange.again or not exchange.ended or (asked is not None and asked.has_rounds)
        if exchange.is_post:
            return {"code": _BETWEEN_CODE, "message": "an answer to a POST cannot be steered"}
        if exchange.dropped or not goes_on:
            return {"code": _LATE_CODE, "message": "the response had ended before it was steered"}
        if exchange.ended or exchange.answer_id is None:
            return {
                "code": _BETWEEN_CODE,
                "message": "no response is in progress: tools are run, or the next one has not begun",
            }
        return None

    def waits_for(self, other: AskedExchange, exchange: AskedExchange) -> bool:
        """Return True if a request can only be written after further messages of another open answer."""
        return False

    def write_truncation(self, exchanges: Sequence[AskedExchange], played_ms: float) -> list[Payload]:
        """Return the messages that shorten an answer, of several exchanges if tools ran, to the audio played.

        By default, there are none. The audio is in milliseconds.
        """
        return []

    @abstractmethod
    def find_place(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of a received message, and learn what it says about the connection.

        The exchanges are in the order of their requests.
        """

    def write_missing(
        self, rounds: Sequence[Round], last_known: Round | None, question: Question
    ) -> list[Payload]:
        """Return the turns of the rounds after the last one that the server knows, before a question."""
        turns = write_history(rounds_after(rounds, last_known), self.turn_method, question)
        self.resent += bool(turns and last_known is None)
        return turns

    def settle(self, exchange: AskedExchange) -> None:  # noqa: B027 - nothing, by default
        """Note that an answer was read to its end, so that the next question can build on it."""

    @abstractmethod
    def make_format(self, asked: HasRounds) -> Format:
        """Return the format that reads an answer."""


class FormatOfRounds(Format[SessionParts]):
    """Mixin of formats of an answer that ends with its last round, which only the question knows."""

    asked: HasRounds | None = None
    """The question; None for a single answer."""

    def of_rounds(self, asked: HasRounds | None) -> Self:
        """Return this format, which is not finished as long as a question goes on."""
        self.asked = asked
        return self

    @override
    def fresh(self, *, limits: Limits) -> Any:
        format: Any = super().fresh(limits=limits)
        return format.of_rounds(self.asked)

    @property
    @override
    def finished(self) -> bool:
        return super().finished and not (self.goes_on or self.parts.awaits_results)

    @property
    @override
    def goes_on(self) -> bool:
        return self.asked is not None and self.asked.goes_on


def ids_in(payload: Payload) -> list[str | None]:
    """Return the ids of the response and of the item that a message of OpenAI's APIs names, in this order."""
    return [
        text_of(dict_of(payload, "response"), "id") or text_of(payload, "response_id"),
        text_of(payload, "item_id") or text_of(dict_of(payload, "item"), "id"),
    ]


def check_settings(settings: object) -> Mapping[str, Any]:
    """Return the caller's settings, and refuse anything but a mapping."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise MisuseError(f"settings= is a dict with fields of the API's request, and not {settings!r:.80}")
    return settings  # pyright: ignore[reportUnknownVariableType]
