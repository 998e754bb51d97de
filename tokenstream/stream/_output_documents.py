"""The documents of an answer that are read as JSON, and the stages that read them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.events import ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.stream._output_end import incomplete
from tokenstream.stream._output_text import AnswerText, ArgumentsText

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._growing import GrowingPart
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import Message
    from tokenstream.partial_json import Partial, Repair

__all__ = ["Answer", "Begun", "Calls", "Document", "Documents", "OutputKind", "OutputStage"]

OutputKind: TypeAlias = Literal["drafts", "items", "pieces"]
"""What is read of the output: snapshots of the whole, elements of an array, one string."""

ItemT = TypeVar("ItemT")


class OutputStage(Protocol[ItemT]):
    """A stage that reads the JSON of an answer.

    `complete` tells whether the document is finished, whatever may still come.
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


class Answer:
    """The choice whose JSON is read.

    Args:
        accumulator: What has been said.
        choice: The choice.
        tool: The tool that is given the JSON as its arguments; None for an answer's own text.
        stop: Stops the stream.
    """

    __slots__ = ("accumulator", "choice", "stop", "tool")

    def __init__(
        self, accumulator: Accumulator, choice: int, tool: str | None, stop: Callable[[str], object]
    ) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self.tool = tool
        self.stop = stop

    @property
    def index(self) -> int:
        """The choice's index; choice 0 stands for the first that there is."""
        return self.choice or self.accumulator.main

    @property
    def message(self) -> Message:
        """The choice as it is now."""
        return self.accumulator.message_of(self.index)


class Document(Generic[ItemT]):
    """A document of an answer, and the stage that reads it.

    Args:
        text: Where its reader is in it.
        stage: The stage.
        kind: What the stage gives.
    """

    __slots__ = ("_given", "_kind", "last", "stage", "text")

    def __init__(self, text: AnswerText | ArgumentsText, stage: OutputStage[ItemT], kind: OutputKind) -> None:
        self.text = text
        self.stage = stage
        self._kind = kind
        self._given = 0
        """How many items were given; of a text how many characters, and errors between them."""
        self.last: ItemT | None = None
        """What was given last."""

    @property
    def best(self) -> Partial[Any] | None:
        """The last snapshot."""
        return cast("Partial[Any] | None", self.last) if self._kind == "drafts" else None

    def feed(self, piece: str) -> list[ItemT]:
        """Return what a piece of the text adds."""
        found = self.stage.feed(piece)
        return self._counted(found) if found else found

    def read_again(self, stage: OutputStage[ItemT]) -> list[ItemT]:
        """Return what the whole text adds, which is another than that of the pieces."""
        if self.stage.error is None and self.stage.complete:
            # Mostly it is the same JSON, written in another way.
            return []
        given, self._given, self.stage = self._given, 0, stage
        found = self.feed(self.text.text)
        if self._kind == "pieces":
            return _joined(_apart(found)[given:])
        return found if self._kind == "drafts" else found[given:]

    def end(self, message: Message) -> tuple[list[ItemT], Exception | None]:
        """Return what the end of the answer adds, and what is wrong then."""
        error = self.stage.error
        return ([], error) if error is not None else self._end(message)

    def _end(self, message: Message) -> tuple[list[ItemT], Exception | None]:
        stage, text = self.stage, self.text
        complete = stage.complete
        cut = text.is_cut(message, complete=complete)
        found = stage.end()
        error = stage.error
        if isinstance(error, InvalidJSON) or not (cut or isinstance(error, OutputIncomplete)):
            return self._counted(found), error
        if error is None:
            return [], incomplete(message, text.text, whole=complete, best=self.best)
        if not isinstance(error, OutputInvalid | OutputIncomplete):
            return [], error
        return [], incomplete(message, text.text, whole=complete, errors=error.errors, best=error.best)

    def _counted(self, found: list[ItemT]) -> list[ItemT]:
        """Note what is given; the pieces of a text are given in one."""
        if not found:
            return found
        if self._kind == "pieces":
            self._given += sum(len(piece) if isinstance(piece, str) else 1 for piece in found)
            return _joined(found)
        self._given += len(found)
        self.last = found[-1]
        return found


class Begun(NamedTuple):
    """A tool call that has begun."""

    part: GrowingPart
    """The call as it grows."""
    at: int
    """Which part of the choice it is."""
    number: int
    """Which call of the choice it is, from 0."""

    @property
    def start(self) -> ToolCall:
        """The call as it began."""
        return cast("ToolCall", self.part.start)


class Calls:
    """The tool calls of a choice, as they begin.

    Args:
        answer: The choice.
    """

    __slots__ = ("_answer", "_looked", "_number")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._looked = 0
        """How many parts of the choice were looked at."""
        self._number = 0
        """How many of them are calls."""

    def begun(self) -> list[Begun]:
        """Return the calls that have begun since this was last asked."""
        answer = self._answer
        found: list[Begun] = []
        parts = answer.accumulator.parts_from(answer.index, self._looked)
        for at, part in enumerate(parts, self._looked):
            if isinstance(part.start, ToolCall):
                found.append(Begun(part, at, self._number))
                self._number += 1
        self._looked += len(parts)
        return found


class Documents(Generic[ItemT]):
    """The documents that are read: the text of a choice, or the arguments of a tool's calls.

    Args:
        answer: The choice.
        stage: Makes a stage that reads one document.
        kind: What is read. Items are read of all calls, anything else of the first
            that has arguments.
    """

    __slots__ = ("_answer", "_at", "_begun", "_calls", "_growing", "_kind", "_spare", "_stage")

    def __init__(self, answer: Answer, stage: Callable[[], OutputStage[ItemT]], kind: OutputKind) -> None:
        self._answer = answer
        self._stage = stage
        # Made now, because it may refuse what it was told.
        self._spare: OutputStage[ItemT] | None = stage()
        self._kind: OutputKind = kind
        self._begun: list[Document[ItemT]] = []
        self._growing: dict[int, Document[ItemT]] = {}
        """The calls that are not known to be whole, by their index."""
        self._calls = Calls(answer)
        self._at = 0
        """Which call is read, where only one is."""
        if answer.tool is None:
            self._begin(AnswerText(answer.accumulator, answer.choice))

    @property
    def only(self) -> Document[ItemT] | None:
        """The one that there is, where it is the answer's own text."""
        return self._begun[0] if self._answer.tool is None else None

    @property
    def read(self) -> list[Document[ItemT]]:
        """Those that are read."""
        begun = self._begun
        if self._kind == "items" or len(begun) <= 1:
            return begun
        while self._at + 1 < len(begun) and begun[self._at].text.empty:
            self._at += 1
        return begun[self._at : self._at + 1]

    @property
    def last(self) -> list[Document[ItemT]]:
        """Those that count at the end: a call without arguments does where there is no other."""
        return [document for document in self.read if not document.text.empty] or self.read[:1]

    def growing(self) -> list[Document[ItemT]]:
        """Return those that something may have been added to since this was last asked."""
        if self._answer.tool is None:
            return self._begun
        self._look()
        if self._kind != "items":
            return self.read
        growing = self._growing
        self._growing = {index: document for index, document in growing.items() if not document.text.over}
        return list(growing.values())

    def find(self, event: Any) -> Document[ItemT] | None:  # noqa: ANN401 - any event
        """Return the call that an event may add to."""
        answer = self._answer
        if event.choice != answer.choice:
            return None
        if event.__class__ is ToolCallStart:
            self._look()
        found = self._growing.get(event.part)
        return found if self._kind == "items" or found in self.read else None

    def read_again(self, document: Document[ItemT]) -> list[ItemT]:
        """Return what the whole text of a document adds, which is another than that of its pieces."""
        return document.read_again(self._stage())

    def _look(self) -> None:
        """Find the calls of the tool that have begun since."""
        for call in self._calls.begun():
            if call.start.name == self._answer.tool:
                self._growing[call.at] = self._begin(ArgumentsText(call.part))

    def _begin(self, text: AnswerText | ArgumentsText) -> Document[ItemT]:
        stage, self._spare = self._spare or self._stage(), None
        document = Document(text, stage, self._kind)
        self._begun.append(document)
        return document


def _apart(found: list[Any]) -> list[Any]:
    """Return the characters of pieces one by one, and the errors between them."""
    apart: list[Any] = []
    for piece in found:
        apart += piece if isinstance(piece, str) else [piece]
    return apart


def _joined(found: list[Any]) -> list[Any]:
    """Return pieces in one, or in as many as there are with errors between them."""
    joined: list[Any] = []
    for is_text, run in groupby(found, key=lambda piece: isinstance(piece, str)):
        pieces = list(run)
        joined += ["".join(pieces)] if is_text else pieces
    return joined
