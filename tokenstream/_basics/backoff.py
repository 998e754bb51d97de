"""The wait before another attempt, and the header that names the position at which to resume.

This module reads no clock and draws no random numbers: both are arguments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

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
    """Return the seconds to wait before an attempt; None if the server asks for too long a wait.

    The longest back-off doubles from *initial* up to *maximum*. Half of it is fixed and half is
    random ("equal jitter" in Exponential Backoff and Jitter, AWS Architecture Blog). With "full
    jitter" the wait could be zero, and one of few attempts would be wasted.

    If the server asked for a wait (`error.retry_after`), the result is never shorter, even if
    that exceeds *maximum*: an earlier attempt would only fail. Up to a tenth is added at random,
    so that clients that were told the same time do not all come back at once.

    Args:
        number: The number of the attempt; the first attempt has number 1 and needs no wait.
        error: The error of the previous attempt.
        initial: The longest back-off before the second attempt, in seconds.
        maximum: The longest back-off before any attempt.
        random: A random number from 0 to 1.
        maximum_asked: The longest wait that a server may ask for.

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

    A server's `retry:` is limited to 0.1 to 300 s: with zero, every client would reconnect
    without a pause, and no timer accepts 10^30.

    Args:
        milliseconds: The value of the server's `retry:`; None if the server sent none, which means 3 s.

    Example:
        >>> clamp_reconnect(None), clamp_reconnect(1_500), clamp_reconnect(0), clamp_reconnect(10**30)
        (3.0, 1.5, 0.1, 300.0)
    """
    wait = _RECONNECT if milliseconds is None else milliseconds
    return min(max(wait, _SHORTEST_RECONNECT), _LONGEST_RECONNECT) / 1000


def last_event_id_header(value: str) -> bytes:
    r"""Return the value of the header `Last-Event-ID`, in UTF-8 as Chromium sends it.

    Leading and trailing spaces and tabs are removed, because HTTP strips them from a header's
    value (RFC 9110, 5.5), and h11 refuses to send them. If nothing is left, the
    header must not be sent.

    Args:
        value: The id of the last event.

    Raises:
        MisuseError: The id contains a line break, NUL or half a surrogate pair, which no header can contain.

    Example:
        >>> last_event_id_header("é7 ")
        b'\xc3\xa97'
    """
    if any(character in value for character in "\r\n\0"):
        msg = "a last event id cannot hold a line break or NUL: ask without it, from the start"
        raise MisuseError(msg)
    try:
        return value.strip(" \t").encode()
    except UnicodeEncodeError:
        msg = "a last event id cannot hold half a surrogate pair: ask without it, from the start"
        raise MisuseError(msg) from None
