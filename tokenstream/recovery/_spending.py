"""Adds up the costs of an answer's attempts, and bounds their sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Usage


class Price:
    """The price of a route for one stream: computes costs with the caller's function.

    The function is called once for the same token counts. After it has raised an exception, it is not called
    any more, and the cost is unknown.

    Args:
        function: The caller's function; None if the route has no price.
    """

    __slots__ = ("_cost", "_usage", "function")

    def __init__(self, function: Callable[[Usage], float] | None) -> None:
        self.function = function
        """The caller's function; None if there is none, or once it has raised an exception."""
        self._usage: Usage | None = None
        """The token counts for which `_cost` was computed; None before the first ones."""
        self._cost = 0.0

    def of(self, usage: Usage) -> float | None:
        """Return the cost of token counts; None if it is unknown; the caller's function may raise."""
        if self.function is None or not usage:
            return None
        if usage != self._usage:
            # While the function runs, it is not stored: if it raises an exception, it is never called again.
            function, self.function = self.function, None
            self._cost, self._usage = _check_cost(function(usage)), usage
            self.function = function
        return self._cost


class Spending:
    """Adds up the costs of all attempts, and stops the answer before the sum exceeds `Retry.most`.

    The attempt in progress is counted by a `Budget` as it arrives, also while it is held back. The budget
    estimates what the provider has not counted yet.

    Args:
        most: The bound on the sum.
    """

    __slots__ = ("_now", "_price", "budget", "most", "spent")

    def __init__(self, most: float) -> None:
        self.most = most
        self.spent = 0.0
        """The cost of the answers before the one that arrives now."""
        self._price = Price(None)
        """The price of the current attempt's route."""
        self._now = 0.0
        """The cost of the answer that arrives now."""
        self.budget = Budget(price=self._add_up, most=most)
        """The rule that stops the answer."""

    def begin(self, price: Price, *, goes_on: bool) -> None:
        """Begin to count another attempt's costs; one that resumes has the token counts from before, too."""
        if not goes_on:
            self.spent, self._now = self.spent + self._now, 0.0
        self._price = price

    def end(self, cost: float | None) -> None:
        """Note the cost of the attempt that has ended."""
        # The server may have counted less than what has arrived, or what has arrived may not be visible.
        self._now = max(cost or 0.0, self._now)

    def add(self, cost: float | None) -> None:
        """Add the cost of an attempt that was made beside the current one; None if it is unknown."""
        self.spent += cost or 0.0

    def is_used_up(self, cost: float | None) -> bool:
        """Return True if nothing is left for another attempt."""
        return self.spent + max(cost or 0.0, self._now) >= self.most

    def _add_up(self, usage: Usage) -> float:
        """Return the cost of all attempts."""
        self._now = self._price.of(usage) or 0.0
        return self.spent + self._now


def _check_cost(returned: object) -> float:
    """Check what the caller's `price` function has returned, and return it; refuse all but numbers."""
    cost: Any = returned
    if isinstance(cost, bool) or not isinstance(cost, int | float) or math.isnan(cost):
        raise MisuseError(f"price= returns what the usage costs, as a number, and not {cost!r}")
    return float(cost)
