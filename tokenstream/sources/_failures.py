"""Converts the exceptions of sources to errors of this library.

Exceptions are recognised by the names of their classes, so that no other library
has to be imported.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict
from tokenstream._connection.status import status_error
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
)
from tokenstream.formats._detect.seen import find_error
from tokenstream.formats._kit.errors import provider_error
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.sources._boto3 import convert_aws_error
from tokenstream.sources._websocket import handshake_error, is_socket_closed, socket_closed_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.limits import Deadlines

_TRANSPORT = frozenset(
    {
        "TransportError",
        "HTTPException",
        "HTTPError",
        "ClientError",
        "ConnectionError",
        "APIConnectionError",
        "InvalidHandshake",
    }
)
"""Base classes of transport errors: httpx, http.client, urllib3, aiohttp, requests, the SDKs."""
_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError", "Timeout", "APITimeoutError"})
_CODINGS = frozenset({"DecodingError", "ContentDecodingError", "DecodeError", "ContentEncodingError"})
_CONNECTING = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "ConnectionTimeoutError",
        "NewConnectionError",
        "PoolTimeout",
        "ProxyError",
    }
)
"""Errors raised before there is a connection."""
_IMPOSSIBLE = {
    "InvalidURL": "its address is not a valid URL",
    "LocalProtocolError": "a header contains a forbidden character, such as a line break",
    "MissingSchema": "its address does not begin with http:// or https://",
    "UnsupportedProtocol": "its address does not begin with http:// or https://",
}
"""Faults of a request, in words that quote nothing of it, since a header may be a key."""
_MOST_WORD = 100
"""Characters of a content type that a message shows."""
_UNKNOWN_HOST = frozenset({-2, -5, 7, 8, 11001, 11004})
"""Errors of a host look-up for a name without an address: EAI_NONAME and EAI_NODATA of Linux, macOS
and Windows; not EAI_AGAIN, which is temporary."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "WRONG VERSION NUMBER", "RECORD_LAYER_FAILURE", "RECORD LAYER FAILURE")
"""OpenSSL's words for a server that does not speak TLS."""
_MOST_BENEATH = 8
"""Number of causes in a chain that are examined."""
_SAID = frozenset({"ApiError", "MistralError", "ResponseError"})
"""Errors of SDKs with a status but no response: cohere, mistralai, ollama."""
_TEXT_GENERATION = {
    "GenerationError": "generation",
    "IncompleteGenerationError": "incomplete_generation",
    "OverloadedError": "overloaded",
    "ValidationError": "validation",
}
"""Errors of huggingface_hub, and the error type that the server named."""
_UNFIT = frozenset({"APIResponseValidationError", "ResponseValidationError", "UnknownApiResponseError"})
"""Errors of SDKs that cannot build their objects from a response."""
_UNREADABLE = _UNFIT | {"JSONDecodeError", "UnicodeDecodeError", "ValidationError"}
"""The same and their causes, while reading; while opening, such causes may be about the request."""
_QUOTED = re.compile(r"(?<!<class )[bB]?(['\"`]).*\1", re.DOTALL)
_READ_BEFORE = frozenset(
    {"ConcurrencyError", "ResponseNotRead", "StreamClosed", "StreamConsumed", "StreamConsumedError"}
)


def reading_failed(error: Exception, waits: Deadlines | None, *, begun: bool) -> StreamError | MisuseError:
    """Convert an exception that a source raised while it was read; it becomes the `__cause__`.

    Args:
        error: The exception.
        waits: The deadlines that the read timeout was derived from; None for a caller's client.
        begun: True if a first event has arrived.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _names(error)
    found: StreamError | MisuseError
    if "MidStreamFallbackError" in names:
        found = _convert_cause(error, waits, begun=begun)
    elif names & _READ_BEFORE:
        found = MisuseError(
            f"the response was already read or closed ({type(error).__name__}); pass it unread"
        )
    elif isinstance(error, ImportError):
        found = _missing_package(error)
    elif _is_timeout(error):
        limit = "transport" if waits is None else "idle_bytes" if begun else "first_event"
        found = StreamStalled(
            f"nothing arrived within the client's read timeout ({_describe(error)}); "
            "what had arrived is in .partial",
            limit=limit,
        )
    elif _names_beneath(error) & _CODINGS:
        found = ProtocolError(
            f"the body's compression is broken ({_describe(error)}); ask for Accept-Encoding: identity"
        )
    else:
        found = (
            _convert_refusal(error, names)
            or _convert_provider_error(error, names)
            or _convert_unknown(error, names)
        )
    found.__cause__ = error
    return found


def _convert_unknown(error: Exception, names: set[str]) -> StreamError:
    """Return the error for an unknown exception of a source."""
    if names & _UNREADABLE:
        return _unreadable(error)
    transport = _is_transport(error)
    return StreamInterrupted(
        f"the {'connection' if transport else 'source'} broke ({_describe(error)}); "
        "what had arrived is in .partial",
        kind="network" if transport else "unknown",
    )


def _missing_package(error: ImportError) -> MisuseError:
    """Return the error for a package that is needed but not installed."""
    named = f"the package {error.name!r}" if error.name else f"a package ({type(error).__name__})"
    return MisuseError(f"{named} is needed here and cannot be imported: install it")


def _convert_cause(error: Exception, waits: Deadlines | None, *, begun: bool) -> StreamError | MisuseError:
    """Convert an exception of litellm by the underlying one that it wraps."""
    beneath = error.__cause__ or error.__context__
    if not isinstance(beneath, Exception):
        return StreamInterrupted(f"the source broke ({_describe(error)}); what had arrived is in .partial")
    found = reading_failed(beneath, waits, begun=begun)
    if isinstance(found, StreamInterrupted) and _status_of(beneath) >= 400:
        said = {"message": _words(beneath), "code": _status_of(beneath)}
        found = provider_error({"error": said}) or found
    return found


def opening_failed(error: Exception, where: str, waits: Deadlines | None = None) -> StreamError | MisuseError:
    """Convert an exception that was raised instead of giving a response; it becomes the `__cause__`.

    Args:
        error: The exception.
        where: The host of the request, or "the server".
        waits: The deadlines that the read timeout was derived from; None for a caller's client.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _names(error)
    found = (
        _convert_refusal(error, names)
        or _convert_provider_error(error, names)
        or _convert_opening(error, names, where, waits)
    )
    found.__cause__ = error
    return found


def _convert_opening(
    error: Exception, names: set[str], where: str, waits: Deadlines | None
) -> StreamError | MisuseError:
    if "TooManyRedirects" in names:
        return ConnectError(f"{where} redirects endlessly; check the address", stage="head", retryable=False)
    if isinstance(error, ImportError):
        return _missing_package(error)
    impossible = _find_request_fault(error, names)
    if impossible:
        return MisuseError(f"the request cannot be made: {impossible}")
    # SDKs and requests wrap the exception that says in which phase it happened.
    connecting = bool(_names_beneath(error) & _CONNECTING)
    if _is_timeout(error) and not connecting:
        limit = "first_event" if waits is not None else "transport"
        return StreamStalled(f"no response came from {where} ({_describe(error)})", limit=limit)
    if not connecting and not _is_transport(error):
        return MisuseError(f"the source cannot be opened: {_describe(error)}")
    what = _reasons(error)[-1]
    hint = _hint(error)
    said = (
        f"no connection to {where} ({what})"
        if connecting
        else f"{where} was reached but gave no response ({what})"
    )
    return ConnectError(
        f"{said}; {hint}" if hint else said, stage="connect" if connecting else "head", retryable=not hint
    )


def _hint(error: Exception) -> str:
    """Return advice on a connection that would fail again; "" if another attempt may succeed."""
    for each in _chain(error):
        if "gaierror" in _names(each) and getattr(each, "errno", None) in _UNKNOWN_HOST:
            return "the host name has no address: check it"
        reason = _words(each).upper() if _is_connection(each) else ""
        if "CERTIFICATE" in reason:
            return "the certificate is not trusted: check the address, and what the client trusts"
        if any(word in reason for word in _NO_TLS):
            return "the server at that port does not speak TLS: check the port, or use http://"
    return ""


def unsendable_request(error: Exception, names: Iterable[str]) -> MisuseError:
    """Return the error for a request that a client of httpx or httpx2 refuses to send.

    It quotes nothing, since that may be a key; if the client's exception does, it is not
    set as the `__cause__` either.

    Args:
        error: The client's exception.
        names: Words that may be quoted all the same: the names of the request's options.
    """
    words = _without_quotes(_words(error), frozenset(names))
    if not any(map(str.isalpha, words)):
        # Nothing is left without the quotes.
        words = type(error).__name__
    impossible = _find_request_fault(error, _names(error))
    found = MisuseError(f"the request cannot be made: {f'{impossible} ({words})' if impossible else words}")
    if words == _words(error):
        found.__cause__ = error
    return found


def _find_request_fault(error: Exception, names: set[str]) -> str:
    """Return the fault of a request that cannot be sent; "" if it is unknown."""
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return "a header contains a character that is not ASCII"
    request: Any = getattr(error, "_request", None)
    headers: dict[str, str] = {} if request is None else dict(request.headers)
    for name, value in headers.items():
        if "LocalProtocolError" in names and (value != value.strip() or not value.isprintable()):
            return (
                f"the value of its header {name!r} begins or ends with white space, "
                "or contains a control character: .strip() it"
            )
    return "".join(words for name, words in _IMPOSSIBLE.items() if name in names)


def _convert_refusal(error: Exception, names: set[str]) -> StreamError | None:
    """Convert an exception of a library that refuses the response as a stream; None for any other."""
    if names & _UNFIT:
        return _unreadable(error)
    if "SSEError" in names:
        return NotAStream(
            "the server answered with a content type other than text/event-stream, which the library that "
            "reads the answer refuses; check what the server sends at that address"
        )
    return None


def _unreadable(error: Exception) -> ProtocolError:
    return ProtocolError(
        f"the SDK could not read what the server sent ({type(error).__name__}); "
        "what had arrived is in .partial"
    )


def _convert_provider_error(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a library's exception that stands for an error reported by the provider; else None."""
    response: Any = getattr(error, "response", None)
    said_by_aws = convert_aws_error(error, names)
    if said_by_aws is not None:
        return said_by_aws
    if is_socket_closed(error):
        return socket_closed_error(error)
    if "InvalidStatus" in names:
        return handshake_error(response)
    if names & {"APIStatusError", "HTTPStatusError", "HTTPError"} and _status_of(response) >= 400:
        return status_error(
            response.status_code, dict(response.headers), _body_of(response) or _body_told(error)
        )
    # aiohttp also gives status 400 to a response that is not HTTP.
    refused = "ClientResponseError" in names and "HttpProcessingError" not in _names_beneath(error)
    if refused and _status_of(error) >= 400:
        headers: Any = getattr(error, "headers", None) or {}
        return status_error(_status_of(error), dict(headers))
    if names & _SAID and (_status_of(error) or "ResponseError" in names):
        return _convert_sdk_error(error)
    if "TextGenerationError" in names:
        kinds = [kind for name, kind in _TEXT_GENERATION.items() if name in names]
        return provider_error(
            {"error": _words(error) or "no words", "error_type": kinds[0] if kinds else None}
        )
    if "APIError" in names and is_dict(getattr(error, "details", None)):
        return _convert_google_error(error, response)
    if "APIError" in names and not names & {"APIConnectionError"}:
        body: object = getattr(error, "body", None)
        said = body.get("error", body) if is_dict(body) else {"message": _words(error)}
        return provider_error({"error": said}, "error")
    return None


def _convert_sdk_error(error: Any) -> StreamError | None:  # noqa: ANN401 - an exception of an SDK
    """Convert an exception that holds a status and the body's content, but no response."""
    body: object = getattr(error, "body", None)
    if body is None:
        body = {"error": getattr(error, "error", None)}
    if _status_of(error) < 400:
        if isinstance(body, str):
            said_within = find_error(body.encode(), DEFAULT_LIMITS)
        else:
            said_within = provider_error(body) if is_dict(body) else None
        return said_within or (_sdk_refusal(error, body) if _status_of(error) else None)
    said = body if isinstance(body, str) else json.dumps(body, default=str)
    return status_error(_status_of(error), _headers_of(error), said.encode())


def _sdk_refusal(error: Any, body: object) -> NotAStream:  # noqa: ANN401 - an exception of an SDK
    """Return the error for a response that an SDK refuses as a stream in spite of its good status."""
    kind = _headers_of(error).get("content-type") or "no content type"
    return NotAStream(
        f"the server answered with status {_status_of(error)}, but with a body that the SDK does not accept "
        f"as a stream ({kind[:_MOST_WORD]}); the start of it is in .body",
        body=body[: DEFAULT_LIMITS.tail] if isinstance(body, str) else "",
    )


def _headers_of(error: Any) -> dict[str, str]:  # noqa: ANN401 - an exception of an SDK
    """Return the headers of the response that an exception is about."""
    # ollama raises its exception "from None", but the client's one, with the response, is its context.
    beneath: object = getattr(error.__context__, "response", None)
    return dict(getattr(error, "headers", None) or getattr(beneath, "headers", None) or {})


def _convert_google_error(error: Any, response: Any) -> StreamError | None:  # noqa: ANN401 - of google-genai
    """Convert an exception of google-genai, which holds the body's content."""
    if _status_of(response) >= 400:
        said = json.dumps(error.details, default=str).encode()
        return status_error(_status_of(response), dict(response.headers), said)
    return provider_error(error.details) or provider_error({"error": error.details})


def _body_of(response: Any) -> bytes:  # noqa: ANN401 - a response of httpx, httpx2 or requests
    """Return the body of a response with an error status; b"" if it is not available."""
    if not getattr(response, "is_stream_consumed", hasattr(response, "iter_content")):
        return b""
    try:
        content: bytes = response.content
    except (RuntimeError, OSError):
        # It was consumed elsewhere, or cannot be read to its end.
        return b""
    return content


def _body_told(error: Exception) -> bytes:
    """Return the content that an SDK's exception has kept of a body that the SDK has consumed."""
    told: object = getattr(error, "body", None)
    if is_dict(told):
        # openai's and anthropic's exceptions keep either the whole body or only its "error".
        told = json.dumps(told if "error" in told else {"error": told}, default=str)
    return told.encode() if isinstance(told, str) else b""


def _status_of(response: object) -> int:
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return status if isinstance(status, int) else 0


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _names_beneath(error: BaseException) -> set[str]:
    """Return the names of the classes of an error and of its causes."""
    return {name for each in _chain(error) for name in _names(each)}


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, the innermost last."""
    chain = [error]
    while len(chain) < _MOST_BENEATH:
        beneath = chain[-1].__cause__ or chain[-1].__context__
        if beneath is None:
            break
        chain.append(beneath)
    return chain


def _is_transport(error: BaseException) -> bool:
    return isinstance(error, OSError) or bool(_names(error) & _TRANSPORT)


def _is_timeout(error: BaseException) -> bool:
    """Return True if an error is a read timeout, or wraps one.

    Its `__context__` does not count: that exception was merely being handled at the time.
    """
    beneath: object = error
    for _ in range(_MOST_BENEATH):
        if not isinstance(beneath, BaseException):
            return False
        if _names(beneath) & _TIMEOUTS:
            return True
        if not _is_transport(beneath):
            return False
        # requests puts the inner error into the arguments of its own, instead of setting the cause.
        beneath = beneath.__cause__ or next(iter(beneath.args), None)
    return False


def _reasons(error: BaseException) -> list[str]:
    """Return an error's description, then those of its causes that concern the connection."""
    beneath = [each for each in _chain(error)[1:] if _is_connection(each) and _words(each)]
    return [_describe(each) for each in (error, *beneath)]


def _is_connection(error: BaseException) -> bool:
    return _is_transport(error) or bool(_names(error) & (_CONNECTING | _TIMEOUTS))


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the error still counts if its `__str__` fails
        return ""


def _describe(error: BaseException) -> str:
    """Return an error's class name, with its message if it concerns the connection.

    Messages of other errors may contain the payload: pydantic's show the invalid value.
    """
    # http.client's BadStatusLine quotes the server's line, so its words are left out, too.
    speaks = _is_connection(error) and (isinstance(error, OSError) or "BadStatusLine" not in _names(error))
    words = _without_quotes(_words(error)) if speaks else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _without_quotes(words: str, but: frozenset[str] = frozenset()) -> str:
    """Return an exception's message without its quotations, which may be a key or a payload.

    Args:
        words: The message.
        but: Words that may be quoted.
    """
    return _QUOTED.sub(lambda found: found[0] if found[0].strip("'\"`") in but else "…", words)
