"""What stands around a document: what may follow it, and one without brackets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient_atoms import Atom, atom
from tokenstream.partial_json._lenient_body import LenientBody
from tokenstream.partial_json._lenient_peek import MOST_HELD, OPENING, PLAIN
from tokenstream.partial_json._lenient_state import FENCE_GAP, LINE_GAP
from tokenstream.partial_json._lenient_strings import Quoted, Scene
from tokenstream.partial_json._lenient_tables import BEHIND, START, STEPS, VALUE, WHITE, is_step
from tokenstream.partial_json._numbers import MOST_LENGTH, NUMBER, is_too_long

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["LenientEdges"]

_ROOT_TOKEN: Any = re.compile(r"[\w.+-]*").match
_QUOTES = "".join(quote for quote in OPENING if quote not in "`\\&")
_BRACKETS = frozenset("{[")


class LenientEdges(LenientBody):
    """Read the edges of a document."""

    __slots__ = ()

    def _no_document(self, position: int) -> int:
        offset = self._base + position
        self._fail(offset, f"the text ended after {offset:,} characters, and there is no JSON document in it")
        return position

    def _note_text(self, offset: int) -> None:
        if not self._text_noted:
            self._text_noted = True
            self._repaired.note("trailing_text" if self._has_document else "leading_text", offset)

    @property
    def _has_document(self) -> bool:
        return self.complete or self._empty_end >= 0

    # -- a document without brackets -----------------------------------------------------

    @under(_QUOTES, START)
    def _begin_root_string(self, text: str, position: int, out: list[JSONEvent]) -> int:
        kind = OPENING[text[position]]
        following = text[position + 1 : position + 2]
        if kind is not PLAIN and not following and not self._final:
            return self._wait(position)
        if kind is not PLAIN and (following in _BRACKETS or following == "\\"):
            # The document itself, as the string of another language.
            return self._to_prose(text, position, out)
        self._quoted = Quoted(kind, self._repaired)
        self._root_at = self._base + position
        self._around = STEPS["_root_string"]
        return position + 1

    @is_step
    def _root_string(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read a string that is the document, or a key whose object lacks its brace, or prose."""
        quoted, pieces = self._quoted, self._key_pieces
        position = quoted.read(text, position, pieces, Scene(self._base, self._final))
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        if pieces and len(pieces[0]) > MOST_HELD:
            # No key is that long, and no quotation in prose.
            if quoted.kind is not PLAIN:
                return self._two_readings(self._root_at - self._base)
            self._begin_string(self._root_at, out, pieces.pop())
            self._reading = STEPS["_in_string_value"]
            self._around = STEPS["_after"]
            return position
        if quoted.closed:
            self._root_value = "".join(pieces)
            self._root_end = self._base + position
            pieces.clear()
            self._around = STEPS["_after_root"]
            return position
        if self._final:
            return self._two_readings(position)
        return self._wait(position)

    @under("-0123456789tfnTFNI", START)
    def _root_token(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read a number or a literal that is the document, or prose that begins with one."""
        end: int = _ROOT_TOKEN(text, position + self._scanned, position + MOST_LENGTH + 1).end()
        token = text[position:end]
        if end == len(text) and len(token) <= MOST_LENGTH and not self._final:
            self._scanned = len(token)
            return self._wait(position)
        self._scanned = 0
        if is_too_long(token) and NUMBER(token) is not None:
            self._tell_number(token, position, out)
            return self._exceed_digits()
        value = atom(token)
        if value is None or value.kind == "string":
            self._around = STEPS["_prose_around"]
            return position
        self._root_at = self._base + position
        self._root_end = self._base + end
        self._root_value = value
        self._around = STEPS["_after_root"]
        return end

    @is_step
    def _after_root(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Decide what a string, number or literal at the start is by what follows it."""
        char = text[position : position + 1]
        if char and char in WHITE:
            return self._json_space(text, position, out)
        value = self._root_value
        if char == ":" and isinstance(value, str):
            return self._open_late(value, position, out)
        if char and char in "{[":
            return self._two_readings(self._root_at - self._base)
        is_fence = self._is_fence_end(text, position)
        if is_fence is None:
            return self._wait(position)
        is_quotation = isinstance(value, str) and self._quoted.kind is not PLAIN
        if (is_fence or not char) and not is_quotation:
            return self._take_root(position, out)
        if self._is_odd(char):
            return self._other(text, position, out)
        if isinstance(value, str) and not _BRACKETS.isdisjoint(value):
            # An apostrophe may have been taken for a quote, and the document for what is quoted.
            return self._two_readings(self._root_at - self._base)
        self._note_text(self._root_at)
        self._prose.follow_word()
        self._around = STEPS["_prose_around"]
        return position

    def _open_late(self, key: str, position: int, out: list[JSONEvent]) -> int:
        """Begin an object whose brace is missing with its first key, which has come."""
        self._repaired.note("missing_opener", self._root_at)
        if self._quoted.kind.repair is not None:
            self._repaired.note(self._quoted.kind.repair, self._root_at)
        self._opener_missing = True
        self._text_noted = False
        self._around = STEPS["_after"]
        self._object("", self._root_at - self._base, out)
        if self.error is None:
            self._take_key(key, self._root_at)
            self._expects = VALUE
        return position + 1

    def _take_root(self, position: int, out: list[JSONEvent]) -> int:
        value, at, end = self._root_value, self._root_at - self._base, self._root_end - self._base
        self._around = STEPS["_after"]
        if isinstance(value, Atom):
            self._take_atom(value, at, end, out)
        else:
            self._begin_string(self._root_at, out, value)
            self._end_string(self._root_end, out)
            self._finished()
        return position

    # -- behind the document ---------------------------------------------------------------

    @is_step
    def _after(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read what follows the document directly."""
        char = text[position : position + 1]
        step = BEHIND.get(char)
        if step is not None:
            following: int = step(self, text, position, out)
            return following
        if self._is_odd(char):
            self._expects = BEHIND
            return self._other(text, position, out)
        if self._continues(char):
            return self._two_readings(position)
        return self._to_prose(text, position, out)

    def _continues(self, char: str) -> bool:
        """Return whether text behind the document makes it doubtful that this was one.

        Prose goes on behind a number in brackets, or `{}`, on the same line, and
        behind a quotation also on the next.
        """
        if self._gap == FENCE_GAP:
            return False
        root: Any = self._root
        if isinstance(root, str):
            return True
        if self._gap == LINE_GAP:
            return False
        if self._lacking >= 0:
            return True
        is_list = isinstance(root, list)
        is_plain = not root or (is_list and not any(type(value) in {str, list, dict} for value in self._root))
        return is_plain or not isinstance(root, (list, dict)) or char.isdigit()

    @under(("",), BEHIND)
    def _finish(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if self._empty_end >= 0:
            self._close(self._empty_end, out)
            self._finished()
        self._done = True
        return position

    @under("}]", BEHIND)
    def _extra_closer(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if self._swallow and text[position] == "}":
            self._swallow = False
        elif self._in_prose or not self._lacking:
            # What this one closes may have been taken for prose, or its opening bracket is missing.
            return self._two_readings(position)
        else:
            self._lacking = max(self._lacking - 1, -1)
            self._repaired.note("extra_closer", self._base + position)
        return position + 1

    @under(";", BEHIND)
    def _semicolon(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._repaired.note("semicolon", self._base + position)
        return position + 1

    @under(").!", BEHIND)
    def _punctuation(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._note_text(self._base + position)
        return position + 1

    @under('"', BEHIND)
    def _quote_behind(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if self._gap == FENCE_GAP:
            return self._to_prose(text, position, out)
        return self._two_readings(position)

    def _is_fence_end(self, text: str, position: int) -> bool | None:
        """Return whether the code fence ends here; None if more text is needed."""
        fence = self._prose.fence
        marks = text[position : position + 3]
        if not fence or not marks or marks != fence * len(marks):
            return False
        if len(marks) < 3:
            return False if self._final else None
        return True

    @under("`~", BEHIND)
    def _fence_behind(self, text: str, position: int, out: list[JSONEvent]) -> int:
        is_end = self._is_fence_end(text, position)
        if is_end is None:
            return self._wait(position)
        if not is_end:
            return self._to_prose(text, position, out)
        self._prose.fence = ""
        self._gap = FENCE_GAP
        return position + 3

    @under(",", BEHIND)
    def _comma_behind(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._comma = self._base + position
        self._around = STEPS["_after_comma"]
        return position + 1

    @is_step
    def _after_comma(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Take a comma behind the document as one too many, if nothing follows but the same document."""
        char = text[position : position + 1]
        if char and char in WHITE:
            return self._json_space(text, position, out)
        if char and char not in "{[`~":
            return self._two_readings(self._comma - self._base)
        self._repaired.note("extra_comma", self._comma)
        self._around = STEPS["_after"]
        return position
