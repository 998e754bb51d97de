"""A tool without a result is never done: a law for every reader of agents and of frameworks.

Each of them reads a run that ends, by itself, after the call of a tool that has not returned.
"""

from __future__ import annotations

import io
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from tests.steps.agents.claude_code import INIT, calls, ended, said
from tests.steps.agents.support import FOLDER, cuts_of
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import StreamError
from tokenstream.events import ToolResult
from tokenstream.steps import Step
from tokenstream.steps._agents.detect import _READERS
from tokenstream.steps._framework import RunOfAFramework
from tokenstream.steps._pydantic_ai import PydanticAIRun

_Items = list[Any]


def _claude(session: str = "s") -> _Items:
    return [{**line, "session_id": session} for line in (INIT, said("m", calls("c", "drop")), ended())]


def _protocol(method: str, seq: int, **data: Any) -> dict[str, Any]:
    params = {"namespace": [], "data": data}
    return {"type": "event", "method": method, "seq": seq, "event_id": f"e{seq}", "params": params}


_UPDATE = {"sessionUpdate": "tool_call", "toolCallId": "c", "title": "drop", "rawInput": {}}
_CODEX_ITEM = {"id": "c", "type": "commandExecution", "command": "drop"}
_OPENCODE_PART = {"type": "tool", "id": "p", "callID": "c", "tool": "drop", "state": {"status": "running"}}
_ADK: dict[str, Any] = {"author": "W", "invocation_id": "i"}
_ADK_CALL = {"function_call": {"id": "c", "name": "drop", "args": {}}}
_ADK_ASKS = {
    "id": "a",
    "name": "adk_request_confirmation",
    "args": {"originalFunctionCall": {"id": "c", "name": "drop", "args": {}}},
}
_USE = {"type": "agent.custom_tool_use", "id": "c", "name": "drop", "input": {}}
_MISTRAL = {"type": "tool.execution.started", "id": "c", "name": "drop", "arguments": "{}"}
_RUN = {"threadId": "t", "runId": "r"}

AGENTS: dict[str, _Items] = {
    "claude-code": _claude(),
    "qwen-code": _claude(),
    "amp": _claude("T-1"),
    "codex": [
        {"type": "turn.started"},
        {"type": "item.started", "item": {"id": "c", "type": "command_execution", "command": "drop"}},
        {"type": "turn.completed", "usage": {}},
    ],
    "gemini-cli": [
        {"type": "tool_use", "tool_id": "c", "tool_name": "drop", "parameters": {}},
        {"type": "result", "status": "success", "stats": {}},
    ],
    "opencode": [],  # tells of a tool only when it has ended
    "codex-server": [
        {"method": "turn/started", "params": {"threadId": "t", "turn": {"id": "u"}}},
        {"method": "item/started", "params": {"threadId": "t", "turnId": "u", "item": _CODEX_ITEM}},
        {"method": "turn/completed", "params": {"threadId": "t", "turn": {"id": "u", "status": "completed"}}},
    ],
    "acp": [
        {"method": "session/update", "params": {"sessionId": "s", "update": _UPDATE}},
        {"id": 1, "result": {"stopReason": "end_turn"}},
    ],
    "opencode-server": [
        {"type": "message.part.updated", "properties": {"sessionID": "s", "part": _OPENCODE_PART}},
        {"type": "session.idle", "properties": {"sessionID": "s"}},
    ],
    "cursor": [
        {"type": "tool_call", "subtype": "started", "call_id": "c", "tool_call": {"dropToolCall": {}}},
        {"type": "result", "is_error": False, "result": "Done."},
    ],
    "pi": [
        {"type": "agent_start"},
        {"type": "tool_execution_start", "toolCallId": "c", "toolName": "drop", "args": {}},
        {"type": "agent_end"},
    ],
    "copilot-cli": [
        {"type": "tool.execution_start", "id": "1", "data": {"toolCallId": "c", "toolName": "drop"}},
        {"type": "result", "id": "2", "exitCode": 0},
    ],
    "kimi-code": [
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "drop"}}]},
        {"role": "meta", "type": "session.resume_hint", "session_id": "s"},
    ],
    "adk": [
        {**_ADK, "id": "1", "content": {"parts": [_ADK_CALL]}, "finish_reason": "STOP"},
        {
            **_ADK,
            "id": "2",
            "content": {"parts": [{"function_call": _ADK_ASKS}]},
            "long_running_tool_ids": ["a"],
        },
    ],
    "agentcore": [],  # only text
    "a2a": [],  # only artifacts
    "mcp": [],  # a call without its result is a cut
    "anthropic-agents": [_USE, {"type": "session.status_idle", "id": "2"}],
    "mistral-conversations": [_MISTRAL, {"type": "conversation.response.done", "usage": {}}],
    "langgraph": [_protocol("tools", 1, event="tool-started", tool_call_id="c", tool_name="drop", input={})],
    "ag-ui": [
        {"type": "RUN_STARTED", **_RUN},
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "drop"},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {"type": "RUN_FINISHED", **_RUN},
    ],
}
"""The items of a run that ends with an open tool, by the name of the agent."""


def _object(package: str, **fields: Any) -> Any:
    return type("Event", (SimpleNamespace,), {"__module__": package})(**fields)


_CALL = _object("pydantic_ai.messages", part_kind="tool-call", tool_name="drop", tool_call_id="c", args={})
_NONE = SimpleNamespace(input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0)
_RESULT = SimpleNamespace(output=None, usage=_NONE)
FRAMEWORKS: dict[str, _Items] = {
    "LlamaIndexRun": [
        _object("llama_index", current_agent_name="W", input=[]),
        _object("llama_index", tool_id="c", tool_name="drop", tool_kwargs={}),
    ],
    "AgentsRun": [
        _object("agents", type="agent_updated_stream_event", new_agent=SimpleNamespace(name="W")),
        _object(
            "agents",
            type="run_item_stream_event",
            item=_object("agents", type="tool_call_item", raw_item={"call_id": "c", "name": "drop"}),
        ),
    ],
    "LangChainRun": [{"event": "on_tool_start", "run_id": "c", "name": "drop", "data": {"input": {}}}],
    "PydanticAIRun": [
        _object("pydantic_ai.messages", event_kind="function_tool_call", part=_CALL),
        _object("pydantic_ai.messages", event_kind="agent_run_result", result=_RESULT),
    ],
}
"""The same for frameworks, by the names of their readers."""


def _kinds_of(reader: type[Any]) -> set[str]:
    below = reader.__subclasses__()
    return {each for kind in below for each in _kinds_of(kind)} if below else {reader.__name__}


def tools_in(node: Steps | Step) -> list[Step]:
    return [each for step in node.steps for each in ([step] if step.cause else []) + tools_in(step)]


def test_every_reader_is_tried() -> None:
    """The tables have each agent, and each framework, that a run can follow."""
    assert AGENTS.keys() == _READERS.keys()
    assert PydanticAIRun.__name__ in _kinds_of(RunOfAFramework)
    assert FRAMEWORKS.keys() == _kinds_of(RunOfAFramework)


@in_one_test(("name", "items"), [pair for pair in [*AGENTS.items(), *FRAMEWORKS.items()] if pair[1]], ids=str)
def test_a_tool_without_a_result_is_not_done(name: str, items: _Items) -> None:
    options: dict[str, Any] = {"agent": name} if name in AGENTS else {}
    with Steps() as run:
        list(run.follow(items, **options))

    (tool,) = [step for step in [*run.steps, *tools_in(run)] if step.name in ("drop", "shell")][-1:]
    assert tool.state in ("stopped", "waiting")
    assert tool.result is None
    assert {turn.state for turn in run.turns} <= {"done", "waiting"}
    results = [event for event in run.events() if isinstance(event, ToolResult)]
    assert all(event.error is not None for event in results)


def _outcomes_of(body: bytes, **options: Any) -> dict[str, tuple[str, Any]]:
    with Steps() as run, suppress(StreamError):
        list(run.follow(io.BytesIO(body), **options))
    return {tool.cause.id: (tool.state, tool.result) for tool in tools_in(run) if tool.cause}


@in_one_test("path", sorted(FOLDER.rglob("*.jsonl")), ids=lambda path: path.stem)
def test_a_tool_that_is_done_has_the_result_of_the_whole_run(path: Any) -> None:
    body = path.read_bytes()
    whole = _outcomes_of(body)
    for place in cuts_of(body, path.name):
        for id, (state, result) in _outcomes_of(body[:place]).items():
            assert state != "done" or whole[id] == (state, result), (place, id)
