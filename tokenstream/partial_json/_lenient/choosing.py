"""One document of several: the last, or the one that fits a type; known at the end of the text."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._document import Document
from tokenstream.partial_json._lenient.atoms import same
from tokenstream.partial_json._lenient.reader import LenientReader
from tokenstream.partial_json._repairs import Repair
from tokenstream.partial_json._strict import fed_after_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json.events import JSONEvent

__all__ = ["ChoosingReader"]

_AROUND = frozenset({"leading_text", "trailing_text", "code_fence", "reasoning"})
"""Repairs that are made outside of documents."""


class ChoosingReader:
    """Read all documents of a text, and tell of one of them at its end.

    Which one it is is known there, and nothing is taken back: so nothing shows
    before. It is read a second time then, from its own text, which is all that
    is held of the text.

    Args:
        document: Takes what is read.
        accepts: What tells whether a document fits; None takes the last.
        closed: Whether a document whose end is missing is refused.
    """

    at = None
    """No place of strict JSON, where most pieces need not be given to their reader."""

    __slots__ = (
        "_accepts",
        "_chosen",
        "_document",
        "_fits",
        "_length",
        "_pieces",
        "_reader",
        "_scan",
        "_starts",
        "_told",
        "_value",
    )

    def __init__(self, document: Document, accepts: Callable[[Any], bool] | None, *, closed: bool) -> None:
        self._document = document
        self._accepts = accepts
        scratch = Document(max_depth=document.max_depth, decimals=document.decimals)
        self._scan = LenientReader(scratch, closed=closed, choose=self._choose)
        self._reader: LenientReader | None = None
        """What has told of the chosen document."""
        self._pieces: deque[tuple[int, str]] = deque()
        """The text that may be needed again, each piece with its offset."""
        self._length = 0
        self._starts: list[int] = []
        """Where the documents begin."""
        self._chosen = 0, ""
        """Where the one begins that is chosen so far, and in what code fence."""
        self._fits = False
        """Whether that one fits."""
        self._value: Any = None
        """What it says, where that matters."""
        self._told: tuple[Repair, ...] = ()

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in the chosen document and around it, and which others there are."""
        return self._told

    @property
    def repair_count(self) -> int:
        """How many there are."""
        return len(self._told)

    @property
    def has_begun(self) -> bool:
        """Whether something of a document has come; nothing of it shows."""
        return bool(self._starts) or self._scan.document.has_value

    @property
    def start(self) -> int:
        """Where the chosen document begins; 0 before it is known."""
        return 0 if self._reader is None else self._chosen[0]

    def feed(self, text: str) -> list[JSONEvent]:
        """Read a piece of the text; it tells nothing yet."""
        if self._document.error is not None:
            return []
        if self._reader is not None:
            raise fed_after_end()
        if text:
            self._pieces.append((self._length, text))
            self._length += len(text)
        self._scan.feed(text)
        self._document.error = self._scan.document.error
        self._release()
        return []

    def end(self) -> list[JSONEvent]:
        """Say that the text has ended, and return what the chosen document tells."""
        scan, document = self._scan, self._document
        if self._reader is not None or document.error is not None:
            return []
        scan.end()
        if scan.document.error is None:
            self._choose(scan)
        document.error = scan.document.error
        if document.error is not None:
            return []
        self._reader = reader = LenientReader(document, takes_first=True)
        reader.base, reader.prose.fence = self._chosen
        skipped = self._chosen[0] - self._pieces[0][0]
        text = "".join(piece for _, piece in self._pieces)[skipped:]
        self._pieces.clear()
        events = [*reader.feed(text), *reader.end()]
        around = [each for each in scan.repairs if each.name in _AROUND]
        others = [Repair("other_document", at) for at in self._starts if at != self._chosen[0]]
        self._told = tuple(sorted((*around, *others, *reader.repairs), key=lambda each: each.offset))
        return events

    def _choose(self, reader: LenientReader) -> None:
        """Take a document that is finished, or leave it."""
        document = reader.document
        self._starts.append(reader.root_at)
        accepts = self._accepts
        fits = accepts is not None and accepts(document.value)
        if fits and self._fits:
            if not same(document.value, self._value):
                reader.refuse_two_readings(reader.root_at - reader.base)
            return
        if fits or not self._fits:
            self._fits = fits
            self._value = document.value if fits else None
            self._chosen = reader.root_at, reader.root_fence

    def _release(self) -> None:
        """Let go of the text before the chosen document, or before the one that is being read."""
        scan = self._scan
        needed = self._chosen[0] if self._fits else scan.base if scan.is_before else scan.root_at
        pieces = self._pieces
        while len(pieces) > 1 and pieces[1][0] <= needed:
            pieces.popleft()
