"""Calls of a storage that is out of reach for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokenstream.relay.journal._errors import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["retrying"]

ResultT = TypeVar("ResultT")

_FIRST, _LONGEST = 0.05, 1.0
"""Seconds before a call is repeated: the first time, and in the end."""


async def retrying(call: Callable[[], Awaitable[ResultT]], seconds: float) -> ResultT:
    """Call a storage until it can be reached.

    Args:
        call: Does it.
        seconds: How long to try.

    Raises:
        JournalUnavailable: It was out of reach all the time.
    """
    try:
        return await call()
    except JournalUnavailable:
        from anyio import current_time, sleep

    until, pause = current_time() + seconds, _FIRST
    while True:
        await sleep(pause)
        try:
            return await call()
        except JournalUnavailable:
            if current_time() + pause > until:
                raise
        pause = min(2 * pause, _LONGEST)
