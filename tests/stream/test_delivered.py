"""What a reader has of an answer, compared with an answer that comes again."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamInterrupted
from tokenstream.stream._views.position import DeliveredItems


def _lacking(has: list[str], again: list[str]) -> str:
    """Return the text that a reader lacks of an answer that comes again."""
    delivered = DeliveredItems(Accumulator(), has)
    new = [delivered.skip(piece) or "" for piece in again]
    delivered.check_end()
    return "".join(new)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("size_again", [1, 2, 3, 5, 11])
def test_text_may_come_again_in_other_pieces(size: int, size_again: int) -> None:
    """The reader of some pieces of a text is given its rest once, however the text is cut the second time."""
    text = "Hello world"
    has = [text[at : at + size] for at in range(0, 6, size)]
    again = [text[at : at + size_again] for at in range(0, len(text), size_again)]

    assert text == "".join(has) + _lacking(has, again)


@pytest.mark.parametrize("again", [["Hel", "p"], ["Help"], ["Hel"], []])
def test_another_or_a_shorter_text_is_refused(again: list[str]) -> None:
    """An answer that differs from what the reader has, or that ends before it, raises."""
    with pytest.raises(StreamInterrupted, match="differs"):
        _lacking(["He", "llo"], again)


def test_a_text_that_repeats_many_pieces_is_compared_in_linear_time() -> None:
    """A text that comes again as one is copied once, piece by piece, however many pieces there were."""
    again = _Counted("abc " * 10_000)

    assert "" == _lacking(["abc "] * 10_000, [again])
    assert again.copied <= len(again)


class _Counted(str):
    """A text that counts the characters that are copied from it."""

    __slots__ = ("copied",)

    def __getitem__(self, index: Any) -> str:
        found = super().__getitem__(index)
        self.copied = getattr(self, "copied", 0) + len(found)
        return found
