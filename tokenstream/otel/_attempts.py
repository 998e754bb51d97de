"""The attempts at an answer: a span for each, and events for those that failed.

An attempt is a part of an operation, and no operation itself: in the GenAI conventions, the span of an
operation covers all its retries. So the span of an attempt has no `gen_ai.operation.name`, by which
operations are counted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.otel._answered import error_type_of, token_attributes
from tokenstream.otel._providers import provider_of
from tokenstream.otel._report import MODE, NS_PER_SECOND, ROUTE, SpanReport
from tokenstream.otel._requested import server_attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.errors import StreamError
    from tokenstream.otel._requested import Attributes
    from tokenstream.recovery import AttemptReport


def has_spans(attempts: Sequence[AttemptReport]) -> bool:
    """Return True if each attempt at the answer gets a span of its own, below the span of the operation.

    They do if there are several attempts, or if the caller has named routes. Otherwise, the only attempt is
    the whole operation, which has a span already.
    """
    return len(attempts) > 1 or any(attempt.route is not None for attempt in attempts)


def find_last(attempts: Sequence[AttemptReport]) -> AttemptReport | None:
    """Return the attempt whose answer the reader got: the one that ended last; None if there are no attempts.

    If two attempts ran side by side, the other one was closed before this one ended.
    """
    return max(attempts, key=lambda each: math.inf if each.seconds is None else _end_of(each), default=None)


def report_attempt(
    attempt: AttemptReport,
    operation: SpanReport,
    error: StreamError | None,
    *,
    provider: str | None,
    model: str | None,
) -> SpanReport:
    """Return the data of an attempt's span.

    Args:
        error: The operation's error, or None; it also counts for an attempt that was still running then.
        provider: The provider's name, if the caller gave it; otherwise None.
        model: The requested model, if the caller gave it; otherwise None.
    """
    # An attempt that has its duration has ended by itself, before the operation.
    if attempt.seconds is not None:
        error = attempt.error
    model = attempt.requested_model or model
    # With routes, each has its own provider.
    provider = None if attempt.route is not None else provider
    began_ns = operation.started_ns + round(attempt.began * NS_PER_SECOND)
    return SpanReport(
        name="attempt" if model is None else f"attempt {model}",
        started_ns=min(began_ns, operation.ended_ns),
        ended_ns=_find_end(attempt, operation),
        shared_attributes={
            "gen_ai.provider.name": provider or provider_of(attempt.host, attempt.format),
            **_known({"gen_ai.request.model": model, "gen_ai.response.model": attempt.model}),
            **server_attributes(attempt.host, attempt.port),
        },
        attributes={
            **token_attributes(attempt.usage, attempt.format),
            **_known(
                {
                    "gen_ai.response.id": attempt.id,
                    "tokenstream.request.id": _request_id_of(error),
                    "tokenstream.attempt.number": attempt.number,
                    MODE: attempt.mode,
                    ROUTE: attempt.route,
                    "tokenstream.attempt.cost": attempt.cost,
                }
            ),
        },
        error_type=None if error is None else error_type_of(error),
        error_name=None if error is None else type(error).__name__,
    )


def list_failures(attempts: Sequence[AttemptReport], operation: SpanReport) -> list[tuple[int, Attributes]]:
    """Return, for each failed attempt, the time at which it ended, in nanoseconds, and its attributes."""
    return [
        (
            _find_end(attempt, operation),
            {
                "number": attempt.number,
                "mode": attempt.mode,
                "error.type": error_type_of(attempt.error),
                **_known({"tokenstream.request.id": _request_id_of(attempt.error)}),
            },
        )
        for attempt in attempts
        if attempt.error is not None
    ]


def _request_id_of(error: StreamError | None) -> str | None:
    """Return the provider's id of the request that has failed with an error; None if it is not known."""
    return None if error is None or error.origin is None else error.origin.request_id


def _find_end(attempt: AttemptReport, operation: SpanReport) -> int:
    """Return the time at which an attempt ended; that of the operation, if the attempt did not end before."""
    if attempt.seconds is None:
        return operation.ended_ns
    return min(operation.started_ns + round(_end_of(attempt) * NS_PER_SECOND), operation.ended_ns)


def _end_of(attempt: AttemptReport) -> float:
    """Return the seconds from the first request to the end of an attempt that has ended."""
    return attempt.began + (attempt.seconds or 0.0)


def _known(values: dict[str, str | int | float | None]) -> Attributes:
    """Return attributes without those whose value is None."""
    return {name: value for name, value in values.items() if value is not None}
