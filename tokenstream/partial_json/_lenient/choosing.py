"""A reader that chooses one of several documents at the end of the text: the last, or one that fits."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import are_equal
from tokenstream.partial_json._document import Document
from tokenstream.partial_json._lenient.reader import LenientReader
from tokenstream.partial_json._repairs import Repair
from tokenstream.partial_json._strict.reader import make_fed_after_end_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._events import JSONEvents

_REPAIRS_AROUND = frozenset({"leading_text", "trailing_text", "code_fence", "reasoning"})
"""Names of repairs that are made outside of documents."""


class ChoosingReader:
    """Read all documents of a text; at its end, return the events of one of them.

    The choice is only final at the end of the text, and events cannot be withdrawn; so none
    are returned earlier. At the end, the chosen document is read a second time. Only
    the text from the beginning of that document on is kept.

    Args:
        document: Receives the chosen document.
        accepts: Returns True for a document that fits; None chooses the last document.
        must_be_closed: True to refuse a document whose end is missing.
        may_be_array: False if no array fits the type.
    """

    state = None
    """Always None: only a strict reader has states in which `PartialJSONParser.feed` takes a shortcut."""

    def __init__(
        self,
        document: Document,
        accepts: Callable[[Any], bool] | None,
        *,
        must_be_closed: bool,
        may_be_array: bool,
    ) -> None:
        self._document = document
        self._accepts = accepts
        scratch = Document(max_depth=document.max_depth, decimals=document.decimals)
        # Reads all documents, the first one into `scratch`, and passes each to `_consider`.
        self._scanner = LenientReader(
            scratch, must_be_closed=must_be_closed, choose=self._consider, may_be_array=may_be_array
        )
        self._reader: LenientReader | None = None
        """The reader of the chosen document; None before the end of the text."""
        self._pieces: deque[tuple[int, str]] = deque()
        """The text that may be needed again, each piece with its offset."""
        self._text_length = 0
        self._starts: list[int] = []
        self._chosen_at = 0
        self._chosen_fence = ""
        """The character of the code fence around that document; "" if there is none."""
        self._chosen_fits = False
        """True if `accepts` has found that the document chosen so far fits."""
        self._value: Any = None
        """The value of that document if it fits; other documents that fit must be equal to it."""
        self._repairs_made: tuple[Repair, ...] = ()
        """The value of `repairs`; empty before the end of the text."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in and around the chosen document, and one for each other document."""
        return self._repairs_made

    @property
    def repair_count(self) -> int:
        return len(self._repairs_made)

    @property
    def has_begun(self) -> bool:
        """True once part of a document has arrived, though no event reports it yet."""
        return bool(self._starts) or self._scanner.document.has_value

    @property
    def start(self) -> int:
        """Offset of the chosen document; 0 until it has been chosen."""
        return 0 if self._reader is None else self._chosen_at

    def feed(self, text: str) -> JSONEvents:
        """Read a piece of the text; return an empty list, because the events come only at the end."""
        if self._document.error is not None:
            return []
        if self._reader is not None:
            raise make_fed_after_end_error()
        if text:
            self._pieces.append((self._text_length, text))
            self._text_length += len(text)
        self._scanner.feed(text)
        self._document.error = self._scanner.document.error
        self._drop_text()
        return []

    def end(self) -> JSONEvents:
        """End the text, and return the events of the chosen document."""
        scanner, document = self._scanner, self._document
        if self._reader is not None or document.error is not None:
            # The end was read before, or the text was refused.
            return []
        scanner.end()
        if scanner.document.error is None:
            self._consider(scanner)
        document.error = scanner.document.error
        if document.error is not None:
            return []
        # Read the chosen document again, now for its events; `takes_first` skips the text after it.
        self._reader = reader = LenientReader(document, takes_first=True, fence=self._chosen_fence)
        reader.base = self._chosen_at
        first_piece_at, _ = self._pieces[0]
        text = "".join(piece for _, piece in self._pieces)[self._chosen_at - first_piece_at :]
        self._pieces.clear()
        events = [*reader.feed(text), *reader.end()]
        # Repairs in other documents do not count; those of the text around all documents do.
        around = [each for each in scanner.repairs if each.name in _REPAIRS_AROUND]
        others = [Repair("other_document", at) for at in self._starts if at != self._chosen_at]
        self._repairs_made = tuple(sorted((*around, *others, *reader.repairs), key=lambda each: each.offset))
        return events

    def _consider(self, reader: LenientReader) -> None:
        """Choose the document that a reader has finished, unless an earlier one fits the type.

        The text is refused if both fit the type but differ, and if this one is cut: its whole might fit, too.
        """
        document = reader.document
        self._starts.append(reader.root_at)
        accepts = self._accepts
        fits = accepts is not None and accepts(document.value)
        if self._chosen_fits and (fits or reader.is_end_supplied):
            # Two documents that fit must be equal; the first stays chosen.
            if not are_equal(document.value, self._value):
                reader.refuse_two_readings(reader.root_at - reader.base)
            return
        if fits or not self._chosen_fits:
            # The first that fits, or the last one as long as none does.
            self._chosen_fits = fits
            self._value = document.value if fits else None
            self._chosen_at, self._chosen_fence = reader.root_at, reader.root_fence

    def _drop_text(self) -> None:
        """Drop the text that will not be read again, to save memory.

        Once a document that fits the type was chosen, the text before that document is dropped. As long as
        none fits, the last document will be chosen: the text before the document being read is dropped.
        """
        scanner = self._scanner
        if self._chosen_fits:
            needed_from = self._chosen_at
        else:
            needed_from = scanner.base if scanner.is_before_document else scanner.root_at
        pieces = self._pieces
        # A piece is not needed if the next one begins at the needed text or before it.
        while len(pieces) > 1 and pieces[1][0] <= needed_from:
            pieces.popleft()
