"""The scalars of strict JSON, which are strings, numbers and literals, and the keys of objects."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import BOOL, NULL, Document
from tokenstream.partial_json._events import JSONEvents, JSONKind, StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict.grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    COLON,
    END,
    FAILED,
    FIRST_ELEMENT,
    FIRST_KEY,
    IN_KEY,
    IN_STRING,
    KEY,
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
from tokenstream.partial_json._strict.strings import (
    CUT_ESCAPE,
    FAR,
    LONGEST_ESCAPE,
    RUN,
    SIMPLE,
    decode_open_string,
    is_undecided,
    read_string,
    unescape,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_LITERALS = {"t": ("true", True, BOOL), "f": ("false", False, BOOL), "n": ("null", None, NULL)}
_SHORT = 20
"""Number of characters in which to look for the comma after a number; most numbers are shorter."""
_QUOTE_OR_END = ('"', "")
_BEYOND = sys.maxsize
"""A position after the end of any text, which makes reading stop after an error."""


class ScalarReader:
    """Read the scalars and the keys of strict JSON into a document, wherever the pieces cut them.

    `StrictReader` adds the containers around them, and the loop over the tokens of a piece.

    Args:
        document: Receives the values.
    """

    number_at: int
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
        self.progress = START
        """The state of the current number, as in `numbers`, or the number of letters of a literal so far."""

    # -- numbers and literals ----------------------------------------------------

    @under("-0123456789", VALUE, FIRST_ELEMENT)
    def begin_number(self, text: str, position: int, out: JSONEvents) -> int:
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
        self.state = ScalarReader.continue_number
        self.progress = START
        return self.continue_number(text, position, out)

    def continue_number(self, text: str, position: int, out: JSONEvents) -> int:
        # `progress` is the state of the number; in the states `ACCEPTED`, the number may end.
        end, self.progress = advance(text, position, self.progress)
        self.incomplete += text[position:end]
        if is_too_long(self.incomplete):
            self.document.exceed_digits(self.incomplete, self.number_at)
            return self.stop_reading()
        if end < len(text) and self.progress in ACCEPTED:
            return self.end_number(end, out)
        self.document.show_number(self.incomplete)
        return end if end == len(text) else self.refuse(end, "a digit")

    def end_number(self, end: int, out: JSONEvents) -> int:
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
    def begin_literal(self, text: str, position: int, out: JSONEvents) -> int:
        """Read as much of true, false or null as has arrived; return the position after that."""
        word, value, _ = literal = _LITERALS[text[position]]
        start = self.base + position
        if text.startswith(word, position):
            self.add_whole("literal", value, start, start + len(word), out)
            return position + len(word)
        # The piece ends within the word, or another word begins with this letter: read it letter by letter.
        self.document.begin_atom("literal", start, out)
        self.literal = literal
        self.state = ScalarReader.continue_literal
        self.progress = 0
        return self.continue_literal(text, position, out)

    def continue_literal(self, text: str, position: int, out: JSONEvents) -> int:
        """Continue true, false or null, split between pieces; return the position after its letters."""
        word, value, allow_bit = self.literal
        letters_before = self.progress
        piece = text[position : position + len(word) - letters_before]
        # Shorten the piece to the letters that continue the word; "" always does.
        while not word.startswith(piece, letters_before):
            piece = piece[:-1]
        position += len(piece)
        self.progress = letters_before + len(piece)
        if self.progress == len(word):
            self.document.end_atom(value, self.base + position, out)
            self.end_value()
            return position
        if self.document.allow & allow_bit:
            # The first letter determines the value, which may be visible before the word is complete.
            self.document.show_atom(value)
        return position if position == len(text) else self.refuse(position, f"the rest of {word}")

    # -- keys and strings ---------------------------------------------------------

    # Keys and strings are first read as in the most common case: printable text without escapes (and
    # so without control characters), up to the closing quote or the end of the text.

    @under('"', KEY, FIRST_KEY)
    def _begin_key(self, text: str, position: int, out: JSONEvents) -> int:
        self.state = IN_KEY
        return self.continue_key(text, position + 1)

    def continue_key(self, text: str, position: int) -> int:
        """Continue a key; return the position after it, or after the text."""
        end = text.find('"', position)
        piece = text[position:] if end < 0 else text[position:end]
        if self.incomplete or "\\" in piece or not piece.isprintable():
            # C cannot read text that is not JSON: then `_read_characters` finds the error.
            end, piece = self._read_in_c(text, position) or self._read_characters(text, position)
        elif end < 0:
            end = len(text)
        # Not `self.cut_key += piece`, which would copy a long key for each piece.
        key, self.cut_key = self.cut_key, ""
        key += piece
        if end < len(text):
            self.document.key = key
            self.state = COLON
        else:
            self.cut_key = key
        return end + 1

    @under('"', VALUE, FIRST_ELEMENT)
    def _begin_string_value(self, text: str, position: int, out: JSONEvents) -> int:
        """Begin a string that is a value, and read what has arrived of it; return the position after that."""
        start = position + 1
        offset = self.base + position
        end = text.find('"', start)
        if end < 0:
            end = len(text)
        piece = text[start:end]
        is_plain = "\\" not in piece and piece.isprintable()
        if not is_plain:
            read = self._read_in_c(text, start)
            if read is None:
                # The text is not JSON: `continue_string` finds the error.
                self.state = IN_STRING
                self.document.begin_string(offset, out)
                return self.continue_string(text, start, out)
            end, piece = read
        if end < len(text):
            self.add_whole("string", piece, offset, self.base + end + 1, out)
            return end + 1
        # The closing quote has not arrived.
        self.state = IN_STRING
        self.document.begin_string(offset, out, piece)
        return end

    def continue_string(self, text: str, position: int, out: JSONEvents) -> int:
        """Continue a string that is a value; return the position after its closing quote.

        The position is beyond the text, where there is nothing to read, if the text ends before or has an
        error.
        """
        end = text.find('"', position)
        piece = "" if end < 0 else text[position:end]
        if end < 0 or self.incomplete or "\\" in piece or not piece.isprintable():
            # C cannot read text that is not JSON: then `_read_characters` finds the error.
            end, piece = self._read_in_c(text, position) or self._read_characters(text, position)
        if end < len(text):
            self._end_string(piece, end + 1, out)
        elif piece:
            self.document.grow_string(piece, out)
        # Without a closing quote, `end` is already the end of the text or beyond it; one more does no harm.
        return end + 1

    def _end_string(self, piece: str, end: int, out: JSONEvents) -> None:
        """End a string with its last piece; `end` is the position after its closing quote."""
        if piece:
            self.document.grow_string(piece, out)
        self.document.end_string(self.base + end, out)
        self.end_value()

    # All escapes of a piece are read at once in C; if there is an error, character by character.
    # Reading in C looks at the whole rest of a piece, so it is tried only once for each piece.

    def _read_in_c(self, text: str, position: int) -> tuple[int, str] | None:
        """Read an open string with the C code of `json`; return None if the text is not JSON.

        The result is the position of the closing quote, or of the end of the text, and the decoded string
        before it. An escape that the end of the piece before has cut is part of that string.
        """
        if position and len(text) - position > FAR:
            # Read in place, from the opening quote: the code below would copy all the text after the string.
            whole = read_string(text, position - 1)
            if whole is not None:
                # `end` is the position after the closing quote.
                string, end = whole
                return end - 1, string
        # The incomplete escape of the piece before is read again.
        start = position - len(self.incomplete)
        unread = self.incomplete + text[position:]
        read = decode_open_string(unread)
        if read is None:
            return None
        string, end, is_closed = read
        self.incomplete = "" if is_closed else unread[end:]
        return start + end if is_closed else len(text), string

    def _read_characters(self, text: str, position: int) -> tuple[int, str]:
        """Read an open string character by character; set the document's error if the text is not JSON.

        The result is the position of the closing quote, or of the end of the text, and the decoded string
        before it. An escape that the end of the piece before has cut is part of that string.
        """
        pieces: list[str] = []
        size = len(text)
        if self.incomplete:
            position = self._read_escape(text, position, pieces)
        while position < size:
            run: Any = RUN(text, position)
            end: int = run.end()
            pieces.append(text[position:end])
            following = text[end : end + 1]
            if following != "\\":
                if following not in _QUOTE_OR_END:
                    end = self.refuse(end, "an escape in place of a control character")
                return end, "".join(pieces)
            # Most escapes have two characters; `_read_escape` reads codes, and what is cut or invalid.
            simple = SIMPLE.get(text[end + 1 : end + 2])
            if simple is None:
                position = self._read_escape(text, end, pieces)
            else:
                pieces.append(simple)
                position = end + 2
        return position, "".join(pieces)

    def _read_escape(self, text: str, position: int, pieces: list[str]) -> int:
        """Read an escape, or the rest of one that was cut, and return the position after it."""
        cut_length = len(self.incomplete)
        escape = self.incomplete + text[position : position + LONGEST_ESCAPE - cut_length]
        if is_undecided(escape):
            self.incomplete = escape
            return len(text)
        string, length = unescape(escape)
        if not length:
            valid_part: Any = CUT_ESCAPE(escape)
            return self.refuse(position + valid_part.end() - cut_length, "the rest of an escape")
        pieces.append(string)
        # Half a surrogate pair may have waited together with text that is not its other half: read that text.
        self.incomplete = self.incomplete[length:]
        if self.incomplete:
            return self._read_escape(text, position, pieces)
        return position + length - cut_length

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

    def add_whole(self, kind: JSONKind, value: Json, start: int, end: int, out: JSONEvents) -> None:
        """Add a string, number or literal that has arrived whole."""
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
        return _BEYOND
