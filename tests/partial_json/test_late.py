"""Long pieces are read when somebody looks, and nobody can tell: but by the time that it takes."""

from __future__ import annotations

import copy
import json
import pickle
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.support import documents, same
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json import PartialJSONParser, StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict import late as _late
from tokenstream.partial_json._strict import outline as _outline
from tokenstream.partial_json._strict import reader as _strict
from tokenstream.partial_json._strict import run as _run

if TYPE_CHECKING:
    from collections.abc import Callable

_BEHIND = st.sampled_from(["", "", "", "x", ",", "NaN", '{"a": NaN}', "]", '"'])
_LOOKS: dict[str, Callable[[PartialJSONParser], Any]] = {
    "nothing": type,
    "value": lambda parser: copy.deepcopy(parser.value),
    "snapshot": PartialJSONParser.snapshot,
    "complete": lambda parser: (parser.complete, parser.has_value),
    "error": lambda parser: str(parser.error),
}
_STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(list(_LOOKS)), st.booleans()), min_size=9)
_PIECE = 600


def _long(document: str) -> str:
    """Return a document that is a long piece."""
    return document + " " * _PIECE


def _read(pieces: list[str], steps: list[Any], long: int, **options: Any) -> list[Any]:
    """Return all that is seen of a document whose pieces wait from a length on.

    Args:
        pieces: The document.
        steps: For each, whether its events are kept, what is looked at then, and whether at its events.
        long: The length.
        options: The parser's.
    """
    seen: list[Any] = []
    kept: list[list[Any]] = []
    with (
        patch.multiple(_late, LONG=long, SHORT=0),
        patch.object(_strict, "SHORT", 0),
        patch.object(_outline, "_LONG", 1),
    ):
        parser = PartialJSONParser(**options)
        for piece, (keeps, look, at_events) in zip(pieces, steps, strict=False):
            if keeps:
                kept.append(parser.feed(piece))
                seen += [*kept[-1]] if at_events else []
            else:
                parser.feed(piece)
            seen.append(_LOOKS[look](parser))
        seen.append([[*events] for events in kept])
        seen.append(parser.end())
    return [*seen, parser.snapshot(), parser.complete, str(parser.error)]


@given(
    documents(repeat=True), _BEHIND, _STEPS, st.integers(0, 63), st.booleans(), st.integers(0, 4), st.data()
)
def test_what_is_seen_does_not_depend_on_when_it_is_read(
    text: str, behind: str, steps: list[Any], allow: int, decimals: bool, depth: int, data: st.DataObject
) -> None:
    """Events, values, errors: whichever is looked at first, and whether the others ever are."""
    text += behind
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    options = {"allow": allow, "decimals": decimals, "max_depth": depth or 512}

    assert repr(_read(pieces, steps, 10**9, **options)) == repr(_read(pieces, steps, 1, **options))


@given(documents(repeat=True))
def test_a_whole_document_is_what_json_loads_gives(text: str) -> None:
    """Types and the order of keys included."""
    parser = PartialJSONParser()
    parser.feed(_long(text))
    parser.end()

    assert (None, True) == (parser.error, parser.complete)
    assert same(json.loads(text), parser.value)


@pytest.mark.parametrize(("fault", "offset"), [("\\x", 609), ("\n", 608)])
def test_a_fault_in_a_string_that_ends_with_its_piece_is_told(fault: str, offset: int) -> None:
    """Such a piece is read at once; what came before the fault shows."""
    parser = PartialJSONParser()
    parser.feed('{"a": "b')
    parser.feed("c" * 600 + fault + 'd"}')

    assert isinstance(parser.error, InvalidJSON)
    assert (offset, {"a": "b" + "c" * 600}) == (parser.error.offset, parser.value)


def test_finished_values_are_those_that_the_value_holds() -> None:
    """Also where the value was looked at before the events."""
    parser = PartialJSONParser()
    events = parser.feed(_long('{"a": [{"b": 1}], "c": {}}'))
    value = parser.value
    done = {event.path: event.value for event in events if isinstance(event, ValueDone)}

    assert done["a",] is value["a"]
    assert done["a", 0] is value["a"][0]
    assert done[()] is value


def _deep(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (_long(f'{{"a": {_deep(512)}}}'), "max_depth"),
        (_long("[" + "[]," * 10_000 + _deep(512) + "]"), "max_depth"),
        (_deep(200_000), "max_depth"),
        (_long("[0." + "1" * 4_300 + "]"), "digits"),
        (_long("[" + "1" * 4_301 + "]"), "digits"),
        (_long('["' + " " * 511 + '", 1e' + "0" * 4_300 + "]"), "digits"),
    ],
    ids=["deep", "deep and long", "very deep", "fraction", "integer", "exponent"],
)
def test_bounds_hold_in_a_whole_document(text: str, limit: str) -> None:
    """They are those of short pieces."""
    parser = PartialJSONParser()
    parser.feed(text)

    assert isinstance(parser.error, LimitExceeded)
    assert limit == parser.error.limit


def test_what_is_just_within_the_bounds_is_read() -> None:
    """As deep and as long as may be."""
    text = _long(f'["{"1" * 9_000}", {_deep(511)}, {"1" * 4_300}, {"[]," * 9_000} 1.5]')
    parser = PartialJSONParser()
    parser.feed(text)

    assert parser.error is None
    assert json.loads(text) == parser.value


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ["[", '{"a":', '[{"a":[', "[[],[", '[{"b":0},"x",{"a":[0,', "]", '{"a" 1},', "[" * 30 + "]" * 30 + ","],
)
def test_what_is_no_json_is_looked_at_a_few_times_at_most(unit: str) -> None:
    """However many objects and arrays a piece leaves open, or closes that were not."""
    looked = 0
    at = _outline.outline

    def count(text: str, *, in_string: bool) -> tuple[int, bytes, bool, int] | None:
        nonlocal looked
        looked += len(text)
        return at(text, in_string=in_string)

    text = "[" + unit * 4_000 + "]"
    with patch.object(_run, "outline", count):
        parser = PartialJSONParser(max_depth=100_000)
        parser.feed(text)
        _ = parser.value

    assert looked <= len(text) * len(text).bit_length()


def test_what_is_between_two_cuts_is_read_in_c() -> None:
    """Wherever they are: a cut key, number or literal is left, and all else is shown."""
    text = json.dumps(
        {"a": [{"b": 1, "c": ["x", {"d": "e, f"}], "g]": [[True], -1.5, 'h\\"\0'], "é": {}}] * 4}
    )
    one_by_one, shown, left = PartialJSONParser(), [], 0
    for character in text:
        one_by_one.feed(character)
        shown.append(one_by_one.snapshot())
    take = _run.read_run

    def count(document: Any, at: Any, text: str) -> tuple[int, Any] | None:
        nonlocal left
        taken = take(document, at, text)
        left = len(text) - (taken[0] if taken else 0)
        return taken

    with patch.multiple(_late, LONG=1, SHORT=0, read_run=count):
        for start in range(1, len(text)):
            parser = PartialJSONParser()
            for end, piece in (start, text[:start]), (start + 120, text[start : start + 120]):
                parser.feed(piece)
                assert shown[min(end, len(text)) - 1] == parser.value
                assert left < len(', "g]": false')


def test_pieces_that_wait_are_read_at_the_latest_when_they_are_a_million_characters() -> None:
    """Nobody has to look for that."""
    piece = '"' + "a" * 998 + '",'
    parser = PartialJSONParser()
    parser.feed(_long("["))
    for _ in range(1_500):
        parser.feed(piece)
    waiting = getattr(getattr(parser, "_reader"), "_postponed")  # noqa: B009 - it has no public name

    assert len(waiting) < 1_002
    assert 1_500 == len(parser.value)


def test_the_events_are_a_list_in_every_way() -> None:
    """Whatever is done with them first."""
    text = _long('["a"]')
    told = [
        ValueStart((), "array", 0),
        ValueStart((0,), "string", 1),
        StringDelta((0,), "a"),
        ValueDone((0,), "a", 4),
        ValueDone((), ["a"], 5),
    ]
    ways: list[Callable[[list[Any]], Any]] = [
        *(list, tuple, len, bool, repr, copy.copy, reversed, iter),
        *(lambda events: events[1], lambda events: events[1:], lambda events: told[0] in events),
        *(lambda events: events + told, lambda events: told + events, lambda events: events * 2),
        *(lambda events: events == told, lambda events: told == events, lambda events: events != told),
        *(lambda events: events.pop(), lambda events: events.index(told[2]), lambda events: events.count(1)),
        *(lambda events: [*events], lambda events: pickle.loads(pickle.dumps(events))),
    ]
    for way in ways:
        found, expected = way(PartialJSONParser().feed(text)), way([*told])
        assert list(expected) == list(found) if hasattr(expected, "__next__") else expected == found
    extended: list[Any] = [0]
    extended += PartialJSONParser().feed(text)

    assert [0, *told] == extended


def test_misuse_is_told_at_once() -> None:
    """A long piece is refused behind the end, and when it is no text."""
    parser = PartialJSONParser()
    parser.feed(_long("[1]"))
    parser.end()
    with pytest.raises(MisuseError, match="after end"):
        parser.feed(_long("[1]"))
    misused: Any = b" " * _PIECE
    with pytest.raises(MisuseError, match="takes str"):
        PartialJSONParser().feed(misused)
