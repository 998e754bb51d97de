"""Stages with deadlines that the machine itself applies: for a missing frame, and for the guards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine
    from tokenstream.stages import Reorder


class GapDeadline:
    """A stage that adds one deadline to a driver's chain: the time by which a missing frame must arrive.

    It passes items on unchanged; the machine itself acts once the deadline has passed.

    Args:
        reorder: The stage that waits for the missing frame.
    """

    error: None = None
    stop: None = None

    __slots__ = ("_reorder",)

    def __init__(self, reorder: Reorder) -> None:
        self._reorder = reorder

    @property
    def deadline(self) -> float | None:
        """Time at which the wait for the missing frame ends; None if no frame is missing."""
        return self._reorder.deadline

    def feed(self, item: object, *, now: float = 0.0) -> list[Any]:
        """Return the item unchanged."""
        return [item]

    def tick(self, now: float) -> list[Any]:
        """Return no items: the machine itself ends the wait for the frame once the deadline has passed."""
        return []

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return no items: none are held back."""
        return []

    def check(self) -> None:
        """Do nothing: the machine itself reports the error."""


class GuardDeadline:
    """A stage that adds one deadline to a driver's chain: the earliest one of the guards.

    It passes items on unchanged. When the deadline passes, the guard stops the answer.

    Args:
        machine: The machine with the guards.
    """

    error: None = None
    stop: None = None

    __slots__ = ("_machine",)

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def deadline(self) -> float | None:
        """Time at which a guard stops the answer; None if no guard has a time limit."""
        until = self._machine.guarded_until
        return None if until == math.inf else until

    def feed(self, item: object, *, now: float = 0.0) -> list[Any]:
        """Return the item unchanged."""
        return [item]

    def tick(self, now: float) -> list[Any]:
        """Let the guards stop the answer, if their time has passed; return an empty list."""
        if self._machine.guarding is not None:
            self._machine.guarding.tick(now)
        return []

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return no items: none are held back."""
        return []

    def check(self) -> None:
        """Do nothing: the machine itself reports the error."""
