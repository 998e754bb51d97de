"""A read during which other coroutines run, such as one that drains a second pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.steps._builder import NOTHING
from tokenstream.stream._reading.reader import only_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

LEAST_WAIT = 0.02
"""Shortest wait, in seconds: enough for a busy event loop to read what its pipe already holds."""


class ReadBeside:
    """Reads while other coroutines run, and ends these when something was read.

    So there is no task that could outlive the loop, on asyncio or on trio.

    Args:
        beside: Functions that return the coroutines; a cancellation must lose nothing of theirs.
    """

    def __init__(self, beside: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        self._beside = beside
        self._held: object = NOTHING
        """What was read when a cancellation came, before it could be returned; else `NOTHING`."""

    async def read(self, read: Callable[[], Awaitable[object]]) -> object:
        """Return what a read returns.

        Args:
            read: Begins the read.
        """
        if not self._beside:
            return await read()
        from anyio import create_task_group

        if self._held is NOTHING:
            try:
                async with create_task_group() as tasks:
                    for each in self._beside:
                        tasks.start_soon(each)
                    self._held = await read()
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as errors:
                raise only_error(errors) from None
        item, self._held = self._held, NOTHING
        return item
