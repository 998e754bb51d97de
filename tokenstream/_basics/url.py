"""Splits URLs from outside, which may be malformed, and finds what may be shown of a request's address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tokenstream._basics.visible import one_line

if TYPE_CHECKING:
    from urllib.parse import SplitResult

HostAndPort: TypeAlias = tuple[str | None, int | None]
"""A host and a port; None for what is not known."""
USUAL_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_PARAMETERS = re.compile(r";[^/]*")
"""Matches the parameters after a path's segment."""
_LONG_SEGMENT = re.compile(r"(?<=/)[^/]{20,}")
"""Matches a path's segment that is so long that it may be a secret."""
_VERSIONED_MODEL = re.compile(r"/models?/[^/@]+@[^/@]*|/ai/run/@[^/@]+/")
"""Matches a model of Vertex AI with its version, or one of Cloudflare's: the only usual `@` in a path."""
_BEFORE_MODEL = re.compile(r"/(?:models?|deployments|engines)/$")
"""Matches the part of a path after which an API has the name of a model."""
_METHOD = r"stream(?:Generate|Raw)[A-Z][a-z]{5,12}"
# No two of them match one word: a segment from outside must not be read in many ways.
_NUMBERED = r"[A-Za-z]{1,5}[0-9]{1,3}[A-Za-z]{0,2}|[0-9]{1,3}[A-Za-z]{1,2}|v[0-9]{1,3}p[0-9]{1,3}"
_WORD = re.compile(rf"[A-Za-z]{{1,14}}|[0-9]{{1,8}}|{_NUMBERED}|{_METHOD}")
"""Matches the words and short numbers of which names of models and methods consist, and keys do not."""
_BETWEEN_WORDS = re.compile("[-._:@]")
_MAY_BE_NAME = re.compile(r"(?!(?:sk|pk|rk|key|token|secret)[-_])(?=.*[a-z]{3})")


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


def server_of(url: str) -> HostAndPort:
    """Return the host and the port of a URL; a URL without a port gets the usual port of its scheme.

    Both are None if the URL is malformed. The port is None if the URL has neither a port nor a known scheme.

    Example:
        >>> server_of("https://example.com/v1"), server_of("http://[::1]:8000/"), server_of("example.com")
        (('example.com', 443), ('::1', 8000), (None, None))
    """
    return _server_in(split_url(url))


def _server_in(parts: SplitResult) -> HostAndPort:
    try:
        port = parts.port or USUAL_PORTS.get(parts.scheme)
    except ValueError:
        # The port is out of range.
        return None, None
    return (parts.hostname, port) if parts.hostname else (None, None)


class PublicAddress(NamedTuple):
    """The address of a request, without the parts that may be secret."""

    host: str | None
    """The host; None if the address is malformed."""
    port: int | None
    """The port; None for the usual port of the scheme."""
    path: str
    """The path, in which "…" stands for what may be a key."""


def find_address(url: str, model: str | None = None) -> PublicAddress:
    """Return the address of a request without user, password, query and whatever else may be a secret.

    The name of the model is none.

    Example:
        >>> find_address("https://me:secret@example.com:8443/v1/0123456789abcdef0123/chat?key=secret")
        PublicAddress(host='example.com', port=8443, path='/v1/…/chat')
        >>> find_address("https://example.com/deployments/gpt-5-chat-production/chat").path
        '/deployments/gpt-5-chat-production/chat'
    """
    parts = split_url(url)
    host, port = _server_in(parts)
    # After an unescaped password with a slash, what looks like the path has the host.
    if host is None or "@" in _VERSIONED_MODEL.sub("", parts.path):
        return PublicAddress(None, None, "")
    from urllib.parse import unquote

    def mask(segment: re.Match[str]) -> str:
        is_model = bool(model) and f"{unquote(segment[0])}:".startswith(f"{model}:")
        words = _BETWEEN_WORDS.split(segment[0])
        is_named = _MAY_BE_NAME.match(segment[0]) and all(map(_WORD.fullmatch, words))
        return segment[0] if is_model or is_named or _BEFORE_MODEL.search(path, 0, segment.start()) else "…"

    path = _PARAMETERS.sub("", parts.path.rstrip("/"))
    path = _LONG_SEGMENT.sub(mask, path)
    usual_port = USUAL_PORTS.get(parts.scheme)
    return PublicAddress(one_line(host), None if port == usual_port else port, one_line(path))
