"""The current connection of a session, which all its answers share, and the turns that they take at it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tokenstream._basics.json import to_json_bytes
from tokenstream.session._lines import Close, Open, Receive, Send, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokenstream.session._api import Payload
    from tokenstream.session._exchange import AskedExchange
    from tokenstream.session._lines import Opened, Steps


class Bell(Protocol):
    """An event of a driver's event loop, or of threads, that ends a `Wait`."""

    def set(self) -> object: ...


class FairLock:
    """A turn that one run of steps has at a time; the others wait, in the order in which they came.

    Args:
        make_bell: Makes an event for which the driver can wait.
    """

    __slots__ = ("_make_bell", "_waiters", "is_taken")

    def __init__(self, make_bell: Callable[[], Bell]) -> None:
        self._make_bell = make_bell
        self._waiters: deque[_Waiter] = deque()
        self.is_taken = False

    def take(self, seconds: float | None = None, exchange: AskedExchange | None = None) -> Steps[bool]:
        """Wait for the turn, and take it; return False without it if something has come for an exchange.

        Args:
            seconds: The longest wait; None for no limit.
            exchange: The exchange whose messages another run may receive meanwhile; None for the turn alone.

        Raises:
            TimeoutError: Neither has come in time.
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
    """A run that waits for a turn."""

    __slots__ = ("bell", "has_turn")

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.has_turn = False
        """True once the run was given the turn."""


def earliest(times: Iterable[float | None]) -> float | None:
    """Return the first of several times; None if there is none."""
    return min((time for time in times if time is not None), default=None)


class RenewedConnection:
    """A connection that is replaced when it is gone; one run of steps at a time reads it.

    Args:
        clock: Returns the time in seconds.
        make_bell: Makes an event for which the driver can wait.
    """

    __slots__ = ("_clock", "_reading", "is_half_written", "is_open", "number")

    def __init__(self, clock: Callable[[], float], make_bell: Callable[[], Bell]) -> None:
        self._clock = clock
        self._reading = FairLock(make_bell)
        self.is_open = False
        self.number = 0
        """The number of the connection, by which late results of the one before are told apart."""
        self.is_half_written = False
        """True while messages are written; still True after an interruption, when half may be written."""

    def open(self) -> Steps[Opened]:
        """Open another connection, and return the facts about it."""
        opened: Opened = yield Open()
        self.is_open, self.is_half_written = True, False
        self.number += 1
        return opened

    def close(self) -> Steps[None]:
        """Close the connection."""
        self.is_open = self.is_half_written = False
        yield Close()

    def is_current(self, number: int) -> bool:
        """Return True if the connection with this number is still in use."""
        return self.is_open and self.number == number

    def send_all(self, payloads: Sequence[Payload]) -> Steps[None]:
        """Write messages; if that is interrupted, the connection is not to be used again."""
        if payloads:
            self.is_half_written = True
            yield from self.send(payloads)
            self.is_half_written = False

    def send(self, payloads: Sequence[Payload]) -> Steps[None]:
        """Write messages that may also be written between those of another run."""
        for payload in payloads:
            yield Send(to_json_bytes(payload).decode())

    @property
    def is_read(self) -> bool:
        """True while a run reads the connection."""
        return self._reading.is_taken

    def receive(self, until: float | None, exchange: AskedExchange | None = None) -> Steps[object]:
        """Return the next message, once no other run reads the connection.

        Args:
            until: Time at which to stop waiting; None for no limit.
            exchange: The exchange that is being read; None if any message is waited for.

        Returns:
            The message; None if another run has received something for the exchange, or if the connection was
            closed or replaced meanwhile.

        Raises:
            TimeoutError: No message has arrived in time.
        """
        number = self.number
        if not (yield from self._reading.take(self._seconds_until(until), exchange)):
            return None
        message: object = None
        try:
            if self.is_current(number):
                message = yield Receive(self._seconds_until(until))
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
