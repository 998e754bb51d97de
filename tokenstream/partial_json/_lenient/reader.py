"""The reader of lenient JSON: its place in the text, and its state.

The steps that continue from a place are functions in the modules beside this
one; the tables in `tables` map the next character to its step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.partial_json._lenient.peek import PLAIN
from tokenstream.partial_json._lenient.prose import Prose
from tokenstream.partial_json._lenient.strings import Quoted
from tokenstream.partial_json._lenient.tables import AFTER_ELEMENT, AFTER_FIELD, NAME, STEPS, VALUE
from tokenstream.partial_json._repairs import MOST_REPAIRS, Repair, Repairs
from tokenstream.partial_json._strict.reader import fed_after_end
from tokenstream.partial_json.events import StringDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._lenient.atoms import Atom
    from tokenstream.partial_json._strict.grammar import Step, Table
    from tokenstream.partial_json.events import JSONEvent

NO_GAP, SPACE_GAP, LINE_GAP, FENCE_GAP = range(4)
"""The gap after a value: none, white space, the end of a line, the end of a code fence."""


class LenientReader:
    """Read the one document in a text, and skip the text around it.

    A bracket at the start of the text begins the document. After prose a bracket
    begins it only if the following text proves that, so that no event has to be
    taken back.

    Args:
        document: Receives the values.
        closed: True refuses a document whose end is missing.
        takes_first: True skips everything after the document.
        choose: Called with this reader for each document that another one follows;
            None refuses another document unless it is equal.
        is_second: True reads one document and stops at its end; another reader continues.
    """

    start = 0
    """Always 0: the document is read from the start of the text; `ChoosingReader` has another start."""
    has_begun = False
    """Always False: events show the document as soon as it begins."""

    at = None
    """Always None: only strict JSON has a place where pieces may skip their reader."""

    __slots__ = (
        "around",
        "atom_begun",
        "back",
        "base",
        "choose",
        "closed",
        "comma",
        "commented",
        "counts",
        "document",
        "done",
        "empty_end",
        "expects",
        "final",
        "gap",
        "in_prose",
        "is_second",
        "key_at",
        "key_pieces",
        "marks",
        "opener_missing",
        "other_at",
        "owed",
        "prose",
        "quoted",
        "reading",
        "repaired",
        "rest",
        "root_at",
        "root_end",
        "root_fence",
        "root_value",
        "scanned",
        "second",
        "swallow",
        "takes_first",
        "text_noted",
        "token_at",
        "waits",
    )

    def __init__(
        self,
        document: Document,
        *,
        closed: bool = False,
        takes_first: bool = False,
        choose: Callable[[LenientReader], None] | None = None,
        is_second: bool = False,
    ) -> None:
        self.document = document
        self.closed = closed
        self.takes_first = takes_first
        self.choose = choose
        self.is_second = is_second
        self.base = 0
        """Number of characters before the text that is being read."""
        self.repaired = Repairs()
        self.prose = Prose()
        self.rest = ""
        """Text held back until later text decides its meaning."""
        self.waits = False
        """True if a step stopped because later text must decide."""
        self.final = False
        """True once the text has ended."""
        self.done = False
        """True once the whole text has been read."""

        self.around: Step = STEPS["read_start"]
        """The step that continues outside the document."""
        self.text_noted = False
        """True if the repairs list the prose before the document, or after it, already."""
        self.root_at = 0
        """Offset of the document, or of a string, number or literal that may be the document."""
        self.root_end = 0
        self.root_fence = ""
        """The character of the code fence that the document begins in."""
        self.root_value: str | Atom = ""
        self.opener_missing = False
        self.in_prose = False
        """True if prose precedes the document, which may belong to it."""
        self.empty_end = -1
        """End of the document while it is `{}`, which may be a placeholder for the next object; else -1."""

        self.reading: Step | None = None
        """The step that continues inside the document; None outside it."""
        self.back: Step | None = None
        """The step that continues after a comment."""
        self.expects: Table = VALUE
        """The table of the characters that may come next."""
        self.marks: list[str] = []
        """The closers of the open brackets, from the outermost to the innermost."""
        self.counts = {"}": 0, "]": 0, ")": 0}
        """Number of open brackets of each kind."""
        self.swallow = False
        """True if a brace that closes a doubled one may follow."""
        self.owed = -1
        """Closers still owed after a mismatched one; -1 if none was mismatched.

        While any are owed, only closers may follow: anything else could belong to either container.
        """
        self.comma = -1
        """Offset of the last comma if nothing has followed it, else -1."""
        self.gap = NO_GAP
        """The gap after the last value."""

        self.quoted = Quoted(PLAIN, self.repaired)
        self.key_pieces: list[str] = []
        """Pieces of a key, or of a string that may be one."""
        self.key_at = 0
        """Offset of the last key."""
        self.token_at = 0
        """Offset of the string, key or comment that is being read."""
        self.scanned = 0
        """Number of characters of an unfinished token that have been scanned."""
        self.atom_begun = False
        """True once the event of the token's start has been returned."""

        self.commented = False
        """True if a comment follows the document."""
        self.second: LenientReader | None = None
        """The reader of another document, while that is read."""
        self.other_at = 0
        """Offset of that document."""

    @property
    def is_before(self) -> bool:
        """True if only prose has come: no document, and nothing that may be one."""
        return self.around is STEPS["read_prose"] and not (
            self.document.complete or self.empty_end >= 0 or self.second
        )

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs, in the order of reading."""
        return tuple(self.repaired.made)

    @property
    def repair_count(self) -> int:
        """Number of repairs."""
        return len(self.repaired.made)

    def feed(self, text: str) -> list[JSONEvent]:  # noqa: C901 - what runs for every piece is in one place
        """Return the events of a piece of the text; pieces may be cut anywhere."""
        out: list[JSONEvent] = []
        if self.document.error is not None:
            return out
        if self.done:
            raise fed_after_end()
        # Most pieces are the middle of a string.
        if self.reading is STEPS["read_string"] and text:
            rest = self.rest
            string: str | None = None
            if rest or "\\" in text:
                read = self.quoted.read_on(rest, text)
                if read is not None:
                    string, held = read
                    self.base += len(text)
                    if rest or held:
                        self.base += len(rest) - len(held)
                        self.rest = held
            elif self.quoted.take(text):
                string = text
                self.base += len(text)
            if string:
                # Not `document.grow_string`: the call would add a tenth to the cost of a piece.
                document = self.document
                if document.fresh:
                    document.pieces.append(string)
                else:
                    document.fresh = string
                out.append(StringDelta(document.frame, string, document.key))
            if string is not None:
                return out
        self._read(self.rest + text if self.rest else text, out)
        return out

    def end(self) -> list[JSONEvent]:
        """End the text: close what is open, and record that as a repair."""
        out: list[JSONEvent] = []
        if not self.done and self.document.error is None:
            self.final = True
            self._read(self.rest, out)
            if self.closed and not self.document.complete:
                # A value that only the end of the text ended does not count as ended.
                out.clear()
        self.done = True
        self.document.end(self.base)
        return out

    def _read(self, text: str, out: list[JSONEvent]) -> None:
        position = self.read_on(text, 0, out)
        self.waits = False
        self.rest = text[position:]
        self.base += min(position, len(text))

    def read_on(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read a text from a position; return the position of the rest, which waits for later text."""
        size = len(text)
        repairs = self.repaired.made
        while position < size or (self.final and not self.done):
            step = self.reading or self.around
            position = step(self, text, position, out)
            if len(repairs) > MOST_REPAIRS:
                self._refuse_repairs()
            # Looked up again: a step may have turned to another document.
            document = self.document
            if document.error is not None:
                return size
            if self.waits or (self.is_second and document.complete):
                break
        return position

    # -- verdicts ----------------------------------------------------------------

    def wait(self, position: int) -> int:
        """Stop at a position until later text decides."""
        self.waits = True
        return position

    def refuse_two_readings(self, position: int) -> int:
        """Refuse a text that has two readings."""
        offset = self.base + position
        self.document.fail(
            offset, f"the text can be read in two ways at character {offset:,}, and neither is taken"
        )
        return position

    def refuse_cut(self, position: int) -> int:
        """Refuse a document whose end is missing."""
        repairs = self.repaired.made
        while repairs and repairs[-1].name == "unfinished_value":
            repairs.pop()
        self.document.end(self.base + position)
        return position

    def refuse_here(self, position: int) -> int:
        """Refuse an unexpected character that no repair covers."""
        self.document.refuse(self.base + position, self.expects[NAME])
        return position

    def _refuse_repairs(self) -> None:
        del self.repaired.made[MOST_REPAIRS:]
        self.document.exceed(
            f"the document needs more than {MOST_REPAIRS:,} repairs; ask the model for JSON",
            "repairs",
            MOST_REPAIRS,
        )

    # -- after a value -------------------------------------------------------------------

    def end_value(self) -> None:
        """Expect what may follow a value."""
        self.comma = -1
        self.gap = NO_GAP
        document = self.document
        container = document.container
        if container is None:
            document.complete = True
            self.reading = None
            return
        if container.__class__ is not dict:
            document.key = len(container)
        self.expects = self.place_after_value()

    def is_at(self, *places: Table) -> bool:
        """Return True if the reader is at one of the places."""
        expects = self.expects
        # Not `any`, which takes twice as long: this runs for most strings and keys.
        for place in places:  # noqa: SIM110
            if place is expects:
                return True
        return False

    def place_after_value(self) -> Table:
        """Return the place after a value in the open container."""
        return AFTER_FIELD if self.document.container.__class__ is dict else AFTER_ELEMENT
