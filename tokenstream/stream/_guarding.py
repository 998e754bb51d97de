"""Adding guards, which watch an answer and may stop it, to a stream."""

from __future__ import annotations

import inspect
import math
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.errors import MisuseError
from tokenstream.formats._endings import CLOSED
from tokenstream.stages._guards.guards import Guards, make_rule

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable

    from tokenstream.stages import Budget, Repetition
    from tokenstream.stream._driver import Driver

    GuardRule: TypeAlias = str | re.Pattern[str] | Budget | Repetition
    """A rule other than a function."""
    GuardAnswer: TypeAlias = str | Awaitable[str | None] | None
    """The result of a guard function: a reason to stop or None, or an awaitable that returns one of these."""


class _StreamStopper:
    """Stops a stream for its guards; has only a weak reference to the stream's driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = weakref.ref(driver)

    def stop(self, reason: str) -> None:
        """Stop the stream for a reason; do nothing if the stream was dropped."""
        driver = self._driver()
        if driver is not None:
            driver.stop(reason)

    def release_source(self) -> None:
        """Let the driver release its source; do nothing if the stream was dropped."""
        driver = self._driver()
        if driver is not None:
            driver.release_source()


def is_awaited(rule: object) -> bool:
    """Return True if a rule is a function that is known to return an awaitable."""
    call: Any = getattr(rule, "__call__", None)  # noqa: B004 - inspected, not called
    return inspect.iscoroutinefunction(rule) or inspect.iscoroutinefunction(call)


def guard(
    driver: Driver, rule: object, *, first_tokens: int, every: int | None, hold: bool, counts: bool = False
) -> Any:  # noqa: ANN401 - the rule in its internal form
    """Add a guard to a stream, and return the object that applies the guard's rule.

    A rule that is a function is first called after `first_tokens` pieces of content, and then after
    `every` further ones; with `hold`, events are held back until it decides, but not longer than those
    first pieces. `counts` is for a rule that counts all that arrives, even what never becomes part of the
    answer.
    """
    internal_rule = make_rule(rule, first_tokens, every)
    machine = driver.machine
    # A stream that was diverted has left its answers to the streams of its `responses`.
    if machine.meter.chunks > 0 or driver.has_ended or driver.diverted:
        raise MisuseError(
            "reading has begun, and a guard has to see an answer from its start: "
            "call .guard() before the first read"
        )
    if machine.intake.state in CLOSED:
        return internal_rule  # another process has read the answer, with its guards
    guards = None if machine.way.guarding is None else machine.way.guarding.guards
    if guards is None:
        # The guards refer to the accumulator alone, so that they do not keep an unused stream alive.
        accumulator = machine.accumulator
        guards = Guards(lambda: accumulator.message)
    guards.add(internal_rule, first_tokens, hold=hold, counts=counts)
    machine.way.guard(guards, _StreamStopper(driver), machine.asked)
    # The guards may have deadlines.
    driver.earliest_deadline = -math.inf
    return internal_rule
