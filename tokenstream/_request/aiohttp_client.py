"""Sends requests with aiohttp, which costs less than httpx in an event loop.

httpx still makes the request: it encodes the payload, the query and the cookies, authenticates, and makes
the next request of a redirect. So each option means the same with both clients. Only what httpx calls the
transport is aiohttp's, and the body is read from aiohttp directly.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import httpx
from yarl import URL

from tokenstream._request.client import find_connect_seconds, find_proxy, get_tls_context, origin_of
from tokenstream._sources.aiohttp import from_aiohttp
from tokenstream._sources.causes import PROXY_VARIABLES, raise_converted, unusable_client_error
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._request.options import HTTPOptions
    from tokenstream._sources.kinds import AsyncSource


class _OwnSession(NamedTuple):
    session: aiohttp.ClientSession
    closing: AsyncGenerator[None]
    """Closes the session when the event loop shuts its asynchronous generators down."""


_own: dict[asyncio.AbstractEventLoop, _OwnSession] = {}


async def own_session() -> aiohttp.ClientSession:
    """Return the library's session of the running event loop; the first call in a loop creates it.

    Its requests share connections, but no cookies.
    """
    loop = asyncio.get_running_loop()
    if loop not in _own:
        for each in list(_own):
            if each.is_closed():
                # This loop was closed without a shutdown of its generators.
                _own.pop(each, None)
        session = aiohttp.ClientSession(
            # 0: any number of connections, since a stream occupies one for as long as it is read.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        _own[loop] = _OwnSession(session, _close_at_shutdown(loop, session))
        # Run it up to its `yield`: a loop shuts down only the generators that have begun.
        await anext(_own[loop].closing)
    return _own[loop].session


async def _close_at_shutdown(
    loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession
) -> AsyncGenerator[None]:
    """Close a session when its event loop shuts down.

    This is a generator because asyncio has no hook for the end of a loop, but `asyncio.run` then closes
    every asynchronous generator that is suspended at a `yield`. Only that runs the `finally` block.
    """
    try:
        yield
    finally:
        _own.pop(loop, None)
        await session.close()


def settings_of_environment(url: httpx.URL) -> HTTPOptions:
    """Return the TLS context and the proxy for a request, as arguments of aiohttp.

    As with httpx, they come from environment variables such as `SSL_CERT_FILE` and `HTTPS_PROXY`.
    """
    proxy = _find_proxy(url)
    settings: HTTPOptions = {} if proxy is None else {"proxy": proxy}
    if "https" in (url.scheme, proxy and proxy.scheme):
        try:
            settings["ssl"] = get_tls_context()
        except Exception as error:  # noqa: BLE001 - it is raised as an error of this library
            raise_converted(unusable_client_error(error))
    return settings


def _find_proxy(url: httpx.URL) -> URL | None:
    found = find_proxy(f"{url.scheme}://{url.netloc.decode('ascii')}")
    if found is None:
        return None
    try:
        proxy = URL(found[1])
    except ValueError:
        # The error's message quotes the address, which may contain a password.
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        # Without the address, which may contain a password.
        raise MisuseError(
            "the client cannot be made: aiohttp needs a proxy whose address begins with http:// or "
            f'https://; check {PROXY_VARIABLES}, or pass client="httpx"'
        )
    return proxy


_SOURCE = "tokenstream.source"
"""Key in the extensions of httpx's response: under it is the source that reads aiohttp's response."""
_DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=30)
"""The timeouts of a session that was made without any; they abort every answer after five minutes."""
_UNBOUNDED_ANSWER = aiohttp.ClientTimeout(sock_connect=30)
"""The default timeouts without a bound on the whole answer: the stream's own deadlines bound that."""


async def make_client(session: aiohttp.ClientSession | None, options: HTTPOptions) -> httpx.AsyncClient:
    """Return an httpx client for one request and its redirects, with the caller's aiohttp session or ours.

    The caller's session stays open.
    """
    extensions: dict[str, Any] = options.get("extensions") or {}
    unknown = sorted(extensions.keys() - {"timeout"})
    if unknown:
        raise MisuseError(f"extensions= has {unknown[0]!r}, which aiohttp does not have: use an httpx client")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise MisuseError('aiohttp needs asyncio: on trio, use an httpx client, or client="httpx"') from None
    transport = _AiohttpTransport(
        session or await own_session(),
        is_own=session is None,
        sets_timeout="timeout" in options or "timeout" in extensions,
    )
    client = httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113 - the session has timeouts
    # The client's default headers would replace the session's own.
    for name in list(client.headers):
        del client.headers[name]
    return client


def source_of(response: FromHTTPX) -> AsyncSource:
    source: AsyncSource = response.extensions[_SOURCE]
    return source


def full_url(session: aiohttp.ClientSession | None, url: str) -> str:
    """Return a request's whole address: a relative one is joined to the caller's session's `base_url`."""
    base: URL | None = getattr(session, "_base_url", None)
    return url if base is None else str(base.join(URL(url)))


class _AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends one request of httpx, and those of its redirects, with aiohttp.

    Args:
        is_own: True for the library's own session, which follows the environment as httpx does.
        sets_timeout: True if the options of the request contain a timeout.
    """

    def __init__(self, session: aiohttp.ClientSession, *, is_own: bool, sets_timeout: bool) -> None:
        self._session = session
        self._is_own = is_own
        self._sets_timeout = sets_timeout
        self._first_origin: object = None
        """The origin of the first request; None before that."""
        self._has_left = False
        """True once a redirect has led to another origin."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return its response, whose body has not been read."""
        origin = origin_of(request.url)
        self._first_origin = self._first_origin or origin
        self._has_left = self._has_left or origin != self._first_origin
        if self._has_left:
            # The session's headers, cookies and auth are meant for the first origin only.
            async with _without_credentials(self._session) as session:
                response = await self._send(session, request)
        else:
            response = await self._send(self._session, request)
        headers = [
            (name, value)
            for name, value in response.raw_headers
            # aiohttp decompresses the body itself.
            if name.lower() != b"content-encoding"
        ]
        source = from_aiohttp(response)
        return httpx.Response(
            response.status, headers=headers, stream=_AiohttpAuthBody(source), extensions={_SOURCE: source}
        )

    async def _send(self, session: aiohttp.ClientSession, request: httpx.Request) -> aiohttp.ClientResponse:
        """Send a request with a session; the request has its headers already, such as those of `auth`."""
        timeout = session.timeout
        if self._sets_timeout:
            timeouts: Any = request.extensions.get("timeout") or {}
            connect, pool = timeouts.get("connect"), timeouts.get("pool")
            timeout = aiohttp.ClientTimeout(
                # aiohttp's `connect` includes the wait for a free place in the pool.
                connect=None if connect is None or pool is None else connect + pool,
                sock_connect=connect,
                sock_read=timeouts.get("read"),
            )
        elif self._is_own:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=find_connect_seconds(str(request.url)))
        elif timeout == _DEFAULT_TIMEOUT:
            # Nobody has chosen it, and it would abort an answer after five minutes.
            timeout = _UNBOUNDED_ANSWER
        settings: HTTPOptions = settings_of_environment(request.url) if self._is_own else {}
        # httpx has made a header of the user and the password in the address.
        url = request.url.copy_with(username=None, password=None)
        body = await request.aread() if isinstance(request.stream, httpx.ByteStream) else request.stream
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        return await session.request(
            request.method,
            URL(str(url), encoded=True),
            # aiohttp sets this header itself, from the body.
            headers=[each for each in headers if each[0].lower() != "transfer-encoding"],
            data=body or None,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
            raise_for_status=False,
            timeout=timeout,
            **settings,
        )


def _without_credentials(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Return a session with the same connections, but without the headers, cookies and auth of another."""
    return aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=session.timeout,
        trace_configs=session.trace_configs,
        auto_decompress=session.auto_decompress,
    )


class _AiohttpAuthBody(httpx.AsyncByteStream):
    """The body of an aiohttp response as httpx reads it, for example between the requests of an auth flow.

    An answer's body is read from aiohttp itself.
    """

    def __init__(self, source: AsyncSource) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._source.chunks:
            yield piece

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        await self._source.close()
