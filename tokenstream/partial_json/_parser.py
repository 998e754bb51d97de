"""The public parser of partial JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tokenstream.partial_json._choice import check_choice
from tokenstream.partial_json._document import ARR, OBJ, STR, Document, new_event
from tokenstream.partial_json._grammar import COLON, IN_KEY, IN_STRING, VALUE
from tokenstream.partial_json._repairs import checked_lenient
from tokenstream.partial_json._strict import StrictReader, as_text
from tokenstream.partial_json._strings import LONGEST_ESCAPE, SHORT, read_codes, scan_string
from tokenstream.partial_json.events import StringDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import InvalidJSON, LimitExceeded
    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._lenient import LenientReader
    from tokenstream.partial_json._lenient.choosing import ChoosingReader
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["OutputParser", "PartialJSONParser", "fault_in"]

_DEFAULT_ALLOW = STR | ARR | OBJ


def _allowed(allow: object) -> int:
    if allow is None:
        return _DEFAULT_ALLOW
    if not isinstance(allow, int) or isinstance(allow, bool) or allow < 0:
        raise ValueError(f"allow takes flags of partial-json-parser's Allow, or None, not {allow!r}")
    # As a plain int: asking an enum's flags takes a hundred times as long.
    return int(allow)


def _at_least_0(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} takes a whole number of at least 0, not {value!r}")
    return value


def _reader_for(
    document: Document,
    lenient: object,
    choice: DocumentChoice | None,
    accepts: Callable[[Any], bool] | None = None,
) -> StrictReader | LenientReader | ChoosingReader:
    closed = checked_lenient(lenient) == "closed"
    # Where it is not asked for, the lenient reading is not even imported.
    if choice in {"last", "matching"}:
        from tokenstream.partial_json._lenient.choosing import ChoosingReader

        return ChoosingReader(document, accepts if choice == "matching" else None, closed=closed)
    if lenient:
        from tokenstream.partial_json._lenient import LenientReader

        return LenientReader(document, closed=closed, takes_first=choice == "first")
    return StrictReader(document)


class PartialJSONParser:
    """A JSON value from the pieces of its text, current after each piece.

    Each character is looked at once, whatever the pieces. `feed` tells by events
    what a piece has changed; `value` is what there is now, `snapshot()` a copy of
    it that never changes. A text that is no JSON sets `error`, and what was read
    before stays readable. docs/partial-json.md has the contract.

    Args:
        allow: What may show before it is complete, as flags of `Allow`; by default
            strings, arrays and objects.
        lenient: Whether to read what models write in place of JSON; each repair is
            in `repairs`. With "closed" a text whose end is missing is `InvalidJSON`, as
            in the strict reading.
        document: Where a lenient text holds several documents, which one is read: "first" reads
            nothing behind it, "last" shows nothing before the end. None refuses two that differ.
        max_depth: Most objects and arrays inside each other; beyond it `error` is
            `LimitExceeded`.
        decimals: Whether a number with a fraction or an exponent becomes a
            `decimal.Decimal` of its very text, rather than a float.

    Example:
        >>> parser = PartialJSONParser()
        >>> parser.feed('{"title": "Panc')
        [ValueStart(path=(), kind='object', offset=0), \
ValueStart(path=('title',), kind='string', offset=10), StringDelta(path=('title',), text='Panc')]
        >>> parser.value
        {'title': 'Panc'}
        >>> _ = parser.feed('akes", "minutes": 20}')
        >>> parser.value, parser.complete
        ({'title': 'Pancakes', 'minutes': 20}, True)
    """

    __slots__ = ("_document", "_reader", "stop")

    def __init__(
        self,
        *,
        allow: int | None = None,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
        max_depth: int = 512,
        decimals: bool = False,
    ) -> None:
        if max_depth.__class__ is not int or max_depth < 0:
            max_depth = _at_least_0("max_depth", max_depth)
        allowed = _DEFAULT_ALLOW if allow is None else _allowed(allow)
        self._document = Document(allowed, max_depth, decimals=decimals)
        self._reader: StrictReader | LenientReader | ChoosingReader
        self.stop: str | None = None
        """A reason to close the source; this stage never has one."""
        # Of a short answer that comes whole, making what reads it takes as long as reading it.
        if lenient is False and document is None:
            self._reader = StrictReader(self._document)
        else:
            check_choice(document, lenient=lenient)
            self._reader = _reader_for(self._document, lenient, document)

    def feed(self, text: str, *, now: float = 0.0) -> list[JSONEvent]:  # noqa: C901 - as the comment says
        """Return what a piece of the document tells.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage takes it.
        """
        reader: Any = self._reader
        at = reader.at
        # Most pieces are the middle of a string or a key; what is printable has no control character.
        # They are read here, since another call would take a tenth of what a piece takes.
        if at is IN_STRING and text.__class__ is str:
            string = None
            held = reader.held
            if not held and "\\" not in text:
                if '"' not in text and text.isprintable():
                    string = text
            elif held or "\\u" in (text if len(text) < SHORT else text[-LONGEST_ESCAPE:]):
                escaped = held + text
                try:
                    codes, size = read_codes(escaped, None, False)  # noqa: FBT003 - it takes no names
                except UnicodeError:
                    pass
                else:
                    # Six characters come to one where all are codes; another escape has kept its backslash,
                    # but for `\U`, which JSON has not. No half of a surrogate pair is printable.
                    if (
                        6 * len(codes) == size or ('"' not in codes and "\\" not in codes and text.isascii())
                    ) and ("U" not in text and codes.isprintable()):
                        string = codes
                        reader.held = escaped[size:]
            elif text[-1] != "\\":
                # No escape is cut.
                try:
                    read, end = scan_string(text + '"', 0)
                except ValueError:
                    pass
                else:
                    if end <= len(text):
                        last: list[JSONEvent] = reader.feed_last(text, read, end)
                        return last
                    string = read
            if string is not None:
                reader.base += len(text)
                if not string:
                    return []
                document = self._document
                if document.fresh:
                    document.pieces.append(string)
                else:
                    document.fresh = string
                delta = new_event(StringDelta)
                delta.place = document.frame
                delta.member = document.key
                delta.text = string
                return [delta]
        elif at is IN_KEY and text.__class__ is str and "\\" not in text and not reader.held:
            key, quote, rest = text.partition('"')
            if key.isprintable() and (not rest or rest == ": "):
                reader.base += len(text)
                # Not `cut_key += key`, which copies what has come of a long key each time.
                cut, reader.cut_key = reader.cut_key, ""
                cut += key
                if quote:
                    self._document.key = cut
                    reader.at = VALUE if rest else COLON
                else:
                    reader.cut_key = cut
                return []
        told: list[JSONEvent] = reader.feed(text if text.__class__ is str else as_text(text))
        return told

    def end(self, *, now: float = 0.0) -> list[JSONEvent]:
        """Say that the text has ended.

        That finishes a number that is the whole document; in the lenient reading
        it closes what is open, which is a repair.

        Args:
            now: Unused; every stage takes it.
        """
        return self._reader.end()

    def _settled(self) -> Document:
        document = self._document
        if document.waiting is not None:
            document.settle()
        return document

    @property
    def has_value(self) -> bool:
        """Whether there is something to show."""
        return self._settled().has_value

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value as it is now: for looking, it goes on growing; None while `has_value` is False."""
        document = self._document
        # Not `document.value`: another call would take a twelfth of what a piece takes.
        if document.fresh:
            document.write_pieces()
        return document.root

    def snapshot(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value as it is now: a copy that never changes.

        Finished objects and arrays are shared by all snapshots; those that are
        still open are copied, each one level deep.
        """
        return self._settled().snapshot()

    @property
    def complete(self) -> bool:
        """Whether the document is finished: only white space may follow."""
        return self._settled().complete

    @property
    def error(self) -> InvalidJSON | LimitExceeded | None:
        """What went wrong, once something has; what was read before stays readable."""
        return self._settled().error

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was repaired, in the order of reading; strict reading repairs nothing."""
        return self._reader.repairs

    @property
    def repair_count(self) -> int:
        """How many `repairs` there are; to ask for them all takes longer the more there are."""
        return self._reader.repair_count


class OutputParser(PartialJSONParser):
    """A parser that tells what its stage has to know of a document among several.

    Args:
        choice: Which of several documents is read.
        accepts: What tells whether a document fits the type, for "matching"; None where it has none.
        allow: As in `PartialJSONParser`.
        lenient: As in `PartialJSONParser`.
        max_depth: As in `PartialJSONParser`.

    Raises:
        MisuseError: The choice cannot be made.
    """

    __slots__ = ()

    def __init__(
        self,
        choice: DocumentChoice | None,
        accepts: Callable[[Any], bool] | None = None,
        *,
        allow: int | None = None,
        lenient: Lenient,
        max_depth: int,
    ) -> None:
        check_choice(choice, lenient=lenient, typed=accepts is not None)
        super().__init__(allow=allow, max_depth=max_depth)
        if lenient is not False:
            self._reader = _reader_for(self._document, lenient, choice, accepts)

    @property
    def start(self) -> int:
        """Offset of the document, where it was chosen among several at the end; else 0."""
        return self._reader.start

    @property
    def has_begun(self) -> bool:
        """Whether something of a document has come, be it shown or not."""
        return self.has_value or self._reader.has_begun


def fault_in(text: str, *, max_depth: int = 512) -> InvalidJSON | LimitExceeded | None:
    """Return why a whole text is no JSON that can be read; None where it is.

    Example:
        >>> fault = fault_in('{"a": 1,}')
        >>> fault.offset
        8
    """
    parser = PartialJSONParser(max_depth=max_depth)
    parser.feed(text)
    parser.end()
    return parser.error
