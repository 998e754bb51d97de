"""What the exceptions mean that sources raise.

Libraries are told apart by the names of their classes, so that none of them
need be imported.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
)
from tokenstream.formats._errors import provider_error
from tokenstream.formats._read import is_dict
from tokenstream.formats._seen import error_in
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.sources._boto3 import aws_failed
from tokenstream.sources._websocket import closed_socket, is_socket_closed, refused_socket
from tokenstream.status import status_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.limits import Deadlines

__all__ = ["opening_failed", "reading_failed", "request_refused"]

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
"""Roots of what transports raise: httpx, http.client, urllib3, aiohttp, requests, the SDKs."""
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
"""What is raised before there is a connection."""
_IMPOSSIBLE = {
    "InvalidURL": "its address is no URL",
    "LocalProtocolError": "a header holds what none may, a line break say",
    "MissingSchema": "its address does not begin with http:// or https://",
    "UnsupportedProtocol": "its address does not begin with http:// or https://",
}
"""What is wrong with a request, which libraries say by quoting it: a header may be a key."""
_MOST_WORD = 100
"""Characters of a content type that a message shows."""
_UNKNOWN_HOST = frozenset({-2, -5, 7, 8, 11001, 11004})
"""Errors of a name's look-up that say that it has no address: EAI_NONAME and EAI_NODATA of Linux, macOS
and Windows. EAI_AGAIN is none of them."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "WRONG VERSION NUMBER", "RECORD_LAYER_FAILURE", "RECORD LAYER FAILURE")
"""What OpenSSL says of an answer that is no TLS."""
_MOST_BENEATH = 8
"""How many causes are looked at."""
_SAID = frozenset({"ApiError", "MistralError", "ResponseError"})
"""What SDKs raise in words of their own: cohere, mistralai, ollama."""
_TEXT_GENERATION = {
    "GenerationError": "generation",
    "IncompleteGenerationError": "incomplete_generation",
    "OverloadedError": "overloaded",
    "ValidationError": "validation",
}
"""What huggingface_hub raises, and the type of the error that the server named."""
_UNFIT = frozenset({"APIResponseValidationError", "ResponseValidationError", "UnknownApiResponseError"})
"""What SDKs raise where they cannot make their objects of what came."""
_UNREADABLE = _UNFIT | {"JSONDecodeError", "UnicodeDecodeError", "ValidationError"}
"""The same, and what is beneath them; while nothing is read, it may come of the request."""
_QUOTED = re.compile(r"(?<!<class )[bB]?(['\"`]).*\1", re.DOTALL)
_READ_BEFORE = frozenset(
    {"ConcurrencyError", "ResponseNotRead", "StreamClosed", "StreamConsumed", "StreamConsumedError"}
)


def reading_failed(error: Exception, waits: Deadlines | None, *, begun: bool) -> StreamError | MisuseError:
    """Return what an exception means that a source raised while it was read; it is the cause.

    Args:
        error: The exception.
        waits: The deadlines that the transport's read timeout stands for, where it is ours.
        begun: Whether a first event has come.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _names(error)
    found: StreamError | MisuseError
    if "MidStreamFallbackError" in names:
        found = _beneath(error, waits, begun=begun)
    elif names & _READ_BEFORE:
        found = MisuseError(
            f"the response was read or closed before ({type(error).__name__}); hand it over unread"
        )
    elif isinstance(error, ImportError):
        found = _missing(error)
    elif _is_timeout(error):
        limit = "transport" if waits is None else "idle_bytes" if begun else "first_event"
        found = StreamStalled(
            f"nothing came for as long as the client waits ({_what(error)}); what had arrived is in .partial",
            limit=limit,
        )
    elif _names_beneath(error) & _CODINGS:
        found = ProtocolError(
            f"the body's compression is broken ({_what(error)}); ask for Accept-Encoding: identity"
        )
    else:
        found = _refused(error, names) or _said_by_provider(error, names) or _broken(error, names)
    found.__cause__ = error
    return found


def _broken(error: Exception, names: set[str]) -> StreamError:
    """Return the error for a source that raised what nobody has put into words."""
    if names & _UNREADABLE:
        return _unreadable(error)
    transport = _is_transport(error)
    return StreamInterrupted(
        f"the {'connection' if transport else 'source'} broke ({_what(error)}); "
        "what had arrived is in .partial",
        kind="network" if transport else "unknown",
    )


def _missing(error: ImportError) -> MisuseError:
    """Return the error for a package that whoever reads or asks needs."""
    named = f"the package {error.name!r}" if error.name else f"a package ({type(error).__name__})"
    return MisuseError(f"{named} is needed here and cannot be imported: install it")


def _beneath(error: Exception, waits: Deadlines | None, *, begun: bool) -> StreamError | MisuseError:
    """Return what it means that litellm calls an error of its own what broke beneath."""
    beneath = error.__cause__ or error.__context__
    if not isinstance(beneath, Exception):
        return StreamInterrupted(f"the source broke ({_what(error)}); what had arrived is in .partial")
    found = reading_failed(beneath, waits, begun=begun)
    if isinstance(found, StreamInterrupted) and _status_of(beneath) >= 400:
        said = {"message": _words(beneath), "code": _status_of(beneath)}
        found = provider_error({"error": said}) or found
    return found


def opening_failed(error: Exception, where: str, waits: Deadlines | None = None) -> StreamError | MisuseError:
    """Return what an exception means that was raised instead of giving a response; it is the cause.

    Args:
        error: The exception.
        where: The host that was asked, or "the server".
        waits: The deadlines that the transport's read timeout stands for, where it is ours.
    """
    if isinstance(error, StreamError | MisuseError):
        return error
    names = _names(error)
    found = (
        _refused(error, names) or _said_by_provider(error, names) or _not_opened(error, names, where, waits)
    )
    found.__cause__ = error
    return found


def _not_opened(
    error: Exception, names: set[str], where: str, waits: Deadlines | None
) -> StreamError | MisuseError:
    if "TooManyRedirects" in names:
        return ConnectError(f"{where} redirects without end", stage="head", retryable=False)
    if isinstance(error, ImportError):
        return _missing(error)
    impossible = _impossible(error, names)
    if impossible:
        return MisuseError(f"the request cannot be made: {impossible}")
    # SDKs and requests raise an error of their own over the one that says where it happened.
    connecting = bool(_names_beneath(error) & _CONNECTING)
    if _is_timeout(error) and not connecting:
        limit = "first_event" if waits is not None else "transport"
        return StreamStalled(f"no response came from {where} ({_what(error)})", limit=limit)
    if not connecting and not _is_transport(error):
        return MisuseError(f"the source cannot be opened: {_what(error)}")
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
    """Return what to do about a connection that no second attempt would bring about; "" where one may."""
    for each in _chain(error):
        if "gaierror" in _names(each) and getattr(each, "errno", None) in _UNKNOWN_HOST:
            return "the name has no address: check it"
        reason = _words(each).upper() if _is_connection(each) else ""
        if "CERTIFICATE" in reason:
            return "the certificate is not trusted: check the address, and what the client trusts"
        if any(word in reason for word in _NO_TLS):
            return "what answers there speaks no TLS: check the port, or ask with http://"
    return ""


def request_refused(error: Exception, names: Iterable[str]) -> MisuseError:
    """Return the error for a request that a client of httpx or httpx2 does not make.

    It quotes nothing, and where the client does, that is not its cause either: it may be a key.

    Args:
        error: What the client raised.
        names: Words that may be quoted all the same: the names of the request's options.
    """
    words = _without_quotes(_words(error), frozenset(names))
    if not any(map(str.isalpha, words)):
        # All that it says is what it quotes.
        words = type(error).__name__
    impossible = _impossible(error, _names(error))
    found = MisuseError(f"the request cannot be made: {f'{impossible} ({words})' if impossible else words}")
    if words == _words(error):
        found.__cause__ = error
    return found


def _impossible(error: Exception, names: set[str]) -> str:
    """Return what is wrong with a request that cannot be sent, "" where nothing is known to be."""
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return "a header holds a character that is not ASCII"
    request: Any = getattr(error, "_request", None)
    headers: dict[str, str] = {} if request is None else dict(request.headers)
    for name, value in headers.items():
        if "LocalProtocolError" in names and (value != value.strip() or not value.isprintable()):
            return (
                f"the value of its header {name!r} begins or ends with white space, "
                "or holds a control character: .strip() it"
            )
    return "".join(words for name, words in _IMPOSSIBLE.items() if name in names)


def _refused(error: Exception, names: set[str]) -> StreamError | None:
    """Return what it means that a library does not take what came for a stream; None where it did."""
    if names & _UNFIT:
        return _unreadable(error)
    if "SSEError" in names:
        return NotAStream(
            "the server answered with another content type than text/event-stream, and the library that "
            "was to read the answer refuses that; look at what the server sends at that address"
        )
    return None


def _unreadable(error: Exception) -> ProtocolError:
    return ProtocolError(
        f"what came is not what the library reads that was to make objects of it ({type(error).__name__}); "
        "what had arrived is in .partial"
    )


def _said_by_provider(error: Exception, names: set[str]) -> StreamError | None:
    """Return what a provider said where a library has made an exception of it."""
    response: Any = getattr(error, "response", None)
    said_by_aws = aws_failed(error, names)
    if said_by_aws is not None:
        return said_by_aws
    if is_socket_closed(error):
        return closed_socket(error)
    if "InvalidStatus" in names:
        return refused_socket(response)
    if names & {"APIStatusError", "HTTPStatusError", "HTTPError"} and _status_of(response) >= 400:
        return status_error(
            response.status_code, dict(response.headers), _body_of(response) or _body_told(error)
        )
    # aiohttp calls an answer that is no HTTP a 400, too.
    refused = "ClientResponseError" in names and "HttpProcessingError" not in _names_beneath(error)
    if refused and _status_of(error) >= 400:
        headers: Any = getattr(error, "headers", None) or {}
        return status_error(_status_of(error), dict(headers))
    if names & _SAID and (_status_of(error) or "ResponseError" in names):
        return _said_by_sdk(error)
    if "TextGenerationError" in names:
        kinds = [kind for name, kind in _TEXT_GENERATION.items() if name in names]
        return provider_error(
            {"error": _words(error) or "no words", "error_type": kinds[0] if kinds else None}
        )
    if "APIError" in names and is_dict(getattr(error, "details", None)):
        return _said_by_google(error, response)
    if "APIError" in names and not names & {"APIConnectionError"}:
        body: object = getattr(error, "body", None)
        said = body.get("error", body) if is_dict(body) else {"message": _words(error)}
        return provider_error({"error": said}, "error")
    return None


def _said_by_sdk(error: Any) -> StreamError | None:  # noqa: ANN401 - an exception of an SDK
    """Return what an exception means that holds a status and what the body said, and no response."""
    body: object = getattr(error, "body", None)
    if body is None:
        body = {"error": getattr(error, "error", None)}
    if _status_of(error) < 400:
        if isinstance(body, str):
            said_within = error_in(body.encode(), DEFAULT_LIMITS)
        else:
            said_within = provider_error(body) if is_dict(body) else None
        return said_within or (_refused_by_sdk(error, body) if _status_of(error) else None)
    said = body if isinstance(body, str) else json.dumps(body, default=str)
    return status_error(_status_of(error), _headers_of(error), said.encode())


def _refused_by_sdk(error: Any, body: object) -> NotAStream:  # noqa: ANN401 - an exception of an SDK
    """Return the error of an answer that an SDK does not take for a stream, without an error status."""
    kind = _headers_of(error).get("content-type") or "no content type"
    return NotAStream(
        f"the server answered with status {_status_of(error)} and what the SDK takes for no stream "
        f"({kind[:_MOST_WORD]}); the start of it is in .body",
        body=body[: DEFAULT_LIMITS.tail] if isinstance(body, str) else "",
    )


def _headers_of(error: Any) -> dict[str, str]:  # noqa: ANN401 - an exception of an SDK
    """Return the headers of the response that an exception stands for, its own or those beneath."""
    # ollama raises its own "from None", over the client's error, which has the response.
    beneath: object = getattr(error.__context__, "response", None)
    return dict(getattr(error, "headers", None) or getattr(beneath, "headers", None) or {})


def _said_by_google(error: Any, response: Any) -> StreamError | None:  # noqa: ANN401 - of google-genai
    """Return what an exception means that holds what the body said, as google-genai's do."""
    if _status_of(response) >= 400:
        said = json.dumps(error.details, default=str).encode()
        return status_error(_status_of(response), dict(response.headers), said)
    return provider_error(error.details) or provider_error({"error": error.details})


def _body_of(response: Any) -> bytes:  # noqa: ANN401 - a response of httpx, httpx2 or requests
    """Return the body of a response with an error status; the status says enough where it cannot be had."""
    if not getattr(response, "is_stream_consumed", hasattr(response, "iter_content")):
        return b""
    try:
        content: bytes = response.content
    except (RuntimeError, OSError):
        # It was read away, or cannot be read to its end.
        return b""
    return content


def _body_told(error: Exception) -> bytes:
    """Return what an SDK's exception has kept of a body that it has read away."""
    told: object = getattr(error, "body", None)
    if is_dict(told):
        # openai's and anthropic's have only what stands under this name, or all.
        told = json.dumps(told if "error" in told else {"error": told}, default=str)
    return told.encode() if isinstance(told, str) else b""


def _status_of(response: object) -> int:
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return status if isinstance(status, int) else 0


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _names_beneath(error: BaseException) -> set[str]:
    """Return the names of an error's classes, and of those beneath it."""
    return {name for each in _chain(error) for name in _names(each)}


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those beneath it, the innermost last."""
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
    """Tell whether a read timeout fired: the error says so, or stands for one that does.

    What was merely being handled when it was raised is none of its own.
    """
    beneath: object = error
    for _ in range(_MOST_BENEATH):
        if not isinstance(beneath, BaseException):
            return False
        if _names(beneath) & _TIMEOUTS:
            return True
        if not _is_transport(beneath):
            return False
        # requests puts it into its own error instead of raising that from it.
        beneath = beneath.__cause__ or next(iter(beneath.args), None)
    return False


def _reasons(error: BaseException) -> list[str]:
    """Return what an error says, and then what those beneath it say of the connection."""
    beneath = [each for each in _chain(error)[1:] if _is_connection(each) and _words(each)]
    return [_what(each) for each in (error, *beneath)]


def _is_connection(error: BaseException) -> bool:
    return _is_transport(error) or bool(_names(error) & (_CONNECTING | _TIMEOUTS))


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot be told is one all the same
        return ""


def _what(error: BaseException) -> str:
    """Return the name of an error, and what it says where it speaks of the connection.

    What others say may be what came: pydantic's error tells the value that does not fit.
    """
    # The line that http.client quotes is no word of its own, unless there was none.
    speaks = _is_connection(error) and (isinstance(error, OSError) or "BadStatusLine" not in _names(error))
    words = _without_quotes(_words(error)) if speaks else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _without_quotes(words: str, but: frozenset[str] = frozenset()) -> str:
    """Return what an exception says without what it quotes, which may be a key or a payload.

    Args:
        words: Its words.
        but: What may be quoted.
    """
    return _QUOTED.sub(lambda found: found[0] if found[0].strip("'\"`") in but else "…", words)
