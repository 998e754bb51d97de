"""Long pieces are read when somebody looks: with their events where those are kept, else in C."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from json import JSONDecoder
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

from tokenstream.partial_json._grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    ENDED,
    FAILED,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEY,
    VALUE,
    WAITING,
)
from tokenstream.partial_json._numbers import MOST_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._document import Document
    from tokenstream.partial_json.events import JSONEvent, JSONKind

__all__ = ["LateEvents", "LateReader", "container_at", "may_be_too_long"]

LONG = 512
"""Characters from which on a piece waits until somebody looks."""
_MOST_WAITING = 1_000_000
"""Characters that wait at most, beside a piece that is longer."""

_STEP = 512
"""Two places so far apart lie in every run of digits that makes a number too long."""
_SHORT = 20_000
_CONTAINERS: frozenset[Any] = frozenset({dict, list})
_GUESSES = 2
"""How often a piece may be looked at in vain for many values at once."""
_NEAR = 4_096
"""How far it is guessed where members end."""
_GAP = 64
"""Characters between a comma and a key."""
_TWO_DIGITS = re.compile("[0-9][0-9]").finditer


def _refuse(word: str) -> NoReturn:
    """Refuse NaN and the infinities, which `json` reads, and JSON has not."""
    raise ValueError(word)


_decoder: Any = JSONDecoder(parse_constant=_refuse)
_scan: Any = make_scanner(_decoder)


def container_at(text: str, position: int, room: int) -> tuple[Any, int] | None:
    """Return the object or array that begins at a position, and where it ends.

    Args:
        text: What has come.
        position: Where its bracket stands.
        room: Most objects and arrays inside each other, itself included.

    Returns:
        None where it does not end in the text, is no JSON, or may be beyond a bound.

    Example:
        >>> container_at('{"a": [1]}, 2', 0, 2), container_at('{"a": [1]}', 0, 1), container_at("[1", 0, 9)
        (({'a': [1]}, 10), None, None)
    """
    try:
        value, end = _scan(text, position)
    except (ValueError, StopIteration, RecursionError):
        return None
    if end - position > MOST_DIGITS and may_be_too_long(text, position, end):
        return None
    return (value, end) if _fits(text, position, end, value, room) else None


def may_be_too_long(text: str, position: int = 0, end: int | None = None) -> bool:
    """Return whether digits follow each other for so long that a number may be beyond the bound.

    Args:
        text: The text.
        position: Where to begin.
        end: Where to end; None for the end of the text.
    """
    starts = (position + match.start() * _STEP for match in _TWO_DIGITS(text[position:end:_STEP]))
    return any(text[start : start + _STEP].isdigit() for start in starts)


def _fits(text: str, position: int, end: int, value: Any, room: int) -> bool:  # noqa: ANN401 - a dict or a list
    """Return whether no more objects and arrays are inside each other in a value than may be."""
    # Of a short text it takes less to count the brackets, of a long one they are too many to tell.
    if end - position < _SHORT and text.count("[", position, end) + text.count("{", position, end) <= room:
        return True
    level: list[Any] = [value]
    while level and room > 0:
        room -= 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if outer.__class__ is dict else outer)
            if inner.__class__ in _CONTAINERS
        ]
    return not level


def _behind_members(text: str, position: int) -> int:
    """Return where the last comma stands that a key seems to follow; -1 where there is none.

    Example:
        >>> text = '"a": "1, 2", "b": 3, '
        >>> _behind_members(text, 0), _behind_members(text, 12)
        (11, -1)
    """
    cut = len(text)
    position = max(position, cut - _NEAR)
    for _ in range(3):
        cut = text.rfind(",", position, cut)
        if cut < 0 or text[cut + 1 : cut + _GAP].lstrip()[:1] == '"':
            return cut
    return -1


def _after_reading(name: str) -> Callable[..., Any]:
    """Return a method of lists that reads first what waits."""
    way: Callable[..., Any] = getattr(list, name)

    def method(self: LateEvents, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever that takes
        self.read()
        return way(self, *args, **options)

    return method


class LateEvents(list["JSONEvent"]):
    """The events of a long piece: a list that is made when somebody looks at it.

    Args:
        document: What the piece belongs to.
    """

    __slots__ = ("__weakref__", "_document")

    def __init__(self, document: Document) -> None:
        self._document: Document | None = document

    def read(self) -> None:
        """Have the piece read, unless it is."""
        if self._document is not None:
            self._document.settle()

    def fill(self, events: list[JSONEvent]) -> None:
        """Take the events."""
        self._document = None
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
    setattr(LateEvents, _name, _after_reading(_name))


class LateReader(ABC):
    """A reader of strict JSON that keeps long pieces until somebody looks.

    Args:
        document: Takes what is read.
    """

    __slots__ = ("_at", "_base", "_document", "_most_waiting", "_resumes", "_waiting", "_waits_from")

    def __init__(self, document: Document) -> None:
        self._document = document
        self._at: Any = VALUE
        """Between two values the table of what may come; inside a key, string, number or literal
        the step that reads on."""
        self._base: int = 0
        """How many characters came before the text that is being read."""
        self._waiting: list[tuple[str, ref[LateEvents]]] = []
        """Pieces that nobody has looked at yet, and their events, which may be gone."""
        self._most_waiting = _MOST_WAITING
        """How many more characters may wait before they are read anyway."""
        self._resumes: Any = VALUE
        """What `_at` was before them."""
        self._waits_from = LONG
        """Characters from which on a piece waits: none where others do, and all where it is looked at."""

    @abstractmethod
    def feed(self, text: str) -> list[JSONEvent]:
        """Return what a piece of the document tells; pieces may be cut anywhere."""

    @abstractmethod
    def _unexpected(self, position: int) -> int:
        """Refuse a character."""

    @abstractmethod
    def _whole(self, kind: JSONKind, value: Any, start: int, end: int, out: list[JSONEvent]) -> None:  # noqa: ANN401 - any JSON value
        """Take a value that came whole."""

    def _wait(self, text: str) -> list[JSONEvent]:
        """Keep a long piece until somebody looks, and what follows it."""
        document = self._document
        if self._at is WAITING and self._most_waiting <= 0:
            document.settle()
        if self._at is FAILED or self._at is ENDED:
            return self._read_now(text)
        if self._at is not WAITING:
            self._resumes = self._at
            self._at = WAITING
            self._waits_from = 0
            self._most_waiting = _MOST_WAITING
            document.wait(self._read_waiting)
        self._most_waiting -= len(text)
        events = LateEvents(document)
        self._waiting.append((text, ref(events)))
        return events

    def _read_now(self, text: str) -> list[JSONEvent]:
        self._waits_from = sys.maxsize
        events = self.feed(text)
        self._waits_from = LONG
        return events

    def _read_waiting(self) -> None:
        self._at = self._resumes
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
        self._read_silently("".join(gone))

    def _read_silently(self, text: str) -> None:
        """Read a text whose events nobody keeps: objects and arrays that are whole in it in C."""
        position, size = 0, len(text)
        begins = VALUE["{"], VALUE["["]
        # How much may be looked at for objects and arrays that prove not to be whole.
        spare = 0 if self._document.decimals else 2 * size
        # How often what is in them may be guessed to end where it does not.
        guesses = _GUESSES if spare else 0
        last = {"{": text.rfind("}"), "[": text.rfind("]")}
        while position < size:
            at = self._at
            step = at.get(text[position]) if at.__class__ is dict else at
            if step.__class__ is dict:
                self._at = step
                position += 1
                continue
            if step is None:
                position = self._unexpected(position)
                continue
            if guesses > 0 and (at is VALUE or at is KEY or at is FIRST_KEY or at is FIRST_ELEMENT):
                cut = self._run_end(text, position, last)
                if cut > position:
                    end = self._take_run(text, position, cut)
                    # No more is looked at in vain than is taken, and a few times the text.
                    if 2 * (end - position) < cut - position:
                        guesses -= 1
                    if end:
                        position = end
                        continue
            if step in begins and size - position <= spare and self._may_be_whole(text, position, last):
                end = self._take_container(text, position)
                spare -= 0 if end else size - position
                position = end or step(self, text, position, [])
            else:
                position = step(self, text, position, [])
        self._base += size

    def _run_end(self, text: str, position: int, last: dict[str, int]) -> int:
        """Return where whole elements or members that begin at a position seem to end; -1 where none do.

        Args:
            text: The text.
            position: Where the first of them begins.
            last: Where the last closing brackets are, by the opening ones.
        """
        if self._document.container.__class__ is list:
            return last.get(text[position], -2) + 1
        if text[position] != '"' or self._at is VALUE:
            return -1
        end = text.find("}", position, position + _NEAR)
        if end < 0:
            return _behind_members(text, position)
        return end if text.find("{", position, end) < 0 else -1

    def _take_run(self, text: str, position: int, cut: int) -> int:
        """Take what stands in the open object or array up to a cut, or up to its own bracket before that.

        Returns:
            Where what is taken ends; 0 if it is not whole.
        """
        document = self._document
        container = document.container
        is_object = container.__class__ is dict
        run = f"{{{text[position:cut]}}}" if is_object else f"[{text[position:cut]}]"
        found = container_at(run, 0, document.max_depth - len(document.frames) + 1)
        if found is None:
            return 0
        if is_object:
            container.update(found[0])
            self._at = AFTER_FIELD
        else:
            container.extend(found[0])
            document.key = len(container)
            self._at = AFTER_ELEMENT
        # Two brackets are in the run and not in what is taken.
        return position + found[1] - 2

    def _may_be_whole(self, text: str, position: int, last: dict[str, int]) -> bool:
        """Return whether the document's own object or array may end in the text, or it is another one."""
        closer = last[text[position]]
        return closer > position if self._document.frames else not text[closer + 1 :].strip()

    def _take_container(self, text: str, position: int) -> int:
        """Take the object or array at a position if it is whole, and return where it ends; 0 if it is not."""
        document = self._document
        found = container_at(text, position, document.max_depth - len(document.frames))
        if found is None:
            return 0
        value, end = found
        self._whole("object", value, self._base + position, self._base + end, [])
        return end
