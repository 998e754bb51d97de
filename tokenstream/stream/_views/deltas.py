"""A cursor in the text, reasoning and refusals of an answer, in the order of their arrival."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
from tokenstream.stream._views.cursors import TextCursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.accumulator import Accumulator

Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta
"""A piece of text, reasoning or refusal."""
_DELTA_TYPES: dict[str, type[Delta]] = {
    "text": TextDelta,
    "reasoning": ReasoningDelta,
    "refusal": RefusalDelta,
}


class DeltaCursor:
    """A reader's position in the text, reasoning and refusals of a choice.

    A reader that begins late first gets each part so far in one piece.
    """

    __slots__ = ("_accumulator", "_choice", "_cursors", "_waiting")

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        self._accumulator = accumulator
        self._choice = choice
        # One cursor for each kind of text, by the class of its deltas.
        self._cursors = {
            delta: TextCursor(accumulator, choice, kind, delta) for kind, delta in _DELTA_TYPES.items()
        }
        self._waiting: deque[Delta] = deque()
        """Deltas to deliver next."""

    def ready(self) -> Delta | None:
        """Return the next delta that the reader does not have yet; None if the reader has all deltas.

        Raises:
            StreamError: The answer was restarted, and differs from the text that the reader has.
        """
        if not self._waiting:
            self._gather({cursor: cursor.ready() for cursor in self._cursors.values()})
        return self._waiting.popleft() if self._waiting else None

    def after(self, event: AnyEvent) -> Delta | None:
        """Return an event if it is a delta, or the part of it that the reader lacks; otherwise None."""
        cursor = self._cursors.get(event.__class__)
        if cursor is None:
            return None
        text = cursor.after(event)
        if text is None or text == event.text:
            delta: Delta | None = None if text is None else event
            return delta
        # The reader lacks more than this event, or has a part of it from before a restart.
        self._gather({cursor: text})
        return self._waiting.popleft() if self._waiting else None

    def end(self) -> Delta | None:
        """Return the next delta that the end of the stream added; None if no delta is left.

        Raises:
            StreamError: The answer was restarted, and the new one lacks text that the reader already has.
        """
        if not self._waiting:
            self._gather({cursor: cursor.end() for cursor in self._cursors.values()})
        return self._waiting.popleft() if self._waiting else None

    def _gather(self, texts: dict[TextCursor, str | None]) -> None:
        """Queue new texts as deltas, in the order of their parts.

        Args:
            texts: The cursors of the different kinds of text, each with its new text or None.
        """
        pieces = [
            piece for cursor, text in texts.items() if text for piece in self._split_by_part(cursor, text)
        ]
        self._waiting.extend(delta for _, delta in sorted(pieces, key=lambda piece: piece[0]))

    def _split_by_part(self, cursor: TextCursor, text: str) -> Iterator[tuple[tuple[int, int], Delta]]:
        """Split the new text of a cursor at the bounds of parts.

        Yields:
            A key for sorting, which is the index of the part and the position of the text, and a delta.
        """
        # The position of the new text in the cursor's log, to which the spans of parts refer, too.
        begin = cursor.position - len(text)
        choice = self._choice or self._accumulator.main
        for index, part in enumerate(self._accumulator.parts_from(choice, 0)):
            if part.log is None or part.log.kind != cursor.kind:
                continue
            # A part's spans are starts and ends in the log; while the part is open, its last end is missing.
            bounds = [*part.spans, cursor.position] if len(part.spans) % 2 else part.spans
            for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
                # The part of the new text that is in this span; "" if the span ended before the new text.
                piece = text[max(0, start - begin) : max(0, stop - begin)]
                if piece:
                    delta_type: Any = _DELTA_TYPES[cursor.kind]
                    yield (index, start), delta_type(piece, choice=choice, part=index)
