"""Numbers and literals of strict JSON, and the state of the reader that reads them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import BOOL, NULL
from tokenstream.partial_json._events import StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict.grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    END,
    FAILED,
    FIRST_ELEMENT,
    VALUE,
    under,
)
from tokenstream.partial_json._strict.numbers import (
    ACCEPTED,
    FEW_DIGITS,
    NUMBER,
    START,
    advance,
    is_too_long,
    parse_number,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._events import JSONEvent, JSONKind

_LITERALS = {"t": ("true", True, BOOL), "f": ("false", False, BOOL), "n": ("null", None, NULL)}
_SHORT = 20
"""Number of characters in which to look for the comma after a number; most numbers are shorter."""
_FAR = sys.maxsize
"""A position after the end of any text, which makes reading stop after an error."""


class AtomReader:
    """Read the numbers and literals of strict JSON into a document; `StrictReader` reads the rest.

    Args:
        document: Receives the values.
    """

    __slots__ = (
        "atom_progress",
        "base",
        "cut_key",
        "document",
        "incomplete",
        "literal",
        "number_at",
        "state",
    )

    number_at: int
    """Offset of the current number."""
    literal: tuple[str, Any, int]
    """The current literal: its text, value and `Allow` bit."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.state: Any = VALUE
        """The state of reading. Between values, it is the table for the next character; inside a key, string,
        number or literal, it is the step (function) that continues it."""
        self.base: int = 0
        """Offset of the current piece in the document."""
        self.incomplete = ""
        """The beginning of an escape or number whose rest has not arrived."""
        self.cut_key = ""
        """The current key as far as it has arrived."""
        self.atom_progress = START
        """The state of the current number, as in `numbers`, or the number of letters of a literal so far."""

    # -- numbers and literals ----------------------------------------------------

    @under("-0123456789", VALUE, FIRST_ELEMENT)
    def begin_number(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read a number from its first character; return the position after the part that has arrived."""
        start = self.base + position
        # Most numbers are a few digits before a comma; a leading zero is not JSON.
        digits, comma, _ = text[position : position + _SHORT].partition(",")
        if comma and digits.isdecimal() and digits.isascii() and (digits[0] != "0" or digits == "0"):
            end = position + len(digits)
            self.add_whole("number", int(digits), start, self.base + end, out)
            return end
        match = NUMBER(text, position)
        if match is not None:
            end = match.end()
            # The number is whole only if a character follows that cannot belong to it. (`int` may refuse more
            # digits than `FEW_DIGITS`.)
            if end < len(text) and text[end] not in ".eE" and end - position <= FEW_DIGITS:
                number = match[0]
                # If only group 1 has matched, there is neither a fraction nor an exponent.
                value = (
                    int(number)
                    if match.lastindex == 1
                    else parse_number(number, decimals=self.document.decimals)
                )
                if value is not None:
                    self.add_whole("number", value, start, self.base + end, out)
                    return end
        self.number_at = start
        self.document.begin_atom("number", start, out)
        self.state = AtomReader.continue_number
        self.atom_progress = START
        return self.continue_number(text, position, out)

    def continue_number(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Continue a number that is split between pieces; return the position after what was read of it."""
        # `atom_progress` is the state of the number; in the states `ACCEPTED`, the number may end.
        end, self.atom_progress = advance(text, position, self.atom_progress)
        self.incomplete += text[position:end]
        if is_too_long(self.incomplete):
            self.document.exceed_digits(self.incomplete, self.number_at)
            return self.stop_reading()
        if end < len(text) and self.atom_progress in ACCEPTED:
            return self.end_number(end, out)
        self.document.show_number(self.incomplete)
        return end if end == len(text) else self.refuse(end, "a digit")

    def end_number(self, end: int, out: list[JSONEvent]) -> int:
        """End a number before the position `end`; return the position at which to read on."""
        value = parse_number(self.incomplete, decimals=self.document.decimals)
        if value is None:
            # The exponent is too large: this sets the document's error.
            self.document.exceed_exponent(self.incomplete, self.number_at)
            return self.stop_reading()
        self.incomplete = ""
        self.document.end_atom(value, self.base + end, out)
        self.end_value()
        return end

    @under("tfn", VALUE, FIRST_ELEMENT)
    def begin_literal(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read as much of true, false or null as has arrived; return the position after that."""
        word, value, _ = literal = _LITERALS[text[position]]
        start = self.base + position
        if text.startswith(word, position):
            self.add_whole("literal", value, start, start + len(word), out)
            return position + len(word)
        # The piece ends within the word, or another word begins with this letter: read it letter by letter.
        self.document.begin_atom("literal", start, out)
        self.literal = literal
        self.state = AtomReader.continue_literal
        self.atom_progress = 0
        return self.continue_literal(text, position, out)

    def continue_literal(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Continue true, false or null, split between pieces; return the position after its letters."""
        word, value, allow_bit = self.literal
        letters_before = self.atom_progress
        piece = text[position : position + len(word) - letters_before]
        # Shorten the piece to the letters that continue the word; "" always does.
        while not word.startswith(piece, letters_before):
            piece = piece[:-1]
        position += len(piece)
        self.atom_progress = letters_before + len(piece)
        if self.atom_progress == len(word):
            self.document.end_atom(value, self.base + position, out)
            self.end_value()
            return position
        if self.document.allow & allow_bit:
            # The first letter determines the value, which may be visible before the word is complete.
            self.document.show_atom(value)
        return position if position == len(text) else self.refuse(position, f"the rest of {word}")

    # -- after a value ---------------------------------------------------------------

    def end_value(self) -> None:
        """Set the state after a value: the end of the document, or a comma or closing bracket."""
        document = self.document
        container = document.container
        if container.__class__ is dict:
            self.state = AFTER_FIELD
        elif container is None:
            document.complete = True
            self.state = END
        else:
            document.key = len(container)
            self.state = AFTER_ELEMENT

    def add_whole(self, kind: JSONKind, value: Json, start: int, end: int, out: list[JSONEvent]) -> None:
        """Add a string, number or literal that has arrived whole.

        Args:
            start: Offset of its first character.
            end: Offset after its last character.
            out: Receives the events.
        """
        document = self.document
        frame, key = document.frame, document.key
        out.append(ValueStart(frame, kind, start, key))
        if value and kind == "string":
            out.append(StringDelta(frame, value, key))
        out.append(ValueDone(frame, value, end, key))
        container = document.container
        if container.__class__ is dict:
            container[key] = value
            self.state = AFTER_FIELD
        elif container is None:
            document.show(value)
            self.end_value()
        else:
            container.append(value)
            document.key = len(container)
            self.state = AFTER_ELEMENT

    # -- faults ----------------------------------------------------------------------

    def refuse(self, position: int, expected: str) -> int:
        """Set the error for an unexpected character; return a position beyond any text, to end reading."""
        self.document.refuse(self.base + position, expected)
        return self.stop_reading()

    def stop_reading(self) -> int:
        """Set the state after an error; return a position beyond any text, to end reading."""
        self.state = FAILED
        return _FAR
