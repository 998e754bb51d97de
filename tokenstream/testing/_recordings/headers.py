"""The headers of a recording: those that a replay needs, and none whose purpose is to carry a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._connection.head import REQUEST_IDS
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SECRET_HEADERS = re.compile(
    r"authorization|cookie|api-?key|subscription-key|security-token|auth-token|access-token|session-token"
    r"|csrf-token|xsrf-token|secret|password|credential|signature"
)
_KEPT_HEADERS = frozenset(
    {
        *REQUEST_IDS,
        "content-type",
        "date",
        "openai-processing-ms",
        "retry-after",
        "retry-after-ms",
        "x-ms-retry-after-ms",
        "x-amzn-errortype",
        "x-should-retry",
        "x-vercel-ai-ui-message-stream",
    }
)
_KEPT_FAMILIES = re.compile(r"(?:x-|anthropic-)?ratelimit(?:-|$)")


def check_named_headers(names: Iterable[str]) -> frozenset[str]:
    """Return the names of additional headers to keep, in lower case.

    Raises:
        MisuseError: The argument is a single name, or the purpose of a header is to carry a secret.
    """
    if isinstance(names, str):
        raise MisuseError(f'headers={names!r} is one name: write headers=("{names}",)')
    lower_names = frozenset(name.lower() for name in names)
    secret_names = sorted(name for name in lower_names if _SECRET_HEADERS.search(name))
    if secret_names:
        raise MisuseError(
            f"the header {secret_names[0]} is never stored, since it holds a secret: leave it out"
        )
    return lower_names


def select_headers(headers: Mapping[str, str], named: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the headers of a response that a replay needs.

    Args:
        named: Lower-case names of additional headers to keep.
    """
    selected = {
        name: value
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name in named or _KEPT_FAMILIES.match(name)
    }
    has_times = any(name == "retry-after" or _gives_reset_time(name) for name in selected)
    if "date" not in named and not has_times:
        # The date is needed only with headers that give absolute times, and differs in each recording.
        selected.pop("date", None)
    return without_secret_headers(selected)


def _gives_reset_time(name: str) -> bool:
    """Return True if a header gives the time at which a rate limit resets."""
    return "-reset" in name.partition("ratelimit")[2]


def without_secret_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without those whose purpose is to carry a secret."""
    return {name: value for name, value in headers.items() if not _SECRET_HEADERS.search(name.lower())}
