"""What a lenient reading may take: steps, memory, depth, digits, repairs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.partial_json.lenient_texts import ended
from tests.partial_json.support import calls_of
from tests.support.sampling import sampled
from tests.support.texts import pieces_of
from tokenstream.errors import LimitExceeded
from tokenstream.partial_json import PartialJSONParser

_HOSTILE = {
    "braces": "{",
    "braces in prose": "x{",
    "brackets": "x[",
    "quotes": '"',
    "quotes in a string": '{"a": "x" x',
    "pairs of quotes": '["a", "b" c',
    "backslashes": "\\",
    "backslashes in a string": '{"a": "\\\\',
    "escapes that are none": '{"a": "\\q',
    "commands": '{"a": "\\alpha \\nabl',
    "paths": '{"a": "C:\\Users\\nam',
    "a path": '{"a": "C:\\Users\\n\\nam',
    "many quotes": '{"a": """""',
    "lines": '["x"\n',
    "labels": "[a b",
    "marks": "[TOOL_CALLS]",
    "ends of reasoning": "x</think>",
    "arrays": "[1,",
    "fields": '"a":1,',
    "prose with braces": "use {curly} [x] ",
    "tags": "<think>",
    "angles": "<",
    "fences": "x```",
    "documents": '{"a":1}',
    "comments": "{//\n",
    "commas": "[,",
    "spaces": '{"a": "x"     ',
    "digits": "[11",
    "words": "{a",
    "tuples": "[(",
}


def _work(text: str, size: int, **options: Any) -> int:
    """Return how many calls reading a text takes; a clock would measure the machine."""
    return calls_of(lambda: ended(text, size, **options))


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("name", sampled(sorted(_HOSTILE), one_in=4))
def test_reading_is_linear(name: str, size: int) -> None:
    """A text that is twice as long takes twice as many steps, whatever it is made of."""
    unit = _HOSTILE[name]
    start = unit[: unit.index('"a": "') + 6] if '"a": "' in unit else ""
    part = unit.removeprefix(start)
    work = [_work(start + part * (length // len(part)), size) for length in (3_000, 6_000)]

    assert work[1] <= 2.1 * work[0] + 2_000


@pytest.mark.slow
@pytest.mark.parametrize("document", ["first", "last"])
@pytest.mark.parametrize(
    "name", sampled(["documents", "prose with braces", "fields", "angles", "brackets"], one_in=5)
)
def test_reading_one_document_of_many_is_linear(name: str, document: str) -> None:
    """What is chosen at the end is read once more, and nothing else."""
    unit = _HOSTILE[name]
    work = [_work(unit * (length // len(unit)), 3, document=document) for length in (3_000, 6_000)]

    assert work[1] <= 2.1 * work[0] + 2_000


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("name", _HOSTILE)
def test_what_is_held_back_is_bounded(name: str) -> None:
    """A token and what decides about it, however long the text is."""
    parser = PartialJSONParser(lenient=True)
    for piece in pieces_of(_HOSTILE[name] * 2_000, 7):
        parser.feed(piece)
        held = getattr(getattr(parser, "_reader"), "held_back")  # noqa: B009 - it has no public name

        assert len(held) <= 4_300 + 1_024


@pytest.mark.slow
def test_a_document_of_too_many_repairs_is_given_up() -> None:
    """What was read before stays."""
    most = 100_000
    parser = ended('{"a": "' + "\\q" * (most + 5) + '"}')

    assert isinstance(parser.error, LimitExceeded)
    assert ("repairs", most) == (parser.error.limit, parser.error.value)
    assert most == len(parser.repairs)
    assert parser.value["a"].startswith("\\q\\q")


def test_nesting_is_bounded_as_in_the_strict_reading() -> None:
    """At the same bound, with the same error."""
    for text, max_depth in (("[" * 4, 3), ('{"a":' * 4, 3), ('"a": [[[[', 3), ('"a": 1', 0)):
        parser = ended(text, max_depth=max_depth)

        assert isinstance(parser.error, LimitExceeded)
        assert "max_depth" == parser.error.limit


def test_a_document_as_deep_as_one_likes_is_read_and_compared_without_recursion() -> None:
    text = "[" * 10_000 + "]" * 10_000
    parser = ended(text + text, max_depth=100_000)

    assert parser.error is None
    assert ["repeated_document"] == [repair.name for repair in parser.repairs]


@pytest.mark.parametrize(
    "text", ["[" + "1" * 4_301, "1" * 4_301, "[0x" + "1" * 4_400, '{"a": -' + "1" * 5_000]
)
def test_digits_are_bounded_as_in_the_strict_reading(text: str) -> None:
    for size in (0, 7):
        error = ended(text, size).error

        assert isinstance(error, LimitExceeded)
        assert "digits" == error.limit


def test_a_decimal_has_a_bound_too() -> None:
    """An exponent that no Decimal holds."""
    error = ended('{"a": 1e9999999999999999999}', decimals=True).error

    assert isinstance(error, LimitExceeded)
    assert "exponent" == error.limit
