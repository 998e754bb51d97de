"""TLS for test servers, with certificates of a private authority; it needs the package trustme."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

from tokenstream.errors import MisuseError


@cache
def _authority() -> Any:  # noqa: ANN401 - its methods take contexts of other libraries, too
    """Return the certificate authority of this process, made at the first call."""
    try:
        from trustme import CA
    except ImportError as error:
        raise MisuseError("serving TLS needs the package trustme: `pip install trustme`") from error
    return CA()


@cache
def server_context(host: str) -> ssl.SSLContext:
    """Return the TLS context of a server, with a certificate for its host.

    Raises:
        MisuseError: The package trustme is missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Quirk (CPython 3.11, 2026-11): a client that reads in one thread and writes in another, as the sync
    # one of websockets does, may lose what it writes while tickets arrive;
    # miguelgrinberg/python-engineio#461.
    context.num_tickets = 0
    _authority().issue_cert(host, "localhost").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return a client's TLS context, which trusts only the servers of this module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context
