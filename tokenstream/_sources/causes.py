"""Exceptions of other libraries: names, causes, and what is wrong with the request, its client or its way.

Exceptions are recognised by the names of their classes, so that no other library is imported. A message says
no more than the exception does, and quotes neither an address nor a header, because they may contain a key.
A cause is the exception itself, or a stand-in without the request's secrets: see `SecretMask.mask_error`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Never

from typing_extensions import override

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._basics.visible import SecretMask, str_of
from tokenstream.errors import CostExceeded, MisuseError, TokenStreamError
from tokenstream.formats._kit.values import split_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import TracebackType

_TRANSPORT_ERRORS = split_names(
    "TransportError HTTPException HTTPError ClientError ConnectionError APIConnectionError InvalidHandshake"
)
"""Base classes of the transport errors of httpx, http.client, urllib3, aiohttp, requests and SDKs."""
_TIMEOUTS = frozenset({"TimeoutException", "TimeoutError", "Timeout", "APITimeoutError"})
CONNECT_ERRORS = split_names(
    "ClientConnectorError ConnectError ConnectTimeout ConnectTimeoutError ConnectionTimeoutError "
    "NewConnectionError PoolTimeout ProxyError"
)
"""Exceptions that are raised before there is a connection."""
_CLIENTS = re.compile(
    r"(aiohttp|anyio|h11|h2|hpack|http(core|x)2?|httpx_sse|idna|tokenstream|trio|urllib3|yarl)$"
)
"""Packages whose exceptions may quote a header, an address or the payload of the request."""
SDKS = split_names("anthropic cohere google groq huggingface_hub litellm mistralai ollama openai")
"""Packages that ask providers of models, and nobody else."""
_TRANSPORTS = SDKS | split_names(
    "aiohttp anyio botocore grpc h11 h2 hpack httpcore httpcore2 httpx httpx2 httpx_sse idna redis "
    "requests tokenstream trio urllib3 websockets yarl"
)
"""Packages of clients and stores: what they raise is a transport's, of whatever class it is."""
_TRANSPORT_CLASSES = split_names(
    "APIError APIResponseValidationError APIStatusError ApiError ClosedResourceError ConcurrencyError "
    "ConnectionClosed ContentDecodingError DecodeError DecodingError HTTPStatusError ImportError "
    "IncompleteReadError InvalidStatus MidStreamFallbackError MistralError ResponseError ResponseNotRead "
    "ResponseValidationError SSEError StopAsyncIteration StopIteration StreamClosed StreamConsumed "
    "StreamConsumedError TextGenerationError TooManyRedirects UnknownApiResponseError"
)
"""Classes of clients' exceptions that have no base class of a transport's, and that of a missing package."""
_LIBRARIES = sys.stdlib_module_names | {"pydantic", "pydantic_core"}
"""Packages that raise exceptions in the place of their callers."""
_MAX_CAUSES = 8
"""Largest number of exceptions in a chain of causes that are examined."""
_QUOTED = re.compile(r"(?<!<class )[bB]?(['\"`]).*\1", re.DOTALL)

_INVALID_URL = "its address is not a valid URL"
_NO_HTTP = "its address does not begin with http:// or https://"
_INVALID_HEADER = "one of its headers is not valid"
_REQUEST_FAULTS = {
    "InvalidProxyURL": "the address of its proxy is not a valid URL",
    "ProxySchemeUnknown": "the address of its proxy does not begin with http:// or https://",
    "InvalidHeader": _INVALID_HEADER,
    "InvalidJSONError": "its payload cannot be encoded as JSON",
    "InvalidSchema": _NO_HTTP,
    "InvalidURL": _INVALID_URL,
    "LocationParseError": _INVALID_URL,
    "MissingSchema": _NO_HTTP,
    "NotImplementedError": (
        "no socket can be opened here; in a browser, call `pyodide_httpx.patch_httpx()` first, of the "
        "package pyodide-httpx, or pass a client= whose transport is fetch"
    ),
    "UnsupportedProtocol": _NO_HTTP,
}
"""Maps exceptions to mistakes in the request; a subclass comes before its base class."""
_PROTOCOL_FAULTS = (
    ("illegal header", "a header contains a forbidden character, such as a line break"),
    ("illegal method", "its method contains a forbidden character"),
    ("illegal target", "its address contains a forbidden character"),
    ("declared content-length", "its body is longer or shorter than its header Content-Length says"),
    ("content-length", _INVALID_HEADER),
    ("header name", _INVALID_HEADER),
    ("header value", _INVALID_HEADER),
    ("host: header", _INVALID_HEADER),
)
"""Words in a `LocalProtocolError` of httpx that mean a mistake in the request, most specific first.

Without them, the exception is about the connection: HTTP/2 raises it when the server allows no more
answers at a time ("Max outbound streams is 100").
"""
_POOL_TIMEOUTS = frozenset({"EmptyPoolError", "PoolTimeout"})
"""Exceptions of httpx and urllib3 if no connection of the client's pool became free."""
_UNKNOWN_HOST = frozenset({-2, -5, 7, 8, 11001, 11004})
"""Numbers of the errors of a look-up if the host name has no address.

These are EAI_NONAME and EAI_NODATA on Linux, macOS and Windows; EAI_AGAIN is only temporary.
"""
_NO_TLS_WORDS = ("WRONG VERSION NUMBER", "RECORD LAYER FAILURE")
"""Words in the errors of OpenSSL if the server does not use TLS."""
_REFUSED = re.compile(
    r"ConnectionRefusedError|\[(Errno (111|61)|WinError 10061)\]|connection refused", re.IGNORECASE
)
"""Matches what clients say if nothing listens at an address."""
_PROXY = " through the proxy "
_SERVERS = {"11434": "Ollama", "1234": "LM Studio"}
"""The servers that usually listen at ports of their own."""
_KNOWN_PORT = re.compile(r"[:=,] ?(11434|1234)(?!\d)")
_MUTE = re.compile(
    r"handshake operation timed out|SSLWantRead|timeout to host https://(localhost|127\.|\[::1)"
)
"""Matches what clients say if a server that was reached is silent to the start of TLS."""
_TLS_WAITS = frozenset({"SSLWantReadError", "SSLWantWriteError"})
"""Exceptions of OpenSSL that only say that it waits for the other side."""
PROXY_VARIABLES = "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"


def class_names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def chain_class_names(error: BaseException) -> set[str]:
    return {name for each in cause_chain(error) for name in class_names(each)}


def cause_chain(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, the innermost last."""
    chain = [error]
    while len(chain) < _MAX_CAUSES:
        cause = chain[-1].__cause__ or chain[-1].__context__
        if cause is None:
            break
        chain.append(cause)
    return chain


def is_of_sdk(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in SDKS


def is_transport(error: BaseException) -> bool:
    """Return True for an exception of a transport library, or of the operating system."""
    return isinstance(error, OSError) or bool(class_names(error) & _TRANSPORT_ERRORS)


def is_timeout(error: BaseException) -> bool:
    """Return True if an exception is a timeout, or a transport error that wraps a timeout.

    An exception in `__context__` does not count, because it need not be the cause.
    """
    cause: object = error
    for _ in range(_MAX_CAUSES):
        if not isinstance(cause, BaseException):
            return False
        if class_names(cause) & _TIMEOUTS:
            return True
        if not is_transport(cause):
            return False
        # requests passes the inner exception as an argument of its own, instead of setting the cause.
        cause = cause.__cause__ or next(iter(cause.args), None)
    return False


def find_foreign(error: BaseException) -> BaseException | None:
    """Return the exception that is the application's, such as a bug or a time limit, or else None.

    It may be the cause of another one, for clients wrap what interrupts them: httpcore makes a read timeout
    of the TimeoutError of a signal's handler.
    """
    if isinstance(error, CostExceeded):
        return error
    for each in () if isinstance(error, TokenStreamError) else cause_chain(error):
        # An exception that a client has not caught is what the application was handling before the read.
        caught_in = _package_of(each.__traceback__, only_first=True)
        if each is not error and caught_in not in _TRANSPORTS:
            break
        if not _is_of_transport(each):
            return each
    return None


def _is_of_transport(error: BaseException) -> bool:
    """Return True for an exception of a transport's class, or a common one that a client has raised."""
    names, place = class_names(error), error.__traceback__
    package = type(error).__module__.partition(".")[0]
    is_limit = bool(names & _TIMEOUTS) and not names & _TRANSPORT_ERRORS
    if package in _TRANSPORTS or names & _TRANSPORT_CLASSES or (is_transport(error) and not is_limit):
        return True
    # An exception of the application's own class is its own, also if its limit struck within a client.
    is_common = package in _LIBRARIES
    return place is None or (
        is_common and (_package_of(place) in _TRANSPORTS or (is_limit and not _is_raised(place)))
    )


def _is_raised(place: TracebackType) -> bool:
    """Return True for an exception of a `raise`; False for one of the standard library or of C code."""
    from dis import opmap

    while place.tb_next is not None:
        place = place.tb_next
    is_statement = place.tb_frame.f_code.co_code[place.tb_lasti] == opmap["RAISE_VARARGS"]
    return is_statement and _package_of(place, only_first=True) != ""


def _package_of(place: TracebackType | None, *, only_first: bool = False) -> str:
    """Return the package in which an exception was raised, or caught; that of a library's caller counts."""
    name = "" if only_first else "tokenstream"
    while place is not None:
        found = str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        name = name if found in _LIBRARIES else found
        place = None if only_first else place.tb_next
    return name


def describe_chain(error: BaseException, mask: SecretMask) -> list[str]:
    """Return the description of an exception, then those of its causes that concern the connection."""
    causes = [cause for cause in cause_chain(error)[1:] if is_connection(cause) and str_of(cause)]
    described = [describe(each, mask) for each in (error, *causes) if not class_names(each) & _TLS_WAITS]
    # OpenSSL still waits for the server where asyncio has given up.
    waits = len(described) <= len(causes)
    return [*described, "the TLS handshake timed out"] if waits and is_timeout(error) else described


def is_connection(error: BaseException) -> bool:
    """Return True for an exception that concerns the connection: a transport error, or a timeout."""
    return is_transport(error) or bool(class_names(error) & (CONNECT_ERRORS | _TIMEOUTS))


def describe(error: BaseException, mask: SecretMask) -> str:
    """Return the class name of an exception, with the message if the exception concerns the connection.

    The messages of other exceptions may contain a part of the payload: those of pydantic, for
    example, quote the invalid value.
    """
    # The message of http.client's BadStatusLine is left out, too, since it quotes the server's line.
    quotes_server = not isinstance(error, OSError) and "BadStatusLine" in class_names(error)
    has_safe_message = is_connection(error) and not quotes_server
    message = without_quotes(mask.text_of(error)) if has_safe_message else ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def without_quotes(message: str, harmless: Collection[str] = ()) -> str:
    """Return an exception's message with "…" in place of quoted text, which may contain a secret.

    The messages of some libraries quote a header with a key, or a part of the payload.
    """
    return _QUOTED.sub(lambda quote: quote[0] if quote[0].strip("'\"`") in harmless else "…", message)


def find_request_fault(error: Exception, names: set[str]) -> str:
    """Return a description of the mistake in a request that cannot be sent; "" if it is not known."""
    if isinstance(error, UnicodeEncodeError) and error.encoding == "ascii":
        return "a header contains a character that is not ASCII"
    if "LocalProtocolError" in names:
        return _find_invalid_header(error) or _find_protocol_fault(error)
    return next((fault for name, fault in _REQUEST_FAULTS.items() if name in names), "")


def _find_invalid_header(error: Exception) -> str:
    """Return a description of the header that the client refuses to send; "" if all values are valid."""
    request: Any = getattr(error, "_request", None)
    headers: dict[str, str] = {} if request is None else dict(request.headers)
    for name, value in headers.items():
        if value != value.strip() or not value.isprintable():
            return (
                f"the value of its header {name!r} begins or ends with white space, "
                "or contains a control character: .strip() it"
            )
    return ""


def _find_protocol_fault(error: Exception) -> str:
    """Return a description of the part of a request that httpx refuses to send; "" if it is not known."""
    message = str_of(error).lower()
    return next((fault for words, fault in _PROTOCOL_FAULTS if words in message), "")


def find_advice(error: Exception) -> str:
    """Return advice for a connection that would fail again; "" if another attempt may succeed."""
    for each in cause_chain(error):
        if "gaierror" in class_names(each) and getattr(each, "errno", None) in _UNKNOWN_HOST:
            return "the host name has no address: check it"
        # Some versions of OpenSSL write underscores between the words.
        reason = str_of(each).upper().replace("_", " ") if is_connection(each) else ""
        advice = _find_tls_advice(reason)
        if advice:
            return advice
    return ""


def _find_tls_advice(reason: str) -> str:
    """Return advice for a failed TLS handshake, by OpenSSL's words in upper case, or else an empty text."""
    if "CERTIFICATE REQUIRED" in reason:
        return (
            "the server asks for a certificate of the client: "
            "pass client=httpx.Client(verify=context), with a context that has loaded it"
        )
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN CA" in reason):
        return "the server does not accept the certificate of the client"
    if "CERTIFICATE" in reason:
        return "the certificate is not trusted: check the address, and what the client trusts"
    if any(words in reason for words in _NO_TLS_WORDS):
        return "the server at that port does not speak TLS: check the port, or use http://"
    return ""


def find_server_advice(error: BaseException, server: str) -> str:
    """Return advice for a server that may be reached later; "" for other failures.

    Args:
        error: The exception of a client.
        server: The server as a message names it, perhaps with a proxy on the way.
    """
    text = " ".join([server, *map(_tell_all, cause_chain(error))])
    if _REFUSED.search(text):
        if _PROXY in server:
            return "nothing listens at the proxy's address: check it"
        port = _KNOWN_PORT.search(text)
        name = _SERVERS[port[1]] if port is not None else "the server"
        return f"nothing listens there: is {name} started?"
    return "the server does not answer in TLS: check the port, or use http://" if _MUTE.search(text) else ""


def _tell_all(error: BaseException) -> str:
    """Return the class, the text, the address and the alternatives of an exception, which nobody gets."""
    request = vars(error).get("_request") or vars(error).get("request")
    alternatives: Iterable[BaseException] = getattr(error, "exceptions", ())
    names = (type(error).__name__, *(type(each).__name__ for each in alternatives))
    return " ".join([*names, str_of(error), *map(str_of, alternatives), str(getattr(request, "url", ""))])


def find_pool_advice(names: set[str]) -> str:
    """Return advice if no connection of the client's pool became free in time; "" for other failures."""
    if not names & _POOL_TIMEOUTS:
        return ""
    return "all connections in the client's pool were in use: close streams sooner, or allow it more"


class ClientMask(SecretMask):
    """A mask of what happens in an HTTP client, whose own exceptions may quote the request."""

    def __init__(self, secrets: Iterable[str] = (), harmless: Collection[str] = ()) -> None:
        super().__init__(secrets)
        self._harmless = harmless

    @override
    def text_of(self, error: BaseException) -> str:
        text = super().text_of(error)
        return without_quotes(text, self._harmless) if _is_of_client(error) else text

    @override
    def describe(self, error: BaseException) -> str:
        text = self.text_of(error)
        # Without its quotations, the message of a client may be empty.
        return text if _is_of_client(error) and any(map(str.isalpha, text)) else super().describe(error)


def _is_of_client(error: BaseException) -> bool:
    """Return True if a library raised an exception, and not code that it has called."""
    return _CLIENTS.match(_package_of(error.__traceback__)) is not None


def raise_converted(error: BaseException) -> Never:
    """Raise an error of this library in place of the exception that is handled, which may tell a secret."""
    if error is sys.exception():
        # The application has raised it itself.
        raise error
    if isinstance(error, FunctionFailed):
        error = error.raised
    try:
        raise error from error.__cause__
    finally:
        error.__context__ = error.__cause__


def unsendable_request_error(error: Exception, mask: SecretMask) -> MisuseError:
    """Return the error for a request that an httpx or httpx2 client refuses to send."""
    fault, reason = find_request_fault(error, class_names(error)), mask.describe(error)
    misuse = MisuseError(f"the request cannot be made: {f'{fault} ({reason})' if fault else reason}")
    misuse.__cause__ = mask.mask_error(error)
    return misuse


def name_package(error: ImportError) -> str:
    named = f"the package {error.name!r}" if error.name else f"a package ({type(error).__name__})"
    return f"{named} is needed here and cannot be imported: install it"


def unusable_client_error(error: Exception) -> MisuseError:
    """Return the error for an HTTP client that this library asked httpx to make, and httpx refused.

    The fault is in an environment variable, such as the address of a proxy, or a package is missing.
    """
    if (foreign := find_foreign(error)) is not None:
        return FunctionFailed(foreign)
    names = class_names(error)
    message = str_of(error)
    kind = type(error).__name__
    if "InvalidURL" in names:
        reason = f"the address of a proxy is not a valid URL; check {PROXY_VARIABLES}"
    elif isinstance(error, ImportError) and "socksio" in message:
        reason = "a SOCKS proxy needs a package: pip install httpx[socks]"
    elif isinstance(error, ImportError):
        reason = name_package(error)
    elif isinstance(error, OSError):
        reason = f"its certificates cannot be read ({kind}); check SSL_CERT_FILE and SSL_CERT_DIR"
    elif "proxy" in message.lower():
        reason = (
            "the address of a proxy does not begin with http://, https://, socks5:// or socks5h://; "
            f"check {PROXY_VARIABLES}"
        )
    else:
        reason = kind
    misuse = MisuseError(f"the client cannot be made: {reason}")
    # An address may contain a password.
    misuse.__cause__ = ClientMask().mask_error(error)
    return misuse
