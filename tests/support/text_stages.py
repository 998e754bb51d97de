"""Laws of every stage that cuts a text into pieces, for any text and any fragments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import regex
from hypothesis import strategies as st

from tests.support.texts import pieces_of, run

HOSTILE = {
    "a word": "a",
    "blanks": " ",
    "lines": "\n",
    "returns": "\r",
    "marks": "\u0301",
    "joiners": "\u200d",
    "flags": "\U0001f1e9",
    "family": "\U0001f469\u200d",
    "thai": "ก",
    "kana": "カ",
    "han": "世",
    "stacked": "\u1000\u1039",
    "prepended": "\u0600\U0001f1e9",
    "dots": ".",
    "quotes": '"',
    "opening": "“(",
    "abbreviations": "Dr. ",
    "initials": "J. ",
    "sentences": "No. ",
    "commas": ", ",
    "questions": "?",
    "citations": ".[1]",
    "half a citation": ".[",
    "numbers": "1. ",
    "stars": "*",
    "tildes": "~",
    "links": "[a](",
    "brackets": "[",
    "images": "![",
    "angles": "<a",
    "entities": "&amp",
    "escapes": "\\",
    "ticks": "`",
    "fences": "```\n",
    "pipes": "|",
    "rows": "|a \n",
    "heads": "#",
    "bullets": "- ",
    "rules": "---\n",
    "underscores": "_",
    "comments": "<!-- ",
}
"""Units that, repeated without end, are costly for one stage or another."""

# Letters of many scripts, and characters between letters.
_UNITS = [
    *"abIx.,;:!?'\"-_()[]*`~#|<>&\\/0123 \t\n\r",
    *"éßЖשعกั่ำเ世界らンカー々가각\u0301\u200d\ufe0f\u3099",
    *"。！？、，」「”“’…—\u2028\u00a0\u3000",
    "\U0001f469",
    "\U0001f3fd",
    "\U0001f1e9",
    "\U0001f1ea",
    "\u1000",
    "\u1039",
    "\u0600",
    "क",
    "्",
    "\r\n",
    "1\ufe0f\u20e3",
    "don't ",
    "3.14",
    "Dr. ",
    "e.g. ",
    ". The ",
    "](",
    "**",
    "```",
    "\n\n",
]


def texts(*, most: int = 40) -> st.SearchStrategy[str]:
    """Draw texts of units that have a meaning for one stage or another."""
    return st.lists(st.sampled_from(_UNITS), max_size=most).map("".join)


@st.composite
def cut(draw: st.DrawFn, whole: st.SearchStrategy[str] | None = None) -> tuple[str, list[str]]:
    """Draw a text and a way to cut it, with empty pieces among the others."""
    text = draw(texts() if whole is None else whole)
    places = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=12))), len(text)]
    return text, [text[start:stop] for start, stop in pairwise(places)]


def borders(pieces: list[str]) -> list[int]:
    """Return the offsets at which pieces end within their text."""
    found = [0]
    for piece in pieces:
        found.append(found[-1] + len(piece))
    return found[1:-1]


def letter_borders(text: str) -> set[int]:
    """Return the boundaries of grapheme clusters."""
    return {match.start() for match in regex.finditer(r"\X", text)}


def word_borders(text: str) -> set[int]:
    """Return the boundaries of words, by UAX #29."""
    return {match.start() for match in regex.finditer(r"\b", text, flags=regex.WORD | regex.V1)}


def work(make: Callable[[], Any], text: Any, size: int = 1) -> int:
    """Return the number of calls that reading a text, or pieces, takes; a clock would measure the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    stage, pieces = make(), pieces_of(text, size) if isinstance(text, str) else text
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run(stage, pieces)
    finally:
        sys.setprofile(before)
    return calls


def grows_too_fast(make: Callable[[], Any], unit: str, size: int) -> str:
    """Describe the calls for a text and one twice as long, if they grow out of proportion; else ""."""
    # The first text is read twice: what is imported and compiled once does not count.
    _, short, long = (work(make, unit * (length // len(unit)), size) for length in (5_000, 2_500, 5_000))
    return f"{short}, {long}" if long > 2.1 * short + 1_000 else ""
