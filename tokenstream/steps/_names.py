"""Part numbers and call ids that are unique across all streams of a run."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream._message_parts import make_call
from tokenstream.events import (
    CitationAdded,
    PartDone,
    PartStart,
    Restarted,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.message import ToolCall


class Names:
    """Maps the part indexes and call ids of each answer to part numbers and call ids of the run.

    A part gets its number when it is first seen. A call keeps its id, unless another answer
    has used the same id. Numbers and ids never change later: all readers get the same ones.
    """

    __slots__ = ("_ids", "_last_numbers", "_parts", "_used_ids")

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int, int], int] = {}
        """Maps an answer's number, a choice and a part index to the number of the part in the run."""
        self._ids: dict[tuple[int, str], str] = {}
        """Maps an answer's number and a call's id there to the call's id in the run."""
        self._used_ids: set[str] = set()
        """The ids of calls in the run."""
        self._last_numbers: dict[str, int] = {}
        """Maps an id that several answers have used to the number of its last new id: 2 for "call_1-2"."""

    def make_run_id(self, answer: int, id: str) -> str:
        """Return the id that a tool call has in the run.

        Args:
            answer: The answer's number in the run.
            id: The call's id in the answer; "" stays "".
        """
        if not id:
            return id
        run_id = self._ids.get((answer, id))
        if run_id is None:
            # Another answer may have used the id: "call_1" then becomes "call_1-2".
            run_id, number = id, self._last_numbers.get(id, 1)
            while run_id in self._used_ids:
                number += 1
                run_id = f"{id}-{number}"
                self._last_numbers[id] = number
            self._used_ids.add(run_id)
            self._ids[answer, id] = run_id
        return run_id

    def number_part(self, answer: int, choice: int, part: int) -> int:
        """Return the number that a part of an answer has in the run."""
        return self._parts.setdefault((answer, choice, part), len(self._parts))

    def rename_call(self, answer: int, call: ToolCall) -> ToolCall:
        """Return a copy of a tool call with the id that the call has in the run."""
        return make_call(
            id=self.make_run_id(answer, call.id),
            name=call.name,
            arguments_text=call.arguments_text,
            complete=call.complete,
            type=call.type,
            provider_data=call.provider_data,
        )

    def renumber_event(self, event: Event, answer: int, step: str) -> Event:
        """Return an event of an answer with the part numbers and call ids of the run.

        Args:
            event: The event; it is changed in place, since no other reader has the same object.
            answer: The answer's number in the run.
            step: The id of the answer's step.
        """
        changed: Any = event
        match event:
            case Restarted():
                # This event is copied: the reader of the stream itself has the same object.
                changed = copy(event)
            case ToolResult():
                # Copied, because all readers get the event that the accumulator holds.
                changed = copy(event)
                changed.id = self.make_run_id(answer, event.id)
            case ToolCallStart() | ToolCallDelta():
                changed.id = self.make_run_id(answer, event.id)
            case ToolCallDone():
                changed.call = self._rename_content(answer, event.call)
            case PartStart() | PartDone():
                changed.content = self._rename_content(answer, event.content)
            case CitationAdded() if event.citation.cites is not None:
                cites = self.number_part(answer, event.choice, event.citation.cites)
                changed.citation = event.citation.model_copy(update={"cites": cites})
            case _:
                pass
        if event.part is not None:
            changed.part = self.number_part(answer, event.choice, event.part)
        changed.step = step
        result: Event = changed
        return result

    def _rename_content(self, answer: int, content: Any) -> object:  # noqa: ANN401 - a part, or None
        """Return a part with the id that it has in the run; unchanged if the id is the same."""
        old_id: str = getattr(content, "id", "")
        id = self.make_run_id(answer, old_id)
        return content if id == old_id else content.model_copy(update={"id": id})
