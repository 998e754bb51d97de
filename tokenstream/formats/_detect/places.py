"""URL paths of providers' endpoints, and the formats of their answers."""

from __future__ import annotations

import re

from tokenstream._apis import all_apis

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
    return next((format for end, format in FORMATS if end.search(path)), None)
