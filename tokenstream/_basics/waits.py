"""Waits before another attempt: those that a refusal's headers ask for, and those that grow by themselves."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeAlias

from tokenstream.errors import MisuseError, StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


HeaderFields: TypeAlias = "Mapping[str, str]"
_MOST_DOUBLINGS = 62
_SPREAD = 0.1
"""The most that is added at random to a wait that a server asked for, as a share of that wait.

It keeps the clients of the server apart.
"""
_RECONNECT, _SHORTEST_RECONNECT, _LONGEST_RECONNECT = 3_000, 100, 300_000
"""Milliseconds before a reconnect: Chromium's default, and the bounds for a server's value."""


def wait_before(
    number: int,
    *,
    error: StreamError | None,
    initial: float,
    maximum: float,
    random: float,
    maximum_asked: float = 60.0,
) -> float | None:
    """Return the seconds before attempt `number`, from 1; None if the server asks for too long a wait.

    The longest back-off doubles from *initial* up to *maximum*. Half of it is fixed and half is random
    ("equal jitter" in Exponential Backoff and Jitter, AWS Architecture Blog). With "full jitter" the wait
    could be zero, and one of few attempts would be wasted.

    If the server asked for a wait (`error.retry_after`), the result is never shorter, even if that exceeds
    *maximum*: an earlier attempt would only fail. Up to a tenth is added at random, so that clients that were
    given the same time do not all come back at once.

    Example:
        >>> [wait_before(n, error=None, initial=0.5, maximum=5.0, random=1.0) for n in (1, 2, 3, 4, 9)]
        [0.0, 0.5, 1.0, 2.0, 5.0]
    """
    if number <= 1:
        return 0.0
    # `initial` is the longest back-off before attempt 2; it doubles with each attempt after that.
    longest = min(math.ldexp(initial, min(number - 2, _MOST_DOUBLINGS)), maximum)
    wait = longest * (1 + random) / 2
    requested = error.retry_after if error is not None else None
    # "not >" and not "<=", so that NaN counts as no wait.
    if requested is None or not requested > 0:
        return wait
    if requested > maximum_asked:
        return None
    return max(wait, requested * (1 + _SPREAD * random))


def clamp_reconnect(milliseconds: int | None) -> float:
    """Return the seconds to wait before a reconnect to a source of server-sent events.

    A server's `retry:`, 3 s if it sends none, is limited to 0.1 to 300 s: with zero, every client would
    reconnect without a pause, and no timer accepts 10^30.

    Example:
        >>> clamp_reconnect(None), clamp_reconnect(1_500), clamp_reconnect(0), clamp_reconnect(10**30)
        (3.0, 1.5, 0.1, 300.0)
    """
    wait = _RECONNECT if milliseconds is None else milliseconds
    return min(max(wait, _SHORTEST_RECONNECT), _LONGEST_RECONNECT) / 1000


def last_event_id_header(value: str) -> bytes:
    r"""Return the value of the header `Last-Event-ID`, in UTF-8 as Chromium sends it.

    Leading and trailing spaces and tabs are removed, because HTTP strips them from a header's value (RFC
    9110, 5.5), and h11 refuses to send them. If nothing is left, the header must not be sent. A line break,
    NUL or half a surrogate pair, which no header can contain, is refused.

    Example:
        >>> last_event_id_header("é7 ")
        b'\xc3\xa97'
    """
    if any(character in value for character in "\r\n\0"):
        raise MisuseError("a last event id cannot hold a line break or NUL: ask without it, from the start")
    try:
        return value.strip(" \t").encode()
    except UnicodeEncodeError:
        msg = "a last event id cannot hold half a surrogate pair: ask without it, from the start"
        raise MisuseError(msg) from None


LONGEST_WAIT = 86_400.0
"""The longest wait in seconds: a longer one may come from a wrong clock, and may overflow a timer."""

_WAIT_HEADERS = (
    ("retry-after-ms", 1000.0),
    ("x-ms-retry-after-ms", 1000.0),
    ("retry-after", 1.0),
    ("llm_provider-retry-after", 1.0),
)
"""Headers that state the wait, each with its units in a second; two are of Azure, and one of LiteLLM."""
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


def retry_after_of(headers: HeaderFields, received_at: float | None = None) -> float | None:
    """Return the seconds that a server asks the client to wait; None if it does not ask.

    The wait is stated in milliseconds (`retry-after-ms`), in seconds, or as a date (`retry-after`). A date is
    compared with the server's own `date` or, if the server sends none, with `received_at`, in seconds since
    the epoch. More than a day counts as a day. The names of the headers are in lower case.

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
    headers: HeaderFields, received_at: float | None = None, *, limited: bool = True
) -> float | None:
    """Return the seconds until the rate limit that refused a request resets, or None if unknown.

    The limit that refused the request is the one of which nothing remains. If there are several such limits,
    the one that resets last counts. If something remains of every limit, and a limit is known to have refused
    the request (`limited`), it was too large for one of them: then the longest wait counts, except for daily
    limits.

    Example:
        >>> sent = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}
        >>> reset_of({**sent, "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "24h0m0s"})
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


def _find_resets(headers: HeaderFields) -> Iterator[tuple[str, str | None, str]]:
    """Yield each rate limit in the headers: its header's name, what remains, and the time of its reset."""
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
    """Return the seconds until a reset, given in seconds, as a duration ("6m0s") or as a point in time.

    The result is None if the text is malformed, or is a point in time while `now` is unknown.
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
    return min(max(0.0, seconds), LONGEST_WAIT)


def _now_of(headers: HeaderFields, received_at: float | None) -> float | None:
    """Return the server's time, in seconds since the epoch; if it sends none, `received_at`."""
    now = _parse_http_date(headers.get("date", ""))
    return received_at if now is None else now


def _parse_time(text: str) -> float | None:
    """Parse a time in RFC 3339, with a zone, or an HTTP date; return seconds since the epoch, or None."""
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
