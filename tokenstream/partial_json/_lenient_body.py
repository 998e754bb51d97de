"""A document as models write it that are not held to JSON, from its first bracket to its last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient_gaps import NO_KEY
from tokenstream.partial_json._lenient_peek import OPENING, MoreNeeded, Peek, TooFar
from tokenstream.partial_json._lenient_state import NO_GAP
from tokenstream.partial_json._lenient_strings import Quoted, Scene
from tokenstream.partial_json._lenient_tables import (
    AFTER,
    AFTER_CROOKED,
    AFTER_FIELD,
    COLON,
    ELEMENT,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEYS,
    OTHER,
    PLACES,
    STEPS,
    VALUE,
    VALUES,
    after_crooked,
    is_step,
)
from tokenstream.partial_json._lenient_tokens import LenientTokens

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["LenientBody"]

# What follows a string that has ended, in JSON, by the bracket that is open.
_GOES_ON: dict[str, Any] = {
    "}": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*"|\})').match,
    "]": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*["\[{]|\])').match,
    ")": re.compile(r'[ \t\n\r]*(?:,[ \t\n\r]*["\[{]|\))').match,
}
_QUOTES = "".join(quote for quote in OPENING if quote != "`")


class LenientBody(LenientTokens):
    """Read one document."""

    __slots__ = ()

    _is_second: ClassVar[bool] = False
    """Whether to read one document only, and stop behind it."""

    @is_step
    def _between(self, text: str, position: int, out: list[JSONEvent]) -> int:
        char = text[position : position + 1]
        table = self._expects
        step = table.get(char)
        if step is None:
            step = table[OTHER]
        if self._swallow and char not in " \t\r\n}":
            self._swallow = False
        if self._lacking >= 0 and step not in AFTER_CROOKED:
            return self._two_readings(position)
        following: int = step(self, text, position, out)
        return following

    # -- objects and arrays ------------------------------------------------------------

    @under("{", *VALUES)
    def _object(self, text: str, position: int, out: list[JSONEvent]) -> int:
        return self._enter({}, "}", position, out)

    @under("[", *VALUES)
    def _array(self, text: str, position: int, out: list[JSONEvent]) -> int:
        return self._enter([], "]", position, out)

    @under("(", *VALUES)
    def _tuple(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._repaired.note("tuple", self._base + position)
        return self._enter([], ")", position, out)

    def _enter(self, container: Any, mark: str, position: int, out: list[JSONEvent]) -> int:  # noqa: ANN401 - a dict or a list
        if self._open(container, self._base + position, out):
            self._go_in(mark)
        return position + 1

    def _go_in(self, mark: str) -> None:
        self._marks.append(mark)
        self._counts[mark] += 1
        self._comma = -1
        self._gap = NO_GAP
        self._expects = FIRST_KEY if mark == "}" else FIRST_ELEMENT
        self._reading = STEPS["_between"]

    @under("{", FIRST_KEY)
    def _doubled_brace(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if self._marks[-1] == "}}":
            return self._unexpected_here(position)
        self._repaired.note("doubled_brace", self._base + position)
        self._marks[-1] = "}}"
        return position + 1

    @after_crooked
    @under("}])", FIRST_ELEMENT, ELEMENT, *KEYS, *AFTER)
    def _closer(self, text: str, position: int, out: list[JSONEvent]) -> int:
        char = text[position]
        if self._swallow and char == "}":
            self._swallow = False
            return position + 1
        marks = self._marks
        is_wrong = marks[-1][0] != char
        if self._ends_brackets(char) or (is_wrong and not self._may_close(char)):
            return self._two_readings(position)
        if self._comma >= 0:
            self._repaired.note("trailing_comma", self._comma)
        if is_wrong:
            self._repaired.note("wrong_closer", self._base + position)
            self._lacking = max(self._lacking, 0)
            while self._counts[char] and marks[-1][0] != char:
                self._leave(self._base + position, out)
                self._lacking += 1
        self._leave(self._base + position + 1, out)
        return position + 1

    def _may_close(self, closer: str) -> bool:
        """Return whether a bracket may close one of another kind: of an empty one nothing tells the kind."""
        return not self._is_at(FIRST_KEY, FIRST_ELEMENT) and (closer != ")" or bool(self._counts[")"]))

    def _ends_brackets(self, closer: str) -> bool:
        """Return whether round brackets end around one value, which are no tuple in Python."""
        return self._marks[-1] == closer == ")" and self._comma < 0 and len(self._container) == 1

    def _leave(self, offset: int, out: list[JSONEvent]) -> None:
        mark = self._marks.pop()
        self._counts[mark[0]] -= 1
        if mark[0] == "}" and not (self._marks or self._container or self._final or self._is_second):
            self._empty_end = offset
            self._reading = None
        else:
            self._close(offset, out)
            self._finished()
        self._swallow = mark == "}}"

    @after_crooked
    @under(("",), *PLACES)
    def _cut(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """End a document whose closing brackets are missing."""
        if self._opener_missing and len(self._marks) == 1 and len(self._container) < 2:
            # A word in quotes, a colon and a value may be prose.
            return self._two_readings(position)
        if self._is_at(VALUE, COLON):
            self._repaired.note("unfinished_value", self._key_at)
        self._repaired.note("missing_end", self._base + position)
        while self._marks:
            self._leave(self._base + position, out)
        return position

    # -- quotes ----------------------------------------------------------------------

    @under(_QUOTES, *PLACES)
    def _quote(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Begin a key or a string; where a comma or a colon is expected, it is missing."""
        try:
            kind = Peek(text, position, final=self._final).quote(position)
        except MoreNeeded:
            return self._wait(position)
        if kind is None:
            return self._escaped_space(text, position)
        if self._is_at(COLON):
            return self._missing_colon(text, position, out)
        if self._is_at(*AFTER):
            return self._missing_comma(text, position, out)
        self._quoted = Quoted(kind, self._repaired)
        self._token_at = self._base + position
        if kind.repair is not None:
            self._repaired.note(kind.repair, self._token_at)
        if self._is_at(*KEYS):
            self._reading = STEPS["_in_quoted_key"]
        else:
            self._begin_string(self._token_at, out)
            self._reading = STEPS["_in_string_value"]
        end: int = kind.quote(text, position).end()
        return end

    @under('"', *KEYS)
    def _plain_key(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Take a key that has come whole and needs no second look."""
        end = text.find('"', position + 1)
        key = text[position + 1 : end] if end > 0 else "\\"
        if "\\" in key or not key.isprintable():
            return self._quote(text, position, out)
        self._take_key(key, self._base + position)
        return end + 1

    @under('"', *VALUES)
    def _plain_string(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Take a string that has come whole and needs no second look."""
        end = text.find('"', position + 1)
        string = text[position + 1 : end] if end > 0 else "\\"
        goes_on = _GOES_ON[self._marks[-1][0]]
        if "\\" in string or not string.isprintable() or goes_on(text, end + 1) is None:
            return self._quote(text, position, out)
        self._begin_string(self._base + position, out, string)
        self._end_string(self._base + end + 1, out)
        self._finished()
        return end + 1

    @after_crooked
    @under("`~", *PLACES)
    def _fence_or_quote(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read the end of the code fence, or what is in backticks."""
        char = text[position]
        fence = text[position : position + 3]
        if len(fence) < 3 and not self._final and fence == char * len(fence):
            return self._wait(position)
        if fence == char * 3:
            is_end = self._prose.fence == char
            return self._cut(text, position, out) if is_end else self._unexpected_here(position)
        if char == "~":
            return self._unexpected_here(position)
        return self._quote(text, position, out)

    # -- keys ----------------------------------------------------------------------

    @is_step
    def _in_quoted_key(self, text: str, position: int, out: list[JSONEvent]) -> int:
        quoted, pieces = self._quoted, self._key_pieces
        position = quoted.read(text, position, pieces, Scene(self._base, self._final))
        if quoted.closed:
            self._take_key("".join(pieces), self._token_at)
            pieces.clear()
        elif quoted.waits:
            return self._wait(position)
        elif self._final and not NO_KEY.isdisjoint("".join(pieces)):
            # It is the closing quote that is missing, and the fields behind it are in the key.
            return self._two_readings(self._token_at - self._base)
        elif self._final:
            self._key_cut(self._token_at)
        return position

    @under((OTHER,), *KEYS)
    def _bare_key(self, text: str, position: int, out: list[JSONEvent]) -> int:
        peek = Peek(text, position, final=self._final)
        try:
            end = peek.word(position)
            if end == position:
                return self._other(text, position, out)
            following = peek.char(peek.spaces(end))
        except MoreNeeded:
            return self._wait(position)
        except TooFar:
            return self._unexpected_here(position)
        if following == ":":
            self._repaired.note("unquoted_key", self._base + position)
            self._take_key(text[position:end], self._base + position)
            return end
        if following:
            return self._unexpected_here(position)
        self._key_cut(self._base + position)
        return len(text)

    def _take_key(self, key: str, offset: int) -> None:
        self._key = key
        self._key_at = offset
        self._comma = -1
        self._gap = NO_GAP
        self._expects = COLON
        self._reading = STEPS["_between"]

    def _key_cut(self, offset: int) -> None:
        self._repaired.note("unfinished_value", offset)
        self._expects = AFTER_FIELD
        self._reading = STEPS["_between"]

    # -- strings -------------------------------------------------------------------

    @is_step
    def _in_string_value(self, text: str, position: int, out: list[JSONEvent]) -> int:
        quoted = self._quoted
        container = self._container
        scene = Scene(
            self._base,
            self._final,
            None if container is None else container.__class__ is dict,
            "".join(mark for mark, count in self._counts.items() if count),
            bool(self._prose.fence),
        )
        pieces: list[str] = []
        position = quoted.read(text, position, pieces, scene)
        if pieces:
            self._grow_string("".join(pieces), out)
        if quoted.unsure is not None:
            return self._two_readings(quoted.unsure - self._base)
        if quoted.waits:
            return self._wait(position)
        if not quoted.closed and not self._final:
            return position
        if not quoted.closed and (container is None or not quoted.may_be_cut):
            return self._two_readings(position)
        self._end_string(self._base + position, out)
        self._reading = STEPS["_between"]
        self._finished()
        return position
