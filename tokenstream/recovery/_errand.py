"""Work in a thread that is finished, or taken back, although whoever waits for it leaves.

A shielded scope of anyio holds off only cancellations of other scopes: `asyncio.Task.cancel`, with which a
stream ends its own reading task, goes through it. The thread goes on with its work, whose result nobody gets.
"""

from __future__ import annotations

import math
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream.stream._reading.reader import CLOSING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Errand(Generic[T]):
    """Work that is made once in a thread, which has to be taken back or finished if its task is cancelled.

    Args:
        work: Makes the change, and returns what is needed to take it back.
        take_back: Takes the change back, given that. None if the work has to be done in any case, so that
            whoever leaves only stops waiting for it.
    """

    __slots__ = ("_has_begun", "_has_left", "_is_over", "_lock", "_made", "_take_back", "_work")

    def __init__(self, work: Callable[[], T], take_back: Callable[[T], object] | None = None) -> None:
        self._work, self._take_back = work, take_back
        self._lock, self._is_over = Lock(), Event()
        self._has_begun = self._has_left = False
        self._made: list[T] = []
        """The result of the work, until it is taken back."""

    async def run(self) -> T | None:
        """Do the work, and return its result; None if it is not done after the seconds that a closing has.

        A cancellation is raised once the work has been taken back or done, after these seconds at the latest.
        """
        from anyio import CancelScope, current_time, get_cancelled_exc_class, move_on_after, to_thread

        cancelled, is_needed = get_cancelled_exc_class(), self._take_back is None
        deadline = current_time() + CLOSING_SECONDS if is_needed else math.inf
        try:
            with CancelScope(shield=is_needed, deadline=deadline):
                return await to_thread.run_sync(self._do, abandon_on_cancel=True)
        except BaseException as error:
            self._leave()
            # An event loop that has dropped the task cannot wait for anything.
            if isinstance(error, cancelled):
                with move_on_after(CLOSING_SECONDS, shield=True):
                    await to_thread.run_sync(self._is_over.wait, CLOSING_SECONDS, abandon_on_cancel=True)
            raise
        self._leave()
        return None

    def _leave(self) -> None:
        """Have the work taken back, or done if that is needed, wherever it is."""
        with self._lock:
            self._has_left, has_begun = True, self._has_begun
        if self._made and self._take_back is not None:
            self._is_over.clear()
            Thread(target=self._undo).start()
        elif not has_begun:
            # No thread was free, or a cancellation had come before.
            Thread(target=self._do).start()

    def _do(self) -> T | None:
        """Do the work, in its thread, unless it is not needed any more or has begun elsewhere."""
        with self._lock:
            if self._has_begun:
                return None
            self._has_begun = True
            is_needed = not self._has_left or self._take_back is None
        try:
            if not is_needed:
                return None
            made = self._work()
            self._made.append(made)
            if self._has_left:
                self._undo()
            return made
        finally:
            self._is_over.set()

    def _undo(self) -> None:
        """Take back what was made, once: `_leave` and the thread of the work may both come here."""
        with self._lock:
            made, self._made = self._made, []
        if self._take_back is not None:
            for each in made:
                self._take_back(each)
        self._is_over.set()
