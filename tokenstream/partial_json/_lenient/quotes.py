"""Decisions about a quote inside a string: the quote ends the string, or was not escaped."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any, NamedTuple

from tokenstream.partial_json._lenient.peek import (
    LITERALS,
    PREFIXES,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
    QuoteKind,
)
from tokenstream.partial_json._strict.grammar import under

CLOSING = re.compile(r'\\"\s*+(?:[}\]`~]|\\u00[5-7]|\Z)')
"""An escaped quote before a closing bracket or fence: it may be the end of the string, escaped by mistake."""

_CLOSERS = "}])"
_BEFORE_STRING = (",", ":", "[", "{")
"""Characters after which JSON allows a string."""
_BEFORE_QUOTATION = "([{<=-–—/>:,;"
"""Characters that, besides white space, may precede an opening quotation mark."""

_AFTER_QUOTE: dict[str, Any] = {}
"""Maps the first character after a quote and white space to the method that judges the quote."""
_AFTER_COMMA: dict[str, Any] = {}
"""Maps the first character after a quote, a comma and white space to the method that judges the quote."""


class QuoteVerdict(Enum):
    """The verdict on a quote in a string: it ends the string, belongs to the string, or is not decided."""

    ENDS = auto()
    INNER = auto()
    UNSURE = auto()
    """The quote may be either: the text has two readings."""
    WAITS = auto()
    """The decision needs later text."""


def is_ordinary(char: str) -> bool:
    """Return True for a character that has no special meaning after a quote, and is not white space."""
    return not (char in '\\"}]`~' or char.isspace())


def may_have_closing(string: str) -> bool:
    """Return True if a closing bracket or a fence may follow a quote in a string, which `CLOSING` then finds.

    White space at the end counts, too, since the bracket may be in the next piece.
    """
    return "}" in string or "]" in string or "`" in string or "~" in string or string[-1].isspace()


class StringContext(NamedTuple):
    """The surroundings of a string.

    Args:
        base: Offset in the whole text at which the piece with the string begins.
        text_ended: True if no text follows the piece.
        in_object: True for the value of a key, False for an element of an array; None for a
            key, or for a string that is the whole document; these end at the first quote.
        closers: The closing brackets of all open objects and arrays.
        fenced: True if the document is in a code fence.
        on_line: True if nothing precedes the string on its line.
    """

    base: int
    text_ended: bool
    in_object: bool | None = None
    closers: str = ""
    fenced: bool = False
    on_line: bool = False


class QuoteJudge:
    """Decides by the text after a quote, in a string that is a value, if the quote ends the string.

    Most strings contain no quotes. So a clean string, one without inner quotes so far, ends
    at a quote if the next characters may follow a string. After an inner quote, more is needed:
    a whole key with its colon must follow, and a quotation that was opened in the string
    must have been closed. Otherwise, the text has two readings.

    | after the quote, and white space | verdict |
    |---|---|
    | the end of the text, or a comment | ends a clean string; otherwise unsure |
    | the closing bracket of an open container | ends the string |
    | any other closing bracket | inner quote |
    | a comma, then a key, an element or a closing bracket | ends the string |
    | a colon or a plus sign | unsure |
    | the end of the code fence around the document | ends the string |
    | another quote, in an object | ends the string if it begins a key; otherwise inner quote |
    | another quote, in an array | unsure, unless the string is alone on its line |
    | anything else | inner quote; unsure if a key or an element may begin there |

    Args:
        kind: The kind of the string's quotes.
        is_clean: True if no inner quote has been found so far.
        in_quotation: True if a quotation inside the string is open.
        on_line: True if the string is alone on its line so far.
        before: The last characters of the string.
    """

    __slots__ = ("_before", "_context", "_in_quotation", "_is_clean", "_kind", "_on_line", "_peek", "_start")

    def __init__(
        self,
        kind: QuoteKind,
        context: StringContext,
        *,
        is_clean: bool,
        in_quotation: bool,
        on_line: bool,
        before: str,
    ) -> None:
        self._kind = kind
        self._context = context
        self._is_clean = is_clean
        """True if no inner quote has been found so far."""
        self._in_quotation = in_quotation
        """True if a quotation inside the string is open."""
        self._on_line = on_line
        self._before = before
        """The last characters of the string."""
        self._start = 0

    def decide(self, text: str, after: int) -> QuoteVerdict:
        """Return the verdict on a quote in the string; `after` is the position after the quote."""
        self._peek = Lookahead(text, after, text_ended=self._context.text_ended)
        self._start = after
        try:
            verdict = self._judge_next()
        except MoreTextNeeded:
            return QuoteVerdict.WAITS
        except LookaheadExceeded:
            # The text that would decide is too far away.
            verdict = self._end_if_clean()
        if verdict is QuoteVerdict.ENDS and self._in_quotation:
            # The quote may also close the quotation.
            return QuoteVerdict.UNSURE
        # Two quotes at the start: an empty string, a quotation, or the triple quotes of Python.
        if verdict is QuoteVerdict.INNER and not self._before:
            return QuoteVerdict.UNSURE
        return verdict

    def opens_quotation(self, text: str, after: int) -> bool:
        """Return True if an inner quote opens a quotation; `after` is the position after the quote."""
        before = self._before
        if before.rstrip().endswith(_BEFORE_STRING):
            # After a comma, colon or bracket, the next string may begin here, even with a space.
            return True
        may_open = before[-1:].isspace() or before[-1:] in _BEFORE_QUOTATION
        return may_open and not text[after : after + 1].isspace()

    def _end_if_clean(self) -> QuoteVerdict:
        return QuoteVerdict.ENDS if self._is_clean else QuoteVerdict.UNSURE

    def _judge_next(self) -> QuoteVerdict:
        """Return the verdict on the quote, judged by the first character after it that is not white space."""
        peek = self._peek
        position = peek.skip_spaces(self._start)
        step = _AFTER_QUOTE.get(peek.get_char(position))
        if step is not None:
            verdict: QuoteVerdict = step(self, position)
            return verdict
        if peek.find_quote(position) is not None:
            return self._judge_before_quote(position)
        # A key without quotes may follow, on a line of its own.
        if self._context.in_object and "\n" in peek.get_text(self._start, position) and peek.is_key(position):
            return QuoteVerdict.UNSURE
        if position > self._start and not (self._context.in_object or self._in_quotation):
            # The next element may follow, without its opening quote and the comma before it.
            return QuoteVerdict.UNSURE
        return QuoteVerdict.INNER

    @under(("",), _AFTER_QUOTE, _AFTER_COMMA)
    def _judge_before_end_of_text(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote at the end of the text: it ends a string without inner quotes."""
        return self._end_if_clean()

    @under((",", *_CLOSERS), _AFTER_COMMA)
    def _judge_before_extra_comma(self, position: int) -> QuoteVerdict:
        """Return `ENDS`: a surplus comma follows the quote, before a closing bracket or another comma."""
        return QuoteVerdict.ENDS

    @under(":+", _AFTER_QUOTE)
    def _judge_before_colon(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before a colon or a plus sign, which is always `UNSURE`."""
        return QuoteVerdict.UNSURE

    @under(_CLOSERS, _AFTER_QUOTE)
    def _judge_before_closer(self, position: int) -> QuoteVerdict:
        closes_container = self._peek.get_char(position) in self._context.closers
        return QuoteVerdict.ENDS if closes_container else QuoteVerdict.INNER

    @under("/", _AFTER_QUOTE, _AFTER_COMMA)
    def _judge_before_slash(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before `/`: it may only end the string if a comment begins there."""
        return self._end_if_clean() if self._peek.get_char(position + 1) == "/" else QuoteVerdict.INNER

    @under("#", _AFTER_QUOTE, _AFTER_COMMA)
    def _judge_before_hash(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before `#`, which begins a comment only after white space."""
        return self._end_if_clean() if position > self._start else QuoteVerdict.INNER

    @under("`~", _AFTER_QUOTE)
    def _judge_before_fence(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before a backtick or tilde: a closing code fence ends the string.

        A fence only counts if there is white space before it, and the document is in a code block.
        """
        may_end_fence = self._context.fenced and position > self._start
        if may_end_fence and self._peek.starts_with(("```", "~~~"), position):
            return QuoteVerdict.ENDS
        return QuoteVerdict.INNER

    def _judge_before_quote(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote that another quote follows, directly or after white space.

        | situation; the first that applies counts | verdict |
        |---|---|
        | two quotes of the same kind in a row, in a quotation that is open | inner quote |
        | in an array, each of the two strings is alone on its line | ends the string |
        | in an array, otherwise | unsure |
        | in an object, the other quote begins a key | ends the string |
        | two quotes of the same kind in a row, in a clean string | unsure |
        | otherwise | inner quote |
        """
        is_doubled = position == self._start and self._peek.find_quote(position) is self._kind
        if self._in_quotation and is_doubled:
            # This quote closes the quotation, the other one may end the string.
            return QuoteVerdict.INNER
        if not self._context.in_object:
            # The strings lack only the comma between them if each of them is alone on its line.
            has_line_break = "\n" in self._peek.get_text(self._start, position)
            is_comma_missing = self._on_line and self._is_clean and has_line_break
            return QuoteVerdict.ENDS if is_comma_missing else QuoteVerdict.UNSURE
        if self._peek.is_key(position):
            # The comma before the next field is missing.
            return QuoteVerdict.ENDS
        # Two quotes in a row may be one escaped quote, or the closing quote, written twice.
        return QuoteVerdict.UNSURE if is_doubled and self._is_clean else QuoteVerdict.INNER

    @under(",;", _AFTER_QUOTE)
    def _judge_before_comma(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before a comma or semicolon; `position` is that of the comma."""
        verdict = self._judge_after_comma(position)
        if verdict is QuoteVerdict.INNER and not (self._context.in_object or self._in_quotation):
            # The next element may follow, without its opening quote.
            return QuoteVerdict.UNSURE
        return verdict

    def _judge_after_comma(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before the comma at `position`, judged by what follows the comma."""
        peek = self._peek
        position = peek.skip_spaces(position + 1)
        char = peek.get_char(position)
        step = _AFTER_COMMA.get(char)
        if step is not None:
            verdict: QuoteVerdict = step(self, position)
            return verdict
        if self._context.in_object:
            return self._judge_next_field(position)
        return self._judge_next_element(position, char)

    @under(".…", _AFTER_COMMA)
    def _judge_before_dots(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before a comma and dots, which stand for omitted elements."""
        precedes_dots = self._is_clean and self._peek.starts_with(("...", "…"), position)
        return QuoteVerdict.ENDS if precedes_dots else QuoteVerdict.INNER

    def _judge_next_field(self, position: int) -> QuoteVerdict:
        """Return the verdict on a quote before a comma, in an object; `position` is after the comma."""
        # A clean string ends if any quote follows; after an inner quote, a whole key must follow.
        if self._is_clean and self._peek.find_quote(position) is not None:
            return QuoteVerdict.ENDS
        return QuoteVerdict.ENDS if self._peek.is_key(position) else QuoteVerdict.INNER

    def _judge_next_element(self, position: int, char: str) -> QuoteVerdict:
        """Return the verdict on a quote before a comma in an array: an end if an element follows."""
        peek = self._peek
        begins_element = char in "{[(" or peek.find_quote(position) is not None
        begins_number = char == "-" or char.isdigit()
        # After an inner quote, a number or a literal may also belong to the text of the string.
        if begins_element or (self._is_clean and begins_number):
            return QuoteVerdict.ENDS
        # The minus sign of a number, as in `-5`, is not part of a word.
        end = peek.skip_word(position + (char == "-"))
        if end == position:
            # Neither a word nor a number follows.
            return QuoteVerdict.INNER
        word = peek.get_text(position, end)
        is_literal = self._is_clean and word in LITERALS
        # The prefix of a string in Python, as in `u"Ann"`.
        is_string_prefix = word in PREFIXES and peek.find_quote(end) is not None
        if is_literal or is_string_prefix:
            return QuoteVerdict.ENDS
        # An unquoted word, if it is the whole element.
        following = peek.get_char(peek.skip_spaces(end))
        return QuoteVerdict.ENDS if following in {",", "", *_CLOSERS} else QuoteVerdict.INNER
