"""Lookahead for steps of lenient reading: the text ahead, which gives quotes a meaning, and bare words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._strict.numbers import NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._events import JSONKind
    from tokenstream.partial_json._repairs import RepairName

LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
PREFIXES = frozenset({"b", "B", "u", "U"})
"""Python's string prefixes that do not change the text."""
_PYTHON_LITERALS: dict[str, Any] = {"True": True, "False": False, "None": None}
_LITERALS_IN_CAPITALS: dict[str, Any] = {"TRUE": True, "FALSE": False, "NULL": None, "Null": None}
LITERALS_IN_ANY_CASE = frozenset((*LITERALS, *_PYTHON_LITERALS, *_LITERALS_IN_CAPITALS))
_INFINITY = float("inf")
_NOT_A_NUMBER = {
    "NaN": float("nan"),
    "nan": float("nan"),
    **dict.fromkeys(("Infinity", "+Infinity", "inf", "+inf"), _INFINITY),
    **dict.fromkeys(("-Infinity", "-inf"), -_INFINITY),
}
# Words that have different meanings in different languages, or whose value JSON cannot express.
_UNCLEAR = frozenset({"undefined", "nil", "null", "true", "false", "none", "nan", "inf", "infinity", "nul"})

# Groups: the sign, the point before the first digit, and the number from its first digit on.
_PLUS_OR_POINT: Any = re.compile(
    r"\+?(-?)(\.?)((?:0|[1-9][0-9]*|(?<=\.)[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
).fullmatch
_HEXADECIMAL: Any = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)").fullmatch
_WORD: Any = re.compile(r"\$?[^\W\d][\w$.-]*").fullmatch

MOST_HELD = 1_024
"""Maximum characters to hold back until later text decides what they mean."""

# White space of any script, and invisible characters: NUL, byte order marks, zero-width joiners.
_ODD = r"\s\x00\ufeff\u200b-\u200d\u2060"
SPACES: Any = re.compile(rf"[{_ODD}]*").match
_WORD_OR_NOTHING: Any = re.compile(r"[\w$][\w$.+-]*|").match
_DOUBLE = "\u201c\u201d\u201e"
_SINGLE = "\u2018\u2019\u201a"


class Atom(NamedTuple):
    """The meaning of an atom: a value without quotes or brackets, which is a number, a literal or a word.

    Args:
        value: The value; for a number that JSON can express, the JSON text of the number.
        repair: The repair that was needed; None if the value is JSON.
        in_json: True if `value` is the JSON text of a number.
    """

    kind: JSONKind
    value: Any
    repair: RepairName | None = None
    in_json: bool = False


def read_atom(token: str) -> Atom | None:
    """Return the meaning of a token; None if it has none, or more than one.

    A number that JSON can express stays text, which is parsed later.

    Example:
        >>> read_atom("True").value, read_atom("0x1F").value, read_atom(".5").value, read_atom("007")
        (True, 31, '0.5', None)
    """
    # The third argument of `Atom` is the repair, if the value is not JSON.
    if token in LITERALS:
        return Atom("literal", LITERALS[token])
    if token in _PYTHON_LITERALS:
        return Atom("literal", _PYTHON_LITERALS[token], "python_literal")
    if token in _LITERALS_IN_CAPITALS:
        return Atom("literal", _LITERALS_IN_CAPITALS[token], "literal_case")
    if token in _NOT_A_NUMBER:
        return Atom("number", _NOT_A_NUMBER[token], "not_a_number")
    number = NUMBER(token)
    if number is not None and number.end() == len(token):
        return Atom("number", token, in_json=True)
    return _read_number_form(token) or _read_word(token)


def _read_number_form(token: str) -> Atom | None:
    """Read a number that JSON writes differently: hexadecimal, with a plus or without a 0; or None."""
    # "number_form" is the name of the repair.
    match = _HEXADECIMAL(token)
    if match is not None:
        sign, digits = match.groups()
        value = int(digits, 16)
        return Atom("number", -value if sign == "-" else value, "number_form")
    match = _PLUS_OR_POINT(token)
    # The pattern also accepts two signs, which are not a number.
    if match is None or token.startswith("+-"):
        return None
    # `sign` is a minus sign or "": the pattern skips a plus sign.
    sign, point, digits = match.groups()
    if point and "." in digits:
        # Two points, as in `.1.2`: not a number.
        return None
    return Atom("number", f"{sign}0.{digits}" if point else sign + digits, "number_form", in_json=True)


def _read_word(token: str) -> Atom | None:
    """Read a word without quotes as a string; None if it is not a word, or may mean a value such as null."""
    if _WORD(token) is None or token.lower() in _UNCLEAR:
        return None
    return Atom("string", token, "unquoted_value")


class QuoteKind(NamedTuple):
    """A kind of quotes around a string, with the pattern that reads such a string.

    Args:
        run: Matches ordinary characters in the string.
        quotes: The characters that are quotes of this kind.
        repair: The name of the repair; None for the quotes of JSON.
    """

    run: Any
    quotes: str
    repair: RepairName | None = None


def _make_quote_kind(quotes: str, repair: RepairName | None) -> QuoteKind:
    return QuoteKind(re.compile(rf"[^{quotes}\\\x00-\x1f]*").match, quotes, repair)


PLAIN = _make_quote_kind('"', None)
OPENING_QUOTES: dict[str, QuoteKind] = {
    '"': PLAIN,
    "'": _make_quote_kind("'", "single_quotes"),
    "`": _make_quote_kind("`", "backticks"),
    **dict.fromkeys(_DOUBLE, _make_quote_kind(_DOUBLE, "smart_quotes")),
    **dict.fromkeys(_SINGLE, _make_quote_kind(_SINGLE, "smart_quotes")),
}


class MoreTextNeeded(Exception):
    """The text that is needed for a decision has not arrived."""


class LookaheadExceeded(Exception):
    """The next `MOST_HELD` characters are not enough for a decision."""


class Lookahead:
    """A view of the text after a position, which reaches `MOST_HELD` characters ahead.

    Args:
        text: The unread text.
        start: The position.
        text_ended: True if no text follows `text`.
    """

    __slots__ = ("_bound", "_text", "_text_ended")

    def __init__(self, text: str, start: int, *, text_ended: bool) -> None:
        self._text = text
        self._bound = start + MOST_HELD
        self._text_ended = text_ended

    def get_char(self, position: int) -> str:
        """Return one character, or "" at the end of the text."""
        if position >= self._bound:
            raise LookaheadExceeded
        if position < len(self._text):
            return self._text[position]
        if self._text_ended:
            return ""
        raise MoreTextNeeded

    def _skip_run(self, match: Callable[[str, int, int], Any], position: int) -> int:
        """Return the end of the run of characters that `match` matches at a position.

        The character after the run must have arrived, because the run may be longer otherwise;
        `get_char` raises if the character has not arrived.
        """
        end: int = match(self._text, position, self._bound).end()
        self.get_char(end)
        return end

    def skip_spaces(self, position: int, match: Callable[[str, int, int], Any] = SPACES) -> int:
        """Return the end of the white space at a position; the position itself if there is none."""
        return self._skip_run(match, position)

    def skip_word(self, position: int) -> int:
        """Return the end of the word or number at a position; the position itself if there is none."""
        return self._skip_run(_WORD_OR_NOTHING, position)

    def get_text(self, start: int, end: int) -> str:
        return self._text[start:end]

    def starts_with(self, words: tuple[str, ...], position: int) -> bool:
        # Letter by letter, so that `get_char` raises only if a letter that has not arrived decides.
        for word in words:
            for index, letter in enumerate(word):
                if self.get_char(position + index) != letter:
                    break
            else:
                return True
        return False

    def find_quote(self, position: int) -> QuoteKind | None:
        return OPENING_QUOTES.get(self.get_char(position))

    def skip_quoted(self, position: int) -> int:
        """Return the end of the string that begins at a position; the position itself if there is none."""
        kind = self.find_quote(position)
        if kind is None:
            return position
        end = position + 1
        while True:
            end = self._skip_run(kind.run, end)
            char = self.get_char(end)
            if not char:
                # The text has ended inside the string.
                return end
            if char in kind.quotes:
                return end + 1
            # The character after a backslash is escaped.
            end += 2 if char == "\\" else 1

    def is_key(self, position: int) -> bool:
        end = self.skip_quoted(position)
        if end == position:
            end = self.skip_word(position)
        return end > position and self.get_char(self.skip_spaces(end)) == ":"
