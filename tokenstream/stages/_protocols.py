"""Interfaces of stages and of the cursors behind views, as protocols, and the source of stages."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent

InT_contra = TypeVar("InT_contra", contravariant=True)
OutT = TypeVar("OutT")
StageT = TypeVar("StageT")
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)

NULL: Any = object()
"""Returned in place of an item that is None, because a cursor returns None if it has no item."""

ITEM_END: Any = object()
"""Returned in place of text where an item ends: what comes later belongs to another word or sentence."""

LOOP_END: Any = object()
"""Returned by a stage in place of an item where no further item can come, although the document goes on."""


class Stage(Protocol[InT_contra, OutT]):
    r"""An object that turns items of one kind into items of another, without any I/O.

    Framings, formats, the accumulator, parsers of partial JSON and encoders are
    stages, and so is any class that has these five members.

    Example:
        >>> from tokenstream.framing import NDJSONParser
        >>> lines: Stage[bytes, bytes] = NDJSONParser()
        >>> lines.feed(b'{"a": 1}\n{"a'), lines.end(), lines.error
        ([b'{"a": 1}'], [], None)
    """

    @property
    def error(self) -> Exception | None:
        """The failure that follows the items that were returned last; None while there is no failure."""

    @property
    def stop(self) -> str | None:
        """A reason to close the source; None while there is no reason."""

    def feed(self, item: InT_contra, /, *, now: float = 0.0) -> list[OutT]:
        """Return all output that an item completes; nothing once there is an `error`.

        Args:
            item: The input.
            now: A clock reading, in seconds.
        """
        ...

    def end(self, *, now: float = 0.0) -> list[OutT]:
        """Signal the end of the input and return the remaining items; `error` is set if it ended too early.

        Args:
            now: A clock reading, in seconds.
        """
        ...

    def check(self) -> None:
        """Raise `error` if there is one."""


class TimedStage(Stage[InT_contra, OutT], Protocol[InT_contra, OutT]):
    """A stage that can return items because time has passed, without new input."""

    @property
    def deadline(self) -> float | None:
        """The clock reading at which to call `tick`; None while `tick` has nothing to do."""

    def tick(self, now: float) -> list[OutT]:
        """Return the items that are due; none are due before `deadline`."""
        ...


class Cursor(Protocol[ItemT_co]):
    """A reader's place in one aspect of the answer, such as its text or its tool calls.

    Each method returns one item, or None if there is none at the moment.
    """

    def ready(self) -> ItemT_co | None:
        """Return the next item that has arrived already and that the reader has not seen."""

    def after(self, event: AnyEvent) -> ItemT_co | None:
        """Return the first item that an event adds; None if it adds none. `ready` returns further items."""

    def end(self) -> ItemT_co | None:
        """Return an item that the end of the stream adds, or None; raise the error of an invalid output."""


class StageSource(Generic[StageT]):
    """Makes a stage for each view, or document, that is read.

    The first one gets the stage that was made in advance, to check the arguments where the view is made.
    """

    def __init__(self, make: Callable[[], StageT]) -> None:
        self._make = make
        self._unused = [make()]

    def __call__(self) -> StageT:
        """Return a stage that nobody else has."""
        # `pop` gives the stage to one thread only.
        with suppress(IndexError):
            return self._unused.pop()
        return self._make()
