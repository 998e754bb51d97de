"""OpenAI's Responses API over a WebSocket, which xAI has, too.

Each question is a `response.create` with only the new items, and the id of the response before it. The
server remembers responses; one that it does not remember is replaced by the whole history, as a new chain.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, int_of, text_of, text_or_empty
from tokenstream._connection.head import LOWEST_ERROR_STATUS
from tokenstream.formats._wire.openai_responses import OpenAIResponses
from tokenstream.session._api import (
    LATE_ERROR,
    NOBODY,
    Addressee,
    FormatOfRounds,
    Payload,
    SessionAPI,
    ids_in,
    refuse_question,
)
from tokenstream.session._steering import SentSteer, take_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Format
    from tokenstream.formats._fast.path import Fast
    from tokenstream.limits import Limits
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._rounds import HasRounds, Question, Round


class ResponsesInTurn(OpenAIResponses):
    """The `openai-responses` format of an answer that consists of several responses.

    All responses form one message, with the last finish reason. The answer ends with the input.

    Example:
        >>> responses = ResponsesInTurn()
        >>> for id in ("resp_1", "resp_2"):
        ...     head = {"id": id, "object": "response", "output": []}
        ...     for word in ("created", "completed"):
        ...         event = {"type": f"response.{word}", "response": {**head, "status": word}}
        ...         events = responses.feed(event)
        >>> responses.finished, responses.ended
        (True, False)
    """

    ends_with_input: ClassVar[bool] = True
    sentinel: ClassVar[bytes | None] = None
    fast: ClassVar[Fast | None] = None

    def __init__(self, *, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self._is_between = False

    def read_checked(self, payload: JsonObject, event: str) -> None:
        """Read a payload; the one that creates a further response begins it."""
        if self._is_between and (text_of(payload, "type") or event) == "response.created":
            self._is_between = self._created = False
            response = dict_of(payload, "response")
            self.parts.begin_response(text_of(response, "id"), text_of(response, "model"))
            if self.fast_path is not None:
                # A delta of this response may look like one of the response before.
                self.fast_path.clear()
        super().read_checked(payload, event)

    def conclude(self) -> None:
        """End a response, but not the answer."""
        self._is_between = True
        self.parts.close_all(complete=True)

    def judge_end(self) -> None:
        """Set `error` if a response is open, or none came."""
        if self.error is None and not self.parts.finished:
            self.error = self.cut_short()

    @property
    def finished(self) -> bool:
        """True once the last response has ended, and waits for no results."""
        return super().finished and not self.parts.awaits_results

    @property
    def resting(self) -> bool:
        """True while tools are run."""
        return self._is_between


class SteeredResponses(ResponsesInTurn):
    """The `openai-responses` format of an answer that another response continues if it is steered."""

    fast: ClassVar[Fast | None] = OpenAIResponses.fast


_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_CREATED = "response.created"
_STEERED = "steered"
"""The reason of a response that ends early, since input was sent for it."""
_MAX_STEERS = 256
"""The number of inputs to remember on one connection; the server takes few at a time."""
_BEGINS = frozenset({_CREATED, "response.output_item.added"})
_CONTINUABLE = frozenset({"response.completed", "response.incomplete"})
# Quirk (aimock 1.43, 2026-11): it knows no request to stop an answer.
_UNKNOWN_REQUEST = "invalid_message_type"
_PARENT_LOST = "previous_response_not_found"
_CONNECTION_LIMIT = "websocket_connection_limit_reached"


class _Parent(NamedTuple):
    """The response that the next question continues."""

    id: str
    round: Round
    """The round of the response, which is the last one that the server knows."""
    connection: int


class ResponsesAPI(SessionAPI):
    """The state of a conversation with the Responses API."""

    format: ClassVar[str] = "openai-responses"
    turn_method: ClassVar[str] = "to_openai_responses"
    has_lanes: ClassVar[bool] = True

    def __init__(self, model: str | None, tools: list[Payload] | None, settings: Any) -> None:  # noqa: ANN401 - a mapping
        super().__init__(model, tools, settings)
        self._parents: dict[str, _Parent] = {}
        """The response that the next question continues, by lane."""
        self._pending: dict[str, list[SentSteer]] = {}
        """The input that waits for the results of tools, by the id of the response that has called them."""
        self._steers: deque[tuple[AskedExchange, SentSteer]] = deque(maxlen=_MAX_STEERS)
        """The input that was sent on this connection, with the exchange of the answer; the oldest first."""
        self._cancelled_lanes: set[str] = set()
        """The lanes of this connection in which the server was asked to stop an answer."""

    @override
    def greet(self, *, is_set_up: bool) -> list[Payload]:
        # A connection needs no setup.
        self._cancelled_lanes.clear()
        self._lose_pending()
        self._steers.clear()
        return super().greet(is_set_up=is_set_up)

    def _lose_pending(self) -> None:
        """Note that no response begins with the input that waits for the results of tools."""
        pending, self._pending = self._pending, {}
        for steer in chain.from_iterable(pending.values()):
            steer.lose(is_pending=True)

    def write_request(self, exchange: AskedExchange, rounds: Sequence[Round]) -> list[Payload]:
        return [_in_lane(exchange, {"type": "response.create", **self.write_payload(exchange, rounds)})]

    def write_payload(self, exchange: AskedExchange, rounds: Sequence[Round]) -> Payload:
        """Return the fields of a request, which are also those of a POST."""
        payload: Payload = {} if self.model is None else {"model": self.model}
        payload |= self.settings
        if self.tools:
            payload["tools"] = self.tools
        question = exchange.round.question
        parent = self._find_parent(exchange.round.lane, question)
        items = self.write_missing(rounds, None if parent is None else parent.round, question)
        if parent is not None:
            payload["previous_response_id"] = parent.id
        elif items:
            payload.pop("previous_response_id", None)
        turns = question.write_turns(self.turn_method)
        # Input that another attempt at the answer was steered with.
        for steer in exchange.round.steers:
            turns += steer.question.write_turns(self.turn_method)
        payload["input"] = [*items, *turns, *exchange.turns]
        return payload

    def _find_parent(self, lane: str, question: Question) -> _Parent | None:
        """Return the response that a question in a lane can continue; None if there is none."""
        parent = self._parents.get(lane)
        if parent is None:
            return None
        if not question.answers_all(parent.round.message):
            # The server would miss the results.
            return None
        # Without storage, the server remembers a response only as long as its connection lasts.
        is_stored = self.settings.get("store") is not False
        return parent if is_stored or parent.connection == self.connections else None

    def write_cancel(self, exchange: AskedExchange) -> list[Payload]:
        self._cancelled_lanes.add(exchange.round.lane)
        cancel: Payload = {"type": "response.cancel"}
        if exchange.answer_id:
            cancel["response_id"] = exchange.answer_id
        return [_in_lane(exchange, cancel)]

    def write_steer(self, exchange: AskedExchange, steer: SentSteer) -> list[Payload]:
        self._steers.append((exchange, steer))
        turns = steer.question.write_turns(self.turn_method)
        message: Payload = {"type": "response.steer", "previous_response_id": steer.target, "input": turns}
        return [_in_lane(exchange, message)]

    def waits_for(self, other: AskedExchange, exchange: AskedExchange) -> bool:
        """Return True for a cancelled answer in the same lane that has not begun.

        Without its id, the first message of the next answer could be one of the cancelled answer.
        """
        return other.dropped and other.answer_id is None and other.round.lane == exchange.round.lane

    def find_place(self, payload: Payload, open_exchanges: Sequence[AskedExchange]) -> Addressee:
        """Return the place of a message, by its ids; unknown ones are of the next response in its lane."""
        lane, kind = text_or_empty(payload, "stream_id"), text_or_empty(payload, "type")
        in_lane = [each for each in open_exchanges if each.round.lane == lane]
        if not lane and not in_lane and len(open_exchanges) == 1:
            # Quirk (agentic-api, 2026-11): the server does not repeat the lane.
            in_lane = list(open_exchanges)
        exchange = in_lane[0] if in_lane else None
        ids = ids_in(payload)
        owner = self.owners.find(ids)
        if kind.startswith("response.steer."):
            return self._place_steer(payload)
        is_error = kind == "error" or (not kind and "error" in payload)
        if is_error:
            # An error about a lane need not name it: the server answers in the order of the requests.
            waiting = () if lane else (each for each in open_exchanges if not each.begun)
            return self._place_error(payload, owner or exchange or next(iter(waiting), None))
        if owner is not None and owner.ended:
            if exchange is None or kind not in _BEGINS or (kind == _CREATED) != (exchange.answer_id is None):
                return NOBODY
            # Quirk (servers that replay one answer, 2026-11): each response has the ids of the one before.
            self.owners.take_over(ids, exchange)
            owner = exchange
        if owner is not None:
            exchange = owner
        elif kind == _CREATED and exchange is not None and exchange.held is not None:
            self._follow(exchange, payload)
        elif kind == _CREATED and exchange is not None and exchange.answer_id is not None:
            # The response before ended without an event that says so, for example with an error.
            exchange.end()
            exchange = in_lane[1] if len(in_lane) > 1 else None
        if exchange is None:
            # A message about the connection is kept for the next answer; one of an answer has come too late.
            return NOBODY if kind.startswith("response.") else Addressee()
        self.owners.note(ids, exchange)
        return self._take_in(payload, kind, exchange)

    def _take_in(self, payload: Payload, kind: str, exchange: AskedExchange) -> Addressee:
        """Return the place of a message of an exchange's answer, and note what it says about the response."""
        id = text_of(dict_of(payload, "response"), "id")
        if kind == _CREATED and exchange.answer_id is None and not exchange.turns:
            # An attempt that begins the answer again was asked with the input.
            for steer in exchange.round.steers:
                steer.apply(id)
        # Quirk (LiteLLM, 2026-10): the first event has another id than the last one, by which alone the
        # server knows the response.
        exchange.answer_id = id or exchange.answer_id
        if kind in _FINAL:
            return self._place_end(payload, kind, exchange)
        if kind == _CREATED:
            self._apply_pending(exchange, payload)
            if exchange.dropped:
                # The request to stop may have come before there was anything to stop.
                exchange.cancel_sent = True
                return Addressee(exchange, replies=self.write_cancel(exchange))
        return Addressee(exchange)

    def _place_end(self, payload: Payload, kind: str, exchange: AskedExchange) -> Addressee:
        """Return the place of the end of a response, which another one follows if it was steered."""
        details = dict_of(dict_of(payload, "response"), "incomplete_details")
        was_steered = text_of(details, "reason") == _STEERED
        # Without its successor, an answer that was steered is cut.
        exchange.completed = kind in _CONTINUABLE and not (was_steered and exchange.steers)
        if kind not in _CONTINUABLE:
            error = dict_of(dict_of(payload, "response"), "error")
            if self._forgets_parent(text_of(error, "code"), exchange):
                return refuse_question(exchange)
            # Only the cancelled end was asked for.
            self.may_be_late = self.may_be_late or kind != "response.cancelled"
        is_held = kind in _CONTINUABLE and not exchange.dropped and exchange.is_steered
        return Addressee(exchange, is_end=not is_held, is_held=is_held)

    def _place_steer(self, payload: Payload) -> Addressee:
        """Return the place of an event about input for a response, and note what it says."""
        exchange = self.owners.find([text_of(dict_of(payload, "steer"), "previous_response_id")])
        if exchange is None:
            return NOBODY
        steer = take_event(exchange.steers, payload)
        if steer is not None and steer.state == "pending":
            self._pending.setdefault(steer.target or "", []).append(steer)
        exchange.keep_applied()
        if exchange.ended:
            if steer is not None:
                # The answer has gone on without it.
                steer.lose()
            return NOBODY
        is_end = exchange.complete_held()
        return Addressee(exchange, is_end=is_end)

    @staticmethod
    def _follow(exchange: AskedExchange, payload: Payload) -> None:
        """Let an answer go on with the response that follows a steered one."""
        id = text_of(dict_of(payload, "response"), "id")
        for steer in exchange.steers:
            steer.follow(id)
        exchange.keep_applied()
        exchange.completed = False
        exchange.release_held()

    def _apply_pending(self, exchange: AskedExchange, payload: Payload) -> None:
        """Note that input which has waited for the results of tools is part of a response that begins."""
        response = dict_of(payload, "response")
        parent = text_of(response, "previous_response_id")
        for steer in self._pending.pop(parent or "", ()):
            steer.apply(text_of(response, "id"))
            exchange.round.steers.append(steer)

    def _place_error(self, payload: Payload, exchange: AskedExchange | None) -> Addressee:
        error = dict_of(payload, "error") or payload
        code = text_or_empty(error, "code")
        if code == _CONNECTION_LIMIT:
            self.must_rotate = True
            if exchange is None or exchange.begun:
                # An answer that has begun may still go on; the server then closes the connection.
                return NOBODY
            return refuse_question(exchange)
        if _is_about(error, "steer") and (place := self._place_refusal(payload)):
            return place
        lane = text_or_empty(payload, "stream_id")
        if lane in self._cancelled_lanes and _is_about(error, "cancel"):
            # The answer was over when the request to stop it arrived.
            return NOBODY
        if exchange is not None and self._forgets_parent(code, exchange):
            return refuse_question(exchange)
        self.may_be_late = True
        if exchange is None or exchange.ended:
            return LATE_ERROR
        status = int_of(payload, "status") or int_of(error, "status") or 0
        if status >= LOWEST_ERROR_STATUS or code:
            # The server forgets the parent of a request that has failed.
            self._parents.pop(exchange.round.lane, None)
        return Addressee(exchange, is_end=True)

    def _forgets_parent(self, code: str | None, exchange: AskedExchange) -> bool:
        """Forget a response that the server does not know; the history, as a new chain, needs no parent."""
        is_lost = code == _PARENT_LOST and not exchange.begun
        return is_lost and self._parents.pop(exchange.round.lane, None) is not None

    def _place_refusal(self, payload: Payload) -> Addressee | None:
        """Return the place of an error about input, which has refused it; None if no input can be meant.

        The server answers in the order of the messages, and need not name the lane.
        """
        lane = text_of(payload, "stream_id")
        unanswered = [
            (exchange, steer)
            for exchange, steer in self._steers
            if (lane is None or lane == exchange.round.lane) and not steer.is_answered
        ]
        if not unanswered:
            return None
        # Input whose answer is over waits for nothing.
        sent = [(exchange, steer) for exchange, steer in unanswered if steer.state == "sent"]
        for exchange, steer in (sent or unanswered)[:1]:
            steer.refuse(payload)
            if exchange.complete_held():
                exchange.end()
        return NOBODY

    def make_format(self, asked: HasRounds) -> Format:
        """Return the format that reads an answer, of several responses if tools are run or it is steered."""
        return (_ResponsesOfRounds() if asked.runs_tools else _ResponsesOfSteering()).of_rounds(asked)

    def settle(self, exchange: AskedExchange) -> None:
        if exchange.completed and exchange.answer_id and not exchange.turns:
            parent = _Parent(exchange.answer_id, exchange.round, self.connections)
            self._parents[exchange.round.lane] = parent


class _ResponsesOfRounds(FormatOfRounds, ResponsesInTurn):
    """The format of an answer of several responses."""

    @override
    def conclude(self) -> None:
        super().conclude()
        # Nothing follows the answer to a POST, whose connection may stay open.
        self.ended = self.asked is not None and self.asked.is_post


class _ResponsesOfSteering(_ResponsesOfRounds, SteeredResponses):
    """The format of an answer of one response, and of those that follow if it is steered."""


def _in_lane(exchange: AskedExchange, message: Payload) -> Payload:
    """Return a message about an answer with the name of its lane, if it is not the default one."""
    lane = exchange.round.lane
    return {**message, "stream_id": lane} if lane else message


def _is_about(error: Payload, request: str) -> bool:
    """Return True for an error of a request, such as "cancel", which may come late or be unknown there."""
    words = [text_or_empty(error, name).lower() for name in ("code", "message", "param")]
    return words[0] == _UNKNOWN_REQUEST or any(request in each for each in words)
