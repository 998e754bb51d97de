"""A reader's position in the structured output of a choice."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tokenstream.errors import OutputInvalid, TokenStreamError
from tokenstream.stages._cursor import NULL
from tokenstream.stream._outputs.documents import OutputDocuments
from tokenstream.stream._outputs.end import add_context, missing_json_error
from tokenstream.stream._outputs.given import Given

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json import Repair
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stream._outputs.documents import OutputChoice, OutputDocument, OutputKind, OutputStage

ItemT = TypeVar("ItemT")

_SPACE = " \t\r\n"
_CLOSING = frozenset('}]"')
"""Last characters of complete JSON that cannot continue; a number at the end could."""


class OutputCursor(Generic[ItemT]):
    """A reader's position in the structured output of a choice.

    Args:
        answer: The choice.
        stage: Makes a stage that reads one document.
        kind: The kind of items that the stage returns.
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

    def __init__(
        self, answer: OutputChoice, stage: Callable[[], OutputStage[ItemT]], kind: OutputKind
    ) -> None:
        self._answer = answer
        self._accumulator = answer.accumulator
        self._stage = stage
        self._kind: OutputKind = kind
        self._is_plain = kind == "drafts"
        self._documents = OutputDocuments(answer, stage, kind)
        self._only = self._documents.only
        """The only document, if there cannot be several; events then need not be assigned to one."""
        self._given: Given | None = None
        """Record of the delivered items, if the answer may be restarted; drafts just start over."""
        self._restarts = answer.accumulator.restarts
        self._found: deque[ItemT] = deque()
        """Items to deliver next; an error in the queue is raised when it is the first item."""
        self._failure: Exception | None = None
        """The error to raise once the stream is over."""
        self._at_once = False
        """True if `_failure` is an error of the program's own code, which is raised at once."""
        self._over = False
        """True once the end of the stream was processed."""

    def ready(self) -> ItemT | None:
        """Return the next item that has arrived; None if no further item has arrived."""
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
        """Return the item that an event adds; None if the event adds no item."""
        if self._restarts != self._accumulator.restarts:
            return self.ready()
        document = self._only or self._documents.find(event)
        if document is not None:
            piece = document.text.after(event)
            if piece is not None and self._is_plain and self._failure is None and not self._found:
                # Most events take this path, which does the same as `_take` and `_next` without the
                # cost of the calls.
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
        """Return the item that the end of the stream adds, or raise the error of the output.

        Raises:
            OutputInvalid: The output does not match the requested type.
            OutputIncomplete: The output was cut off.
            LimitExceeded: The output is nested too deeply, or contains a number that is too long.
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
        """The repairs that were made in the selected documents."""
        return tuple([repair for document in self._documents.selected for repair in document.stage.repairs])

    @property
    def text(self) -> str:
        """The text of the selected document, as far as it has arrived."""
        documents = self._documents.growing()
        return documents[0].text.text if documents else ""

    def whole_text(self, *, lenient: Lenient) -> str | None:
        """Return the text of the selected document once the stream is over; None for a text that may be cut.

        Args:
            lenient: True if a missing end may be repaired, which would hide that the text is cut off.
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
        """Read a restarted answer from its start; items other than drafts are not delivered twice."""
        self._restarts = self._answer.accumulator.restarts
        self._documents = OutputDocuments(self._answer, self._stage, self._kind)
        self._only = self._documents.only
        self._found.clear()
        self._failure, self._at_once = None, False
        if self._given is not None:
            self._given.begin_again()

    def _next(self) -> ItemT | None:
        """Return the next item that was not delivered before a restart; None if the queue has none."""
        if not self._found:
            return self._take_next()
        given = self._given
        if given is None:
            # This is known only once something has arrived: a relay announces that the answer may
            # be restarted.
            if not self._accumulator.may_restart or self._is_plain:
                return self._take_next()
            given = self._given = Given(self._kind)
        found: ItemT | None = given.pass_over(self._take_next, self._answer.accumulator)
        return found

    def _take_next(self) -> ItemT | None:
        """Return the first item of the queue; None for an empty queue, NULL for an item that is None.

        Raises:
            Exception: The item is an error, or the queue is empty and the program's own code failed.
        """
        if not self._found:
            if self._at_once and self._failure is not None:
                raise self._failure
            return None
        found: Any = self._found.popleft()
        if isinstance(found, OutputInvalid):
            raise add_context(found, self._answer.message, "", None)
        return cast("ItemT", NULL) if found is None else found

    def _catch_up(self) -> None:
        """Read what has arrived since the last call."""
        for document in self._documents.growing():
            self._take(document, document.text.ready())

    def _take(self, document: OutputDocument[ItemT], piece: str | None) -> None:
        """Read a piece of a document, or the whole document if it differs from its pieces."""
        if self._failure is not None:
            return
        if piece is not None:
            self._found += document.feed(piece)
        elif document.text.rewritten:
            document.text.rewritten = False
            self._found += self._documents.read_again(document)
        self._judge(document)

    def _judge(self, document: OutputDocument[ItemT]) -> None:
        """Record a document's error, if it has one; stop the stream if the stage requires that."""
        stage = document.stage
        error = stage.error
        if error is None:
            return
        if stage.stop is not None:
            self._answer.stop(stage.stop)
            self._fail(document, error)
        elif not isinstance(error, TokenStreamError):
            self._fail(document, error)

    def _fail(self, document: OutputDocument[ItemT], error: Exception) -> None:
        """Record the error to raise."""
        self._failure = add_context(error, self._answer.message, document.text.text, document.best)
        self._at_once = not isinstance(error, TokenStreamError)

    def _conclude(self) -> None:
        """Read the rest of the answer at its end, and judge each document."""
        self._catch_up()
        documents = self._documents.judged
        for document in documents:
            self._take(document, document.text.end())
        message, tool = self._answer.message, self._answer.tool
        if self._failure is not None:
            # The message has ended after the error was recorded, so the error gets the new message.
            self._failure = add_context(self._failure, message, "", None)
        elif not documents or (tool is None and documents[0].text.empty):
            self._failure = add_context(missing_json_error(message, tool), message, "", None)
        for document in documents:
            if self._failure is not None:
                return
            found, failure = document.end(message)
            self._found += found
            if failure is not None:
                self._fail(document, failure)
