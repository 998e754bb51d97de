"""Paths into a document, with wildcards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream.errors import MisuseError
from tokenstream.partial_json import PartialJSONParser, ValueDone, ValueStart
from tokenstream.partial_json._events import OFF, At, PathMatcher, Pattern

_KEYS = st.sampled_from(["a", "b", "0", "1", "", "a.b", "*"])
_DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "x", "yz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)
_TUPLES = st.lists(st.sampled_from(["a", "b", "0", "", "a.b", "*", 0, 1]), max_size=4).map(tuple)
_TEXTS = st.lists(st.sampled_from(["a", "b", "0", "1", "*"]), max_size=4).map(".".join)


def _is_meant(at: At, path: tuple[str | int, ...]) -> bool:
    """Say in other words than the module what a path means."""
    if isinstance(at, str):
        keys: list[Any] = at.split(".") if at else []
        path = tuple(map(str, path))
    else:
        keys = list(at)
    return len(keys) == len(path) and all(key in ("*", step) for key, step in zip(keys, path, strict=True))


def _expected(at: At, path: tuple[str | int, ...]) -> int:
    """Return how a value stands to a path, found out from the path as a whole."""
    size = len(Pattern(at))
    way: At = ".".join(at.split(".")[: len(path)]) if isinstance(at, str) else at[: len(path)]
    return len(path) - size if _is_meant(way, path[:size]) else OFF


@given(document=_DOCUMENTS, at=_TUPLES | _TEXTS, size=st.integers(1, 9))
def test_each_value_stands_to_a_path_as_its_own_path_does(document: Any, at: At, size: int) -> None:
    """What is found on the way down is what comparing whole paths finds, at starts and at ends."""
    text = json.dumps(document)
    parser, matcher = PartialJSONParser(), PathMatcher(Pattern(at))
    events = [event for piece in pieces_of(text, size) for event in parser.feed(piece)]
    events += parser.end()
    starts: list[int] = []
    dones: list[int] = []
    for event in events:
        if isinstance(event, ValueStart):
            starts.append(matcher.start(event))
        elif isinstance(event, ValueDone):
            dones.append(matcher.finish(event))

    assert [_expected(at, event.path) for event in events if isinstance(event, ValueStart)] == starts
    assert [_expected(at, event.path) for event in events if isinstance(event, ValueDone)] == dones


def _found(at: At, document: Any) -> list[tuple[str | int, ...]]:
    matcher = PathMatcher(Pattern(at))
    found = []
    for event in PartialJSONParser().feed(json.dumps(document)):
        if isinstance(event, ValueStart) and matcher.start(event) == 0:
            found.append(event.path)
        elif isinstance(event, ValueDone):
            matcher.finish(event)
    return found


@in_one_test(
    "at, found",
    [
        ("", [()]),
        ((), [()]),
        ("recipes", [("recipes",)]),
        ("recipes.*", [("recipes", 0), ("recipes", 1)]),
        ("recipes.*.steps", [("recipes", 0, "steps"), ("recipes", 1, "steps")]),
        (("recipes", 1, "steps"), [("recipes", 1, "steps")]),
        (("recipes", "1", "steps"), []),
        ("1", [("1",)]),
        (("1",), [("1",)]),
        ((1,), []),
        (("a.b", "*"), [("a.b", "c")]),
        ("a.b.*", []),
        (("",), [("",)]),
    ],
)
def test_a_path_leads_to_what_it_says(at: At, found: list[Any]) -> None:
    """Dots part keys; digits are an index or a key in text, and what their type says in a tuple."""
    document = {"recipes": [{"steps": [0]}, {"steps": [1]}], "1": {}, "a.b": {"c": 0}, "": 1}

    assert found == _found(at, document)


@in_one_test("at", ["a..b", ".a", "$", "a[0]", "a[*].b", 7, None, ["a"], (True,), (-1,), (1.5,), (None,)])
def test_what_is_no_path_is_refused_at_once(at: Any) -> None:
    """Such a path would lead nowhere, and nobody would be told."""
    with pytest.raises(MisuseError, match=r"is not a path into a document|is not a step of a path"):
        Pattern(at)


def test_messages_name_a_path_as_it_was_written() -> None:
    """Text stays text, and a tuple a tuple."""
    names = [Pattern(at).name(2) for at in ("a.*.b", ("a.b", 0, "c"))]

    assert ["'a.*'", "('a.b', 0)"] == names
    assert Pattern("a").name(0) == "the document"


def test_wildcards_are_known() -> None:
    """Where anything may stand, there may be nothing."""
    pattern = Pattern("a.*")

    assert [False, True] == [pattern.is_wild(0), pattern.is_wild(1)]


def test_a_deep_document_costs_what_a_flat_one_costs() -> None:
    """Nothing is looked up for a value that lies below what the path leads to, or beside the way."""
    looked_up: list[int] = []

    class Counted(Pattern):
        def matches_key(self, position: int, key: str | int) -> bool:
            looked_up.append(position)
            return super().matches_key(position, key)

    matcher = PathMatcher(Counted("a.b"))
    for event in PartialJSONParser().feed('{"x": ' + "[" * 400 + "]" * 400 + ', "a": {"b": ' + "[" * 400):
        if isinstance(event, ValueStart):
            matcher.start(event)
        elif isinstance(event, ValueDone):
            matcher.finish(event)

    assert [0, 0, 1] == looked_up
