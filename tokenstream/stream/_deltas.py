"""The cursor in all that an answer shows in words: text, reasoning and refusals, as they come."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
from tokenstream.stream._cursors import TextCursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.accumulator import Accumulator

__all__ = ["Delta", "DeltaCursor"]

Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta
"""A piece of what an answer shows in words."""
_KINDS: dict[str, type[Delta]] = {"text": TextDelta, "reasoning": ReasoningDelta, "refusal": RefusalDelta}


class DeltaCursor:
    """Where a reader is in the words of a choice.

    What it has missed comes part by part, in one piece each.

    Args:
        accumulator: What has been said.
        choice: The choice.
    """

    __slots__ = ("_accumulator", "_choice", "_cursors", "_waiting")

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        self._accumulator = accumulator
        self._choice = choice
        self._cursors = {
            delta: TextCursor(accumulator, choice, kind, delta) for kind, delta in _KINDS.items()
        }
        self._waiting: deque[Delta] = deque()

    def ready(self) -> Delta | None:
        """Return the next of the words that the reader has missed.

        Raises:
            StreamError: The answer began again, and is another one.
        """
        if not self._waiting:
            self._gather({cursor: cursor.ready() for cursor in self._cursors.values()})
        return self._waiting.popleft() if self._waiting else None

    def after(self, event: Any) -> Delta | None:  # noqa: ANN401 - any event
        """Return an event that adds words, or what is new of it."""
        cursor = self._cursors.get(event.__class__)
        if cursor is None:
            return None
        text = cursor.after(event)
        if text is None or text == event.text:
            delta: Delta | None = None if text is None else event
            return delta
        self._gather({cursor: text})
        return self._waiting.popleft() if self._waiting else None

    def end(self) -> Delta | None:
        """Return the next of the words that only the end of the stream has told of.

        Raises:
            StreamError: The answer began again, and lacks what was given.
        """
        if not self._waiting:
            self._gather({cursor: cursor.end() for cursor in self._cursors.values()})
        return self._waiting.popleft() if self._waiting else None

    def _gather(self, texts: dict[TextCursor, str | None]) -> None:
        """Take what cursors have missed, in the order of its parts."""
        found = [piece for cursor, text in texts.items() if text for piece in self._pieces(cursor, text)]
        self._waiting.extend(delta for _, delta in sorted(found, key=lambda piece: piece[0]))

    def _pieces(self, cursor: TextCursor, text: str) -> Iterator[tuple[tuple[int, int], Delta]]:
        """Give the pieces of a text that was read last, each with its part and where it begins."""
        begin, choice = cursor.position - len(text), self._choice or self._accumulator.main
        for index, part in enumerate(self._accumulator.parts_from(choice, 0)):
            if part.log is None or part.log.kind != cursor.kind:
                continue
            bounds = [*part.spans, cursor.position] if len(part.spans) % 2 else part.spans
            for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
                words = text[max(0, start - begin) : max(0, stop - begin)]
                if words:
                    delta: Any = _KINDS[cursor.kind]
                    yield (index, start), delta(words, choice=choice, part=index)
