"""Values without quotes in a document that is not quite JSON, from their first character to their last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._growing import NUM
from tokenstream.partial_json._lenient_atoms import LITERALS, PREFIXES, Atom, atom
from tokenstream.partial_json._lenient_gaps import LenientGaps
from tokenstream.partial_json._lenient_peek import SPACES, MoreNeeded, Peek, TooFar
from tokenstream.partial_json._lenient_tables import OTHER, VALUES
from tokenstream.partial_json._numbers import MOST_LENGTH, NUMBER, is_too_long, make, so_far

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["LenientTokens"]

_TOKEN: Any = re.compile(r"[\w.+\-$]*").match
_ENDS_ATOM = frozenset(("", *",}]);#\x1b\\"))
_ENDS_WORD = frozenset(("", *",}]);"))


class LenientTokens(LenientGaps):
    """Read numbers, literals and words."""

    __slots__ = ()

    @under((OTHER,), *VALUES)
    def _token_or_other(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if text[position].isalnum() or text[position] in "_$":
            return self._token(text, position, out)
        return self._other(text, position, out)

    @under(".", *VALUES)
    def _token_or_dots(self, text: str, position: int, out: list[JSONEvent]) -> int:
        following = text[position + 1 : position + 2]
        if not following and not self._final:
            return self._wait(position)
        return (self._token if following.isdigit() else self._dots)(text, position, out)

    @under("+-", *VALUES)
    def _token(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end: int = _TOKEN(text, position + self._scanned, position + MOST_LENGTH + 1).end()
        token = text[position:end]
        if len(token) > MOST_LENGTH or is_too_long(token):
            self._tell_number(token, position, out)
            return self._exceed_digits()
        if end == len(text):
            if not self._final:
                self._scanned = end - position
                self._show_so_far(token, position, out)
                return self._wait(position)
            if token not in LITERALS:
                return self._token_cut(token, position, out)
        self._scanned = 0
        if token in PREFIXES and text[end] in "\"'":
            self._repaired.note("string_prefix", self._base + position)
            return end
        value = atom(token)
        if value is not None and value.kind == "string":
            return self._word(text, position, end, out)
        may_end = value is not None and self._may_end(text, end, is_number=value.kind == "number")
        if may_end is None:
            return self._wait(position)
        if value is not None and may_end:
            return self._take_atom(value, position, end, out)
        # What shows of a number does not depend on the pieces that it came in.
        self._show_so_far(token, position, out)
        return self._two_readings(position)

    def _tell_number(self, token: str, position: int, out: list[JSONEvent]) -> None:
        """Tell of a number that has come in part, or is too long."""
        self._held = token
        self._start = self._base + position
        if not self._atom_begun:
            self._atom_begun = True
            self._begin_atom("number", self._start, out)

    def _show_so_far(self, token: str, position: int, out: list[JSONEvent]) -> None:
        if self._allow & NUM and NUMBER(token) is not None:
            self._tell_number(token, position, out)
            self._show_number()

    def _token_cut(self, token: str, position: int, out: list[JSONEvent]) -> int:
        """Leave out a number or a word that more text might have changed, unless it shows."""
        end = position + len(token)
        self._repaired.note("unfinished_value", self._base + position)
        if self._atom_begun:
            self._end_atom(so_far(token, decimals=self._decimals), self._base + end, out)
        self._expects = self._after_value()
        return end

    def _may_end(self, text: str, end: int, *, is_number: bool) -> bool | None:
        """Return whether a number or a literal may end somewhere; None if more text is needed."""
        char = text[end : end + 1]
        following = text[end + 1 : end + 2]
        if not following and not self._final and char and char in ",/":
            # The digits of `1,000` may follow in an object, where no number may.
            return None if char == "/" or (is_number and self._marks[-1][0] == "}") else True
        if char == "," and is_number and self._marks[-1][0] == "}":
            return not following.isdigit()
        if char == "/":
            return following in {"/", "*"}
        return char in _ENDS_ATOM or char == self._prose.fence or SPACES(char).end() > 0

    def _word(self, text: str, position: int, end: int, out: list[JSONEvent]) -> int:
        """Read a value without quotes: one word, and nothing behind it that might belong to it."""
        peek = Peek(text, end, final=self._final)
        try:
            behind = peek.spaces(end)
            following = peek.char(behind)
        except MoreNeeded:
            return self._wait(position)
        except TooFar:
            return self._two_readings(position)
        gap = text[end:behind]
        is_alone = following in _ENDS_WORD or "\n" in gap or (bool(gap) and following in "/#")
        # In brackets of its own a word is what prose leaves out, not an array.
        if not is_alone or self._marks == ["]"]:
            return self._two_readings(position)
        offset = self._base + position
        self._repaired.note("unquoted_value", offset)
        self._begin_string(offset, out, text[position:end])
        self._end_string(self._base + end, out)
        self._finished()
        return end

    def _take_atom(self, value: Atom, position: int, end: int, out: list[JSONEvent]) -> int:
        offset = self._base + position
        number = make(value.value, decimals=self._decimals) if value.in_json else value.value
        if number is None and value.in_json:
            self._tell_number(value.value, position, out)
            return self._exceed_exponent()
        if value.repair is not None:
            self._repaired.note(value.repair, offset)
        if self._atom_begun:
            self._atom_begun = False
        else:
            self._begin_atom(value.kind, offset, out)
        self._end_atom(number, self._base + end, out)
        self._finished()
        return end
