"""What stands between the values of a document that is not quite JSON: space, comments, commas, dots."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient_peek import OPENING, SPACES
from tokenstream.partial_json._lenient_state import LINE_GAP, NO_GAP, SPACE_GAP, LenientState
from tokenstream.partial_json._lenient_tables import (
    AFTER,
    AFTER_ELEMENT,
    AFTER_FIELD,
    BEHIND,
    COLON,
    ELEMENT,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEY,
    KEYS,
    OTHER,
    PLACES,
    START,
    STEPS,
    VALUE,
    VALUES,
    WHITE,
    after_crooked,
    is_step,
)

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["NO_KEY", "LenientGaps"]

_JSON_SPACE: Any = re.compile(r"[ \t\n\r]*").match
_LINE_END: Any = re.compile(r"[\r\n]").search
_TERMINAL: Any = re.compile(r"\x1b\[[0-9;?]{0,16}[@-~]").match
_CUT_TERMINAL: Any = re.compile(r"\x1b(?:\[[0-9;?]{0,16})?").fullmatch
_NOTHING_YET = (VALUE, FIRST_ELEMENT, FIRST_KEY)
"""Where dots would stand for all there is."""
NO_KEY = frozenset(",:{}[]")
"""What seems to be in a key when its closing quote is missing."""


class LenientGaps(LenientState):
    """Read what stands between values."""

    __slots__ = ()

    @after_crooked
    @under(WHITE, *PLACES, START, BEHIND)
    def _json_space(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end: int = _JSON_SPACE(text, position).end()
        space = text[position:end]
        self._gap = max(self._gap, LINE_GAP if "\n" in space or "\r" in space else SPACE_GAP)
        return end

    @under((OTHER,), COLON)
    def _other(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read what is neither JSON nor a repair of this place."""
        char = text[position]
        if char == "\x1b":
            return self._terminal(text, position, out)
        if self._is_odd(char):
            self._repaired.note("odd_space", self._base + position)
            self._gap = max(self._gap, SPACE_GAP)
            return position + 1
        return self._unexpected_here(position)

    def _is_odd(self, char: str) -> bool:
        """Return whether a character is white space that JSON does not have, or begins a terminal's code."""
        return char == "\x1b" or bool(SPACES(char).end())

    def _terminal(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Leave out a code that colours the text in a terminal."""
        match = _TERMINAL(text, position)
        if match is None:
            if not self._final and _CUT_TERMINAL(text, position):
                return self._wait(position)
            if self._is_at(START, BEHIND):
                return self._to_prose(text, position, out)
            return self._unexpected_here(position)
        self._repaired.note("terminal_code", self._base + position)
        end: int = match.end()
        return end

    def _escaped_space(self, text: str, position: int) -> int:
        r"""Read white space written as `\n`, in JSON that was escaped twice."""
        following = text[position + 1 : position + 2]
        if following not in {"n", "r", "t"}:
            return self._unexpected_here(position)
        self._repaired.note("escaped_twice", self._base + position)
        self._gap = max(self._gap, SPACE_GAP) if following == "t" else LINE_GAP
        return position + 2

    # -- comments and dots -------------------------------------------------------------

    @after_crooked
    @under("/#", *PLACES)
    def _comment(self, text: str, position: int, out: list[JSONEvent]) -> int:
        mark = text[position]
        if mark == "/":
            mark = text[position : position + 2]
            if mark == "/" and not self._final:
                return self._wait(position)
            if mark not in {"//", "/*"}:
                return self._unexpected_here(position)
        elif self._is_at(*VALUES):
            following = text[position + 1 : position + 2]
            if not following and not self._final:
                return self._wait(position)
            if following.isalnum():
                # `#fff` may be the value.
                return self._two_readings(position)
        self._token_at = self._base + position
        self._repaired.note("comment", self._token_at)
        self._back = self._reading
        self._reading = STEPS["_block_comment"] if mark == "/*" else STEPS["_line_comment"]
        return position + len(mark)

    @is_step
    def _line_comment(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end = _LINE_END(text, position)
        if end is None:
            return self._comment_cut() if self._final else len(text)
        self._reading = self._back
        stop: int = end.start()
        return stop

    @is_step
    def _block_comment(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end = text.find("*/", position)
        if end >= 0:
            self._reading = self._back
            self._gap = max(self._gap, SPACE_GAP)
            return end + 2
        if self._final:
            return self._comment_cut()
        # The star of its end may have come.
        return self._wait(len(text) - 1) if text.endswith("*") and position < len(text) else len(text)

    def _comment_cut(self) -> int:
        """Refuse a comment that holds the rest of the text, which may be the rest of the document."""
        return self._two_readings(self._token_at - self._base)

    @under("…", *PLACES)
    @under(".", *KEYS, COLON, *AFTER)
    def _dots(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Leave out the dots that stand for more of the same; there must be something of it."""
        dots = text[position : position + (3 if text[position] == "." else 1)]
        if dots in {".", ".."} and position + len(dots) == len(text) and not self._final:
            return self._wait(position)
        if dots not in {"...", "…"} or self._is_at(*_NOTHING_YET):
            return self._unexpected_here(position)
        self._repaired.note("ellipsis", self._base + position)
        self._comma = -1
        self._expects = self._after_value()
        return position + len(dots)

    # -- commas and colons -----------------------------------------------------------

    @after_crooked
    @under(",", *AFTER)
    @under(";", AFTER_FIELD)
    def _comma_here(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if text[position] == ";":
            self._repaired.note("semicolon", self._base + position)
        self._comma = self._base + position
        self._gap = NO_GAP
        self._expects = KEY if self._container.__class__ is dict else ELEMENT
        return position + 1

    @under(",", ELEMENT, KEY)
    def _extra_comma(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._repaired.note("extra_comma", self._base + position)
        return position + 1

    @under("{[", AFTER_ELEMENT)
    def _missing_comma(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Go on without a comma where what follows can be nothing but the next key or element."""
        char = text[position]
        in_object = self._container.__class__ is dict
        if in_object:
            is_clear = char in OPENING or self._gap == LINE_GAP
        elif char in OPENING or char == "[":
            is_clear = self._gap != NO_GAP
        else:
            # `5 kg` is no list of two.
            is_clear = self._gap == LINE_GAP or char == "{"
        if not is_clear:
            return self._unexpected_here(position)
        self._repaired.note("missing_comma", self._base + position)
        self._expects = KEY if in_object else ELEMENT
        return position

    @under((OTHER,), *AFTER)
    def _word_without_comma(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if text[position].isalnum() or text[position] in "_$+-":
            return self._missing_comma(text, position, out)
        return self._other(text, position, out)

    @under(":", COLON)
    def _colon(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._expects = VALUE
        return position + 1

    @under("-0123456789{[", COLON)
    def _missing_colon(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if self._gap == NO_GAP or not NO_KEY.isdisjoint(str(self._key)):
            return self._unexpected_here(position)
        self._repaired.note("missing_colon", self._base + position)
        self._expects = VALUE
        return position
