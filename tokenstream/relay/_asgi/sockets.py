"""One interface for the server-side WebSocket connections of several frameworks."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DISCONNECT_ERRORS = (
    ("starlette.websockets", "WebSocketDisconnect"),
    ("litestar.exceptions", "WebSocketDisconnect"),
    ("websockets.exceptions", "ConnectionClosed"),
)
"""The exceptions that frameworks raise if the client has disconnected: module and name of each."""


class Disconnection(Exception):
    """Raised if the client of a WebSocket has disconnected, whichever framework is used."""


class ServerSocket(ABC):
    """The server's end of one WebSocket connection, with the same methods for every framework."""

    def __init__(self, framework_socket: Any) -> None:  # noqa: ANN401 - one of several frameworks' types
        self._framework_socket = framework_socket
        self._disconnect_errors: tuple[type[Exception], ...] = (OSError, *_find_disconnect_errors())

    @property
    def wrapped(self) -> tuple[object, object]:
        """The framework's own methods that receive and send.

        They lead to the server that runs the connection, so that its shutdown can be detected.
        """
        return self._framework_socket.receive, self._framework_socket.send

    @abstractmethod
    def read_header(self, name: str) -> str:
        """Return a header, named in lower case, of the connection's request; "" if it is absent."""

    async def open(self) -> None:
        """Accept the connection, unless the application has; raise `Disconnection` if the client has gone."""
        try:
            await self._open()
        except self._disconnect_errors as error:
            raise Disconnection from error

    @abstractmethod
    async def _open(self) -> None: ...

    async def receive(self) -> str | bytes:
        try:
            return await self._receive()
        except self._disconnect_errors as error:
            raise Disconnection from error

    async def send(self, message: str | bytes) -> None:
        try:
            await self._send(message)
        except self._disconnect_errors as error:
            raise Disconnection from error

    @abstractmethod
    async def _receive(self) -> str | bytes: ...

    @abstractmethod
    async def _send(self, message: str | bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._framework_socket.close(code=code, reason=reason)
        except self._disconnect_errors as error:
            raise Disconnection from error


class _ASGISocket(ServerSocket):
    """A WebSocket of Starlette, FastAPI or Litestar."""

    def read_header(self, name: str) -> str:
        return read_all(self._framework_socket.scope, name)

    async def _open(self) -> None:
        state = getattr(self._framework_socket, "application_state", None)
        # None: this is Litestar, where accepting a connection twice has no effect.
        if state is None or state.name == "CONNECTING":
            await self._framework_socket.accept()

    async def _receive(self) -> str | bytes:
        message = await self._framework_socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Disconnection
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def _send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._framework_socket.send({"type": "websocket.send", kind: message})


class _WebsocketsSocket(ServerSocket):
    @property
    def wrapped(self) -> tuple[object, object]:
        return self._framework_socket.recv, self._framework_socket.send

    def read_header(self, name: str) -> str:
        socket = self._framework_socket
        # The server of `websockets.legacy` keeps the headers without the request.
        request = getattr(socket, "request", None)
        headers = getattr(socket, "request_headers", None) if request is None else request.headers
        return "" if headers is None else ", ".join(headers.get_all(name))

    async def _open(self) -> None:
        """Do nothing: the server of `websockets` has accepted the connection already."""

    async def _receive(self) -> str | bytes:
        message: str | bytes = await self._framework_socket.recv()
        return message

    async def _send(self, message: str | bytes) -> None:
        await self._framework_socket.send(message)


def wrap_socket(websocket: object) -> ServerSocket:
    """Return the `ServerSocket` for a framework's WebSocket, which is recognised by its methods."""
    if all(hasattr(websocket, name) for name in ("accept", "receive", "send", "close", "scope")):
        return _ASGISocket(websocket)
    if all(hasattr(websocket, name) for name in ("recv", "send", "close")):
        return _WebsocketsSocket(websocket)
    raise MisuseError(
        f"this is not a WebSocket of Starlette, FastAPI, Litestar or websockets: {type(websocket).__name__}"
    )


def read_all(scope: Mapping[str, Any], name: str) -> str:
    """Return a header, named in lower case, of an ASGI request; "" if it is absent.

    Several headers with this name are joined, so that together they equal no single one.
    """
    key = name.encode()
    return b", ".join([value for each, value in scope.get("headers", ()) if each.lower() == key]).decode(
        "latin-1"
    )


def _find_disconnect_errors() -> Iterator[type[Exception]]:
    """Yield the exception with which each framework that is imported reports a client's disconnect."""
    for module_name, name in _DISCONNECT_ERRORS:
        module = sys.modules.get(module_name)
        if module is not None:
            yield getattr(module, name)
