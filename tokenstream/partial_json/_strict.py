"""Strict JSON, each character looked at once, whatever pieces it comes in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    BETWEEN,
    COLON,
    END,
    ENDED,
    FAILED,
    FIRST_ELEMENT,
    FIRST_KEY,
    INSIDE,
    KEY,
    VALUE,
    goes_on,
    under,
)
from tokenstream.partial_json._growing import BOOL, NULL, NUM
from tokenstream.partial_json._numbers import (
    ACCEPTED,
    FEW_DIGITS,
    MOST_DIGITS,
    NUMBER,
    START,
    advance,
    is_too_long,
    make,
    so_far,
)
from tokenstream.partial_json._reading import FAR, TextReader, as_text
from tokenstream.partial_json._strings import whole_string
from tokenstream.partial_json.events import StringDelta, ValueDone, ValueStart

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent, JSONKind

__all__ = ["StrictReader"]

_SPACE = re.compile(r"[ \t\n\r]*").match
_LITERALS = {"t": ("true", True, BOOL), "f": ("false", False, BOOL), "n": ("null", None, NULL)}
_GOING_ON = frozenset({"", ".", "e", "E"})
"""Behind the digits of a number: what may belong to it."""


class StrictReader(TextReader):
    """Read strict JSON.

    Args:
        allow: Bits of what may show before it is complete.
        max_depth: Most objects and arrays inside each other.
        decimals: Whether numbers with a fraction or an exponent become Decimals.
    """

    __slots__ = ("_cut_key", "_decimals", "_literal", "_start", "_state")

    def __init__(self, allow: int, max_depth: int, *, decimals: bool = False) -> None:
        super().__init__(allow, max_depth)
        self._decimals = decimals
        self._cut_key = ""
        """What has come of a key."""
        self._start = 0
        """Offset of the number that is being read."""
        self._state = START
        """How far that is, or how many letters of a literal have come."""
        self._literal: tuple[str, Any, int] = ("", None, 0)

    def feed(self, text: str, *, now: float = 0.0) -> list[JSONEvent]:
        """Return what a piece of the document tells.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage takes it.
        """
        if text.__class__ is not str:
            text = as_text(text)
        out: list[JSONEvent] = []
        # Most pieces are the middle of a string; what is printable has no control character.
        if (
            self._at is _IN_STRING
            and not self._held
            and '"' not in text
            and "\\" not in text
            and text.isprintable()
            and text
        ):
            out.append(StringDelta(self._frame, text, self._key))
            self._base += len(text)
            if self._fresh:
                self._pieces.append(text)
            else:
                self._fresh = text
            return out
        position, size = 0, len(text)
        while position < size:
            at = self._at
            if at.__class__ is dict:
                step = at.get(text[position])
                if step.__class__ is dict:
                    self._at = step
                    position += 1
                    continue
                if step is None:
                    position = self._unexpected(position)
                    continue
                at = step
            position = at(self, text, position, out)
        self._base += size
        return out

    def end(self, *, now: float = 0.0) -> list[JSONEvent]:
        """Say that the text has ended; a number that is the whole document is finished by that.

        Args:
            now: Unused; every stage takes it.
        """
        out: list[JSONEvent] = []
        if self._at is _IN_NUMBER and self._container is None and self._state in ACCEPTED:
            self._end_number(0, out)
        if self.error is None:
            if not self.complete:
                self._fail(
                    self._base, f"the text ended after {self._base:,} characters, before the document did"
                )
            else:
                self._at = ENDED
        return out

    # -- between values ---------------------------------------------------------

    @under("\t\n\r", *BETWEEN)
    def _space(self, text: str, position: int, out: list[JSONEvent]) -> int:
        space: Any = _SPACE(text, position)
        end: int = space.end()
        return end

    @under("{", VALUE, FIRST_ELEMENT)
    def _begin_object(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if not self._open({}, self._base + position, out):
            self._at = FAILED
            return FAR
        self._at = FIRST_KEY
        return position + 1

    @under("[", VALUE, FIRST_ELEMENT)
    def _begin_array(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if not self._open([], self._base + position, out):
            self._at = FAILED
            return FAR
        self._at = FIRST_ELEMENT
        return position + 1

    @under("}", FIRST_KEY, AFTER_FIELD)
    @under("]", FIRST_ELEMENT, AFTER_ELEMENT)
    def _end_container(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._close(self._base + position + 1, out)
        self._value_done()
        return position + 1

    def _value_done(self) -> None:
        """Turn to what may follow a value."""
        container = self._container
        if container.__class__ is dict:
            self._at = AFTER_FIELD
        elif container is None:
            self.complete = True
            self._at = END
        else:
            self._key = len(container)
            self._at = AFTER_ELEMENT

    def _whole(self, kind: JSONKind, value: Any, start: int, end: int, out: list[JSONEvent]) -> None:  # noqa: ANN401 - any JSON value
        """Take a string, number or literal that came whole.

        Args:
            kind: What it is.
            value: The value.
            start: Offset of its first character.
            end: Offset behind its last one.
            out: Takes the events.
        """
        frame, key = self._frame, self._key
        out.append(ValueStart(frame, kind, start, key))
        if value and kind == "string":
            out.append(StringDelta(frame, value, key))
        out.append(ValueDone(frame, value, end, key))
        container = self._container
        if container.__class__ is dict:
            container[key] = value
            self._at = AFTER_FIELD
        elif container is None:
            self._show(value)
            self._value_done()
        else:
            container.append(value)
            self._key = len(container)
            self._at = AFTER_ELEMENT

    # -- keys and strings ---------------------------------------------------------

    # In keys and strings the common case comes first: no escape, no control character (and none of
    # the others that are not printable), up to the closing quote or the end of the text.

    @under('"', KEY, FIRST_KEY)
    def _begin_key(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._at = _IN_KEY
        return self._in_key(text, position + 1, out)

    @goes_on
    def _in_key(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end = text.find('"', position)
        piece = text[position:] if end < 0 else text[position:end]
        if self._held or "\\" in piece or not piece.isprintable():
            end, piece = self._characters(text, position)
        elif end < 0:
            end = len(text)
        # Not `self._cut_key += piece`, which copies what has come of a long key each time.
        key, self._cut_key = self._cut_key, ""
        key += piece
        if end < len(text):
            self._key = key
            self._at = COLON
        else:
            self._cut_key = key
        return end + 1

    @under('"', VALUE, FIRST_ELEMENT)
    def _begin_string_value(self, text: str, position: int, out: list[JSONEvent]) -> int:
        start = position + 1
        offset = self._base + position
        end = text.find('"', start)
        piece = text[start:] if end < 0 else text[start:end]
        is_plain = "\\" not in piece and piece.isprintable()
        if end >= 0:
            whole = (piece, end + 1) if is_plain else whole_string(text, position)
            if whole is not None:
                piece, end = whole
                self._whole("string", piece, offset, self._base + end, out)
                return end
        self._at = _IN_STRING
        if is_plain:
            self._begin_string(offset, out, piece)
            return len(text)
        self._begin_string(offset, out)
        return self._in_string(text, start, out)

    @goes_on
    def _in_string(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end = text.find('"', position)
        piece = text[position:end]
        if end < 0 or self._held or "\\" in piece or not piece.isprintable():
            end, piece = self._characters(text, position)
        if piece:
            self._grow_string(piece, out)
        if end < len(text):
            self._end_string(self._base + end + 1, out)
            self._value_done()
        return end + 1

    # -- numbers and literals -----------------------------------------------------------

    @under("-0123456789", VALUE, FIRST_ELEMENT)
    def _begin_number(self, text: str, position: int, out: list[JSONEvent]) -> int:
        start = self._base + position
        match = NUMBER(text, position)
        if match is not None:
            end = match.end()
            if text[end : end + 1] not in _GOING_ON and end - position <= FEW_DIGITS:
                number, rest = match.groups()
                value = int(number) if rest is None else make(match.group(), decimals=self._decimals)
                if value is not None:
                    self._whole("number", value, start, self._base + end, out)
                    return end
        self._start = start
        self._begin_atom("number", start, out)
        self._at = _IN_NUMBER
        self._state = START
        return self._in_number(text, position, out)

    @goes_on
    def _in_number(self, text: str, position: int, out: list[JSONEvent]) -> int:
        end, self._state = advance(text, position, self._state)
        self._held += text[position:end]
        if is_too_long(self._held):
            return self._exceed_digits()
        if end < len(text) and self._state in ACCEPTED:
            return self._end_number(end, out)
        self._show_number()
        return end if end == len(text) else self._refuse(end, "a digit")

    def _show_number(self) -> None:
        """Show what the number has come to, if that is asked for."""
        value = so_far(self._held, decimals=self._decimals) if self._allow & NUM else None
        if value is not None:
            self._show_atom(value)

    def _end_number(self, end: int, out: list[JSONEvent]) -> int:
        value = make(self._held, decimals=self._decimals)
        if value is None:
            return self._exceed_exponent()
        self._held = ""
        self._end_atom(value, self._base + end, out)
        self._value_done()
        return end

    def _exceed_digits(self) -> int:
        self._show_number()
        return self._exceed(
            f"the number at character {self._start:,} has more than {MOST_DIGITS:,} digits, which no "
            "reader takes; ask the model for a string",
            "digits",
            MOST_DIGITS,
        )

    def _exceed_exponent(self) -> int:
        from decimal import MAX_EMAX

        self._show_number()
        return self._exceed(
            f"the number at character {self._start:,} has an exponent that no Decimal holds; read the "
            "document without decimals=True",
            "exponent",
            MAX_EMAX,
        )

    @under("tfn", VALUE, FIRST_ELEMENT)
    def _begin_literal(self, text: str, position: int, out: list[JSONEvent]) -> int:
        word, value, _ = literal = _LITERALS[text[position]]
        start = self._base + position
        if text.startswith(word, position):
            self._whole("literal", value, start, start + len(word), out)
            return position + len(word)
        self._begin_atom("literal", start, out)
        self._literal = literal
        self._at = _IN_LITERAL
        self._state = 0
        return self._in_literal(text, position, out)

    @goes_on
    def _in_literal(self, text: str, position: int, out: list[JSONEvent]) -> int:
        word, value, bit = self._literal
        done = self._state
        while done < len(word) and position < len(text) and text[position] == word[done]:
            position, done = position + 1, done + 1
        self._state = done
        if done == len(word):
            self._end_atom(value, self._base + position, out)
            self._value_done()
            return position
        if self._allow & bit:
            self._show_atom(value)
        return position if position == len(text) else self._refuse(position, f"the rest of {word}")


_IN_KEY, _IN_STRING, _IN_NUMBER, _IN_LITERAL = (
    INSIDE[name] for name in ("_in_key", "_in_string", "_in_number", "_in_literal")
)
