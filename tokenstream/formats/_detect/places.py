"""URL paths of providers' endpoints, and the formats of their answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._apis import all_apis, api_named
from tokenstream._basics.url import split_url

if TYPE_CHECKING:
    from tokenstream.formats._base import Format

FORMATS = [(re.compile(f"(?:{api.paths})/?$"), api.name) for api in all_apis() if api.paths is not None]
"""Pairs of a pattern for the end of a URL path and the format used there; no path matches two patterns."""


def format_of_path(path: str) -> str | None:
    """Return the format that providers use at a path; None if the path is not known.

    Args:
        path: The path, without a query.

    Example:
        >>> format_of_path("/v1/chat/completions"), format_of_path("/v1/messages"), format_of_path("/")
        ('openai-chat', 'anthropic', None)
    """
    for end, format in FORMATS:
        if end.search(path):
            return format
    return None


def format_of_request(url: str, format: str | type[Format] | Format | None) -> str | None:
    """Return the name of a request's format: the one that the caller gave, or else the usual one at its path.

    The result is None if the caller gave none and the path is not known.

    Args:
        format: The format as the caller gave it; None if the caller has not named one.
    """
    if format is None:
        return format_of_path(split_url(url).path)
    name = format if isinstance(format, str) else format.name
    api = api_named(name)
    # A dialect has the requests of the format that reads it.
    return name if api is None or api.dialect_of is None else api.dialect_of
