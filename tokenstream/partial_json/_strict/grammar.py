"""The grammar of strict JSON (RFC 8259) as tables: one for each state, keyed by the next character.

The entry for a character is a step, which is a function that reads the token beginning
there, or the table of the next state. The entry "" says what is expected, for error messages.
The steps here read pieces that need no look at escapes: strings without any, numbers and literals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream.partial_json._document import BOOL, NULL, new_event
from tokenstream.partial_json._events import StringDelta, ValueDone, ValueStart
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
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._strict.reader import StrictReader

    # Reads on from a position in a text; returns the position where it stops.
    Step: TypeAlias = Callable[[Any, str, int, list[Any]], int]
    Table: TypeAlias = dict[str, Any]

StepT = TypeVar("StepT", bound="Callable[..., Any]")

VALUE: Table = {"": "a value"}
FIRST_ELEMENT: Table = {"": 'a value or "]"'}
AFTER_ELEMENT: Table = {"": '"," or "]"', ",": VALUE}
KEY: Table = {"": "a key"}
FIRST_KEY: Table = {"": 'a key or "}"'}
COLON: Table = {"": '":"', ":": VALUE}
AFTER_FIELD: Table = {"": '"," or "}"', ",": KEY}
END: Table = {"": "nothing but white space"}
BETWEEN = (VALUE, FIRST_ELEMENT, AFTER_ELEMENT, KEY, FIRST_KEY, COLON, AFTER_FIELD, END)
"""The tables of the states in which white space is allowed."""
for _table in BETWEEN:
    # A single space is the most common white space; line breaks, usually with an indentation, have a step.
    _table[" "] = _table
# The usual text between two strings, read at once.
AFTER_ELEMENT[", "] = VALUE
AFTER_FIELD[", "] = KEY
COLON[": "] = VALUE
FAILED: Table = {}
"""The state after an error: nothing is read."""
ENDED: Table = {}
"""The state after `end()`: nothing may follow."""

_LITERALS = {"t": ("true", True, BOOL), "f": ("false", False, BOOL), "n": ("null", None, NULL)}
_SHORT = 20
"""Number of characters in which to look for the comma after a number; most numbers are shorter."""


def _continue_key(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401, ARG001 - a step
    """Continue a key that is split between pieces; return the position after what was read of it."""
    end: int = reader.continue_key(text, position)
    return end


def _continue_string(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401 - a step
    """Continue a string that is split between pieces; return the position after what was read of it."""
    end: int = reader.continue_string(text, position, out)
    return end


IN_KEY, IN_STRING = _continue_key, _continue_string
"""The steps that continue a key or a string that is split between pieces."""


def under(characters: Iterable[str], *tables: Table) -> Callable[[StepT], StepT]:
    """Return a decorator for a step, a function that reads on where one of these characters is next.

    It enters the step in the tables, under each of the characters.
    """

    def enter(step: StepT) -> StepT:
        """Add a step to the tables, and return it unchanged."""
        for table in tables:
            table.update(dict.fromkeys(characters, step))
        return step

    return enter


@under("-0123456789", VALUE, FIRST_ELEMENT)
def begin_number(reader: StrictReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read a number from its first character; return the position after the part that has arrived."""
    start = reader.base + position
    # Most numbers are a few digits before a comma; a leading zero is not JSON.
    digits, comma, _ = text[position : position + _SHORT].partition(",")
    if comma and digits.isdecimal() and digits.isascii() and (digits[0] != "0" or digits == "0"):
        end = position + len(digits)
        reader.add_whole("number", int(digits), start, reader.base + end, out)
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
                else parse_number(number, decimals=reader.document.decimals)
            )
            if value is not None:
                reader.add_whole("number", value, start, reader.base + end, out)
                return end
    reader.number_at = start
    reader.document.begin_atom("number", start, out)
    reader.state = continue_number
    reader.atom_progress = START
    return continue_number(reader, text, position, out)


def continue_number(reader: StrictReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Continue a number that is split between pieces; return the position up to which the piece was read."""
    # `atom_progress` is the state of the number; in the states `ACCEPTED`, the number may end.
    end, reader.atom_progress = advance(text, position, reader.atom_progress)
    reader.incomplete += text[position:end]
    if is_too_long(reader.incomplete):
        reader.document.exceed_digits(reader.incomplete, reader.number_at)
        return reader.stop_reading()
    if end < len(text) and reader.atom_progress in ACCEPTED:
        return end_number(reader, end, out)
    reader.document.show_number(reader.incomplete)
    return end if end == len(text) else reader.refuse(end, "a digit")


def end_number(reader: StrictReader, end: int, out: list[JSONEvent]) -> int:
    """End a number before the position `end`; return the position at which to read on."""
    value = parse_number(reader.incomplete, decimals=reader.document.decimals)
    if value is None:
        # The exponent is too large: this sets the document's error.
        reader.document.exceed_exponent(reader.incomplete, reader.number_at)
        return reader.stop_reading()
    reader.incomplete = ""
    reader.document.end_atom(value, reader.base + end, out)
    reader.end_value()
    return end


@under("tfn", VALUE, FIRST_ELEMENT)
def begin_literal(reader: StrictReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read as much of true, false or null as has arrived; return the position after that."""
    word, value, _ = literal = _LITERALS[text[position]]
    start = reader.base + position
    if text.startswith(word, position):
        reader.add_whole("literal", value, start, start + len(word), out)
        return position + len(word)
    # The piece ends within the word, or another word begins with this letter: read it letter by letter.
    reader.document.begin_atom("literal", start, out)
    reader.literal = literal
    reader.state = continue_literal
    reader.atom_progress = 0
    return continue_literal(reader, text, position, out)


def continue_literal(reader: StrictReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Continue true, false or null that is split between pieces; return the position after its letters."""
    word, value, allow_bit = reader.literal
    letters_before = reader.atom_progress
    piece = text[position : position + len(word) - letters_before]
    # Shorten the piece to the letters that continue the word; "" always does.
    while not word.startswith(piece, letters_before):
        piece = piece[:-1]
    position += len(piece)
    reader.atom_progress = letters_before + len(piece)
    if reader.atom_progress == len(word):
        reader.document.end_atom(value, reader.base + position, out)
        reader.end_value()
        return position
    if reader.document.allow & allow_bit:
        # The first letter determines the value, which may be visible before the word is complete.
        reader.document.show_atom(value)
    return position if position == len(text) else reader.refuse(position, f"the rest of {word}")


def read_parts(reader: StrictReader, text: str, out: list[JSONEvent]) -> int:  # noqa: C901 - as for the reader's `feed`
    """Read a piece by splitting it at its quotes; return the position up to which it was read.

    This is the fast way for usual text. The caller reads the rest token by token: it begins with an escape,
    a control character, or something else that is unusual.

    Args:
        reader: The reader, which has the state, and reads the text between keys and strings.
        text: The piece.
        out: Receives the events.
    """
    state: Any = reader.state
    document = reader.document
    # Strings that stay hidden while they grow, and incomplete escapes, are read token by token.
    if not document.shows_strings or (reader.incomplete and state.__class__ is not dict):
        return 0
    parts = text.split('"')
    last_part = parts.pop()
    position = 0
    # True from the opening quote of a string until its first part is in the container.
    is_unstored = False
    event: Any
    for part in parts:
        if state is IN_STRING:
            # The part is a string that is a value, or the end of one; the quote after it closes the string.
            container, key = document.container, document.key
            if container is None or "\\" in part or not part.isprintable():
                break
            string = part
            if part:
                event = new_event(StringDelta)
                event.place = document.frame
                event.member = key
                event.text = part
                out.append(event)
            if is_unstored:
                is_unstored = False
                if container.__class__ is dict:
                    container[key] = part
                else:
                    container.append(part)
            else:
                # The string began in an earlier piece, so its container already has the beginning.
                if document.pending:
                    document.write_pieces()
                string = container[key]
                if part:
                    container[key] = string = string + part
            position += len(part) + 1
            event = new_event(ValueDone)
            event.place = document.frame
            event.member = key
            event.value = string
            event.offset = reader.base + position
            out.append(event)
            if container.__class__ is dict:
                state = AFTER_FIELD
            else:
                document.key = len(container)
                state = AFTER_ELEMENT
        elif state is IN_KEY:
            # The part is a key, or the end of one.
            if "\\" in part or not part.isprintable():
                break
            document.key = reader.cut_key + part
            reader.cut_key = ""
            state = COLON
            position += len(part) + 1
        else:
            # The part is between strings: often a single colon or comma, which leads to another table.
            if part:
                step = state.get(part) if state.__class__ is dict else state
                if step.__class__ is dict:
                    state = step
                else:
                    reader.state = state
                    reader.read_tokens(text, position, position + len(part), out)
                    state = reader.state
                position += len(part)
            # The quote after the part opens a key or a string; elsewhere, it is left to the caller.
            if state is KEY or state is FIRST_KEY:
                state = IN_KEY
            elif (state is VALUE or state is FIRST_ELEMENT) and document.container is not None:
                state = IN_STRING
                is_unstored = True
                event = new_event(ValueStart)
                event.place = document.frame
                event.member = document.key
                event.kind = "string"
                event.offset = reader.base + position
                out.append(event)
            else:
                break
            position += 1
    else:
        # All quotes have been read, so the last part does not end with one.
        if state.__class__ is dict:
            step = state.get(last_part) if last_part else None
            if step.__class__ is dict:
                state = step
                position = len(text)
        elif last_part and "\\" not in last_part and last_part.isprintable():
            if state is IN_KEY:
                reader.cut_key = last_part
                position = len(text)
            elif state is IN_STRING:
                out.append(StringDelta(document.frame, last_part, document.key))
                document.show(last_part)
                is_unstored = False
                position = len(text)
    if is_unstored:
        # The string has begun, but its first characters are read later.
        document.show("")
    reader.state = state
    return position
