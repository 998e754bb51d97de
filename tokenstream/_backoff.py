"""Say how long to wait before asking again, and how to ask where to go on.

It reads no clock and draws no numbers: time and randomness are arguments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

__all__ = ["clamp_reconnect", "last_event_id_header", "wait_before"]

_MOST_DOUBLINGS = 62
_SPREAD = 0.1
"""Share of the wait that a server asked for by which clients that it told the same are spread."""
_RECONNECT, _SHORTEST_RECONNECT, _LONGEST_RECONNECT = 3_000, 100, 300_000
"""Milliseconds before a reconnect: Chromium's default, and the bounds on what a server says."""


def wait_before(
    number: int,
    *,
    error: StreamError | None,
    initial: float,
    maximum: float,
    random: float,
    maximum_asked: float = 60.0,
) -> float | None:
    """Return the seconds to wait before an attempt; None where the server asks for too many.

    The back-off doubles from *initial* to *maximum*, and half of it is random: the
    "equal jitter" of Exponential Backoff and Jitter (AWS Architecture Blog). Its
    "full jitter" may wait no time at all, which costs one of few attempts; stamina
    adds up to a second, which separates no clients that wait for thirty.

    What the server asked for (`error.retry_after`) is the least wait. *maximum*
    does not bound it, because asking earlier is in vain, and up to a tenth is added.

    Args:
        number: Number of the attempt; the first one is 1 and needs no wait.
        error: Why the one before it failed.
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
    # A wait that is no number compares as neither.
    if asked is None or not asked > 0:
        return wait
    return max(wait, asked * (1 + _SPREAD * random)) if asked <= maximum_asked else None


def clamp_reconnect(milliseconds: int | None) -> float:
    """Return the seconds to wait before a reconnect to a source of server-sent events.

    A server's `retry:` counts between 0.1 s and 300 s: zero would have every client
    ask without a pause, and no timer holds 10^30.

    Args:
        milliseconds: What the server said in `retry:`; None where it said nothing.

    Example:
        >>> clamp_reconnect(None), clamp_reconnect(1_500), clamp_reconnect(0), clamp_reconnect(10**30)
        (3.0, 1.5, 0.1, 300.0)
    """
    said = _RECONNECT if milliseconds is None else milliseconds
    return min(max(said, _SHORTEST_RECONNECT), _LONGEST_RECONNECT) / 1000


def last_event_id_header(value: str) -> bytes:
    r"""Return the value of the header `Last-Event-ID`, in UTF-8 as Chromium sends it.

    Spaces and tabs around it are left out: HTTP takes them off a header's value
    (RFC 9110, 5.5), and h11 refuses to send them. Where nothing is left, the
    header is not to be sent.

    Args:
        value: The id of the last event.

    Raises:
        MisuseError: It holds a line break, NUL or half a character, which no header can.

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
