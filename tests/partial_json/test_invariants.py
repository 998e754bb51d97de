"""The contract of docs/guides/partial-json.md, invariant by invariant."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.support import documents, events_of, grew, joined, read, same
from tests.support.texts import pieces_of
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json import Allow, PartialJSONParser, StringDelta, ValueDone, ValueStart

_ANY = documents(repeat=True)
_LETTERS = [
    *("a", '"', "\\", "u", "d", "8", "0", "-", ".", "e", "+", "t", "n", "[", "]", "{", "}", ",", ":", " "),
    *("\n",),
]
_ALLOWED = st.integers(0, 63)


def _shown_after_each_character(text: str, **options: Any) -> list[Any]:
    """Return what shows after each character; nothing for as long as there is nothing."""
    parser = PartialJSONParser(**options)
    shown = []
    for character in text:
        parser.feed(character)
        assert parser.error is None
        if parser.has_value:
            shown.append(parser.snapshot())
    parser.end()
    return [*shown, parser.snapshot()]


# What may complete a text that is cut: the rest of what stands open, and then its brackets.
_ESCAPES = ("", "n", *("0" * count for count in range(1, 5)))
_STRINGS = ("", *(f"{escape}{rest}" for escape in _ESCAPES for rest in ('"', '":0')))
_RESTS = (*_STRINGS, "0", '"":0', ":0", *("rue", "ue", "e", "alse", "lse", "se", "ull", "ll", "l"))


def _open_brackets(text: str) -> str:
    closers: list[str] = []
    inside, escaped = False, False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            closers.append("]" if character == "[" else "}")
        elif character in "]}" and closers:
            closers.pop()
    return "".join(reversed(closers))


def _can_go_on(text: str) -> bool:
    """Whether a text is the beginning of a document, as `json.loads` judges it."""
    closers = _open_brackets(text)
    for rest in _RESTS:
        try:
            json.loads(text + rest + closers)
        except ValueError:
            continue
        return True
    return False


@given(documents(), _ALLOWED.map(lambda allow: allow & ~int(Allow.NUM)))
def test_invariant_1_what_shows_is_never_taken_back(text: str, allow: int) -> None:
    """Objects only gain keys, arrays elements, strings characters; nothing else changes."""
    shown = _shown_after_each_character(text, allow=allow)

    assert all(grew(before, after) for before, after in pairwise(shown))


@given(_ANY, st.integers(0, 63), st.booleans())
def test_invariant_2_the_end_is_what_json_loads_gives(text: str, allow: int, whole: bool) -> None:
    """Types and the order of keys included, also where keys come twice."""
    parser = read(text, 0 if whole else 1, allow=allow)
    parser.end()

    assert (None, True) == (parser.error, parser.complete)
    assert same(json.loads(text), parser.value)


@given(st.one_of(_ANY, st.text(_LETTERS, max_size=12)), st.data())
def test_invariant_3_the_pieces_do_not_matter(text: str, data: st.DataObject) -> None:
    """Value, events and error depend on the text alone, wherever it is cut and whatever may show."""
    text = text[: data.draw(st.integers(0, len(text)))]
    allow = data.draw(_ALLOWED)
    decimals = data.draw(st.booleans())
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    whole, pieced = (PartialJSONParser(allow=allow, decimals=decimals) for _ in range(2))
    at_once = whole.feed(text)
    bit_by_bit = [event for start, end in pairwise(cuts) for event in pieced.feed(text[start:end])]

    assert joined(at_once) == joined(bit_by_bit)
    assert whole.has_value == pieced.has_value
    assert same(whole.value, pieced.value)
    assert (whole.complete, str(whole.error)) == (pieced.complete, str(pieced.error))


@given(_ANY)
def test_invariant_4_each_prefix_of_a_document_is_accepted(text: str) -> None:
    parser = PartialJSONParser()
    for character in text:
        parser.feed(character)

        assert parser.error is None


@given(_ANY.filter(bool), st.data())
def test_invariant_5_what_no_document_begins_with_is_refused_at_its_first_fault(
    text: str, data: st.DataObject
) -> None:
    """`offset` is the first character that cannot continue the text; what was read before stays."""
    position = data.draw(st.integers(0, len(text) - 1))
    text = text[:position] + data.draw(st.sampled_from(_LETTERS)) + text[position:]
    parser = PartialJSONParser()
    begun = [event.path for event in parser.feed(text) if isinstance(event, ValueStart)]
    if isinstance(parser.error, InvalidJSON):
        offset = parser.error.offset

        assert _can_go_on(text[:offset])
        assert not _can_go_on(text[: offset + 1])
        # A number is finished by whatever does not belong to it, also by a fault; that of a key
        # that comes twice then replaces the first one.
        before, repeats = read(text[:offset]), len(set(begun)) < len(begun)
        assert not before.has_value or repeats or grew(before.value, parser.value)
    else:
        assert parser.error is None
        assert _can_go_on(text)


@given(st.lists(st.sampled_from(["a", r"\n", r"\u0041", r"\ud83d\ude00", r"\uD83D\uDE00"])).map("".join))
def test_invariant_6_nothing_shows_by_halves(characters: str) -> None:
    text = f'"{characters}"'
    whole = json.loads(text)
    for shown in _shown_after_each_character(text):
        shown.encode()

        assert whole.startswith(shown)


@given(_ANY)
def test_invariant_7_a_finished_value_is_never_touched_again(text: str) -> None:
    parser = PartialJSONParser()
    done: list[tuple[Any, str]] = []
    for character in text:
        done += [
            (event.value, json.dumps(event.value))
            for event in parser.feed(character)
            if isinstance(event, ValueDone)
        ]

    assert all(json.dumps(value) == then for value, then in done)


@given(documents(), _ALLOWED)
def test_invariant_8_a_snapshot_never_changes(text: str, allow: int) -> None:
    parser = PartialJSONParser(allow=allow)
    taken: list[tuple[Any, Any]] = []
    for character in text:
        parser.feed(character)
        snapshot = parser.snapshot()
        taken.append((snapshot, copy.deepcopy(snapshot)))

    assert all(same(then, snapshot) for snapshot, then in taken)
    assert parser.snapshot() is parser.value or not parser.complete


def _rebuilt(text: str, size: int) -> Any:
    """Return the document as its events alone tell it."""
    roots: dict[Any, Any] = {}
    containers: dict[tuple[Any, ...], Any] = {(): roots}
    for event in events_of(text, size):
        place = containers[("root", *event.path)[:-1]]
        key = ("root", *event.path)[-1]
        if isinstance(event, ValueStart):
            made: Any = {"object": dict, "array": dict, "string": str}.get(event.kind, lambda: None)()
            place[key] = containers["root", *event.path] = made
        elif isinstance(event, StringDelta):
            place[key] += event.text
        elif isinstance(event.value, list):
            place[key] = list(place[key].values())
        elif not isinstance(event.value, dict | str):
            place[key] = event.value
    return roots["root"]


@given(_ANY, st.sampled_from([0, 1, 3]))
def test_invariant_9_the_events_tell_the_whole_document(text: str, size: int) -> None:
    """Who keeps no value rebuilds it from them, and each offset is where the value stands in the text."""
    starts: dict[tuple[Any, ...], int] = {}

    assert same(json.loads(text), _rebuilt(text, size))
    for event in events_of(text, size):
        if isinstance(event, ValueStart):
            starts[event.path] = event.offset
        elif isinstance(event, ValueDone):
            assert same(json.loads(text[starts[event.path] : event.offset]), event.value)


@given(st.text(_LETTERS, max_size=30), _ALLOWED, st.booleans(), st.sampled_from([0, 1, 3]))
def test_invariant_10_no_text_makes_it_raise(text: str, allow: int, decimals: bool, size: int) -> None:
    """What is wrong with the text is in `error`, and nothing is read after it."""
    parser = PartialJSONParser(allow=allow, decimals=decimals, max_depth=3)
    for piece in pieces_of(text, size):
        parser.feed(piece)
    value = parser.value
    parser.end()
    error = parser.error

    assert parser.complete is (error is None) or parser.complete
    assert error is None or isinstance(error, InvalidJSON | LimitExceeded)
    if error is not None:
        assert [] == parser.feed("[1]")
        assert parser.error is error
        assert parser.value is value
