"""Documents as other languages write them, whole, cut and with a quote missing: never read wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.lenient_texts import ended
from tests.partial_json.support import grew, same
from tests.support.effort import examples

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"[a-z]+").fullmatch


def _javascript(value: Any) -> str:
    if isinstance(value, dict):
        fields = "".join(
            f"{key if _NAME(key) else _javascript(key)}: {_javascript(value[key])},\n" for key in value
        )
        return f"{{{fields}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_javascript, value))}]"
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return text
    inner = text[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def _typographic(value: Any) -> str:
    return _STRING.sub(lambda match: f"“{match[1]}”", json.dumps(value, indent=1))


_STYLES: dict[str, Callable[[Any], str]] = {
    "Python": repr,
    "JavaScript": _javascript,
    "comments": lambda value: json.dumps(value, indent=2).replace(",\n", ', // it\'s "so"\n'),
    "typographic quotes": _typographic,
    "raw line breaks": lambda value: json.dumps(value).replace("\\n", "\n"),
    "trailing commas": lambda value: re.sub(
        r"(?<![\[{])\n( *)([}\]])", r",\n\1\2", json.dumps(value, indent=2)
    ),
}
_AROUND = [
    "{}",
    "```json\n{}\n```\nThat is {{all}} [1].",
    'Sure!\n\n```\n{}\n```\n\n"Enjoy", I\'d say.',
    '<think>\nmaybe {{"a": 0}} or ["x"]\n</think>\n{}',
    "<tool_call>\n{}\n</tool_call>",
    "const data = {};",
    "print({})",
    "- {}",
    "Result: {}\n\nI hope {{this}} helps.",
    "{0}\n{0}",
]


def _documents(characters: str, *, least: int) -> st.SearchStrategy[Any]:
    words = st.text(characters, min_size=least, max_size=8)
    keys = st.text("abc", min_size=1, max_size=3)
    scalars = st.one_of(words, words, st.integers(), st.sampled_from([True, False, None, 0.5, -1.25]))
    values = st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    )
    return st.one_of(
        st.dictionaries(keys, values, min_size=1, max_size=4),
        st.lists(st.dictionaries(keys, values, min_size=1, max_size=3), min_size=1, max_size=3),
    )


_ANY = _documents("ab ,.:;'\"\n\\{}[]()<&#é", least=0)
_WORDS = _documents("ab ,.:'", least=1)


def _is_read(value: Any, style: str, around: str) -> None:
    parser = ended(around.format(_STYLES[style](value)))

    assert parser.error is None
    assert same(value, parser.value)


def _is_cut(value: Any, style: str, length: int) -> None:
    text = _STYLES[style](value)
    parser = ended(text[: 1 + length % len(text)])

    assert parser.error is not None or grew(parser.value, value)


def _lacks_a_quote(value: Any, indent: int | None, which: int) -> None:
    text = json.dumps(value, indent=indent)
    quotes = [at for at, character in enumerate(text) if character == '"']
    at = quotes[which % len(quotes)]
    parser = ended(text[:at] + text[at + 1 :])

    assert parser.error is not None or same(value, parser.value)


_READ = (_ANY, st.sampled_from(list(_STYLES)), st.sampled_from(_AROUND))
_CUT = (_ANY, st.sampled_from(list(_STYLES)), st.integers(0, 999))
_LACKING = (_WORDS, st.sampled_from([None, 2]), st.integers(0, 99))


@given(*_READ)
@examples(30)
def test_a_document_of_another_language_is_read_as_it_is_meant(value: Any, style: str, around: str) -> None:
    _is_read(value, style, around)


@given(*_CUT)
@examples(30)
def test_a_cut_comes_to_the_start_of_what_is_meant(value: Any, style: str, length: int) -> None:
    _is_cut(value, style, length)


@given(*_LACKING)
@examples(30)
def test_a_quote_that_is_missing_is_noticed(value: Any, indent: int | None, which: int) -> None:
    """No field is lost, and none becomes part of another."""
    _lacks_a_quote(value, indent, which)
