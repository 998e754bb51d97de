"""What the turns of all APIs share: which parts can go, and what is said of those that cannot."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import NotExpressible, OutputInvalid
from tokenstream.formats._read import is_dict
from tokenstream.message import (
    Citation,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from tokenstream.turns._drop import names_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Message, Part
    from tokenstream.turns._drop import Drop, Kind

__all__ = ["Turn", "object_in", "text_arguments"]

_GROWING = ("text", "reasoning", "refusal")
"""Kinds of which a piece is worth something; of the others only a whole one is."""
_FUNCTIONS = ("function", "function_call")
_DEPTH = 6
"""How deep in a part's fields a signature may lie."""


class Turn(ABC):
    """The turn of one API: writes what it has a place for, and counts the rest.

    A writer of a kind of part returns None when the part was written, else the
    name of what stands in the way. What this class does with it is the same for
    all APIs.

    Args:
        message: The message.
        drop: What to leave out.

    Raises:
        MisuseError: `drop` holds an unknown name.
    """

    api: ClassVar[str]
    """The API's name, for people."""
    formats: ClassVar[frozenset[str]]
    """The formats that its answers come in."""
    keeps: ClassVar[frozenset[Kind]] = frozenset()
    """What this API says beside its answers and takes back from nobody."""
    takes_text_arguments: ClassVar[bool] = False
    """Whether arguments go as text; else they must be a JSON object."""
    takes_signed: ClassVar[frozenset[str]] = frozenset({"text", "tool_call"})
    """The kinds, of these two, on which a signature has a place, where it is this API's own."""
    pairs_server_tools: ClassVar[bool] = False
    """Whether a call of a tool that the server runs may not go without its result, nor the other way."""
    cites_in_text: ClassVar[bool] = False
    """Whether sources are written with the text that they are named for, and not as parts of their own."""

    def __init__(self, message: Message, drop: Drop) -> None:
        self._drop = names_of(drop)
        self._lost: dict[Kind, int] = {}
        self.message = message
        self.own = message.format is None or message.format in self.formats
        """Whether the message came from this API; one whose format is not known is taken as if it did."""
        self.written: list[dict[str, Any]] = []
        """What was written, piece by piece, where the API takes a list."""
        self.cited: dict[int, list[dict[str, Any]]] = {}
        """The sources of each text part, for those who write both together."""
        self._gathered: set[int] = set()
        self._results = {part.id: part for part in message.parts if isinstance(part, ServerToolResult)}
        self._halves: frozenset[str] = frozenset()
        """Ids of runs of the provider's tools of which a part cannot go."""

    # -- what the APIs differ in ---------------------------------------------

    @abstractmethod
    def text(self, part: TextPart, index: int) -> Kind | None:
        """Write text."""

    @abstractmethod
    def tool_call(self, part: ToolCall, index: int) -> Kind | None:
        """Write a call of one of the application's tools."""

    @abstractmethod
    def reasoning(self, part: ReasoningPart, index: int) -> Kind | None:
        """Write reasoning."""

    def refusal(self, part: RefusalPart, index: int) -> Kind | None:
        """Write a refusal."""
        return "refusal"

    def server_tool_call(self, part: ServerToolCall, index: int) -> Kind | None:
        """Write a call of a tool that the provider runs."""
        return "server_tool_call"

    def server_tool_result(self, part: ServerToolResult, index: int) -> Kind | None:
        """Write what such a tool gave back."""
        return "server_tool_result"

    def citation(self, part: Citation, index: int) -> Kind | None:
        """Write a source."""
        return "citation"

    def media(self, part: MediaPart, index: int) -> Kind | None:
        """Write an image, audio or a file."""
        return "media"

    def opaque(self, part: OpaquePart, index: int) -> Kind | None:
        """Write a part that has no word here."""
        return "opaque"

    # -- what is the same ------------------------------------------------------

    def write(self) -> None:
        """Write every part that is not to be left out.

        Raises:
            NotExpressible: Something is left that the API has no place for.
        """
        self._halves = frozenset(
            part.id
            for part in self.message.parts
            if isinstance(part, ServerToolCall | ServerToolResult)
            and (part.kind in self._drop or not part.complete or not self.takes_run(part))
        )
        if self.cites_in_text and self.own and self._drop.isdisjoint(("citation", "text")):
            self._gather_citations()
        for index, part in enumerate(self.message.parts):
            dropped = part.kind in self._drop
            fault = None if dropped else self._fault(part) or self._WRITERS[part.kind](self, part, index)
            if not dropped:
                self._count(fault or self._signature_lost(part))
        if self._lost:
            raise NotExpressible(_explain(self.api, self._lost), kinds=self._lost)

    def _count(self, fault: Kind | None) -> None:
        if fault is not None and not self._may_stay(fault):
            self._lost[fault] = self._lost.get(fault, 0) + 1

    def _may_stay(self, name: Kind) -> bool:
        """Tell whether something that has no place may be left out."""
        return name in self._drop or "all" in self._drop or (self.own and name in self.keeps)

    def content(self) -> list[dict[str, Any]]:
        """Write the message, and return the pieces that it is in this API.

        Raises:
            NotExpressible: Something is left that the API has no place for, or nothing is left at all.
        """
        self.write()
        self.expect(self.written)
        return self.written

    def expect(self, content: object) -> None:
        """Refuse to give a turn without content.

        Raises:
            NotExpressible: Nothing of the message is left.
        """
        if not content:
            left = "has nothing" if not self.message.parts else "has nothing left"
            raise NotExpressible(f"the message {left} that can be sent to {self.api}", kinds={})

    def _gather_citations(self) -> None:
        """Find the sources of each text that has a place for them."""
        texts = {
            index
            for index, part in enumerate(self.message.parts)
            if part.kind == "text" and self.takes_citations(part, index)
        }
        for index, part in enumerate(self.message.parts):
            if part.kind != "citation" or part.cites not in texts or part.provider_data is None:
                continue
            source = self.source(part.provider_data)
            if source:
                self.cited.setdefault(part.cites, []).append(source)
                self._gathered.add(index)

    def takes_call(self, call: ToolCall) -> bool:
        """Tell whether a call has a place that is no function's, such as one with free text as input."""
        return False

    def takes_run(self, part: ServerToolCall | ServerToolResult) -> bool:
        """Tell whether a call of a tool of the provider, or its result, has a place; both go or neither."""
        return True

    def takes_citations(self, part: TextPart, index: int) -> bool:
        """Tell whether a text has a place for its sources."""
        return True

    def source(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return what the request takes of a source that this API sent; nothing where it is another one's."""
        return deepcopy(data) if "type" in data else {}

    def gathered(self, index: int) -> Kind | None:
        """Say of a source whether it is written with its text."""
        return None if index in self._gathered else "citation"

    def fields(self, part: Part) -> dict[str, Any]:
        """Return what only this provider knows of a part; nothing where another provider made it."""
        if not self.own or isinstance(part, OpaquePart):
            return {}
        return deepcopy(part.provider_data) or {}

    def _fault(self, part: Part) -> Kind | None:
        if part.kind not in _GROWING and not part.complete:
            return "incomplete"
        if self.own and self.pairs_server_tools and isinstance(part, ServerToolCall | ServerToolResult):
            return self._unpaired(part)
        if not isinstance(part, ToolCall):
            return None
        if part.type not in _FUNCTIONS and not self.takes_call(part):
            return "custom_tool_call"
        if not part.id or not part.name:
            return "invalid_tool_call"
        return None if self.takes_text_arguments or object_in(part) is not None else "invalid_tool_call"

    def _unpaired(self, part: ServerToolCall | ServerToolResult) -> Kind | None:
        """Say what stands in the way of a call whose result does not go with it, or of such a result."""
        if isinstance(part, ServerToolResult):
            # The call of a result may stand in the turn before, where code called the application's tools.
            return "server_tool_result" if part.id in self._halves else None
        result = self._results.get(part.id)
        if result is None:
            # A paused turn, and one that waits for the application, have its result in the next answer.
            return None if self.message.complete else "incomplete"
        if not result.complete and result.kind not in self._drop:
            return "incomplete"
        return "server_tool_call" if part.id in self._halves else None

    def _signature_lost(self, part: Part) -> Kind | None:
        if not isinstance(part, TextPart | ToolCall) or (self.own and part.kind in self.takes_signed):
            return None
        return "signature" if _is_signed(part.provider_data) else None

    _WRITERS: ClassVar[dict[str, Callable[[Turn, Any, int], Kind | None]]] = {
        "text": lambda turn, part, index: turn.text(part, index),
        "reasoning": lambda turn, part, index: turn.reasoning(part, index),
        "refusal": lambda turn, part, index: turn.refusal(part, index),
        "tool_call": lambda turn, part, index: turn.tool_call(part, index),
        "server_tool_call": lambda turn, part, index: turn.server_tool_call(part, index),
        "server_tool_result": lambda turn, part, index: turn.server_tool_result(part, index),
        "citation": lambda turn, part, index: turn.citation(part, index),
        "media": lambda turn, part, index: turn.media(part, index),
        "opaque": lambda turn, part, index: turn.opaque(part, index),
    }


def object_in(call: ToolCall | ServerToolCall) -> dict[str, Any] | None:
    """Return a call's arguments where they are a JSON object, or none; None where they are anything else.

    Example:
        >>> object_in(ToolCall(arguments_text="")), object_in(ToolCall(arguments_text="[1]"))
        ({}, None)
    """
    whole = call if isinstance(call, ToolCall) else ToolCall(arguments_text=call.arguments_text)
    try:
        arguments = whole.arguments
    except OutputInvalid:
        return None
    return arguments if is_dict(arguments) and _is_json(arguments) else None


def _is_json(value: object) -> bool:
    """Tell whether a value can be sent: `NaN` and half a surrogate pair can be read, but not written."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def text_arguments(call: ToolCall) -> str:
    """Return a call's arguments as text; where there are none, an empty object.

    Example:
        >>> text_arguments(ToolCall(arguments_text=" "))
        '{}'
    """
    return call.arguments_text if call.arguments_text.strip() else "{}"


def _is_signed(value: object, depth: int = 0) -> bool:
    if not is_dict(value) or depth > _DEPTH:
        return False
    return any(
        (isinstance(inner, str) and "signature" in key.lower()) or _is_signed(inner, depth + 1)
        for key, inner in value.items()
    )


def _explain(api: str, lost: dict[Kind, int]) -> str:
    counted = ", ".join(f"{count} {name}" for name, count in lost.items())
    names = ", ".join(map(repr, lost))
    return (
        f"the message holds what {api} has no place for: {counted}; "
        f"pass drop=({names},) to leave that out, or drop='all'"
    )
