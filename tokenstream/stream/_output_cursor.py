"""Where a reader is in the structured output of a choice."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tokenstream.errors import OutputInvalid, TokenStreamError
from tokenstream.stages._cursor import NULL
from tokenstream.stream._output_documents import Documents
from tokenstream.stream._output_end import no_json, placed
from tokenstream.stream._output_given import Given

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json import Repair
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stream._output_documents import Answer, Document, OutputKind, OutputStage

__all__ = ["OutputCursor"]

ItemT = TypeVar("ItemT")

_SPACE = " \t\r\n"
_CLOSING = frozenset('}]"')
"""JSON that ends with one of these, and is whole, cannot go on."""


class OutputCursor(Generic[ItemT]):
    """Where a reader is in the structured output of a choice.

    Args:
        answer: The choice.
        stage: Makes a stage that reads one document.
        kind: What it gives.
    """

    __slots__ = (
        "_accumulator",
        "_answer",
        "_at_once",
        "_documents",
        "_failure",
        "_found",
        "_given",
        "_is_plain",
        "_kind",
        "_only",
        "_over",
        "_restarts",
        "_stage",
    )

    def __init__(self, answer: Answer, stage: Callable[[], OutputStage[ItemT]], kind: OutputKind) -> None:
        self._answer = answer
        self._accumulator = answer.accumulator
        self._stage = stage
        self._kind: OutputKind = kind
        self._is_plain = kind == "drafts"
        self._documents = Documents(answer, stage, kind)
        self._only = self._documents.only
        """The document, where there is but one: nothing need be looked for in each event then."""
        self._given: Given | None = None
        """What the reader was given, where it may come again; drafts begin again themselves."""
        self._restarts = answer.accumulator.restarts
        self._found: deque[ItemT] = deque()
        """What the reader is given next; an error among it is raised in its place."""
        self._failure: Exception | None = None
        """What is raised once the stream is over."""
        self._at_once = False
        """Whether that is raised already before: it is an error of the program's."""
        self._over = False
        """Whether the end of the stream was taken."""

    def ready(self) -> ItemT | None:
        """Return what the reader has missed, out of what has come."""
        if self._restarts != self._accumulator.restarts:
            self._begin_again()
        if not self._found and not self._over:
            only = self._only
            if only is None:
                self._catch_up()
            else:
                piece = only.text.ready()
                if piece is not None:
                    self._take(only, piece)
        return self._next() if self._found or self._at_once else None

    def after(self, event: Any) -> ItemT | None:  # noqa: ANN401 - any event
        """Return what an event adds."""
        if self._restarts != self._accumulator.restarts:
            return self.ready()
        document = self._only or self._documents.find(event)
        if document is not None:
            piece = document.text.after(event)
            if piece is not None and self._is_plain and self._failure is None and not self._found:
                # The way of most events: as below, whose calls would cost each of them.
                stage = document.stage
                found = stage.feed(piece)
                if found:
                    document.last = found[-1]
                if stage.error is None:
                    return found[0] if found else None
                self._found += found
                self._judge(document)
            elif piece is not None or document.text.rewritten:
                self._take(document, piece)
        return self._next() if self._found or self._at_once else None

    def end(self) -> ItemT | None:
        """Return what the end of the stream adds, and raise what is wrong then.

        Raises:
            OutputInvalid: The output is not what was asked for.
            OutputIncomplete: The output was cut.
            LimitExceeded: The output is nested too deeply, or has too long a number.
        """
        if self._restarts != self._answer.accumulator.restarts:
            self._begin_again()
        if not self._over:
            self._over = True
            self._conclude()
        item = self._next()
        if item is None and self._given is not None and self._given.owes:
            self._given.check(self._answer.accumulator)
        if item is None and self._failure is not None:
            raise self._failure.with_traceback(None) from self._failure.__cause__
        return item

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in the documents that are read."""
        return tuple([repair for document in self._documents.read for repair in document.stage.repairs])

    @property
    def text(self) -> str:
        """The text of the document that is read, as far as it has come."""
        documents = self._documents.growing()
        return documents[0].text.text if documents else ""

    def whole_text(self, *, lenient: Lenient) -> str | None:
        """Return the text of the document that is read, once the stream is over; None where it may be cut.

        Args:
            lenient: Whether a missing end may be mended, so that a cut does not show.
        """
        documents = self._documents.growing()
        if not documents:
            return None
        document = documents[0].text
        text = document.text
        closed = not lenient and text.rstrip(_SPACE)[-1:] in _CLOSING
        return None if document.is_cut(self._answer.message, complete=closed) else text

    # -- within ------------------------------------------------------------------

    def _begin_again(self) -> None:
        """Read the answer that began again: drafts from its start, of anything else what was not given."""
        self._restarts = self._answer.accumulator.restarts
        self._documents = Documents(self._answer, self._stage, self._kind)
        self._only = self._documents.only
        self._found.clear()
        self._failure, self._at_once = None, False
        if self._given is not None:
            self._given.begin_again()

    def _next(self) -> ItemT | None:
        if not self._found:
            return self._take_next()
        given = self._given
        if given is None:
            # Only what has come tells whether it may come again: a relay says so.
            if not self._accumulator.may_restart or self._is_plain:
                return self._take_next()
            given = self._given = Given(self._kind)
        found: ItemT | None = given.pass_over(self._take_next, self._answer.accumulator)
        return found

    def _take_next(self) -> ItemT | None:
        if not self._found:
            if self._at_once and self._failure is not None:
                raise self._failure
            return None
        found: Any = self._found.popleft()
        if isinstance(found, OutputInvalid):
            raise placed(found, self._answer.message, "", None)
        return cast("ItemT", NULL) if found is None else found

    def _catch_up(self) -> None:
        for document in self._documents.growing():
            self._take(document, document.text.ready())

    def _take(self, document: Document[ItemT], piece: str | None) -> None:
        """Read a piece of a document."""
        if self._failure is not None:
            return
        if piece is not None:
            self._found += document.feed(piece)
        elif document.text.rewritten:
            document.text.rewritten = False
            self._found += self._documents.read_again(document)
        self._judge(document)

    def _judge(self, document: Document[ItemT]) -> None:
        """Take what is wrong with a document, if something is."""
        stage = document.stage
        error = stage.error
        if error is None:
            return
        if stage.stop is not None:
            self._answer.stop(stage.stop)
            self._fail(document, error)
        elif not isinstance(error, TokenStreamError):
            self._fail(document, error)

    def _fail(self, document: Document[ItemT], error: Exception) -> None:
        self._failure = placed(error, self._answer.message, document.text.text, document.best)
        self._at_once = not isinstance(error, TokenStreamError)

    def _conclude(self) -> None:
        """Take the end of the answer."""
        self._catch_up()
        documents = self._documents.last
        for document in documents:
            self._take(document, document.text.end())
        message, tool = self._answer.message, self._answer.tool
        if self._failure is not None:
            # It ends in another way than it stood when that came.
            self._failure = placed(self._failure, message, "", None)
        elif not documents or (tool is None and documents[0].text.empty):
            self._failure = placed(no_json(message, tool), message, "", None)
        for document in documents:
            if self._failure is not None:
                return
            found, failure = document.end(message)
            self._found += found
            if failure is not None:
                self._fail(document, failure)
