"""What a reader has of an answer, compared with an answer that comes again."""

from __future__ import annotations

from typing import Any

from tokenstream._answer.accumulator import Accumulator
from tokenstream.stream._views.log_cursor import DeliveredItems


def test_a_text_that_repeats_many_pieces_is_compared_in_linear_time() -> None:
    again = _Counted("abc " * 10_000)

    assert None is DeliveredItems(Accumulator(), ["abc "] * 10_000).skip(again)
    assert again.copied <= len(again)


class _Counted(str):
    """A text that counts the characters that are copied from it."""

    __slots__ = ("copied",)

    def __getitem__(self, index: Any) -> str:
        found = super().__getitem__(index)
        self.copied = getattr(self, "copied", 0) + len(found)
        return found
