"""Convert the errors and endings of answers to records of the protocol, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

from tokenstream import errors as _errors
from tokenstream._basics.untrusted import float_of, int_of, text_of
from tokenstream._kinds import ERROR_KINDS
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
"""Types of records that are not events: the answer's end or error, and the position where a replay ends."""

_MAX_MESSAGE, _MAX_WORD = 500, 100
"""The longest message of an error, and the longest code or other word, that is read; the rest is cut off."""
_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
_OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
_ERRORS: dict[str, type[StreamError]] = {
    name: found
    for name in _errors.__all__
    if isinstance(found := getattr(_errors, name), type) and issubclass(found, StreamError)
}
_MESSAGES_BY_CLASS = {
    "ConnectError": "the provider could not be reached",
    "GuardFailed": "a guard of the answer has failed",
    "LimitExceeded": "the answer outgrew a bound",
    "ProtocolError": "the provider's answer does not follow its protocol",
    "StreamInterrupted": "the connection to the provider broke in the middle of the answer",
    "StreamStalled": "the provider was silent for too long",
    "StreamTruncated": "the answer ended before it was whole",
}
_DETAIL_KEYS = {
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
_WORD = re.compile(r"[\w-]{1,100}(?:\.[A-Z][\w-]{0,100}){0,3}", re.ASCII)
"""A code or type of an error, such as `Throttling.RateQuota`; the name of a host does not match."""
_ENDS: dict[str, Ending] = {"complete": "complete", "stopped": "stopped"}
"""The endings that a record of the type "end" may state."""


@dataclass(frozen=True, slots=True)
class End:
    """The last record of an answer: how it ended.

    Example:
        >>> End("complete").error is None
        True
    """

    ending: Ending
    """The ending of the answer, such as "complete" or "failed"."""
    error: StreamError | None = None
    """The error that ended the answer, or None."""


def error_fields(error: StreamError, *, raw: bool = False) -> dict[str, Any]:
    """Return an error as a JSON object of the protocol.

    By default, the provider's message, which may be private, is replaced by one of this library's.

    Args:
        raw: True to send the provider's message.

    Example:
        >>> error_fields(ProviderError("the provider reports an error: no GPU", kind="server"))["message"]
        'the provider has failed'
    """
    # An application's own class is sent as its base class in this library.
    name = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
    message = error.message if raw else _MESSAGES_BY_CLASS.get(name, ERROR_KINDS[error.kind].failure)
    record: dict[str, Any] = {
        "error": name,
        "kind": error.kind,
        "message": message,
        "retryable": error.retryable,
    }
    if error.retry_after is not None:
        record["retry_after"] = error.retry_after
    details = {key: getattr(error, attribute, None) for key, attribute in _DETAIL_KEYS.items()}
    known = {key: value for key, value in details.items() if value is not None}
    return {**record, **{key: value for key, value in known.items() if raw or _is_public(value)}}


def _is_public(value: object) -> bool:
    """Return True if an error's detail may be sent on: a number, or one word, such as `rate_limit_exceeded`.

    Some servers put sentences, with hosts and names in them, into the code or the type of an error.
    """
    return isinstance(value, int) or (isinstance(value, str) and _WORD.fullmatch(value) is not None)


def error_of(payload: dict[str, Any]) -> StreamError:
    """Return the error that a payload describes, of the class that the payload names.

    If this version has no such class, the error is a `StreamError`.

    Args:
        payload: The payload; invalid fields are ignored.

    Example:
        >>> error_of({"error": "StreamStalled", "limit": "idle_content", "kind": "network"}).retryable
        True
    """
    kind: Any = payload.get("kind")
    kind = kind if isinstance(kind, str) and kind in _KINDS else None
    name = text_of(payload, "error") or ""
    cls = _ERRORS.get(name, StreamError)
    message = text_of(payload, "message") or _MESSAGES_BY_CLASS.get(
        name, ERROR_KINDS[kind or cls.default_kind].failure
    )
    error = _create_error(cls, mend_surrogates(message[:_MAX_MESSAGE]), payload)
    error.kind = kind or error.kind
    wait = float_of(payload, "retry_after")
    error.retry_after = wait if wait is not None and isfinite(wait) and wait >= 0 else None
    # If the payload does not say whether a retry may help, the error's kind does.
    retryable = payload.get("retryable")
    error.retryable = retryable if isinstance(retryable, bool) else StreamError("", kind=error.kind).retryable
    return error


def _create_error(cls: type[StreamError], message: str, payload: dict[str, Any]) -> StreamError:
    """Create an error of a class, with the attributes that this class requires."""
    code, error_type = _short_text(payload, "code"), _short_text(payload, "error_type")
    # A derived class is looked for before its base class.
    if issubclass(cls, StatusError):
        return cls(message, status=int_of(payload, "status") or 0, code=code, type=error_type)
    if issubclass(cls, ProviderError):
        return cls(message, code=code, type=error_type)
    if issubclass(cls, ConnectError):
        stage: Literal["connect", "head"] = "head" if payload.get("stage") == "head" else "connect"
        return cls(message, stage=stage)
    if issubclass(cls, StreamStalled):
        return cls(message, limit=_short_text(payload, "limit") or "")
    if issubclass(cls, LimitExceeded):
        return cls(message, limit=_short_text(payload, "limit") or "", value=int_of(payload, "value") or 0)
    if issubclass(cls, ProtocolError):
        return cls(message, event=int_of(payload, "event"), offset=int_of(payload, "offset"))
    if issubclass(cls, AnswerRejected):
        outcome: Any = payload.get("outcome")
        return cls(message, outcome=outcome if outcome in _OUTCOMES else "empty")
    return cls(message)


def end_of(payload: dict[str, Any]) -> End:
    """Return the end of the answer that a payload of the type "end" or "error" states.

    Example:
        >>> end_of({"type": "end", "ending": "stopped"}).ending
        'stopped'
    """
    if payload.get("type") == "error":
        error = error_of(payload)
        if payload.get("ending") == "complete":
            # This choice ended before the error cut off another one.
            return End("complete", error)
        return End("truncated" if isinstance(error, _TRUNCATIONS) else "failed", error)
    ending = _ENDS.get(str(payload.get("ending")))
    if ending is None:
        # An ending that this version does not know.
        return End("truncated", error_of({"error": "StreamTruncated"}))
    return End(ending)


def _short_text(payload: dict[str, Any], name: str) -> str | None:
    """Return a field that is text, cut to the length limit of a word; None for any other value."""
    word = text_of(payload, name)
    return None if word is None else mend_surrogates(word[:_MAX_WORD])


_TRUNCATIONS = (_errors.StreamTruncated, _errors.StreamInterrupted, StreamStalled)
