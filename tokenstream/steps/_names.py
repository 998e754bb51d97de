"""Part numbers and call ids that are unique across all streams of a run."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream.events import (
    CitationAdded,
    PartDone,
    PartStart,
    Restarted,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from tokenstream.events import Event


class Names:
    """Maps the part numbers and call ids of each answer to those of the run.

    A part is numbered when it is first seen, and a call keeps its id unless another
    answer has used it. Both never change, so that all readers get the same.
    """

    __slots__ = ("_ids", "_parts", "_taken")

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int, int], int] = {}
        self._ids: dict[tuple[int, str], str] = {}
        self._taken: set[str] = set()

    def id(self, answer: int, id: str) -> str:
        """Return the id in the run for an id in an answer.

        Args:
            answer: The answer's number in the run.
            id: The id in the answer; "" stays "".
        """
        if not id:
            return id
        found = self._ids.get((answer, id))
        if found is None:
            found, number = id, 1
            while found in self._taken:
                number += 1
                found = f"{id}-{number}"
            self._taken.add(found)
            self._ids[answer, id] = found
        return found

    def part(self, answer: int, choice: int, part: int) -> int:
        """Return the number in the run for a part of an answer."""
        return self._parts.setdefault((answer, choice, part), len(self._parts))

    def call(self, answer: int, call: ToolCall) -> ToolCall:
        """Return a tool call with its id in the run."""
        return ToolCall.model_construct(
            id=self.id(answer, call.id),
            name=call.name,
            arguments_text=call.arguments_text,
            complete=call.complete,
            type=call.type,
            provider_data=call.provider_data,
        )

    def place_event(self, event: Event, answer: int, step: str) -> Event:
        """Return an event of an answer with its numbers and ids in the run.

        Args:
            event: The event, which no other reader shares and so is changed in place.
            answer: The answer's number.
            step: The id of the step.
        """
        told: Any = event
        match event:
            case Restarted():
                # A copy, since the stream's own reader has the same object.
                told = copy(event)
            case ToolCallStart() | ToolCallDelta():
                told.id = self.id(answer, event.id)
            case ToolCallDone():
                told.call = self._renamed(answer, event.call)
            case PartStart() | PartDone():
                told.content = self._renamed(answer, event.content)
            case CitationAdded() if event.citation.cites is not None:
                cites = self.part(answer, event.choice, event.citation.cites)
                told.citation = event.citation.model_copy(update={"cites": cites})
            case _:
                pass
        if event.part is not None:
            told.part = self.part(answer, event.choice, event.part)
        told.step = step
        placed: Event = told
        return placed

    def _renamed(self, answer: int, content: Any) -> Any:  # noqa: ANN401 - a part, or None
        before: str = getattr(content, "id", "")
        id = self.id(answer, before)
        return content if id == before else content.model_copy(update={"id": id})
