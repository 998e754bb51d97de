"""Sending the request whose answer is a stream."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from tokenstream.errors import ConnectError, MisuseError, StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.sources import AsyncSource, Deferred, SyncSource, from_async_response, from_response
from tokenstream.status import status_error

__all__ = ["Request"]

_CONNECT_SECONDS = 10.0
"""How long our own client waits for a connection."""


class Request:
    """A request that has not been sent.

    Args:
        method: The HTTP method.
        url: The endpoint.
        client: The client to send it with; None for one of our own.
        deadlines: How long a client of our own waits.
        options: What `httpx.Client.stream` takes.
    """

    def __init__(
        self,
        method: str,
        url: str,
        client: Any,  # noqa: ANN401 - httpx's or httpx2's
        deadlines: Deadlines | None,
        options: dict[str, Any],
    ) -> None:
        if client is not None and not hasattr(client, "stream"):
            raise MisuseError(f"client={type(client).__qualname__} is no httpx or httpx2 client")
        self._method = method
        self._url = str(url)
        self._client = client
        self._deadlines = deadlines if deadlines is not None else Deadlines()
        self._options = options
        self._waits = self._deadlines if client is None else None

    def deferred(self) -> Deferred:
        """Return a source that sends the request when it is opened."""
        if self._client is not None and not hasattr(self._client, "close"):
            raise MisuseError("the client is an asynchronous one: use aconnect")

        def opened() -> SyncSource:
            from httpx_sse import connect_sse

            with ExitStack() as stack:
                client = self._client
                if client is None:
                    client = stack.enter_context(self._new_client("Client"))
                try:
                    asked = connect_sse(client, self._method, self._url, **self._options_for(client))
                    response = stack.enter_context(asked).response
                except Exception as error:
                    raise self._failed(error) from error
                source = from_response(response)
                return SyncSource(source.chunks, stack.pop_all().close, source.head, self._waits)

        return Deferred(opened)

    def async_deferred(self) -> Deferred:
        """Return an asynchronous source that sends the request when it is opened."""
        if self._client is not None and not hasattr(self._client, "aclose"):
            raise MisuseError("the client is not an asynchronous one: use connect")

        async def opened() -> AsyncSource:
            from httpx_sse import aconnect_sse

            async with AsyncExitStack() as stack:
                client = self._client
                if client is None:
                    client = await stack.enter_async_context(self._new_client("AsyncClient"))
                try:
                    asked = aconnect_sse(client, self._method, self._url, **self._options_for(client))
                    response = (await stack.enter_async_context(asked)).response
                except Exception as error:
                    raise self._failed(error) from error
                source = from_async_response(response)
                return AsyncSource(source.chunks, stack.pop_all().aclose, source.head, self._waits)

        return Deferred(opened)

    def _new_client(self, kind: str) -> Any:  # noqa: ANN401 - an httpx client of either colour
        """Return a client of our own, which waits as long as the deadlines allow."""
        import httpx

        waits = (self._deadlines.first_event, self._deadlines.idle_bytes)
        read = None if None in waits else max(wait for wait in waits if wait is not None)
        return getattr(httpx, kind)(timeout=httpx.Timeout(_CONNECT_SECONDS, read=read))

    def _options_for(self, client: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's or httpx2's
        """Return the request's options with headers of their own, which httpx-sse writes into."""
        # The client's own kind of headers: httpx2 does not know httpx's.
        headers = type(client.headers)(self._options.get("headers"))
        # A proxy that compresses a stream holds it back until a block is full.
        headers.setdefault("Accept-Encoding", "identity")
        return {**self._options, "headers": headers}

    def _failed(self, error: Exception) -> Exception:
        """Return what an exception means that a client raised instead of giving a response."""
        names = {kind.__name__ for kind in type(error).__mro__}
        response = getattr(error, "response", None)
        if "HTTPStatusError" in names and response is not None:
            return status_error(response.status_code, dict(response.headers))
        if "TooManyRedirects" in names:
            return ConnectError(f"{self._host()} redirects without end", stage="head", retryable=False)
        if not names & {"TransportError", "OSError"} or names & {"UnsupportedProtocol", "LocalProtocolError"}:
            return MisuseError(f"the request cannot be made: {error}")
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if names & {"ReadTimeout", "WriteTimeout"}:
            limit = "first_event" if self._waits is not None else "transport"
            return StreamStalled(f"no response came from {self._host()} ({what})", limit=limit)
        connecting = bool(names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"})
        certificate = "CERTIFICATE" in what.upper()
        return ConnectError(
            f"no connection to {self._host()} ({what})"
            if connecting
            else f"{self._host()} was reached but gave no response ({what})",
            stage="connect" if connecting else "head",
            retryable=not certificate,
        )

    def _host(self) -> str:
        return (
            re.split(r"[/?#]", self._url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
            or "the server"
        )
