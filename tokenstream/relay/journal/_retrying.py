"""Retries of storage calls while the storage is unreachable."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokenstream.relay.journal._errors import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ResultT = TypeVar("ResultT")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""The first and the longest pause before a call is repeated, in seconds."""


async def retry(call: Callable[[], Awaitable[ResultT]], seconds: float) -> ResultT:
    """Call a storage, and repeat the call while the storage is unreachable.

    Args:
        call: Makes one attempt.
        seconds: The total time for all attempts; a single attempt is cancelled after half of this time.

    Raises:
        JournalUnavailable: The storage was unreachable all this time.
    """
    from anyio import current_time, move_on_after, sleep

    until, pause = current_time() + seconds, _FIRST_PAUSE
    while True:
        try:
            # A storage that hangs does not break the connection: without a limit, the call would never end.
            with move_on_after(seconds / 2):
                return await call()
            raise JournalUnavailable("the journal's storage does not answer")
        except JournalUnavailable:
            if current_time() + pause > until:
                raise
        await sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
