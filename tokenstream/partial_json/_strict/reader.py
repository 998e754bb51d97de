"""The reader of strict JSON, which looks at each character once, however the text is cut."""

from __future__ import annotations

import re
from typing import Any

from tokenstream.errors import MisuseError
from tokenstream.partial_json._document import new_event
from tokenstream.partial_json._events import JSONEvents, StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict.grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    BETWEEN,
    COLON,
    ENDED,
    FAILED,
    FIRST_ELEMENT,
    FIRST_KEY,
    IN_KEY,
    IN_STRING,
    KEY,
    VALUE,
    under,
)
from tokenstream.partial_json._strict.numbers import ACCEPTED
from tokenstream.partial_json._strict.scalars import ScalarReader

_SPACE = re.compile(r"[ \t\n\r]*").match


def check_text(text: object) -> str:
    if not isinstance(text, str):
        raise MisuseError(
            f"PartialJSONParser.feed takes str, not {type(text).__name__}; decode bytes first, with an "
            "incremental decoder"
        )
    # A plain copy, if the text is an instance of a subclass.
    return str.__str__(text)


def make_fed_after_end_error() -> MisuseError:
    return MisuseError("PartialJSONParser.feed came after end(); a new document needs a new parser")


class StrictReader(ScalarReader):
    """Read strict JSON into a document.

    Args:
        document: Receives the values.
    """

    repairs = ()
    """Always empty: strict reading makes no repairs."""
    repair_count = 0
    start = 0
    """Offset of the chosen document in a `ChoosingReader`; always 0 here, where the text is the document."""
    has_begun = False
    """True if a document has begun that the value does not show yet; never here."""

    def feed(self, text: str) -> JSONEvents:
        """Return the events of a piece of the document; pieces may be cut anywhere."""
        out: JSONEvents = []
        size = len(text)
        position = 0
        if self.state is IN_STRING and (self.incomplete or "\\" in text):
            # If C cannot read the string, the piece is read below like any other.
            read = self._read_in_c(text, 0)
            if read is not None:
                end, string = read
                if end < size:
                    return self.feed_string_end(text, string, end + 1)
                if string:
                    self.document.grow_string(string, out)
                self.base += size
                return out
        if '"' in text:
            position = self._read_parts(text, out)
        if position < size:
            self.read_tokens(text, position, size, out)
        self.base += size
        return out

    def feed_string_end(self, text: str, string: str, end: int) -> JSONEvents:
        """Return the events of a piece in which the open string ends; the caller has decoded the string."""
        out: JSONEvents = []
        size = len(text)
        self.incomplete = ""
        self._end_string(string, end, out)
        if end < size:
            self.read_tokens(text, end, size, out)
        self.base += size
        return out

    def _read_parts(self, text: str, out: JSONEvents) -> int:  # noqa: C901 - as for `PartialJSONParser.feed`
        """Read a piece by splitting it at its quotes; return the position up to which it was read.

        This is the fast way for usual text. The caller reads the rest token by token: it begins with an
        escape, a control character, or something else that is unusual.
        """
        state: Any = self.state
        document = self.document
        # Strings that stay hidden while they grow, and incomplete escapes, are read token by token.
        if not document.shows_strings or (self.incomplete and state.__class__ is not dict):
            return 0
        parts = text.split('"')
        last_part = parts.pop()
        position = 0
        # True from the opening quote of a string until its first part is in the container.
        is_unstored = False
        event: Any
        for part in parts:
            if state is IN_STRING:
                # The part is a string that is a value, or its end; the quote after it closes the string.
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
                event.offset = self.base + position
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
                document.key = self.cut_key + part
                self.cut_key = ""
                state = COLON
                position += len(part) + 1
            else:
                # The part is between strings: often a single colon or comma, which leads to another table.
                if part:
                    step = state.get(part) if state.__class__ is dict else state
                    if step.__class__ is dict:
                        state = step
                    else:
                        self.state = state
                        self.read_tokens(text, position, position + len(part), out)
                        state = self.state
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
                    event.offset = self.base + position
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
                    self.cut_key = last_part
                    position = len(text)
                elif state is IN_STRING:
                    out.append(StringDelta(document.frame, last_part, document.key))
                    document.show(last_part)
                    is_unstored = False
                    position = len(text)
        if is_unstored:
            # The string has begun, but its first characters are read later.
            document.show("")
        self.state = state
        return position

    def read_tokens(self, text: str, position: int, stop: int, out: JSONEvents) -> None:
        """Read from `position` up to `stop`, token by token."""
        state = self.state
        while position < stop:
            if state.__class__ is dict:
                # Between values: the table maps the next character to a step, or to the next table.
                step = state.get(text[position])
                if step.__class__ is dict:
                    state = step
                    position += 1
                    continue
                self.state = state
                position = (
                    self._refuse_unexpected(position) if step is None else step(self, text, position, out)
                )
            else:
                # Inside a value: the state is the step that continues it.
                position = state(self, text, position, out)
            state = self.state
        self.state = state

    def end(self) -> JSONEvents:
        """End the text, which also ends a number that is the whole document; return the events of that."""
        out: JSONEvents = []
        document = self.document
        is_whole_number = self.state is ScalarReader.continue_number and self.progress in ACCEPTED
        if is_whole_number and document.container is None:
            # The number ended together with the last piece: 0 characters after `base`, the end of the text.
            self.end_number(0, out)
        if not document.complete:
            document.end(self.base)
        self.state = ENDED if document.error is None else FAILED
        return out

    # -- faults -----------------------------------------------------------------

    def _refuse_unexpected(self, position: int) -> int:
        """Set the error for an unexpected character; return a position beyond any text, to end reading."""
        # The states ENDED and FAILED are empty tables, in which every character is unexpected. Under "",
        # any other table has the name of what is expected.
        state = self.state
        if state is ENDED:
            raise make_fed_after_end_error()
        return self.stop_reading() if state is FAILED else self.refuse(position, state[""])

    # -- between values ---------------------------------------------------------

    @under("\t\n\r", *BETWEEN)
    def _skip_space(self, text: str, position: int, out: JSONEvents) -> int:
        space: Any = _SPACE(text, position)
        end: int = space.end()
        return end

    @under("{", VALUE, FIRST_ELEMENT)
    def _begin_object(self, text: str, position: int, out: JSONEvents) -> int:
        if not self.document.open({}, self.base + position, out):
            return self.stop_reading()
        self.state = FIRST_KEY
        return position + 1

    @under("[", VALUE, FIRST_ELEMENT)
    def _begin_array(self, text: str, position: int, out: JSONEvents) -> int:
        if not self.document.open([], self.base + position, out):
            return self.stop_reading()
        self.state = FIRST_ELEMENT
        return position + 1

    @under("}", FIRST_KEY, AFTER_FIELD)
    @under("]", FIRST_ELEMENT, AFTER_ELEMENT)
    def _end_container(self, text: str, position: int, out: JSONEvents) -> int:
        document = self.document
        document.close(self.base + position + 1, out)
        if document.container.__class__ is dict:
            self.state = AFTER_FIELD
        else:
            self.end_value()
        return position + 1
