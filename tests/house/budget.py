"""The budget of the package: counts that only fall, each with some room for changes from outside.

A count is the smallest with which a batch of issues has ended, and `ceiling` what a change may reach. Those
of rings and rooms are in rooms.json.
`python -m tests.house` prints the counts as they are, and `python -m tests.evidence` those of statements.
At the end of a batch, `python -m tests.house --settle` sets these but those of statements, and the rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

LINES = 147_974
"""Lines of all kinds."""
CODE = 84_899
"""Lines of code, without imports, docstrings, comments and blank lines."""
MODULES = 592
"""Modules."""
NODES = 854_718
"""Nodes of the syntax trees of all modules, which no layout makes fewer."""
TESTS = 204_517
"""Lines of tests and examples."""
NO_EVIDENCE = 16_460
"""Statements inside functions that no recording and no documented program reaches."""
NO_EVIDENCE_SHARE = 0.3
"""Their share of all statements inside functions."""
ROOM = 0.005
"""The part of a count by which changes from outside may exceed it."""
SHARES = {"answer": 0.2703, "recovery": 0.0670, "relay": 0.2764, "guests": 0.3303, "project": 0.0150}
"""The share of that room for each ring of the core, from the inside out; for the guests; and for tests of no
room. A format fits into the first, its encoder into the relay, an agent's reader into the guests."""
SHARES_OF_TESTS = {"answer": 0.3530, "recovery": 0.1120, "relay": 0.3560, "guests": 0.1640, "project": 0.0150}
"""The same for the room of their tests."""


def ceiling(count: int) -> int:
    """Return the most that a count of the last batch may become before the next one ends."""
    return ceil(count * (1 + ROOM))


SURFACE = {
    "public names": 187,
    "exceptions": 25,
    "Retry": 11,
    "Stream": 8,
    "connect": 9,
    "Route": 12,
    "respond": 10,
    "websocket": 8,
}
"""The interface that somebody has to learn beside the families: how many, and the options of a name."""
FAMILIES = {"departures": 24, "protocols": 13, "formats": 27, "faults": 27, "stages": 21}
"""What a change from outside adds one of: the members of each family."""
MORE_MEMBERS = 2
"""How many members changes from outside may add to a family before a batch of issues ends."""


def beyond(counts: Mapping[str, int], bounds: Mapping[str, int], remedy: str) -> list[str]:
    """Return a sentence for each count beyond its bound: by how many, and what to do."""
    return [
        f"{name}: {counts[name]:,}, {counts[name] - most:,} more than the bound of {most:,}. {remedy}"
        for name, most in bounds.items()
        if counts[name] > most
    ]


SHARED_FUNCTIONS = 310
"""Places where functions of modules have the name of one of another module."""
FIRST_PROGRAM = {
    "lines loaded": 27_680,
    "modules loaded": 122,
    "idle lines": 4_180,
    "lines loaded by the smallest reader": 20_500,
    "modules loaded by the smallest reader": 88,
}
"""What README's first program costs, as `ceiling` bounds it; idle are lines of modules where nothing runs."""

BYTECODES = {
    "a text delta": 331,
    "a text delta of Decoder": 235,
    "a text delta of AsyncStream": 331,
    "a piece of stream.text": 440,
    "a piece of AsyncStream.text": 445,
    "a fragment in a string": 378,
    "a fragment with quotation marks": 367,
    "a fragment of an array": 378,
    "a fragment that never ends": 378,
    "a relayed token": 576,
    "an answer of 1 events": 12970,
    "an answer of 10 events": 18480,
    "an answer of 54 events": 32950,
    "an answer of Anthropic of 1 words": 19780,
    "an answer of Anthropic of 10 words": 22420,
    "an answer of Anthropic of 54 words": 36880,
}
"""The bytecodes of a piece of an answer and of whole answers, on CPython 3.11."""
C_CALLS = {
    "an answer of 1 events": 319,
    "an answer of 10 events": 508,
    "an answer of Anthropic of 1 words": 559,
    "an answer of Anthropic of 10 words": 673,
}
"""The calls of C code by the package in whole short answers, on CPython 3.11."""
