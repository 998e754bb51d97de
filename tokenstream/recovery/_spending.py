"""The costs of an answer's attempts, and the bound on their sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.stages import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.events import Event
    from tokenstream.message import Usage


class Spending:
    """Adds up the costs of all attempts, and stops the answer before the sum exceeds `Retry.most`.

    The attempt in progress is counted by a `Budget`, which estimates what the provider has not counted yet.

    Args:
        most: The bound on the sum.
    """

    __slots__ = ("_now", "_price", "budget", "most", "spent")

    def __init__(self, most: float) -> None:
        self.most = most
        self.spent = 0.0
        """The cost of the attempts that have ended."""
        self._price: Callable[[Usage], float] | None = None
        """The price of the route that is asked; None if it is unknown."""
        self._now = 0.0
        """The cost of the attempt in progress."""
        self.budget = Budget(price=self._add_up, most=most)
        """The rule that stops the answer."""

    def begin(self, price: Callable[[Usage], float] | None) -> None:
        """Begin to count another attempt.

        Args:
            price: The price of its route; None if it is unknown.
        """
        self._price, self._now = price, 0.0
        self.budget.begin_again()

    def end(self, cost: float | None) -> None:
        """Add the cost of the attempt that has ended.

        Args:
            cost: The cost of the token counts that the server reported; None if it is unknown.
        """
        # The server may have counted less than what has arrived, or what has arrived may not be visible.
        self.spent += max(cost or 0.0, self._now)
        self._now = 0.0

    def is_used_up(self, cost: float | None) -> bool:
        """Return True if nothing is left for another attempt.

        Args:
            cost: The cost of the token counts that the server reported for the attempt in progress; None if
                it is unknown.
        """
        return self.spent + max(cost or 0.0, self._now) >= self.most

    def _add_up(self, usage: Usage) -> float:
        """Return the cost of all attempts.

        Args:
            usage: The token counts of the attempt in progress.
        """
        self._now = cost_of(usage, self._price) or 0.0
        return self.spent + self._now


def count_tokens(events: Iterable[Event]) -> Usage:
    """Return the token counts of an answer that was not delivered, with an estimate of what was not counted.

    Args:
        events: All events of the answer.
    """
    accumulator = Accumulator()
    for event in events:
        accumulator.take(event)
    accumulator.conclude("stopped")
    return accumulator.counted


def cost_of(usage: Usage, price: Callable[[Usage], float] | None) -> float | None:
    """Return the cost of token counts; None without a price, or without counts.

    Raises:
        MisuseError: The function `price` has returned NaN, or no number.
    """
    if price is None or not usage:
        return None
    cost: Any = price(usage)
    if isinstance(cost, bool) or not isinstance(cost, int | float) or math.isnan(cost):
        raise MisuseError(f"price= returns what the usage costs, as a number, and not {cost!r}")
    return float(cost)
