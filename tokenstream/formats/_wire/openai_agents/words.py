"""The words of OpenAI's agent sessions, and the tools behind their items."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import fields_except, says_nothing, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        "connection_failed": True,
        "flex_unavailable": True,
        "sandbox_error": True,
        **dict.fromkeys(
            (
                "active_turn_not_steerable",
                "cyber_policy",
                "executor_version_incompatible",
                "max_output_tokens",
                "misalignment_policy_violation",
                "resource_not_found",
            ),
            False,
        ),
    }
)
"""Maps error codes to True if a retry may help; the codes whose words already show that are left out."""
INPUT_ITEMS = frozenset(
    {"agent_message", "computer_use_approval_request_result", "function_call_output", "mcp_approval_result"}
)
"""Types of items that the agent was given, and has not written."""

_NO_ARGUMENTS = (
    "id",
    "type",
    "status",
    "turn_id",
    "name",
    "server_label",
    "output",
    "error",
    "exit_code",
    "duration_ms",
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
