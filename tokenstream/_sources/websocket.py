"""Adapter for WebSocket connections of the library websockets, and of SDKs that use this library."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any

from tokenstream._basics.error_marks import add_sentence
from tokenstream._connection.head import LOWEST_ERROR_STATUS
from tokenstream._connection.status import status_error
from tokenstream._sources.causes import class_names
from tokenstream._sources.kinds import AsyncSource, SyncSource, class_name_of
from tokenstream._values.error_kinds import ERROR_KINDS, find_kind
from tokenstream.errors import ErrorKind, MisuseError, StatusError, StreamInterrupted
from tokenstream.formats._kit.error_details import error_kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tokenstream._basics.loose import AnyFunction

_CONNECTION_METHODS = ("recv", "send", "ping")
"""Methods of connections of websockets, in addition to `close`, or to `aclose` with trio."""
_SDK_CONNECTION_METHODS = ("recv_bytes", "parse_event", "send", "close")
"""Methods of connections of the openai SDK, which wrap a connection of websockets."""
_SDK_SESSION_METHODS = ("receive", "send_client_content", "close")
"""Methods of google-genai sessions, which wrap a connection of websockets, too."""
_APPLICATION_CODES, _STATUS_END = 4000, 600
_FAREWELL_SECONDS = 0.5
"""Longest wait for the server's closing frame, in seconds."""
_ABNORMAL_CODE = 1006
"""Close code for a connection that ended without a closing frame."""
_KINDS_BY_CODE: dict[int, ErrorKind] = {
    1002: "server",
    1003: "invalid_request",
    1006: "network",
    1007: "invalid_request",
    1008: "invalid_request",
    1009: "invalid_request",
    1011: "server",
    1012: "server",
    1013: "overloaded",
    1014: "server",
    3000: "authentication",
    3003: "authentication",
    3008: "server",
}
"""Maps close codes (RFC 6455 §7.4, IANA) to kinds of errors."""
_KINDS_BY_WORD: tuple[tuple[str, ErrorKind], ...] = (("quota", "rate_limited"), ("api key", "authentication"))
"""Words in the reason for closing, with the kinds of errors that they mean; they count more than the code.

Google reports errors only in the reason.
"""


@dataclass(slots=True)
class OpenWebSocket:
    """A WebSocket connection, with the functions by which a source receives messages and closes it."""

    recv: AnyFunction
    """Returns the next message, or an awaitable of it."""
    close: AnyFunction
    connection: Any
    """The connection of websockets that `recv` and `close` use."""
    is_set_up: bool = False
    """True if the SDK has sent the message that sets the session up."""

    @property
    def is_async(self) -> bool:
        return iscoroutinefunction(getattr(self.connection, "recv", None))

    @property
    def asked(self) -> tuple[str, None] | None:
        """The address of the connection, which stands for the request of each answer; None if unknown."""
        request = getattr(self.connection, "request", None)
        host, path = getattr(request, "headers", {}).get("Host"), getattr(request, "path", None)
        is_known = isinstance(host, str) and isinstance(path, str)
        return (f"wss://{host}{path}", None) if is_known else None


def socket_of(source: Any) -> OpenWebSocket | None:  # noqa: ANN401 - distinguished by its methods
    """Return the WebSocket connection that an object is or wraps; None for any other object."""
    # The methods of the class are checked, because an instance of a mock has any attribute.
    if _is_connection(source):
        return OpenWebSocket(_find_receive(source), getattr(source, "close", None) or source.aclose, source)
    if _has_methods(source, _SDK_CONNECTION_METHODS):
        if getattr(source, "_make_ws", None) is not None:
            # The connection can reconnect by itself, but only if the application iterates over it.
            return None
        connection = getattr(source, "_connection", None)
        recv = _find_receive(connection) if _is_connection(connection) else source.recv_bytes
        return OpenWebSocket(recv, source.close, connection)
    if _has_methods(source, _SDK_SESSION_METHODS):
        connection = getattr(source, "_ws", None)
        if connection is None or not _is_connection(connection):
            raise MisuseError(
                f"the connection inside {class_name_of(source)} cannot be found: "
                "pass the WebSocket connection itself"
            )
        return OpenWebSocket(_find_receive(connection), source.close, connection, is_set_up=True)
    return None


def _has_methods(source: object, names: tuple[str, ...]) -> bool:
    kind = type(source)
    for name in names:  # noqa: SIM110 - each source is asked this, so that no generator is made for it
        if not callable(getattr(kind, name, None)):
            return False
    return True


def _is_connection(source: object) -> bool:
    """Return True for a connection of a WebSocket library, which has a `close` or an `aclose`."""
    if not _has_methods(source, _CONNECTION_METHODS):
        return False
    return _has_methods(source, ("close",)) or _has_methods(source, ("aclose",))


def _find_receive(connection: Any) -> AnyFunction:  # noqa: ANN401 - of websockets
    """Return the function that receives a message, as bytes if the connection has that option."""
    recv: Any = connection.recv
    return partial(recv, decode=False) if "decode" in signature(recv).parameters else recv


def from_socket(socket: OpenWebSocket) -> SyncSource:
    """Return the source through which a `Stream` reads a connection; each message is one payload."""
    connection = socket.connection
    enter = getattr(connection, "__enter__", None)
    if enter is not None:
        # Without this, websockets warns about a connection without `with`. The stream closes the connection.
        enter()
    # With a timeout for each read, a deadline can end a read that waits.
    takes_timeout = "timeout" in signature(socket.recv).parameters
    messages = _SocketMessages(socket.recv)
    return SyncSource(
        messages,
        partial(close_socket, socket),
        socket=lambda: getattr(connection, "socket", None),
        messages=True,
        limit_read=messages.limit_read if takes_timeout else None,
        asked=socket.asked,
    )


def from_async_socket(socket: OpenWebSocket) -> AsyncSource:
    """Return the source through which an `AsyncStream` reads a connection; each message is one payload."""
    connection = socket.connection

    def find() -> object:
        """Return the socket, from a connection of asyncio or of trio."""
        transport = getattr(connection, "transport", None)
        if transport is not None:
            return transport.get_extra_info("socket")
        stream = getattr(connection, "stream", None)
        # Over TLS, the stream that has the socket is inside another one.
        return getattr(getattr(stream, "transport_stream", stream), "socket", None)

    # `survives`: a cancelled read loses no message, so the source can be read on.
    return AsyncSource(
        _AsyncSocketMessages(socket.recv),
        partial(close_socket, socket),
        socket=find,
        survives=True,
        messages=True,
        asked=socket.asked,
    )


def close_socket(socket: OpenWebSocket) -> Any:  # noqa: ANN401 - an awaitable, in an event loop
    """Close a connection without waiting long for the server's closing frame; return the library's result."""
    shorten_farewell(socket)
    return socket.close()


def shorten_farewell(socket: OpenWebSocket) -> None:
    """Let a connection wait only for a short time for the server to close it, also when a message is sent."""
    # The server's closing frame cannot be read before the unread messages that are queued before it.
    seconds = getattr(socket.connection, "close_timeout", None)
    if seconds is None or seconds > _FAREWELL_SECONDS:
        # Not every library lets the attribute be set.
        with suppress(AttributeError):
            socket.connection.close_timeout = _FAREWELL_SECONDS


def is_socket_closed(error: BaseException) -> bool:
    return "ConnectionClosed" in class_names(error)


def socket_closed_error(error: BaseException) -> StreamInterrupted:
    """Return the error for a connection that was not closed cleanly, from the exception of websockets."""
    received = getattr(error, "rcvd", None)
    code: int = getattr(received, "code", _ABNORMAL_CODE)
    reason: str = getattr(received, "reason", "") or ""
    if received is None:
        description = f"the connection broke without a closing frame ({error})"
    else:
        description = f"the server closed the connection with code {code}" + (f": {reason}" if reason else "")
    kind, retryable = _error_kind_of(code, reason)
    closed = StreamInterrupted(
        f"{description}; what had arrived is in .partial", kind=kind, retryable=retryable
    )
    closed.provider_message = reason or None
    return add_sentence(closed, description.removesuffix(f": {reason}"))


def handshake_error(response: Any) -> StatusError | None:  # noqa: ANN401 - of websockets
    if response.status_code < LOWEST_ERROR_STATUS:
        return None
    return status_error(response.status_code, dict(response.headers.raw_items()), response.body or b"")


def _error_kind_of(code: int, reason: str) -> tuple[ErrorKind, bool | None]:
    """Return the kind of error that a closing frame means; True, False or None if it may help again."""
    # The first of these that says more than "unknown" decides: the reason as a provider's error code or type,
    # if that has a specific kind; a word in the reason; the reason's general kind; the close code.
    kind, retryable = error_kind(reason)
    if ERROR_KINDS[kind].is_specific:
        return kind, retryable
    lowered = reason.lower()
    for word, kind_of_word in _KINDS_BY_WORD:
        if word in lowered:
            return kind_of_word, None
    if kind != "unknown":
        return kind, retryable
    if code in _KINDS_BY_CODE:
        return _KINDS_BY_CODE[code], None
    # Applications often use close codes that are 4000 plus an HTTP status.
    status = code - _APPLICATION_CODES
    # Any other code gives a number below those of HTTP statuses, whose kind is "unknown".
    return find_kind(status) if status < _STATUS_END else "unknown", None


def is_clean(error: Exception) -> bool:
    """Return True for an exception of websockets which means that the connection was closed properly."""
    return "ConnectionClosedOK" in class_names(error)


class _SocketMessages:
    """Iterates over the messages of a connection until it is closed."""

    def __init__(self, recv: Callable[..., Any]) -> None:
        self._recv = self._wait = recv

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> object:
        """Return the next message; end the loop if the connection was closed cleanly."""
        try:
            return self._recv()
        except Exception as error:
            if is_clean(error):
                raise StopIteration from None
            raise

    def limit_read(self, seconds: float | None) -> None:
        """Limit the wait for the next message, in seconds; None for no limit."""
        self._recv = partial(self._wait, timeout=seconds)


class _AsyncSocketMessages:
    """Iterates over the messages of a connection until it is closed; a cancelled read loses no message."""

    def __init__(self, recv: Callable[[], Awaitable[Any]]) -> None:
        self._recv = recv

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> object:
        """Return the next message; end the loop if the connection was closed cleanly."""
        try:
            return await self._recv()
        except Exception as error:
            if is_clean(error):
                raise StopAsyncIteration from None
            raise
