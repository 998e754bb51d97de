"""The conversion of exceptions from other libraries to errors of this library.

Exceptions are recognised by the names of their classes, so that no other library is imported.
"""

from __future__ import annotations

import json
from typing import Any

from tokenstream._basics.error_marks import add_notice
from tokenstream._basics.kept_errors import FunctionFailed, mark_given
from tokenstream._basics.untrusted import is_dict
from tokenstream._basics.visible import SecretMask, str_of
from tokenstream._connection.status import status_error
from tokenstream._sources.causes import (
    CONNECT_ERRORS,
    chain_class_names,
    class_names,
    describe,
    describe_chain,
    find_advice,
    find_foreign,
    find_pool_advice,
    find_request_fault,
    find_server_advice,
    is_of_sdk,
    is_timeout,
    is_transport,
    name_package,
)
from tokenstream._sources.requests import convert_aws_error
from tokenstream._sources.websocket import handshake_error, is_socket_closed, socket_closed_error
from tokenstream.errors import (
    ConnectError,
    ErrorKind,
    MisuseError,
    NotAStream,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.formats._detect.unknown import find_error
from tokenstream.formats._kit.errors import first_object, provider_error
from tokenstream.limits import DEFAULT_LIMITS, Deadlines

_CODING_ERRORS = frozenset({"DecodingError", "ContentDecodingError", "DecodeError", "ContentEncodingError"})
_MAX_CONTENT_TYPE = 100
"""Largest number of characters of a content type in a message."""
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
_NO_SECRETS = SecretMask()
"""The mask for a request whose secrets are not known."""
_ENDED_LOOP = ("Event loop is closed", "Timeout context manager should be used inside a task")
"""Words of asyncio and of aiohttp for an answer that is read in a later event loop than its own."""
_ENDS = frozenset({"StopAsyncIteration", "StopIteration"})
_ALREADY_READ = frozenset(
    {"ConcurrencyError", "ResponseNotRead", "StreamClosed", "StreamConsumed", "StreamConsumedError"}
)


def reading_error(
    error: Exception, read_deadlines: Deadlines | None, mask: SecretMask = _NO_SECRETS, *, begun: bool
) -> StreamError | MisuseError:
    """Convert an exception that a source raised while it was read, perhaps before a first event.

    The exception, as the mask shows it, becomes the `__cause__` of the returned error. The deadlines are
    those that set the read timeout; None if the client is the caller's own.
    """
    if isinstance(error, StreamError | MisuseError):
        return mark_given(error)
    names = class_names(error)
    causes = chain_class_names(error)
    converted: StreamError | MisuseError
    if "MidStreamFallbackError" in causes and causes & _ENDS:
        # litellm raises it where the provider's stream ends without a finish reason.
        converted = StreamTruncated(
            f"litellm's source ended before the end of the answer ({describe(error, mask)}); "
            "what had arrived is in .partial"
        )
    elif "MidStreamFallbackError" in names:
        # litellm wraps the exception of a provider's SDK.
        converted = _convert_cause(error, read_deadlines, mask, begun=begun)
    elif names & _ALREADY_READ:
        converted = MisuseError(
            f"the response was already read or closed ({type(error).__name__}); pass it unread"
        )
    elif isinstance(error, ImportError):
        converted = MisuseError(name_package(error))
    elif is_timeout(error):
        # The timeout was set by the caller's client, or derived from one of our deadlines.
        deadline = "idle_bytes" if begun else "first_event"
        limit = "transport" if read_deadlines is None else deadline
        converted = StreamStalled(
            f"nothing arrived within the client's read timeout ({describe(error, mask)}); "
            "what had arrived is in .partial",
            limit=limit,
        )
    elif causes & _CODING_ERRORS:
        converted = ProtocolError(
            f"the body's compression is broken ({describe(error, mask)}); ask for Accept-Encoding: identity"
        )
    else:
        converted = _convert_refusal(error, names) or _convert_unknown(error, names, mask)
    converted.__cause__ = mask.mask_error(error)
    return converted


def _convert_unknown(error: Exception, names: set[str], mask: SecretMask) -> StreamError:
    if names & _UNREADABLE:
        return _unreadable_error(error)
    if isinstance(error, RuntimeError) and str_of(error).startswith(_ENDED_LOOP):
        return ended_loop_error()
    broke_on_the_way = is_transport(error)
    what = f"the {'connection' if broke_on_the_way else 'source'} broke ({describe(error, mask)})"
    if "ClosedResourceError" in chain_class_names(error):
        # The name of the exception of anyio and of trio for a socket that was closed on this side.
        broke_on_the_way = True
        what = (
            "the client was closed while an answer was read; close it after what reads: with a journal, "
            "`async with client, journal`"
        )
    kind: ErrorKind = "network" if broke_on_the_way else "unknown"
    # A source of the application's may send its request when it is first read.
    lasting = find_advice(error)
    what = "; ".join(filter(None, (what, lasting or find_server_advice(error, ""))))
    retryable = False if lasting else None
    return StreamInterrupted(f"{what}; what had arrived is in .partial", kind=kind, retryable=retryable)


def ended_loop_error() -> StreamInterrupted:
    """Return the error for an answer whose event loop has ended, and its source with it."""
    error = StreamInterrupted(
        "the event loop in which the answer was opened is over, and its connection with it; read it to its "
        "end in one loop, and under WSGI, such as Django's runserver, open it with `connect`; what had "
        "arrived is in .partial",
        retryable=False,
    )
    return add_notice(
        error,
        "the event loop in which the answer was opened is over: under WSGI, such as Django's runserver, "
        "open it with connect",
    )


def _convert_cause(
    error: Exception, read_deadlines: Deadlines | None, mask: SecretMask, *, begun: bool
) -> StreamError | MisuseError:
    """Convert a litellm exception that wraps another exception, by converting the wrapped exception."""
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, Exception):
        reason = describe(error, mask)
        return StreamInterrupted(f"the source broke ({reason}); what had arrived is in .partial")
    converted = reading_error(cause, read_deadlines, mask, begun=begun)
    if isinstance(converted, StreamInterrupted) and _status_of(cause) >= 400:
        # The class of the exception is not known, but its status means an error of the provider.
        details = {"message": str_of(cause), "code": _status_of(cause)}
        converted = provider_error({"error": details}) or converted
    return converted


def opening_error(
    error: Exception,
    server: str = "the server",
    read_deadlines: Deadlines | None = None,
    mask: SecretMask = _NO_SECRETS,
) -> StreamError | MisuseError:
    """Convert an exception that was raised while a source was opened, before there was a response.

    The default stands for the host in errors, since the host of an opened object is not known.
    For one that is the application's, the result is a `FunctionFailed`. Any other exception, as the mask
    shows it, becomes the `__cause__` of the returned error.
    """
    if isinstance(error, StreamError | MisuseError):
        return mark_given(error)
    if (foreign := find_foreign(error)) is not None:
        return FunctionFailed(foreign)
    names = class_names(error)
    converted = _convert_refusal(error, names) or _convert_opening(error, names, server, read_deadlines, mask)
    converted.__cause__ = mask.mask_error(error)
    return converted


def find_refusal(error: Exception, server: str) -> StreamError | None:
    """Return the error for what a provider's SDK has raised elsewhere about a request; else None."""
    if not is_of_sdk(error):
        return None
    names = class_names(error)
    failed = _convert_refusal(error, names)
    if failed is None and is_transport(error):
        opened = _convert_opening(error, names, server, None, _NO_SECRETS)
        failed = opened if isinstance(opened, StreamError) else None
    return failed


def _convert_opening(
    error: Exception, names: set[str], server: str, read_deadlines: Deadlines | None, mask: SecretMask
) -> StreamError | MisuseError:
    if "TooManyRedirects" in names:
        return ConnectError(f"{server} redirects endlessly; check the address", stage="head", retryable=False)
    if isinstance(error, ImportError):
        return MisuseError(name_package(error))
    fault = find_request_fault(error, names)
    if fault:
        return MisuseError(f"the request cannot be made: {fault}")
    # SDKs and requests wrap the exception whose class shows if there was a connection already.
    all_names = chain_class_names(error)
    pool_advice = find_pool_advice(all_names)
    had_no_connection = bool(all_names & CONNECT_ERRORS) or bool(pool_advice)
    if is_timeout(error) and not had_no_connection:
        limit = "first_event" if read_deadlines is not None else "transport"
        return StreamStalled(f"no response came from {server} ({describe(error, mask)})", limit=limit)
    if not had_no_connection and not is_transport(error):
        return MisuseError(f"the source cannot be opened: {mask.describe(error)}")
    cause = describe_chain(error, mask)[-1]
    if "LocalProtocolError" in names:
        # The client itself refuses to go on, because of the state of the connection. With these words, it
        # does so before it has sent the request.
        was_sent = "outbound streams" not in str_of(error)
        return ConnectError(
            f"the connection to {server} takes no request now ({cause})",
            stage="head" if was_sent else "connect",
        )
    advice = find_advice(error)
    passing_advice = pool_advice or find_server_advice(error, server)
    description = (
        f"no connection to {server} ({cause})"
        if had_no_connection
        else f"{server} was reached but gave no response ({cause})"
    )
    return ConnectError(
        "; ".join(filter(None, (description, advice or passing_advice))),
        stage="connect" if had_no_connection else "head",
        retryable=not advice,
    )


def _convert_refusal(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a library's exception about what the server has sent instead of a stream; else return None."""
    if names & _UNUSABLE_RESPONSES:
        return _unreadable_error(error)
    if "SSEError" in names:
        return NotAStream(
            "the server answered with a content type other than text/event-stream, which the library that "
            "reads the answer refuses; check what the server sends at that address"
        )
    return _convert_provider_error(error, names)


def _unreadable_error(error: Exception) -> ProtocolError:
    name = type(error).__name__
    msg = f"the SDK could not read what the server sent ({name}); what had arrived is in .partial"
    return ProtocolError(msg)


def _convert_provider_error(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a library's exception about an error that the server has reported; else return None."""
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
    is_http_error = "ClientResponseError" in names and "HttpProcessingError" not in chain_class_names(error)
    if is_http_error and _status_of(error) >= 400:
        headers: Any = getattr(error, "headers", None) or {}
        return status_error(_status_of(error), dict(headers))
    if names & _SDK_ERRORS and (_status_of(error) or "ResponseError" in names):  # ollama's has no status
        return _convert_sdk_error(error)
    if "TextGenerationError" in names:
        kinds = [kind for name, kind in _TEXT_GENERATION.items() if name in names]
        return provider_error(
            {"error": str_of(error) or "no words", "error_type": kinds[0] if kinds else None}
        )
    if "APIError" in names and is_dict(getattr(error, "details", None)):
        # This is google-genai's class; other SDKs have classes of the same name.
        return _convert_google_error(error, response)
    if "APIError" in names and "APIConnectionError" not in names:
        # An SDK such as openai's raises it for an error event in the stream.
        body: object = getattr(error, "body", None)
        details = body.get("error", body) if is_dict(body) else {"message": str_of(error)}
        return provider_error({"error": details}, "error")
    return None


def _convert_sdk_error(error: object) -> StreamError | None:
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
        found = first_object(body)
        error_in_body = None if found is None else provider_error(found)
    # Without a status, the exception is not about a response.
    return error_in_body or (_sdk_refusal_error(error, body) if _status_of(error) else None)


def _sdk_refusal_error(error: object, body: object) -> NotAStream:
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
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return status if isinstance(status, int) else 0
