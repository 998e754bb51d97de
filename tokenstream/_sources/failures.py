"""The conversion of exceptions from other libraries to errors of this library.

Exceptions are recognised by the names of their classes, so that no other library is imported.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict
from tokenstream._connection.status import status_error
from tokenstream._sources.boto3 import convert_aws_error
from tokenstream._sources.websocket import handshake_error, is_socket_closed, socket_closed_error
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
)
from tokenstream.formats._detect.unknown import find_error
from tokenstream.formats._kit.errors import provider_error
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.limits import Deadlines

_TRANSPORT_ERRORS = frozenset(
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
"""Base classes of the transport errors of httpx, http.client, urllib3, aiohttp, requests and SDKs."""
_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError", "Timeout", "APITimeoutError"})
_CODING_ERRORS = frozenset({"DecodingError", "ContentDecodingError", "DecodeError", "ContentEncodingError"})
_CONNECT_ERRORS = frozenset(
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
"""Exceptions that are raised before there is a connection."""
_REQUEST_FAULTS = {
    "InvalidURL": "its address is not a valid URL",
    "LocalProtocolError": "a header contains a forbidden character, such as a line break",
    "MissingSchema": "its address does not begin with http:// or https://",
    "UnsupportedProtocol": "its address does not begin with http:// or https://",
}
"""Maps exceptions to mistakes in the request, without quotations from the request, which may have a key."""
_MAX_CONTENT_TYPE = 100
"""Largest number of characters of a content type in a message."""
_UNKNOWN_HOST = frozenset({-2, -5, 7, 8, 11001, 11004})
"""Numbers of the errors of a look-up if the host name has no address.

These are EAI_NONAME and EAI_NODATA on Linux, macOS and Windows; EAI_AGAIN is only temporary.
"""
_NO_TLS_WORDS = (
    "WRONG_VERSION_NUMBER",
    "WRONG VERSION NUMBER",
    "RECORD_LAYER_FAILURE",
    "RECORD LAYER FAILURE",
)
"""Words in the errors of OpenSSL if the server does not use TLS."""
_MAX_CAUSES = 8
"""Largest number of exceptions in a chain of causes that are examined."""
_SDK_ERRORS = frozenset({"ApiError", "MistralError", "ResponseError"})
"""Exceptions of cohere, mistralai and ollama, which have a status but no response."""
_TEXT_GENERATION = {
    "GenerationError": "generation",
    "IncompleteGenerationError": "incomplete_generation",
    "OverloadedError": "overloaded",
    "ValidationError": "validation",
}
"""Maps exceptions of huggingface_hub to the error type that the server sent."""
_UNUSABLE_RESPONSES = frozenset(
    {"APIResponseValidationError", "ResponseValidationError", "UnknownApiResponseError"}
)
"""Exceptions of SDKs that cannot create their objects from a response."""
_UNREADABLE = _UNUSABLE_RESPONSES | {"JSONDecodeError", "UnicodeDecodeError", "ValidationError"}
"""Exceptions of SDKs that cannot create their objects, and the exceptions that cause them.

Used only for errors of reading: in errors of opening, these causes may concern the request instead.
"""
_QUOTED = re.compile(r"(?<!<class )[bB]?(['\"`]).*\1", re.DOTALL)
_ALREADY_READ = frozenset(
    {"ConcurrencyError", "ResponseNotRead", "StreamClosed", "StreamConsumed", "StreamConsumedError"}
)


def reading_error(
    error: Exception, read_deadlines: Deadlines | None, *, begun: bool
) -> StreamError | MisuseError:
    """Convert an exception that a source raised while it was read.

    The exception becomes the `__cause__` of the returned error.

    Args:
        error: The exception.
        read_deadlines: The deadlines that set the read timeout; None if the client is the caller's own.
        begun: True if a first event has arrived.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _class_names(error)
    converted: StreamError | MisuseError
    if "MidStreamFallbackError" in names:
        # litellm wraps the exception of a provider's SDK.
        converted = _convert_cause(error, read_deadlines, begun=begun)
    elif names & _ALREADY_READ:
        converted = MisuseError(
            f"the response was already read or closed ({type(error).__name__}); pass it unread"
        )
    elif isinstance(error, ImportError):
        converted = _missing_package_error(error)
    elif _is_timeout(error):
        # The timeout was set by the caller's client, or derived from one of our deadlines.
        deadline = "idle_bytes" if begun else "first_event"
        limit = "transport" if read_deadlines is None else deadline
        converted = StreamStalled(
            f"nothing arrived within the client's read timeout ({_describe(error)}); "
            "what had arrived is in .partial",
            limit=limit,
        )
    elif _chain_class_names(error) & _CODING_ERRORS:
        converted = ProtocolError(
            f"the body's compression is broken ({_describe(error)}); ask for Accept-Encoding: identity"
        )
    else:
        converted = (
            _convert_refusal(error, names)
            or _convert_provider_error(error, names)
            or _convert_unknown(error, names)
        )
    converted.__cause__ = error
    return converted


def _convert_unknown(error: Exception, names: set[str]) -> StreamError:
    """Return the error for an exception that none of the other functions converts."""
    if names & _UNREADABLE:
        return _unreadable_error(error)
    is_transport = _is_transport(error)
    return StreamInterrupted(
        f"the {'connection' if is_transport else 'source'} broke ({_describe(error)}); "
        "what had arrived is in .partial",
        kind="network" if is_transport else "unknown",
    )


def _missing_package_error(error: ImportError) -> MisuseError:
    """Return the error for a package that is needed but not installed."""
    named = f"the package {error.name!r}" if error.name else f"a package ({type(error).__name__})"
    return MisuseError(f"{named} is needed here and cannot be imported: install it")


def _convert_cause(
    error: Exception, read_deadlines: Deadlines | None, *, begun: bool
) -> StreamError | MisuseError:
    """Convert a litellm exception that wraps another exception; the result is about the wrapped one."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, Exception):
        return StreamInterrupted(f"the source broke ({_describe(error)}); what had arrived is in .partial")
    converted = reading_error(cause, read_deadlines, begun=begun)
    if isinstance(converted, StreamInterrupted) and _status_of(cause) >= 400:
        # The class of the exception is not known, but its status means an error of the provider.
        details = {"message": _message_of(cause), "code": _status_of(cause)}
        converted = provider_error({"error": details}) or converted
    return converted


def opening_error(
    error: Exception, server: str, read_deadlines: Deadlines | None = None
) -> StreamError | MisuseError:
    """Convert an exception that was raised while a source was opened, before there was a response.

    The exception becomes the `__cause__` of the returned error.

    Args:
        error: The exception.
        server: The host of the request, or "the server".
        read_deadlines: The deadlines that set the read timeout; None if the client is the caller's own.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _class_names(error)
    converted = (
        _convert_refusal(error, names)
        or _convert_provider_error(error, names)
        or _convert_opening(error, names, server, read_deadlines)
    )
    converted.__cause__ = error
    return converted


def _convert_opening(
    error: Exception, names: set[str], server: str, read_deadlines: Deadlines | None
) -> StreamError | MisuseError:
    """Return the error for an exception of opening a source, if no other function has converted it."""
    if "TooManyRedirects" in names:
        return ConnectError(f"{server} redirects endlessly; check the address", stage="head", retryable=False)
    if isinstance(error, ImportError):
        return _missing_package_error(error)
    fault = _find_request_fault(error, names)
    if fault:
        return MisuseError(f"the request cannot be made: {fault}")
    # SDKs and requests wrap the exception whose class shows if there was a connection already.
    had_no_connection = bool(_chain_class_names(error) & _CONNECT_ERRORS)
    if _is_timeout(error) and not had_no_connection:
        limit = "first_event" if read_deadlines is not None else "transport"
        return StreamStalled(f"no response came from {server} ({_describe(error)})", limit=limit)
    if not had_no_connection and not _is_transport(error):
        return MisuseError(f"the source cannot be opened: {_describe(error)}")
    cause = _describe_chain(error)[-1]
    advice = _find_advice(error)
    description = (
        f"no connection to {server} ({cause})"
        if had_no_connection
        else f"{server} was reached but gave no response ({cause})"
    )
    return ConnectError(
        f"{description}; {advice}" if advice else description,
        stage="connect" if had_no_connection else "head",
        retryable=not advice,
    )


def _find_advice(error: Exception) -> str:
    """Return advice for a connection that would fail again; "" if another attempt may succeed."""
    for each in _cause_chain(error):
        if "gaierror" in _class_names(each) and getattr(each, "errno", None) in _UNKNOWN_HOST:
            return "the host name has no address: check it"
        reason = _message_of(each).upper() if _is_connection(each) else ""
        if "CERTIFICATE" in reason:
            return "the certificate is not trusted: check the address, and what the client trusts"
        if any(word in reason for word in _NO_TLS_WORDS):
            return "the server at that port does not speak TLS: check the port, or use http://"
    return ""


def unsendable_request_error(error: Exception, names: Iterable[str]) -> MisuseError:
    """Return the error for a request that an httpx or httpx2 client refuses to send.

    The message contains no quoted values, because one of them may be a key. If the message of
    the client's exception contains any, that exception does not become the `__cause__`.

    Args:
        error: The client's exception.
        names: Names of the request's options, which may be quoted.
    """
    message = _without_quotes(_message_of(error), frozenset(names))
    if not any(map(str.isalpha, message)):
        # Without its quotations, the message is empty.
        message = type(error).__name__
    fault = _find_request_fault(error, _class_names(error))
    misuse = MisuseError(f"the request cannot be made: {f'{fault} ({message})' if fault else message}")
    if message == _message_of(error):
        # The exception's own message has no quotations.
        misuse.__cause__ = error
    return misuse


def _find_request_fault(error: Exception, names: set[str]) -> str:
    """Return a description of the mistake in a request that cannot be sent; "" if it is not known."""
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return "a header contains a character that is not ASCII"
    request: Any = getattr(error, "_request", None)
    headers: dict[str, str] = {} if request is None else dict(request.headers)
    for name, value in headers.items():
        is_invalid = value != value.strip() or not value.isprintable()
        if is_invalid and "LocalProtocolError" in names:
            return (
                f"the value of its header {name!r} begins or ends with white space, "
                "or contains a control character: .strip() it"
            )
    return next((fault for name, fault in _REQUEST_FAULTS.items() if name in names), "")


def _convert_refusal(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a library's exception about a response that is not a readable stream; else return None."""
    if names & _UNUSABLE_RESPONSES:
        return _unreadable_error(error)
    if "SSEError" in names:
        return NotAStream(
            "the server answered with a content type other than text/event-stream, which the library that "
            "reads the answer refuses; check what the server sends at that address"
        )
    return None


def _unreadable_error(error: Exception) -> ProtocolError:
    name = type(error).__name__
    msg = f"the SDK could not read what the server sent ({name}); what had arrived is in .partial"
    return ProtocolError(msg)


def _convert_provider_error(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a library's exception for an error that the provider reported; else return None."""
    response: Any = getattr(error, "response", None)
    aws_error = convert_aws_error(error, names)
    if aws_error is not None:
        return aws_error
    if is_socket_closed(error):
        return socket_closed_error(error)
    if "InvalidStatus" in names:
        return handshake_error(response)
    if names & {"APIStatusError", "HTTPStatusError", "HTTPError"} and _status_of(response) >= 400:
        return status_error(
            response.status_code, dict(response.headers), _body_of(response) or _body_in_exception(error)
        )
    # If a response is not HTTP, aiohttp's exception has the status 400, too.
    is_http_error = "ClientResponseError" in names and "HttpProcessingError" not in _chain_class_names(error)
    if is_http_error and _status_of(error) >= 400:
        headers: Any = getattr(error, "headers", None) or {}
        return status_error(_status_of(error), dict(headers))
    if names & _SDK_ERRORS and (_status_of(error) or "ResponseError" in names):  # ollama's has no status
        return _convert_sdk_error(error)
    if "TextGenerationError" in names:
        kinds = [kind for name, kind in _TEXT_GENERATION.items() if name in names]
        return provider_error(
            {"error": _message_of(error) or "no words", "error_type": kinds[0] if kinds else None}
        )
    if "APIError" in names and is_dict(getattr(error, "details", None)):
        # This is google-genai's class; other SDKs have classes of the same name.
        return _convert_google_error(error, response)
    if "APIError" in names and "APIConnectionError" not in names:
        # An SDK such as openai's raises it for an error event in the stream.
        body: object = getattr(error, "body", None)
        details = body.get("error", body) if is_dict(body) else {"message": _message_of(error)}
        return provider_error({"error": details}, "error")
    return None


def _convert_sdk_error(error: Any) -> StreamError | None:  # noqa: ANN401 - an exception of an SDK
    """Convert an SDK's exception without a response, but with a status or an error body; else return None."""
    body: object = getattr(error, "body", None)
    if body is None:
        # ollama has only the error of the body.
        body = {"error": getattr(error, "error", None)}
    if _status_of(error) >= 400:
        text = body if isinstance(body, str) else json.dumps(body, default=str)
        return status_error(_status_of(error), _headers_of(error), text.encode())
    if isinstance(body, str):
        error_in_body = find_error(body.encode(), DEFAULT_LIMITS)
    else:
        error_in_body = provider_error(body) if is_dict(body) else None
    # Without a status, the exception is not about a response.
    return error_in_body or (_sdk_refusal_error(error, body) if _status_of(error) else None)


def _sdk_refusal_error(error: Any, body: object) -> NotAStream:  # noqa: ANN401 - an exception of an SDK
    """Return the error for a response with a status below 400 that an SDK refuses as a stream."""
    kind = _headers_of(error).get("content-type") or "no content type"
    return NotAStream(
        f"the server answered with status {_status_of(error)}, but with a body that the SDK does not accept "
        f"as a stream ({kind[:_MAX_CONTENT_TYPE]}); the start of it is in .body",
        body=body[: DEFAULT_LIMITS.tail] if isinstance(body, str) else "",
    )


def _headers_of(error: Any) -> dict[str, str]:  # noqa: ANN401 - an exception of an SDK
    """Return the headers of the response that led to an exception; an empty dict if they are not known."""
    # ollama raises its exception "from None", but its context is the client's exception with the response.
    response: object = getattr(error.__context__, "response", None)
    return dict(getattr(error, "headers", None) or getattr(response, "headers", None) or {})


def _convert_google_error(error: Any, response: Any) -> StreamError | None:  # noqa: ANN401 - of google-genai
    """Convert a google-genai exception, whose `details` are the response's body or only its "error"."""
    if _status_of(response) >= 400:
        body = json.dumps(error.details, default=str).encode()
        return status_error(_status_of(response), dict(response.headers), body)
    return provider_error(error.details) or provider_error({"error": error.details})


def _body_of(response: Any) -> bytes:  # noqa: ANN401 - a response of httpx, httpx2 or requests
    """Return the body of a response with an error status; b"" if it is not available."""
    # A response of requests, which has no `is_stream_consumed`, reads its body when asked for `content`.
    if not getattr(response, "is_stream_consumed", hasattr(response, "iter_content")):
        return b""
    try:
        content: bytes = response.content
    except (RuntimeError, OSError):
        # The body was read elsewhere, or cannot be read to its end.
        return b""
    return content


def _body_in_exception(error: Exception) -> bytes:
    """Return the body kept in an exception of openai or anthropic, as JSON with a key "error"; else b""."""
    body: object = getattr(error, "body", None)
    if is_dict(body):
        body = json.dumps(body if "error" in body else {"error": body}, default=str)
    return body.encode() if isinstance(body, str) else b""


def _status_of(response: object) -> int:
    """Return the HTTP status of a response or an exception; 0 if it has none."""
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return status if isinstance(status, int) else 0


def _class_names(error: BaseException) -> set[str]:
    """Return the names of an exception's class and its base classes, so that no library is imported."""
    return {kind.__name__ for kind in type(error).__mro__}


def _chain_class_names(error: BaseException) -> set[str]:
    """Return the names of the classes of an exception and of its causes, with their base classes."""
    return {name for each in _cause_chain(error) for name in _class_names(each)}


def _cause_chain(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, the innermost last."""
    chain = [error]
    while len(chain) < _MAX_CAUSES:
        cause = chain[-1].__cause__ or chain[-1].__context__
        if cause is None:
            break
        chain.append(cause)
    return chain


def _is_transport(error: BaseException) -> bool:
    return isinstance(error, OSError) or bool(_class_names(error) & _TRANSPORT_ERRORS)


def _is_timeout(error: BaseException) -> bool:
    """Return True if an exception is a timeout, or a transport error that wraps a timeout.

    The `__context__` does not count, because that exception need not be the cause.
    """
    cause: object = error
    for _ in range(_MAX_CAUSES):
        if not isinstance(cause, BaseException):
            return False
        if _class_names(cause) & _TIMEOUTS:
            return True
        if not _is_transport(cause):
            return False
        # requests passes the inner exception as an argument of its own, instead of setting the cause.
        cause = cause.__cause__ or next(iter(cause.args), None)
    return False


def _describe_chain(error: BaseException) -> list[str]:
    """Return the description of an exception, then those of its causes that concern the connection."""
    causes = [cause for cause in _cause_chain(error)[1:] if _is_connection(cause) and _message_of(cause)]
    return [_describe(each) for each in (error, *causes)]


def _is_connection(error: BaseException) -> bool:
    return _is_transport(error) or bool(_class_names(error) & (_CONNECT_ERRORS | _TIMEOUTS))


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the error still counts if its `__str__` fails
        return ""


def _describe(error: BaseException) -> str:
    """Return the class name of an exception, with the message if the exception concerns the connection.

    The messages of other exceptions may contain a part of the payload: those of pydantic, for
    example, quote the invalid value.
    """
    # The message of http.client's BadStatusLine is left out, too, since it quotes the server's line.
    quotes_server = not isinstance(error, OSError) and "BadStatusLine" in _class_names(error)
    has_safe_message = _is_connection(error) and not quotes_server
    message = _without_quotes(_message_of(error)) if has_safe_message else ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _without_quotes(message: str, harmless: frozenset[str] = frozenset()) -> str:
    """Return an exception's message with "…" in place of quotations, which may be a key or a payload.

    Args:
        message: The message.
        harmless: Words that stay even if they are quoted.
    """
    return _QUOTED.sub(lambda quote: quote[0] if quote[0].strip("'\"`") in harmless else "…", message)
