"""Base classes of stages that read a document, also of those that keep only certain values of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

from tokenstream._basics.error_marks import add_code_hint
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import InvalidJSON, LimitExceeded, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._document import release_value
from tokenstream.partial_json._events import CONTAINERS, OFF, PathMatcher, Pattern, StringDelta, ValueStart
from tokenstream.partial_json._parser import OutputParser
from tokenstream.partial_json._typed.schema import MOST_DEPTH
from tokenstream.stages._protocols import LOOP_END, OutT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.partial_json._events import At, JSONEvent, ValueDone
    from tokenstream.partial_json._repairs import Lenient, Repair

STOP = "the output is invalid"
"""The reason with which `fail_fast` stops a stream."""


_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "literal": "true or false",
}
_NULL = "null"


def escape_stop_iteration(error: Exception) -> Exception:
    """Return a validator's exception; wrap a StopIteration, because a loop would silently end on it."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    wrapped = RuntimeError(f"a validator raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def make_no_document_error(text: str) -> OutputInvalid:
    """Return the error for an output in which lenient reading found no JSON at all."""
    msg = "there is no JSON document in the output; say in the request that one is wanted, and of what shape"
    return OutputInvalid(msg, text=text)


class DocumentStage(ErrorKeeper):
    """Base class of the stages that read a document, with their members `error`, `stop` and `check`."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        """The failure, once there is one; after it, nothing more is returned.

        It is an `OutputInvalid`, `OutputIncomplete` or `LimitExceeded`; or an exception
        of a validator that is not a ValueError, unchanged.
        """
        self.stop: str | None = None  # pyright: ignore[reportIncompatibleMethodOverride] # of what is read
        """The reason to stop reading the answer; None while more of it is needed."""


class Search(DocumentStage, Generic[OutT]):
    """Finds the values at a path in a document; subclasses turn them into results."""

    _wanted: ClassVar[tuple[str, ...]]
    """The kinds of values that the path may lead to; any other value except null is an error."""
    _wanted_name: ClassVar[str]
    """The name by which error messages call the kinds in `_wanted`."""
    _marks_end: ClassVar[bool] = False
    """True to return `LOOP_END` where another value begins after the only one at the path."""

    def __init__(
        self,
        at: At,
        *,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> None:
        super().__init__()
        # The options, and the parser.
        self._fail_fast = fail_fast
        self._matcher = PathMatcher(Pattern(at))
        # This stage shows no partial values, so the parser needs to provide none.
        self._parser = OutputParser(document, allow=0, lenient=lenient, max_depth=MOST_DEPTH)
        self._lenient = lenient
        self._keeps_values = bool(lenient) and document is None
        """True if the parser still needs the finished values: to compare them with a second document, and to
        distinguish a document from brackets in prose."""

        # State of the reading so far.
        self._length = 0
        """Number of characters read."""
        self._last_start = -1
        """The offset of the value that began last; -1 before the first value."""
        self._last_position = OFF
        """The position of that value: 0 at the path."""
        self._nearest = OFF
        """The position of the value nearest to the path: 0 at the path, minus n if it is n keys above."""
        self._kind = ""
        """The kind of the value nearest to the path."""
        self._has_ended = False
        """True from the end of the only value at the path until `LOOP_END` is returned."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs of almost-JSON, in the order in which they were made."""
        return self._parser.repairs

    @property
    def complete(self) -> bool:
        """True once the document is finished: only white space may follow."""
        return self._parser.complete

    def feed(self, text: str, *, now: float = 0.0) -> list[OutT]:
        """Return the results that a piece of the document completes."""
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
        """Signal the end of the text and return the last results; set `error` if the document is invalid."""
        out: list[OutT] = []
        if self.error is None:
            self._read(self._parser.end(), out)
        if self.error is None:
            self.error = self._find_final_error()
        return out

    # -- hooks for subclasses --------------------------------------------------------

    def _on_start(self, event: ValueStart, position: int, out: list[OutT]) -> None:
        """Receive the start of each value; subclasses override this hook, which does nothing.

        A position is negative above the path, 0 at the path, 1 for an element of the value there, more inside
        an element, and `OFF` off the path.
        """

    def _on_text(self, piece: str, out: list[OutT]) -> None:
        """Receive each piece of a string in the document; a hook, like `_on_start`."""

    def _on_end(self, event: ValueDone, position: int, out: list[OutT]) -> None:
        """Receive the end of each value in the document; a hook, like `_on_start`."""

    def _on_invalid(self, error: OutputInvalid, out: list[OutT]) -> None:
        """Fail because of an invalid value at the path; a subclass may put the error in `out` instead."""
        self._fail(error)

    def _go_on_after(self, error: OutputInvalid, out: list[Any]) -> None:
        """Put an error in `out` in place of a result; with `fail_fast`, end the reading with the error."""
        if self._fail_fast:
            self._fail(error)
            return
        if error.path or self._matcher.pattern.wild:
            # After the only value at a path, nothing follows.
            add_code_hint(error, "; a new loop over the same view goes on after it")
        out.append(error)

    def _fail_at_fault(self) -> None:
        """Fail at once if the JSON is invalid, instead of at the end of the text."""
        fault = self._parser.error
        if self.error is None and fault is not None:
            self._fail(fault)

    def _fail(self, error: OutputInvalid | LimitExceeded) -> None:
        """Store an error; with `fail_fast`, also ask to close the source."""
        self.error = error
        if self._fail_fast:
            self.stop = STOP

    # -- reading -----------------------------------------------------------------

    def _read(self, events: Iterable[JSONEvent], out: list[OutT]) -> None:
        """Pass the parser's events to the hooks, up to the first error."""
        for event in events:
            if isinstance(event, StringDelta):
                self._on_text(event.text, out)
            elif isinstance(event, ValueStart):
                self._read_start(event, out)
            else:
                self._read_end(event, out)
            if self.error is not None:
                return

    def _read_start(self, event: ValueStart, out: list[OutT]) -> None:
        position = self._last_position = self._matcher.start(event)
        self._last_start = event.offset
        if self._has_ended and position == OFF:
            self._has_ended = False
            out.append(LOOP_END)
        # A literal may be null, which is known only at its end.
        if event.kind != "literal":
            self._note_nearest(event.kind, position, out)
        self._on_start(event, position, out)

    def _read_end(self, event: ValueDone, out: list[OutT]) -> None:
        value = event.value
        position = self._matcher.finish(event)
        if value is None or value is True or value is False:
            # A literal, which `_read_start` has left out.
            self._note_nearest(_NULL if value is None else "literal", position, out)
        # Save memory: of the values read, only those inside an element are still needed, as parts of it.
        if position <= 1 and not self._keeps_values:
            release_value(event)
        self._on_end(event, position, out)
        if position == 0 and self._marks_end:
            # A path with wildcards may lead to further values.
            self._has_ended = not self._matcher.pattern.wild

    def _note_nearest(self, kind: str, position: int, out: list[OutT]) -> None:
        """Remember the value nearest to the path, and refuse a value of the wrong kind at the path."""
        # A value above the path has a negative position; one within the value at the path, a positive one.
        if position < self._nearest or position > 0:
            return
        self._nearest, self._kind = position, kind
        # `_wanted` has the kinds that the subclass reads. Null stands for "no value", which is not an error.
        if position == 0 and kind not in self._wanted and kind != _NULL:
            pattern = self._matcher.pattern
            self._on_invalid(
                _make_output_error(
                    f"{pattern.name(len(pattern))} is {_KINDS[kind]} at character {self._last_start:,}, "
                    f"where {self._wanted_name} was expected",
                    offset=self._last_start,
                ),
                out,
            )

    def _find_final_error(self) -> OutputInvalid | OutputIncomplete | LimitExceeded | None:
        """Return the error of the document, known at the end of the text; None if there is none."""
        fault = self._parser.error
        if fault is None:
            return self._find_missing_value_error()
        if isinstance(fault, InvalidJSON) and fault.offset >= self._length:
            # The fault is the end of the text: before any value began (`_last_start` is -1), or inside one.
            if self._lenient and self._last_start < 0 and not self._parser.has_begun:
                return make_no_document_error("")
            return OutputIncomplete(
                f"the output ended after {self._length:,} characters, before its JSON was whole",
                text="",
                offset=self._length,
            )
        return fault

    def _find_missing_value_error(self) -> OutputInvalid | None:
        """Return the error for a whole document that has no value at the path; None if it has one.

        The result is also None if the path leads through null, or if the first key of the path that
        the document lacks is a wildcard: an empty array has no elements.
        """
        pattern, position = self._matcher.pattern, self._nearest
        if position == 0:
            return None
        # The nearest value is above the path: `position` is minus the number of keys below that value.
        found_keys = len(pattern) + position
        is_container = self._kind in CONTAINERS
        if self._kind == _NULL or (is_container and pattern.is_wild(found_keys)):
            return None
        without = " without that key" if is_container else ""
        return _make_output_error(
            f"there is nothing at {pattern.name(len(pattern))}: {pattern.name(found_keys)} "
            f"is {_KINDS[self._kind]}{without}"
        )


def _make_output_error(problem: str, *, offset: int | None = None) -> OutputInvalid:
    """Return the error for a document whose path leads to nothing, or to a value of the wrong kind."""
    # Imported only for an error: most answers have none.
    from tokenstream._basics.words import words_for_place

    error = OutputInvalid(problem, text="", offset=offset)
    error.words_for_model = words_for_place(problem)
    return error
