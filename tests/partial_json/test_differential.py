"""Partial JSON beside other parsers; each known disagreement is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.support import documents, read, same
from tests.support.packages import needed
from tokenstream.partial_json import Allow

_TOKENS = [
    *("{", "}", "[", "]", ",", ":", " ", '"', '"a"', "1", "-", "0", ".5", "e3", "true", "null", "\\", "\n")
]
_PARTIAL_JSON_PARSER: Any = import_module("partial_json_parser")  # it has no types
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,4}|u[dD][89abAB].{2}\\)?\Z")
_CUT_NUMBER = re.compile(r"[-+.0-9eE]\Z")
_KEEP = int(Allow.STR | Allow.NUM | Allow.ARR | Allow.OBJ)

# -- whole texts -----------------------------------------------------------------------


def _verdict(load: Callable[[str], Any], text: str) -> tuple[bool, Any]:
    try:
        return True, load(text)
    except ValueError:
        return False, None


def _ours(text: str) -> tuple[bool, Any]:
    parser = read(text, 1)
    parser.end()
    return parser.error is None, parser.value if parser.error is None else None


@given(st.lists(st.sampled_from(_TOKENS), max_size=8).map("".join))
def test_json_loads_takes_the_same_texts(text: str) -> None:
    assert same([*_verdict(json.loads, text)], [*_ours(text)])


# -- cut texts -------------------------------------------------------------------------------


def _jiter(text: str) -> Any:
    return needed("jiter").from_json(text.encode(), partial_mode="trailing-strings")


def _pydantic_core(text: str) -> Any:
    return pydantic_core.from_json(text, allow_partial="trailing-strings")


@pytest.mark.parametrize("theirs", [_jiter, _pydantic_core], ids=["jiter", "pydantic_core"])
@given(text=documents(repeat=True, lone=False), data=st.data())
def test_jiter_shows_the_same_of_a_cut_document(
    theirs: Callable[[str], Any], text: str, data: st.DataObject
) -> None:
    """With the number at the cut, or without it.

    It shows "12" but not "12.", so that what showed is taken back. pydantic_core 2.27
    leaves out a string that is cut inside an escape, 2.50 does not.
    """
    text = text[: data.draw(st.integers(0, len(text)))]
    taken, value = _verdict(theirs, text)
    readings = [read(text), read(text, allow=_KEEP)]
    if _CUT_ESCAPE.search(text):
        readings.append(read(text, allow=int(Allow.ARR | Allow.OBJ)))

    assert any(reading.has_value <= taken for reading in readings)
    if taken:
        assert any(reading.has_value and same(value, reading.value) for reading in readings)


@pytest.mark.parametrize("theirs", [_jiter, _pydantic_core], ids=["jiter", "pydantic_core"])
@pytest.mark.parametrize("text", [r'["\ud83d", 1', '["a" 1', '["a"}'])
def test_jiter_and_this_parser_disagree(theirs: Callable[[str], Any], text: str) -> None:
    is_json = text.startswith(r'["\u')

    assert is_json is not _verdict(theirs, text)[0]
    assert is_json is (read(text).error is None)


@given(documents(repeat=True, lone=False, numbers=False), st.data())
def test_partial_json_parser_shows_the_same_of_a_cut_document(text: str, data: st.DataObject) -> None:
    text = text.strip(" \t\r\n")
    text = text[: data.draw(st.integers(1, len(text)))]
    if text == text.strip() and not _CUT_ESCAPE.search(text) and not _CUT_NUMBER.search(text):
        shown = _PARTIAL_JSON_PARSER.loads(text, Allow.STR | Allow.ARR | Allow.OBJ)

        assert same(shown, read(text).value)


@pytest.mark.parametrize(
    "text, ours, theirs", [("12", None, 12), (r'"\ud83d', "", "\ud83d"), ('"a\xa0', "a\xa0", "a")]
)
def test_partial_json_parser_and_this_parser_disagree(text: str, ours: Any, theirs: Any) -> None:
    """The other parser shows a number that is the whole document, and half a surrogate pair."""
    shown = _PARTIAL_JSON_PARSER.loads(text, Allow.STR | Allow.ARR | Allow.OBJ)

    assert (ours, theirs) == (read(text).value, shown)
