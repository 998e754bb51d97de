"""The part of the strict reader that puts off reading long pieces until their result is needed.

If the caller has dropped the events of a piece by then, the piece is read in C.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream.partial_json._document import ARR, OBJ, STR, TO_SETTLE
from tokenstream.partial_json._strict.grammar import ENDED, FAILED, IN_STRING, VALUE, WAITING
from tokenstream.partial_json._strict.run import read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._events import JSONEvent

LONG = 512
"""Pieces of at least this length, in characters, are put off."""
_MOST_WAITING = 1_000_000
"""Maximum number of characters whose reading is put off; a single piece may be longer."""

SHORT = 32
"""Up to this length, in characters, reading token by token is faster than reading in C."""
_SHOWN = STR | ARR | OBJ
_OPENERS = "{["


def _read_before(name: str) -> Callable[..., Any]:
    """Return the list method of this name, changed so that the piece is read first."""
    way: Callable[..., Any] = getattr(list, name)

    def method(self: LateEvents, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the method's own arguments
        self.read()
        return way(self, *args, **options)

    return method


class LateEvents(list["JSONEvent"]):
    """The events of a long piece: a list that is filled when it is first used."""

    __slots__ = ("__weakref__", "document")

    # Set by the caller: a constructor in Python would take longer than everything else done for a piece.
    document: Document | None
    """The document to which the piece belongs; None once the piece has been read."""

    def read(self) -> None:
        """Read the piece, unless it has been read already."""
        if self.document is not None:
            self.document.settle()

    def fill(self, events: list[JSONEvent]) -> None:
        """Store the events of the piece, which has now been read."""
        self.document = None
        super().extend(events)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return list, (list(self),)

    def __radd__(self, other: list[Any]) -> list[Any]:
        return [*other, *self]


for _name in (
    *("__add__", "__contains__", "__delitem__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iadd__"),
    *("__imul__", "__iter__", "__le__", "__len__", "__lt__", "__mul__", "__ne__", "__repr__"),
    *("__reversed__", "__rmul__", "__setitem__", "append", "clear", "copy", "count", "extend"),
    *("index", "insert", "pop", "remove", "reverse", "sort"),
):
    setattr(LateEvents, _name, _read_before(_name))


class LateReader(ABC):
    """A reader of strict JSON that puts off long pieces until the document is used.

    Args:
        document: Receives the values.
    """

    __slots__ = ("_most_waiting", "_resumes", "_waiting", "_waits_from", "at", "base", "document", "held")

    _most_waiting: int
    """Number of further characters that may be put off."""
    _resumes: Any
    """The value of `at` before the pieces that were put off."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.at: Any = VALUE
        """The state. Between values, it is the table for the next character; inside a key, string, number
        or literal, it is the step that continues it."""
        self.base: int = 0
        """Offset of the current piece in the document."""
        self.held = ""
        """An incomplete escape or number."""
        self._waiting: list[tuple[str, ref[LateEvents]]] = []
        """Pieces that were put off, with weak references to their events, which the caller may drop."""
        self._waits_from = LONG
        """Pieces of at least this length are put off: 0 if others are, `sys.maxsize` while these are read."""

    @abstractmethod
    def feed(self, text: str) -> list[JSONEvent]:
        """Return the events of a piece of the document; pieces may be cut anywhere."""

    @abstractmethod
    def _refuse_unexpected(self, position: int) -> int:
        """Set the error of an unexpected character."""

    def _wait(self, text: str, told: Iterable[JSONEvent] = ()) -> list[JSONEvent]:
        """Put off a piece, and return the list that will contain its events.

        Args:
            text: The piece.
            told: Events that were already read from the text before `text`.
        """
        document, at = self.document, self.at
        if at is WAITING and self._most_waiting <= 0:
            document.settle()
            at = self.at
        if at is not WAITING:
            if at is FAILED or at is ENDED:
                return self._read_now(text)
            self._resumes = at
            self.at = WAITING
            self._waits_from = 0
            self._most_waiting = _MOST_WAITING
            if document.fresh:
                document.write_pieces()
            document.fresh = TO_SETTLE
            document.waiting = self._read_waiting
        self._most_waiting -= len(text)
        events = LateEvents(told)
        events.document = document
        self._waiting.append((text, ref(events)))
        return events

    def _read_now(self, text: str) -> list[JSONEvent]:
        """Return the events of a piece, without putting it off."""
        self._waits_from = sys.maxsize
        events = self.feed(text)
        self._waits_from = LONG
        return events

    def _read_waiting(self) -> None:
        """Read the pieces that were put off, those without a list of events all at once."""
        self.at = self._resumes
        self._waits_from = LONG
        waiting, self._waiting = self._waiting, []
        gone: list[str] = []
        for text, reference in waiting:
            events = reference()
            if events is None:
                gone.append(text)
                continue
            self._read_silently("".join(gone))
            gone.clear()
            events.fill(self._read_now(text))
        if gone:
            self._read_silently("".join(gone))

    def _read_silently(self, text: str) -> None:
        """Read a text whose events nobody needs, in C as far as possible."""
        document = self.document
        position, size = 0, len(text)
        may_run = size > SHORT and not document.decimals and document.allow & _SHOWN == _SHOWN
        while position < size:
            at = self.at
            # Reading in C can begin with the document, or in containers that can be reopened before the text.
            if may_run and (
                (at is VALUE and text[position] in _OPENERS)
                if document.container is None
                else (at is not FAILED if at.__class__ is dict else at is IN_STRING and not self.held)
            ):
                may_run = False
                taken = read_run(document, at, text[position:] if position else text)
                if taken is not None:
                    self.at = taken[1]
                    position += taken[0]
                    continue
                if size - position > LONG:
                    # One of the halves holds the part that C cannot read; the other half may be read in C.
                    half = (position + size) // 2
                    self.base += position
                    self._read_silently(text[position:half])
                    self._read_silently(text[half:])
                    return
            step: Any = at
            if at.__class__ is dict:
                step = at.get(text[position])
                if step.__class__ is dict:
                    self.at = step
                    position += 1
                    continue
                if step is None:
                    position = self._refuse_unexpected(position)
                    continue
            position = step(self, text, position, [])
        self.base += size
