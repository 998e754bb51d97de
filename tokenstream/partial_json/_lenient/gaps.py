"""Steps of lenient reading: for the text between values, which is space, comments, commas and dots.

A step is a function that reads on from one character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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
    STEPS,
    VALUE,
    VALUES,
    WHITE,
    register_after_mismatch,
    register_step,
)
from tokenstream.partial_json._lenient.peek import (
    LITERALS_IN_ANY_CASE,
    OPENING_QUOTES,
    SPACES,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
)
from tokenstream.partial_json._strict.grammar import under

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._lenient.reader import LenientReader

_JSON_SPACE: Any = re.compile(r"[ \t\n\r]*").match
_LINE_END: Any = re.compile(r"[\r\n]").search
_TERMINAL: Any = re.compile(r"\x1b\[[0-9;?]{0,16}[@-~]").match
_CUT_TERMINAL: Any = re.compile(r"\x1b(?:\[[0-9;?]{0,16})?").fullmatch
_NOTHING_YET = (VALUE, FIRST_ELEMENT, FIRST_KEY)
"""Places in the document (see `tables`) that no value precedes, where dots cannot stand for more values."""
NO_KEY = frozenset(",:{}[]")
"""Characters that a key appears to contain if its closing quote is missing."""


@under("`~<", START)
@under("<", AFTER_DOCUMENT)
def turn_to_prose(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read the text from `position` on as prose, outside of the document; return `position`."""
    return reader.turn_to_prose(position)


@register_after_mismatch
@under(WHITE, *PLACES, START, AFTER_DOCUMENT)
def skip_space(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
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
def read_other(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip white space that JSON does not allow, and return the position after it; refuse all else."""
    char = text[position]
    if is_odd_space(char):
        reader.repair_log.note("odd_space", reader.base + position)
        # The widest gap counts: the kinds of gap are numbers, and a line break is more than a space.
        reader.gap = max(reader.gap, SPACE_GAP)
        return position + 1
    return reader.refuse_here(position)


def is_odd_space(char: str) -> bool:
    """Return True for white space that JSON does not allow, such as a no-break space, and for ESC.

    ESC begins a terminal code. The caller has already dealt with the white space that JSON allows.
    """
    # The match of `SPACES` may be empty: then it ends at 0.
    return bool(SPACES(char).end())


# -- comments and dots -------------------------------------------------------------


@register_after_mismatch
@under("/#", *PLACES)
def begin_comment(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin a comment, and return the position after its opener: `//`, `/*` or `#`.

    A character that may begin something else is refused, such as the hash of the value `#fff`.
    """
    opener = text[position]
    if opener == "/":
        opener = text[position : position + 2]
        if opener == "/" and not reader.text_ended:
            return reader.hold_back(position)
        if opener not in {"//", "/*"}:
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
    """Begin a comment; return the position after its opener: `//`, `/*` or `#`."""
    step = STEPS["skip_block_comment"] if opener == "/*" else STEPS["skip_line_comment"]
    reader.begin_comment(reader.base + position, step)
    return position + len(opener)


@register_step
def skip_line_comment(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip a comment up to the end of its line; return the position up to which the text was read."""
    end = _LINE_END(text, position)
    if end is None:
        return end_cut_comment(reader, text) if reader.text_ended else len(text)
    reader.end_comment()
    stop: int = end.start()
    return stop


@register_step
def skip_block_comment(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip a comment up to `*/`; return the position up to which the text was read."""
    end = text.find("*/", position)
    if end >= 0:
        reader.end_comment()
        # Between two values, a comment counts as white space.
        reader.gap = max(reader.gap, SPACE_GAP)
        return end + 2
    if reader.text_ended:
        return end_cut_comment(reader, text)
    # A star at the end of the text may be the first half of `*/`.
    return reader.hold_back(len(text) - 1) if text.endswith("*") and position < len(text) else len(text)


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
def skip_dots(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
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


# -- commas and colons -----------------------------------------------------------


@under(",", ELEMENT, KEY)
def skip_extra_comma(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip a surplus comma before a key or element, as a repair; return the position after it."""
    reader.repair_log.note("extra_comma", reader.base + position)
    return position + 1


@under("{[", AFTER_ELEMENT)
def supply_comma(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Supply a missing comma if only the next key or element can begin here; else refuse the character.

    In both cases, the result is `position`: no character is read.
    """
    char = text[position]
    in_object = reader.document.container.__class__ is dict
    if in_object:
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
def read_word_without_comma(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Supply a missing comma before a word or a number that must be the next item; refuse other text.

    For a word or a number, the result is `position`: no character is read.
    """
    if text[position].isalnum() or text[position] in "_$+-":
        return supply_comma(reader, text, position, out)
    return read_other(reader, text, position, out)


@under("-0123456789{[", COLON)
def supply_colon(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Supply a missing colon if there is a gap before the value; else refuse the character.

    A key that may lack its closing quote gets no colon. The result is `position`: no character is read.
    """
    # A key with brackets, commas or colons in it may lack its closing quote.
    seems_cut_off = not NO_KEY.isdisjoint(str(reader.document.key))
    if reader.gap == NO_GAP or seems_cut_off:
        return reader.refuse_here(position)
    return reader.supply_colon(position)


@under("tfnTFN", COLON)
def supply_colon_before_literal(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Supply a missing colon before true, false or null; refuse any other word. The result is `position`."""
    peek = Lookahead(text, position, text_ended=reader.text_ended)
    try:
        word = peek.get_text(position, peek.skip_word(position))
    except MoreTextNeeded:
        return reader.hold_back(position)
    except LookaheadExceeded:
        return reader.refuse_here(position)
    # `read_other` refuses the first letter of the word.
    step = supply_colon if word in LITERALS_IN_ANY_CASE else read_other
    return step(reader, text, position, out)
