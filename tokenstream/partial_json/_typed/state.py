"""The data behind a snapshot of a typed object: the text, the end of the object in it, and its errors."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import DocumentChoice, OutputParser
from tokenstream.partial_json._shapes.write import ByAlias, write_plain_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream._basics.text_log import TextLog
    from tokenstream.errors import InvalidJSON, LimitExceeded
    from tokenstream.partial_json._events import Path
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._shapes.shape import FoundErrors
    from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject


class DocumentText:
    """The text and the options of a document, shared by all its snapshots."""

    def __init__(
        self,
        log: TextLog,
        *,
        lenient: Lenient,
        words: Callable[[], frozenset[str]],
        repairs: Callable[[], tuple[Repair, ...]] = tuple,
        choice: DocumentChoice | None = None,
        may_be_array: bool = True,
        write: Callable[[Any, ByAlias], str] = write_plain_json,
    ) -> None:
        self.log = log
        self.write = write
        """Returns the JSON of the finished object."""
        self.lenient: Lenient = lenient
        self.choice: DocumentChoice | None = choice
        self.may_be_array = may_be_array
        self.start = 0
        """Start of the document if it was chosen among several; otherwise 0."""
        self.words = words
        """Returns the words of the type, which error messages may contain."""
        self.repairs = repairs
        """Returns all repairs so far; a snapshot uses only those made before it."""
        self.written: dict[ByAlias, tuple[Any, tuple[str, str, object, Any], str, str, object]] = {}
        """The innermost container of the draft that was written last, what is around it, the JSON before and
        after its growing value, and that value, by the option `by_alias`."""

    def parse(self, text: str, *, complete: bool) -> Json:
        """Return the plain data of a text; MISSING if there is none yet."""
        if self.choice in {"last", "matching"} and not complete:
            # The document is chosen only at the end of the text.
            return MISSING
        # The text begins with the chosen document. It was read before, so no further limit is needed.
        first: Any = self.choice and "first"
        parser = OutputParser(
            first, lenient=self.lenient, max_depth=len(text) + 1, may_be_array=self.may_be_array
        )
        parser.feed(text)
        if complete:
            parser.end()
        return parser.value if parser.has_value else MISSING


class FaultLink(NamedTuple):
    """The errors of one finished value, linked to the errors found before them.

    A snapshot refers to the newest link, so that all snapshots of a document share the links.
    """

    before: FaultLink | None
    location: Path
    errors: FoundErrors | None
    """The errors; None cancels earlier errors at the same location."""


class SnapshotState(NamedTuple):
    """Place, errors and result of an object: the part of its snapshot besides the object's values."""

    document: DocumentText
    start: int
    """Start of the object in the text of `document`."""
    end: int
    """End of the object, or end of the text so far."""
    complete: bool
    faults: FaultLink | None
    """The newest validation error in the document."""
    faults_before: FaultLink | None
    """The newest validation error that was found before the object began; None if there was none."""
    error: InvalidJSON | LimitExceeded | None
    """The error that ended the reading (the text is not JSON, or exceeds a limit); None if there is none."""
    outcome: Any
    """The finished, validated value, or MISSING."""
    is_final: bool = True
    """True if the object cannot change once it is complete."""
    repair_count: int = 0
    """Number of repairs made before the snapshot."""
    inner: GrowingObject | GrowingArray | None = None
    """The innermost open object or array; only set in snapshots of the whole document."""


get_state: Callable[[Any], SnapshotState] = attrgetter("_state")
"""Returns the state of a snapshot, which has no public attribute for it: public names belong to fields."""
