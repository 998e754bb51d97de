"""Turns the items of a turn into parts of the message."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dicts_of, fields_except, is_dict, says_nothing, text_of
from tokenstream.formats._kit.openai import PHASES
from tokenstream.formats._kit.values import failure_text, json_text
from tokenstream.message import OpaquePart, ReasoningPart, ServerToolCall, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.sessions import SessionParts
    from tokenstream.message import FinishReason

PREFIX = "agent.session."
"""The beginning of the types of most events."""
ENDS: dict[str, FinishReason] = {
    "agent.session.turn.completed": "stop",
    "agent.session.turn.cancelled": "cancelled",
    "agent.session.turn.failed": "error",
}
"""Maps the events that end a turn to finish reasons."""
RETRYABLE: Mapping[str, bool] = MappingProxyType(
    {
        **dict.fromkeys(("connection_failed", "flex_unavailable", "sandbox_error"), True),
        **dict.fromkeys(
            ("active_turn_not_steerable", "cyber_policy", "executor_version_incompatible"), False
        ),
        **dict.fromkeys(("max_output_tokens", "misalignment_policy_violation", "resource_not_found"), False),
    }
)
"""Maps error codes to True if a retry may help; the codes whose words already show that are left out."""
INPUT_ITEMS = frozenset(
    {"agent_message", "computer_use_approval_request_result", "function_call_output", "mcp_approval_result"}
)
"""Types of items that the agent was given, and has not written."""

_NO_ARGUMENTS = tuple(
    "id type status turn_id name server_label output error exit_code duration_ms".split()  # noqa: SIM905
)
"""Fields of a tool's item that are not its arguments."""


def is_tool(item_type: str) -> bool:
    """Return True for the type of an item that runs a tool at the provider.

    Example:
        >>> is_tool("command_execution"), is_tool("web_search_call"), is_tool("function_call")
        (True, True, False)
    """
    return item_type == "command_execution" or (item_type.endswith("_call") and item_type != "function_call")


def tool_name(item: dict[str, Any]) -> str:
    """Return the name of the tool that an item runs.

    Example:
        >>> tool_name({"type": "web_search_call"}), tool_name({"type": "mcp_call", "name": "search"})
        ('web_search', 'search')
    """
    return text_of(item, "name") or (text_of(item, "type") or "tool").removesuffix("_call")


def tool_arguments(item: dict[str, Any]) -> object:
    """Return the arguments of the tool that an item runs.

    The item of an MCP tool has a field `arguments`; the arguments of any other tool are fields of its item.

    Example:
        >>> tool_arguments({"id": "i", "type": "command_execution", "command": "ls", "exit_code": 0})
        {'command': 'ls'}
    """
    return item["arguments"] if "arguments" in item else fields_except(item, *_NO_ARGUMENTS)


def tool_result(item: dict[str, Any]) -> object:
    r"""Return the result of a tool; None if its item has none.

    Example:
        >>> tool_result({"type": "command_execution", "output": "a\n", "exit_code": 0})
        {'output': 'a\n', 'exit_code': 0}
        >>> tool_result({"type": "mcp_call", "output": ["a"]}), tool_result({"type": "web_search_call"})
        (['a'], None)
    """
    if "exit_code" in item and item["exit_code"] is not None:
        return {"output": item.get("output"), "exit_code": item["exit_code"]}
    values = [item[name] for name in ("output", "error") if not says_nothing(item.get(name))]
    return values[0] if values else None


_CUT_OFF = frozenset({"incomplete", "failed"})
_CALL_FIELDS = ("id", "type", "status", "turn_id", "call_id", "name", "arguments")


class _ItemText:
    """One text of an item, which is a part of the message."""

    __slots__ = ("is_whole", "length", "part")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.length = 0
        """Number of characters that were added."""
        self.is_whole = False
        """True once the whole text has arrived, so that later pieces of it are repetitions."""


class _Item:
    """An item of a turn, as far as it has arrived."""

    __slots__ = ("call", "data", "has_ended", "result", "texts", "tool")

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        """The item as the server has described it last, without its texts."""
        self.texts: dict[int, _ItemText] = {}
        """The texts of a message, or of the summary of reasoning, by their indexes."""
        self.call: OpenCall | None = None
        """The call of one of the application's functions."""
        self.tool: OpenPart | None = None
        """The call of a tool that runs at the provider."""
        self.result: OpenPart | None = None
        """The output of that tool while it is running."""
        self.has_ended = False


class TurnItems:
    """The items of one turn, found by their ids."""

    __slots__ = ("_called", "_items", "_parts")

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._items: dict[str, _Item] = {}
        self._called: dict[str, OpenCall] = {}
        """The ids of the calls of the application's functions."""

    def clear(self) -> None:
        """Forget the items, since the next turn begins."""
        self._items.clear()
        self._called.clear()

    def find(self, id: str) -> _Item:
        """Return the item with an id; create it if no event so far was about it."""
        item = self._items.get(id)
        if item is None:
            self._parts.check_room(len(self._items))
            item = self._items[id] = _Item()
        return item

    # -- items -------------------------------------------------------------

    def begin(self, key: str, data: dict[str, Any]) -> bool:
        """Begin an item that the agent writes; return False for an item that the agent was given."""
        kind = text_of(data, "type") or ""
        if kind in INPUT_ITEMS or data.get("role") == "user":
            return False
        item = self.find(key)
        if item.has_ended:
            return True
        item.data = fields_except(data, "content", "summary") or {}
        if kind == "function_call":
            self._begin_call(item, data)
        elif is_tool(kind):
            self._begin_tool(item, data)
        return True

    def end(self, key: str, data: dict[str, Any]) -> bool:
        """End an item that the agent has written, with what it lacks; return False for one it was given."""
        if not self.begin(key, data):
            return False
        kind, item = text_of(data, "type") or "", self.find(key)
        if item.has_ended:
            self._parts.note("part_end_unmatched")
            return True
        item.has_ended = True
        if kind in ("message", "reasoning"):
            is_summary = kind == "reasoning"
            for index, text in enumerate(dicts_of(data.get("summary" if is_summary else "content"))):
                self.tell_text(item, index, text, is_summary=is_summary)
        elif kind == "function_call":
            if item.call is not None:
                self._end_call(item.call, data)
        elif item.tool is not None:
            self._end_tool(item, item.tool, data)
        else:
            self._parts.whole(0, OpaquePart(type=kind, data=data))
        return True

    # -- texts -------------------------------------------------------------

    def open_text(self, item: _Item, index: int, *, is_summary: bool) -> _ItemText:
        """Return a text of an item; open its part if nothing of it has arrived."""
        text = item.texts.get(index)
        if text is None:
            data = {"id": item.data["id"]} if "id" in item.data else None
            phase = PHASES.get(text_of(item.data, "phase") or "")
            start = (
                ReasoningPart(provider_data=data) if is_summary else TextPart(provider_data=data, phase=phase)
            )
            text = item.texts[index] = _ItemText(self._parts.open(0, start))
        return text

    def add_text(self, text: _ItemText, delta: str) -> None:
        """Add a piece to a text, unless the whole text has arrived before."""
        if text.is_whole:
            self._parts.note("content_twice")
        elif delta:
            self._parts.record_written_part(text.part)
            text.length += len(delta)
            self._parts.add(text.part, delta)

    def tell_text(self, item: _Item, index: int, data: dict[str, Any], *, is_summary: bool) -> None:
        """Read a whole text: add what its pieces lack of it, and close its part."""
        whole = data.get("text")
        if not isinstance(whole, str):
            self._parts.whole(0, OpaquePart(type=text_of(data, "type") or "", data=data))
            return
        text = self.open_text(item, index, is_summary=is_summary)
        if text.length:
            self._parts.tell(text.part, whole, text.length)
        elif whole:
            self._parts.add(text.part, whole)
        text.length = max(text.length, len(whole))
        text.is_whole = True
        self._parts.close(text.part)

    # -- calls -------------------------------------------------------------

    def hand_out(self, action: dict[str, Any]) -> None:
        """Hand out a call that the session waits for, if it is of this turn and its item has not ended."""
        id, name = text_of(action, "call_id"), text_of(action, "name")
        if id is None or name is None:
            return
        call = self._called.get(id)
        if call is None:
            data = fields_except(action, "type", "call_id", "name", "arguments")
            call = self._called[id] = self._parts.open_call(0, id, name, provider_data=data)
        self._end_call(call, action)

    def _begin_call(self, item: _Item, data: dict[str, Any]) -> None:
        """Open the call of a function, unless it has no name, or was opened or handed out before."""
        id, name = text_of(data, "call_id"), text_of(data, "name")
        is_known = item.call is not None or (id is not None and id in self._called)
        if is_known or name is None:
            return
        # The item has an id of its own, beside that of the call.
        item_id = {"id": data["id"]} if text_of(data, "id") else {}
        fields = {**item_id, **(fields_except(data, *_CALL_FIELDS) or {})} or None
        item.call = self._parts.open_call(0, id, name, provider_data=fields)
        if id is not None:
            self._called[id] = item.call

    def _end_call(self, call: OpenCall, data: dict[str, Any]) -> None:
        """Add all arguments of a call at once, and hand the call out, unless it was cut off."""
        if not call.closed:
            self._parts.add_whole_arguments(call, data.get("arguments"))
            self._parts.close_call(call, whole=text_of(data, "status") not in _CUT_OFF)

    # -- tools of the provider -----------------------------------------------

    def _begin_tool(self, item: _Item, data: dict[str, Any]) -> None:
        """Open the part of a tool's call, unless it is open."""
        if item.tool is None:
            fields = fields_except(data, "id", "status", "turn_id", "arguments", "output")
            call = ServerToolCall(id=text_of(data, "id") or "", name=tool_name(data), provider_data=fields)
            item.tool = self._parts.open(0, call)

    def add_output(self, item: _Item, delta: str) -> bool:
        """Add output of a tool that is running; return False if the item runs no tool, or has ended."""
        if item.tool is None or item.has_ended:
            return False
        if item.result is None:
            self._close_tool(item.tool, item.data)
            id, name = text_of(item.data, "id") or "", tool_name(item.data)
            item.result = self._parts.open(0, ServerToolResult(id=id, name=name))
        self._parts.add(item.result, delta)
        return True

    def _end_tool(self, item: _Item, tool: OpenPart, data: dict[str, Any]) -> None:
        """Close the call of a tool, and add its result."""
        self._close_tool(tool, data)
        content, has_failed = tool_result(data), text_of(data, "status") in _CUT_OFF
        failure = {"status": data["status"]} if has_failed else None
        id = text_of(data, "id") or ""
        result = ServerToolResult(
            id=id,
            name=tool_name(data),
            content=content,
            provider_data=failure,
            error=failure_text(content, str(data["status"])) if has_failed else None,
        )
        if item.result is not None:
            # Output that arrived while the tool was running has opened this part.
            self._parts.close(item.result, result.model_copy(update={"complete": True}))
        elif content is not None or has_failed:
            self._parts.whole(0, result)

    def _close_tool(self, tool: OpenPart, data: dict[str, Any]) -> None:
        """Close the call of a tool with its arguments."""
        if not tool.closed:
            arguments = tool_arguments(data)
            if is_dict(arguments) or arguments is not None:
                self._parts.add(tool, arguments if isinstance(arguments, str) else json_text(arguments))
            self._parts.close(tool)
