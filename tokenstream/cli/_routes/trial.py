"""A trial of a route: one small question, read up to its first content."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenstream._connect import connect
from tokenstream.cli._advice import ASK_FOR_A_STREAM, advise_on_error, describe_error
from tokenstream.errors import StreamError
from tokenstream.limits import Deadlines

if TYPE_CHECKING:
    from tokenstream.cli._routes.candidates import RouteCandidate

_NO_KEY = "no request was sent, as the environment has no key"
_EMPTY = "the answer came to its end without content"


class RouteTrial(NamedTuple):
    """The result of sending a route's question: the time of the first content, or the failure."""

    candidate: RouteCandidate
    seconds: float | None
    """Seconds from the request to the first content; None if none came."""
    status: int | None
    """The status of the response; None without a response."""
    reason: str
    """The reason phrase of the response; "" if it has none."""
    format: str | None
    """The name of the format in which the server answered, or was expected to; None if it is not known."""
    kind: str | None
    """The failure in one word, such as the kind of the error; None if the route would serve."""
    what: str | None
    """The failure in a sentence, or a note; None if there is nothing to say."""
    advice: str | None
    """The remedy; None if there is nothing to change."""

    @property
    def serves(self) -> bool:
        """True if content came, so that the route would serve."""
        return self.kind is None


def try_route(candidate: RouteCandidate, timeout: float) -> RouteTrial:
    """Send a route's question; return the result of the trial, which ends at the first content.

    Args:
        timeout: Seconds to wait for the first content.
    """
    if candidate.missing is not None:
        # Without its key, the request would only be refused, so it is not sent.
        return RouteTrial(
            candidate,
            seconds=None,
            status=None,
            reason="",
            format=candidate.format,
            kind="no_key",
            what=_NO_KEY,
            advice=f"set {candidate.missing}",
        )
    kind: str | None = None
    what: str | None = None
    advice: str | None = None
    with connect(candidate.route, deadlines=Deadlines(first_event=timeout, total=timeout)) as stream:
        try:
            for _ in stream:
                if stream.metrics.ttft is not None:
                    break
        except StreamError as error:
            kind, what = error.kind, describe_error(error)
            advice = advise_on_error(error, "request")
        seconds, head = stream.metrics.ttft, stream.response
        format = stream.attempts[-1].format
        is_document = "not_streamed" in stream.departures
    # A trial without a `kind` has no failure: the route would serve.
    if kind is None and seconds is None:
        kind, what, advice = "empty", _EMPTY, "check the model"
    if kind is None and is_document:
        # Only a note: the route would serve, but does not stream.
        what, advice = "the answer came as one JSON document: nobody streamed it", ASK_FOR_A_STREAM
    status, reason = (None, "") if head is None else (head.status, head.reason)
    return RouteTrial(candidate, seconds, status, reason, format, kind, what, advice)
