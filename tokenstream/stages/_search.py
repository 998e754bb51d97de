"""Base class of the stages that look for certain values in a document and keep nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._document import forget
from tokenstream.partial_json._events import StringDelta, ValueStart
from tokenstream.partial_json._parser import OutputParser
from tokenstream.partial_json._pattern import CONTAINERS, OFF, PathMatcher, Pattern
from tokenstream.partial_json._typed.schema import MOST_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import LimitExceeded
    from tokenstream.partial_json._events import JSONEvent, ValueDone
    from tokenstream.partial_json._pattern import At
    from tokenstream.partial_json._repairs import Lenient, Repair

OutT = TypeVar("OutT")

_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "literal": "true or false",
}
_NULL = "null"
STOP = "the output is invalid"
"""The reason with which `fail_fast` stops a stream."""


def escape_stop_iteration(error: Exception) -> Exception:
    """Return a validator's exception; wrap a StopIteration, because a loop would silently end on it."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    told = RuntimeError(f"a validator raised {type(error).__name__}")
    told.__cause__ = error
    return told


def no_document(text: str) -> OutputInvalid:
    """Return the error for an output in which lenient reading found no JSON at all."""
    msg = "there is no JSON document in the output; say in the request that one is wanted, and of what shape"
    return OutputInvalid(msg, text=text)


class DocumentStage:
    """The members `error`, `stop` and `check` of all stages that read a document."""

    __slots__ = ("error", "stop")

    def __init__(self) -> None:
        self.error: Exception | None = None
        """The failure, once there is one; after it, nothing more is returned.

        It is an `OutputInvalid`, `OutputIncomplete` or `LimitExceeded`; or an exception
        of a validator that is not a ValueError, unchanged.
        """
        self.stop: str | None = None
        """The reason to stop reading the answer; None while more of it is needed."""

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error


class Search(DocumentStage, Generic[OutT]):
    """Finds the values at a path in a document; subclasses turn them into results.

    Args:
        at: The path.
        fail_fast: True to set `stop` at the first invalid value, or at invalid JSON.
        lenient: Whether to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*.
    """

    __slots__ = (
        "_begun",
        "_fail_fast",
        "_kind",
        "_length",
        "_lenient",
        "_matcher",
        "_parser",
        "_reached",
    )

    _wanted: ClassVar[tuple[str, ...]]
    """The kinds of values that the path may lead to; any other value except null is an error."""
    _wanted_name: ClassVar[str]

    def __init__(
        self,
        at: At,
        *,
        fail_fast: bool = False,
        lenient: Lenient,
        document: Literal["first", "last"] | None = None,
    ) -> None:
        super().__init__()
        self._fail_fast = fail_fast
        self._matcher = PathMatcher(Pattern(at))
        # This stage shows no partial values, so the parser needs to provide none.
        self._parser = OutputParser(document, allow=0, lenient=lenient, max_depth=MOST_DEPTH)
        self._lenient = lenient
        self._length = 0
        """Number of characters read."""
        self._begun = -1
        """The offset of the value that began last; -1 before the first value."""
        self._reached = OFF
        """The position of the value nearest to the path: 0 at the path, minus n if it is n keys above."""
        self._kind = ""
        """The kind of the value nearest to the path."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs of almost-JSON, in the order in which they were made."""
        return self._parser.repairs

    @property
    def complete(self) -> bool:
        """True once the document is finished: only white space may follow."""
        return self._parser.complete

    def feed(self, text: str, *, now: float = 0.0) -> list[OutT]:
        """Return the results that a piece of the document completes.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage has this parameter.
        """
        out: list[OutT] = []
        if self.error is None:
            self._length += len(text)
            events = self._parser.feed(text)
            if events:
                self._read(events, out)
            if self._fail_fast:
                self._fail_at_fault()
        return out

    def end(self, *, now: float = 0.0) -> list[OutT]:
        """Signal the end of the text and return the last results; set `error` if the document is invalid.

        Args:
            now: Unused; every stage has this parameter.
        """
        out: list[OutT] = []
        if self.error is None:
            self._read(self._parser.end(), out)
        if self.error is None:
            self.error = self._verdict()
        return out

    # -- hooks for subclasses --------------------------------------------------------

    def _begin(self, event: ValueStart, stands: int, out: list[OutT]) -> None:
        """Handle the start of a value.

        Args:
            event: The start.
            stands: The value's position: 0 at the path, 1 for an element of that value; see
                `PathMatcher.start`.
            out: Receives the results.
        """

    def _grow(self, piece: str, out: list[OutT]) -> None:
        """Handle a piece of any string in the document."""

    def _finish(self, event: ValueDone, stands: int, out: list[OutT]) -> None:
        """Handle the end of a value.

        Args:
            event: The end, with the value.
            stands: The value's position: 0 at the path, 1 for an element of that value.
            out: Receives the results.
        """

    def _refuse(self, error: OutputInvalid, out: list[OutT]) -> None:
        """Handle an error in a value at the path."""
        self._fail(error)

    def _fail_at_fault(self) -> None:
        """Fail at once if the JSON is invalid, instead of at the end of the text."""
        fault = self._parser.error
        if self.error is None and fault is not None:
            self._fail(fault)

    def _fail(self, error: OutputInvalid | LimitExceeded) -> None:
        self.error = error
        if self._fail_fast:
            self.stop = STOP

    # -- reading -----------------------------------------------------------------

    def _read(self, events: Iterable[JSONEvent], out: list[OutT]) -> None:
        """Handle the parser's events, up to the first error."""
        for event in events:
            if isinstance(event, StringDelta):
                self._grow(event.text, out)
            elif isinstance(event, ValueStart):
                self._start(event, out)
            else:
                self._done(event, out)
            if self.error is not None:
                return

    def _start(self, event: ValueStart, out: list[OutT]) -> None:
        """Read the start of a value."""
        stands = self._matcher.start(event)
        self._begun = event.offset
        # A literal may be null, which is known only at its end.
        if event.kind != "literal":
            self._note(event.kind, stands, out)
        self._begin(event, stands, out)

    def _done(self, event: ValueDone, out: list[OutT]) -> None:
        """Read the end of a value; the parser then drops it, unless it is part of a wanted value."""
        value = event.value
        stands = self._matcher.finish(event)
        if value is None or value is True or value is False:
            self._note(_NULL if value is None else "literal", stands, out)
        if stands <= 1:
            forget(event)
        self._finish(event, stands, out)

    def _note(self, kind: str, stands: int, out: list[OutT]) -> None:
        """Remember the value nearest to the path, and refuse a value of the wrong kind at the path."""
        if stands < self._reached or stands > 0:
            return
        self._reached, self._kind = stands, kind
        if stands == 0 and kind not in self._wanted and kind != _NULL:
            pattern = self._matcher.pattern
            self._refuse(
                _nothing_to_read(
                    f"{pattern.name(len(pattern))} is {_KINDS[kind]} at character {self._begun:,}, "
                    f"where {self._wanted_name} was expected",
                    offset=self._begun,
                ),
                out,
            )

    def _verdict(self) -> OutputInvalid | OutputIncomplete | LimitExceeded | None:
        """Return the error of the document, known at the end of the text; None if there is none."""
        fault = self._parser.error
        if fault is None:
            return self._nothing_there()
        if isinstance(fault, InvalidJSON) and fault.offset >= self._length:
            if self._lenient and self._begun < 0 and not self._parser.has_begun:
                return no_document("")
            return OutputIncomplete(
                f"the output ended after {self._length:,} characters, before its JSON was whole",
                text="",
                offset=self._length,
            )
        return fault

    def _nothing_there(self) -> OutputInvalid | None:
        """Return the error for a whole document without a value at the path; None if it needs none."""
        pattern, reached = self._matcher.pattern, self._reached
        if reached == 0:
            return None
        # The nearest value is above the path: add the negative position to get the number of keys found.
        missing = len(pattern) + reached
        empty = self._kind == _NULL or (self._kind in CONTAINERS and pattern.is_wild(missing))
        if empty:
            return None
        without = " without that key" if self._kind in CONTAINERS else ""
        return _nothing_to_read(
            f"there is nothing at {pattern.name(len(pattern))}: {pattern.name(missing)} "
            f"is {_KINDS[self._kind]}{without}"
        )


def _nothing_to_read(problem: str, *, offset: int | None = None) -> OutputInvalid:
    # Imported only for an error: most answers have none.
    from tokenstream.stages._tools.words import words_for_place

    error = OutputInvalid(problem, text="", offset=offset)
    error.words_for_model = words_for_place(problem)
    return error
