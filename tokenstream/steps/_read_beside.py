"""A read during which other coroutines run, such as one that drains a second pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.steps._builder import NOTHING
from tokenstream.stream._reading.reader import only_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence


class ReadBeside:
    """Reads an input piece by piece; other coroutines run during each read, and are cancelled after it.

    So none of them is a task that could outlive the loop over the input, on asyncio or on trio.

    Args:
        beside: Functions that return the other coroutines, anew for each read; a cancellation must lose
            nothing that a coroutine has read.
    """

    def __init__(self, beside: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        self._beside = beside
        self._held: object = NOTHING
        """A piece that could not be returned, because a cancellation came after its read; else `NOTHING`."""

    async def read(self, read: Callable[[], Awaitable[object]]) -> object:
        """Return the next piece of the input; run the other coroutines until it was read.

        Args:
            read: Reads the next piece.
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
