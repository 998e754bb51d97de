"""Input for an answer in progress, and what the server says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.errors import MisuseError, ProviderError
from tokenstream.formats._kit.errors import provider_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.session._conversation import SessionConversation
    from tokenstream.session._rounds import Question
    from tokenstream.session._steps import Steps

SteerState: TypeAlias = Literal["sent", "accepted", "pending", "applied", "refused", "lost"]

_LATE_CODE = "response_already_completed"
"""The code with which the server refuses input for a response that has ended."""


class Steer:
    """Input that was sent with `session.steer` for an answer in progress.

    Its `state` changes while the answer is read, as the server tells what has become of the input.

    Args:
        question: The input.
        target: The id of the response that it steers.

    Example:
        >>> from tokenstream.session._rounds import Question
        >>> steer = Steer(Question("Be brief."), "resp_1")
        >>> steer.take({"type": "response.steer.accepted", "steer": {"id": "steer_1"}})
        >>> steer.state, steer.is_settled
        ('accepted', False)
    """

    __slots__ = ("_question", "error", "id", "response_id", "state", "target")

    def __init__(self, question: Question, target: str) -> None:
        self._question = question
        self.target = target
        """The id of the response that it steers."""
        self.state: SteerState = "sent"
        """The state: "sent"; "accepted" by the server; "pending" until the results of tools are sent, with
        which it is applied; "applied"; "refused", see `error`; "lost" if the connection ended first, so that
        nobody knows.
        """
        self.id: str | None = None
        """The id that the server has given to the input; None before it is accepted."""
        self.response_id: str | None = None
        """The id of the response from whose beginning on the input is applied; None before."""
        self.error: ProviderError | None = None
        """The server's reason to refuse the input; None if it has not."""

    @property
    def is_settled(self) -> bool:
        """True once the answer need not wait for the server to say more about the input."""
        return self.state not in ("sent", "accepted")

    def write_turns(self, method: str) -> list[dict[str, Any]]:
        """Return the turns of the input in the form of one API.

        Args:
            method: The name of the method of `Message` that makes turns in that form.
        """
        return self._question.write_turns(method)

    def take(self, payload: dict[str, Any]) -> None:
        """Note what an event of the server says about the input."""
        self.id = text_of(dict_of(payload, "steer"), "id") or self.id
        word = (text_of(payload, "type") or "").rpartition(".")[2]
        if word == "failed":
            self.refuse(payload)
        elif word in ("accepted", "pending") and self.state != "applied":
            self.state = "accepted" if word == "accepted" else "pending"

    def apply(self, response_id: str | None) -> None:
        """Note that a response has begun with the input."""
        self.state, self.response_id = "applied", response_id

    def refuse(self, payload: dict[str, Any]) -> None:
        """Note that the server does not use the input, and its error."""
        self.state = "refused"
        self.error = provider_error({"error": dict_of(payload, "error") or payload})

    def lose(self) -> None:
        """Note that nothing more will be said about the input."""
        if not self.is_settled:
            self.state = "lost"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.target}, {self.state}>"


def steer_answer(conversation: SessionConversation, question: Question, lane: str) -> Steps[Steer]:
    """Send input for the answer in progress in a lane; return what tells what becomes of it.

    Raises:
        MisuseError: The API cannot steer, or no answer is in progress that has begun.
    """
    exchange = conversation.latest.get(lane)
    if exchange is None or exchange.is_post or exchange.dropped or exchange.answer_id is None:
        raise MisuseError("there is no answer to steer: steer one once something of it has arrived")
    steer = Steer(question, exchange.answer_id)
    payloads = conversation.known_api.write_steer(steer)
    if exchange.ended:
        steer.refuse({"code": _LATE_CODE, "message": "the response had ended before it was steered"})
    else:
        exchange.steers.append(steer)
        yield from conversation.send_quietly(payloads)
    return steer


def take_event(steers: Iterable[Steer], payload: dict[str, Any]) -> Steer | None:
    """Note what an event says about one of several inputs; return that input, None for an unknown one."""
    details = dict_of(payload, "steer")
    target, id = text_of(details, "previous_response_id"), text_of(details, "id")
    of_target = [steer for steer in steers if steer.target == target]
    known = [steer for steer in of_target if id is not None and steer.id == id]
    # The server answers in the order of the messages.
    unanswered = [steer for steer in of_target if steer.id is None and steer.error is None]
    steer = next(iter(known or unanswered), None)
    if steer is not None:
        steer.take(payload)
    return steer
