"""Searches a text that is still arriving: for one of several texts, and for the end of white space."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BLANK = 64
"""The most white space at the start of a text that is held back because a tag or a call may follow."""
_SPACE = re.compile(r"\s*")


class TextSearch:
    """A search for the next of several texts, or for the beginning of one at the end of the text so far.

    Args:
        texts: The texts, of which the longest counts where several begin; without any, nothing is found.
        ignores_case: True to find the texts in upper case, too; they are in lower case, behind a mark.
    """

    __slots__ = ("_beginnings", "_ignores_case", "_longest", "firsts", "pattern")

    def __init__(self, texts: Iterable[str], *, ignores_case: bool = False) -> None:
        ordered = sorted(texts, key=len, reverse=True)
        flags = re.ASCII | re.IGNORECASE if ignores_case else 0
        self.pattern = re.compile("|".join(map(re.escape, ordered)) or r"(?!)", flags)
        self.firsts = frozenset(text[0] for text in ordered)
        """The first characters of the texts."""
        self._beginnings = frozenset(text[:end] for text in ordered for end in range(1, len(text)))
        """All beginnings of the texts, without the whole texts."""
        self._longest = max(map(len, ordered), default=0)
        self._ignores_case = ignores_case

    def may_begin(self, text: str, position: int) -> bool:
        """Return True if the end of a text, from `position` on, may become one of the texts."""
        if len(text) - position >= self._longest:
            return False
        tail = text[position:]
        return (tail.lower() if self._ignores_case else tail) in self._beginnings

    def find_unfinished(self, text: str, position: int) -> int:
        """Return the start of an unfinished one at the end of a text; the text's length if there is none."""
        size = len(text)
        for start in range(max(position, size - self._longest + 1), size):
            if text[start] in self.firsts and self.may_begin(text, start):
                return start
        return size


@cache
def search_for_texts(texts: tuple[str, ...]) -> TextSearch:
    """Return the search for several texts; it is made once."""
    return TextSearch(texts)


def end_of_space(text: str, position: int) -> int:
    """Return the position after the white space that begins at a position; the same one if there is none."""
    match = _SPACE.match(text, position)
    return position if match is None else match.end()
