"""Splits URLs from outside, which may be malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult


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
