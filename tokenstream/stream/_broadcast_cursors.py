"""Cursors of one of several readers: others may have read further in the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tokenstream.stream._broadcast_hub import NEWS
from tokenstream.stream._cursors import TextCursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._cursor import Cursor
    from tokenstream.stream._aspects import Cursors
    from tokenstream.stream._broadcast_hub import Hub, Place

__all__ = ["Following", "Views"]

ItemT = TypeVar("ItemT")


class Following(Generic[ItemT]):
    """A cursor whose answer others may have read further.

    Args:
        cursor: The cursor.
        hub: Reads for all.
        place: The reader's place.
    """

    __slots__ = ("_cursor", "_hub", "_is_text", "_looked", "_place")

    def __init__(self, cursor: Cursor[ItemT], hub: Hub[Any], place: Place) -> None:
        self._cursor = cursor
        self._hub = hub
        self._place = place
        self._is_text = isinstance(cursor, TextCursor)
        """A look finds all that has come, and never leaves a part for the next one."""
        self._looked = -2
        """How many events had come at the last look; there has been none yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the cursor has
        return getattr(self._cursor, name)

    def ready(self) -> ItemT | None:
        """Return what the reader has missed."""
        number, last = self._hub.news
        behind = number - self._looked
        self._place.seen = self._looked = number
        # An event has its piece at hand, which would have to be found in the text.
        return self._cursor.after(last) if behind == 1 and self._is_text else self._cursor.ready()

    def after(self, event: Any) -> ItemT | None:  # noqa: ANN401 - any event
        """Return what has come since."""
        place = self._place
        number, last = self._hub.news
        place.seen = self._looked = number
        # Where only one event has come, it is read as without others.
        if event is NEWS and number == place.before + 1:
            return self._cursor.after(last)
        return self._cursor.ready()

    def end(self) -> ItemT | None:
        """Return what the end adds."""
        return self._cursor.end()

    def waiting(self) -> Following[ItemT]:
        """Return a cursor that gives the calls once the answer is complete."""
        cursor: Any = self._cursor
        return type(self)(cursor.waiting(), self._hub, self._place)


class Views:
    """Gives cursors at the start of each aspect of a choice, for one of several readers.

    Args:
        cursors: Gives them.
        follow: Makes them the reader's own.
    """

    __slots__ = ("_cursors", "_follow")

    def __init__(self, cursors: Cursors, follow: Callable[[Cursor[Any]], Following[Any]]) -> None:
        self._cursors = cursors
        self._follow = follow

    def __getattr__(self, name: str) -> Callable[..., Following[Any]]:
        make = getattr(self._cursors, name)

        def followed(*args: object, **named: object) -> Following[Any]:
            return self._follow(make(*args, **named))

        return followed
