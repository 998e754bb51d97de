"""The lines that are logged about retries, fallbacks and hedges, each with its cause and its wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokenstream.stream._log import describe_cause, inform, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.asked import AttemptFacts
    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.recovery._decision import AttemptPlan
    from tokenstream.stream._attempts import Attempt

T = TypeVar("T")

_NAMES = {"continue": "continuation", "resume": "resume", "pause": "request after a pause"}
"""Names of attempts at the same server, by their modes; any other is a retry."""


def log_next(
    machine: Machine,
    plan: AttemptPlan,
    attempt: Attempt,
    error: StreamError | None,
    *,
    last: AttemptFacts,
    other: str | None,
) -> None:
    """Log that another attempt follows, such as "retry 1 of 2 in 0.4 s: overloaded (StatusError 503)".

    A request after a pause and a poll are no retries, and are logged for debugging only.

    Args:
        error: The error that ended the attempt before; None for a pause.
        last: The facts about the attempt before.
        other: The name of the opener of the attempt, if that is another one than before.
    """
    name, to = _NAMES.get(attempt.mode, "retry"), ""
    if other is not None:
        name, to = "fallback", f" to {other}"
    tell = log if error is None or plan.polls else inform
    tell(
        "%s %d of %d%s in %.1f s%s: %s",
        name,
        last.number,
        max(last.number, last.most - 1),
        to,
        attempt.wait,
        ", as the server asks" if plan.server_asks else "",
        "the answer was paused" if error is None else describe_cause(error),
        of=machine if error is None else error,
    )


def log_hedge(machine: Machine, name: str, after: float, open_source: Callable[[], T]) -> T:
    """Log that a hedge begins, then open its source, and return it.

    Args:
        name: The name of the opener of the hedge.
        after: The seconds for which the first attempt has brought nothing.
    """
    inform("hedge to %s after %.1f s: the first attempt has brought no content", name, after, of=machine)
    return open_source()
