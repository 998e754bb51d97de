"""JSON documents that grow by four characters, made from a seed."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

FRAGMENT = 4
"""Characters of a fragment, about as many as a token has."""
_SEED = 5
_SENTENCE = (
    "stir the batter slowly until it is smooth and let it rest while you warm the pan then pour a little "
    "oil and wait for the edges to turn gold before you flip it once more"
)
_WORDS = _SENTENCE.split()


def steps(count: int) -> list[dict[str, Any]]:
    """Return objects of about 230 characters: strings, numbers, literals, a list."""
    random = Random(_SEED)
    return [
        {
            "number": number,
            "title": " ".join(random.choices(_WORDS, k=4)),
            "minutes": random.randint(1, 90),
            "optional": random.random() < 0.5,
            "text": " ".join(random.choices(_WORDS, k=18)),
            "tools": random.choices(_WORDS, k=3),
        }
        for number in range(count)
    ]


@cache
def _lines(count: int) -> list[str]:
    return [json.dumps(step) for step in steps(count)]


def steps_text(count: int) -> str:
    return f'{{"name": "A plan", "steps": [{", ".join(_lines(count))}]}}'


def plan(size: int) -> str:
    """Return an object with a list of as many objects as make about `size` characters."""
    count, length = 0, 0
    for line in _lines(max(1, size // 100)):
        if length >= size:
            break
        count, length = count + 1, length + len(line) + 2
    return steps_text(count)


def string(size: int) -> str:
    """Return an object with one string of about `size` characters."""
    text = _SENTENCE + " "
    return json.dumps({"text": (text * (size // len(text) + 1))[:size]})


def nested(depth: int, size: int) -> tuple[str, str]:
    opened = '{"inside": ' * (depth - 1)
    return opened, json.dumps(_WORDS * (size // 230 + 1)) + "}" * (depth - 1)


def fragments(document: str) -> list[str]:
    return [document[at : at + FRAGMENT] for at in range(0, len(document), FRAGMENT)]
