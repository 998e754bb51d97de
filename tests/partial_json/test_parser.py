"""The parser of partial JSON: what shows, what is kept, what it refuses, what it costs."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest

import tokenstream.partial_json
from tests.partial_json.support import joined, read, same
from tests.support.texts import pieces_of
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json import MISSING, Allow, PartialJSONParser, StringDelta, ValueDone, ValueStart

_CONTAINERS = Allow.ARR | Allow.OBJ


# -- what may show ---------------------------------------------------------------


@pytest.mark.parametrize(
    "allow, text, shown",
    [
        (_CONTAINERS, '["a", "b', ["a"]),
        (_CONTAINERS | Allow.STR, '["a", "b', ["a", "b"]),
        (_CONTAINERS, "[1, 2", [1]),
        (_CONTAINERS | Allow.NUM, "[1, 2", [1, 2]),
        (_CONTAINERS, "[true, t", [True]),
        (_CONTAINERS | Allow.BOOL, "[true, t", [True, True]),
        (_CONTAINERS | Allow.BOOL, "[fals", [False]),
        (_CONTAINERS | Allow.BOOL, "[nul", []),
        (_CONTAINERS | Allow.NULL, "[nul", [None]),
        (_CONTAINERS | Allow.NULL, "[fals", []),
        (Allow.OBJ, '{"a": [1, 2', {}),
        (Allow.OBJ, '{"a": [1, 2], "b": {"c": [', {"a": [1, 2], "b": {}}),
        (Allow.ARR, '[{"a": 1}, {"b": 2', [{"a": 1}]),
        (Allow.ARR, '[[{"a": [3', [[]]),
        (Allow.ALL, '[{"a": "x", "b": -1', [{"a": "x", "b": -1}]),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_only_what_is_allowed_shows_unfinished(allow: int, text: str, shown: Any, size: int) -> None:
    """Each flag of `Allow` is about one kind of value; finished ones always show."""
    parser = read(text, size, allow=allow)

    assert same(shown, parser.value)
    assert same(shown, parser.snapshot())


@pytest.mark.parametrize(
    "allow, text, more",
    [
        (Allow.OBJ, '[1, "a', '"]'),
        (Allow.ARR, '{"a": [1', "]}"),
        (Allow.NUM, '"abc', '"'),
        (0, '[{"a": "b', '"}]'),
        (Allow.STR, "tru", "e"),
        (None, "nul", "l"),
    ],
)
def test_a_withheld_document_shows_when_it_is_complete(allow: int | None, text: str, more: str) -> None:
    """Until then there is nothing, which is told from a null by `has_value`."""
    parser = read(text, 1, allow=allow)

    assert (False, None, None) == (parser.has_value, parser.value, parser.snapshot())
    parser.feed(more)
    assert (True, True) == (parser.has_value, parser.complete)
    assert same(json.loads(text + more), parser.value)


def test_a_withheld_string_is_told_all_the_same() -> None:
    """`allow` says what `value` shows, not what the events tell."""
    parser = PartialJSONParser(allow=_CONTAINERS)
    told = [event for piece in '["ab\\u00e9"]' for event in parser.feed(piece)]

    assert ["a", "b", "é"] == [event.text for event in told if isinstance(event, StringDelta)]
    assert ["abé"] == parser.value


def test_the_value_of_a_repeated_key_stays_until_the_next_one_begins() -> None:
    """The last one counts, in the place of the first, as in `json.loads`."""
    parser = read('{"a": 1, "b": 2, "a"')

    assert {"a": 1, "b": 2} == parser.value
    parser.feed(": 3")
    assert {"a": 1, "b": 2} == parser.value
    parser.feed(', "a": "x')
    assert ["a", "b"] == list(parser.value)
    assert {"a": "x", "b": 2} == parser.value


@pytest.mark.parametrize(
    "escape",
    [
        *(r"\n", r"\u00e9", r"\ud83d\ude00", r"\ud83d\n", r"\ude00x"),
        *(r"\ud83d\ud83d\ude00", r"\uD83D\uDBFF\uDFFF", r"\uD83D\uD83D\uD83Dx"),
    ],
)
@pytest.mark.parametrize("where", ['["{}"]', '{{"{}": 1}}'])
def test_an_escape_is_read_wherever_it_is_cut(escape: str, where: str) -> None:
    """In strings and keys alike."""
    text = where.format(escape)
    for cut in range(len(text)):
        parser = PartialJSONParser()
        parser.feed(text[:cut])
        parser.feed(text[cut:])

        assert json.loads(text) == parser.value


@pytest.mark.parametrize(
    "text, offset, value",
    [
        (r'["a\x', 4, ["a"]),
        (r'["a\u00g', 7, ["a"]),
        ('["a\n', 3, ["a"]),
        (r'["\ud83d\q', 9, [""]),
        (r'["\ud83d\uzz', 10, [""]),
        (r'["\ud83d\udczz', 12, [""]),
        (r'["\ud83d\u0z', 11, ["\ud83d"]),
        ('["\\ud83d\x1f', 8, [""]),
        ('{"a\t', 3, {}),
        (r'{"\u00x', 6, {}),
        ("[tru ", 4, []),
        ("[nulL", 4, []),
        ("[} ", 1, []),
        ("{,", 1, {}),
        ("{1", 1, {}),
        ('{"a",', 4, {}),
        ('{"a":1]', 6, {"a": 1}),
        ('{"a":1 "', 7, {"a": 1}),
        ("[1 2", 3, [1]),
        ("\ufeff[", 0, None),
        ("[\xa01", 1, []),
        ("[] ]", 3, []),
    ],
)
def test_a_fault_is_at_the_first_character_that_cannot_go_on(text: str, offset: int, value: Any) -> None:
    """Wherever the text is cut; what was read before stays, and half a surrogate pair does not show."""
    for size in range(4):
        parser = read(text, size)

        assert isinstance(parser.error, InvalidJSON)
        assert offset == parser.error.offset
        assert value == parser.value
        assert f"character {offset} " in str(parser.error)


# -- what is kept --------------------------------------------------------------------


def test_the_value_is_live_and_a_snapshot_is_not() -> None:
    """The one for looking, the other to keep; what is finished is shared."""
    parser = read('{"a": [1], "b": ["x')
    live, kept = parser.value, parser.snapshot()
    parser.feed('y"], "c": 2}')

    assert {"a": [1], "b": ["x"]} == kept
    assert parser.value is live
    assert {"a": [1], "b": ["xy"], "c": 2} == live
    assert live["a"] is kept["a"] is parser.snapshot()["a"]


def test_a_finished_object_is_the_one_that_the_value_holds() -> None:
    """So that nobody pays for it twice."""
    parser = PartialJSONParser()
    done = [event for event in parser.feed('{"a": {"b": [1]}}') if isinstance(event, ValueDone)]

    assert done[-1].value is parser.value
    assert done[-2].value is parser.value["a"]


def test_strings_that_somebody_holds_do_not_change() -> None:
    """Each look at a growing string is a string of its own."""
    parser = read('"')
    looks = [(parser.feed(piece), parser.value)[1] for piece in ("a", "b", r"\u00e9", "d")]

    assert ["a", "ab", "abé", "abéd"] == looks


def test_a_parser_goes_on_after_many_pieces_that_nobody_looked_at() -> None:
    """What a string has grown by is joined now and then."""
    letters = "abcdefghijklm" * 1_000
    shown, withheld = read(f'["{letters}', 3), read(f'["{letters}', 3, allow=_CONTAINERS)

    assert ([letters], []) == (shown.value, withheld.value)
    for parser in (shown, withheld):
        parser.feed('!"')

        assert [f"{letters}!"] == parser.value


def test_what_was_read_is_freed_without_recursion() -> None:
    """Values, snapshots and parsers of any depth."""
    program = (
        "from tokenstream.partial_json import PartialJSONParser\n"
        "for text in ('{\"a\":' * 100_000, '[' * 100_000 + ']' * 100_000):\n"
        "    parser = PartialJSONParser(max_depth=100_000)\n"
        "    events = parser.feed(text)\n"
        "    kept = [parser.snapshot(), events.pop()]\n"
        "    del events, parser\n"
        "    del kept\n"
        "print('freed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ("freed\n", "") == (done.stdout, done.stderr)


# -- what it refuses -------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_document_may_be_as_deep_as_asked_for_and_no_deeper(depth: int) -> None:
    """The bound is exact, and the error says where it was passed."""
    deep = "[" * depth + "1" + "]" * depth + " "

    assert read(deep, max_depth=depth).error is None
    error = read(f" {'[' * (depth + 1)}", 1, max_depth=depth).error
    assert isinstance(error, LimitExceeded)
    assert ("max_depth", depth) == (error.limit, error.value)
    assert f"character {depth + 1};" in str(error)


@pytest.mark.parametrize("depth", [-1, 1.5, True, None])
def test_a_depth_that_is_none_is_refused(depth: Any) -> None:
    """As `Limits` refuses a bound."""
    with pytest.raises(ValueError, match="max_depth takes a whole number of at least 0"):
        PartialJSONParser(max_depth=depth)


@pytest.mark.parametrize("allow", ["STR", True, -1, 1.0])
def test_flags_that_are_none_are_refused(allow: Any) -> None:
    """The message says whose flags they are."""
    with pytest.raises(ValueError, match="Allow"):
        PartialJSONParser(allow=allow)


def test_a_parser_of_ones_own_reads_strictly_or_leniently() -> None:
    """A class derived from it takes the same options and reads the same."""

    class Mine(PartialJSONParser):
        __slots__ = ()

    strict, lenient = Mine(), Mine(lenient=True)

    assert PartialJSONParser().feed("[1") == strict.feed("[1")
    assert PartialJSONParser(lenient=True).feed("[1,]") == lenient.feed("[1,]")
    assert [repair.name for repair in lenient.repairs] == ["trailing_comma"]


@pytest.mark.parametrize("begun", ["", '"abc', "[1"])
@pytest.mark.parametrize("piece", [b"text", None, 5, bytearray(b"text")])
def test_what_is_no_text_is_refused(begun: str, piece: Any) -> None:
    """Half a UTF-8 sequence could not be read."""
    parser = read(begun)

    with pytest.raises(MisuseError, match="takes str, not"):
        parser.feed(piece)


def test_a_text_of_another_class_is_read_as_what_it_is() -> None:
    """What shows is no instance of it."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    parser = PartialJSONParser()
    parser.feed(Text('["ab'))
    (delta,) = parser.feed(Text("cd"))

    assert isinstance(delta, StringDelta)
    assert [str, str] == [type(delta.text), type(parser.value[0])]
    assert ["abcd"] == parser.value


@pytest.mark.parametrize("size", [0, 1])
def test_what_stands_before_a_fault_is_told_and_shown(size: int) -> None:
    """Also where both come in one piece: the fault swallows nothing that it follows."""
    parser = PartialJSONParser()
    told = [event for piece in pieces_of('["ab", 12, "c\x01d", 3]', size) for event in parser.feed(piece)]

    assert [
        ValueStart((), "array", 0),
        ValueStart((0,), "string", 1),
        StringDelta((0,), "ab"),
        ValueDone((0,), "ab", 5),
        ValueStart((1,), "number", 7),
        ValueDone((1,), 12, 9),
        ValueStart((2,), "string", 11),
        StringDelta((2,), "c"),
    ] == joined(told)
    assert ["ab", 12, "c"] == parser.value
    assert isinstance(parser.error, InvalidJSON)
    assert 13 == parser.error.offset


@pytest.mark.parametrize("begun", ["", '["', '["ab', '["a\\', '{"k', "[1", "[tr", "[1]"])
def test_an_empty_piece_tells_nothing(begun: str) -> None:
    """Wherever it comes; some servers send many."""
    parser = read(begun)

    assert [] == parser.feed("")
    assert same(read(begun).value, parser.value)


def test_after_an_error_nothing_is_read() -> None:
    """The error and the value stay what they are; `check` raises it each time."""
    parser = read('{"a": 1, ]')
    error = parser.error

    assert [] == [*parser.feed('"b": 2}'), *parser.end(), *parser.feed("]")]
    assert parser.error is error
    assert {"a": 1} == parser.value
    for _ in range(2):
        with pytest.raises(InvalidJSON) as raised:
            parser.check()
        assert raised.value is error


def test_only_white_space_may_follow_a_document() -> None:
    """Anything else is a fault, and the document stays what it is."""
    parser = read("[1] \r\n\t ")

    assert (True, None) == (parser.complete, parser.error)
    parser.check()
    assert [] == parser.feed("  x")
    assert isinstance(parser.error, InvalidJSON)
    assert 10 == parser.error.offset
    assert [1] == parser.value


@pytest.mark.parametrize("text", ["", "  ", "[", '"a', '{"a"', '{"a":', "[1,", "tru", r'"\ud83d', '"\\'])
def test_a_text_that_ends_too_soon_is_an_error_at_its_end(text: str) -> None:
    """The offset is its length."""
    parser = read(text)
    parser.check()

    assert [] == parser.end()
    assert isinstance(parser.error, InvalidJSON)
    assert len(text) == parser.error.offset
    assert not parser.complete


def test_a_text_may_end_twice_but_not_go_on() -> None:
    """What comes after the end belongs to another document."""
    parser = read("[1]")

    assert [] == [*parser.end(), *parser.end()]
    assert (True, [1], None) == (parser.complete, parser.value, parser.error)
    assert [] == parser.feed("")
    with pytest.raises(MisuseError, match="a new document needs a new parser"):
        parser.feed(" ")


# -- the names ---------------------------------------------------------------------------


def test_missing_is_one_thing_and_false() -> None:
    """However it is copied or sent; an explicit null is None."""
    assert [MISSING] * 3 == [copy.copy(MISSING), copy.deepcopy(MISSING), pickle.loads(pickle.dumps(MISSING))]
    assert all(twin is MISSING for twin in (copy.deepcopy(MISSING), pickle.loads(pickle.dumps(MISSING))))
    assert (False, "MISSING", "MISSING") == (bool(MISSING), repr(MISSING), str(MISSING))
    assert MISSING is not None


def test_the_parser_loads_no_type_adapters() -> None:
    """Nor the package that has the flags: who only parses does not pay for them."""
    program = (
        "import sys\nfrom tokenstream.partial_json import PartialJSONParser\n"
        "PartialJSONParser().feed('[1]')\nprint(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert set() == {"pydantic", "partial_json_parser", "decimal"} & set(loaded.split())


def test_without_its_package_the_flags_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser itself takes any int."""
    monkeypatch.setitem(sys.modules, "partial_json_parser", None)
    monkeypatch.delitem(sys.modules, "tokenstream.partial_json._allow", raising=False)
    monkeypatch.delitem(vars(tokenstream.partial_json), "Allow", raising=False)

    with pytest.raises(ModuleNotFoundError, match="pip install partial-json-parser"):
        _ = tokenstream.partial_json.Allow


def test_a_name_that_is_not_there_is_missed() -> None:
    """As in any module; `dir` has the names that are."""
    with pytest.raises(AttributeError, match="no attribute 'Parser'"):
        _ = vars(tokenstream.partial_json)["__getattr__"]("Parser")
    assert set(tokenstream.partial_json.__all__) <= set(dir(tokenstream.partial_json))


def test_only_the_lenient_reading_repairs() -> None:
    """It is a parser like the other, and there is a tuple of repairs in both."""
    strict, lenient = (read("[1, 2,]", lenient=lenient) for lenient in (False, True))

    assert ((), "trailing_comma") == (strict.repairs, *(repair.name for repair in lenient.repairs))
    assert isinstance(lenient, PartialJSONParser)
    assert type(lenient) is type(type(lenient)(lenient=True))
    assert [1, 2] == strict.value == lenient.value


# -- what it costs -------------------------------------------------------------------------


def _seconds(begun: str, piece: str, *, pieces: int, look: bool, **options: Any) -> float:
    """Return how long so many pieces take, at best."""
    times = []
    for _ in range(3):
        parser = read(begun, **options)
        start = perf_counter()
        for _ in range(pieces):
            parser.feed(piece)
            if look:
                _ = parser.value
        times.append(perf_counter() - start)
        assert parser.error is None
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize(
    "begun, piece",
    [
        ('["', "abcd"),
        ('"', "abcd"),
        ('["', r"\\\\"),
        ('["', r"a\u00e9"),
        ("[1", ",1"),
        ("[[1", "],[1"),
        ("[", "    "),
        ('{"', "abcd"),
    ],
)
def test_a_piece_costs_the_same_however_much_has_come(begun: str, piece: str, look: bool) -> None:
    """Four times the pieces take four times as long, with some room for a busy machine."""
    once = _seconds(begun, piece, pieces=50_000, look=look)
    four = _seconds(begun, piece, pieces=200_000, look=look)

    assert four < 8 * once


@pytest.mark.slow
def test_a_piece_costs_the_same_at_any_depth() -> None:
    """Paths are made when somebody asks."""
    shallow, deep = (
        _seconds('{"a":' * depth + '["', 'abc", "', pieces=50_000, look=True) for depth in (5, 400)
    )

    assert deep < 2 * shallow
