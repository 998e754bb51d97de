"""Types of drivers, cursors and clocks, as streams, choices, readers and views see them.

Only type checkers import this module, which therefore may name the drivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokenstream.stages._protocols import Cursor, ItemT_co

if TYPE_CHECKING:
    from collections import deque

    from tokenstream.errors import StreamError
    from tokenstream.stream._async_driver import AsyncDriver as AsyncDriver  # noqa: PLC0414 - for others
    from tokenstream.stream._driver import Driver as Driver  # noqa: PLC0414 - for others
    from tokenstream.stream._job import Job as Job  # noqa: PLC0414 - for others
    from tokenstream.stream._sync_driver import SyncDriver as SyncDriver  # noqa: PLC0414 - for others


class TextCursor(Cursor[ItemT_co], Protocol[ItemT_co]):
    """A reader's place in a text, or in a series of drafts, which stages may shape."""

    def tell_ends(self) -> deque[Any]:
        """From now on, return `ITEM_END`, too, where an item ends; the result holds what is next."""
        ...


class WholeCursor(Cursor[ItemT_co], Protocol[ItemT_co]):
    """A cursor whose only item is the whole answer, as a typed value."""

    def end_broken_off(self, cause: StreamError, /) -> ItemT_co:
        """Return the value although the stream broke off; raise an error if the answer is not complete."""
        ...


class Clock(Protocol):
    """A function that returns the time in seconds.

    A protocol, because pyright would take an attribute of the type `Callable` for a method.
    """

    def __call__(self) -> float: ...
