"""JSON documents in an answer, each with the stage that reads it.

A document is the text of the answer, or the arguments of a tool call.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from tokenstream.errors import InvalidJSON, LimitExceeded, OutputIncomplete, OutputInvalid
from tokenstream.events import ToolCallStart
from tokenstream.message import Message, ToolCall
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._outputs.text import AnswerTextCursor, ArgumentsCursor, incomplete_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._answer.growing import GrowingPart
    from tokenstream._basics.loose import AnyEvent
    from tokenstream._values.origin import Origin
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.stream._protocols import Driver

ErrorT = TypeVar("ErrorT", bound=Exception)
OutputKind: TypeAlias = Literal["drafts", "items", "pieces"]
"""Kinds of items: snapshots of the whole object, elements of an array, or pieces of a string."""


class OutputStage(Protocol[ItemT]):
    """A stage that reads the JSON of an answer.

    `complete` is True once the document is finished, even if more text follows it. `repairs` are those of
    almost-JSON, in the order in which they were made. The rest is as in `tokenstream.stages.Stage`.
    """

    @property
    def complete(self) -> bool: ...
    @property
    def error(self) -> Exception | None: ...
    @property
    def stop(self) -> str | None: ...
    @property
    def repairs(self) -> tuple[Repair, ...]: ...
    def feed(self, text: str, /) -> list[ItemT]: ...
    def end(self) -> list[ItemT]: ...


class OutputChoice:
    """The choice whose JSON is read.

    Args:
        tool: The tool whose arguments are the JSON; None if the answer's own text is.
    """

    def __init__(self, driver: Driver, choice: int, tool: str | None) -> None:
        self.driver = driver
        self.accumulator: Accumulator = driver.accumulator
        self.choice = choice
        self.tool = tool

    @property
    def index(self) -> int:
        """The choice's index; for 0, the index of the first choice that exists."""
        return self.choice or self.accumulator.main

    @property
    def origin(self) -> Origin | None:
        return self.accumulator.origin

    @property
    def message(self) -> Message:
        return self.accumulator.message_of(self.index)

    def add_to(self, error: ErrorT, text: str = "", best: Partial[Any] | None = None) -> ErrorT:
        """Add to a stage's error what it does not know, where that is missing, and return the error.

        Exceptions of the program's own validators stay unchanged.
        """
        if isinstance(error, OutputInvalid | OutputIncomplete | LimitExceeded):
            error.partial, error.origin = self.message, self.origin
        if isinstance(error, OutputInvalid | OutputIncomplete):
            error.text = error.text or text
            error.best = best if error.best is None else error.best
        return error


class OutputDocument(Generic[ItemT]):
    """A document of an answer, and the stage that reads it.

    Args:
        text: The cursor in the document's text.
        kind: The kind of items that the stage returns.
    """

    def __init__(
        self, text: AnswerTextCursor | ArgumentsCursor, stage: OutputStage[ItemT], kind: OutputKind
    ) -> None:
        self.text = text
        self.stage = stage
        self._kind = kind
        self._delivered_count = 0
        """Number of items returned so far; for pieces of a string, of characters and errors."""
        self.last: ItemT | None = None

    @property
    def last_snapshot(self) -> Partial[Any] | None:
        """The last snapshot; None if the stage returns items of another kind."""
        return cast("Partial[Any] | None", self.last) if self._kind == "drafts" else None

    def feed(self, piece: str) -> list[ItemT]:
        items = self.stage.feed(piece)
        return self._count_items(items) if items else items

    def read_again(self, stage: OutputStage[ItemT]) -> list[ItemT]:
        """Read the whole text, because it differs from the pieces read so far; return the new items."""
        if self.stage.error is None and self.stage.complete:
            # Usually, this is the same JSON with other spacing or escapes.
            return []
        delivered, self._delivered_count, self.stage = self._delivered_count, 0, stage
        items = self.feed(self.text.text)
        if self._kind == "pieces":
            # Pieces may be split elsewhere this time, so characters are counted.
            return _join_pieces(_split_pieces(items)[delivered:])
        # Each draft is a snapshot of the whole, so all drafts are new; elements are counted.
        return items if self._kind == "drafts" else items[delivered:]

    def end(self, message: Message) -> tuple[list[ItemT], Exception | None]:
        """Return the items that the end of the answer adds, and the document's error or None.

        Of a text that was cut off, only the error is returned.
        """
        stage, text, error = self.stage, self.text, self.stage.error
        if error is not None:
            return [], error
        is_complete = stage.complete
        is_cut = text.is_cut(message, complete=is_complete)
        items = stage.end()
        error = stage.error
        is_wrong_anyway = isinstance(error, InvalidJSON)
        lacks_end = is_cut or isinstance(error, OutputIncomplete)
        if is_wrong_anyway or not lacks_end:
            # The text is whole, or would be wrong even if it were whole.
            return self._count_items(items), error
        if error is None:
            return [], incomplete_error(message, text.text, whole=is_complete, best=self.last_snapshot)
        if not isinstance(error, OutputInvalid | OutputIncomplete):
            # A limit was exceeded, or a validator failed: the cut is not the cause of such an error.
            return [], error
        # The errors of validation are only a consequence of the cut.
        cut_error = incomplete_error(
            message, text.text, whole=is_complete, errors=error.errors, best=error.best
        )
        return [], cut_error

    def _count_items(self, items: list[ItemT]) -> list[ItemT]:
        """Count the items to return, and return them; adjacent pieces of a string are joined."""
        if not items:
            return items
        if self._kind == "pieces":
            self._delivered_count += sum(len(piece) if isinstance(piece, str) else 1 for piece in items)
            return _join_pieces(items)
        self._delivered_count += len(items)
        self.last = items[-1]
        return items


class BegunCall(NamedTuple):
    part: GrowingPart
    part_index: int
    number: int
    """Number of the call within the choice, from 0."""

    @property
    def start(self) -> ToolCall:
        """The call as it was at its start, without arguments."""
        return cast("ToolCall", self.part.start)


class BegunCalls:
    """Finds the tool calls of a choice as they begin."""

    def __init__(self, answer: OutputChoice) -> None:
        self._answer = answer
        self._examined_count = 0
        """Number of parts of the choice that were examined so far."""
        self._number = 0
        """Number of calls among the parts that were examined."""

    def find_new(self) -> list[BegunCall]:
        """Return the tool calls that have begun since this method was last used."""
        answer = self._answer
        new_calls: list[BegunCall] = []
        parts = answer.accumulator.parts_from(answer.index, self._examined_count)
        for index, part in enumerate(parts, self._examined_count):
            if isinstance(part.start, ToolCall):
                new_calls.append(BegunCall(part, index, self._number))
                self._number += 1
        self._examined_count += len(parts)
        return new_calls


class OutputDocuments(Generic[ItemT]):
    """The documents to read: the text of a choice, or the arguments of a tool's calls.

    Args:
        make_stage: Makes a stage that reads one document.
        kind: The kind of items. Elements of arrays are read from all calls, other items
            from the first call that has arguments.
    """

    def __init__(
        self, answer: OutputChoice, make_stage: Callable[[], OutputStage[ItemT]], kind: OutputKind
    ) -> None:
        self._answer = answer
        self._make_stage = make_stage
        self._kind: OutputKind = kind
        self._documents: list[OutputDocument[ItemT]] = []
        self._growing: dict[int, OutputDocument[ItemT]] = {}
        """Documents of calls that may be incomplete, by part index."""
        self._calls = BegunCalls(answer)
        self._selected_index = 0
        """Index in `_documents` of the call to read, if only one call is read."""
        if answer.tool is None:
            self._add_document(AnswerTextCursor(answer.accumulator, answer.choice))

    @property
    def only(self) -> OutputDocument[ItemT] | None:
        """The answer's own text as the only document; None if the arguments of calls are read."""
        return self._documents[0] if self._answer.tool is None else None

    @property
    def selected(self) -> list[OutputDocument[ItemT]]:
        """The documents to read: all of them for elements of arrays, otherwise at most one."""
        documents = self._documents
        if self._kind == "items" or len(documents) <= 1:
            return documents
        # Skip calls that have ended without arguments.
        while self._selected_index + 1 < len(documents) and documents[self._selected_index].text.empty:
            self._selected_index += 1
        return documents[self._selected_index : self._selected_index + 1]

    @property
    def to_validate(self) -> list[OutputDocument[ItemT]]:
        """The documents that must be valid at the end: all with content; the first one, if all are empty."""
        return [document for document in self.selected if not document.text.empty] or self.selected[:1]

    def find_growing(self) -> list[OutputDocument[ItemT]]:
        """Return the documents to read that may have grown since this method was last used."""
        if self._answer.tool is None:
            return self._documents
        self._add_new_calls()
        if self._kind != "items":
            # At most one document is read; whether it has grown is not known here.
            return self.selected
        # A document that is complete by now is returned once more, for the rest of its text.
        growing = self._growing
        self._growing = {
            index: document for index, document in growing.items() if not document.text.is_complete
        }
        return list(growing.values())

    def find_document(self, event: AnyEvent) -> OutputDocument[ItemT] | None:
        """Return the document to which an event may add; None if the event belongs to no selected call."""
        answer = self._answer
        if event.choice != answer.choice:
            return None
        if event.__class__ is ToolCallStart:
            self._add_new_calls()
        document = self._growing.get(event.part)
        return document if self._kind == "items" or document in self.selected else None

    def _add_new_calls(self) -> None:
        """Add a document for each call of the tool that has begun since this method was last used."""
        for call in self._calls.find_new():
            if call.start.name == self._answer.tool:
                self._growing[call.part_index] = self._add_document(ArgumentsCursor(call.part))

    def _add_document(self, text: AnswerTextCursor | ArgumentsCursor) -> OutputDocument[ItemT]:
        document = OutputDocument(text, self._make_stage(), self._kind)
        self._documents.append(document)
        return document


def _split_pieces(items: list[Any]) -> list[Any]:
    """Split the pieces of a string into single characters; errors between pieces stay in place."""
    split: list[Any] = []
    for piece in items:
        split += piece if isinstance(piece, str) else [piece]
    return split


def _join_pieces(items: list[Any]) -> list[Any]:
    """Join adjacent pieces of a string; errors between pieces stay in place."""
    joined: list[Any] = []
    for is_text, run in groupby(items, key=lambda piece: isinstance(piece, str)):
        pieces = list(run)
        joined += ["".join(pieces)] if is_text else pieces
    return joined
