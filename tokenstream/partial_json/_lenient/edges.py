"""Steps at the edges of a document: the text directly after it, and documents without brackets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._lenient.atoms import Atom, read_atom
from tokenstream.partial_json._lenient.body import begin_object, push_bracket, take_key
from tokenstream.partial_json._lenient.gaps import (
    enter_comment,
    is_odd_space,
    read_other,
    skip_space,
    turn_to_prose,
)
from tokenstream.partial_json._lenient.peek import MOST_HELD, OPENING, PLAIN
from tokenstream.partial_json._lenient.quotes import Scene
from tokenstream.partial_json._lenient.reader import FENCE_GAP, LINE_GAP, SPACE_GAP
from tokenstream.partial_json._lenient.strings import Quoted
from tokenstream.partial_json._lenient.tables import AFTER_DOCUMENT, START, STEPS, VALUE, WHITE, is_step
from tokenstream.partial_json._lenient.tokens import begin_number, take_atom
from tokenstream.partial_json._strict.grammar import under
from tokenstream.partial_json._strict.numbers import MOST_LENGTH, NUMBER, is_too_long

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._lenient.reader import LenientReader

_ROOT_TOKEN: Any = re.compile(r"[\w.+-]*").match
_QUOTES = "".join(quote for quote in OPENING if quote not in "`\\&")
_BRACKETS = frozenset("{[")


def refuse_empty_text(reader: LenientReader, position: int) -> int:
    """Set the error of a text without a document."""
    offset = reader.base + position
    reader.document.fail(
        offset, f"the text ended after {offset:,} characters, and there is no JSON document in it"
    )
    return position


def note_text(reader: LenientReader, offset: int) -> None:
    """Record the text before or after the document as a repair, unless that was done already."""
    if not reader.text_noted:
        reader.text_noted = True
        reader.repaired.note("trailing_text" if has_document(reader) else "leading_text", offset)


def has_document(reader: LenientReader) -> bool:
    """Return True if a whole document has been read; `{}` counts, even if it may be a placeholder."""
    return reader.document.complete or reader.empty_end >= 0


# -- a document without brackets -----------------------------------------------------


@under(_QUOTES, START)
def begin_root_string(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin a string where a document may begin: it may be the document, a key, or prose."""
    kind = OPENING[text[position]]
    following = text[position + 1 : position + 2]
    if kind is not PLAIN and not following and not reader.final:
        return reader.wait(position)
    if kind is not PLAIN and (following in _BRACKETS or following == "\\"):
        # The document itself, written as a string literal of a programming language.
        return turn_to_prose(reader, text, position, out)
    reader.quoted = Quoted(kind, reader.repaired)
    reader.root_at = reader.base + position
    reader.around = STEPS["read_root_string"]
    return position + 1


@is_step
def read_root_string(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Continue the string of `begin_root_string`; if it is a key, its object lacks the opening brace."""
    quoted, pieces = reader.quoted, reader.key_pieces
    position = quoted.read(text, position, pieces, Scene(reader.base, reader.final))
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    if pieces and len(pieces[0]) > MOST_HELD:
        # It is too long for a key, or for a quotation in prose.
        if quoted.kind is not PLAIN:
            return reader.refuse_two_readings(reader.root_at - reader.base)
        reader.document.begin_string(reader.root_at, out, pieces.pop())
        reader.reading = STEPS["read_string"]
        reader.around = STEPS["read_after_document"]
        return position
    if quoted.closed:
        reader.root_value = "".join(pieces)
        reader.root_end = reader.base + position
        pieces.clear()
        reader.around = STEPS["decide_root"]
        return position
    if reader.final:
        return reader.refuse_two_readings(position)
    return reader.wait(position)


@under("-0123456789tfnTFNI", START)
def read_root_token(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read a number or a literal where a document may begin: it is the document, or begins prose."""
    end: int = _ROOT_TOKEN(text, position + reader.scanned, position + MOST_LENGTH + 1).end()
    token = text[position:end]
    if end == len(text) and len(token) <= MOST_LENGTH and not reader.final:
        reader.scanned = len(token)
        return reader.wait(position)
    reader.scanned = 0
    if is_too_long(token) and NUMBER(token) is not None:
        begin_number(reader, position, out)
        reader.document.exceed_digits(token, reader.base + position)
        return position
    value = read_atom(token)
    if value is None or value.kind == "string":
        reader.around = STEPS["read_prose"]
        return position
    reader.root_at = reader.base + position
    reader.root_end = reader.base + end
    reader.root_value = value
    reader.around = STEPS["decide_root"]
    return end


@is_step
def decide_root(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Decide by the next character if the value that was read is the document, a key, or prose."""
    char = text[position : position + 1]
    if char and char in WHITE:
        return skip_space(reader, text, position, out)
    value = reader.root_value
    if char == ":" and isinstance(value, str):
        return open_late(reader, value, position, out)
    if char and char in "{[":
        return reader.refuse_two_readings(reader.root_at - reader.base)
    is_fence = is_fence_end(reader, text, position)
    if is_fence is None:
        return reader.wait(position)
    is_quotation = isinstance(value, str) and reader.quoted.kind is not PLAIN
    if (is_fence or not char) and not is_quotation:
        return take_root(reader, position, out)
    if is_odd_space(char):
        return read_other(reader, text, position, out)
    if isinstance(value, str) and not _BRACKETS.isdisjoint(value):
        # The quote may be an apostrophe, and the string may contain the document.
        return reader.refuse_two_readings(reader.root_at - reader.base)
    note_text(reader, reader.root_at)
    reader.prose.follow_word()
    reader.around = STEPS["read_prose"]
    return position


def open_late(reader: LenientReader, key: str, position: int, out: list[JSONEvent]) -> int:
    """Begin an object whose opening brace is missing; its first key has been read already."""
    reader.repaired.note("missing_opener", reader.root_at)
    if reader.quoted.kind.repair is not None:
        reader.repaired.note(reader.quoted.kind.repair, reader.root_at)
    reader.opener_missing = True
    reader.text_noted = False
    reader.around = STEPS["read_after_document"]
    begin_object(reader, "", reader.root_at - reader.base, out)
    if reader.document.error is None:
        take_key(reader, key, reader.root_at)
        reader.expects = VALUE
    return position + 1


def take_root(reader: LenientReader, position: int, out: list[JSONEvent]) -> int:
    """Use the string, number or literal that was read as the document."""
    value, at, end = reader.root_value, reader.root_at - reader.base, reader.root_end - reader.base
    reader.around = STEPS["read_after_document"]
    if isinstance(value, Atom):
        take_atom(reader, value, at, end, out)
    else:
        reader.document.begin_string(reader.root_at, out, value)
        reader.document.end_string(reader.root_end, out)
        reader.end_value()
    return position


# -- after the document ----------------------------------------------------------------


@is_step
def read_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read the text directly after the document."""
    char = text[position : position + 1]
    if reader.takes_first and (not char or char not in WHITE):
        return skip_rest(reader, text, position, out)
    step = AFTER_DOCUMENT.get(char)
    if step is not None:
        following: int = step(reader, text, position, out)
        return following
    if is_odd_space(char):
        reader.expects = AFTER_DOCUMENT
        return read_other(reader, text, position, out)
    return read_text_after_document(reader, text, position, out)


def skip_rest(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip the text after the document, unless the document is `{}` and an object replaces it."""
    if reader.empty_end >= 0:
        if text[position : position + 1] == "{" and not has_text_between(reader):
            return begin_object_meant(reader, position)
        finish_empty(reader, out)
    if position == len(text):
        reader.done = reader.final
    return len(text)


def has_text_between(reader: LenientReader) -> bool:
    """Return True if anything other than white space has followed the document."""
    return bool(reader.text_noted or reader.commented or reader.prose.fence or reader.gap == FENCE_GAP)


def begin_object_meant(reader: LenientReader, position: int) -> int:
    """Continue `{}`, which was a placeholder, with the fields of the object that follows it."""
    reader.repaired.note("empty_placeholder", reader.root_at)
    reader.empty_end = -1
    push_bracket(reader, "}")
    reader.around = STEPS["read_after_document"]
    return position + 1


def finish_empty(reader: LenientReader, out: list[JSONEvent]) -> None:
    """End the document `{}`, which was not a placeholder."""
    reader.document.close(reader.empty_end, out)
    reader.empty_end = -1
    reader.end_value()


def read_text_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin prose after the document; refuse it if it may belong to the document."""
    char = text[position]
    if may_continue(reader, char):
        return reader.refuse_two_readings(position)
    return turn_to_prose(reader, text, position, out)


@under("/#", AFTER_DOCUMENT)
def begin_comment_after_document(
    reader: LenientReader, text: str, position: int, out: list[JSONEvent]
) -> int:
    """Begin a comment; a hash sign at the beginning of a line is a heading instead."""
    mark = text[position : position + 2]
    if mark == "/" and not reader.final:
        return reader.wait(position)
    if mark[0] == "#":
        mark = "#" if reader.gap == SPACE_GAP else ""
    if mark not in {"//", "/*", "#"}:
        return read_text_after_document(reader, text, position, out)
    reader.commented = True
    return enter_comment(reader, position, mark)


def may_continue(reader: LenientReader, char: str) -> bool:
    """Return True if the text after the document makes it doubtful that this was the document.

    A document of brackets around numbers, or `{}`, may belong to prose that continues on the same
    line; a document in quotes may be a quotation in prose that continues on the next line.
    """
    if reader.gap == FENCE_GAP:
        return False
    root: Any = reader.document.root
    if isinstance(root, str):
        return True
    if reader.gap == LINE_GAP:
        return False
    if reader.owed >= 0:
        return True
    is_list = isinstance(root, list)
    is_plain = not root or (
        is_list and not any(type(value) in {str, list, dict} for value in reader.document.root)
    )
    return is_plain or not isinstance(root, (list, dict)) or char.isdigit()


@under(("",), AFTER_DOCUMENT)
def finish(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """End the text after the document."""
    if reader.empty_end >= 0:
        finish_empty(reader, out)
    reader.done = True
    return position


@under("}]", AFTER_DOCUMENT)
def skip_extra_closer(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip a closing bracket that closes nothing, if an earlier mismatched bracket explains it."""
    if reader.swallow and text[position] == "}":
        reader.swallow = False
    elif reader.in_prose or not reader.owed:
        # The bracket that it closes may be missing, or may have been read as prose.
        return reader.refuse_two_readings(position)
    else:
        reader.owed = max(reader.owed - 1, -1)
        reader.repaired.note("extra_closer", reader.base + position)
    return position + 1


@under(";", AFTER_DOCUMENT)
def skip_semicolon(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    reader.repaired.note("semicolon", reader.base + position)
    return position + 1


@under(").!", AFTER_DOCUMENT)
def skip_punctuation(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    note_text(reader, reader.base + position)
    return position + 1


@under('"', AFTER_DOCUMENT)
def read_quote_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    if reader.gap == FENCE_GAP:
        return turn_to_prose(reader, text, position, out)
    return reader.refuse_two_readings(position)


def is_fence_end(reader: LenientReader, text: str, position: int) -> bool | None:
    """Return True if the end of the code fence is here; None if that depends on later text."""
    fence = reader.prose.fence
    marks = text[position : position + 3]
    if not fence or not marks or marks != fence * len(marks):
        return False
    if len(marks) < 3:
        return False if reader.final else None
    return True


@under("`~", AFTER_DOCUMENT)
def read_fence_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read the end of the code fence after the document, or begin prose."""
    is_end = is_fence_end(reader, text, position)
    if is_end is None:
        return reader.wait(position)
    if not is_end:
        return turn_to_prose(reader, text, position, out)
    reader.prose.fence = ""
    reader.gap = FENCE_GAP
    return position + 3


@under(",", AFTER_DOCUMENT)
def take_comma_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    reader.comma = reader.base + position
    reader.around = STEPS["read_after_comma"]
    return position + 1


@is_step
def read_after_comma(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Skip a comma after the document, if only a repetition of the document may follow."""
    char = text[position : position + 1]
    if char and char in WHITE:
        return skip_space(reader, text, position, out)
    if char and char not in "{[`~":
        return reader.refuse_two_readings(reader.comma - reader.base)
    reader.repaired.note("extra_comma", reader.comma)
    reader.around = STEPS["read_after_document"]
    return position
