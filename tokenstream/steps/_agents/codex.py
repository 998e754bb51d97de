"""Reads the lines of `codex exec --json`, and the items and token counts that the app server has as well."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dicts_of, int_of, is_dict, text_of
from tokenstream.message import Usage
from tokenstream.steps._agents import REMEMBERED, TextAgentReader
from tokenstream.steps._agents.values import change_arguments, plan_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.steps._run import Steps

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


_TEXTS = {"agent_message": "text", "assistant_message": "text", "reasoning": "reasoning"}
"""Kinds of items that are parts of an answer, and the kinds of the parts."""


class Codex(TextAgentReader):
    """Reads Codex: each item is sent whole, and again when it has changed.

    Messages and reasoning are an answer of the turn; every other item is a tool. The counts of tokens
    are those of the thread so far, so a turn's own are the difference.
    """

    name: ClassVar[str] = "codex"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._said: dict[str, str] = {}
        """The text of each item of an answer so far, by its id."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the lines of Codex, of which the first begins a thread."""
        kind = text_of(line, "type") or ""
        return (kind == "thread.started" and "thread_id" in line) or (
            kind in ("item.started", "item.completed", "item.updated") and is_dict(line.get("item"))
        )

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind, item = text_of(line, "type"), line.get("item")
        if kind == "thread.started":
            self._run.introduce(session=text_of(line, "thread_id"))
        elif kind == "turn.started":
            # The ids of items begin anew with each process.
            self._said.clear()
            self._ids = RecentIds(REMEMBERED)
            self._open_turn_of_session()
        elif is_dict(item):
            self._read_item(item, is_done=kind == "item.completed")
        elif kind == "error":
            self._last_error = text_of(line, "message")
        elif kind == "turn.completed":
            self._last_error = None
            self._end_answer("stop", self._count(line.get("usage")))
            self._end_turn(None)
        elif kind == "turn.failed":
            self._open_turn()
            self._end_answer("error")
            error = line.get("error")
            self._end_turn(self._failure(text_of(error, "message") if is_dict(error) else self._last_error))

    # -- within ------------------------------------------------------------

    def _read_item(self, item: dict[str, Json], *, is_done: bool) -> None:
        """Add an item to the answer, or begin or end a tool's step."""
        # Versions before 0.42 called it the type of the item.
        kind, id = text_of(item, "type", "item_type") or "", text_of(item, "id") or ""
        if kind == "error":
            # A warning, which ends nothing.
            return
        if kind in _TEXTS:
            self._add_item(id, _TEXTS[kind], text_of(item, "text") or "")
            return
        if id and f"done {id}" in self._ids:
            return
        if id not in self._tools:
            self._end_answer("tool_calls")
        name, arguments = describe(kind, item)
        if arguments is None:
            arguments = {}
        step = self._begin_tool(id, name, self._open_turn().step, dumps(arguments))
        if kind != "todo_list":
            # A search tells what it looks for only at its end.
            change_arguments(step, arguments)
        else:
            turn = self._open_turn().step
            plan = plan_of([_task_of(task) for task in dicts_of(item.get("items"))])
            if turn.updates.get("plan") != plan:
                # The end of the turn repeats the last plan.
                turn.update(plan)
        if is_done:
            if id:
                self._ids.add(f"done {id}")
            self._end_tool(id, result_of(item), failure=failure_of(item, declined="it failed"))

    def _add_item(self, id: str, kind: str, text: str) -> None:
        """Add the text of an item, or what has been added to it since it was sent last."""
        is_new = not id or id not in self._said
        if kind == "text" and is_new and self._has_text:
            # Each message of the agent is an answer of its own.
            self._end_answer("stop")
        before, self._said[id] = "" if is_new else self._said[id], text
        added = text.removeprefix(before)
        self._add_text(kind, added, is_whole=not before)

    def _count(self, counts: Json) -> Usage:
        """Return the counts of the turn: those of the thread so far, less those of the turns before."""
        if not is_dict(counts):
            return Usage()
        own: dict[str, Any] = self._run.tokens.take(self._run.session or "", counts_in(counts))
        return Usage(**own)


def _task_of(task: dict[str, Json]) -> Json:
    """Return a task of a plan with our names and words."""
    return {
        "content": text_of(task, "text"),
        "status": "completed" if task.get("completed") is True else "pending",
    }
