"""The reader of lenient JSON: its state, and the loop that runs the steps, which tables map to characters.

There is one table for each *place* in a document, such as after a key.

| key | entry |
|---|---|
| a character | the step that reads from that character on |
| "" | the step at the end of the text |
| OTHER | the step for any other character |
| NAME | what is expected at the place, for error messages |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream.partial_json._events import StringDelta
from tokenstream.partial_json._lenient.peek import PLAIN
from tokenstream.partial_json._lenient.prose import Prose
from tokenstream.partial_json._lenient.strings import QuotedString
from tokenstream.partial_json._repairs import MOST_REPAIRS, Repair, RepairLog
from tokenstream.partial_json._strict.reader import make_fed_after_end_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._events import JSONEvent
    from tokenstream.partial_json._lenient.peek import Atom
    from tokenstream.partial_json._strict.grammar import Step, Table

StepT = TypeVar("StepT", bound="Callable[..., Any]")

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

STEPS: dict[str, Step] = {}
"""Maps names to steps, the functions with which a reader may continue at its next piece of text."""

AFTER_MISMATCH: set[Step] = set()
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


class LenientReader:
    """Read the one document in a text, and skip the text around it.

    A bracket at the start of the text begins the document. After prose, a bracket
    begins it only if the text after the bracket proves that, since events cannot be
    withdrawn.

    Args:
        document: Receives the values.
        must_be_closed: True to refuse a document whose end is missing.
        takes_first: True to ignore everything after the first document.
        choose: Called with this reader for each finished document that another one follows, while the reader
            still has it, so that the caller can keep it; the reader then goes on to the next document. None
            to refuse a text with a second document, unless it equals the first.
        is_second: True for a reader of a second document, made by the reader of the first one:
            it stops at the end of its document.
        accepts: Returns True if a document fits the type: another document that does not fit is then left
            out. None without a type.
        may_be_array: False if no array fits the type; brackets are then more often a mark in prose.
    """

    start = 0
    """Offset of the chosen document in a `ChoosingReader`; always 0 here, where nothing is chosen."""
    has_begun = False
    """True if a document has begun that no event reports yet; never here: an event reports it."""

    state = None
    """Always None: only a strict reader has states in which `PartialJSONParser.feed` takes a shortcut."""

    __slots__ = (
        "accepts",
        "atom_begun",
        "base",
        "choose",
        "closer_counts",
        "closers",
        "comma_at",
        "document",
        "empty_end",
        "expects",
        "fits",
        "gap",
        "has_comment_after",
        "held_back",
        "in_prose",
        "inside_step",
        "is_done",
        "is_end_supplied",
        "is_second",
        "key_at",
        "key_pieces",
        "may_be_array",
        "may_skip_brace",
        "must_be_closed",
        "needs_more",
        "opener_missing",
        "outside_step",
        "owed_closers",
        "prose",
        "prose_noted",
        "quoted",
        "repair_log",
        "root_at",
        "root_end",
        "root_fence",
        "root_value",
        "scanned_length",
        "second_at",
        "second_reader",
        "step_after_comment",
        "takes_first",
        "text_ended",
        "token_at",
    )

    def __init__(
        self,
        document: Document,
        *,
        must_be_closed: bool = False,
        takes_first: bool = False,
        choose: Callable[[LenientReader], None] | None = None,
        is_second: bool = False,
        accepts: Callable[[Any], bool] | None = None,
        may_be_array: bool = True,
    ) -> None:
        # The options.
        self.document = document
        self.must_be_closed = must_be_closed
        """True to refuse a document that the end of the text has cut."""
        self.takes_first = takes_first
        """True to skip all text after the first document."""
        self.choose: Callable[[LenientReader], None] | None = choose
        """Called with this reader before the next document replaces the finished one; None to refuse that."""
        self.is_second = is_second
        """True if another reader made this one for a second document, at whose end this reader stops."""
        self.accepts: Callable[[Any], bool] | None = accepts
        """Returns True if a document fits the type; None without a type."""
        self.fits: bool | None = None
        """True if the finished document fits the type; None before that is needed."""
        self.may_be_array = may_be_array
        """False if no array fits the type."""

        # The text.
        self.base = 0
        """Number of characters before the text that is being read."""
        self.repair_log = RepairLog()
        self.prose = Prose(may_be_array=may_be_array)
        self.held_back = ""
        """Text held back until later text decides what it means."""
        self.needs_more = False
        """True if reading stopped because later text decides how to go on."""
        self.text_ended = False
        """True once the text has ended."""
        self.is_done = False
        """True once the whole text has been read."""

        # Outside of the document, and where the document begins.
        self.outside_step: Step = STEPS["read_possible_start"]
        """The step (function) that reads on outside of the document, before or after it."""
        self.prose_noted = False
        """True if the prose on this side of the document is already recorded in the repairs."""
        self.root_at = 0
        """Offset of the document, or of a string, number or literal that may be the document."""
        self.root_end = 0
        """Offset after a string, number or literal that may be the document."""
        self.root_fence = ""
        """The character of the code fence in which the document begins; "" without a fence."""
        self.root_value: str | Atom = ""
        """A string, number or literal that may be the document; for a string, it may also be a key."""
        self.opener_missing = False
        """True if the document is an object without an opening brace."""
        self.in_prose = False
        """True if prose precedes the document; brackets in it may belong to the document."""
        self.empty_end = -1
        """End of a document `{}`, as long as it may be a placeholder for the next object; otherwise -1."""

        # Inside the document: what may come next, and which brackets are open.
        self.inside_step: Step | None = None
        """The step (function) that reads on inside the document; None outside of it."""
        self.step_after_comment: Step | None = None
        """The `inside_step` to restore after a comment; None for a comment outside of the document."""
        self.expects: Table = VALUE
        """The table that maps each character which may come next to the step that reads it."""
        self.closers: list[str] = []
        """The closing brackets of the open containers, from the outermost to the innermost."""
        self.closer_counts = {"}": 0, "]": 0, ")": 0}
        """Number of open containers by closing bracket."""
        self.may_skip_brace = False
        """True if the second of two closing braces may follow, as in `}}`."""
        self.owed_closers: int | None = None
        """Number of closing brackets that may still follow after a mismatched one; None without a mismatch.

        After a mismatch, even if the number is 0, no further key or value may follow: it might belong
        to either of two containers.
        """
        self.comma_at = -1
        """Offset of the last comma if nothing has followed it; otherwise -1."""
        self.gap = NO_GAP
        """The kind of gap after the last value: `NO_GAP`, `SPACE_GAP`, `LINE_GAP` or `FENCE_GAP`."""

        # The key, string, number or comment that is being read.
        self.quoted = QuotedString(PLAIN, self.repair_log)
        """The key or string in quotes that is being read; before the first one, a placeholder."""
        self.key_pieces: list[str] = []
        """Pieces of a key, or of a string that may be a key."""
        self.key_at = 0
        """Offset of the last key."""
        self.token_at = 0
        """Offset of the string, key or comment that is being read."""
        self.scanned_length = 0
        """Number of characters of an unfinished token that have already been searched for its end."""
        self.atom_begun = False
        """True once the event that begins a number or literal has been returned."""

        # After the document.
        self.has_comment_after = False
        """True if a comment follows the document."""
        self.second_reader: LenientReader | None = None
        """The reader of another document, while that document is being read."""
        self.is_end_supplied = False
        """True if the end of the text has cut the document, after another one."""
        self.second_at = 0
        """Offset of the other document, which follows the first one."""

    @property
    def is_before_document(self) -> bool:
        """True if there has been only prose so far: no document, and no value that may be the document."""
        return self.outside_step is STEPS["read_prose"] and not (
            self.document.complete or self.empty_end >= 0 or self.second_reader
        )

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs, in the order in which they were made."""
        return tuple(self.repair_log.made)

    @property
    def repair_count(self) -> int:
        """Number of repairs."""
        return len(self.repair_log.made)

    def feed(self, text: str) -> list[JSONEvent]:  # noqa: C901 - what runs for every piece is in one place
        """Return the events of a piece of the text; pieces may be cut anywhere."""
        out: list[JSONEvent] = []
        if self.document.error is not None:
            return out
        if self.is_done:
            raise make_fed_after_end_error()
        # Most pieces lie inside a string. `string` is the decoded piece; None if it needs the steps.
        if self.inside_step is STEPS["read_string"] and text:
            held_back = self.held_back
            string: str | None = None
            if held_back or "\\" in text:
                read = self.quoted.read_escaped_piece(held_back, text)
                if read is not None:
                    string, unfinished = read
                    self.base += len(text)
                    # `base` does not count text that is held back.
                    if held_back or unfinished:
                        self.base += len(held_back) - len(unfinished)
                        self.held_back = unfinished
            elif self.quoted.add_if_plain(text):
                string = text
                self.base += len(text)
            if string:
                # Not `document.grow_string`: the call would take a tenth of the time of a piece.
                document = self.document
                if document.pending:
                    document.more_pending.append(string)
                else:
                    document.pending = string
                out.append(StringDelta(document.frame, string, document.key))
            if string is not None:
                return out
        self._read(self.held_back + text if self.held_back else text, out)
        return out

    def end(self) -> list[JSONEvent]:
        """End the text: close whatever is open, as a repair; return the last events."""
        out: list[JSONEvent] = []
        if not self.is_done and self.document.error is None:
            self.text_ended = True
            self._read(self.held_back, out)
            if self.must_be_closed and not self.document.complete:
                # A value that was ended only by the end of the text does not count as complete.
                out.clear()
        self.is_done = True
        # `base` is now the length of the text.
        self.document.end(self.base)
        return out

    def _read(self, text: str, out: list[JSONEvent]) -> None:
        """Read a text; keep its end in `held_back` if more text decides how to read it."""
        position = self.read_on(text, 0, out)
        self.needs_more = False
        self.held_back = text[position:]
        self.base += min(position, len(text))

    def read_on(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read a text from a position on, step by step; return the position at which reading stopped."""
        size = len(text)
        repairs = self.repair_log.made
        # After the last character, the steps go on, until one of them ends the reading.
        while position < size or (self.text_ended and not self.is_done):
            step = self.inside_step or self.outside_step
            position = step(self, text, position, out)
            if len(repairs) > MOST_REPAIRS:
                self._refuse_repairs()
            # Assigned in each iteration: a step may have replaced the document.
            document = self.document
            if document.error is not None:
                return size
            # A reader of a second document leaves the text after it to the reader that found it.
            if self.needs_more or (self.is_second and document.complete):
                break
        return position

    # -- verdicts ----------------------------------------------------------------

    def hold_back(self, position: int) -> int:
        """Hold the text back from a position on, until later text decides; return the position."""
        self.needs_more = True
        return position

    def refuse_two_readings(self, position: int) -> int:
        """Set the error for a text that can be read in two ways; return the position, as every step does."""
        offset = self.base + position
        self.document.fail(
            offset, f"the text can be read in two ways at character {offset:,}, and neither is taken"
        )
        return position

    def refuse_cut(self, position: int) -> int:
        """Set the error for a document whose end is missing; return the position, as every step does."""
        self.forget_unfinished_values()
        # Sets the error, as the document is not complete.
        self.document.end(self.base + position)
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
        """Set the error for a character that no repair makes valid; return the position, as steps do."""
        # Each table (`expects`) has an entry for error messages: the name of what is expected there.
        self.document.refuse(self.base + position, self.expects[NAME])
        return position

    def _refuse_repairs(self) -> None:
        """Set the error for a text that needs too many repairs."""
        del self.repair_log.made[MOST_REPAIRS:]
        self.document.exceed(
            f"the document needs more than {MOST_REPAIRS:,} repairs; ask the model for JSON",
            "repairs",
            MOST_REPAIRS,
        )

    # -- after a value -------------------------------------------------------------------

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
        """Return True if the reader is at one of these places in the document; a table stands for a place."""
        expects = self.expects
        # Not `any`, which takes twice as long; this runs for most strings and keys.
        for place in places:  # noqa: SIM110
            if place is expects:
                return True
        return False

    def place_after_value(self) -> Table:
        """Return the table for the place after a value in the innermost container."""
        return AFTER_FIELD if self.document.container.__class__ is dict else AFTER_ELEMENT
