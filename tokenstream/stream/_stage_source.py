"""Stages that are made in advance, so that their arguments are checked where a view is made."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

StageT = TypeVar("StageT")


class StageSource(Generic[StageT]):
    """Makes a stage for each view, or document, that is read.

    The first one gets the stage that was made in advance, to check the arguments.
    """

    __slots__ = ("_make", "_unused")

    def __init__(self, make: Callable[[], StageT]) -> None:
        self._make = make
        self._unused = [make()]

    def __call__(self) -> StageT:
        """Return a stage that nobody else has."""
        # `pop` gives the stage to one thread only.
        with suppress(IndexError):
            return self._unused.pop()
        return self._make()
