"""Verdicts on a quote inside a string: it ends the string, or should have been escaped."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._lenient.atoms import LITERALS, PREFIXES
from tokenstream.partial_json._lenient.peek import SPACES, MoreNeeded, Peek, TooFar
from tokenstream.partial_json._strict.grammar import under

if TYPE_CHECKING:
    from tokenstream.partial_json._lenient.peek import Kind

CLOSING = re.compile(r'\\"\s*+(?:[}\]`~]|\\u00[5-7]|\Z)')
"""An escaped quote before a closing bracket or fence: it may be the string's end, escaped by mistake."""

_CLOSERS = "}])"
_BEFORE_STRING = (",", ":", "[", "{")
_MEANS_SPACE_BEFORE = "([{<=-–—/>:,;"
"""Characters that, besides white space, may precede an opening quotation mark."""

_BEHIND_QUOTE: dict[str, Any] = {}
_BEHIND_COMMA: dict[str, Any] = {}


class Verdict(Enum):
    """The verdict on a quote."""

    ENDS = auto()
    """The quote ends the string."""
    INNER = auto()
    """The quote is a character of the string."""
    UNSURE = auto()
    """Either: the text has two readings."""
    WAITS = auto()
    """Undecided until more text arrives."""


def is_ordinary(char: str) -> bool:
    """Return True for a character that has no meaning after a quote and is not white space.

    Example:
        >>> is_ordinary("a"), is_ordinary("}"), is_ordinary(" ")
        (True, False, False)
    """
    return not (char in '\\"}]`~' or char.isspace())


def may_close(string: str) -> bool:
    """Return True if a closing bracket or fence may follow a quote in or directly after the string.

    Example:
        >>> may_close('say "yes", or'), may_close('["yes"]'), may_close('say "yes" ')
        (False, True, True)
    """
    return "}" in string or "]" in string or "`" in string or "~" in string or string[-1].isspace()


class Scene(NamedTuple):
    """The surroundings of a string.

    Args:
        base: Offset of the text.
        final: True if no text follows.
        in_object: True for the value of a key, False for an element; None for a key
            or a string that is the document, which end at the first quote.
        closers: The closing brackets that may come.
        fenced: True if the document is in a code fence.
        on_line: True if nothing precedes the string on its line.
    """

    base: int
    final: bool
    in_object: bool | None = None
    closers: str = ""
    fenced: bool = False
    on_line: bool = False


class Look:
    """A look at the text after a quote in a string that is a value.

    Most strings hold no quotes, so a clean string ends at a quote whose next
    characters may follow a string. Once the string holds inner quotes, the next
    key must follow whole with its colon, and a quotation opened inside must be
    closed; otherwise the text has two readings.

    | after the quote, and white space | verdict |
    |---|---|
    | the end of the text, or a comment | ends a clean string; else unsure |
    | a closing bracket that is due | ends the string |
    | any other closing bracket | inner quote |
    | a comma, then a key, an element or a closing bracket | ends the string |
    | a colon or a plus sign | unsure |
    | the fence, of a document in a code fence | ends the string |
    | another quote, in an object | ends the string if it begins a key; else inner quote |
    | another quote, in an array | unsure, unless the string is alone on its line |
    | anything else | inner quote; unsure if a key or an element may begin there |

    Args:
        kind: The string's quotes.
        scene: The string's surroundings.
        clean: True if no quote inside the string has been found.
        quoting: True if a quotation inside it is open.
        on_line: True if its line holds nothing else so far.
        before: The last characters of the string.
    """

    __slots__ = (
        "_before",
        "_clean",
        "_kind",
        "_on_line",
        "_peek",
        "_quoting",
        "_scene",
        "_start",
    )

    def __init__(
        self,
        kind: Kind,
        scene: Scene,
        *,
        clean: bool,
        quoting: bool,
        on_line: bool,
        before: str,
    ) -> None:
        self._kind = kind
        self._scene = scene
        self._clean = clean
        self._quoting = quoting
        self._on_line = on_line
        self._before = before
        self._start = 0

    def decide(self, text: str, behind: int) -> Verdict:
        """Return the verdict on a quote; `behind` is the position after it."""
        self._peek = Peek(text, behind, final=self._scene.final)
        self._start = behind
        try:
            verdict = self._behind_quote()
        except MoreNeeded:
            return Verdict.WAITS
        except TooFar:
            verdict = self._if_clean()
        if verdict is Verdict.ENDS and self._quoting:
            return Verdict.UNSURE
        # Two quotes at the start: an empty string, a quotation, or Python's triple quotes.
        if verdict is Verdict.INNER and not self._before:
            return Verdict.UNSURE
        return verdict

    def opens_quotation(self, text: str, behind: int) -> bool:
        """Return True if an inner quote opens a quotation."""
        before = self._before
        if before.rstrip().endswith(_BEFORE_STRING):
            # The next string may begin here, with a space.
            return True
        follows = before[-1:].isspace() or before[-1:] in _MEANS_SPACE_BEFORE
        return follows and not text[behind : behind + 1].isspace()

    def _if_clean(self) -> Verdict:
        return Verdict.ENDS if self._clean else Verdict.UNSURE

    def _behind_quote(self) -> Verdict:
        peek = self._peek
        position = peek.spaces(self._start, self._kind.spaces)
        char = peek.char(position)
        step = _BEHIND_QUOTE.get(char)
        if step is not None:
            verdict: Verdict = step(self, position)
            return verdict
        if peek.quote(position) is not None:
            return self._quote(position)
        # A key without quotes, on a line of its own.
        if self._scene.in_object and "\n" in peek.between(self._start, position) and peek.key(position):
            return Verdict.UNSURE
        if position > self._start and not (self._scene.in_object or self._quoting):
            # The next element may lack its opening quote, and the comma before it.
            return Verdict.UNSURE
        return Verdict.INNER

    @under(("",), _BEHIND_QUOTE, _BEHIND_COMMA)
    def _cut(self, position: int) -> Verdict:
        return self._if_clean()

    @under((",", *_CLOSERS), _BEHIND_COMMA)
    def _end(self, position: int) -> Verdict:
        return Verdict.ENDS

    @under(":+", _BEHIND_QUOTE)
    def _unsure(self, position: int) -> Verdict:
        return Verdict.UNSURE

    @under(_CLOSERS, _BEHIND_QUOTE)
    def _closer(self, position: int) -> Verdict:
        return Verdict.ENDS if self._peek.char(position) in self._scene.closers else Verdict.INNER

    @under("/", _BEHIND_QUOTE, _BEHIND_COMMA)
    def _slash(self, position: int) -> Verdict:
        is_comment = self._peek.char(position + 1) in {"/", "*"}
        return self._if_clean() if is_comment else Verdict.INNER

    @under("#", _BEHIND_QUOTE, _BEHIND_COMMA)
    def _hash(self, position: int) -> Verdict:
        return self._if_clean() if position > self._start else Verdict.INNER

    @under("`~", _BEHIND_QUOTE)
    def _fence(self, position: int) -> Verdict:
        if self._scene.fenced and position > self._start and self._peek.starts(("```", "~~~"), position):
            return Verdict.ENDS
        return Verdict.INNER

    def _quote(self, position: int) -> Verdict:
        """Judge two quotes with nothing between them."""
        is_doubled = position == self._start and self._peek.quote(position) is self._kind
        if self._quoting and is_doubled:
            return Verdict.INNER
        if not self._scene.in_object:
            is_alone = self._on_line and self._clean and "\n" in self._peek.between(self._start, position)
            return Verdict.ENDS if is_alone else Verdict.UNSURE
        if self._peek.key(position):
            return Verdict.ENDS
        # A doubled quote may be an escape of one, or the same quote written twice.
        return Verdict.UNSURE if is_doubled and self._clean else Verdict.INNER

    @under(",;", _BEHIND_QUOTE)
    def _comma(self, position: int) -> Verdict:
        verdict = self._behind_comma(position)
        if verdict is Verdict.INNER and not (self._scene.in_object or self._quoting):
            # The next element may lack its opening quote.
            return Verdict.UNSURE
        return verdict

    def _behind_comma(self, position: int) -> Verdict:
        peek = self._peek
        position = peek.spaces(position + 1, self._kind.spaces)
        char = peek.char(position)
        step = _BEHIND_COMMA.get(char)
        if step is not None:
            verdict: Verdict = step(self, position)
            return verdict
        if self._scene.in_object:
            return self._next_field(position)
        return self._next_element(position, char)

    @under(".…", _BEHIND_COMMA)
    def _dots(self, position: int) -> Verdict:
        return Verdict.ENDS if self._clean and self._peek.starts(("...", "…"), position) else Verdict.INNER

    def _next_field(self, position: int) -> Verdict:
        if self._clean and self._peek.quote(position) is not None:
            return Verdict.ENDS
        return Verdict.ENDS if self._peek.key(position) else Verdict.INNER

    def _next_element(self, position: int, char: str) -> Verdict:
        peek = self._peek
        if char in "{[(" or peek.quote(position) is not None:
            return Verdict.ENDS
        if self._clean and (char == "-" or char.isdigit()):
            return Verdict.ENDS
        end = peek.word(position + (char == "-"))
        if end == position:
            return Verdict.INNER
        word = peek.between(position, end)
        if (self._clean and word in LITERALS) or (word in PREFIXES and peek.quote(end) is not None):
            return Verdict.ENDS
        following = peek.char(peek.spaces(end, SPACES))
        return Verdict.ENDS if following in {",", "", *_CLOSERS} else Verdict.INNER
