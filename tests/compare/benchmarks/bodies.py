"""Pieces of text as models send them, made from a seed."""

from __future__ import annotations

import random

_COMMON = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an "
    "they which one you were all her she there would their we him been has when who will no more if out so "
    "said what up its about into than them can only other time new some could these two may first then do"
)
_SUBWORDS = [
    "ing",
    "ization",
    "er",
    "un",
    "ly",
    "tion",
    "ness",
    "ment",
    "s",
    "ed",
    "able",
    " Stream",
    " token",
]
_MARKS = [".", ",", ".", ",", ":", ";", "!", "?", " (", ")", " -", " **", "**", "`", " =", "()", " {", "}"]
_LINES = ["\n", "\n\n", ".\n\n", ":\n\n", "\n    ", "\n- "]
_QUOTES = [' "', '"', '",', '":', ' ["', "\\n", "\\", '\\"']
_ACCENTS = ["é", " naïve", " für", " año", "’s", " –", "…", " “", "”", " Größe"]
_FAR = ["日本", "語", "。", " 東京", "了", " мир", "ать"]
_ASTRAL = [" 🙂", "🎉", " 🚀"]
# Of a thousand tokens of prose with a little code, so many are of each kind.
_KINDS = [
    (_SUBWORDS, 150),
    (_MARKS, 140),
    (_LINES, 35),
    (_QUOTES, 30),
    (_ACCENTS, 20),
    (_FAR, 12),
    (_ASTRAL, 3),
]

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def tokens(count: int, seed: int = 0) -> list[str]:
    """Return `count` pieces of text of the kinds and lengths that models send."""
    source = random.Random(seed)
    words = [f" {word}" for word in _COMMON.split()]
    names, weights = [words, *(kind[0] for kind in _KINDS)], [1000 - sum(w for _, w in _KINDS)]
    weights += [weight for _, weight in _KINDS]
    return [source.choice(source.choices(names, weights)[0]) for _ in range(count)]
