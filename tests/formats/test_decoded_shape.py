"""Shapes of decoded payloads: what is compared with one, and what may change."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream.formats._fast.entry import DecodedShape

_PATH = ("choices", 0, "delta", "content")


class _Word(StrEnum):
    STOP = "x"


def _payload(text: Any = "Hel", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "end": None, "more": [], "prob": 0.5}
    return {"id": "x", "n": 1, "made": 7, "choices": [choice], "p": "aB3", **fields}


def _choice(**fields: Any) -> list[dict[str, Any]]:
    [choice] = _payload()["choices"]
    return [{**choice, **fields}]


def _learnt(payload: Any = None, **options: Any) -> DecodedShape | None:
    given: dict[str, Any] = {"changing": [("made",)], "padding": {"p"}, **options}
    return DecodedShape.learn(_payload() if payload is None else payload, _PATH, **given)


@pytest.mark.parametrize("text", ["lo", " wörld", "\U0001f600", "a\nb", "a\u2028b", "\x00", "x" * 9_000])
def test_a_shape_reads_the_text_of_the_next_payload(text: str) -> None:
    shape = _learnt()

    assert shape is not None
    assert text == shape.match(_payload(text, made=-99, p=""))
    assert text == shape.match(dict(reversed(_payload(text).items())))


@in_one_test(
    "payload",
    [
        pytest.param(_payload(""), id="no text"),
        pytest.param(_payload("\ud800"), id="half a character"),
        pytest.param(_payload(None), id="null for the text"),
        pytest.param(_payload(_Word.STOP), id="a text of another type"),
        pytest.param(_payload("a", id="y"), id="another id"),
        pytest.param(_payload("a", n=True), id="true for 1"),
        pytest.param(_payload("a", n=1.0), id="1.0 for 1"),
        pytest.param(_payload("a", made=10**18), id="a number of many digits"),
        pytest.param(_payload("a", p="-"), id="odd padding"),
        pytest.param(_payload("a", usage=None), id="another field"),
        pytest.param({k: v for k, v in _payload("a").items() if k != "id"}, id="a field less"),
        pytest.param(_payload("a", choices=_choice(index=False)), id="false for 0"),
        pytest.param(_payload("a", choices=_choice(index=1)), id="another index"),
        pytest.param(_payload("a", choices=_choice(end=0)), id="0 for null"),
        pytest.param(_payload("a", choices=tuple(_choice())), id="a tuple for a list"),
        pytest.param(OrderedDict(_payload("a")), id="all of it another dict"),
    ],
)
def test_anything_else_has_no_match(payload: Any) -> None:
    """What Python takes for equal may mean something else to a format."""
    shape = _learnt()

    assert shape is not None
    assert shape.match(payload) is None


@pytest.mark.parametrize("other", [2, 10**15 - 1])
def test_where_whole_numbers_change_others_have_no_match(other: int) -> None:
    shape = _learnt(counts=[("made",)])

    assert shape is not None
    assert "a" == shape.match(_payload("a", made=other))
    assert [None] * 4 == [shape.match(_payload("a", made=odd)) for odd in (0, -2, 1.5, 10**15)]


def test_fields_that_say_nothing_may_hold_anything_of_their_type() -> None:
    shape = _learnt(_payload(made={"text": "Hel"}), changing=(), asides={"made"}, depth=20)
    deep: Any = {}
    for _ in range(20):
        deep = {"a": deep}

    assert shape is not None
    assert "a" == shape.match(_payload("a", made={"other": [1]}))
    assert shape.match(_payload("a", made=[])) is None
    assert shape.match(_payload("a", made=deep)) is None


_SELF: dict[str, Any] = {}
_SELF["a"] = _SELF


@pytest.mark.parametrize(
    "odd", [(1,), {1: 2}, _Word.STOP, b"x", [*range(300)], _SELF, {_Word.STOP: 1}, float("nan")]
)
def test_what_is_no_json_is_not_learnt(odd: Any) -> None:
    shape = _learnt(_payload(odd=odd))

    assert shape is None or shape.match(_payload("a", odd=float("nan"))) is None
