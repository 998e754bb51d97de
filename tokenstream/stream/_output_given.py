"""What a reader of structured output was given, where the answer may begin again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._align import difference
from tokenstream.errors import OutputInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.accumulator import Accumulator
    from tokenstream.stream._output_documents import OutputKind

__all__ = ["Given"]

_INVALID = object()
"""Stands for an element that was invalid: it was raised in its place."""


class Given:
    """Compares what an answer gives that began again with what its reader has been given.

    Items are equal by value and place, the pieces of a string as one text. What
    equals is passed over; the rest of a longer piece is given.

    Args:
        kind: What is given: items, or pieces of a string.
    """

    __slots__ = ("_at", "_inside", "_items", "_pieces")

    def __init__(self, kind: OutputKind) -> None:
        self._pieces = kind == "pieces"
        self._items: list[Any] = []
        self._at = 0
        """How many of them have come again; equal to their number where none is missing."""
        self._inside = 0
        """How many characters of the next piece have come again."""

    def begin_again(self) -> None:
        """Compare from the start."""
        self._at = self._inside = 0

    @property
    def owes(self) -> bool:
        """Something that was given has not come again."""
        return self._at < len(self._items)

    def check(self, accumulator: Accumulator) -> None:
        """Refuse an end before all has come again; whoever stopped the stream knows.

        Raises:
            StreamError: The answer that began again is another one.
        """
        if accumulator.ending != "stopped":
            raise difference(accumulator)

    def pass_over(self, take: Callable[[], Any], accumulator: Accumulator) -> Any:  # noqa: ANN401 - an item
        """Return the first item that was not given before; None where none has come.

        Args:
            take: Returns the next item, None where there is none, or raises what stands in its place.
            accumulator: Knows why the answer began again.

        Raises:
            StreamError: The answer that began again is another one.
            OutputInvalid: An element is invalid that was not raised before.
        """
        while True:
            try:
                item = take()
            except OutputInvalid:
                if not self.owes:
                    self._note(_INVALID)
                    raise
                item = _INVALID
            if item is None:
                return None
            if not self.owes:
                self._note(item)
                return item
            rest = self._again(item) if self._pieces and isinstance(item, str) else self._same(item)
            if rest is None:
                raise difference(accumulator)
            if rest:
                self._note(rest)
                return rest

    def _note(self, item: object) -> None:
        self._items.append(item)
        self._at = len(self._items)

    def _same(self, item: object) -> str | None:
        """Pass over an item; None where it is another one."""
        before = self._items[self._at]
        same = (before is item) if _INVALID in (before, item) else bool(before == item)
        if not same or self._inside:
            return None
        self._at += 1
        return ""

    def _again(self, piece: str) -> str | None:
        """Pass over a piece of a string, and return what of it is new; None where it is another one."""
        while piece and self.owes:
            before = self._items[self._at]
            if not isinstance(before, str):
                return None
            size = min(len(piece), len(before) - self._inside)
            if not before.startswith(piece[:size], self._inside):
                return None
            piece, self._inside = piece[size:], self._inside + size
            if self._inside == len(before):
                self._at, self._inside = self._at + 1, 0
        return piece
