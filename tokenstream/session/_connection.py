"""The connection of a session: the requests that share it, and the turns that they take at it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tokenstream._basics.json import to_json_bytes
from tokenstream.session._lines import Close, Flow, Open, OpenedConnection, ReceiveText, SendText, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokenstream.session._api import Payload
    from tokenstream.session._rounds import Round
    from tokenstream.session._steering import SentSteer
    from tokenstream.stream._protocols import Clock


class Bell(Protocol):
    """An event of a driver's event loop, or of threads, that ends a `Wait`."""

    def set(self) -> object: ...


class FairLock:
    """A turn that one run of steps has at a time; the others wait, in the order in which they came."""

    def __init__(self, make_bell: Callable[[], Bell]) -> None:
        self._make_bell = make_bell
        self._waiters: deque[_Waiter] = deque()
        self.is_taken = False

    def take(self, seconds: float | None = None, exchange: AskedExchange | None = None) -> Flow[bool]:
        """Wait for the turn, and take it; return False without it if something has come for an exchange.

        Another run may receive its messages meanwhile. TimeoutError if neither has come in time.
        """
        if not self.is_taken:
            self.is_taken = True
            return True
        waiter = _Waiter(self._make_bell())
        self._waiters.append(waiter)
        if exchange is not None:
            exchange.bell = waiter.bell
        is_taking = False
        try:
            yield Wait(waiter.bell, seconds)
            is_taking = waiter.has_turn and (exchange is None or not exchange.has_news)
        finally:
            # Also if the wait was cancelled: the turn must not be lost.
            if exchange is not None:
                exchange.bell = None
            if not waiter.has_turn:
                self._waiters.remove(waiter)
            elif not is_taking:
                self.give()
        return is_taking

    def give(self) -> None:
        """Give the turn to the run that has waited longest, or to nobody if none waits."""
        if self._waiters:
            waiter = self._waiters.popleft()
            waiter.has_turn = True
            waiter.bell.set()
        else:
            self.is_taken = False


class _Waiter:
    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.has_turn = False


def earliest(times: Iterable[float | None]) -> float | None:
    """Return the first of several times; None if there is none."""
    return min((time for time in times if time is not None), default=None)


class RenewedConnection:
    """A connection that is replaced when it is gone; one run of steps at a time reads it."""

    def __init__(self, clock: Clock, make_bell: Callable[[], Bell]) -> None:
        self._clock = clock
        self._reading = FairLock(make_bell)
        self.is_open = False
        self.number = 0
        """The number of the connection, by which late results of the one before are recognised."""
        self.is_half_written = False
        """True while messages are written; still True after an interruption, when half may be written."""

    def open(self) -> Flow[OpenedConnection]:
        opened: OpenedConnection = yield Open()
        self.is_open, self.is_half_written = True, False
        self.number += 1
        return opened

    def close(self) -> Flow[None]:
        self.is_open = self.is_half_written = False
        yield Close()

    def is_current(self, number: int) -> bool:
        return self.is_open and self.number == number

    def send_all(self, payloads: Sequence[Payload]) -> Flow[None]:
        """Write messages; if that is interrupted, the connection is not to be used again."""
        if payloads:
            self.is_half_written = True
            yield from self.send(payloads)
            self.is_half_written = False

    def send(self, payloads: Sequence[Payload]) -> Flow[None]:
        """Write messages that may also be written between those of another run."""
        for payload in payloads:
            yield SendText(to_json_bytes(payload).decode())

    @property
    def is_read(self) -> bool:
        return self._reading.is_taken

    def receive(self, until: float | None, exchange: AskedExchange | None = None) -> Flow[object]:
        """Return the next message, once no other run reads the connection.

        The result is None if another run has received something for the exchange that is read, or if the
        connection was closed or replaced meanwhile. TimeoutError if none has arrived in time.
        """
        number = self.number
        if not (yield from self._reading.take(self._seconds_until(until), exchange)):
            return None
        message: object = None
        try:
            if self.is_current(number):
                message = yield ReceiveText(self._seconds_until(until))
        except Exception:
            # Otherwise, another run has closed the connection, or has noted that it is gone.
            if self.is_current(number):
                raise
        finally:
            self._reading.give()
        return message if self.is_current(number) else None

    def _seconds_until(self, until: float | None) -> float | None:
        """Return the seconds until a time, at least 0; None for no limit."""
        return None if until is None else max(0.0, until - self._clock())


class AskedExchange:
    """One request for an answer, and the queue of the answer's messages.

    A question has several exchanges if it is asked again, for example on another connection.

    Args:
        asked: The question and its answer.
        turns: Turns that follow the question, with which the model continues a broken answer.
    """

    def __init__(self, asked: Round, turns: list[dict[str, object]]) -> None:
        self.round = asked
        self.turns = turns
        self.messages: deque[bytes] = deque()
        self.waiting = 0
        """The bytes of these messages."""
        self.written = False
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
        self.audio: dict[str, float] = {}
        """The milliseconds of audio that were received, by the id of their item; 0 before any has come."""
        self.steers: list[SentSteer] = []
        """The input that was sent for the answer while it was written."""
        self.held: bytes | None = None
        """The end of a response that another one may follow, as it was steered; None if there is none."""
        self._held_until: float | None = None
        """Time until which to wait for what the server says of input that it has not mentioned."""
        self.is_cut = False
        """True once the server knows how much of the audio was heard."""

    def put(self, message: bytes, *, held_until: float | None = None) -> None:
        """Add a message of the answer, unless nobody reads it any more.

        The end of a response that another one may follow is held until that is known, or until a time.
        """
        if held_until is not None:
            self.held, self._held_until = message, held_until
        elif not self.dropped:
            self.messages.append(message)
            self.waiting += len(message)
            self._ring()

    def release_held(self) -> None:
        """Add the end that was kept back, now that it is known what follows."""
        held, self.held = self.held, None
        if held is not None:
            self.put(held)

    @property
    def held_until(self) -> float | None:
        """The time at which the end that was kept back is the end of the answer; None if another one follows.

        A server that has accepted input, or has ended the response because of it, is waited for.
        """
        is_silent = self.completed and not any(steer.state == "accepted" for steer in self.steers)
        return self._held_until if self.held is not None and is_silent else None

    def end_silence(self, now: float) -> bool:
        """End the answer if its input was without a report for too long; return True if so."""
        if self.held_until is None or now < self.held_until:
            return False
        self.end()
        return True

    def complete_held(self) -> bool:
        """Return True if the end that was kept back is the end of the answer, as no response follows it."""
        if self.held is None or self.is_steered:
            return False
        if not any(steer.state == "lost" for steer in self.steers):
            self.completed = True
        return True

    def keep_applied(self) -> None:
        kept = self.round.steers
        kept += [steer for steer in self.steers if steer.state == "applied" and steer not in kept]

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
        """Note that no more messages can arrive, perhaps because the connection broke with an exception."""
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
