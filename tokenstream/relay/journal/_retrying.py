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
        seconds: How long to try; a call that takes half of it is given up.

    Raises:
        JournalUnavailable: It was out of reach all the time.
    """
    from anyio import current_time, move_on_after, sleep

    until, pause = current_time() + seconds, _FIRST
    while True:
        try:
            # One that stands still breaks no connection: without a bound, no answer would ever come.
            with move_on_after(seconds / 2):
                return await call()
            raise JournalUnavailable("the journal's storage does not answer")
        except JournalUnavailable:
            if current_time() + pause > until:
                raise
        await sleep(pause)
        pause = min(2 * pause, _LONGEST)
