"""Base class of the assistant's turns of all APIs: writes parts, and reports parts that cannot be sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tokenstream._basics.json import is_sendable
from tokenstream._basics.untrusted import is_dict
from tokenstream._values.parts import OUR_FIELDS
from tokenstream.errors import NotExpressible, OutputInvalid
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
from tokenstream.turns._drop import Drop, Kind, Obstacle, names_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import Message, Part

_USEFUL_IF_INCOMPLETE = ("text", "reasoning", "refusal")
"""Kinds of parts that are useful even if incomplete."""
_FOR_ITS_OWN_API = ("reasoning", "server_tool_call", "server_tool_result", "opaque")
"""Kinds of parts that each API takes only if it has made them itself."""
FUNCTIONS = ("function", "function_call")
"""The types of calls of functions; calls of other types have other forms."""
_DEPTH = 6
"""The number of nested levels of a part's fields that are searched for a signature."""


class AssistantTurn(ABC):
    """The assistant's turn of one API: writes the parts that the API can express, and counts the others.

    There is a method for each kind of part. It returns None if it has written the part or
    nothing had to be written, else the obstacle: the reason why the API cannot take the part, by
    the name that `drop` has for it. This class drops or reports the parts with an obstacle.
    """

    api: ClassVar[str]
    """The API's name, for error messages."""
    formats: ClassVar[frozenset[str]]
    """The formats of the API's answers."""
    silently_dropped: ClassVar[frozenset[Kind]] = frozenset()
    """Kinds that the API sends but does not accept in a request; they are left out silently."""
    sends_text_arguments: ClassVar[bool] = False
    """True if the arguments of a tool call are sent as text; otherwise they must be a JSON object."""
    accepts_signed: ClassVar[frozenset[str]] = frozenset({"text", "tool_call"})
    """The kinds, "text" or "tool_call", that the API accepts with a signature that it has made itself."""
    pairs_server_tools: ClassVar[bool] = False
    """True if the call and the result of a server tool may only be sent together."""
    cites_in_text: ClassVar[bool] = False
    """True if citations are written with the text that they support, not as parts of their own."""

    def __init__(self, message: Message, drop: Drop) -> None:
        self._drop = names_of(drop)
        self._obstacles: dict[Obstacle, int] = {}
        """Number of parts that cannot be sent and that `drop` does not name, by the reason (obstacle)."""
        self.message = message
        self.is_own = self._is_format(message.format)
        """True if this API has produced the message, or if its format is not known; while a part is written,
        the flag is about that part instead."""
        self.index = 0
        """The index of the part that is being written, in the message."""
        self.written: list[JsonObject] = []
        """The pieces written so far, for APIs whose content is a list."""
        self.calls: list[JsonObject] = []
        """The tool calls, for APIs whose turn has a field of their own for them."""
        self.cited: dict[int, list[JsonObject]] = {}
        """The sources of each text part, by the part's index; filled only if `cites_in_text` is set."""
        self._written_with_text: set[int] = set()
        """The indexes of the citations that are sent inside the texts that they support."""
        self._results = {part.id: part for part in message.parts if isinstance(part, ServerToolResult)}
        self._unpaired_ids: frozenset[str] = frozenset()
        """Ids of calls of server tools if the call itself or its result cannot be sent."""

    # -- for each API: each method writes a part, or returns the obstacle ------

    @abstractmethod
    def write_text(self, part: TextPart) -> Obstacle | None:
        """Write a text part; return the reason if the API cannot express it, else None."""

    @abstractmethod
    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Write a reasoning part; return the reason if the API cannot express it, else None."""

    def write_tool_call(self, part: ToolCall) -> Obstacle | None:
        """Write a call of an application's tool; by default, as a function among the turn's `calls`."""
        self.calls.append({"id": part.id, "type": "function", "function": make_function(part)})
        return None

    def write_refusal(self, part: RefusalPart) -> Obstacle | None:
        """Write a refusal; by default, return why it cannot be sent: the API takes no refusals."""
        return "refusal"

    def write_server_tool_call(self, part: ServerToolCall) -> Obstacle | None:
        """Write a server tool's call; by default, return why it cannot be sent: the API takes none."""
        return "server_tool_call"

    def write_server_tool_result(self, part: ServerToolResult) -> Obstacle | None:
        """Write a server tool's result; by default, return why it cannot be sent: the API takes none."""
        return "server_tool_result"

    def write_citation(self, part: Citation) -> Obstacle | None:
        """Write a citation; by default, return why it cannot be sent, unless its text was sent with it."""
        return None if self.index in self._written_with_text else "citation"

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write an image, audio or file; by default, return why it cannot be sent: the API takes none."""
        return "media"

    def write_opaque(self, part: OpaquePart) -> Obstacle | None:
        """Write a part of unknown kind; by default, return why it cannot be sent: the API takes none."""
        return "opaque"

    # -- for all APIs ----------------------------------------------------------

    def write(self) -> Self:
        """Write every part that `drop` does not leave out; return the turn."""
        # Some APIs take the call of a server tool only together with its result.
        self._unpaired_ids = frozenset(
            part.id
            for part in self.message.parts
            if isinstance(part, ServerToolCall | ServerToolResult)
            and (part.kind in self._drop or not part.complete or not self.can_send_server_tool(part))
        )
        if self.cites_in_text and self.is_own and self._drop.isdisjoint(("citation", "text")):
            self._gather_citations()
        # Requests to other APIs may have continued a joined message, so each of its parts has its own API.
        is_message_own = self.is_own
        for index, part in enumerate(self.message.parts):
            if part.kind in self._drop:
                continue
            self.index = index
            if self.message.joined:
                # While this part is written, `is_own` is about the part, and not about the whole message.
                self.is_own = self._is_format(self._format_of(index))
            write: Callable[[Any], Obstacle | None] = getattr(self, f"write_{part.kind}")
            obstacle = self._find_obstacle(part) or write(part) or self._find_lost_signature(part)
            is_silent = self.is_own and obstacle in self.silently_dropped
            if obstacle is not None and not is_silent and self._drop.isdisjoint((obstacle, "all")):
                self._obstacles[obstacle] = self._obstacles.get(obstacle, 0) + 1
        self.is_own = is_message_own
        if self._obstacles:
            raise NotExpressible(explain_obstacles(self.api, self._obstacles), kinds=self._obstacles)
        return self

    def _is_format(self, format: str | None) -> bool:
        """Return True for a format of this API's answers, and for one that is not known."""
        return format is None or format in self.formats

    def _format_of(self, index: int) -> str | None:
        """Return the format of a part, which may be from another provider that has continued the answer."""
        joins = [join for join in self.message.joined if join.part <= index]
        return joins[-1].format or self.message.format if joins else self.message.format

    def write_content(self) -> list[JsonObject]:
        self.write()
        self.check_has_content(self.written)
        return self.written

    def check_has_content(self, content: object) -> None:
        if not content:
            what = "has nothing" if not self.message.parts else "has nothing left"
            # No kind is to blame: leaving out more parts would not help.
            raise NotExpressible(f"the message {what} that can be sent to {self.api}", kinds={})

    def _gather_citations(self) -> None:
        """Collect the sources of each text that can be sent with sources."""
        texts = {
            index
            for index, part in enumerate(self.message.parts)
            if part.kind == "text" and self.can_send_citations(part, index)
        }
        for index, part in enumerate(self.message.parts):
            if part.kind != "citation" or part.cites not in texts or part.provider_data is None:
                continue
            source = self.to_source(part.provider_data)
            if source:
                self.cited.setdefault(part.cites, []).append(source)
                self._written_with_text.add(index)

    def can_send_call(self, call: ToolCall) -> bool:
        """Return True if the API can express a call of no function; subclasses for such APIs override it."""
        return False

    def can_send_server_tool(self, part: ServerToolCall | ServerToolResult) -> bool:
        """Return True if the API can express a server tool's call or result; subclasses may override this."""
        return True

    def can_send_citations(self, part: TextPart, index: int) -> bool:
        """Return True if a text can be sent with its sources; subclasses may override this."""
        return True

    def to_source(self, data: JsonObject) -> JsonObject:
        """Return a citation's source in the form of a request; empty if another API has sent the citation."""
        # The APIs that use this method name the type of each citation.
        return deepcopy(data) if "type" in data else {}

    def fields(self, part: Part) -> JsonObject:
        """Return a copy of a part's provider fields; empty for an opaque part, and for one of another API."""
        if not self.is_own or isinstance(part, OpaquePart):
            return {}
        fields = deepcopy(part.provider_data) or {}
        return {name: value for name, value in fields.items() if name not in OUR_FIELDS}

    def _find_obstacle(self, part: Part) -> Obstacle | None:
        """Return the reason not to try to write a part; None if its `write_` method decides.

        The part may be incomplete, or of a kind that no API takes from another; it may be a call that is
        invalid, or of a type that the API does not support; or it is the call or the result of a server tool,
        and the other of these cannot be sent.
        """
        if part.kind not in _USEFUL_IF_INCOMPLETE and not part.complete:
            return "incomplete"
        if not self.is_own and part.kind in _FOR_ITS_OWN_API:
            return part.kind
        if self.is_own and self.pairs_server_tools and isinstance(part, ServerToolCall | ServerToolResult):
            return self._find_unpaired(part)
        if not isinstance(part, ToolCall):
            # Only calls of the application's tools have further obstacles.
            return None
        if part.type not in FUNCTIONS and not self.can_send_call(part):
            return "custom_tool_call"
        # An API that does not take text as arguments needs a JSON object.
        has_arguments = self.sends_text_arguments or object_in(part) is not None
        is_valid = bool(part.id) and bool(part.name) and has_arguments
        return None if is_valid else "invalid_tool_call"

    def _find_unpaired(self, part: ServerToolCall | ServerToolResult) -> Obstacle | None:
        """Return why a server tool's call and result cannot both be sent; None if they can."""
        if isinstance(part, ServerToolCall):
            result = self._results.get(part.id)
            # After a pause, or after a wait for the application, the result is part of the next answer.
            has_ended = self.message.complete if result is None else result.complete
            if not has_ended and (result is None or result.kind not in self._drop):
                return "incomplete"
        # The call of a result may be in the previous turn, if code that the provider runs has called the
        # application's tools.
        return part.kind if part.id in self._unpaired_ids else None

    def _find_lost_signature(self, part: Part) -> Obstacle | None:
        """Return "signature" if a part that was written had one that this API does not take."""
        if not isinstance(part, TextPart | ToolCall) or (self.is_own and part.kind in self.accepts_signed):
            return None
        return "signature" if is_signed(part.provider_data) else None


def object_in(call: ToolCall | ServerToolCall) -> JsonObject | None:
    """Return a call's arguments if they are a JSON object or empty; None otherwise."""
    tool_call = call if isinstance(call, ToolCall) else ToolCall(arguments_text=call.arguments_text)
    try:
        arguments = tool_call.arguments
    except OutputInvalid:
        return None
    return arguments if is_dict(arguments) and is_sendable(arguments) else None


def text_arguments(call: ToolCall) -> str:
    return call.arguments_text if call.arguments_text.strip() else "{}"


def make_function(call: ToolCall) -> JsonObject:
    return {"name": call.name, "arguments": text_arguments(call)}


def is_signed(value: object, depth: int = 0) -> bool:
    """Return True if there is a signature in a part's fields, or in the objects in them."""
    if not is_dict(value) or depth > _DEPTH:
        return False
    return any(
        (isinstance(inner, str) and "signature" in key.lower()) or is_signed(inner, depth + 1)
        for key, inner in value.items()
    )


def explain_obstacles(api: str, obstacles: dict[Obstacle, int]) -> str:
    """Return the error message for parts that cannot be sent: how many of each kind, and what to do."""
    counted = ", ".join(f"{count} {name}" for name, count in obstacles.items())
    names = ", ".join(map(repr, obstacles))
    return (
        f"{api} has no place for parts of the message: {counted}; "
        f"pass drop=({names},) to leave them out, or drop='all'"
    )
