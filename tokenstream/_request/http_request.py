"""Sends the request with httpx or aiohttp, follows its redirects, and gives its response as a source."""

from __future__ import annotations

import os
import re
import sys
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Never, TypeVar

from tokenstream._basics.elsewhere import needing
from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._basics.request_facts import AskedRequest, is_harmless
from tokenstream._request.client import (
    OwnRequest,
    choose_tls_context,
    find_connect_seconds,
    find_patience,
    find_timeouts,
    get_tls_context,
    origin_of,
)
from tokenstream._request.options import HTTPOptions, find_mistake
from tokenstream._sources.httpx import from_async_response, from_response
from tokenstream._sources.kinds import AsyncSource, LazySource, SecondsLeft, SyncSource
from tokenstream.errors import ConnectError, MisuseError
from tokenstream.limits import DEFAULT_DEADLINES, Deadlines
from tokenstream.stream._reading.wake import shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from tokenstream._basics.loose import FromHTTPX

SourceT = TypeVar("SourceT", SyncSource, AsyncSource)
_CLIENT_VARIABLE = "TOKENSTREAM_CLIENT"
"""The environment variable with the name of the client of `aconnect` in this process."""
_LIBRARIES = ("httpx", "aiohttp")
"""Names that the option *client* accepts in place of a client, for one of this library's own clients."""
_MAX_REDIRECTS = 20
"""The most redirects to follow for a client that has no limit itself."""


class _Redirects:
    """Decides which redirects of one request to follow, and with which headers.

    Args:
        options: The request's options, as the caller passed them.
        find_host: Returns the host of the request, for an error message.
    """

    def __init__(self, client: FromHTTPX, options: HTTPOptions, find_host: Callable[[], str]) -> None:
        wanted = options.get("follow_redirects")
        # Any other value, such as httpx's USE_CLIENT_DEFAULT, means the client's own setting.
        self._following: bool = (
            wanted if isinstance(wanted, bool) else getattr(client, "follow_redirects", False)
        )
        self._redirects_left: int = getattr(client, "max_redirects", _MAX_REDIRECTS)
        self._find_host = find_host
        # Redirects are followed here, one request at a time, and not by the client.
        self.sending: HTTPOptions = {"stream": True, "follow_redirects": False}
        """Arguments for the client's `send` method, for the next request."""
        if "auth" in options:
            self.sending["auth"] = options["auth"]

    def find_next_request(self, response: FromHTTPX) -> FromHTTPX:
        """Return the request to send after a redirect; None if there is none; ConnectError after too many."""
        next_request = response.next_request
        if not self._following or next_request is None or next_request.url.scheme not in ("http", "https"):
            return None
        if not self._redirects_left:
            raise ConnectError(
                f"{self._find_host()} redirects endlessly; check the address", stage="head", retryable=False
            )
        self._redirects_left -= 1
        if origin_of(next_request.url) != origin_of(response.request.url):
            # Credentials stay removed even if another redirect leads back to the first origin.
            self.sending["auth"] = None
            for name in {name.lower() for name in next_request.headers if not is_harmless(name)}:
                del next_request.headers[name]
        return next_request


class _SocketTrace:
    """Finds the socket of a request before the response arrives, so that the wait for it can be ended.

    httpx calls the "trace" function in a request's extensions at each step. The request has the library's own
    client, so a new connection belongs to this request alone.
    """

    def __init__(self) -> None:
        self.callers_trace: Callable[[str, dict[str, Any]], object] | None = None
        """The caller's own trace function, which is called as well; None if there is none."""
        self._stream: Any = None
        """The connection's network stream, which has the socket; None until there is a connection."""
        self._shutdown_requested = False
        """True once `socket` was called, because the request is to be given up."""

    def __call__(self, step: str, info: dict[str, Any]) -> object:
        """Keep the socket if a step of the request has made one; return what the caller's trace returns."""
        if step in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._stream = info["return_value"]
            if self._shutdown_requested:
                # A shutdown was requested before the socket existed.
                shut_down(self.socket)
        return None if self.callers_trace is None else self.callers_trace(step, info)

    def socket(self) -> Any:  # noqa: ANN401 - a socket of any kind
        """Return the request's socket, for the caller to shut down; None before it is open.

        In that case, the socket is shut down as soon as it is created.
        """
        self._shutdown_requested = True
        return None if self._stream is None else self._stream.get_extra_info("socket")


class RequestTuple(NamedTuple):
    """The arguments of an `HTTPRequest`."""

    method: str
    url: str
    client: FromHTTPX
    deadlines: Deadlines | None
    options: HTTPOptions


class HTTPRequest:
    """A request that has not been sent.

    Args:
        client: The client with which to send the request; "httpx" or "aiohttp" for a client of this
            library's own; None for the default.
        deadlines: Deadlines from which a new client's read timeout is derived.
        options: Arguments of `httpx.Client.stream`.
    """

    def __init__(
        self, method: str, url: str, client: FromHTTPX, deadlines: Deadlines | None, options: HTTPOptions
    ) -> None:
        self._library = _find_library(client)
        """The library that sends the request; "" for the default."""
        if not isinstance(options.get("extensions"), dict | None):
            raise MisuseError(f"extensions= takes a dict, not {type(options['extensions']).__qualname__}")
        if isinstance(options.get("headers"), str | bytes):
            raise MisuseError('headers= takes a dict, as {"authorization": "Bearer …"}, not a text')
        payload: Any = options.get("json")
        turns: Any = payload.get("messages") if payload.__class__ is dict else None
        if turns.__class__ is list and list in map(type, turns):
            inner: Any = turns[[*map(type, turns)].index(list)]
            # Other servers take lists, too, such as pairs of a role and a text.
            if inner and inner[0].__class__ is dict:
                raise MisuseError('json["messages"] has a list in it: write messages += results.turns()')
        self._method = method
        self._url = str(url)
        self._client: FromHTTPX = None if isinstance(client, str) else client
        """The caller's client; None for the library's own."""
        self._own_client: Any = None
        self._deadlines = deadlines or DEFAULT_DEADLINES
        self._options = options
        self._find_left: SecondsLeft | None = None
        """Returns the seconds for which opening may still wait; None if it has no limit."""
        # A client of the caller's has settings that are not known.
        kind = OwnRequest if self._client is None else AskedRequest
        self._asked = kind.of(self._url, options, self._client)
        self._extensions: dict[str, Any] = options.get("extensions") or {}
        sets_timeout = self._client is None and "timeout" not in options and "timeout" not in self._extensions
        self._read_deadlines = self._deadlines if sets_timeout else None
        """The deadlines, if the client's read timeout is derived from them; otherwise None."""
        self._patience = find_patience(self._client, options)

    def make_lazy(self) -> LazySource:
        """Return a source that sends the request when it is opened."""
        if self._library == "aiohttp" or (self._client is not None and not hasattr(self._client, "close")):
            raise MisuseError("the client is asynchronous: use aconnect")

        # Not for the caller's client, whose connections other requests may use, too.
        socket_trace = _SocketTrace() if self._client is None else None
        if sys.platform == "emscripten" and socket_trace and "pyodide_httpx._sync" not in sys.modules:
            raise MisuseError(
                "a browser has no blocking reads: use `async with aconnect(…)`, after "
                "`pyodide_httpx.patch_httpx()`"
            )

        def open_source() -> SyncSource:
            """Send the request, follow redirects, and return the response as a source.

            The source's `close` closes all that was opened for the request: responses, and its own client.
            """
            from httpx_sse import connect_sse

            with ExitStack() as stack:
                client = self._client
                options = {**self._options}
                timeouts = find_timeouts(self._client, self._options, self._find_left)
                if timeouts is not None:
                    options["extensions"] = {**self._extensions, "timeout": timeouts}
                if socket_trace is not None:
                    client = stack.enter_context(self._own_client or self._make_client("Client"))
                    socket_trace.callers_trace = self._extensions.get("trace")
                    options["extensions"] = {**self._extensions, "trace": socket_trace}
                try:
                    redirects = _Redirects(client, options, self._host)
                    # `connect_sse` also sets the header `Accept`; the response may be of any type.
                    sse_response = connect_sse(
                        client, self._method, self._url, **_with_own_headers(options, client)
                    )
                    response = stack.enter_context(sse_response).response
                    while (next_request := redirects.find_next_request(response)) is not None:
                        response.close()
                        response = client.send(next_request, **redirects.sending)
                        stack.callback(response.close)
                except Exception as error:  # noqa: BLE001 - it is raised as an error of this library
                    self._raise_converted(error)
                if timeouts is not None:
                    timeouts.end(response)
                return self._complete(from_response(response, stack.pop_all().close))

        return LazySource(
            open_source,
            socket=None if socket_trace is None else socket_trace.socket,
            limit_open=None if self._client is None else self._limit_open,
            prepare=lambda: self._prepare("Client"),
            asked=self._asked,
            patience=self._patience,
        )

    def _complete(self, source: SourceT) -> SourceT:
        return replace(
            source, read_deadlines=self._read_deadlines, asked=self._asked, patience=self._patience
        )

    def _limit_open(self, find_left: SecondsLeft) -> None:
        """Limit the waits for the head of the response to the seconds that a function returns."""
        self._find_left = find_left

    def make_async_lazy(self) -> LazySource:
        """Return an asynchronous source that sends the request when it is opened."""
        uses_aiohttp = (self._library or _default_library()) == "aiohttp"
        if not (uses_aiohttp or self._client is None or hasattr(self._client, "aclose")):
            raise MisuseError("the client is not asynchronous: use connect")
        if uses_aiohttp:
            # In an event loop, the deadlines end a read themselves.
            self._read_deadlines = None

        async def open_source() -> AsyncSource:
            from httpx_sse import aconnect_sse

            async with AsyncExitStack() as stack:
                client, url = self._client, self._url
                make_source: Callable[[FromHTTPX], AsyncSource] = from_async_response
                if uses_aiohttp:
                    aiohttp_client = _import_aiohttp_client()
                    url = aiohttp_client.full_url(client, url)
                    client = await aiohttp_client.make_client(client, self._options)
                    # The body is read from aiohttp itself, which is faster.
                    make_source = aiohttp_client.source_of
                elif client is None:
                    client = await stack.enter_async_context(
                        self._own_client or self._make_client("AsyncClient")
                    )
                try:
                    redirects = _Redirects(client, self._options, self._host)
                    # `aconnect_sse` also sets the header `Accept`; the response may be of any type.
                    sse_response = aconnect_sse(
                        client, self._method, url, **_with_own_headers(self._options, client)
                    )
                    response = (await stack.enter_async_context(sse_response)).response
                    while (next_request := redirects.find_next_request(response)) is not None:
                        await response.aclose()
                        response = await client.send(next_request, **redirects.sending)
                        stack.push_async_callback(response.aclose)
                except Exception as error:  # noqa: BLE001 - it is raised as an error of this library
                    self._raise_converted(error)
                return self._complete(replace(make_source(response), close=stack.pop_all().aclose))

        # Without `socket`: in an event loop, opening is cancelled, and not ended by a shutdown of the socket.
        kind = "ClientSession" if uses_aiohttp else "AsyncClient"
        return LazySource(
            open_source, prepare=lambda: self._prepare(kind), asked=self._asked, patience=self._patience
        )

    def _prepare(self, kind: str) -> None:
        """Import modules and create the client in advance, because the first time in a process takes long."""
        try:
            import_module("httpx_sse")
            # The first look-up of a host would load this module.
            import_module("encodings.idna")
            if kind == "ClientSession":
                _import_aiohttp_client()
                if self._client is None and self._url.startswith("https:"):
                    get_tls_context()
            elif self._client is None:
                self._own_client = self._new_client(kind)
            if kind != "Client":
                from anyio import current_time

                # The first call loads anyio's backend for the running event loop.
                current_time()
        except Exception as error:
            from tokenstream._sources.causes import find_foreign

            if find_foreign(error) is not None:
                raise
            # The failure happens again when the request is sent, and is reported then.

    def _make_client(self, kind: str) -> Any:  # noqa: ANN401 - as of `_new_client`
        """Return a new client; raise an error of this library if the environment allows none."""
        try:
            return self._new_client(kind)
        except Exception as error:  # noqa: BLE001 - it is raised as an error of this library
            from tokenstream._sources.causes import raise_converted, unusable_client_error

            raise_converted(unusable_client_error(error))

    def _new_client(self, kind: str) -> Any:  # noqa: ANN401 - an httpx client, sync or async
        """Return a new client with the read timeout that the deadlines allow."""
        import httpx

        # The deadlines end the stream in time; this timeout must not fire before either of them.
        waits = (self._deadlines.first_event, self._deadlines.idle_bytes)
        read = None if None in waits else max(wait for wait in waits if wait is not None)
        timeout = httpx.Timeout(find_connect_seconds(self._url), read=read)
        return getattr(httpx, kind)(timeout=timeout, verify=choose_tls_context(self._url, self._options))

    def _raise_converted(self, error: Exception) -> Never:
        """Raise a client's exception as an error of ours that quotes neither headers nor the address."""
        from tokenstream._sources.causes import ClientMask, raise_converted, unsendable_request_error
        from tokenstream._sources.failures import opening_error

        mask = ClientMask(self._asked.find_secrets(), frozenset(self._options))
        through = f" through the proxy {proxy}" if (proxy := self._asked.proxy) else ""
        converted = opening_error(error, self._host() + through, self._read_deadlines, mask)
        # An error of this library (`converted is error`) quotes nothing.
        is_own = converted is error or isinstance(converted, FunctionFailed)
        if isinstance(converted, MisuseError) and not is_own:
            mistake = find_mistake(self._options)
            # A connection is opened in a group of tasks.
            error = getattr(error, "exceptions", [error])[0]
            converted = unsendable_request_error(error, mask)
            if mistake:
                converted = MisuseError(f"the request cannot be made: {mistake}")
        raise_converted(converted)

    def _host(self) -> str:
        """Return the host for a message, without user and password."""
        host, *after_host = re.split(r"[/?#]", self._url.partition("://")[2], maxsplit=1)
        # With an unescaped password such as "a/b", the apparent host is the first half of the password.
        return "the server" if "@" in "".join(after_host) else host.rpartition("@")[2] or "the server"


def _find_library(client: object) -> str:
    """Return the name of the library that a client belongs to; "" for None."""
    if client is None:
        return ""
    if isinstance(client, str):
        if client in _LIBRARIES:
            return client
        raise MisuseError(f'client= takes "httpx", "aiohttp" or a client, not {client[:40]!r}')
    # An `aiohttp.ClientSession` is told without an import of aiohttp.
    kinds = [kind for kind in type(client).__mro__ if kind.__name__ == "ClientSession"]
    if any(kind.__module__.partition(".")[0] == "aiohttp" for kind in kinds):
        return "aiohttp"
    if not callable(getattr(client, "stream", None)):
        raise MisuseError(
            "client= takes an httpx or httpx2 client, for aconnect also an aiohttp.ClientSession, "
            f"not {type(client).__qualname__}"
        )
    return "httpx"


def _default_library() -> str:
    """Return the name of the library that sends the requests of `aconnect` in this process."""
    library = os.environ.get(_CLIENT_VARIABLE) or "httpx"
    if library not in _LIBRARIES:
        raise MisuseError(f"{_CLIENT_VARIABLE} must be httpx or aiohttp, not {library[:40]!r}")
    return library


def _import_aiohttp_client() -> ModuleType:
    with needing("aiohttp", 'client="aiohttp"'):
        from tokenstream._request import aiohttp_client
    return aiohttp_client


def _with_own_headers(options: HTTPOptions, client: FromHTTPX) -> HTTPOptions:
    """Return options with copied headers, which httpx-sse modifies, without compression and redirects."""
    # The headers have the client's own class, because httpx2 does not accept the class of httpx.
    headers = type(client.headers)(options.get("headers"))
    # A proxy that compresses a stream would hold the stream back until a block is full.
    if "Accept-Encoding" not in headers:
        headers["Accept-Encoding"] = "identity"
    # httpx strips only `Authorization` from a redirect to another origin.
    return {**options, "headers": headers, "follow_redirects": False}


def headers_without(options: HTTPOptions, names: Collection[str]) -> list[tuple[Any, Any]]:
    headers: Any = options.get("headers") or {}
    # httpx's headers may contain a name several times.
    items: Any = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    return [(name, value) for name, value in (items() if items else headers) if _lowered(name) not in names]


def _lowered(name: object) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower()
