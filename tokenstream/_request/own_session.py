"""The library's own aiohttp sessions: one for each event loop, which closes with the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from tokenstream._request.own_client import CONNECT_SECONDS, get_tls_context
from tokenstream._sources.request_faults import PROXY_VARIABLES, unusable_client_error
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Any

    import httpx


class _Own(NamedTuple):
    session: aiohttp.ClientSession
    closing: AsyncGenerator[None]
    """Closes the session when the event loop shuts its asynchronous generators down."""


_own: dict[asyncio.AbstractEventLoop, _Own] = {}


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
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        _own[loop] = _Own(session, _close_at_shutdown(loop, session))
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


def settings_of_environment(url: httpx.URL) -> dict[str, Any]:
    """Return the TLS context and the proxy for a request, as arguments of aiohttp.

    As with httpx, they come from environment variables such as `SSL_CERT_FILE` and `HTTPS_PROXY`.

    Raises:
        MisuseError: An environment variable names a proxy or certificates that cannot be used.
    """
    proxy = _find_proxy(url)
    settings: dict[str, Any] = {} if proxy is None else {"proxy": proxy}
    if "https" in (url.scheme, proxy and proxy.scheme):
        try:
            settings["ssl"] = get_tls_context()
        except Exception as error:  # noqa: BLE001 - it is raised as an error of this library
            failed = unusable_client_error(error)
            raise failed from failed.__cause__
    return settings


def _find_proxy(url: httpx.URL) -> URL | None:
    """Return the address of the proxy for a request; None if there is none."""
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or proxy_bypass(url.netloc.decode("ascii")):
        return None
    try:
        proxy = URL(address if "://" in address else f"http://{address}")
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
