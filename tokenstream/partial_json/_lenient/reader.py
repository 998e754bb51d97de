"""The reader of lenient JSON: the loop that runs the steps, and the state outside of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._events import JSONEvents, StringDelta
from tokenstream.partial_json._lenient.automaton import NO_GAP, STEPS, PushdownAutomaton
from tokenstream.partial_json._lenient.prose import Prose
from tokenstream.partial_json._lenient.strings import QuotedString
from tokenstream.partial_json._repairs import MOST_REPAIRS, Repair, RepairName
from tokenstream.partial_json._strict.reader import make_fed_after_end_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._lenient.peek import Atom, QuoteKind
    from tokenstream.partial_json._strict.grammar import ReadStep

_SUPPLIES_END = frozenset({"missing_end", "unfinished_value"})
"""The repairs of a document whose end was cut off."""


class LenientReader(PushdownAutomaton):
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
        fence: The character of the code fence around the document; "" if there is none.
    """

    start = 0
    """Offset of the chosen document in a `ChoosingReader`; always 0 here, where nothing is chosen."""
    has_begun = False
    """True if a document has begun that no event reports yet; never here: an event reports it."""

    state = None
    """Always None: only a strict reader has states in which `PartialJSONParser.feed` takes a shortcut."""

    __slots__ = (
        "accepts",
        "choose",
        "fits",
        "has_comment_after",
        "held_back",
        "in_prose",
        "is_done",
        "is_end_supplied",
        "may_be_array",
        "must_be_closed",
        "opener_missing",
        "outside_step",
        "prose",
        "prose_noted",
        "root_at",
        "root_end",
        "root_fence",
        "root_value",
        "second_at",
        "second_reader",
        "takes_first",
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
        fence: str = "",
    ) -> None:
        super().__init__(document, is_second=is_second)

        # The options.
        self.must_be_closed = must_be_closed
        """True to refuse a document that the end of the text has cut."""
        self.takes_first = takes_first
        """True to skip all text after the first document."""
        self.choose: Callable[[LenientReader], None] | None = choose
        """Called with this reader before the next document replaces the finished one; None to refuse that."""
        self.accepts: Callable[[Any], bool] | None = accepts
        """Returns True if a document fits the type; None without a type."""
        self.fits: bool | None = None
        """True if the finished document fits the type; None before that is needed."""
        self.may_be_array = may_be_array

        # The text.
        self.prose = Prose(may_be_array=may_be_array, fence=fence)
        self.held_back = ""
        """Text held back until later text decides what it means."""
        self.is_done = False
        """True once the whole text has been read."""

        # Outside of the document, and where the document begins.
        self.outside_step: ReadStep = STEPS["read_possible_start"]
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

        # After the document.
        self.has_comment_after = False
        self.second_reader: LenientReader | None = None
        """The reader of another document, while that document is being read."""
        self.is_end_supplied = False
        """True if the end of the text has cut the document, after another one."""
        self.second_at = 0
        """Offset of the other document, which follows the first one."""

    @property
    def is_before_document(self) -> bool:
        """True if there has been only prose so far: no document, and no value that may be the document."""
        return self.outside_step is STEPS["read_prose"] and not (self.has_document or self.second_reader)

    @property
    def has_document(self) -> bool:
        """True if a whole document has been read; `{}` counts, even if it may be a placeholder."""
        return self.document.complete or self.empty_end >= 0

    @property
    def has_supplied_end(self) -> bool:
        """True if the end of the text has cut the document, whose end is then a repair."""
        return any(repair.name in _SUPPLIES_END for repair in self.repair_log.made)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        return tuple(self.repair_log.made)

    @property
    def repair_count(self) -> int:
        return len(self.repair_log.made)

    def feed(self, text: str) -> JSONEvents:  # noqa: C901 - what runs for every piece is in one place
        """Return the events of a piece of the text; pieces may be cut anywhere."""
        out: JSONEvents = []
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

    def end(self) -> JSONEvents:
        """End the text: close whatever is open, as a repair; return the last events."""
        out: JSONEvents = []
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

    def _read(self, text: str, out: JSONEvents) -> None:
        """Read a text; keep its end in `held_back` if more text decides how to read it."""
        position = self.read_on(text, 0, out)
        self.needs_more = False
        self.held_back = text[position:]
        self.base += min(position, len(text))

    def read_on(self, text: str, position: int, out: JSONEvents) -> int:
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

    def _refuse_repairs(self) -> None:
        del self.repair_log.made[MOST_REPAIRS:]
        self.document.exceed(
            f"the document needs more than {MOST_REPAIRS:,} repairs; ask the model for JSON",
            "repairs",
            MOST_REPAIRS,
        )

    # -- outside of the document -----------------------------------------------------

    def note_prose(self, offset: int) -> None:
        if not self.prose_noted:
            self.prose_noted = True
            self.repair_log.note("trailing_text" if self.has_document else "leading_text", offset)

    def turn_to_prose(self, position: int) -> int:
        """Read the text from a position on as prose, outside of the document; return the position."""
        self.outside_step = STEPS["read_prose"]
        return position

    def begin_document(self, offset: int, *, opener_missing: bool = False) -> None:
        """Begin the document at an offset, maybe without its opening brace; later, read on after its end."""
        self.outside_step = STEPS["read_after_document"]
        # Prose before the document may be recorded already; prose after it is another repair.
        self.prose_noted = False
        self.root_at = offset
        self.root_fence = self.prose.fence
        self.opener_missing = opener_missing

    def open_root_string(self, kind: QuoteKind, position: int) -> int:
        """Begin a string that may be the document, its first key, or prose; return where to read on."""
        self.quoted = QuotedString(kind, self.repair_log)
        self.root_at = self.base + position
        self.outside_step = STEPS["read_root_string"]
        return position + 1

    def keep_root(self, value: str | Atom, position: int) -> int:
        """Keep a value that may be the document, which later text decides; return the position after it."""
        self.root_value = value
        self.root_end = self.base + position
        self.outside_step = STEPS["decide_root"]
        return position

    def begin_root_string(self, piece: str, out: JSONEvents) -> None:
        """Begin the document with a piece of a string that is too long for a key, or for prose."""
        self.begin_document(self.root_at)
        self.document.begin_string(self.root_at, out, piece)
        self.inside_step = STEPS["read_string"]

    def replace_placeholder(self, position: int) -> int:
        """Continue the placeholder `{}` with the object whose brace is at a position; return the next one."""
        self.repair_log.note("empty_placeholder", self.root_at)
        # From now on, the document is not a `{}` that may be replaced.
        self.empty_end = -1
        # `{}` was not closed in the document: its object is still open, and expects its first key.
        self.push_bracket("}")
        # The step after the end of this object.
        self.outside_step = STEPS["read_after_document"]
        return position + 1

    def skip_comma(self, position: int) -> int:
        """Skip a comma after the document, about which the text after it decides; return that position."""
        self.comma_at = self.base + position
        self.outside_step = STEPS["read_after_comma"]
        return position + 1

    def accept_comma(self) -> None:
        self.repair_log.note("extra_comma", self.comma_at)
        self.outside_step = STEPS["read_after_document"]

    # -- another document ------------------------------------------------------------

    def begin_second(self, document: Document) -> None:
        """Begin to read another document, which receives the values, with another reader."""
        # The other document is in the same code fence.
        self.second_reader = LenientReader(
            document, must_be_closed=self.must_be_closed, is_second=True, fence=self.prose.fence
        )
        self.outside_step = STEPS["read_another"]

    def read_along(self, first: LenientReader, text: str, position: int) -> int:
        """Read the text of the reader that has found this document; return the position of the rest."""
        # Both readers read the same string: copying the rest would take longer for a longer rest. The
        # events are not used.
        self.base, self.text_ended, self.needs_more = first.base, first.text_ended, False
        return self.read_on(text, position, [])

    def fits_alone(self, second: LenientReader) -> bool:
        """Return True if the document fits the type, and the one that another reader has read does not."""
        # A document whose end is missing may have been going to fit.
        if self.accepts is None or second.has_supplied_end:
            return False
        if self.fits is None:
            self.fits = self.accepts(self.document.value)
        return self.fits and not self.accepts(second.document.value)

    def leave_out(self, second: LenientReader, repair: RepairName) -> None:
        """Record the document that another reader has read, without using it; read on after it."""
        self.repair_log.note(repair, self.second_at)
        for name, offset in second.repairs:
            # The other repairs of a document that is not used are of no interest.
            if name in _SUPPLIES_END:
                self.repair_log.note(name, offset)
        self._go_on_after(second)

    def replace_document(self, second: LenientReader) -> None:
        """Replace the document, and what was noted about it, by that of another reader; read on after it."""
        self.document = second.document
        self.is_end_supplied = second.has_supplied_end
        self.begin_document(self.second_at)
        # Not a placeholder, as `{}` may be: no other object takes its place.
        self.empty_end = -1
        self.owed_closers = second.owed_closers
        self.has_comment_after = False
        self._go_on_after(second)

    def _go_on_after(self, second: LenientReader) -> None:
        """Read on after another document, as `second` would."""
        self.may_skip_brace = second.may_skip_brace
        self.second_reader = None
        self.outside_step = STEPS["read_after_document"]
        self.gap = NO_GAP
