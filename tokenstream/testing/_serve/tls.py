"""TLS for test servers, from a private authority. Needs the package trustme."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

from tokenstream.errors import MisuseError


@cache
def _authority() -> Any:  # noqa: ANN401 - its methods take contexts of other libraries, too
    try:
        from trustme import CA
    except ImportError as error:
        raise MisuseError("serving TLS needs the package trustme: `pip install trustme`") from error
    return CA()


@cache
def server_context(host: str) -> ssl.SSLContext:
    """Return a server's TLS context.

    Args:
        host: The host that it listens on.

    Raises:
        MisuseError: The package trustme is missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Quirk (CPython 3.11, 2026-11): a client that reads in one thread and writes in another, as the sync
    # one of websockets does, may lose what it writes while tickets arrive; recording: none.
    context.num_tickets = 0
    _authority().issue_cert(host, "localhost").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return a client's TLS context, which trusts these servers and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context
