"""How a stream gets its guards."""

from __future__ import annotations

import inspect
import math
import weakref
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._guards.guards import Guards, rule_of
from tokenstream.stream._phase import Phase

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable
    from typing import TypeAlias

    from tokenstream.partial_json._pattern import At
    from tokenstream.stages import Budget, Repetition
    from tokenstream.stream._driver import Driver

    Rule: TypeAlias = str | re.Pattern[str] | Budget | Repetition
    """A rule that is no function."""
    Said: TypeAlias = str | Awaitable[str | None] | None
    """What a function says that may have to be awaited."""

__all__ = ["Rule", "Said", "guard", "is_awaited"]


class _Ends:
    """Ends the stream of a driver, which it does not keep alive.

    Args:
        driver: Drives the stream.
    """

    __slots__ = ("_driver",)

    def __init__(self, driver: Driver) -> None:
        self._driver = weakref.ref(driver)

    def stop(self, reason: str) -> None:
        driver = self._driver()
        if driver is not None:
            driver.stop(reason)

    def let_go(self) -> None:
        driver = self._driver()
        if driver is not None:
            driver.let_go()


def is_awaited(rule: object) -> bool:
    """Tell whether what a function answers has to be awaited."""
    call: Any = getattr(rule, "__call__", None)  # noqa: B004 - it is looked at, and not called
    return inspect.iscoroutinefunction(rule) or inspect.iscoroutinefunction(call)


def guard(
    driver: Driver,
    rule: object,
    *,
    first_tokens: int,
    every: int | None,
    hold: bool,
    field: At | None,
) -> Any:  # noqa: ANN401 - the rule as it is kept
    """Have a rule look at what a stream gives.

    Args:
        driver: Drives the stream.
        rule: The rule.
        first_tokens: After how many pieces of content a function is asked, or held events are given.
        every: After how many more a function is asked again.
        hold: Whether to hold back what comes until the rule has spoken.
        field: The field that a function is asked about.

    Raises:
        MisuseError: It is no rule; or reading has begun.
    """
    kept = rule_of(rule, first_tokens, every, field)
    machine = driver.machine
    if driver.phase is Phase.ENDED or driver.diverted or machine.over or machine.meter.chunks:
        raise MisuseError(
            "reading has begun, and a guard has to see an answer from its start: "
            "call .guard() before the first read"
        )
    guards = machine.guards
    if guards is None:
        accumulator = machine.accumulator
        guards = Guards(lambda: accumulator.message)
    guards.add(kept, first_tokens, hold=hold)
    machine.guard(guards, _Ends(driver))
    driver.chain, driver.due = driver.timed(), -math.inf
    return kept
