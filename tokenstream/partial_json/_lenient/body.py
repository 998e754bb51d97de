"""Steps of lenient reading, functions that read on from one character: inside a document's brackets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._lenient.automaton import (
    AFTER,
    COLON,
    ELEMENT,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEYS,
    LINE_GAP,
    OTHER,
    PLACES,
    VALUE,
    VALUES,
    register_after_mismatch,
    register_step,
)
from tokenstream.partial_json._lenient.gaps import NO_KEY, read_other, supply_comma
from tokenstream.partial_json._lenient.peek import (
    OPENING_QUOTES,
    PLAIN,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
)
from tokenstream.partial_json._lenient.quotes import StringContext
from tokenstream.partial_json._strict.grammar import under

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvents
    from tokenstream.partial_json._lenient.reader import LenientReader

# Match the valid JSON that may follow a string. The key is the closing bracket of the container.
_VALID_AFTER_STRING: dict[str, Any] = {
    "}": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*"|\})').match,
    "]": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*["\[{]|\])').match,
    ")": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*["\[{]|\))').match,
}
_QUOTES = "".join(quote for quote in OPENING_QUOTES if quote != "`")


# -- objects and arrays ------------------------------------------------------------


@under("{", *VALUES)
def begin_object(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    return open_container(reader, {}, "}", position, out)


@under("[", *VALUES)
def begin_array(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    return open_container(reader, [], "]", position, out)


@under("(", *VALUES)
def begin_tuple(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    reader.repair_log.note("tuple", reader.base + position)
    return open_container(reader, [], ")", position, out)


def open_container(
    reader: LenientReader,
    container: Any,  # noqa: ANN401 - a dict or a list
    closer: str,
    position: int,
    out: JSONEvents,
) -> int:
    """Begin an object or array; return the position after its bracket; too deep a one is an error."""
    if reader.document.open(container, reader.base + position, out):
        reader.push_bracket(closer)
    return position + 1


@under("{", FIRST_KEY)
def skip_doubled_brace(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Skip the second of two opening braces, as in `{{`; return the position after it.

    The template of a prompt doubles braces. A third brace is refused.
    """
    if reader.closers[-1] == "}}":
        # This is a third brace.
        return reader.refuse_here(position)
    reader.repair_log.note("doubled_brace", reader.base + position)
    # The closing brace may be doubled, too.
    reader.closers[-1] = "}}"
    return position + 1


@register_after_mismatch
@under("}])", FIRST_ELEMENT, ELEMENT, *KEYS, *AFTER)
def close_bracket(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Close an object or array; return the position after its closing bracket.

    A closing bracket of the wrong kind closes all containers up to the one that it fits; if it
    fits none, it closes the innermost. The bracket is refused if the text then has two readings.
    """
    char = text[position]
    if reader.may_skip_brace and char == "}":
        # The second of two closing braces.
        return reader.skip_second_brace(position)
    # The closer is "}}" if the opening brace was doubled.
    is_wrong = reader.closers[-1][0] != char
    # Round brackets around a single value only group it in Python, and make no tuple.
    if ends_grouping_brackets(reader, char) or (is_wrong and not may_close_other(reader, char)):
        return reader.refuse_two_readings(position)
    if reader.comma_at >= 0:
        reader.repair_log.note("trailing_comma", reader.comma_at)
    if is_wrong:
        reader.repair_log.note("wrong_closer", reader.base + position)
        reader.close_fitting_container(char, position, out)
    reader.close_container(reader.base + position + 1, out)
    return position + 1


def may_close_other(reader: LenientReader, closer: str) -> bool:
    """Return True if a bracket may close another kind: no empty one, and by `)` only an open tuple."""
    return not reader.is_at(FIRST_KEY, FIRST_ELEMENT) and (closer != ")" or bool(reader.closer_counts[")"]))


def ends_grouping_brackets(reader: LenientReader, closer: str) -> bool:
    """Return True if `closer` ends round brackets around a single value, which in Python are not a tuple."""
    return reader.closers[-1] == closer == ")" and reader.comma_at < 0 and len(reader.document.container) == 1


@register_after_mismatch
@under(("",), *PLACES)
def end_cut_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Close whatever is open in a document whose end is missing, and record a repair; return `position`.

    The text is refused instead if `must_be_closed` is set, or if what was read may also be prose.
    """
    if reader.opener_missing and len(reader.closers) == 1 and len(reader.document.container) < 2:
        # Only a string, a colon and perhaps a value, without an opening brace: they may also be prose.
        reader.forget_unfinished_values()
        return reader.refuse_two_readings(position)
    if reader.must_be_closed:
        # The option `lenient="closed"` allows all repairs but this one.
        reader.forget_unfinished_values()
        # This sets the error, as the document is not complete.
        reader.document.end(reader.base + position)
        return position
    if reader.is_at(VALUE, COLON):
        # The last key has no value: it is dropped.
        reader.repair_log.note("unfinished_value", reader.key_at)
    reader.repair_log.note("missing_end", reader.base + position)
    while reader.closers:
        reader.close_container(reader.base + position, out)
    return position


# -- quotes ----------------------------------------------------------------------


@under(_QUOTES, *PLACES)
def begin_quoted(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin a key or a string at its opening quote; return the position at which to read on.

    If a comma is missing before the quote, only that is supplied, and the result is `position`.
    """
    if reader.is_at(COLON):
        return reader.refuse_here(position)
    if reader.is_at(*AFTER):
        return supply_comma(reader, text, position, out)
    return reader.open_quoted(OPENING_QUOTES[text[position]], position, out, is_key=reader.is_at(*KEYS))


@under('"', *KEYS)
def read_plain_key(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a whole key at once, if all of it has arrived and it needs no repair; otherwise only begin it.

    The result is the position up to which the text was read.
    """
    end = text.find('"', position + 1)
    key = text[position + 1 : end] if end > 0 else None
    if key is None or "\\" in key or not key.isprintable():
        # The closing quote has not arrived, or characters of the key must be examined.
        return reader.open_quoted(PLAIN, position, out, is_key=True)
    reader.use_key(key, reader.base + position)
    return end + 1


@under('"', *VALUES)
def read_plain_string(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a whole string at once, if all of it has arrived and it needs no repair; otherwise only begin it.

    The result is the position up to which the text was read.
    """
    end = text.find('"', position + 1)
    string = text[position + 1 : end] if end > 0 else None
    # The container's closing bracket; the closer is "}}" if the opening brace was doubled.
    closer = reader.closers[-1][0]
    # Before anything but a comma or this bracket, the quote may belong to the string.
    match_continuation = _VALID_AFTER_STRING[closer]
    if (
        string is None
        or "\\" in string
        or not string.isprintable()
        or match_continuation(text, end + 1) is None
    ):
        return reader.open_quoted(PLAIN, position, out, is_key=False)
    reader.document.begin_string(reader.base + position, out, string)
    reader.document.end_string(reader.base + end + 1, out)
    reader.end_value()
    return end + 1


@register_after_mismatch
@under("`~", *PLACES)
def read_fence_or_quote(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read the end of the code fence, or begin a string in backticks; return the position to read on at."""
    char = text[position]
    fence = text[position : position + 3]
    may_become_fence = len(fence) < 3 and fence == char * len(fence)
    if may_become_fence and not reader.text_ended:
        return reader.hold_back(position)
    if fence == char * 3:
        is_end = reader.prose.fence == char
        return end_cut_document(reader, text, position, out) if is_end else reader.refuse_here(position)
    if char == "~":
        # A backtick may also be a quote, a tilde only part of a fence.
        return reader.refuse_here(position)
    return begin_quoted(reader, text, position, out)


# -- keys ----------------------------------------------------------------------


@register_step
def read_quoted_key(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Continue a key in quotes, from `position` on; return the position up to which the text was read."""
    quoted, pieces = reader.quoted, reader.key_pieces
    if quoted.kind is PLAIN and not reader.text_ended:
        # This is enough for most keys: the first quote ends them.
        end = text.find('"', position)
        piece = text[position:] if end < 0 else text[position:end]
        if "\\" not in piece and piece.isprintable():
            pieces.append(piece)
            if end < 0:
                return len(text)
            reader.use_key("".join(pieces), reader.token_at)
            pieces.clear()
            return end + 1
    position = quoted.read(text, position, pieces, StringContext(reader.base, reader.text_ended))
    # `pieces` is kept between calls, until the key is complete.
    if quoted.is_closed:
        reader.use_key("".join(pieces), reader.token_at)
        pieces.clear()
    elif quoted.needs_more:
        return reader.hold_back(position)
    elif reader.text_ended:
        if not NO_KEY.isdisjoint("".join(pieces)):
            # The closing quote is missing, and the fields after the key were read as part of it.
            return reader.refuse_two_readings(reader.token_at - reader.base)
        reader.drop_cut_key(reader.token_at)
    return position


@under((OTHER,), *KEYS)
def read_bare_key(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read a key without quotes, a word before a colon; refuse any other; return the position after it."""
    peek = Lookahead(text, position, text_ended=reader.text_ended)
    try:
        end = peek.skip_word(position)
        if end == position:
            # No word begins here.
            return read_other(reader, text, position, out)
        following = peek.get_char(peek.skip_spaces(end))
    except MoreTextNeeded:
        return reader.hold_back(position)
    except LookaheadExceeded:
        return reader.refuse_here(position)
    if following == ":":
        reader.repair_log.note("unquoted_key", reader.base + position)
        reader.use_key(text[position:end], reader.base + position)
        return end
    if following:
        return reader.refuse_here(position)
    # The text ends after the word.
    reader.drop_cut_key(reader.base + position)
    return len(text)


# -- strings -------------------------------------------------------------------


@register_step
def read_string(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Continue a string that is a value; return the position up to which the text was read.

    The string ends at its closing quote, or at the end of a text that was cut.
    """
    quoted = reader.quoted
    container = reader.document.container
    pieces: list[str] = []
    if container is not None and quoted.is_clean and quoted.is_usual and not reader.text_ended:
        # This is enough for most strings, which have no inner quotes and only JSON's escapes: the first
        # quote ends them, as in `read_plain_string`.
        position = quoted.read_to_quote(text, position, pieces)
        is_open = position == len(text)
        if is_open or (
            text[position] == '"' and _VALID_AFTER_STRING[reader.closers[-1][0]](text, position + 1)
        ):
            if pieces:
                reader.document.grow_string("".join(pieces), out)
            return position if is_open else reader.end_string(position + 1, out)
    context = StringContext(
        reader.base,
        reader.text_ended,
        in_object=None if container is None else container.__class__ is dict,
        closers="".join(closer for closer, count in reader.closer_counts.items() if count),
        fenced=bool(reader.prose.fence),
        on_line=reader.gap == LINE_GAP,
    )
    position = quoted.read(text, position, pieces, context)
    if pieces:
        reader.document.grow_string("".join(pieces), out)
    if quoted.unsure_at is not None:
        # There is a quote at this offset that may or may not end the string.
        return reader.refuse_two_readings(quoted.unsure_at - reader.base)
    if quoted.needs_more:
        return reader.hold_back(position)
    if not quoted.is_closed:
        if not reader.text_ended:
            return position
        if container is None or not quoted.seems_cut:
            # Perhaps the closing quote is missing, and the fields after the string were read as part of it.
            return reader.refuse_two_readings(position)
    return reader.end_string(position, out)
