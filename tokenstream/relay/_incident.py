"""The record of a failure, made where it is caught.

What the reader, the log and the caller are told of the failure is read off it: the status and the body of a
response, the event that ends an answer, the line in the log.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tokenstream._basics.url import find_address
from tokenstream._connection.head import ResponseHead, lower_header_names
from tokenstream._sources.causes import cause_chain, is_of_sdk
from tokenstream._values.error_kinds import ERROR_KINDS, clause_for
from tokenstream._values.origin import Origin
from tokenstream.errors import (
    AnswerFailure,
    ConnectError,
    CostExceeded,
    GuardFailed,
    ProviderError,
    PurseUnavailable,
    StatusError,
    StreamStalled,
    TokenStreamError,
)
from tokenstream.stream._log import INFO, WARNING, describe_cause

if TYPE_CHECKING:
    from types import FrameType

    from tokenstream._basics.waits import HeaderFields

_GATEWAY_TIMEOUT = 504
_SENT_BY_STATUS = {429: 429, 503: 503, 529: 503, 408: _GATEWAY_TIMEOUT, 504: _GATEWAY_TIMEOUT}
"""Maps statuses of the provider, whatever its error's kind is, to the statuses to send."""
_OWN: dict[type[AnswerFailure], int] = {
    # The SDKs of providers ask again after 429 and 500, and not after 402.
    CostExceeded: 402,
    PurseUnavailable: 503,
    GuardFailed: 500,
}
"""The statuses of errors that are none of the provider's."""
BUG = "This server has made a mistake."
"""The sentence for readers about any exception of the application's."""
_INSTALLED = frozenset({"dist-packages", "site-packages"})
_PASSED = re.compile(
    r"(anyio|asgiref|daphne|ddtrace|django|elasticapm|fastapi|gunicorn|hypercorn|langfuse|langsmith|litestar"
    r"|logfire|newrelic|opentelemetry|quart|sentry_sdk|starlette|tokenstream|trio|uvicorn|wrapt"
    rf"|{'|'.join(sys.stdlib_module_names)})$"
)
"""Packages that only call an application: servers, frameworks, what traces, and the standard library."""


class Incident(NamedTuple):
    """A failure, judged once: what has happened, whose it is, and what may follow."""

    kind: str
    """The kind of the error, or a word of the relay's own."""
    whose: Literal["provider", "relay", "application", "reader"]
    """The one who has to mend it."""
    status: int
    message: str
    """The sentence for readers, which quotes nobody; "" for a response without a body."""
    cause: str = ""
    """The failure as the log has it, with the sentence of its error; "" if it is none for the log."""
    retryable: bool = False
    retry_after: float | None = None
    was_asked: bool = False
    """True if a model was asked, or may have been."""
    error: Exception | None = None
    level: int = WARNING
    """The level in the log: what readers cause as often as they like must not fill it with warnings."""
    headers: HeaderFields | None = None

    @property
    def may_repeat(self) -> bool:
        """True if a reader may send the question again unasked: this server has refused it for a moment."""
        return self.whose == "relay" and self.retryable and not self.was_asked


def judge_error(error: AnswerFailure) -> Incident:
    """Return the record of the error of an answer."""
    status, is_own = _status_of(error), type(error) in _OWN
    message = ERROR_KINDS[error.kind].refusal
    if is_own:
        clause = clause_for(type(error).__name__, error.kind)
        message = f"{clause[0].upper()}{clause[1:]}."
    elif status == _GATEWAY_TIMEOUT:
        message = "The provider did not answer in time."
    return Incident(
        error.kind,
        "application" if is_own else "relay" if error.kind == "shutdown" else "provider",
        status,
        message,
        describe_cause(error),
        error.retryable,
        error.retry_after,
        was_asked=not (isinstance(error, ConnectError) and error.stage == "connect"),
        error=error,
        level=INFO if isinstance(error, CostExceeded) else WARNING,
    )


def _status_of(error: AnswerFailure) -> int:
    """Return the HTTP status for an answer that failed before its first event.

    If the provider has refused this server's request, the status is 502 and not 4xx, because the
    client did nothing wrong.
    """
    # The exceptions of the HTTP clients have no common class, but names such as `ReadTimeout`.
    is_silent = isinstance(error, StreamStalled) or "timeout" in type(error.__cause__).__name__.lower()
    status = _OWN.get(type(error))
    if isinstance(error, StatusError):
        status = _SENT_BY_STATUS.get(error.status)
    elif is_silent and not isinstance(error, ProviderError):
        status = status or _GATEWAY_TIMEOUT
    return status or ERROR_KINDS[error.kind].refusal_status


# -- exceptions of the application's ----------------------------------------------


def judge_bug(error: Exception, given: object) -> Incident:
    """Return the record of an exception that the application has raised; `given` has made the answer."""
    cause = f"the application raised {describe_bug(error, given)}"
    return Incident("server", "application", 500, BUG, cause, was_asked=True, error=error)


def describe_bug(error: Exception, given: object = None) -> str:
    """Return the type of an exception, the application's line that has raised it, and our own words.

    A library raises most exceptions for its caller. The text of an exception may be private.
    """
    raised = raised_first(error)
    sentence = raised.sentence if isinstance(raised, TokenStreamError) else ""
    places = find_places(raised, given)
    if not places and not sentence:
        *_, last = walk_tb(raised.__traceback__)
        places = [last]
    at = [f" ({Path(frame.f_code.co_filename).name}:{line})" for frame, line in places[-1:]]
    return f"{type(raised).__name__}{''.join(at)}{sentence and f': {sentence}'}"


def raised_first(error: Exception) -> Exception:
    """Return the exception that was raised first, if a group of tasks has raised it in a group of its own."""
    inner: Any = getattr(error, "exceptions", ())
    return raised_first(inner[0]) if len(inner) == 1 and inner[0].__traceback__ is not None else error


def find_places(error: Exception, given: object) -> list[tuple[FrameType, int]]:
    """Return the frames of the application in which an exception was raised, and their lines.

    These are the frames of its package, which may be installed, and those of whatever was not installed.
    """
    places = [place for place in walk_tb(error.__traceback__) if not _PASSED.match(_package_of(place[0]))]
    package = _find_package([frame for frame, _ in places], given)
    return [place for place in places if _package_of(place[0]) == package or not _is_installed(place[0])]


def _find_package(frames: list[FrameType], given: object) -> str:
    """Return the package of the application: that of what it has given, or else of the outermost frame.

    A function has the name and the module of the one that it wraps; a generator has only the name.
    """
    given = getattr(given, "func", given)
    module = str(getattr(given, "__module__", "")).partition(".")[0]
    name = getattr(given, "__qualname__", "")
    packages = [*map(_package_of, frames)]
    named = [_package_of(frame) for frame in frames if frame.f_code.co_qualname == name]
    return module if module in packages else next(iter(named or packages), "")


def _package_of(frame: FrameType) -> str:
    # Code that was made at run time may have no module.
    return str(frame.f_globals.get("__name__") or "tokenstream").partition(".")[0]


def _is_installed(frame: FrameType) -> bool:
    # The code of an extension names a file that is not there, but its module does not.
    path = frame.f_globals.get("__file__") or frame.f_code.co_filename
    return not _INSTALLED.isdisjoint(re.split(r"[/\\]", path))


def find_asked(error: BaseException) -> Origin:
    """Return the host and the provider's id of the request that the exception of an SDK carries."""
    # The address of another request of the application's may be private.
    for each in filter(is_of_sdk, cause_chain(error)):
        response: Any = getattr(each, "response", None)
        # httpx raises a RuntimeError if there is no request.
        with suppress(AttributeError, RuntimeError):
            asked: Any = each if response is None else response
            address = find_address(str(asked.request.url))
            headers: Any = getattr(response, "headers", None) or {}
            head = ResponseHead(0, lower_header_names(headers.items()))
            return Origin(**address._asdict(), request_id=head.request_id)
    return Origin()
