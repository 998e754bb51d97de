"""Fast reading of strict JSON: a piece without escapes is split at its quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import new_event
from tokenstream.partial_json._events import StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict.grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    COLON,
    FIRST_ELEMENT,
    FIRST_KEY,
    IN_KEY,
    IN_STRING,
    KEY,
    VALUE,
)

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._strict.reader import StrictReader


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
