"""Events of the calls in a text, and the stage that turns a text with calls into them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream._basics.request_facts import offered_of
from tokenstream._basics.text_log import TextLog
from tokenstream._values.parts import set_dialect, set_repairs
from tokenstream.events import Event, PartDone, TextDelta, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.partial_json._repairs import Repair
from tokenstream.stages._calls.calls import CallScanner
from tokenstream.stages._calls.dialects import choose_dialects
from tokenstream.stages._calls.steps import ArgumentsPiece, CallBegun, CallEnded, Piece
from tokenstream.stages._calls.values import is_whole
from tokenstream.stages._text import SoundStage
from tokenstream.stages._text.scanning import Passage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import AnyEvent


@dataclass(slots=True, eq=False)
class TextCall:
    """A call in a text that has begun: makes its events."""

    id: str
    begun: CallBegun
    choice: int
    part: int
    """The index of the call in the message."""
    arguments: TextLog = field(default_factory=TextLog)

    def place(self, events: Iterable[AnyEvent], part: int) -> list[AnyEvent]:
        """Take an index; return the call's events that were held back, with this index."""
        self.part = part
        placed = [*map(copy, events)]
        for event in placed:
            event.part = part
        return placed

    def start(self, raw: Any = None) -> AnyEvent:  # noqa: ANN401 - a payload
        return ToolCallStart(self.id, self.begun.name, choice=self.choice, part=self.part, raw=raw)

    def add(self, fragment: str, raw: Any = None) -> Event:  # noqa: ANN401 - a payload
        self.arguments.append(fragment)
        return ToolCallDelta(self.id, fragment, choice=self.choice, part=self.part, raw=raw)

    def finish(self, ended: CallEnded, raw: Any = None) -> Event:  # noqa: ANN401 - a payload
        """Return the event of the call's end: it is handed out if its arguments are JSON."""
        text = self.arguments.join()
        is_done = ended.how != "broken" and is_whole(text)
        call = ToolCall(id=self.id, name=self.begun.name, arguments_text=text, complete=is_done)
        set_dialect(call, self.begun.dialect)
        if ended.repairs:
            set_repairs(call, tuple([Repair(name, len(text)) for name in ended.repairs]))
        if is_done:
            return ToolCallDone(call, choice=self.choice, part=self.part, raw=raw)
        return PartDone(call, choice=self.choice, part=self.part, raw=raw)


class ToolTags(SoundStage):
    r"""Turns the calls that a model has written into a text into the events of tool calls.

    Servers whose parser is off, or is one for another model, leave the markup of calls in the text. A call
    begins once its name is known, and is handed out once its markup is closed and its arguments are JSON.
    Markup in code is text, and so is a call of a tool that is not known. If no tools are known, so is markup
    in a quotation.

    Args:
        dialects: Names of the dialects to read, such as "hermes"; without any, all but those that need names.
        tools: Names of the tools, or the tools as in the JSON of a request, whose schemas then decide the
            types of parameters; without any, every name counts.

    Raises:
        MisuseError: A name is not one of a dialect.

    Example:
        >>> tags = ToolTags("hermes")
        >>> [type(event).__name__ for event in tags.feed('Hm. <tool_call>{"name": "now", "ar')]
        ['TextDelta', 'ToolCallStart']
        >>> [type(event).__name__ for event in tags.feed('guments": {}}</tool_call>')]
        ['ToolCallDelta', 'ToolCallDone']
    """

    def __init__(self, *dialects: str, tools: Iterable[str | dict[str, Any]] = ()) -> None:
        self._scanner = CallScanner(choose_dialects(dialects or True), offered_of(tools))
        self._call: TextCall | None = None
        self._calls_seen = self._next_part = 0
        self._in_text = False

    def feed(self, item: str, /, *, now: float = 0.0) -> list[Event]:
        """Return the events of the next piece of the text, as far as it is decided.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        return [event for piece in self._scanner.feed(item) for event in self._read(piece)]

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events of the text that was held back; a call that was cut off has no end.

        Args:
            now: Unused; every stage has this parameter.
        """
        return [event for piece in self._scanner.end() for event in self._read(piece)]

    def _read(self, piece: Piece) -> list[Event]:
        if isinstance(piece, Passage):
            self._next_part += not self._in_text
            self._in_text = True
            return [TextDelta(piece.text, part=self._next_part - 1)]
        if isinstance(piece, CallBegun):
            self._in_text = False
            self._call = TextCall(f"call_{self._calls_seen}", piece, 0, self._next_part)
            self._calls_seen += 1
            self._next_part += 1
            return [self._call.start()]
        call = self._call
        if call is not None and isinstance(piece, ArgumentsPiece):
            return [call.add(piece.text)]
        if call is not None and isinstance(piece, CallEnded) and piece.how != "cut":
            return [call.finish(piece)]
        return []
