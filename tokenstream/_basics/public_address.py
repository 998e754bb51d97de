"""Finds the parts of a request's address that may be shown."""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenstream._basics.url import USUAL_PORTS, server_of, split_url
from tokenstream._basics.visible import one_line

_SHORTEST_SECRET, _SHOWN = 20, 8
"""The length from which on a path's segment may be a secret, and the number of its characters to show."""
_VERSIONED_MODEL = re.compile(r"/models?/[^/@]+@[^/@]*")
"""Matches a model with a version in a path, such as that of Vertex AI: the only usual `@` in a path."""


class PublicAddress(NamedTuple):
    """The address of a request, without the parts that may be secret."""

    host: str | None
    """The host; None if the address is malformed."""
    port: int | None
    """The port; None for the usual port of the scheme."""
    path: str
    """The path, in which long segments are shortened."""


def place_of(url: str) -> PublicAddress:
    """Return the address of a request without user, password, query and whatever else may be a secret.

    Example:
        >>> place_of("https://me:secret@example.com:8443/v1/0123456789abcdef0123/chat?key=secret")
        PublicAddress(host='example.com', port=8443, path='/v1/01234567…/chat')
    """
    parts = split_url(url)
    host, port = server_of(url)
    # Behind an unescaped password with a slash, what looks like the path has the host.
    if host is None or "@" in _VERSIONED_MODEL.sub("", parts.path):
        return PublicAddress(None, None, "")
    segments = [segment.partition(";")[0] for segment in parts.path.rstrip("/").split("/")]
    path = "/".join(each if len(each) < _SHORTEST_SECRET else f"{each[:_SHOWN]}…" for each in segments)
    usual_port = USUAL_PORTS.get(parts.scheme)
    return PublicAddress(one_line(host), None if port == usual_port else port, one_line(path))
