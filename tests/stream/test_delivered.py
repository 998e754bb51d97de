"""What a reader has of an answer, compared with an answer that comes again."""

from __future__ import annotations

from typing import Any

from tests.support import wire
from tests.support.tables import in_one_test
from tokenstream import Retry, resilient, testing
from tokenstream.accumulator import Accumulator
from tokenstream.stream._views.position import DeliveredItems


def _read_again(has: list[str], again: list[str]) -> list[str]:
    """Return what the reader of a field is given whose answer breaks off, and then comes again."""
    whole = testing.script().text('{"title": "', *again, '"}').finish("stop").chunks("openai-chat")
    bodies = iter([[wire.chat({"content": piece}) for piece in ('{"title": "', *has)], whole])
    retry = Retry(mode="restart", wait=0)
    return list(resilient(lambda _: next(bodies), retry, format="openai-chat").field("title"))


@in_one_test("size", [1, 2, 3, 5, 11])
@in_one_test("size_again", [1, 2, 3, 5, 11])
def test_text_may_come_again_in_other_pieces(size: int, size_again: int) -> None:
    """The reader of some pieces of a text is given its rest once, however the text is cut the second time."""
    text = "Hello world"
    has = [text[at : at + size] for at in range(0, 6, size)]
    again = [text[at : at + size_again] for at in range(0, len(text), size_again)]
    given = _read_again(has, again)

    assert (has, text) == (given[: len(has)], "".join(given))


def test_a_text_that_repeats_many_pieces_is_compared_in_linear_time() -> None:
    """A text that comes again as one is copied once, piece by piece, however many pieces there were."""
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
