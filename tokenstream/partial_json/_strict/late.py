"""The part of the strict reader that puts off reading long pieces until their result is needed.

If the caller has dropped the events of a piece by then, the C code of the module `json` reads the piece.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream.partial_json._document import ARR, OBJ, POSTPONED_TEXT, STR
from tokenstream.partial_json._strict.grammar import ENDED, FAILED, IN_STRING, VALUE, WAITING
from tokenstream.partial_json._strict.run import read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json._events import JSONEvent

LONG = 512
"""Pieces of at least this length, in characters, are put off."""
_MOST_POSTPONED = 1_000_000
"""Maximum number of characters whose reading is put off; a single piece may be longer."""
SHORT = 32
"""Up to this length, in characters, reading token by token is faster than the C code of `json`."""
_SHOWN = STR | ARR | OBJ
"""Kinds of values that must be visible before they are complete, so that the C code of `json` may read."""
_OPENERS = "{["


def _make_reading_method(name: str) -> Callable[..., Any]:
    """Return a method for `LateEvents`, a list of events that is filled when it is first used.

    The method fills the list, and then calls the method `name` of `list`.
    """
    list_method: Callable[..., Any] = getattr(list, name)

    def method(self: LateEvents, *args: object, **options: object) -> object:
        """Fill the list with its piece's events if necessary; return the result of the method of `list`."""
        self.read()
        return list_method(self, *args, **options)

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
            self.document.catch_up()

    def fill(self, events: list[JSONEvent]) -> None:
        """Add the events of the piece to this list: the piece has now been read."""
        self.document = None
        super().extend(events)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Pickle and copy the events as a plain list, which needs no document."""
        return list, (list(self),)

    def __radd__(self, other: list[Any]) -> list[Any]:
        # The `+` of a plain list would not fill this list first; as a subclass, this one is asked first.
        return [*other, *self]


for _name in (
    *("__add__", "__contains__", "__delitem__", "__eq__", "__ge__", "__getitem__", "__gt__", "__iadd__"),
    *("__imul__", "__iter__", "__le__", "__len__", "__lt__", "__mul__", "__ne__", "__repr__"),
    *("__reversed__", "__rmul__", "__setitem__", "append", "clear", "copy", "count", "extend"),
    *("index", "insert", "pop", "remove", "reverse", "sort"),
):
    setattr(LateEvents, _name, _make_reading_method(_name))


class LateReader(ABC):
    """The part of `StrictReader` that puts off reading long pieces until the document is used.

    While pieces are put off, the state is `WAITING`, and `Document.read_postponed` reads them.

    Args:
        document: Receives the values.
    """

    __slots__ = (
        "_postpone_from",
        "_postponed",
        "_room_left",
        "_state_before",
        "base",
        "document",
        "incomplete",
        "state",
    )

    _room_left: int
    """Number of further characters that may be put off."""
    _state_before: Any
    """The value of `state` before the pieces that were put off."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.state: Any = VALUE
        """The state of reading. Between values, it is the table for the next character; inside a key, string,
        number or literal, it is the step (function) that continues it."""
        self.base: int = 0
        """Offset of the current piece in the document."""
        self.incomplete = ""
        """The beginning of an escape or number whose rest has not arrived."""
        self._postponed: list[tuple[str, ref[LateEvents]]] = []
        """Pieces that were put off, with weak references to their events, which the caller may drop."""
        self._postpone_from = LONG
        """Pieces of at least this length are put off.

        The length is 0 while other pieces are put off, and `sys.maxsize` while these are being read.
        """

    @abstractmethod
    def feed(self, text: str) -> list[JSONEvent]:
        """Return the events of a piece of the document; pieces may be cut anywhere."""

    @abstractmethod
    def _refuse_unexpected(self, position: int) -> int:
        """Set the error for an unexpected character; return a position beyond any text, to end reading."""

    def _postpone(self, text: str, first_events: Iterable[JSONEvent] = ()) -> list[JSONEvent]:
        """Put off a piece, and return the list that will contain its events.

        Args:
            text: The piece.
            first_events: Events that were already read from the text before `text`.
        """
        document, state = self.document, self.state
        if state is WAITING and self._room_left <= 0:
            # As much text as allowed was put off: read it now.
            document.catch_up()
            state = self.state
        if state is not WAITING:
            # This is the first piece to be put off.
            if state is FAILED or state is ENDED:
                # There is nothing to gain: the piece is not read, or is refused.
                return self._read_now(text)
            self._state_before = state
            self.state = WAITING
            self._postpone_from = 0
            self._room_left = _MOST_POSTPONED
            if document.pending:
                document.write_pieces()
            # Because of these two, every access to the document has the pieces read first.
            document.pending = POSTPONED_TEXT
            document.read_postponed = self._read_postponed
        self._room_left -= len(text)
        events = LateEvents(first_events)
        events.document = document
        self._postponed.append((text, ref(events)))
        return events

    def _read_now(self, text: str) -> list[JSONEvent]:
        """Read a piece at once instead of putting it off; return its events."""
        # The length from which on `feed` puts a piece off: no piece is so long.
        self._postpone_from = sys.maxsize
        events = self.feed(text)
        self._postpone_from = LONG
        return events

    def _read_postponed(self) -> None:
        """Read the pieces that were put off, in their order.

        Successive pieces are read as one text if the caller has dropped their lists of events.
        """
        self.state = self._state_before
        self._postpone_from = LONG
        postponed, self._postponed = self._postponed, []
        without_events: list[str] = []
        for text, reference in postponed:
            events = reference()
            if events is None:
                # The caller has dropped the list of events.
                without_events.append(text)
                continue
            self._read_without_events("".join(without_events))
            without_events.clear()
            events.fill(self._read_now(text))
        if without_events:
            self._read_without_events("".join(without_events))

    def _read_without_events(self, text: str) -> None:
        """Read a text, and drop its events; let the C code of `json` read as much of it as possible."""
        document = self.document
        position, size = 0, len(text)
        # C reads no Decimals, and needs the values to be visible before they are complete.
        may_use_c = size > SHORT and not document.decimals and document.allow & _SHOWN == _SHOWN
        while position < size:
            state = self.state
            if may_use_c and self._can_begin_in_c(text, position):
                # Tried once: C leaves only the end of the text, which may be cut, or cannot read the text.
                may_use_c = False
                read = read_run(document, state, text[position:] if position else text)
                if read is not None:
                    length, self.state = read
                    position += length
                    continue
                if size - position > LONG:
                    # One of the halves holds the part that C cannot read; the other half may be read in C.
                    half = (position + size) // 2
                    self.base += position
                    self._read_without_events(text[position:half])
                    self._read_without_events(text[half:])
                    return
            # Read one token, as in `StrictReader.read_tokens`.
            step: Any = state
            if state.__class__ is dict:
                step = state.get(text[position])
                if step.__class__ is dict:
                    self.state = step
                    position += 1
                    continue
                if step is None:
                    position = self._refuse_unexpected(position)
                    continue
            position = step(self, text, position, [])
        self.base += size

    def _can_begin_in_c(self, text: str, position: int) -> bool:
        """Return True if the C code of `json` can begin to read at a position of a text.

        It can begin at the first bracket of the document; and, in an open container, between values or
        inside a string, since `run` then writes the open brackets in front of the text.
        """
        state = self.state
        if self.document.container is None:
            return state is VALUE and text[position] in _OPENERS
        if state.__class__ is dict:
            return state is not FAILED
        return state is IN_STRING and not self.incomplete
