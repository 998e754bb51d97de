"""Input for an answer in progress, and what the server says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, text_of, text_or_empty
from tokenstream._values.steer import Steer
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.errors import provider_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.session._conversation import SessionConversation
    from tokenstream.session._lines import Flow
    from tokenstream.session._rounds import Question


class SentSteer(Steer):
    """A `Steer`, and what only the session does with it."""

    def __init__(self, question: Question, target: str | None) -> None:
        super().__init__(target)
        self.question = question
        self._successor: str | None = None
        """The id of the response that has followed the steered one; None before."""

    @property
    def is_answered(self) -> bool:
        """True once the server has reported anything about the input."""
        return self.id is not None or self.error is not None

    def take(self, payload: JsonObject) -> None:
        """Note what an event of the server says about the input."""
        self.id = text_of(dict_of(payload, "steer"), "id") or self.id
        word = text_or_empty(payload, "type").rpartition(".")[2]
        if word == "failed":
            self.refuse(payload)
        elif word in ("accepted", "pending") and self.state != "applied":
            self.state = "accepted" if word == "accepted" else "pending"
            if word == "accepted" and self._successor is not None:
                # The response that has begun with the input came first.
                self.apply(self._successor)

    def follow(self, response_id: str | None) -> None:
        """Note that another response follows the steered one, with the input if it was accepted."""
        if self.state == "accepted":
            self.apply(response_id)
        elif self.state == "sent":
            self._successor = response_id

    def apply(self, response_id: str | None) -> None:
        self.state, self.response_id = "applied", response_id

    def refuse(self, payload: JsonObject) -> None:
        """Note that the input is not used, and the error that says why."""
        self.state = "refused"
        self.error = provider_error({"error": dict_of(payload, "error") or payload})

    def lose(self, *, is_pending: bool = False) -> None:
        """Note that no more will be reported about the input, which may be pending without a response."""
        if not self.is_settled or (is_pending and self.state == "pending"):
            self.state = "lost"


def steer_answer(conversation: SessionConversation, question: Question, lane: str) -> Flow[Steer]:
    """Send input for the answer in progress in a lane; return what tells what becomes of it."""
    exchange = conversation.latest.get(lane)
    if exchange is None:
        raise MisuseError("there is no answer to steer: ask a question first")
    steer = SentSteer(question, exchange.answer_id)
    api = conversation.known_api
    payloads = api.write_steer(exchange, steer)
    refusal = api.refuse_steer(exchange)
    if refusal is not None:
        steer.refuse(refusal)
        return steer
    exchange.steers.append(steer)
    try:
        yield from conversation.send_quietly(payloads)
    except BaseException:
        # Nobody knows whether the server has it, so the answer must not wait for what it says.
        steer.lose()
        if exchange.complete_held():
            exchange.end()
        raise
    return steer


def take_event(steers: Iterable[SentSteer], payload: JsonObject) -> SentSteer | None:
    """Note what an event says about one of several inputs; return that input, None for an unknown one."""
    details = dict_of(payload, "steer")
    target, id = text_of(details, "previous_response_id"), text_of(details, "id")
    of_target = [steer for steer in steers if steer.target == target]
    known = [steer for steer in of_target if id is not None and steer.id == id]
    # The server answers in the order of the messages.
    unanswered = [steer for steer in of_target if not steer.is_answered]
    steer = next(iter(known or unanswered), None)
    if steer is not None:
        steer.take(payload)
    return steer
