"""What a string of escapes costs beside the same characters without them, in the same pieces.

A piece is a fragment of the escaped text; beside it stand the characters that it
comes to, as a piece of a text that needs no escapes.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compare.benchmarks import documents
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tokenstream.partial_json import PartialJSONParser, StringDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.timing import Plan

_CHARACTERS = 5_000
_SIZES = (4, 16, 64, 512, 4_096)
_PLAIN = str.maketrans({"\n": " ", '"': "'", "\\": "/", "\t": " "})
_CHINESE = "模型以流的形式写出结构化的答案，界面在它写的时候就显示出来。"


def _texts() -> dict[str, str]:
    """Return texts as models write them into JSON: with a code for each character, and source code."""
    source = Path(documents.__file__).read_text("utf-8")
    return {
        "Chinese as `\\uXXXX`": (_CHINESE * _CHARACTERS)[:_CHARACTERS],
        "Python source": (source * 3)[:_CHARACTERS],
    }


def pieces_of(text: str, size: int) -> list[str]:
    """Return an object that holds a text, all of it escaped, in pieces."""
    document = json.dumps({"text": text})
    return [document[start : start + size] for start in range(0, len(document), size)]


def plain_pieces(pieces: list[str]) -> list[str]:
    r"""Return the same pieces without escapes: the characters that each of them comes to.

    Example:
        >>> plain_pieces(['{"text": "a\\u00e', '9b"}'])
        ['{"text": "a', 'éb"}']
    """
    parser = PartialJSONParser()
    told = [parser.feed(piece) for piece in pieces]
    texts = ["".join(event.text for event in events if isinstance(event, StringDelta)) for events in told]
    plain = [text.translate(_PLAIN) for text in texts]
    return ['{"text": "' + plain[0], *plain[1:-1], plain[-1] + '"}']


def _reading(pieces: list[str], *, lenient: bool) -> Run:
    parser = PartialJSONParser(lenient=lenient)
    feed = parser.feed

    def run() -> None:
        for piece in pieces:
            feed(piece)
            _ = parser.value

    return run


def escapes(plan: Plan) -> list[Table]:
    """Return a table for each text: what a piece costs with escapes, and without, strict and lenient."""
    tables = []
    for name, text in _texts().items():
        rows = []
        for size in _SIZES:
            escaped = pieces_of(text, size)
            plain = plain_pieces(escaped)
            prepared: list[Callable[[], Run]] = [
                partial(_reading, pieces, lenient=lenient)
                for lenient in (False, True)
                for pieces in (escaped, plain)
            ]
            each = [seconds / len(escaped) * 1e6 for seconds in fastest(prepared, plan.rounds)]
            rows.append([f"{size:,}", *(f"{cost:.2f}" for cost in each)])
        head = ["characters of a piece", "strict µs", "without escapes", "lenient µs", "without escapes"]
        tables.append(Table(f"partial JSON: a string of escapes, {name}", head, rows))
    return tables
