"""The kinds of errors: one row for each, with all that is known of it.

A new kind is a row here and a word in `ErrorKind`. The words of a protocol for kinds stay with its
encoder, which asks for them with `word_for`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

WordT = TypeVar("WordT")

ErrorKind: TypeAlias = Literal[
    "overloaded",
    "rate_limited",
    "quota",
    "invalid_request",
    "context_length",
    "authentication",
    "server",
    "network",
    "shutdown",
    "unknown",
]
"""The cause of an error in one word, the same for every provider; `ERROR_KINDS` has a row for each."""

_BAD_GATEWAY, _UNAVAILABLE, _TOO_MANY_REQUESTS = 502, 503, 429
_LOWEST_SERVER_STATUS, _LOWEST_ERROR_STATUS = 500, 400
_KINDS_BY_STATUS: dict[int, ErrorKind] = {
    401: "authentication",
    402: "quota",
    403: "authentication",
    408: "server",
    409: "server",
    425: "server",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_FINAL_STATUSES = frozenset({501, 505, 511})
"""5xx statuses that a retry would get again: not implemented, HTTP version, captive portal."""


class ErrorKindRow(NamedTuple):
    """All facts about one kind of error."""

    message: str
    """The error message that a relay sends in a protocol with little room for explanations."""
    failure: str
    """The failure, as a clause of the sentence that a relay sends in this library's own protocol."""
    refusal: str
    """The sentence in the response that a relay sends in place of an answer."""
    retryable: bool = False
    """True if the same request may succeed later."""
    refusal_status: int = _BAD_GATEWAY
    """The HTTP status of that response; 502 for any failure behind the relay."""
    advice: str | None = None
    """The remedy for a response of this kind; None if there is nothing to say."""
    is_specific: bool = False
    """True if a provider says so only in words of its own, which then count more than the status, than a
    general type of error, and than a header that invites a retry."""
    is_outage: bool = False
    """True if the provider failed, and did not refuse; a status 429 counts more than a body of this kind."""
    like: str | None = None
    """The kind that stands in for this one in a protocol without a word for it; None if no kind does."""


ERROR_KINDS: dict[str, ErrorKindRow] = {
    "overloaded": ErrorKindRow(
        retryable=True,
        message="Overloaded",
        failure="the provider is overloaded",
        refusal="The provider is overloaded.",
        refusal_status=_UNAVAILABLE,
        advice="ask again later",
        is_outage=True,
    ),
    "rate_limited": ErrorKindRow(
        retryable=True,
        message="Rate limit exceeded",
        failure="the provider takes no more requests for now",
        refusal="The provider asks to wait before the next request.",
        refusal_status=_TOO_MANY_REQUESTS,
        advice="ask again later",
        like="overloaded",
    ),
    "quota": ErrorKindRow(
        message="Insufficient quota",
        failure="the account at the provider has no credit, or has reached its limit",
        refusal="This server has no credit at the provider, or has reached its limit.",
        advice="asking again will not help: check your plan and its limits",
        is_specific=True,
        like="invalid_request",
    ),
    "invalid_request": ErrorKindRow(
        message="Invalid request",
        failure="the provider refuses the request",
        refusal="The provider refused the request that this server made.",
        advice="the same request will fail again: correct it; the server's explanation is in .body",
    ),
    "context_length": ErrorKindRow(
        message="Context length exceeded",
        failure="the request is longer than the model's context",
        refusal="The request is longer than the model's context.",
        advice="the same request will fail again: shorten it, or ask a model with a longer context",
        is_specific=True,
        like="invalid_request",
    ),
    "authentication": ErrorKindRow(
        message="Authentication failed",
        failure="the provider refuses the credentials",
        refusal="The provider refused this server.",
        advice="check the API key and its permissions",
    ),
    "server": ErrorKindRow(
        retryable=True,
        message="Internal server error",
        failure="the provider has failed",
        refusal="The provider failed.",
        advice="ask again later",
        is_outage=True,
    ),
    "network": ErrorKindRow(
        retryable=True,
        message="Upstream network error",
        failure="the connection to the provider has failed",
        refusal="The provider could not be reached, or its answer broke off before it began.",
        is_outage=True,
        like="server",
    ),
    "shutdown": ErrorKindRow(
        retryable=True,
        message="Server is restarting",
        failure="this server was shut down",
        refusal="The server is being restarted.",
        refusal_status=_UNAVAILABLE,
        advice="ask again",
        like="network",
    ),
    "unknown": ErrorKindRow(
        message="Something went wrong",
        failure="the answer has failed",
        refusal="The provider gave no answer.",
    ),
}


def find_kind(status: int, text: str = "") -> ErrorKind:
    """Return the kind of an error by its HTTP status, unless its text ends with another kind's advice.

    Example:
        >>> find_kind(429), find_kind(418), find_kind(200)
        ('rate_limited', 'invalid_request', 'unknown')
        >>> find_kind(429, f"status 429; {ERROR_KINDS['quota'].advice}")
        'quota'
    """
    likely: ErrorKind = "invalid_request" if status >= _LOWEST_ERROR_STATUS else "unknown"
    likely = _KINDS_BY_STATUS.get(status, "server" if status >= _LOWEST_SERVER_STATUS else likely)
    if not text:
        return likely
    advised = [kind for kind, row in ERROR_KINDS.items() if text.endswith(f"; {row.advice}")]
    return likely if likely in advised or not advised else cast("ErrorKind", advised[0])


def is_final(status: int) -> bool:
    """Return True for a 5xx status that the same request would get again, so that a retry is useless."""
    return status in _FINAL_STATUSES


_FAILURES_OF_CLASSES = {
    "ConnectError": "the provider could not be reached",
    "CostExceeded": "the budget has no room for the answer",
    "GuardFailed": "a guard of the answer has failed",
    "LimitExceeded": "the answer outgrew a bound",
    "ProtocolError": "the provider's answer does not follow its protocol",
    "PurseUnavailable": "the budget for answers cannot be read now",
    "StreamInterrupted": "the connection to the provider broke in the middle of the answer",
    "StreamStalled": "the provider was silent for too long",
    "StreamTruncated": "the answer ended before it was whole",
}
"""Maps classes of errors that say more than their kind to what has failed, as a clause."""


def clause_for(name: str, kind: str) -> str:
    """Return what has failed, by an error's class and kind alone; a shutdown is not the provider's fault."""
    failure = ERROR_KINDS[kind].failure
    return failure if kind == "shutdown" else _FAILURES_OF_CLASSES.get(name, failure)


def word_for(kind: str, words: Mapping[Any, WordT], otherwise: WordT) -> WordT:
    """Return a protocol's word for a kind of error, or for the kind that stands in for it."""
    current: str | None = kind
    while current is not None:
        if current in words:
            return words[current]
        current = ERROR_KINDS[current].like
    return otherwise
