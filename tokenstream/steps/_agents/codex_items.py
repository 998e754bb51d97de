"""Items and token counts of Codex, which `codex exec` and the app server spell in two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import int_of, is_dict, text_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_COUNTS = {
    "input_tokens": "input_tokens",
    "inputTokens": "input_tokens",
    "cached_input_tokens": "cached_tokens",
    "cachedInputTokens": "cached_tokens",
    "cache_write_input_tokens": "cache_write_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
    "outputTokens": "output_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
    "reasoningOutputTokens": "reasoning_tokens",
}
"""Codex's names of counts, and ours."""
_ARGUMENTS = ("query", "action", "changes", "items", "path", "review", "durationMs")
"""Fields that are the arguments of an item without fields for them."""
_RESULTS = (
    "aggregated_output",
    "aggregatedOutput",
    "result",
    "contentItems",
    "changes",
    "items",
    "agentsStates",
)
"""Fields for the result of a tool; the first that is there has it."""


def counts_in(usage: dict[str, Json]) -> dict[str, int]:
    """Return token counts by our names.

    Example:
        >>> counts_in({"inputTokens": 5}), counts_in({"input_tokens": 5})
        ({'input_tokens': 5}, {'input_tokens': 5})
    """
    return {ours: n for theirs, ours in _COUNTS.items() if (n := int_of(usage, theirs)) is not None}


def describe(kind: str, item: dict[str, Json]) -> tuple[str, Json]:
    """Return the name of the tool that an item stands for, and its arguments.

    Args:
        kind: The type of the item.
        item: The item.

    Example:
        >>> describe("commandExecution", {"command": "ls"})
        ('shell', {'command': 'ls'})
    """
    if kind in ("command_execution", "commandExecution"):
        return "shell", {"command": item.get("command")}
    if kind in ("mcp_tool_call", "mcpToolCall"):
        return f"{text_of(item, 'server') or 'mcp'}.{text_of(item, 'tool') or 'tool'}", item.get("arguments")
    if kind in ("collab_tool_call", "collabAgentToolCall"):
        return text_of(item, "tool") or kind, {"prompt": item.get("prompt")}
    if kind == "dynamicToolCall":
        return text_of(item, "tool") or kind, item.get("arguments")
    return kind or "item", {name: item[name] for name in _ARGUMENTS if name in item}


def result_of(item: dict[str, Json]) -> Json:
    """Return the result of a tool: its output, or the item's own field for it; None if there is none."""
    return next((item[name] for name in _RESULTS if item.get(name) is not None), None)


def failure_of(item: dict[str, Json], *, declined: str) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded.

    Args:
        item: The item.
        declined: The description of a tool that nobody has allowed.

    Example:
        >>> failure_of({"exitCode": 2}, declined="it was declined")
        'exit code 2'
    """
    error, exit_code = item.get("error"), int_of(item, "exit_code", "exitCode")
    if is_dict(error):
        return text_of(error, "message") or "it failed"
    if exit_code:
        return f"exit code {exit_code}"
    return {"failed": "it failed", "declined": declined}.get(text_of(item, "status") or "")
