"""The wait before another attempt, and the header that names the position to resume at.

Reads no clock and draws no random numbers: both are arguments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

_MOST_DOUBLINGS = 62
_SPREAD = 0.1
"""Random addition to the wait that a server asked for, as a share of it; keeps its clients apart."""
_RECONNECT, _SHORTEST_RECONNECT, _LONGEST_RECONNECT = 3_000, 100, 300_000
"""Milliseconds before a reconnect: Chromium's default, and the bounds on a server's value."""


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

    The back-off doubles from *initial* to *maximum*, and half of it is random: the
    "equal jitter" of Exponential Backoff and Jitter (AWS Architecture Blog). Its
    "full jitter" may not wait at all, which wastes one of few attempts; stamina adds
    up to a second, which is too little to separate clients that wait for thirty.

    The wait is never shorter than the one that the server asked for
    (`error.retry_after`). *maximum* does not bound that one, because asking earlier is
    in vain, and up to a tenth is added.

    Args:
        number: Number of the attempt; the first one is 1 and needs no wait.
        error: The error of the previous attempt.
        initial: Longest back-off before the second attempt, in seconds.
        maximum: Longest back-off before any attempt.
        random: A random number from 0 to 1.
        maximum_asked: Longest wait that a server may ask for.

    Example:
        >>> [wait_before(n, error=None, initial=0.5, maximum=5.0, random=1.0) for n in (1, 2, 3, 4, 9)]
        [0.0, 0.5, 1.0, 2.0, 5.0]
    """
    if number <= 1:
        return 0.0
    longest = min(math.ldexp(initial, min(number - 2, _MOST_DOUBLINGS)), maximum)
    wait = longest * (1 + random) / 2
    asked = error.retry_after if error is not None else None
    # "not >" and not "<=", so that NaN counts as no wait.
    if asked is None or not asked > 0:
        return wait
    return max(wait, asked * (1 + _SPREAD * random)) if asked <= maximum_asked else None


def clamp_reconnect(milliseconds: int | None) -> float:
    """Return the seconds to wait before a reconnect to a source of server-sent events.

    A server's `retry:` is clamped to 0.1–300 s: with zero every client would ask
    without a pause, and no timer can hold 10^30.

    Args:
        milliseconds: The server's `retry:`; None if it sent none.

    Example:
        >>> clamp_reconnect(None), clamp_reconnect(1_500), clamp_reconnect(0), clamp_reconnect(10**30)
        (3.0, 1.5, 0.1, 300.0)
    """
    said = _RECONNECT if milliseconds is None else milliseconds
    return min(max(said, _SHORTEST_RECONNECT), _LONGEST_RECONNECT) / 1000


def last_event_id_header(value: str) -> bytes:
    r"""Return the value of the header `Last-Event-ID`, in UTF-8 as Chromium sends it.

    Leading and trailing spaces and tabs are removed: HTTP strips them from a header's
    value (RFC 9110, 5.5), and h11 refuses to send them. If nothing is left, the
    header must not be sent.

    Args:
        value: The id of the last event.

    Raises:
        MisuseError: The id holds a line break, NUL or half a surrogate pair, which no header can carry.

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
