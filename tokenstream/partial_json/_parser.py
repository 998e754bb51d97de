"""The public parser, a variant for typed outputs, the option `document=`, and the repair of a whole text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json._document import ARR, OBJ, STR, Document, new_event
from tokenstream.partial_json._events import JSONEvent, StringDelta
from tokenstream.partial_json._repairs import Lenient, Repair, check_lenient
from tokenstream.partial_json._strict.grammar import COLON, IN_KEY, IN_STRING, VALUE
from tokenstream.partial_json._strict.reader import StrictReader, check_text
from tokenstream.partial_json._strict.strings import LONGEST_ESCAPE, SHORT, read_codes, scan_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._lenient import LenientReader
    from tokenstream.partial_json._lenient.choosing import ChoosingReader

DocumentChoice: TypeAlias = Literal["first", "last", "matching"]
"""The document to read: the first, the last, or the one that validates against the type."""

_CHOICES = ("first", "last")
_CHOICES_WITH_TYPE = (*_CHOICES, "matching")

_DEFAULT_ALLOW = STR | ARR | OBJ


def check_choice(document: object, *, lenient: object, typed: bool = False) -> None:
    """Raise an error if `document=` has an unknown value or contradicts the other options."""
    if document is None:
        return
    allowed: Any = _CHOICES_WITH_TYPE if typed else _CHOICES
    if document == "matching" and not typed:
        raise MisuseError(
            'document="matching" needs the type of the whole document, which partials(), result() and '
            'validate_output() have; pass "first" or "last" here'
        )
    if document not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise MisuseError(f"document= takes {words} or None, not {document!r}")
    if not lenient:
        raise MisuseError(f"document={document!r} needs lenient=True: strict JSON is a single document")


def _check_allow(allow: object) -> int:
    if allow is None:
        return _DEFAULT_ALLOW
    if not isinstance(allow, int) or isinstance(allow, bool) or allow < 0:
        raise ValueError(f"allow takes flags of Allow (partial-json-parser), or None, not {allow!r}")
    # As a plain int: testing a flag of an enum takes a hundred times as long.
    return int(allow)


def _check_depth(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"max_depth takes a whole number of at least 0, not {value!r}")
    return value


def _make_reader(
    document: Document,
    lenient: object,
    choice: DocumentChoice | None,
    accepts: Callable[[Any], bool] | None = None,
    *,
    may_be_array: bool = True,
) -> StrictReader | LenientReader | ChoosingReader:
    closed = check_lenient(lenient) == "closed"
    # The lenient readers are imported only when needed.
    if choice in {"last", "matching"}:
        from tokenstream.partial_json._lenient.choosing import ChoosingReader

        return ChoosingReader(
            document,
            accepts if choice == "matching" else None,
            must_be_closed=closed,
            may_be_array=may_be_array,
        )
    if lenient:
        from tokenstream.partial_json._lenient import LenientReader

        return LenientReader(
            document,
            must_be_closed=closed,
            takes_first=choice == "first",
            accepts=accepts,
            may_be_array=may_be_array,
        )
    return StrictReader(document)


class PartialJSONParser(ErrorKeeper):
    """Parse JSON from pieces of its text; the value is current after each piece.

    Each character is read once, however the text is cut. `feed` returns events that
    report what a piece has changed; `value` is the current value, and `snapshot()` a copy
    that never changes. A text that is not JSON sets `error`; the part of the value that
    was read before remains available. docs/guides/partial-json.md describes the contract.

    Args:
        allow: Kinds of values that are visible before they are complete, as flags of `Allow`;
            by default, strings, arrays and objects.
        lenient: True to read the near-JSON that models write; `repairs` lists each
            repair. With "closed", a text whose end is missing is `InvalidJSON`, as in
            strict reading.
        document: The document to read if a lenient text contains several: "first" ignores all
            text after it; "last" returns nothing before the end. None refuses a second one that differs.
        max_depth: The maximum nesting of objects and arrays; beyond it, `error` is
            `LimitExceeded`.
        decimals: True to read a number with a fraction or an exponent as the exact
            `decimal.Decimal`, instead of a float.

    Example:
        >>> parser = PartialJSONParser()
        >>> [type(event).__name__ for event in parser.feed('{"title": "Panc')]
        ['ValueStart', 'ValueStart', 'StringDelta']
        >>> parser.value
        {'title': 'Panc'}
        >>> _ = parser.feed('akes", "minutes": 20}')
        >>> parser.value, parser.complete
        ({'title': 'Pancakes', 'minutes': 20}, True)
    """

    __slots__ = ("_document", "_reader")

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
            max_depth = _check_depth(max_depth)
        allowed = _DEFAULT_ALLOW if allow is None else _check_allow(allow)
        self._document = Document(allowed, max_depth, decimals=decimals)
        self._reader: StrictReader | LenientReader | ChoosingReader
        # A direct path: for a short answer that arrives whole, `_make_reader` takes as long as reading it.
        if lenient is False and document is None:
            self._reader = StrictReader(self._document)
        else:
            check_choice(document, lenient=lenient)
            self._reader = _make_reader(self._document, lenient, document)

    def feed(self, text: str, *, now: float = 0.0) -> list[JSONEvent]:  # noqa: C901 - as the comment says
        """Read a piece of the document, and return its events.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Not used; every stage has this parameter.
        """
        reader: Any = self._reader
        state = reader.state
        # Most pieces lie inside a string or a key. They are read here, because another call would
        # take a tenth of the time of a piece. There are three cases, by the escapes in the piece: none; only
        # codes; others. (Text that is printable contains no control characters, which JSON forbids.)
        if state is IN_STRING and text.__class__ is str:
            # The decoded piece; it stays None if only the reader can read the piece.
            string = None
            incomplete = reader.incomplete
            if not incomplete and "\\" not in text:
                # No escape: the piece is text as it is, unless a quote ends the string.
                if '"' not in text and text.isprintable():
                    string = text
            elif incomplete or "\\u" in (text if len(text) < SHORT else text[-LONGEST_ESCAPE:]):
                # Escapes by code, such as `\u00e9`; `incomplete` is the start of one that was cut. The
                # argument None makes errors raise; False allows the text to end inside an escape.
                escaped = incomplete + text
                try:
                    codes, size = read_codes(escaped, None, False)  # noqa: FBT003 - it takes no names
                except UnicodeError:
                    pass
                else:
                    # Valid if all of it is codes (six characters each), or if no backslash is left, since
                    # other escapes keep theirs. `\U` is not JSON. Half a surrogate pair is not printable.
                    if (
                        6 * len(codes) == size or ('"' not in codes and "\\" not in codes and text.isascii())
                    ) and ("U" not in text and codes.isprintable()):
                        string = codes
                        reader.incomplete = escaped[size:]
            elif text[-1] != "\\":
                # Other escapes; the piece does not end in the middle of one. The added quote ends the scan.
                try:
                    decoded, end = scan_string(text + '"', 0)
                except ValueError:
                    pass
                else:
                    if end <= len(text):
                        # The piece itself has the closing quote.
                        end_events: list[JSONEvent] = reader.feed_string_end(text, decoded, end)
                        return end_events
                    string = decoded
            if string is not None:
                reader.base += len(text)
                if not string:
                    return []
                document = self._document
                if document.pending:
                    document.more_pending.append(string)
                else:
                    document.pending = string
                delta = new_event(StringDelta)
                delta.place = document.frame
                delta.member = document.key
                delta.text = string
                return [delta]
        # Mostly, nothing follows a key in its last piece, or only the colon.
        elif state is IN_KEY and text.__class__ is str and "\\" not in text and not reader.incomplete:
            key, quote, following_text = text.partition('"')
            if key.isprintable() and (not following_text or following_text == ": "):
                reader.base += len(text)
                # Not `reader.cut_key += key`, which would copy a long key for each piece.
                cut, reader.cut_key = reader.cut_key, ""
                cut += key
                if quote:
                    self._document.key = cut
                    reader.state = VALUE if following_text else COLON
                else:
                    reader.cut_key = cut
                return []
        events: list[JSONEvent] = reader.feed(text if text.__class__ is str else check_text(text))
        return events

    def end(self, *, now: float = 0.0) -> list[JSONEvent]:
        """End the text, and return the last events.

        This finishes a number that is the whole document. Lenient reading also closes
        everything that is open, and records a repair.

        Args:
            now: Not used; every stage has this parameter.
        """
        return self._reader.end()

    @property
    def has_value(self) -> bool:
        """True once any part of the value is visible."""
        return self._document.has_value

    @property
    def value(self) -> Json:
        """The current value, which changes while the text is read; None while `has_value` is False."""
        document = self._document
        # Not `document.value`: another call would take a twelfth of the time of a piece.
        if document.pending:
            document.write_pieces()
        return document.root

    def snapshot(self) -> Json:
        """Return a copy of the current value that never changes.

        All snapshots share the finished objects and arrays; each open object or array
        is copied, but not the values in it.
        """
        return self._document.snapshot()

    @property
    def complete(self) -> bool:
        """True once the document is finished: only white space may follow it."""
        return self._document.complete

    @property
    def error(self) -> InvalidJSON | LimitExceeded | None:
        """The error, or None; the part of the value read before it remains available."""
        return self._document.error

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made; always empty in strict reading."""
        return self._reader.repairs

    @property
    def repair_count(self) -> int:
        """Number of repairs; unlike `repairs`, this builds no tuple."""
        return self._reader.repair_count


class OutputParser(PartialJSONParser):
    """A parser that can choose among several documents, and reports where the chosen one starts.

    Args:
        choice: The document to read if a lenient text contains several: "first", "last", or "matching" for
            one that fits the type. None refuses a second document that differs.
        accepts: Returns True if a document fits the type, for "matching" and None; None without a type.
        may_be_array: False if no array fits the type.
        allow: Kinds of values that are visible before they are complete.
        lenient: True to read near-JSON; with "closed", a text whose end is missing is refused.
        max_depth: The maximum nesting of objects and arrays.

    Raises:
        MisuseError: The choice contradicts the other options.
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
        may_be_array: bool = True,
    ) -> None:
        check_choice(choice, lenient=lenient, typed=accepts is not None)
        super().__init__(allow=allow, max_depth=max_depth)
        # The base class has made a strict reader.
        if lenient is not False:
            self._reader = _make_reader(self._document, lenient, choice, accepts, may_be_array=may_be_array)

    @property
    def start(self) -> int:
        """Offset from which another parser can read the chosen document again, with the choice "first".

        At the end of the text, it is the start of the document that "last" or "matching" has chosen. With
        "first" or None it is 0, even if prose precedes the document: the other parser skips the prose.
        """
        return self._reader.start

    @property
    def has_begun(self) -> bool:
        """True once part of a document has arrived, even if it is not visible yet."""
        return self.has_value or self._reader.has_begun


def find_fault(text: str, *, max_depth: int) -> InvalidJSON | LimitExceeded | None:
    """Return the error in a whole text; None if it is valid JSON within the limits."""
    parser = PartialJSONParser(max_depth=max_depth)
    parser.feed(text)
    parser.end()
    return parser.error


def mend(text: str, lenient: Lenient, *, max_depth: int) -> tuple[str, tuple[Repair, ...]]:
    """Repair almost-JSON, or raise `InvalidJSON`; return it as JSON, with the repairs."""
    parser = PartialJSONParser(lenient=lenient, max_depth=max_depth)
    parser.feed(text)
    parser.end()
    # Raises the parser's error, if there is one.
    parser.check()
    return json.dumps(parser.value), parser.repairs
