"""Steps that read a value without quotes in a lenient document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import NUM
from tokenstream.partial_json._lenient.atoms import LITERALS, PREFIXES, Atom, read_atom
from tokenstream.partial_json._lenient.gaps import read_other, skip_dots
from tokenstream.partial_json._lenient.peek import SPACES, MoreNeeded, Peek, TooFar
from tokenstream.partial_json._lenient.tables import OTHER, VALUES
from tokenstream.partial_json._strict.grammar import under
from tokenstream.partial_json._strict.numbers import (
    MOST_LENGTH,
    NUMBER,
    is_too_long,
    parse_number,
    parse_prefix,
)

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._lenient.reader import LenientReader

_TOKEN: Any = re.compile(r"[\w.+\-$]*").match
_ENDS_ATOM = frozenset(("", *",}]);#\x1b\\"))
_ENDS_WORD = frozenset(("", *",}]);"))


@under((OTHER,), *VALUES)
def read_token_or_other(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    if text[position].isalnum() or text[position] in "_$":
        return read_token(reader, text, position, out)
    return read_other(reader, text, position, out)


@under(".", *VALUES)
def read_token_or_dots(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    following = text[position + 1 : position + 2]
    if not following and not reader.final:
        return reader.wait(position)
    return (read_token if following.isdigit() else skip_dots)(reader, text, position, out)


@under("+-", *VALUES)
def read_token(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read a number, a literal or a word, once the text after it is known."""
    end: int = _TOKEN(text, position + reader.scanned, position + MOST_LENGTH + 1).end()
    token = text[position:end]
    if len(token) > MOST_LENGTH or is_too_long(token):
        begin_number(reader, position, out)
        reader.document.exceed_digits(token, reader.base + position)
        return position
    if end == len(text):
        if not reader.final:
            reader.scanned = end - position
            show_so_far(reader, token, position, out)
            return reader.wait(position)
        if token not in LITERALS:
            return drop_cut_token(reader, token, position, out)
    reader.scanned = 0
    if token in PREFIXES and text[end] in "\"'":
        reader.repaired.note("string_prefix", reader.base + position)
        return end
    value = read_atom(token)
    if value is not None and value.kind == "string":
        return read_word(reader, text, position, end, out)
    ends = value is not None and may_end(reader, text, end, is_number=value.kind == "number")
    if ends is None:
        return reader.wait(position)
    if value is not None and ends:
        return take_atom(reader, value, position, end, out)
    # The events of a number must not depend on how the text was cut into pieces.
    show_so_far(reader, token, position, out)
    return reader.refuse_two_readings(position)


def begin_number(reader: LenientReader, position: int, out: list[JSONEvent]) -> None:
    """Add the event that begins an unfinished or too long number, unless it has been added."""
    if not reader.atom_begun:
        reader.atom_begun = True
        reader.document.begin_atom("number", reader.base + position, out)


def show_so_far(reader: LenientReader, token: str, position: int, out: list[JSONEvent]) -> None:
    """Make an unfinished number visible, if `allow` contains `NUM`."""
    if reader.document.allow & NUM and NUMBER(token) is not None:
        begin_number(reader, position, out)
        reader.document.show_number(token)


def drop_cut_token(reader: LenientReader, token: str, position: int, out: list[JSONEvent]) -> int:
    """Drop a number or word that was cut by the end of the text; keep a number that is already visible."""
    end = position + len(token)
    reader.repaired.note("unfinished_value", reader.base + position)
    if reader.atom_begun:
        reader.document.end_atom(
            parse_prefix(token, decimals=reader.document.decimals), reader.base + end, out
        )
    reader.expects = reader.place_after_value()
    return end


def may_end(reader: LenientReader, text: str, end: int, *, is_number: bool) -> bool | None:
    """Return True if a number or a literal may end at a position; None if later text decides."""
    char = text[end : end + 1]
    following = text[end + 1 : end + 2]
    if not following and not reader.final and char and char in ",/":
        # In an object, no number may follow a comma, so digits after it mean that it separates thousands.
        return None if char == "/" or (is_number and reader.marks[-1][0] == "}") else True
    if char == "," and is_number and reader.marks[-1][0] == "}":
        return not following.isdigit()
    if char == "/":
        return following in {"/", "*"}
    return char in _ENDS_ATOM or char == reader.prose.fence or SPACES(char).end() > 0


def read_word(reader: LenientReader, text: str, position: int, end: int, out: list[JSONEvent]) -> int:
    """Read a word without quotes as a string; refuse it if the text after it might belong to it."""
    peek = Peek(text, end, final=reader.final)
    try:
        after = peek.skip_spaces(end)
        following = peek.get_char(after)
    except MoreNeeded:
        return reader.wait(position)
    except TooFar:
        return reader.refuse_two_readings(position)
    gap = text[end:after]
    is_alone = following in _ENDS_WORD or "\n" in gap or (bool(gap) and following in "/#")
    # A word alone in brackets is prose, such as [sic], and not an array.
    if not is_alone or reader.marks == ["]"]:
        return reader.refuse_two_readings(position)
    offset = reader.base + position
    reader.repaired.note("unquoted_value", offset)
    reader.document.begin_string(offset, out, text[position:end])
    reader.document.end_string(reader.base + end, out)
    reader.end_value()
    return end


def take_atom(reader: LenientReader, value: Atom, position: int, end: int, out: list[JSONEvent]) -> int:
    """Add a whole number or literal to the document."""
    offset = reader.base + position
    number = parse_number(value.value, decimals=reader.document.decimals) if value.in_json else value.value
    if number is None and value.in_json:
        begin_number(reader, position, out)
        reader.document.exceed_exponent(value.value, offset)
        return position
    if value.repair is not None:
        reader.repaired.note(value.repair, offset)
    if reader.atom_begun:
        reader.atom_begun = False
    else:
        reader.document.begin_atom(value.kind, offset, out)
    reader.document.end_atom(number, reader.base + end, out)
    reader.end_value()
    return end
