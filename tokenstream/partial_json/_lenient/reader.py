"""The reader of lenient JSON: where it is in a text, and what it has to remember.

The steps, which read on from a place, are functions in the modules beside this
one; the tables in `tables` say which step reads what begins with a character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.partial_json._lenient.peek import PLAIN
from tokenstream.partial_json._lenient.prose import Prose
from tokenstream.partial_json._lenient.strings import Quoted
from tokenstream.partial_json._lenient.tables import AFTER_ELEMENT, AFTER_FIELD, NAME, STEPS, VALUE
from tokenstream.partial_json._repairs import MOST_REPAIRS, Repair, Repairs
from tokenstream.partial_json._strict import fed_after_end
from tokenstream.partial_json.events import StringDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._grammar import Step, Table
    from tokenstream.partial_json._lenient.atoms import Atom
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["FENCE_GAP", "LINE_GAP", "NO_GAP", "SPACE_GAP", "LenientReader"]

NO_GAP, SPACE_GAP, LINE_GAP, FENCE_GAP = range(4)
"""What stands behind a value: nothing, white space, the end of a line, the end of a code fence."""


class LenientReader:
    """Read the one document that a text holds, whatever stands around it.

    A text that begins with a bracket is a document from there on. After prose a
    bracket begins one where what follows it says so, so that nothing shows
    that would have to be taken back.

    Args:
        document: Takes what is read.
        closed: Whether a document whose end is missing is refused.
        takes_first: Whether nothing behind the document is read.
        choose: What is told of each document that another one follows, with this reader; None
            refuses another that is not equal.
        is_second: Whether the text goes on behind the document: it is read up to its end and no further.
    """

    start = 0
    """A document that is told while it is read belongs to a text that is read from its start."""
    has_begun = False
    """What has come of it shows, or could."""

    at = None
    """No place of strict JSON, where most pieces need not be given to their reader."""

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
        """How many characters came before the text that is being read."""
        self.repaired = Repairs()
        self.prose = Prose()
        self.rest = ""
        """What has come and is not read, since what follows decides what it means."""
        self.waits = False
        """Whether what comes next is undecided."""
        self.final = False
        """Whether the text has ended."""
        self.done = False
        """Whether all of it is read."""

        self.around: Step = STEPS["read_start"]
        """What reads on outside the document."""
        self.text_noted = False
        """Whether the prose before the document, or behind it, is among the repairs."""
        self.root_at = 0
        """Offset of the document, or of a string, number or literal that may be it."""
        self.root_end = 0
        self.root_fence = ""
        """The character of the code fence that the document begins in."""
        self.root_value: str | Atom = ""
        self.opener_missing = False
        self.in_prose = False
        """Whether text stands before the document that may belong to it."""
        self.empty_end = -1
        """Offset behind a document that is an empty object, which may stand for one that follows."""

        self.reading: Step | None = None
        """What reads on inside the document; None around it."""
        self.back: Step | None = None
        """What reads on behind a comment."""
        self.expects: Table = VALUE
        """What may come between two values."""
        self.marks: list[str] = []
        """The closing brackets of what is open, from outside in."""
        self.counts = {"}": 0, "]": 0, ")": 0}
        """How many of them there are."""
        self.swallow = False
        """Whether a brace may follow that closes one that was doubled."""
        self.owed = -1
        """Closers still owed after a mismatched one; -1 where none was.

        While any are owed, only closers may follow: anything else could belong to either container.
        """
        self.comma = -1
        """Offset of the comma that was read last, if nothing has come since."""
        self.gap = NO_GAP
        """What stands behind the value that was read last."""

        self.quoted = Quoted(PLAIN, self.repaired)
        self.key_pieces: list[str] = []
        """What has come of a key, or of a string that may be one."""
        self.key_at = 0
        """Offset of the last key."""
        self.token_at = 0
        """Offset of the string, key or comment that is being read."""
        self.scanned = 0
        """How much of a token has been looked at."""
        self.atom_begun = False
        """Whether its start has been told."""

        self.commented = False
        """Whether a comment stands behind the document."""
        self.second: LenientReader | None = None
        """The reader of another document while that is read: it must be equal to the first."""
        self.other_at = 0
        """Where that begins."""

    @property
    def is_before(self) -> bool:
        """Whether only prose has come: no document, and nothing that may be one."""
        return self.around is STEPS["read_prose"] and not (
            self.document.complete or self.empty_end >= 0 or self.second
        )

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was repaired, in the order of reading."""
        return tuple(self.repaired.made)

    @property
    def repair_count(self) -> int:
        """How many there are."""
        return len(self.repaired.made)

    def feed(self, text: str) -> list[JSONEvent]:  # noqa: C901 - what runs for every piece is in one place
        """Return what a piece of the text tells; pieces may be cut anywhere."""
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
                # Not `document.grow_string`: another call would take a tenth of what a piece takes.
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
        """Say that the text has ended: what is open is closed, and that is a repair."""
        out: list[JSONEvent] = []
        if not self.done and self.document.error is None:
            self.final = True
            self._read(self.rest, out)
            if self.closed and not self.document.complete:
                # What ended with the text is not at its end.
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
        """Read on in a text, and return what is not read of it, since what follows decides."""
        size = len(text)
        repairs = self.repaired.made
        while position < size or (self.final and not self.done):
            step = self.reading or self.around
            position = step(self, text, position, out)
            if len(repairs) > MOST_REPAIRS:
                self._refuse_repairs()
            # Asked anew: a step may have turned to another document.
            document = self.document
            if document.error is not None:
                return size
            if self.waits or (self.is_second and document.complete):
                break
        return position

    # -- verdicts ----------------------------------------------------------------

    def wait(self, position: int) -> int:
        """Stop at a position, since what follows decides what stands there."""
        self.waits = True
        return position

    def refuse_two_readings(self, position: int) -> int:
        """Refuse a text that can be read in two ways."""
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
        """Refuse a character that has no place here, and needs no repair that is known."""
        self.document.refuse(self.base + position, self.expects[NAME])
        return position

    def _refuse_repairs(self) -> None:
        del self.repaired.made[MOST_REPAIRS:]
        self.document.exceed(
            f"the document needs more than {MOST_REPAIRS:,} repairs; ask the model for JSON",
            "repairs",
            MOST_REPAIRS,
        )

    # -- behind a value ------------------------------------------------------------------

    def value_done(self) -> None:
        """Turn to what may follow a value."""
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
        """Return whether the reader stands in one of some places."""
        expects = self.expects
        # Not `any`, which takes twice as long: most strings and keys ask this.
        for place in places:  # noqa: SIM110
            if place is expects:
                return True
        return False

    def place_after_value(self) -> Table:
        """Return what may follow a value in the container that is open."""
        return AFTER_FIELD if self.document.container.__class__ is dict else AFTER_ELEMENT
