"""The regular expressions: however hostile the text, neither time nor memory grows faster than it does."""

from __future__ import annotations

import ast
import re
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import pytest

from tests.support.patterns import Expression, hostile, kept, written
from tests.support.sampling import sampled
from tokenstream._basics import visible
from tokenstream._basics.json import _block_pattern
from tokenstream.formats._detect import payloads
from tokenstream.formats._fast.match import Hole
from tokenstream.formats._fast.shape import PayloadShape
from tokenstream.formats._fast.template import PayloadTemplate
from tokenstream.formats._kit.error_details import _BEFORE, BROKEN_TEXTS, KNOWN_TEXTS
from tokenstream.formats._registry import path_patterns
from tokenstream.framing import _json_array as json_array
from tokenstream.stages._calls import reading
from tokenstream.stages._calls.dialects import DIALECTS
from tokenstream.stages._citations import MARKERS, search_for
from tokenstream.stages._markdown import inline
from tokenstream.stages._text.scanning import TextSearch

pytestmark = pytest.mark.not_quick

_SIZES = 16, 128, 1_024, 8_192
_SLOW = 0.004
"""Seconds of the processor's own time within which a text of the largest size is read, by far."""
_STEEP = 24
"""How many times as long a text of eight times the size may take: 8 is linear, 64 quadratic."""
_PER_CHARACTER = 4
_SPARE = 16_384


def _pattern_of(search: Any) -> re.Pattern[str]:
    pattern: re.Pattern[str] = search.__self__
    return pattern


_compile_element = json_array._compile  # noqa: SLF001 - as above
MADE: dict[str, re.Pattern[Any] | None] = {
    "tokenstream._basics.json._block_pattern": _block_pattern(4_300),
    "tokenstream.framing._json_array._compile": _compile_element(b"%b"),
    "tokenstream.framing._json_array, after a comma": _compile_element(
        rb"[ \t\n\r]*+,[ \t\n\r]*+(%b)[ \t\n\r]*+"
    ),
    "tokenstream.framing._json_array, before a comma": _compile_element(
        rb"[ \t\n\r]*+(%b)[ \t\n\r]*+,[ \t\n\r]*+"
    ),
    "tokenstream._basics.visible._find_keys": visible._find_keys(),  # noqa: SLF001 - as above
    # The requirements of this package alone.
    "tokenstream._basics.elsewhere.find_requirement": None,
    "tokenstream.formats._registry.path_patterns": None,
    "tokenstream.formats._detect.payloads._compile_nothing": payloads._compile_nothing(),  # noqa: SLF001 - as above
    "tokenstream.testing._recordings.file_format._head_lines": None,
    # Payloads of a few kilobytes, in which it looks for numbers by their keys.
    "tokenstream.formats._fast.shape._field_pattern": None,
    "tokenstream.formats._fast.shape._find_holes": None,
    "tokenstream.formats._fast.template.__init__": PayloadTemplate(
        PayloadShape(
            (b'{"id":"a1","text":"', b'","n":', b',"p":"', b'"}'), (Hole.TEXT, Hole.NUMBER, Hole.PADDING)
        )
    ).pattern,
    "tokenstream.formats._kit.error_details._says": re.compile(
        f"{_BEFORE}(?:{'|'.join(chain(BROKEN_TEXTS, *KNOWN_TEXTS.values()))})", re.IGNORECASE | re.DOTALL
    ),
    # Modules hold all that these two make.
    "tokenstream.partial_json._lenient.peek._make_quote_kind": None,
    "tokenstream.stages._markdown.inline._compile": inline._compile(dollar=True),  # noqa: SLF001 - as above
    # The heads of calls, which are short.
    "tokenstream.stages._calls.reading._head_end": None,
    "tokenstream.stages._calls.reading._heads_of": reading._heads_of(  # noqa: SLF001 - as above
        next(row for row in DIALECTS if row.name == "qwen")
    ),
    "tokenstream.stages._citations.__init__": _pattern_of(search_for(MARKERS).in_more),
    # The openings and ends of calls, and names of tags.
    "tokenstream.stages._text.scanning.compile_texts": TextSearch(
        [*[opening for dialect in DIALECTS for opening in dialect.openings], "</parameter>", "\\"]
    ).pattern,
    # The user's own expressions and markers, and the names of files.
    "tokenstream.stages._matching._compile": None,
    "tokenstream.stages._text.searching.__init__": None,
    "tokenstream.stages._guards.texts.compile_pattern": None,
    "tokenstream.testing._record.filters._compile_pattern": None,
    "tokenstream.testing._record.record.refuse_earlier": None,
}
"""What functions put together; None where it is among the others, or reads nothing that a server sent."""


OUR_OWN = frozenset({"tokenstream.cli._advice._CODE_NOTATION"})
"""What reads nothing but sentences of this package, which are short."""


def expressions() -> list[Expression]:
    """Return all regular expressions of the package, each once."""
    found = list(kept())
    found += [
        Expression("tokenstream.formats._registry", end, frozenset({"search"})) for end, _ in path_patterns()
    ]
    found += [
        Expression(place, made, frozenset({"match", "fullmatch"})) for place, made in MADE.items() if made
    ]
    for place, call in written():
        source = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        if isinstance(call.func, ast.Attribute) and isinstance(source, str | bytes):
            pattern: re.Pattern[Any] = re.compile(source)
            found.append(Expression(place, pattern, frozenset({call.func.attr})))
    return list({(one.pattern, one.ways): one for one in found}.values())


ALL = expressions()


def applied(expression: Expression, way: str, text: str) -> Callable[[], object]:
    pattern = expression.pattern
    given: Any = text
    if isinstance(pattern.pattern, bytes):
        given = text.encode("latin-1", "replace")
    if way in {"finditer", "findall", "sub", "subn", "split"}:
        # What is found is let go at once, so that only what the search itself holds is measured.
        return lambda: sum(1 for _ in pattern.finditer(given))
    return lambda: getattr(pattern, way)(given)


def seconds(read: Callable[[], object]) -> float:
    """Return how long this thread computes; what other programs do meanwhile doesn't count."""
    begun = time.thread_time()
    read()
    return time.thread_time() - begun


def is_steep(expression: Expression, way: str, texts: Iterable[str]) -> bool:
    """Tell whether the time grows out of proportion from one text to the next, each eight times as long."""
    before = None
    for text in texts:
        read = applied(expression, way, text)
        taken = seconds(read)
        # What is slow once may be a pause of this program's own.
        if taken > _SLOW and all(seconds(read) > _STEEP * seconds(before or read) for _ in range(3)):
            return True
        before = read
    return False


def test_no_regular_expression_is_left_out() -> None:
    """One that a function makes is in the table of this module, unless it is written out there."""
    made = {place for place, call in written() if not isinstance(call.args[0], ast.Constant)}

    assert set(MADE) >= made
    assert len(ALL) > 80


@pytest.mark.slow
@pytest.mark.parametrize(
    "expression", [one for one in ALL if one.place not in OUR_OWN], ids=lambda expression: expression.place
)
def test_time_grows_no_faster_than_the_text(expression: Expression) -> None:
    by_size = [hostile(expression.pattern, size) for size in _SIZES]
    for way in sorted(expression.ways):
        steep = [
            growing[-1][:99] for growing in zip(*by_size, strict=True) if is_steep(expression, way, growing)
        ]

        assert steep == []


@pytest.mark.few_rows(4)
@pytest.mark.parametrize(
    "expression",
    sampled([one for one in ALL if one.place not in OUR_OWN], one_in=18),
    ids=lambda expression: expression.place,
)
def test_memory_is_a_few_bytes_a_character_at_most(expression: Expression) -> None:
    """No place to come back to is kept for each character."""
    for text in sorted(hostile(expression.pattern, _SIZES[-1])):
        for way in sorted(expression.ways):
            read = applied(expression, way, text)
            read()
            tracemalloc.start()
            try:
                read()
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

            assert _PER_CHARACTER * len(text) + _SPARE >= peak, text[:100]
