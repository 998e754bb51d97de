"""The automaton of lenient reading: the places in its grammar, with a table of steps for each, and its stack.

There is one table for each *place*, such as after a key.

| key | entry |
|---|---|
| a character | the step that reads from that character on |
| "" | the step at the end of the text |
| OTHER | the step for any other character |
| NAME | what is expected at the place, for error messages |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.partial_json._lenient.strings import QuotedString
from tokenstream.partial_json._repairs import RepairLog
from tokenstream.partial_json._strict.grammar import StepT, under
from tokenstream.partial_json._strict.numbers import parse_number

if TYPE_CHECKING:
    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._events import JSONEvents
    from tokenstream.partial_json._lenient.peek import Atom, QuoteKind
    from tokenstream.partial_json._strict.grammar import ReadStep, Table


NAME, OTHER = "name", "other"
WHITE = " \t\n\r"

VALUE: Table = {NAME: "a value"}
FIRST_ELEMENT: Table = {NAME: 'a first element or "]"'}
ELEMENT: Table = {NAME: 'an element or "]"'}
AFTER_ELEMENT: Table = {NAME: '"," or "]"'}
FIRST_KEY: Table = {NAME: 'a first key or "}"'}
KEY: Table = {NAME: 'a key or "}"'}
COLON: Table = {NAME: '":"'}
AFTER_FIELD: Table = {NAME: '"," or "}"'}
START: Table = {NAME: "a document"}
AFTER_DOCUMENT: Table = {NAME: "nothing more"}

VALUES = (VALUE, FIRST_ELEMENT, ELEMENT)
KEYS = (FIRST_KEY, KEY)
AFTER = (AFTER_FIELD, AFTER_ELEMENT)
PLACES = (*VALUES, *KEYS, COLON, *AFTER)
"""The tables of all places inside a document; before and after it are `START` and `AFTER_DOCUMENT`."""

STEPS: dict[str, ReadStep] = {}
"""Maps names to steps, the functions with which a reader may continue at its next piece of text."""

AFTER_MISMATCH: set[ReadStep] = set()
"""The steps (functions) that may run after a closing bracket of the wrong kind."""

NO_GAP, SPACE_GAP, LINE_GAP, FENCE_GAP = range(4)
"""The kinds of gap after a value: none, white space, the end of a line, the end of a code fence."""


def register_step(step: StepT) -> StepT:
    """Register a step, a function that reads on in the text, in `STEPS` by its name; return the function."""
    STEPS[step.__name__] = step
    return step


def register_after_mismatch(step: StepT) -> StepT:
    """Add a step (function) to those that may follow a closing bracket of the wrong kind; return it."""
    AFTER_MISMATCH.add(step)
    return step


class PushdownAutomaton:
    """The automaton that reads a lenient document: a place in the grammar, and a stack of open brackets.

    Its methods are the transitions between places. `LenientReader` adds the loop over the text, and
    the text around the document.

    Args:
        document: Receives the values.
        is_second: True for a reader that stops at the end of its document.
    """

    __slots__ = (
        "atom_begun",
        "base",
        "closer_counts",
        "closers",
        "comma_at",
        "document",
        "empty_end",
        "expects",
        "gap",
        "inside_step",
        "is_second",
        "key_at",
        "key_pieces",
        "may_skip_brace",
        "needs_more",
        "owed_closers",
        "quoted",
        "repair_log",
        "scanned_length",
        "step_after_comment",
        "text_ended",
        "token_at",
    )

    quoted: QuotedString
    """The key or string in quotes that was begun last."""

    def __init__(self, document: Document, *, is_second: bool) -> None:
        self.document: Document = document
        self.is_second = is_second
        """True if another reader made this one for a second document, at whose end this reader stops."""
        self.repair_log = RepairLog()

        # The text.
        self.base: int = 0
        """Number of characters before the text that is being read."""
        self.needs_more: bool = False
        """True if reading stopped because later text decides how to go on."""
        self.text_ended: bool = False

        # The next steps, and the open brackets.
        self.inside_step: ReadStep | None = None
        """The step (function) that reads on inside the document; None outside of it."""
        self.step_after_comment: ReadStep | None = None
        """The `inside_step` to restore after a comment; None for a comment outside of the document."""
        self.expects: Table = VALUE
        """The place: the table that maps each character which may come next to the step that reads it."""
        self.closers: list[str] = []
        """The stack: the closing brackets of the open containers, from the outermost to the innermost."""
        self.closer_counts = {"}": 0, "]": 0, ")": 0}
        """Number of open containers by closing bracket."""
        self.may_skip_brace: bool = False
        """True if the second of two closing braces may follow, as in `}}`."""
        self.owed_closers: int | None = None
        """Number of closing brackets that may still follow after a mismatched one; None without a mismatch.

        After a mismatch, even if the number is 0, no further key or value may follow: it might belong
        to either of two containers.
        """
        self.comma_at: int = -1
        """Offset of the last comma if nothing has followed it; otherwise -1."""
        self.gap: int = NO_GAP
        """The kind of gap after the last value: `NO_GAP`, `SPACE_GAP`, `LINE_GAP` or `FENCE_GAP`."""

        # The key, string, number or comment that is being read.
        self.key_pieces: list[str] = []
        self.key_at = 0
        self.token_at = 0
        """Offset of the string, key or comment that is being read."""
        self.scanned_length = 0
        """Number of characters of an unfinished token that have already been searched for its end."""
        self.atom_begun = False
        """True once the event that begins a number or literal has been returned."""
        self.empty_end: int = -1
        """End of a document `{}`, as long as it may be a placeholder for the next object; otherwise -1."""

    # -- brackets ----------------------------------------------------------------

    @register_step
    def read_between(self, text: str, position: int, out: JSONEvents) -> int:
        """Take the step, a function, that the table `expects` has for the next character.

        The result is the position after what the step has read, as for every step. After a closing bracket of
        the wrong kind, only the steps in `AFTER_MISMATCH` are allowed; for any other, the text is refused.
        """
        char = text[position : position + 1]
        table = self.expects
        step = table.get(char)
        if step is None:
            step = table[OTHER]
        # Only white space may be between the two closing braces of `}}`.
        if self.may_skip_brace and char not in " \t\r\n}":
            self.may_skip_brace = False
        if self.owed_closers is not None and step not in AFTER_MISMATCH:
            # A bracket was mismatched (else `owed_closers` is None): a key or a value after that bracket may
            # belong to either of two containers.
            return self.refuse_two_readings(position)
        following: int = step(self, text, position, out)
        return following

    def push_bracket(self, closer: str) -> None:
        self.closers.append(closer)
        self.closer_counts[closer] += 1
        # Nothing has followed the opening bracket yet.
        self.comma_at = -1
        self.gap = NO_GAP
        self.expects = FIRST_KEY if closer == "}" else FIRST_ELEMENT
        self.inside_step = STEPS["read_between"]

    def close_fitting_container(self, closer: str, position: int, out: JSONEvents) -> None:
        """Close the containers in the one that a mismatched bracket fits; their brackets may still follow."""
        owed_closers = self.owed_closers or 0
        while self.closer_counts[closer] and self.closers[-1][0] != closer:
            self.close_container(self.base + position, out)
            owed_closers += 1
        self.owed_closers = owed_closers

    def close_container(self, offset: int, out: JSONEvents) -> None:
        """Close the innermost container, but not the document `{}`, which another object may replace."""
        closer = self.closers.pop()
        self.closer_counts[closer[0]] -= 1
        is_empty_document = closer[0] == "}" and not (self.closers or self.document.container)
        if is_empty_document and not (self.text_ended or self.is_second):
            # `{}` stays open: the object that replaces it may follow. (Not for the reader of a second
            # document, which ends with that document.)
            self.empty_end = offset
            self.inside_step = None
        else:
            self.document.close(offset, out)
            self.end_value()
        # A doubled opening brace is closed by two: the second one belongs to no container.
        self.may_skip_brace = closer == "}}"

    def skip_second_brace(self, position: int) -> int:
        """Skip the second of two closing braces, as in `}}`; return the position after it."""
        self.may_skip_brace = False
        return position + 1

    def skip_extra_closer(self, position: int) -> int:
        if self.owed_closers is not None:
            # A bracket was mismatched; one fewer may follow now.
            self.owed_closers -= 1
        self.repair_log.note("extra_closer", self.base + position)
        return position + 1

    def finish_empty_object(self, out: JSONEvents) -> None:
        """End the document `{}`, which was not a placeholder."""
        self.document.close(self.empty_end, out)
        self.empty_end = -1
        self.end_value()

    # -- keys, commas and colons ---------------------------------------------------

    def use_key(self, key: str, offset: int) -> None:
        """Make a finished key the key of the next value, and expect a colon; `offset` is the key's start."""
        self.document.key = key
        self.key_at = offset
        # A comma before the key is not a trailing comma.
        self.comma_at = -1
        self.gap = NO_GAP
        self.expects = COLON
        self.inside_step = STEPS["read_between"]

    def drop_cut_key(self, offset: int) -> None:
        """Drop a key that the end of the text cut, and record that as a repair."""
        self.repair_log.note("unfinished_value", offset)
        # As if there had been no key: the object now only has to be closed.
        self.expects = AFTER_FIELD
        self.inside_step = STEPS["read_between"]

    @register_after_mismatch
    @under(",", *AFTER)
    @under(";", AFTER_FIELD)
    def read_comma(self, text: str, position: int, out: JSONEvents) -> int:
        if text[position] == ";":
            self.repair_log.note("semicolon", self.base + position)
        self.comma_at = self.base + position
        self.gap = NO_GAP
        self.expects = KEY if self.document.container.__class__ is dict else ELEMENT
        return position + 1

    def supply_comma(self, position: int) -> int:
        """Supply a missing comma before a position, as a repair; return the position: nothing is read."""
        self.repair_log.note("missing_comma", self.base + position)
        self.expects = KEY if self.document.container.__class__ is dict else ELEMENT
        return position

    @under(":", COLON)
    def read_colon(self, text: str, position: int, out: JSONEvents) -> int:
        self.expects = VALUE
        return position + 1

    # -- comments and dots -----------------------------------------------------------

    def begin_comment(self, offset: int) -> None:
        self.token_at = offset
        self.repair_log.note("comment", offset)
        self.step_after_comment = self.inside_step
        self.inside_step = STEPS["skip_comment"]

    def end_comment(self) -> None:
        self.inside_step = self.step_after_comment

    def skip_dots(self, offset: int) -> None:
        """Skip dots that stand for omitted values, as a repair."""
        self.repair_log.note("ellipsis", offset)
        # A comma before the dots is not a trailing comma.
        self.comma_at = -1
        self.expects = self.place_after_value()

    # -- values ----------------------------------------------------------------------

    def begin_number(self, position: int, out: JSONEvents) -> None:
        """Add the event that begins an unfinished or too long number, unless it has been added."""
        if not self.atom_begun:
            self.atom_begun = True
            self.document.begin_atom("number", self.base + position, out)

    def add_atom(self, atom: Atom, position: int, end: int, out: JSONEvents) -> int:
        """Add a whole number or literal; return `end` or, with an error for its exponent, `position`."""
        offset = self.base + position
        document = self.document
        # With `in_json`, the atom's value is still the text of a number.
        value = parse_number(atom.value, decimals=document.decimals) if atom.in_json else atom.value
        if value is None and atom.in_json:
            # The exponent is too large for a Decimal: this sets the document's error.
            self.begin_number(position, out)
            document.exceed_exponent(atom.value, offset)
            return position
        if atom.repair is not None:
            self.repair_log.note(atom.repair, offset)
        if self.atom_begun:
            # Its event was returned when the beginning of the number became visible.
            self.atom_begun = False
        else:
            document.begin_atom(atom.kind, offset, out)
        document.end_atom(value, self.base + end, out)
        self.end_value()
        return end

    def drop_rest(self, position: int) -> None:
        """Drop a number or word that the end of the text cut at a position, and record that as a repair."""
        self.repair_log.note("unfinished_value", self.base + position)
        self.expects = self.place_after_value()

    def open_quoted(self, kind: QuoteKind, position: int, out: JSONEvents, *, is_key: bool) -> int:
        self.quoted = QuotedString(kind, self.repair_log)
        self.token_at = self.base + position
        if kind.repair is not None:
            self.repair_log.note(kind.repair, self.token_at)
        if is_key:
            self.inside_step = STEPS["read_quoted_key"]
        else:
            self.document.begin_string(self.token_at, out)
            self.inside_step = STEPS["read_string"]
        return position + 1

    def end_string(self, position: int, out: JSONEvents) -> int:
        """End the string that is being read; return `position`, which is the position after the string."""
        self.document.end_string(self.base + position, out)
        self.inside_step = STEPS["read_between"]
        self.end_value()
        return position

    # -- verdicts ----------------------------------------------------------------

    def hold_back(self, position: int) -> int:
        """Hold the text back from a position on, until later text decides; return the position."""
        self.needs_more = True
        return position

    def refuse_two_readings(self, position: int) -> int:
        offset = self.base + position
        self.document.fail(
            offset, f"the text can be read in two ways at character {offset:,}, and neither is taken"
        )
        return position

    def forget_unfinished_values(self) -> None:
        """Remove each repair "unfinished_value" from the end of the list; the values stay dropped.

        Such a repair drops a value that the end of the text has cut. A document that is refused because its
        end is missing must not report that its end was repaired.
        """
        repairs = self.repair_log.made
        while repairs and repairs[-1].name == "unfinished_value":
            repairs.pop()

    def refuse_here(self, position: int) -> int:
        # Each table (`expects`) has an entry for error messages: the name of what is expected there.
        self.document.refuse(self.base + position, self.expects[NAME])
        return position

    def end_value(self) -> None:
        """Expect what may follow a finished value: the end of the document, or a comma or closing bracket."""
        # Nothing has followed the value yet.
        self.comma_at = -1
        self.gap = NO_GAP
        document = self.document
        container = document.container
        if container is None:
            document.complete = True
            self.inside_step = None
            return
        if container.__class__ is not dict:
            # The index of the next element.
            document.key = len(container)
        self.expects = self.place_after_value()

    def is_at(self, *places: Table) -> bool:
        expects = self.expects
        # Not `any`, which takes twice as long; this runs for most strings and keys.
        for place in places:  # noqa: SIM110
            if place is expects:
                return True
        return False

    def place_after_value(self) -> Table:
        return AFTER_FIELD if self.document.container.__class__ is dict else AFTER_ELEMENT
