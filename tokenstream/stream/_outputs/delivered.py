"""Record of the structured output that was delivered, for answers that may be restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._pipeline.align import make_difference_error
from tokenstream.errors import OutputInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.accumulator import Accumulator
    from tokenstream.stream._outputs.documents import OutputKind

_INVALID = object()
"""Placeholder for an invalid element, for which an error was raised."""


class DeliveredItems:
    """Compares a restarted answer with the items that its reader already has.

    Items are compared by value and position, and the pieces of a string as one text.
    Equal items are skipped; the rest of a longer piece is delivered.

    Args:
        kind: The kind of items: elements, or pieces of a string.
    """

    __slots__ = ("_are_pieces", "_items", "_matched_chars", "_position")

    def __init__(self, kind: OutputKind) -> None:
        self._are_pieces = kind == "pieces"
        self._items: list[Any] = []
        """All items that the reader has, in the order of their delivery."""
        self._position = 0
        """Number of items found again since the restart; the length of `_items` once none is missing."""
        self._matched_chars = 0
        """Number of characters of the piece at `_position` that the restarted answer has repeated so far."""

    def begin_again(self) -> None:
        """Compare from the first item on, because the answer was restarted."""
        self._position = self._matched_chars = 0

    @property
    def lacks_items(self) -> bool:
        """True while the restarted answer still lacks an item that was delivered."""
        return self._position < len(self._items)

    def check(self, accumulator: Accumulator) -> None:
        """Raise the error for an answer that has ended without a delivered item, unless it was stopped.

        Raises:
            StreamError: The stream was not stopped.
        """
        if accumulator.ending != "stopped":
            raise make_difference_error(accumulator)

    def skip_delivered(self, pop_item: Callable[[], Any], accumulator: Accumulator) -> Any:  # noqa: ANN401 - any
        """Return the first item that was not delivered before; None if no further item has arrived.

        Args:
            pop_item: Returns the next item, or None; raises the error of an invalid element.
            accumulator: The stream's accumulator, which knows why the answer was restarted.

        Raises:
            StreamError: The restarted answer differs from the delivered items.
            OutputInvalid: An element is invalid, and its error was not raised before.
        """
        while True:
            try:
                item = pop_item()
            except OutputInvalid:
                if not self.lacks_items:
                    # All delivered items were found again, so this error is new.
                    self._record(_INVALID)
                    raise
                item = _INVALID
            if item is None:
                return None
            if not self.lacks_items:
                self._record(item)
                return item
            if not (self._are_pieces and isinstance(item, str)):
                if not self._skip_item(item):
                    raise make_difference_error(accumulator)
                continue
            new_text = self._skip_piece(item)
            if new_text is None:
                raise make_difference_error(accumulator)
            if new_text:
                # The piece begins with delivered text, and goes on after it.
                self._record(new_text)
                return new_text

    def _record(self, item: object) -> None:
        """Record an item that is delivered now."""
        self._items.append(item)
        self._position = len(self._items)

    def _skip_item(self, item: object) -> bool:
        """Skip an item that was delivered at this position before the restart; return False if it differs."""
        before = self._items[self._position]
        # `_INVALID` stands for an invalid element, which has no value to compare.
        is_same = before is item or (_INVALID not in (before, item) and _are_equal(before, item))
        # After a part of a piece, only the rest of that piece may follow.
        if not is_same or self._matched_chars:
            return False
        self._position += 1
        return True

    def _skip_piece(self, piece: str) -> str | None:
        """Skip the part of a piece that was delivered before, and return the rest; None if it differs."""
        while piece and self.lacks_items:
            before = self._items[self._position]
            if not isinstance(before, str):
                # The delivered item was not a piece of a string, so the answers differ.
                return None
            # The first `_matched_chars` of the delivered item were found in earlier pieces.
            size = min(len(piece), len(before) - self._matched_chars)
            if not before.startswith(piece[:size], self._matched_chars):
                return None
            piece, self._matched_chars = piece[size:], self._matched_chars + size
            if self._matched_chars == len(before):
                self._position, self._matched_chars = self._position + 1, 0
        return piece


def _are_equal(before: object, item: object) -> bool:
    """Return True if two elements are equal: true is not 1, as in JSON, and NaN equals itself."""
    # Imported only for a restarted answer.
    from tokenstream.partial_json._lenient.atoms import are_equal

    return are_equal(before, item)
