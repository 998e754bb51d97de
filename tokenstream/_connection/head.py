"""The head of an HTTP response."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any

from tokenstream._basics.request_facts import SHORTEST_KEY, names_secret
from tokenstream._basics.url import split_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOWEST_REFUSAL, LOWEST_ERROR_STATUS = 300, 400


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of an HTTP response.

    Example:
        >>> ResponseHead(status=200, headers={"content-type": "text/event-stream"}).content_type
        'text/event-stream'
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The response's headers, by lower-case name."""
    reason: str = ""
    url: str = field(default="", repr=False)
    """The address of the response, which may contain a key."""
    received_at: float | None = field(default=None, repr=False, compare=False)
    """Time of a refusal's arrival, in seconds since the epoch; None if it was not measured."""
    keys: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """The keys in the headers of a request that was refused, which its errors must not repeat."""

    @property
    def refuses(self) -> bool:
        """True if the status is that of a redirect or an error, so that the body is not the answer."""
        return self.status >= _LOWEST_REFUSAL

    @property
    def content_type(self) -> str | None:
        """The media type that the server states for the body; None if it states none."""
        return self.headers.get("content-type")

    @property
    def content_coding(self) -> str:
        """The compression of the body, such as "gzip"; "" if there is none."""
        return self.headers.get("content-encoding", "")

    @property
    def place(self) -> str:
        """The address of the response, without the parts that may be secret: user, password and query."""
        return strip_secrets(self.url)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, to be quoted to its support; None if the provider sent none."""
        for name in REQUEST_IDS:
            if name in self.headers:
                return self.headers[name]
        return None


def strip_secrets(url: str) -> str:
    """Return an address without its user, password, query and fragment; "" for a malformed address."""
    from urllib.parse import urlunsplit

    parts = split_url(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-generation-id",
    "x-amzn-requestid",
    "apim-request-id",
    "cf-ray",
)
"""Headers that contain a request's id, in lower case."""


def lower_header_names(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def make_head(
    status: int,
    headers: Iterable[tuple[str, str]],
    reason: str | None = None,
    url: str | None = None,
    request: object = None,
) -> ResponseHead:
    """Return the head of a response, with the keys in the headers of the client's request, if it has any."""
    keys = _find_keys(request, status)
    return ResponseHead(status, lower_header_names(headers), reason or "", url or "", keys=keys)


def _find_keys(request: object, status: int) -> tuple[str, ...]:
    """Return the keys in the headers of a request that was refused; none of any other request."""
    if status < LOWEST_ERROR_STATUS:
        return ()
    headers: Any = getattr(request, "headers", None) or {}
    values: Iterable[object] = compress(headers.values(), map(names_secret, headers))
    words = " ".join(map(str, values)).split()
    return tuple([word for word in words if len(word) >= SHORTEST_KEY])
