"""Whether a quote inside a string ends it, or is a character that should have been escaped."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient.atoms import LITERALS, PREFIXES
from tokenstream.partial_json._lenient.peek import SPACES, MoreNeeded, Peek, TooFar

if TYPE_CHECKING:
    from tokenstream.partial_json._lenient.peek import Kind

__all__ = ["CLOSING", "Look", "Scene", "Verdict", "is_ordinary", "may_close"]

CLOSING = re.compile(r'\\"\s*+(?:[}\]`~]|\\u00[5-7]|\Z)')
"""A quote that was escaped, before what may close the document: the string may have lacked its own."""

_CLOSERS = "}])"
_BEFORE_STRING = (",", ":", "[", "{")
_MEANS_SPACE_BEFORE = "([{<=-–—/>:,;"
"""What an opening quotation mark may follow, beside white space."""

_BEHIND_QUOTE: dict[str, Any] = {}
_BEHIND_COMMA: dict[str, Any] = {}


class Verdict(Enum):
    """What a quote is."""

    ENDS = auto()
    """The end of the string."""
    INNER = auto()
    """A character of the string."""
    UNSURE = auto()
    """Either: there are two readings."""
    WAITS = auto()
    """Not decided before more text comes."""


def is_ordinary(char: str) -> bool:
    """Return whether a character means nothing behind a quote, nor is it space that goes before one.

    Example:
        >>> is_ordinary("a"), is_ordinary("}"), is_ordinary(" ")
        (True, False, False)
    """
    return not (char in '\\"}]`~' or char.isspace())


def may_close(string: str) -> bool:
    """Return whether what may close the document can stand behind a quote in a string, or follow it.

    Example:
        >>> may_close('say "yes", or'), may_close('["yes"]'), may_close('say "yes" ')
        (False, True, True)
    """
    return "}" in string or "]" in string or "`" in string or "~" in string or string[-1].isspace()


class Scene(NamedTuple):
    """Where a string stands.

    Args:
        base: Offset of the text.
        final: Whether nothing comes behind the text.
        in_object: Whether it is the value of a key; None for a key and a
            document's own string, which end at the first quote.
        closers: The closing brackets that may come.
        fenced: Whether the document is in a code fence.
        on_line: Whether nothing stands before it on its line.
    """

    base: int
    final: bool
    in_object: bool | None = None
    closers: str = ""
    fenced: bool = False
    on_line: bool = False


class Look:
    """A look at what follows a quote in a string that is a value.

    Text without quotes inside is the rule, so a clean string ends where what
    follows may follow a string. Once there are inner quotes the next key must
    stand there whole with its colon, and a quotation that was opened inside must
    be closed: else there are two readings.

    Args:
        kind: How the string is quoted.
        scene: Where the string stands.
        clean: Whether no quote inside the string has been found.
        quoting: Whether a quotation inside it is open.
        on_line: Whether the string is all that stands on its line so far.
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
        """Return what a quote is; `behind` is the position behind it."""
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
        # Two quotes at the start: an empty string, a quotation, or three quotes as in Python.
        if verdict is Verdict.INNER and not self._before:
            return Verdict.UNSURE
        return verdict

    def opens_quotation(self, text: str, behind: int) -> bool:
        """Return whether a quote that belongs to the string opens a quotation."""
        before = self._before
        if before.rstrip().endswith(_BEFORE_STRING):
            # It may be the next string that begins here, with a space.
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
        # A quote that is doubled for one, or one that is there twice.
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
