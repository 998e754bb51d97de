"""Events of the Assistants API, and what reading them gives."""

from __future__ import annotations

import json
from typing import Any

from tests.formats.told import DONE, Told, tell
from tests.support.formats import OpenAIAssistants

RUN: dict[str, Any] = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": 1_700_000_000,
    "assistant_id": "asst_1",
    "thread_id": "thread_1",
    "model": "gpt-m",
    "required_action": None,
    "last_error": None,
    "usage": None,
    "metadata": {},
}

USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 9,
    "total_tokens": 39,
    "prompt_token_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}

FINISHED = ("done", DONE)


def run(status: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    name = "created" if status == "queued" else status
    return f"thread.run.{name}", {**RUN, "status": status, **fields}


def message(status: str, *content: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    body = {
        "id": "msg_1",
        "object": "thread.message",
        "role": "assistant",
        "status": status,
        "content": [*content],
    }
    return f"thread.message.{status}", {**body, **fields}


def delta(*content: Any, id: str = "msg_1") -> tuple[str, dict[str, Any]]:
    return "thread.message.delta", {
        "id": id,
        "object": "thread.message.delta",
        "delta": {"content": [*content]},
    }


def text(value: Any, index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"index": index, "type": "text", "text": {"value": value, **fields}}


def step(status: str, *calls: Any, id: str = "step_1", **fields: Any) -> tuple[str, dict[str, Any]]:
    details = {"type": "tool_calls", "tool_calls": [*calls]}
    body = {
        "id": id,
        "object": "thread.run.step",
        "type": "tool_calls",
        "status": status,
        "step_details": details,
    }
    return f"thread.run.step.{status}", {**body, "usage": None, **fields}


def step_delta(*calls: Any, id: str = "step_1") -> tuple[str, dict[str, Any]]:
    details = {"type": "tool_calls", "tool_calls": [*calls]}
    return "thread.run.step.delta", {
        "id": id,
        "object": "thread.run.step.delta",
        "delta": {"step_details": details},
    }


def function(index: Any = 0, id: Any = None, **body: Any) -> dict[str, Any]:
    return {"index": index, "type": "function", **({} if id is None else {"id": id}), "function": body}


def waits(*calls: tuple[str, str, Any]) -> tuple[str, dict[str, Any]]:
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": made}}
    return run("requires_action", required_action=action)


START = [run("queued"), run("in_progress"), step("in_progress")]
DONE_RUN = run("completed", usage=USAGE)


def read(*frames: Any, **options: Any) -> Told:
    return tell(OpenAIAssistants(**options), *frames)


def whole(*frames: Any) -> Told:
    """Read a run that begins and ends as the documents say."""
    return read(*START, *frames, DONE_RUN, FINISHED)


CALLS = [
    step_delta(function(0, "call_1", name="get_weather", arguments="", output=None)),
    step_delta(function(0, arguments='{"city": ')),
    step_delta(function(0, arguments='"Oslo"}')),
    step_delta(function(1, "call_2", name="now", arguments="")),
]


def interpreter(index: Any = 0, id: Any = None, **body: Any) -> dict[str, Any]:
    return {
        "index": index,
        **({} if id is None else {"id": id}),
        "type": "code_interpreter",
        "code_interpreter": body,
    }


def answer(*texts: str) -> list[bytes]:
    """Return the body of a run with a text in pieces and a call, one event in each chunk."""
    ring = {"name": "ring", "arguments": '{"bird": "tern"}'}
    events = [
        *START[:2],
        *[delta(text(each)) for each in texts],
        message("completed", {"type": "text", "text": {"value": "".join(texts), "annotations": []}}),
        step("in_progress"),
        step_delta(function(0, "call_1", **ring)),
        waits(("call_1", ring["name"], ring["arguments"])),
    ]
    sent = [f"event: {name}\ndata: {json.dumps(payload)}\n\n".encode() for name, payload in events]
    return [*sent, b"event: done\ndata: [DONE]\n\n"]
