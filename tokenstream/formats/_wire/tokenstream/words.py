"""The protocol's types of records, errors and endings."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

from tokenstream import errors as _errors
from tokenstream._basics.untrusted import float_of, int_of, text_of
from tokenstream.errors import (
    AnswerRejected,
    ConnectError,
    ErrorKind,
    LimitExceeded,
    Outcome,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamStalled,
)
from tokenstream.formats._kit.open import mend_surrogates

if TYPE_CHECKING:
    from tokenstream.message import Ending

CONTROL = frozenset({"end", "error", "live"})
"""Types of records that are not events: the end of the answer, and the end of the replay."""

_MOST_MESSAGE, _MOST_WORD = 500, 100
"""The most characters that are read of an error's message, and of its code or another word."""
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_ERRORS: dict[str, type[StreamError]] = {
    name: found
    for name in _errors.__all__
    if isinstance(found := getattr(_errors, name), type) and issubclass(found, StreamError)
}
_OF_CLASS = {
    "ConnectError": "the provider could not be reached",
    "GuardFailed": "a guard of the answer has failed",
    "LimitExceeded": "the answer outgrew a bound",
    "ProtocolError": "the provider's answer does not follow its protocol",
    "StreamInterrupted": "the connection to the provider broke in the middle of the answer",
    "StreamStalled": "the provider was silent for too long",
    "StreamTruncated": "the answer ended before it was whole",
}
_OF_KIND: dict[ErrorKind, str] = {
    "overloaded": "the provider is overloaded",
    "rate_limited": "the provider takes no more requests for now",
    "invalid_request": "the provider refuses the request",
    "authentication": "the provider refuses the credentials",
    "server": "the provider has failed",
    "network": "the connection to the provider has failed",
    "unknown": "the answer has failed",
}
_DETAILS = {
    "code": "code",
    "error_type": "type",
    "status": "status",
    "limit": "limit",
    "value": "value",
    "stage": "stage",
    "outcome": "outcome",
    "event": "event",
    "offset": "offset",
}
"""Maps keys in the protocol to attributes that only some classes of errors have."""
_ENDS: dict[str, Ending] = {"complete": "complete", "stopped": "stopped"}


@dataclass(frozen=True, slots=True)
class End:
    """The last record of an answer: how it ended.

    Example:
        >>> End("complete").error is None
        True
    """

    ending: Ending
    """The verdict."""
    error: StreamError | None = None
    """The error that ended the answer, or None."""


def said_of(error: StreamError, *, raw: bool = False) -> dict[str, Any]:
    """Return an error as the protocol sends it.

    The provider's words may be private, so the message is one of this library's texts.

    Args:
        error: The error.
        raw: True to send the provider's words instead.

    Example:
        >>> said_of(ProviderError("the provider reports an error: no GPU", kind="server"))["message"]
        'the provider has failed'
    """
    name = next(each.__name__ for each in type(error).__mro__ if each.__name__ in _ERRORS)
    words = str(error) if raw else _OF_CLASS.get(name, _OF_KIND[error.kind])
    record: dict[str, Any] = {
        "error": name,
        "kind": error.kind,
        "message": words,
        "retryable": error.retryable,
    }
    if error.retry_after is not None:
        record["retry_after"] = error.retry_after
    details = {key: getattr(error, name, None) for key, name in _DETAILS.items()}
    return {**record, **{name: value for name, value in details.items() if value is not None}}


def error_of(payload: dict[str, Any]) -> StreamError:
    """Return the error in a payload; it has the class that the payload names, if this version has it.

    Args:
        payload: The payload, whose fields need not be valid.

    Example:
        >>> error_of({"error": "StreamStalled", "limit": "idle_content", "kind": "network"}).retryable
        True
    """
    kind: Any = payload.get("kind")
    kind = kind if isinstance(kind, str) and kind in _KINDS else None
    name = text_of(payload, "error") or ""
    cls = _ERRORS.get(name, StreamError)
    words = text_of(payload, "message") or _OF_CLASS.get(name, _OF_KIND[kind or cls.default_kind])
    error = _made(cls, mend_surrogates(words[:_MOST_MESSAGE]), payload)
    error.kind = kind or error.kind
    wait = float_of(payload, "retry_after")
    error.retry_after = wait if wait is not None and isfinite(wait) and wait >= 0 else None
    retryable = payload.get("retryable")
    error.retryable = retryable if isinstance(retryable, bool) else StreamError("", kind=error.kind).retryable
    return error


def _made(cls: type[StreamError], words: str, payload: dict[str, Any]) -> StreamError:
    """Create an error of a class, with the attributes that this class requires."""
    code, kind = _word(payload, "code"), _word(payload, "error_type")
    if issubclass(cls, StatusError):
        return cls(words, status=int_of(payload, "status") or 0, code=code, type=kind)
    if issubclass(cls, ProviderError):
        return cls(words, code=code, type=kind)
    if issubclass(cls, ConnectError):
        stage: Literal["connect", "head"] = "head" if payload.get("stage") == "head" else "connect"
        return cls(words, stage=stage)
    if issubclass(cls, StreamStalled):
        return cls(words, limit=_word(payload, "limit") or "")
    if issubclass(cls, LimitExceeded):
        return cls(words, limit=_word(payload, "limit") or "", value=int_of(payload, "value") or 0)
    if issubclass(cls, ProtocolError):
        return cls(words, event=int_of(payload, "event"), offset=int_of(payload, "offset"))
    if issubclass(cls, AnswerRejected):
        outcome: Any = payload.get("outcome")
        return cls(words, outcome=outcome if outcome in _OUTCOMES else "empty")
    return cls(words)


def end_of(payload: dict[str, Any]) -> End:
    """Return the end of the answer as a payload of the type "end" or "error" states it.

    Example:
        >>> end_of({"type": "end", "ending": "stopped"}).ending
        'stopped'
    """
    if payload.get("type") == "error":
        error = error_of(payload)
        cut = isinstance(error, _TRUNCATIONS)
        # A choice may have ended before another one was cut off.
        whole = payload.get("ending") == "complete"
        return End("complete" if whole else "truncated" if cut else "failed", error)
    ending = _ENDS.get(str(payload.get("ending")))
    if ending is None:
        return End("truncated", error_of({"error": "StreamTruncated"}))
    return End(ending)


def _word(payload: dict[str, Any], name: str) -> str | None:
    word = text_of(payload, name)
    return None if word is None else mend_surrogates(word[:_MOST_WORD])


_TRUNCATIONS = (_errors.StreamTruncated, _errors.StreamInterrupted, StreamStalled)
