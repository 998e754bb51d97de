"""One interface for the server-side WebSocket connections of several frameworks."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT = (
    ("starlette.websockets", "WebSocketDisconnect"),
    ("litestar.exceptions", "WebSocketDisconnect"),
    ("websockets.exceptions", "ConnectionClosed"),
)
"""The exceptions that frameworks raise if the client has disconnected: module and name of each."""


class Gone(Exception):
    """The client has disconnected."""


class ServerSocket(ABC):
    """One WebSocket connection.

    Args:
        of: The WebSocket object of the framework.
    """

    def __init__(self, of: Any) -> None:  # noqa: ANN401 - one of several frameworks' types
        self._of = of
        self._left: tuple[type[Exception], ...] = (OSError, *_imported_disconnects())

    @property
    def wrapped(self) -> tuple[object, object]:
        """The methods of the framework's object that receive and send, to detect the server's shutdown."""
        return self._of.receive, self._of.send

    @abstractmethod
    async def open(self) -> None:
        """Accept the connection, unless the application has accepted it already."""

    async def receive(self) -> str | bytes:
        """Wait for the client's next message.

        Raises:
            Gone: The client has disconnected.
        """
        try:
            return await self._receive()
        except self._left as error:
            raise Gone from error

    async def send(self, message: str | bytes) -> None:
        """Send a message.

        Raises:
            Gone: The client has disconnected.
        """
        try:
            await self._send(message)
        except self._left as error:
            raise Gone from error

    @abstractmethod
    async def _receive(self) -> str | bytes: ...

    @abstractmethod
    async def _send(self, message: str | bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection.

        Raises:
            Gone: The connection is closed already.
        """
        try:
            await self._of.close(code=code, reason=reason)
        except self._left as error:
            raise Gone from error


class _OfASGI(ServerSocket):
    """A WebSocket of Starlette, FastAPI or Litestar."""

    async def open(self) -> None:
        state = getattr(self._of, "application_state", None)
        if state is None:
            # This is Litestar, where accepting a connection twice has no effect.
            await self._of.accept()
        elif state.name == "CONNECTING":
            await self._of.accept()

    async def _receive(self) -> str | bytes:
        message = await self._of.receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def _send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._of.send({"type": "websocket.send", kind: message})


class _OfWebsockets(ServerSocket):
    """A connection of the package `websockets`."""

    @property
    def wrapped(self) -> tuple[object, object]:
        return self._of.recv, self._of.send

    async def open(self) -> None:
        """Do nothing: the server of `websockets` has accepted the connection already."""

    async def _receive(self) -> str | bytes:
        message: str | bytes = await self._of.recv()
        return message

    async def _send(self, message: str | bytes) -> None:
        await self._of.send(message)


def socket_of(ws: object) -> ServerSocket:
    """Return the `ServerSocket` for the WebSocket object of a framework, by the methods that the object has.

    Raises:
        MisuseError: The object is not a supported WebSocket.
    """
    if all(hasattr(ws, name) for name in ("accept", "receive", "send", "close", "scope")):
        return _OfASGI(ws)
    if all(hasattr(ws, name) for name in ("recv", "send", "close")):
        return _OfWebsockets(ws)
    raise MisuseError(
        f"this is not a WebSocket of Starlette, FastAPI, Litestar or websockets: {type(ws).__name__}"
    )


def _imported_disconnects() -> Iterator[type[Exception]]:
    """Yield the exceptions in `_LEFT` whose modules are imported."""
    for module, name in _LEFT:
        found = sys.modules.get(module)
        if found is not None:
            yield getattr(found, name)
