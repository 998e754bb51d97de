"""Steps of lenient reading, functions that read on from one character: for values without quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import NUM
from tokenstream.partial_json._lenient.automaton import OTHER, VALUES
from tokenstream.partial_json._lenient.gaps import read_other, skip_dots
from tokenstream.partial_json._lenient.peek import (
    LITERALS,
    PREFIXES,
    SPACES,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
    read_atom,
)
from tokenstream.partial_json._strict.grammar import under
from tokenstream.partial_json._strict.numbers import (
    MOST_LENGTH,
    NUMBER,
    is_too_long,
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
    """Read a word or a number; leave any other character to `read_other`. Return where to read on."""
    if text[position].isalnum() or text[position] in "_$":
        return read_token(reader, text, position, out)
    return read_other(reader, text, position, out)


@under(".", *VALUES)
def read_token_or_dots(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read a number such as `.5`, or skip dots; return the position at which to read on.

    If the dot is the last character, it is held back until the next character decides.
    """
    following = text[position + 1 : position + 2]
    if not following and not reader.text_ended:
        return reader.hold_back(position)
    read = read_token if following.isdigit() else skip_dots
    return read(reader, text, position, out)


@under("+-", *VALUES)
def read_token(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
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


def show_unfinished_number(reader: LenientReader, token: str, position: int, out: list[JSONEvent]) -> None:
    """Make an unfinished number visible, if the caller wants that: `allow` contains `NUM`."""
    if reader.document.allow & NUM and NUMBER(token) is not None:
        reader.begin_number(position, out)
        reader.document.show_number(token)


def drop_cut_token(reader: LenientReader, token: str, position: int, out: list[JSONEvent]) -> int:
    """Drop a cut number or word, except what is visible of a number; return the position after it."""
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
        return following in {"/", "*"}
    if may_separate_thousands:
        return not following.isdigit()
    # An atom also ends at the end of the text (""), and before the end of the code fence around the document.
    return char in _ENDS_ATOM or char == reader.prose.fence or SPACES(char).end() > 0


def read_word(reader: LenientReader, text: str, position: int, end: int, out: list[JSONEvent]) -> int:
    """Read a word without quotes as a string, and return `end`; refuse it if later text may belong to it."""
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
