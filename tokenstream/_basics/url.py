"""Splits URLs from outside, which may be malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

USUAL_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""The usual port of each scheme."""


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL; all of them are empty if the URL is malformed.

    Example:
        >>> split_url("https://example.com/v1").hostname, split_url("http://[").hostname
        ('example.com', None)
    """
    from urllib.parse import urlsplit

    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def server_of(url: str) -> tuple[str | None, int | None]:
    """Return the host and the port of a URL; a URL without a port gets the usual port of its scheme.

    Both are None if the URL is malformed. The port is None if the URL has neither a port nor a known scheme.

    Example:
        >>> server_of("https://example.com/v1"), server_of("http://[::1]:8000/"), server_of("example.com")
        (('example.com', 443), ('::1', 8000), (None, None))
    """
    parts = split_url(url)
    try:
        port = parts.port or USUAL_PORTS.get(parts.scheme)
    except ValueError:
        # The port is out of range.
        return None, None
    return (parts.hostname, port) if parts.hostname else (None, None)
