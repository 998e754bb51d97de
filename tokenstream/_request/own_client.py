"""Settings of the library's own clients."""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path

CONNECT_SECONDS = 10.0
"""The connect timeout, in seconds."""


def get_tls_context() -> ssl.SSLContext:
    """Return the TLS context that an httpx client would create.

    Each thread creates it once, and once more whenever settings such as the certificate file have changed.
    """
    return _cache.get()


class _Cache(threading.local):
    """The TLS context of one thread.

    Threads do not share it: each new connection writes into the context, while
    another thread may be copying it.
    """

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        """The settings from which the context was created."""
        self._context: ssl.SSLContext | None = None
        """The context; None until the first client of this thread needs it."""

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
