"""Reads from a refusal's headers how long the server asks the client to wait.

`retry-after` states the wait directly, and so do similar headers in milliseconds
(`retry-after-ms`, and `x-ms-retry-after-ms`, which azure-core reads as well).
Providers that send none of these state when their rate limits reset, in various headers:

    x-ratelimit-reset-requests: 6m0s         OpenAI ("Rate limits", headers table), Groq; a duration
    x-ratelimit-reset-tokens-minute: 11.38   Cerebras, and Azure OpenAI without -minute; seconds
    x-ratelimit-reset: 1741305600000         OpenRouter, also in the body, at error.metadata.headers;
                                             others send seconds, or seconds since the epoch
    anthropic-ratelimit-tokens-reset: 2026-11-20T08:00:30Z   Anthropic ("Rate limits"); RFC 3339
    ratelimit-reset: 30                      draft-ietf-httpapi-ratelimit-headers up to -06
    ratelimit: "default";r=0;t=30            the same draft, later; in between limit=10, remaining=0, reset=30

A reset counts if nothing remains of its limit (`remaining` is 0), because that limit refused
the request. Malformed values are ignored, and waits are limited to between zero and a day.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_WAIT = 86_400.0
"""The longest wait in seconds: a longer one may come from a wrong clock, and may overflow a timer."""

_WAIT_HEADERS = (("retry-after-ms", 1000.0), ("x-ms-retry-after-ms", 1000.0), ("retry-after", 1.0))
"""Headers that state the wait, each with the number of its units in a second; the first two are for Azure."""
_LONGEST_FIELD = 1_000
"""Maximum number of characters that are read of a `ratelimit` header, a structured field (RFC 9651)."""
_FIRST_EPOCH, _FIRST_EPOCH_MS = 1e9, 1e12
"""The values from which a number is a time since the epoch: in seconds, and in milliseconds."""
_DURATION = re.compile(
    r"(?=[0-9])"
    r"(?:([0-9]+(?:\.[0-9]+)?)d)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)h)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)m)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)s)?"
    r"(?:([0-9]+(?:\.[0-9]+)?)ms)?"
)
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_SECONDS = re.compile(r"(?=\.?[0-9])[0-9]*(?:\.[0-9]*)?")
"""Matches a number in a header that states the wait, such as `2`, `1.5` or `.5`."""
_RESET_NAMES = (
    (re.compile(r"x-ratelimit-reset(-[a-z0-9_-]{1,60})?"), "x-ratelimit-remaining{}"),
    (re.compile(r"anthropic-ratelimit-([a-z-]{1,60})-reset"), "anthropic-ratelimit-{}-remaining"),
    (re.compile(r"ratelimit-reset()"), "ratelimit-remaining"),
)
"""Names of the headers with a reset, each with the header that states how much remains of the same limit."""
_QUOTED = re.compile(r'"[^"]*"')
_REMAINING = re.compile(r"\b(?:r|remaining)=([0-9]+)")
_RESET = re.compile(r"\b(?:t|reset)=([0-9]+)")
_ZERO = re.compile(r"0{1,9}(\.0{0,9})?")


def retry_after_of(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Return the seconds that a server asks the client to wait; None if it does not ask.

    The wait is stated in milliseconds (`retry-after-ms`), in seconds, or as a date
    (`retry-after`). A date is compared with the server's own `date`, or with
    `received_at` if the server sends no `date`. More than a day counts as a day.

    Args:
        headers: The response's headers, by lower-case name.
        received_at: Time at which the response arrived, in seconds since the epoch.

    Example:
        >>> retry_after_of({"retry-after": "2"}), retry_after_of({"retry-after-ms": "150"})
        (2.0, 0.15)
    """
    for name, unit in _WAIT_HEADERS:
        value = headers.get(name, "").strip()
        if _SECONDS.fullmatch(value):
            # The number may have any number of digits: `float` makes a very long one infinite.
            return min(float(value) / unit, LONGEST_WAIT)
    # Not a number, so it may be a date.
    end_of_wait = _parse_http_date(headers.get("retry-after", ""))
    now = _now_of(headers, received_at)
    return None if end_of_wait is None or now is None else _bounded(end_of_wait - now)


def reset_of(
    headers: Mapping[str, str], received_at: float | None = None, *, limited: bool = True
) -> float | None:
    """Return the seconds until the rate limit that refused a request resets, or None if unknown.

    The limit that refused the request is the one of which nothing remains. If there are several
    such limits, the one that resets last counts. If something remains of every limit, the request
    was too large for one of them: then the longest wait counts, except for daily limits.

    Args:
        headers: The response's headers, by lower-case name.
        received_at: Time at which the response arrived, in seconds since the epoch.
        limited: True if a rate limit is known to have refused the request; False to
            consider only limits with nothing remaining.

    Example:
        >>> told = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
        >>> reset_of({**told, "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "24h0m0s"})
        360.0
    """
    now = _now_of(headers, received_at)
    used_up: list[float] = []
    others: list[float] = []
    for name, remaining, reset in _find_resets(headers):
        seconds = _seconds_until(reset.strip(), now)
        if not seconds:
            # The reset is malformed, or has passed.
            continue
        if remaining is not None and _ZERO.fullmatch(remaining.strip()):
            used_up.append(seconds)
        elif limited and not name.endswith("-day"):
            others.append(seconds)
    return max(used_up or others, default=None)


def duration_of(value: str) -> float | None:
    """Return a duration such as "6m0s" or "120ms" in seconds, at most a day; None for any other text.

    Example:
        >>> duration_of("6m0s"), duration_of("120ms"), duration_of("7.5s"), duration_of("6")
        (360.0, 0.12, 7.5, None)
    """
    found = _DURATION.fullmatch(value)
    if found is None:
        return None
    # Each group is the number of one unit, or None.
    parts = zip(found.groups(), _UNITS, strict=True)
    return _bounded(sum(float(number) * unit for number, unit in parts if number is not None))


def _find_resets(headers: Mapping[str, str]) -> Iterator[tuple[str, str | None, str]]:
    """Yield each rate limit that the headers state.

    Yields:
        The name of the limit's header, the remaining count or None, and the time of the reset as text.
    """
    for name, value in headers.items():
        for pattern, remaining in _RESET_NAMES:
            found = pattern.fullmatch(name)
            if found is not None:
                # Both headers of a limit contain its name, such as "tokens", if there are several limits.
                yield name, headers.get(remaining.format(found[1] or "")), value
    # The header `RateLimit` of an IETF draft lists policies; their names are quoted, and may contain commas.
    field = _QUOTED.sub("", headers.get("ratelimit", "")[:_LONGEST_FIELD])
    # Policies have parameters after semicolons; in earlier drafts, the whole field was one policy.
    for policy in field.split(",") if ";" in field else [field]:
        reset, remaining_now = _RESET.search(policy), _REMAINING.search(policy)
        if reset is not None:
            yield "ratelimit", remaining_now[1] if remaining_now is not None else None, reset[1]


def _seconds_until(reset: str, now: float | None) -> float | None:
    """Return the seconds until a reset, in any of its notations.

    The result is None if the text is malformed, or is a point in time while `now` is unknown.

    Args:
        reset: Seconds, a duration such as "6m0s", or a point in time.
        now: The server's time, in seconds since the epoch; None if unknown.
    """
    if _NUMBER.fullmatch(reset):
        number = float(reset)
        if number < _FIRST_EPOCH:
            # The number is a duration; a larger one is a time since the epoch.
            return _bounded(number)
        time: float | None = number if number < _FIRST_EPOCH_MS else number / 1000
    else:
        duration = duration_of(reset)
        if duration is not None:
            return duration
        time = _parse_time(reset)
    return None if time is None or now is None else _bounded(time - now)


def _bounded(seconds: float) -> float:
    """Return a wait that is not negative, and not longer than a day."""
    return min(max(0.0, seconds), LONGEST_WAIT)


def _now_of(headers: Mapping[str, str], received_at: float | None) -> float | None:
    """Return the server's time, in seconds since the epoch; if it sends none, `received_at`."""
    now = _parse_http_date(headers.get("date", ""))
    return received_at if now is None else now


def _parse_time(text: str) -> float | None:
    """Parse a time in RFC 3339, or an HTTP date; return seconds since the epoch, or None if it is invalid.

    A time without a time zone is invalid.
    """
    from datetime import datetime

    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.timestamp()
    except (ValueError, OverflowError):
        return _parse_http_date(text)


def _parse_http_date(date: str) -> float | None:
    """Parse an HTTP date; return seconds since the epoch, or None if it is invalid or has no time zone."""
    from email.utils import parsedate_to_datetime

    try:
        time = parsedate_to_datetime(date)
        return None if time.tzinfo is None else time.timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
