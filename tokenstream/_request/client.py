"""Demands of a request on its client: own settings, the origin of credentials, and waits that end in time."""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.request_facts import AskedRequest
from tokenstream._basics.untrusted import is_dict
from tokenstream._basics.url import split_url

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._request.options import HTTPOptions
    from tokenstream._sources.kinds import SecondsLeft

CONNECT_SECONDS = 10.0
_LOCAL_TLS_SECONDS = 1.0
"""A server on this machine begins TLS in milliseconds, unless it waits for the head of a plain request."""


def find_connect_seconds(url: str) -> float:
    """Return the seconds that a client of our own waits for a connection, with TLS if the URL asks for it.

    Example:
        >>> find_connect_seconds("https://localhost:8000/v1"), find_connect_seconds("https://a.example/v1")
        (1.0, 10.0)
    """
    host = split_url(url).hostname or ""
    is_local = host in ("localhost", "::1") or host.startswith("127.")
    return _LOCAL_TLS_SECONDS if is_local and url.startswith("https:") else CONNECT_SECONDS


def get_tls_context() -> ssl.SSLContext:
    """Return the TLS context that an httpx client would create.

    Each thread creates it once, and once more whenever settings such as the certificate file have changed.
    """
    return _cache.get()


def choose_tls_context(url: str, options: HTTPOptions) -> ssl.SSLContext:
    """Return the TLS context of a client for one request.

    One without TLS gets a context that trusts nobody: reading the certificates of all authorities takes
    most of the time that making a client takes. Redirects, proxies, and what signs requests may need them.
    """
    from urllib.request import getproxies

    if url.startswith("http:") and not (options.keys() & {"follow_redirects", "auth"} or getproxies()):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return get_tls_context()


class _Cache(threading.local):
    """The TLS context of one thread.

    Threads do not share it: each new connection writes into the context, while
    another thread may be copying it.
    """

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        """Return the context; create it if there is none, or if settings have changed."""
        import httpx

        file = os.environ.get("SSL_CERT_FILE")
        version = _version_of(file)
        # The class is one of the settings, because packages such as truststore replace it.
        inputs = (ssl.SSLContext, os.environ.get("SSLKEYLOGFILE"), file, version)
        # SSL_CERT_FILE takes precedence. Changes in a directory cannot be detected, so it is always reloaded.
        uses_directory = version is None and bool(os.environ.get("SSL_CERT_DIR"))
        if self._context is None or inputs != self._made_of or uses_directory:
            self._context, self._made_of = httpx.create_ssl_context(), inputs
        return self._context


def _version_of(file: str | None) -> object:
    """Return values that change whenever a file changes; None if there is no file, or if it is unreadable."""
    try:
        status = Path(file).stat() if file else None
    except OSError:
        # httpx itself reports an unreadable file.
        return None
    return status and (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


_cache = _Cache()


def origin_of(url: FromHTTPX) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme]


def find_proxy(url: str) -> tuple[str, str] | None:
    """Return the variable and the address of the proxy that the environment names for a URL; None without."""
    from urllib.request import getproxies, proxy_bypass

    target, proxies = split_url(url), getproxies()
    kind = next((each for each in (target.scheme, "all") if proxies.get(each)), None)
    if kind is None or proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    proxy = proxies[kind]
    return f"{kind.upper()}_PROXY", proxy if "://" in proxy else f"http://{proxy}"


class OwnRequest(AskedRequest):
    """A request that is sent by a client of our own, which asks the environment for a proxy."""

    @property
    def proxy(self) -> str | None:  # type: ignore[override] # it is read only
        """The place of the proxy, and the variable that names it; None if there is none."""
        variable, proxy = find_proxy(self[0]) or ("", "")
        place = split_url(proxy).netloc.rpartition("@")[2]
        return f"{place} ({variable})" if place else None


class TimeoutsLeft(dict[str, Any]):
    """The timeouts of a request with the caller's client, which are shorter while its answer is awaited.

    httpcore looks each of them up when it begins to wait. So the client keeps its settings, and the request
    waits for its head no longer than the stream's deadlines allow.
    """

    def __init__(self, timeouts: dict[str, Any], find_left: SecondsLeft) -> None:
        super().__init__(timeouts)
        self._find_left: SecondsLeft | None = find_left

    def end(self, response: FromHTTPX) -> None:
        """Return the client's own timeouts from now on, because the body has limits of its own."""
        self._find_left = None
        # httpx's response and its stream refer to each other, and so they would keep this object.
        with suppress(AttributeError, RuntimeError):  # a response that was made by hand may have no request
            response.request.extensions["timeout"] = dict(self)

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401 - as `dict.get`
        """Return a timeout: the client's own, or the seconds that are left, if they are fewer."""
        own: float | None = super().get(key, default)
        if self._find_left is None:
            return own
        left = self._find_left()
        return left if own is None else min(own, left)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - as `get`
        return self.get(key, super().__getitem__(key))


def find_timeouts(
    client: FromHTTPX, options: HTTPOptions, find_left: SecondsLeft | None
) -> TimeoutsLeft | None:
    """Return a client's timeouts for a request, limited by the seconds that the deadlines leave.

    The result is None without a limit, for a client of the library's own, which has other limits, and for
    a client without httpx's timeouts.
    """
    build = getattr(client, "build_request", None)
    if find_left is None or build is None:
        return None
    given = options.keys() & {"timeout", "extensions"}
    try:
        # A client of httpx's own classes is only asked; another one may combine its timeouts in its own way.
        is_plain = not given and type(client).__module__.partition(".")[0] in ("httpx", "httpx2")
        if is_plain:
            timeouts: object = client.timeout.as_dict()
        else:
            # The client combines its own timeouts with those of the options, which needs no address.
            request = build("POST", "http://localhost", **{name: options[name] for name in given})
            timeouts = request.extensions.get("timeout")
        if is_dict(timeouts):
            return TimeoutsLeft(timeouts, find_left)
    except Exception as error:
        # Another library's client may refuse the address.
        if is_of_signal(error):
            raise
    return None


def find_patience(client: object, options: HTTPOptions) -> float | None:
    """Return the longest silence, in seconds, that the timeouts of a request or of its client allow.

    The result is None if they allow any, and 0 if there are none.
    """
    given: HTTPOptions = {**options, **(options.get("extensions") or {})}
    timeout: Any = given.get("timeout", 0.0)
    if "timeout" not in given or "UseClientDefault" in type(timeout).__name__:
        timeout = getattr(client, "timeout", 0.0)
    if is_dict(timeout):
        timeout = timeout.get("read", 0.0)
    elif timeout.__class__ is tuple:
        # As in httpx: connect, read, write, pool.
        timeout = (*timeout, 0.0, 0.0)[1]
    elif hasattr(timeout, "sock_read"):
        # A session of aiohttp may also have a timeout for the whole answer.
        bounds: list[float] = [each for each in (timeout.total, timeout.sock_read) if each]
        timeout = min(bounds, default=None)
    seconds: object = getattr(timeout, "read", timeout)
    return seconds if seconds is None or isinstance(seconds, int | float) else 0.0
