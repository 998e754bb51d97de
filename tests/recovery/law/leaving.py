"""A reader who leaves: at an item, at a step of a connection, while a purse is asked, or after some turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import anyio

from tests.recovery.law.draws import Leave
from tokenstream import Purse


class Left(Exception):
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
        self.loop: Any = None
        """The event loop in which the reader is; None without one."""
        self._passed = 0

    def waits_at(self, gate: str) -> bool:
        """Return True if the reader has yet to leave at this gate."""
        return self.leave is not None and gate == self.leave.gate and not self.has_left

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


@contextmanager
def watch_purses(leaver: Leaver) -> Generator[None]:
    """Have a reader leave before a purse in a file or in Redis is changed, or after that.

    While a thread changes it, the event loop comes to know of the leave before it knows of the change.
    """
    home, make_change = threading.current_thread(), Purse.change

    def pass_gate() -> None:
        if threading.current_thread() is home:
            leaver.passes("purse")
        elif leaver.waits_at("purse") and leaver.loop is not None:
            anyio.from_thread.run_sync(leaver.passes, "purse", token=leaver.loop)

    def change(*arguments: Any) -> Any:
        pass_gate()
        changed = make_change(*arguments)
        pass_gate()
        return changed

    with patch.object(Purse, "change", change):
        yield
