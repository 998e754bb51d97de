"""Find the provider's error in a payload, in the shapes that servers and gateways use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list, text_of
from tokenstream.errors import ProtocolError, ProviderError
from tokenstream.formats._kit.values import split_names

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError

ErrorT = TypeVar("ErrorT", bound="StreamError")

PIECE = "PayloadPart"
"""The event of SageMaker's InvokeEndpointWithResponseStream, whose payload is a piece of another body."""
_KIND_FIELDS = ("type", "object", "event_type", "event")
_REASON_FIELDS = split_names(
    "message Message msg error_msg error_message error_description errmsg err_msg title detail"
)
"""Fields with the reason of an error that is in its payload, beside a code or a status."""
_LOWEST_ERROR_STATUS = 400
CODE_FIELDS = ("code", "error_code", "errcode", "err_code")
STATUS_FIELDS = ("status_code", "statusCode", "status", "error")
"""Fields with the number of a status; the last two may have a text that is no code."""
_SOLE_TEXTS = split_names("detail Message err exception error_message errorMessage")
"""Fields that are an error if their payload has a text in it, and nothing else."""
_FIELDS_BESIDE_ERRORS = split_names("errors success result messages data status request_id extensions path")
"""The fields of a payload that is a list of errors, as those of Cloudflare and of GraphQL."""
_LAYERS = frozenset({"data", "response", "body"})
"""Fields around an error that gateways add."""
_SIGNS = frozenset({"base_resp", "errors", "error", "fault", *_REASON_FIELDS, *_SOLE_TEXTS, *_LAYERS})
"""Fields of which the payload of an error has one at least."""
_SIGNS_BESIDE_KINDS = split_names("base_resp detail error event event_type object title")
"""Fields of which the payload of an error has one at least if it has another type than "error"."""
_FAILURES = frozenset({"error", "failed", "failure"})
"""Texts of a status that report an error, in lower case."""
_SUCCESSES = frozenset({"200", "ok", "success"})
"""Codes and reasons that report no error, in lower case; a code of zeros does not, either."""
_match_class = re.compile(r"[a-z_]{1,60}_error|[A-Za-z]{1,60}Error").fullmatch
"""Matches the name of a class of errors, which is no kind of event."""


def provider_error(payload: JsonObject, event: str = "", *, ours: str = "") -> ProviderError | None:
    """Return the error in a payload, or None if the payload contains no error.

    With words of `ours`, it is an error in any case; they describe it if the provider says nothing.
    """
    details = _find_details(payload, event) or ({} if ours else None)
    if details is None:
        return None
    from tokenstream.formats._kit.error_details import read_error

    return read_error(details, payload, ours=ours)


def _find_details(payload: JsonObject, event: str) -> JsonObject | str | None:
    """Return the object or text in a payload that describes an error; None if there is no error.

    Example:
        >>> _find_details({"error": "busy"}, ""), _find_details({"detail": "busy"}, "")
        ('busy', {'detail': 'busy'})
        >>> _find_details({"status": "processing", "message": "wait"}, "")
    """
    kind = payload.get("type")
    if kind and kind != "error" != event and _SIGNS_BESIDE_KINDS.isdisjoint(payload):
        # Nearly all payloads with a type are like this one.
        return None
    error = payload.get("error")
    if error and (is_dict(error) or isinstance(error, str)):
        return error
    get = payload.get
    if event == "error" or "error" in (kind, get("object"), get("event_type"), get("event")):
        return payload
    if not _SIGNS.isdisjoint(payload):
        return _find_unusual_details(payload)
    return None


def _find_unusual_details(payload: JsonObject) -> JsonObject | str | None:
    """Return what describes an error in a payload that has one of `_SIGNS`; None if there is no error."""
    # MiniMax repeats this object in regular payloads, with status code 0.
    base = payload.get("base_resp")
    if is_dict(base) and base.get("status_code"):
        return base
    kind = payload.get("type")
    # The type of a problem by RFC 9457 is a URI, and not the kind of an event.
    is_problem = isinstance(kind, str) and (kind == "about:blank" or "://" in kind)
    if "choices" in payload or "candidates" in payload or ("type" in payload and not is_problem):
        return None
    if len(payload) == 1:
        return _find_sole_details(payload)
    reasons = [name for name in payload if name in _REASON_FIELDS]
    if reasons:
        return payload if _says_failure(payload, reasons) else None
    return payload if payload.keys() <= _FIELDS_BESIDE_ERRORS and first_listed(payload) else None


def _find_sole_details(payload: JsonObject) -> JsonObject | str | None:
    """Return what describes an error in the only field of a payload; None if it is no error."""
    name, value = next(iter(payload.items()))
    if name in _SOLE_TEXTS and isinstance(value, str) and value:
        return payload
    if name in ("detail", "errors", "error") and is_list(value) and value:
        return payload
    if not is_dict(value):
        return None
    if name in ("detail", "fault"):
        return value
    # A gateway may put another layer around an error.
    error = value.get("error") if name in _LAYERS else None
    return error if error and (is_dict(error) or isinstance(error, str)) else None


def _says_failure(payload: JsonObject, reasons: list[str]) -> bool:
    """Return True if a field of a payload beside the reason says that a request has failed."""
    statuses = [payload.get(name) for name in STATUS_FIELDS]
    if any(isinstance(status, int) and status >= _LOWEST_ERROR_STATUS for status in statuses):
        return True
    if "title" in reasons and {*reasons} <= {"title", "detail"}:
        # A problem by RFC 9457 has a number; a step of an agent may have a title and a code or a state, too.
        return False
    if payload.get("success") is False or payload.get("error") is True or "__type" in payload:
        return True
    if any(isinstance(status, str) and status.casefold() in _FAILURES for status in statuses):
        return True
    code = next((str(payload[name]) for name in CODE_FIELDS if payload.get(name) is not None), "0")
    # Each service has numbers of its own for success, but their reasons are alike.
    words = [code, *[str(payload[name]) for name in reasons if isinstance(payload[name], str)]]
    # A code beside a detail alone may be that of a stage of the work.
    is_reason = bool(code.strip("0")) and reasons != ["detail"]
    return is_reason and all(text.casefold() not in _SUCCESSES for text in words)


def first_object(value: object) -> JsonObject | None:
    """Return an object, or the first one of an array, in which some servers send an error; else None."""
    if is_dict(value):
        return value
    return value[0] if is_list(value) and value and is_dict(value[0]) else None


def first_listed(details: JsonObject) -> JsonObject:
    """Return the first error in a list, such as FastAPI's `detail` or Cloudflare's `errors`; {} if none."""
    for name in ("detail", "errors", "error"):
        listed = details.get(name)
        if is_list(listed) and listed and is_dict(listed[0]):
            return listed[0]
    return {}


def is_vague(error: StreamError | None) -> TypeGuard[ProviderError]:
    """Return True for a provider's error that says nothing about itself."""
    if not isinstance(error, ProviderError) or error.provider_message or error.code:
        return False
    return error.type in (None, "error")


def more_telling(first: ErrorT | None, second: ErrorT | None) -> ErrorT | None:
    """Return the first of two errors, unless it says nothing about itself."""
    return second if second is not None and (first is None or is_vague(first)) else first


def is_aside(payload: JsonObject, event: str) -> bool:
    """Return True if the error in a payload is that of an event of some kind, and perhaps not of the answer.

    A payload that is nothing but an error, and an event that is named "error", are about the answer.
    """
    if payload.keys() == {"error"}:
        return False
    kinds = (event, *(payload.get(name) for name in _KIND_FIELDS))
    named = [kind.casefold() for kind in kinds if isinstance(kind, str) and kind]
    if not named or "error" in named:
        return False
    from tokenstream.formats._kit.error_details import error_kind

    # Quirk (several gateways, 2026-11): an error beside its own type, such as "server_error".
    kind = payload.get("type")
    is_class = isinstance(kind, str) and _match_class(kind) and error_kind(kind)[0] != "unknown"
    return not (is_class and isinstance(payload.get("error"), str) and not event)


def exception_error(name: str, payload: bytes, headers: JsonObject) -> ProviderError | ProtocolError | None:
    """Return the error for an exception message, or a `PIECE`, of a binary event stream; it is never None."""
    if name == PIECE:
        return ProtocolError(
            "the messages hold pieces of another body, as SageMaker sends it: pass boto3's response, or its "
            "`Body`, in place of the bytes"
        )
    try:
        decoded: object = decode(payload)
    except ProtocolError:
        decoded = None
    details = decoded if is_dict(decoded) else {}
    message = text_of(details, "message", "Message") or headers.get(":error-message")
    return provider_error({"error": {"code": name, "message": message, "details": details}})


def named_exception(payload: JsonObject) -> ProviderError | None:
    """Return the error of a payload whose only key is the name of an AWS exception, or None.

    Gateways translate exceptions of a binary event stream into such payloads.
    """
    name = next(iter(payload), "")
    details = payload.get(name)
    if len(payload) != 1 or not name.endswith("Exception") or not is_dict(details):
        return None
    return provider_error({"error": {**details, "code": name}})


def text_error(payload: bytes) -> ProviderError | None:
    """Return the error, never None, of an event named "error" with plain text, as proxies send it."""
    return provider_error({"error": {"message": str(payload[:4096], "utf-8", "replace")}}, "error")
