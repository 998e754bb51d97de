"""Made-up texts, cut into pieces in any way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st


def cut(text: str, places: Iterable[int]) -> list[str]:
    """Cut a text at these places, in any order; places past its end are ignored."""
    borders = sorted({0, len(text), *(place for place in places if place < len(text))})
    return [text[start:stop] for start, stop in pairwise(borders)]


def any_pieces(alphabet: str | st.SearchStrategy[str], *, max_size: int = 25) -> st.SearchStrategy[list[str]]:
    """Return texts of some characters, or of some words, cut in any way."""
    if isinstance(alphabet, str):
        texts: st.SearchStrategy[str] = st.text(alphabet, max_size=max_size)
    else:
        texts = st.lists(alphabet, max_size=max_size).map("".join)
    return st.builds(cut, texts, st.lists(st.integers(0, 4 * max_size), max_size=max_size))
