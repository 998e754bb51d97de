"""Steps of lenient reading: for the text directly after a document, and for documents without brackets.

A step is a function that reads on from one character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_list
from tokenstream.partial_json._lenient.automaton import (
    AFTER_DOCUMENT,
    FENCE_GAP,
    LINE_GAP,
    SPACE_GAP,
    START,
    WHITE,
    register_step,
)
from tokenstream.partial_json._lenient.body import begin_object
from tokenstream.partial_json._lenient.gaps import (
    enter_comment,
    is_odd_space,
    read_other,
    skip_space,
    turn_to_prose,
)
from tokenstream.partial_json._lenient.peek import MOST_HELD, OPENING_QUOTES, PLAIN, Atom, read_atom
from tokenstream.partial_json._lenient.quotes import StringContext
from tokenstream.partial_json._strict.grammar import under
from tokenstream.partial_json._strict.numbers import MOST_LENGTH, NUMBER, is_too_long

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvents
    from tokenstream.partial_json._lenient.reader import LenientReader

_ROOT_TOKEN: Any = re.compile(r"[\w.+-]*").match
_QUOTES = "".join(quote for quote in OPENING_QUOTES if quote != "`")
_BRACKETS = frozenset("{[")


def refuse_empty_text(reader: LenientReader, position: int) -> int:
    offset = reader.base + position
    reader.document.fail(
        offset, f"the text ended after {offset:,} characters, and there is no JSON document in it"
    )
    return position


# -- a document without brackets -----------------------------------------------------


@under(_QUOTES, START)
def begin_root_string(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin a string in the place of a document: it may be the document, its first key, or prose.

    The result is the position at which to read on.
    """
    kind = OPENING_QUOTES[text[position]]
    following = text[position + 1 : position + 2]
    if kind is not PLAIN and not following and not reader.text_ended:
        # The next character decides.
        return reader.hold_back(position)
    is_quoted_document = kind is not PLAIN and (following in _BRACKETS or following == "\\")
    if is_quoted_document:
        # The document itself, as a string literal of a programming language: as prose, the quote is skipped.
        return turn_to_prose(reader, text, position, out)
    return reader.open_root_string(kind, position)


@register_step
def read_root_string(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Continue a string outside of any object or array; return the position after what was read.

    It may be the whole document, the first key of an object without an opening brace, or prose.
    """
    quoted, pieces = reader.quoted, reader.key_pieces
    position = quoted.read(text, position, pieces, StringContext(reader.base, reader.text_ended))
    # Keep one piece at most: its length is then the length of the string.
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    if pieces and len(pieces[0]) > MOST_HELD:
        # It is too long for a key, or for a quotation in prose.
        if quoted.kind is not PLAIN:
            # The quote may be an apostrophe, and the text prose.
            return reader.refuse_two_readings(reader.root_at - reader.base)
        reader.begin_root_string(pieces.pop(), out)
        return position
    if quoted.is_closed:
        string = "".join(pieces)
        pieces.clear()
        return reader.keep_root(string, position)
    if reader.text_ended:
        # Without a closing quote, the string may be the document, cut off, or prose after a stray quote.
        return reader.refuse_two_readings(position)
    return reader.hold_back(position)


@under("-0123456789tfnTFNI", START)
def read_root_token(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a number or a literal in the place of a document: it is the document, or begins prose.

    The result is the position at which to read on.
    """
    # The first `scanned_length` characters were matched before, when no more of the token had arrived. One
    # character more than the maximum shows that a token is too long.
    end: int = _ROOT_TOKEN(text, position + reader.scanned_length, position + MOST_LENGTH + 1).end()
    token = text[position:end]
    may_continue_later = end == len(text) and len(token) <= MOST_LENGTH and not reader.text_ended
    reader.scanned_length = len(token) if may_continue_later else 0
    if may_continue_later:
        return reader.hold_back(position)
    if is_too_long(token) and NUMBER(token) is not None:
        reader.begin_number(position, out)
        # Sets the document's error.
        reader.document.exceed_digits(token, reader.base + position)
        return position
    value = read_atom(token)
    if value is None or value.kind == "string":
        # A word, which could be a value only inside a document, is prose here.
        return reader.turn_to_prose(position)
    reader.root_at = reader.base + position
    return reader.keep_root(value, end)


@register_step
def decide_root(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Decide by the next character if the value without brackets is the document, a key, or prose.

    The value is `reader.root_value`: the string, number or literal that was read in the place of a document.
    The result is the position at which to read on.
    """
    char = text[position : position + 1]
    if char and char in WHITE:
        return skip_space(reader, text, position, out)
    value = reader.root_value
    if char == ":" and isinstance(value, str):
        return begin_object_without_brace(reader, value, position, out)
    if char and char in "{[":
        # The value and the text after it may both be the document.
        return reader.refuse_two_readings(reader.root_at - reader.base)
    is_fence = is_fence_end(reader, text, position)
    if is_fence is None:
        return reader.hold_back(position)
    # A string in quotes other than JSON's, if it is not a key, is a quotation in prose.
    is_quotation = isinstance(value, str) and reader.quoted.kind is not PLAIN
    if (is_fence or not char) and not is_quotation:
        return use_root_value(reader, position, out)
    if is_odd_space(char):
        return read_other(reader, text, position, out)
    if isinstance(value, str) and not _BRACKETS.isdisjoint(value):
        # The quote may be an apostrophe, and the string may contain the document.
        return reader.refuse_two_readings(reader.root_at - reader.base)
    reader.note_prose(reader.root_at)
    # On the same line, numbers in brackets are then not an array.
    reader.prose.note_value_before()
    return reader.turn_to_prose(position)


def begin_object_without_brace(reader: LenientReader, key: str, position: int, out: JSONEvents) -> int:
    """Begin an object without a brace, at the colon after its first key; return the position after that."""
    reader.repair_log.note("missing_opener", reader.root_at)
    if reader.quoted.kind.repair is not None:
        # The key is in quotes other than JSON's, which is a repair, too.
        reader.repair_log.note(reader.quoted.kind.repair, reader.root_at)
    reader.begin_document(reader.root_at, opener_missing=True)
    # No text is passed, because there is no brace to read.
    begin_object(reader, "", reader.root_at - reader.base, out)
    if reader.document.error is None:
        reader.use_key(key, reader.root_at)
        return reader.read_colon("", position, out)
    return position + 1


def use_root_value(reader: LenientReader, position: int, out: JSONEvents) -> int:
    """Treat the string, number or literal just read as the document; return `position` unchanged."""
    value = reader.root_value
    reader.begin_document(reader.root_at)
    if isinstance(value, Atom):
        reader.add_atom(value, reader.root_at - reader.base, reader.root_end - reader.base, out)
    else:
        reader.document.begin_string(reader.root_at, out, value)
        reader.document.end_string(reader.root_end, out)
        reader.end_value()
    return position


# -- after the document ----------------------------------------------------------------


@register_step
def read_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Take the step for the next character after the document; return the position after what was read.

    If only the first document is wanted, most of the text after it is skipped.
    """
    char = text[position : position + 1]
    if reader.takes_first and (not char or char not in WHITE):
        # Only the first document is wanted, so the text after it is not examined.
        return skip_text_after_document(reader, text, position, out)
    step = AFTER_DOCUMENT.get(char)
    if step is not None:
        following: int = step(reader, text, position, out)
        return following
    if is_odd_space(char):
        # `read_other` must know the place in the text, which the table `expects` stands for.
        reader.expects = AFTER_DOCUMENT
        return read_other(reader, text, position, out)
    return read_text_after_document(reader, text, position, out)


def skip_text_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip all text after the document, unless an object replaces a `{}`; return the position after it."""
    if reader.empty_end >= 0:
        # The document is `{}`.
        if text[position : position + 1] == "{" and not has_text_between(reader):
            return reader.replace_placeholder(position)
        reader.finish_empty_object(out)
    if position == len(text) and reader.text_ended:
        # No text is left to skip, and none will follow.
        reader.is_done = True
    return len(text)


def has_text_between(reader: LenientReader) -> bool:
    """Return True if anything but white space has followed the document: prose, a comment or a code fence."""
    has_fence = reader.prose.fence or reader.gap == FENCE_GAP
    return bool(reader.prose_noted or reader.has_comment_after or has_fence)


def read_text_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin prose after the document, or refuse text that may still belong to the document.

    Either way, the result is `position`: no character is read.
    """
    if is_end_doubtful(reader, text[position]):
        return reader.refuse_two_readings(position)
    return turn_to_prose(reader, text, position, out)


@under("/#", AFTER_DOCUMENT)
def begin_comment_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin a comment, or skip other text, such as a heading; return the position after what was read."""
    opener = text[position : position + 2]
    if opener == "/" and not reader.text_ended:
        return reader.hold_back(position)
    if opener[0] == "#":
        # Only directly after a space on the document's line; after a line break, it is a heading.
        opener = "#" if reader.gap == SPACE_GAP else ""
    if opener not in {"//", "#"}:
        return read_text_after_document(reader, text, position, out)
    reader.has_comment_after = True
    return enter_comment(reader, position, opener)


def is_end_doubtful(reader: LenientReader, char: str) -> bool:
    """Return True if the text after the document makes it doubtful that the document has ended.

    A document of brackets around numbers, or `{}`, may belong to prose that continues on the same
    line; a document in quotes may be a quotation in prose that continues on the next line. A digit on
    the same line makes any document doubtful, and so does a mismatched bracket in the document.
    """
    if reader.gap == FENCE_GAP:
        # The code fence ended together with the document.
        return False
    root: Any = reader.document.root
    if isinstance(root, str):
        return True
    if reader.gap == LINE_GAP:
        return False
    # The text after the document is on the same line.
    if reader.owed_closers is not None:
        # A closing bracket of the wrong kind may have ended the document too early.
        return True
    if not root or char.isdigit():
        # `{}`, `[]`, 0 and the like are common in prose; and a digit may belong to the document.
        return True
    if is_list(root):
        # Brackets around nothing but numbers and literals are common in prose.
        return not any(type(each) in {str, list, dict} for each in root)
    # Numbers and literals are common in prose, too.
    return not isinstance(root, dict)


@under(("",), AFTER_DOCUMENT)
def end_text(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    # No object followed the `{}`: it is not a placeholder, but the document itself.
    if reader.empty_end >= 0:
        reader.finish_empty_object(out)
    reader.is_done = True
    return position


@under("}]", AFTER_DOCUMENT)
def skip_extra_closer(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip a surplus closing bracket after the document, and return the position after it.

    The bracket is refused if the text then has two readings. Prose, once begun, may contain no such
    bracket. If a mismatched bracket has closed several containers at once, only as many brackets as these
    containers still lack are skipped.
    """
    if reader.may_skip_brace and text[position] == "}":
        # The second of two closing braces, as in `}}`.
        return reader.skip_second_brace(position)
    if reader.in_prose or reader.owed_closers == 0:
        # The bracket that it closes may be missing, or may have been read as prose.
        return reader.refuse_two_readings(position)
    return reader.skip_extra_closer(position)


@under(";", AFTER_DOCUMENT)
def skip_semicolon(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    reader.repair_log.note("semicolon", reader.base + position)
    return position + 1


@under(").!", AFTER_DOCUMENT)
def skip_punctuation(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    reader.note_prose(reader.base + position)
    return position + 1


@under('"', AFTER_DOCUMENT)
def read_quote_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin prose at a quote if the document's code fence has ended; otherwise, refuse the quote.

    Without a fence, the quote may belong to the document. The result is `position`: no character is read.
    """
    if reader.gap == FENCE_GAP:
        return turn_to_prose(reader, text, position, out)
    return reader.refuse_two_readings(position)


def is_fence_end(reader: LenientReader, text: str, position: int) -> bool | None:
    """Return True if the code fence around the document ends here; None if that depends on later text."""
    fence_char = reader.prose.fence
    run = text[position : position + 3]
    if not fence_char or not run or run != fence_char * len(run):
        return False
    if len(run) < 3:
        return False if reader.text_ended else None
    return True


@under("`~", AFTER_DOCUMENT)
def read_fence_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read the end of the code fence around the document, and return the position after it.

    Any other backtick or tilde begins prose; the result is then `position`.
    """
    is_end = is_fence_end(reader, text, position)
    if is_end is None:
        return reader.hold_back(position)
    if not is_end:
        return turn_to_prose(reader, text, position, out)
    reader.prose.fence = ""
    reader.gap = FENCE_GAP
    return position + 3


@under(",", AFTER_DOCUMENT)
def read_comma_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip a comma after the document, and return the position after it.

    The next step, `read_after_comma`, decides by the text after the comma if the comma is allowed.
    """
    return reader.skip_comma(position)


@register_step
def read_after_comma(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Decide about the comma that was skipped after the document; return the position at which to read on.

    The comma is accepted, as a repair, if the text ends after it or another document may begin there.
    Otherwise, the text is refused, because the text after the comma may belong to the document.
    """
    char = text[position : position + 1]
    if char and char in WHITE:
        return skip_space(reader, text, position, out)
    if char and char not in "{[`~":
        return reader.refuse_two_readings(reader.comma_at - reader.base)
    # The text has ended, or a bracket or a code fence may begin another document.
    reader.accept_comma()
    return position
