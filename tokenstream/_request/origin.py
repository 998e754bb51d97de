"""The origin of an address, to which credentials belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX


def origin_of(url: FromHTTPX) -> tuple[str, str, int]:
    """Return the scheme, host and port of an httpx address."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme]
