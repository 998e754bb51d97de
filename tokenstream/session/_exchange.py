"""One request for an answer on one connection, and the messages of the answer that wait to be read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.session._rounds import Round
    from tokenstream.session._steering import SentSteer
    from tokenstream.session._turns import Bell


class AskedExchange:
    """One request for an answer, and the queue of the answer's messages.

    A question has several exchanges if it is asked again, for example on another connection.

    Args:
        asked: The question and its answer.
        turns: Turns that follow the question, with which the model continues a broken answer.
    """

    __slots__ = (
        "again",
        "answer_id",
        "audio",
        "begun",
        "bell",
        "cancel_sent",
        "completed",
        "dropped",
        "ended",
        "error",
        "held",
        "is_cut",
        "is_post",
        "messages",
        "repeats",
        "round",
        "steers",
        "turns",
        "waiting",
        "written",
    )

    def __init__(self, asked: Round, turns: list[dict[str, object]]) -> None:
        self.round = asked
        self.turns = turns
        self.messages: deque[bytes] = deque()
        """The messages that have arrived and were not read."""
        self.waiting = 0
        """The bytes of these messages."""
        self.written = False
        """True once the request was written."""
        self.is_post = False
        """True if the question was sent as a POST, and not over the connection."""
        self.begun = False
        """True once a message of the answer has arrived."""
        self.ended = False
        """True once no more messages of the answer can arrive."""
        self.completed = False
        """True if the server has finished the answer, so that the next question can build on it."""
        self.dropped = False
        """True once nobody reads the answer any more; its messages are then discarded."""
        self.cancel_sent = False
        """True once the server was asked to stop the answer."""
        self.again = False
        """True if the question has to be asked again, because nothing of an answer can come."""
        self.repeats = 0
        """The number of times that the question was asked again."""
        self.bell: Bell | None = None
        """Rung when something has come; None unless a run of steps waits while another one receives."""
        self.error: Exception | None = None
        """The exception with which the connection broke; raised once the messages were read."""
        self.answer_id: str | None = None
        """The id of the answer, from the latest event that names it."""
        self.audio: dict[str, float] = {}
        """The milliseconds of audio that were received, by the id of their item; 0 before any has come."""
        self.steers: list[SentSteer] = []
        """The input that was sent for the answer while it was written."""
        self.held: bytes | None = None
        """The end of a response that another one may follow, as it was steered; None if there is none."""
        self.is_cut = False
        """True once the server was told how much of the audio was heard."""

    def put(self, message: bytes, *, is_held: bool = False) -> None:
        """Add a message of the answer, unless nobody reads it any more.

        Args:
            message: The message.
            is_held: True for the end of a response that another one may follow: it waits until that is known.
        """
        if is_held:
            self.held = message
        elif not self.dropped:
            self.messages.append(message)
            self.waiting += len(message)
            self._ring()

    def release_held(self) -> None:
        """Add the end that was kept back, now that it is known what follows."""
        held, self.held = self.held, None
        if held is not None:
            self.put(held)

    def complete_held(self) -> bool:
        """Return True if the end that was kept back is the end of the answer, as no response follows it."""
        if self.held is None or self.is_steered:
            return False
        if not any(steer.state == "lost" for steer in self.steers):
            self.completed = True
        return True

    @property
    def is_steered(self) -> bool:
        """True while the server is still to say what becomes of input for this answer."""
        return any(not steer.is_settled for steer in self.steers)

    def take(self) -> bytes:
        """Return the oldest message that was not read."""
        message = self.messages.popleft()
        self.waiting -= len(message)
        return message

    def drop(self) -> None:
        """Discard the messages that have arrived, and all later ones."""
        self.dropped = True
        self.messages.clear()
        self.waiting = 0
        self._ring()

    def end(self, error: Exception | None = None) -> None:
        """Note that no more messages can arrive.

        Args:
            error: The exception with which the connection broke; None if it did not.
        """
        self.ended, self.error = True, error
        if self.completed:
            self.release_held()
        for steer in self.steers:
            steer.lose()
        self._ring()

    def ask_again(self) -> None:
        """Let the question be asked again, because nothing of an answer can come."""
        self.again = True
        self._ring()

    def restart(self) -> None:
        """Prepare to write the request once more; nothing of an answer has arrived."""
        self.again = self.written = self.begun = self.ended = False
        self.answer_id = self.error = None

    def _ring(self) -> None:
        """Wake the run that waits."""
        if self.bell is not None:
            self.bell.set()

    @property
    def has_news(self) -> bool:
        """True if a message can be taken, or none will come."""
        return bool(self.messages) or self.again or self.ended or self.dropped

    @property
    def is_open(self) -> bool:
        """True while the server may send messages of the answer."""
        return self.written and not self.ended

    @property
    def is_read(self) -> bool:
        """True once the answer was read to its end."""
        return self.ended and not self.messages
