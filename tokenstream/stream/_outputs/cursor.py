"""A reader's cursor in the structured output of a choice, and the result at its end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, cast

from tokenstream._basics.json import are_equal
from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import LimitExceeded, OutputIncomplete, OutputInvalid, StreamError, TokenStreamError
from tokenstream.events import Finish, PartDone, ToolCallDone
from tokenstream.partial_json._parser import DocumentChoice, check_choice
from tokenstream.partial_json._typed.schema import Schema, T
from tokenstream.stages._objects.partials import Partials, validate_output
from tokenstream.stages._protocols import ITEM_END, LOOP_END, NULL, ItemT, StageSource
from tokenstream.stream._outputs.documents import OutputDocuments
from tokenstream.stream._outputs.text import failed_stream_error, missing_json_error
from tokenstream.stream._views.log_cursor import DeliveredItems

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pydantic import TypeAdapter

    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.stream._outputs.documents import OutputChoice, OutputDocument, OutputKind, OutputStage
    from tokenstream.stream._outputs.text import AnyOutputError

_INVALID = object()
"""Placeholder for an invalid element, for which an error was raised."""


_SPACE = " \t\r\n"
_ENDS = frozenset({PartDone, ToolCallDone, Finish})
"""Events with which the last draft has come, as far as is known."""
_CLOSING = frozenset('}]"')
"""Last characters of complete JSON that cannot continue; a number at the end could."""


class OutputCursor(Generic[ItemT]):
    """A reader's cursor in the structured output of a choice.

    The output is one JSON document, the text of the choice; or several, the arguments of a tool's calls.

    Args:
        make_stage: Makes a stage that reads one document.
        kind: The kind of items that the stage returns.
    """

    def __init__(
        self, answer: OutputChoice, make_stage: Callable[[], OutputStage[ItemT]], kind: OutputKind
    ) -> None:
        self._answer = answer
        self._accumulator = answer.accumulator
        # The first stage is made now, because making it checks the caller's arguments.
        self._make_stage = StageSource(make_stage)
        self._kind: OutputKind = kind
        self._is_drafts = kind == "drafts"
        self._documents = OutputDocuments(answer, self._make_stage, kind)
        self._only_document = self._documents.only
        """The only document, if there cannot be several; events then need not be assigned to one."""
        self._delivered: DeliveredItems | None = None
        """The items delivered so far, if the answer may be restarted; None for drafts, which start over."""
        self._restarts = answer.accumulator.restarts
        """Number of the answer's restarts for which this cursor has started over."""
        self._queue: deque[ItemT] = deque()
        """Items to deliver next; an error in the queue is raised when it is the first item."""
        self._failure: Exception | None = None
        """The error to raise once the stream is over."""
        self._raise_at_once = False
        """True if `_failure` is an error of the program's own code, which is raised at once."""
        self._was_end_read = False
        """True once the end of the stream was processed."""
        self._tells_ends = False
        """True to return `ITEM_END` after each string, and after what may be the last draft."""

    def tell_ends(self) -> deque[ItemT]:
        """From now on, also return `ITEM_END` after a string or draft; the result is what waits."""
        self._tells_ends = True
        return self._queue

    def ready(self) -> ItemT | None:
        """Return the next item that has arrived; None if no further item has arrived."""
        if self._restarts != self._accumulator.restarts:
            self._start_over()
        if not self._queue and not self._was_end_read:
            only = self._only_document
            if only is None:
                self._read_arrived()
            else:
                piece = only.text.ready()
                if piece is not None:
                    self._read_piece(only, piece)
        # `_next_new_item` also raises an error of the program's own code (`_raise_at_once`).
        return self._next_new_item() if self._queue or self._raise_at_once else None

    def after(self, event: object) -> ItemT | None:
        """Return the item that an event adds; None if the event adds no item."""
        if self._restarts != self._accumulator.restarts:
            # The answer was restarted, so all of it is read anew.
            return self.ready()
        document = self._only_document or self._documents.find_document(event)
        if document is not None:
            piece = document.text.after(event)
            if piece is not None and self._is_drafts and self._failure is None and not self._queue:
                # Most events take this path, which does the same as `_read_piece` and `_next_new_item`
                # without the cost of the calls.
                stage = document.stage
                drafts = stage.feed(piece)
                if drafts:
                    document.last = drafts[-1]
                if stage.error is None:
                    # A piece makes at most one draft.
                    return drafts[0] if drafts else None
                self._queue += drafts
                self._note_error(document)
            elif piece is not None or document.text.rewritten:
                # `rewritten`: the arguments of the complete call differ from their pieces.
                self._read_piece(document, piece)
        if self._tells_ends and self._is_drafts and event.__class__ in _ENDS:
            self._queue.append(ITEM_END)
        # With `_raise_at_once`, this raises an error of the program's own code.
        return self._next_new_item() if self._queue or self._raise_at_once else None

    def end(self) -> ItemT | None:
        """Return the item that the end of the stream adds, or None; raise the error of an invalid output."""
        if self._restarts != self._accumulator.restarts:
            self._start_over()
        if not self._was_end_read:
            self._was_end_read = True
            self._read_end()
        item = self._next_new_item()
        if item is not None:
            return item
        if self._delivered is not None:
            self._delivered.check_end()
        if self._failure is not None:
            raise raised_anew(self._failure)
        return None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the selected documents."""
        return tuple([repair for document in self._documents.selected for repair in document.stage.repairs])

    @property
    def text(self) -> str:
        """The text of the document that is read, as far as it has arrived: the answer's, or a call's."""
        documents = self._documents.find_growing()
        return documents[0].text.text if documents else ""

    def whole_text(self, *, lenient: Lenient) -> str | None:
        """Return the text of the selected document, once the stream is over.

        The result is None if there is no document, or if its text may be cut off, which a lenient repair
        would hide.
        """
        documents = self._documents.find_growing()
        if not documents:
            return None
        cursor = documents[0].text
        text = cursor.text
        # After a closing bracket or quote, the JSON is either complete or invalid; validation decides that.
        is_closed = not lenient and text.rstrip(_SPACE)[-1:] in _CLOSING
        return None if cursor.is_cut(self._answer.message, complete=is_closed) else text

    # -- within ------------------------------------------------------------------

    def _start_over(self) -> None:
        """Read a restarted answer from its start; items other than drafts are not delivered twice."""
        self._restarts = self._accumulator.restarts
        self._documents = OutputDocuments(self._answer, self._make_stage, self._kind)
        self._only_document = self._documents.only
        self._queue.clear()
        self._failure, self._raise_at_once = None, False
        if self._delivered is not None:
            self._delivered.begin_again()

    def _next_new_item(self) -> ItemT | None:
        """Return the next item that was not delivered before a restart; None if the queue has none."""
        if not self._queue:
            # This returns None, or raises an error of the program's own code.
            return self._pop_item()
        delivered = self._delivered
        if delivered is None:
            # This is known only once something has arrived: a relay announces that the answer may
            # be restarted.
            if not self._accumulator.may_restart or self._is_drafts:
                return self._pop_item()
            are_same = None if self._kind == "pieces" else are_equal
            delivered = self._delivered = DeliveredItems(self._accumulator, are_same=are_same)
        while True:
            item: Any = _INVALID
            try:
                item = self._pop_item()
            except OutputInvalid:
                if not delivered.lacks_items:
                    # All delivered items were found again, so this error is new.
                    delivered.add(item)
                    raise
            new: ItemT | None = None if item is None else delivered.skip(item)
            if new is not None:
                delivered.add(new)
            if new is not None or item is None:
                return new

    def _pop_item(self) -> ItemT | None:
        """Return the first item of the queue, NULL if it is None, or raise it; None for an empty queue."""
        while self._queue and self._passes(self._queue[0]):
            self._queue.popleft()
        if not self._queue:
            if self._raise_at_once and self._failure is not None:
                raise self._failure
            return None
        item: Any = self._queue.popleft()
        if isinstance(item, OutputInvalid):
            raise self._answer.add_to(item)
        # From a cursor, None would mean that no item has arrived.
        return cast("ItemT", NULL) if item is None else item

    def _passes(self, item: object) -> bool:
        """Return True for a mark that tells this reader nothing; at the loop's end, raise its exception."""
        driver = self._answer.driver
        if item is LOOP_END and driver.in_block and not driver.verdict.is_asked:
            # The mark stays in the queue, and ends each further loop; the block closes the stream.
            if self._delivered is not None:
                self._delivered.check_end()
            raise driver.exhausted
        return item is LOOP_END or (item is ITEM_END and not self._tells_ends)

    def _read_arrived(self) -> None:
        """Read all that has arrived since the last call of this method."""
        for document in self._documents.find_growing():
            self._read_piece(document, document.text.ready())

    def _read_piece(self, document: OutputDocument[ItemT], piece: str | None) -> None:
        """Read a document's piece, None after a rewrite; read all again if the pieces were not right."""
        if self._failure is not None:
            # The output ends with the error.
            return
        if piece is not None:
            self._queue += document.feed(piece)
        elif document.text.rewritten:
            document.text.rewritten = False
            self._queue += document.read_again(self._make_stage())
        self._note_error(document)

    def _note_error(self, document: OutputDocument[ItemT]) -> None:
        """Record an error that ends the output; stop the stream if the document's stage asks for that."""
        stage = document.stage
        error = stage.error
        if error is None:
            return
        if stage.stop is not None:
            # The stage asks to end the input at its first error, as the caller wanted with `fail_fast`.
            self._answer.driver.stop(stage.stop)
            self._set_failure(document, error)
        elif not isinstance(error, TokenStreamError):
            # A validator of the program has raised the error.
            self._set_failure(document, error)

    def _set_failure(self, document: OutputDocument[ItemT], error: Exception) -> None:
        """Record the error to raise: at the end, or at once if the program's own code has raised it."""
        self._failure = self._answer.add_to(error, document.text.text, document.last_snapshot)
        self._raise_at_once = not isinstance(error, TokenStreamError)

    def _read_end(self) -> None:
        """Read the rest of the answer at its end, and record the error if the output is not as requested."""
        self._read_arrived()
        documents = self._documents.to_validate
        for document in documents:
            self._read_piece(document, document.text.end())
        message, tool = self._answer.message, self._answer.tool
        if self._failure is not None:
            # The message has ended after the error was recorded, so the error gets the new message.
            self._failure = self._answer.add_to(self._failure)
        elif not documents or (tool is None and documents[0].text.empty):
            # No JSON has arrived. Of a tool's call, empty arguments count as an empty object.
            self._failure = self._answer.add_to(missing_json_error(message, tool))
        # The first error ends the output.
        for document in documents:
            if self._failure is not None:
                return
            items, error = document.end(message)
            self._queue += items
            if error is not None:
                self._set_failure(document, error)


class ResultCursor(Generic[T]):
    """A cursor whose only item is the whole answer, as a typed value.

    Args:
        type: The value's type.
        lenient: True to repair almost-JSON; for "closed", see `Lenient`.
        document: The document to read if there are several, with *lenient*.
        outcomes: Results of earlier requests, each under a key made of the request's arguments.
    """

    def __init__(
        self,
        answer: OutputChoice,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        outcomes: dict[Hashable, Any],
        *,
        lenient: Lenient,
        document: DocumentChoice | None = None,
    ) -> None:
        # A type that cannot be used is refused before anything is read.
        Schema[T].of(type)
        check_choice(document, lenient=lenient, typed=True)
        self._answer = answer
        self._type = type
        self._lenient: Lenient = lenient
        self._document: DocumentChoice | None = document
        self._outcomes = outcomes
        self._key = (answer.choice, answer.tool, lenient, document, _make_type_key(type))

    def ready(self) -> T | None:
        """Return None: the result needs the whole answer."""
        return None

    def after(self, event: object) -> T | None:
        return None

    def end(self) -> T:
        if self._key not in self._outcomes:
            try:
                self._store(self._read_value())
            except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
                self._store(error=error.with_traceback(None))
        return self._take_outcome()

    def end_broken_off(self, cause: StreamError) -> T:
        """Return the value although the stream broke off; OutputIncomplete if the choice was not complete."""
        answer = self._answer
        if answer.accumulator.ending_of(answer.index) == "complete":
            return self.end()
        if self._key not in self._outcomes:
            self._store(error=self._unfinished_error(cause))
        return self._take_outcome()

    # -- within ------------------------------------------------------------------

    def _store(self, value: T | None = None, error: AnyOutputError | None = None) -> None:
        """Store the outcome, with the type: the key may contain its `id()`, so it is kept alive."""
        self._outcomes[self._key] = value, error, self._type

    def _take_outcome(self) -> T:
        value, error, _ = self._outcomes[self._key]
        if error is not None:
            raise raised_anew(error)
        # From a cursor, None would mean that no item has arrived.
        outcome: T = NULL if value is None else value
        return outcome

    def _read_value(self) -> T:
        """Return the value of the finished answer, read at once if possible, or else as drafts."""
        drafts = self._make_drafts()
        text = drafts.whole_text(lenient=self._lenient)
        if text is not None:
            try:
                return validate_output(self._type, text, lenient=self._lenient, document=self._document)
            except (OutputInvalid, OutputIncomplete, LimitExceeded):
                # Reading the drafts, below, raises the error again with the last snapshot.
                pass
        # `end` returns a draft at a time, and None after the last one.
        *_, last_draft = iter(drafts.end, None)
        return last_draft.final()

    def _unfinished_error(self, cause: StreamError) -> OutputIncomplete:
        text = self._make_drafts().text
        drafts = self._make_stage().feed(text)
        best = drafts[-1] if drafts else None
        error = failed_stream_error(cause, text, best)
        error.partial, error.origin = self._answer.message, cause.origin
        error.__cause__ = raised_anew(cause)
        return error

    def _make_drafts(self) -> OutputCursor[Partial[T]]:
        return OutputCursor(self._answer, self._make_stage, kind="drafts")

    def _make_stage(self) -> Partials[T]:
        return Partials(self._type, lenient=self._lenient, document=self._document)


def _make_type_key(type: object) -> Hashable:  # noqa: A002
    """Return a key that distinguishes types, even equal unions that list their members in another order."""
    try:
        hash(type)
    except TypeError:
        # The stored outcome keeps the type alive, so no other type gets the same id.
        return id(type)
    return type, repr(type)
