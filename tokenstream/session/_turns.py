"""Turns of several answers at a connection: one reads it or writes to it, and the others wait."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tokenstream.session._steps import Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.session._exchange import AskedExchange
    from tokenstream.session._steps import Steps


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
