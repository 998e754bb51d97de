"""Steps of lenient reading: for the text between values, and for values without quotes.

A step is a function that reads on from one character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import NUM
from tokenstream.partial_json._lenient.automaton import (
    AFTER,
    AFTER_DOCUMENT,
    AFTER_ELEMENT,
    COLON,
    ELEMENT,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEY,
    KEYS,
    LINE_GAP,
    NO_GAP,
    OTHER,
    PLACES,
    SPACE_GAP,
    START,
    VALUE,
    VALUES,
    WHITE,
    register_after_mismatch,
    register_step,
)
from tokenstream.partial_json._lenient.peek import (
    LITERALS,
    OPENING_QUOTES,
    PREFIXES,
    SPACES,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
    read_atom,
)
from tokenstream.partial_json._strict.grammar import under
from tokenstream.partial_json._strict.numbers import MOST_LENGTH, NUMBER, is_too_long, parse_prefix

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvents
    from tokenstream.partial_json._lenient.reader import LenientReader

_JSON_SPACE: Any = re.compile(r"[ \t\n\r]*").match
_LINE_END: Any = re.compile(r"[\r\n]").search
_TOKEN: Any = re.compile(r"[\w.+\-$]*").match
_ENDS_ATOM = frozenset(("", *",}]);#"))
_ENDS_WORD = frozenset(("", *",}]);"))
_NOTHING_YET = (VALUE, FIRST_ELEMENT, FIRST_KEY)
"""Places in the document (see `tables`) that no value precedes, where dots cannot stand for more values."""
NO_KEY = frozenset(",:{}[]")
"""Characters that a key appears to contain if its closing quote is missing."""


@under("`~<", START)
@under("<", AFTER_DOCUMENT)
def turn_to_prose(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    return reader.turn_to_prose(position)


@register_after_mismatch
@under(WHITE, *PLACES, START, AFTER_DOCUMENT)
def skip_space(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip white space, record whether it contains a line break, and return the position after it."""
    if text[position] == " " and text[position + 1 : position + 2] not in WHITE:
        # Usually there is a single space. At the end of the text the slice is "", which is in WHITE.
        reader.gap = max(reader.gap, SPACE_GAP)
        return position + 1
    end: int = _JSON_SPACE(text, position).end()
    space = text[position:end]
    reader.gap = max(reader.gap, LINE_GAP if "\n" in space or "\r" in space else SPACE_GAP)
    return end


@under((OTHER,), COLON)
def read_other(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip white space that JSON does not allow, and return the position after it; refuse all else."""
    if is_odd_space(text[position]):
        reader.repair_log.note("odd_space", reader.base + position)
        # The widest gap counts: the kinds of gap are numbers, and a line break is more than a space.
        reader.gap = max(reader.gap, SPACE_GAP)
        return position + 1
    return reader.refuse_here(position)


def is_odd_space(char: str) -> bool:
    """Return True for white space that JSON does not allow, such as a no-break space.

    The caller has already dealt with the white space that JSON allows.
    """
    # The match of `SPACES` may be empty: then it ends at 0.
    return bool(SPACES(char).end())


# -- comments and dots -------------------------------------------------------------


@register_after_mismatch
@under("/#", *PLACES)
def begin_comment(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin a comment, and return the position after its opener: `//` or `#`.

    A character that may begin something else is refused, such as the hash of the value `#fff`.
    """
    opener = text[position]
    if opener == "/":
        opener = text[position : position + 2]
        if opener == "/" and not reader.text_ended:
            return reader.hold_back(position)
        if opener != "//":
            return reader.refuse_here(position)
    elif reader.is_at(*VALUES):
        # A hash sign in place of a value.
        following = text[position + 1 : position + 2]
        if not following and not reader.text_ended:
            return reader.hold_back(position)
        if following.isalnum():
            # A value such as `#fff` is possible.
            return reader.refuse_two_readings(position)
    return enter_comment(reader, position, opener)


def enter_comment(reader: LenientReader, position: int, opener: str) -> int:
    reader.begin_comment(reader.base + position)
    return position + len(opener)


@register_step
def skip_comment(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip a comment up to the end of its line; return the position up to which the text was read."""
    end = _LINE_END(text, position)
    if end is None:
        return end_cut_comment(reader, text) if reader.text_ended else len(text)
    reader.end_comment()
    stop: int = end.start()
    return stop


def end_cut_comment(reader: LenientReader, text: str) -> int:
    """End a comment that the end of the text has cut; return the position at which to read on.

    Inside a document, the comment is refused, because it may hide the rest of the document.
    """
    reader.end_comment()
    if reader.step_after_comment is None:
        # The comment is outside of the document.
        return len(text)
    return reader.refuse_two_readings(reader.token_at - reader.base)


@under("…", *PLACES)
@under(".", *KEYS, COLON, *AFTER)
def skip_dots(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip dots that stand for omitted values, after a value; return the position after them."""
    # Three dots, or the single character `…`.
    dots = text[position : position + (3 if text[position] == "." else 1)]
    may_be_cut = dots in {".", ".."} and position + len(dots) == len(text)
    if may_be_cut and not reader.text_ended:
        return reader.hold_back(position)
    if dots not in {"...", "…"} or reader.is_at(*_NOTHING_YET):
        return reader.refuse_here(position)
    reader.skip_dots(reader.base + position)
    return position + len(dots)


# -- commas -----------------------------------------------------------


@under(",", ELEMENT, KEY)
def skip_extra_comma(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    reader.repair_log.note("extra_comma", reader.base + position)
    return position + 1


@under("{[", AFTER_ELEMENT)
def supply_comma(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Supply a missing comma if only the next key or element can begin here; else refuse the character.

    In both cases, the result is `position`: no character is read.
    """
    char = text[position]
    if reader.document.container.__class__ is dict:
        # A key: quoted, or after a line break.
        is_certain = char in OPENING_QUOTES or reader.gap == LINE_GAP
    elif char in OPENING_QUOTES or char == "[":
        # Without a gap, the quote or bracket may belong to the value before it.
        is_certain = reader.gap != NO_GAP
    else:
        # `5 kg` is not an array of two; `}{` is two objects.
        is_certain = reader.gap == LINE_GAP or char == "{"
    if not is_certain:
        return reader.refuse_here(position)
    return reader.supply_comma(position)


@under((OTHER,), *AFTER)
def read_word_without_comma(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Supply a missing comma before a word or a number that must be the next item; refuse other text.

    For a word or a number, the result is `position`: no character is read.
    """
    if text[position].isalnum() or text[position] in "_$+-":
        return supply_comma(reader, text, position, out)
    return read_other(reader, text, position, out)


# -- values without quotes ---------------------------------------------------------


@under((OTHER,), *VALUES)
def read_token_or_other(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a word or a number; leave any other character to `read_other`. Return where to read on."""
    if text[position].isalnum() or text[position] in "_$":
        return read_token(reader, text, position, out)
    return read_other(reader, text, position, out)


@under(".", *VALUES)
def read_token_or_dots(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a number such as `.5`, or skip dots; return the position at which to read on.

    If the dot is the last character, it is held back until the next character decides.
    """
    following = text[position + 1 : position + 2]
    if not following and not reader.text_ended:
        return reader.hold_back(position)
    read = read_token if following.isdigit() else skip_dots
    return read(reader, text, position, out)


@under("+-", *VALUES)
def read_token(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a number, a literal or a word, once the text after it is known; return where to read on."""
    # The first `scanned_length` characters were matched before, when no more of the token had arrived. One
    # character more than the maximum shows that a token is too long.
    end: int = _TOKEN(text, position + reader.scanned_length, position + MOST_LENGTH + 1).end()
    token = text[position:end]
    if len(token) > MOST_LENGTH or is_too_long(token):
        reader.begin_number(position, out)
        # Sets the document's error.
        reader.document.exceed_digits(token, reader.base + position)
        return position
    if end == len(text):
        # The token may continue, or be cut.
        if not reader.text_ended:
            reader.scanned_length = end - position
            show_unfinished_number(reader, token, position, out)
            return reader.hold_back(position)
        if token not in LITERALS:
            # Of all tokens, only a literal is certain to be whole: a number may have lost digits.
            return drop_cut_token(reader, token, position, out)
    reader.scanned_length = 0
    if token in PREFIXES and text[end] in "\"'":
        # Skip the prefix; the string is read next.
        reader.repair_log.note("string_prefix", reader.base + position)
        return end
    atom = read_atom(token)
    if atom is not None and atom.kind == "string":
        return read_word(reader, text, position, end, out)
    if atom is not None:
        ends_here = may_end(reader, text, end, is_number=atom.kind == "number")
        if ends_here is None:
            # The text after the token decides, and has not arrived.
            return reader.hold_back(position)
        if ends_here:
            return reader.add_atom(atom, position, end, out)
    # The token has no clear meaning, or the text after it may belong to it. Its beginning is shown even so:
    # the events of a number must not depend on how the text was cut into pieces.
    show_unfinished_number(reader, token, position, out)
    return reader.refuse_two_readings(position)


def show_unfinished_number(reader: LenientReader, token: str, position: int, out: JSONEvents) -> None:
    if reader.document.allow & NUM and NUMBER(token) is not None:
        reader.begin_number(position, out)
        reader.document.show_number(token)


def drop_cut_token(reader: LenientReader, token: str, position: int, out: JSONEvents) -> int:
    """Drop a number or word that was cut by the end of the text; return the position after it.

    A number that is already visible is kept as far as it has arrived.
    """
    end = position + len(token)
    reader.drop_rest(position)
    if reader.atom_begun:
        # The beginning of the number is visible: the number ends there.
        reader.document.end_atom(
            parse_prefix(token, decimals=reader.document.decimals), reader.base + end, out
        )
    return end


def may_end(reader: LenientReader, text: str, end: int, *, is_number: bool) -> bool | None:
    """Return True if a number or a literal may end before the text at `end`; None if later text decides."""
    char = text[end : end + 1]
    following = text[end + 1 : end + 2]
    # In an object, no number may follow a comma, so a digit after it means that it separates thousands.
    # (The closer is "}}" if the opening brace was doubled.)
    may_separate_thousands = char == "," and is_number and reader.closers[-1][0] == "}"
    may_begin_comment = char == "/"
    if (may_separate_thousands or may_begin_comment) and not following and not reader.text_ended:
        return None
    if may_begin_comment:
        return following == "/"
    if may_separate_thousands:
        return not following.isdigit()
    # An atom also ends at the end of the text (""), and before the end of the code fence around the document.
    return char in _ENDS_ATOM or char == reader.prose.fence or SPACES(char).end() > 0


def read_word(reader: LenientReader, text: str, position: int, end: int, out: JSONEvents) -> int:
    """Read a word without quotes as a string; return `end`, the position after the word.

    The word is refused if the text after it might belong to it.
    """
    peek = Lookahead(text, end, text_ended=reader.text_ended)
    try:
        after = peek.skip_spaces(end)
        following = peek.get_char(after)
    except MoreTextNeeded:
        return reader.hold_back(position)
    except LookaheadExceeded:
        return reader.refuse_two_readings(position)
    gap = text[end:after]
    begins_comment = bool(gap) and following in "/#"
    is_alone = following in _ENDS_WORD or "\n" in gap or begins_comment
    # A word alone in brackets is prose, such as [sic], and not an array.
    if not is_alone or reader.closers == ["]"]:
        return reader.refuse_two_readings(position)
    offset = reader.base + position
    reader.repair_log.note("unquoted_value", offset)
    reader.document.begin_string(offset, out, text[position:end])
    reader.document.end_string(reader.base + end, out)
    reader.end_value()
    return end
