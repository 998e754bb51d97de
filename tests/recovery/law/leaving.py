"""A reader who leaves: at an item, at a step of a connection, while a purse is asked, or after some turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio

from tests.recovery.law.draws import Leave
from tokenstream import Purse


class Left(Exception):  # noqa: N818 - no error
    """Raised in the reader's loop by a reader who leaves so."""


class Leaver:
    """Counts what passes its gate, and leaves when it has counted enough.

    Args:
        leave: How and when; None to stay.
    """

    def __init__(self, leave: Leave | None) -> None:
        self.leave = leave
        self.has_left = False
        self.go: Callable[[], object] = lambda: None
        """Leaves in the drawn way."""
        self.is_armed = False
        """True once the reader is there."""
        self._passed = 0

    def waits_at(self, gate: str) -> bool:
        """Return True if the reader is there, and has yet to leave at this gate."""
        return self.leave is not None and gate == self.leave.gate and self.is_armed and not self.has_left

    def passes(self, gate: str) -> None:
        """Count a step; leave if it is the one."""
        if not self.waits_at(gate):
            return
        self._passed += 1
        if self.leave is not None and self._passed >= self.leave.count:
            self.has_left = True
            self.go()

    async def count_turns(self) -> None:
        """Pass the gate of turns, as often as it takes."""
        while self.waits_at("turn"):
            await anyio.lowlevel.checkpoint()
            self.passes("turn")


class WatchedPurse(Purse):
    """A purse at which a reader may leave, before it is changed and after that.

    While a thread changes it, the event loop comes to know of the leave before it knows of the change.
    """

    leaver: Leaver
    home: threading.Thread
    """The thread of the reader."""

    def add(self, *args: Any, **options: Any) -> Any:
        self._pass_gate()
        changed = super().add(*args, **options)
        self._pass_gate()
        return changed

    def _pass_gate(self) -> None:
        if threading.current_thread() is self.home:
            self.leaver.passes("purse")
        elif self.leaver.waits_at("purse"):
            anyio.from_thread.run_sync(self.leaver.passes, "purse")
