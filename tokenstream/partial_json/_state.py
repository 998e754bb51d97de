"""Where a snapshot of a typed object was taken, and what was wrong by then."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import PartialJSONParser
from tokenstream.partial_json._shape_write import plain_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._log import TextLog
    from tokenstream.errors import InvalidJSON, LimitExceeded
    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._shape import Errors
    from tokenstream.partial_json._shape_write import ByAlias
    from tokenstream.partial_json._views import GrowingArray, GrowingObject

__all__ = ["Fault", "Page", "State", "state_of"]


class Page:
    """The text that a typed object is read from."""

    __slots__ = ("document", "lenient", "log", "repairs", "start", "words", "write")

    def __init__(
        self,
        log: TextLog,
        *,
        lenient: Lenient,
        words: Callable[[], frozenset[str]],
        repairs: Callable[[], tuple[Repair, ...]] = tuple,
        document: DocumentChoice | None = None,
        write: Callable[[Any, ByAlias], str] = plain_json,
    ) -> None:
        self.log = log
        self.write = write
        """What returns the JSON of the finished object."""
        self.lenient: Lenient = lenient
        self.document: DocumentChoice | None = document
        """Which of several documents is read."""
        self.start = 0
        """Where the document begins, if it was chosen among several; what is before is none of its text."""
        self.words = words
        """What returns the type's own words, which errors may say."""
        self.repairs = repairs
        """What returns all repairs so far: a snapshot has as many as there were."""

    def value(self, text: str, *, complete: bool) -> Any:  # noqa: ANN401 - any JSON value
        """Return what the start of a document says as plain data."""
        if self.document in {"last", "matching"} and not complete:
            # Which document it is is known at the end.
            return MISSING
        # The text of a document that was chosen begins with it.
        first: Any = self.document and "first"
        parser = PartialJSONParser(lenient=self.lenient, document=first, max_depth=len(text) + 1)
        parser.feed(text)
        if complete:
            parser.end()
        return parser.value if parser.has_value else MISSING


class Fault(NamedTuple):
    """What is wrong with finished values, newest first; shared by all snapshots that have it."""

    before: Fault | None
    loc: tuple[str | int, ...]
    """Where the value is."""
    errors: Errors | None
    """What is wrong there; None where what was wrong there counts no more."""


class State(NamedTuple):
    """Where a snapshot was taken, beside what shows."""

    page: Page
    start: int
    """Where the object begins in the page."""
    end: int
    """Where it ends, or how far it had come."""
    complete: bool
    faults: Fault | None
    since: Fault | None
    """The last of the faults that were found before the object began."""
    error: InvalidJSON | LimitExceeded | None
    outcome: Any
    """The finished, validated value, or MISSING."""
    settled: bool = True
    """Whether the object, once all of it has come, stays as it is."""
    repaired: int = 0
    """How many repairs there were."""
    inner: GrowingObject | GrowingArray | None = None
    """The innermost object or array of a document that is open."""


state_of: Callable[[Any], State] = attrgetter("_state")
"""Return where a snapshot was taken: it has no name for that, since names are those of fields."""
