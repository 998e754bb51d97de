"""Values in agents' lines: the one in a line of any agent, and those that several agents print alike."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dicts_of, int_of, is_dict, is_list, text_of
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import ProtocolError
from tokenstream.framing._json_frames import DATA
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.steps._step import Step

INTERRUPT = "__interrupt__"
"""The key under which an update of a LangGraph graph has its interrupts."""
_CLAUDE_SDK = "claude_agent_sdk"
_BLOCKS = {
    "TextBlock": "text",
    "ThinkingBlock": "thinking",
    "ToolUseBlock": "tool_use",
    "ToolResultBlock": "tool_result",
    "ServerToolUseBlock": "server_tool_use",
    "ServerToolResultBlock": "advisor_tool_result",
}
"""The types of blocks by the classes that claude-agent-sdk makes of them."""
_LINES = {
    "AssistantMessage": "assistant",
    "UserMessage": "user",
    "ResultMessage": "result",
    "StreamEvent": "stream_event",
    "RateLimitEvent": "rate_limit_event",
    "ConversationResetMessage": "conversation_reset",
}
"""The types of lines by the classes that claude-agent-sdk makes of them."""

_HOSTED = {"anthropic": ("BetaManagedAgents",), "mistralai": ("ConversationEvents",)}
"""The beginnings of the names of the classes that SDKs have for the events of hosted agents."""


def line_of(item: object) -> JsonObject | None:
    """Return the line that an object of an SDK stands for, or None for any other object.

    The objects are recognised by the names of their classes and modules; no SDK is imported.
    """
    kind = type(item)
    package, _, module = kind.__module__.partition(".")
    if package == _CLAUDE_SDK:
        return _line_of_claude(item, kind.__name__)
    if package == "google" and module.startswith("adk.") and hasattr(item, "author"):
        event: Any = item
        dumped: Any = event.model_dump(mode="json", exclude_none=True)
        return dumped if is_dict(dumped) else None
    if kind.__name__.startswith(_HOSTED.get(package, ())):
        payload: object = to_payload(item)
        return payload if is_dict(payload) else None
    return None


def _line_of_claude(message: Any, kind: str) -> JsonObject | None:  # noqa: ANN401 - a dataclass of the SDK
    data = getattr(message, "data", None)
    if is_dict(data):
        # Messages of the system have their whole line.
        return data
    if kind not in _LINES:
        return None
    line: JsonObject = {**vars(message), "type": _LINES[kind]}
    line["modelUsage"] = line.get("model_usage")
    if kind in ("AssistantMessage", "UserMessage"):
        content = line.pop("content", None)
        line["message"] = {
            "id": line.pop("message_id", None),
            "role": line["type"],
            "model": line.get("model"),
            "stop_reason": line.get("stop_reason"),
            "usage": line.get("usage"),
            "content": [
                {**vars(block), "type": _BLOCKS.get(type(block).__name__, "unknown")} for block in content
            ]
            if is_list(content)
            else content,
        }
    return line


_ENVELOPE = (b"event:", b"id:", b"retry:", b":")
"""The beginnings of lines of SSE that hold no data."""


def is_envelope(line: bytes) -> bool:
    """Return True for a line of SSE that holds no data, such as a comment."""
    return line.startswith(_ENVELOPE)


def begins_as_payload(line: bytes) -> bool:
    """Return True for a line that may be whole although its line end is missing."""
    return (line[:1] == b"{" and line[-1:] == b"}") or line.startswith(DATA)


def value_in(line: bytes) -> Json:
    r"""Return the object of a line, or the text of an event; None for anything else, such as a log.

    A string in SSE may again hold the JSON of an object.

    Example:
        >>> value_in(b'{"a": 1}'), value_in(b'data: {"a": 1}'), value_in(b'data: "{\\"a\\": 1}"')
        ({'a': 1}, {'a': 1}, {'a': 1})
        >>> value_in(b'data: "Hel"')
        'Hel'
    """
    is_data = line.startswith(DATA)
    text = line.removeprefix(DATA).lstrip()
    # Only a server sends a string as its answer, or a list of objects; on a line of its own, it is a log.
    if text[:1] != b"{" and not (is_data and text[:1] in (b'"', b"[")):
        return None
    value = decode(text)
    if is_list(value):
        return {"data": value} if any(is_dict(each) for each in value) else None
    if isinstance(value, str) and value[:1] == "{":
        try:
            inner = decode(value)
        except ProtocolError:
            return value
        return inner if is_dict(inner) else value
    return value


def text_in(content: Json) -> str | None:
    r"""Return the text of a message or of a tool's result: a text, a block or a list of blocks."""
    if isinstance(content, str):
        return content
    texts = [text_of(block, "text") for block in dicts_of([content] if is_dict(content) else content)]
    return "\n".join([text for text in texts if text]) or None


def interrupts_of(update: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - as a graph gives it
    """Return the ids and the values of the interrupts of LangGraph, in an update or in a list of them."""
    found: Any = update.get(INTERRUPT) if is_dict(update) else update
    entries: list[Any] = list(found) if found.__class__ in (list, tuple) else []
    pairs = [
        (each.get("id"), each.get("value"))
        if is_dict(each)
        else (getattr(each, "id", None), getattr(each, "value", None))
        for each in entries
    ]
    return [(id, value) for id, value in pairs if isinstance(id, str)]


def exit_failure(fields: JsonObject, *names: str) -> str | None:
    """Return the description of a command's failure by its exit code; None if it has succeeded or has none.

    Example:
        >>> exit_failure({"exit": 2}, "exit"), exit_failure({"exit": 0}, "exit")
        ('exit code 2', None)
    """
    code = int_of(fields, *names)
    return f"exit code {code}" if code else None


def plan_of(tasks: Json) -> JsonObject:
    """Return the news of a step with a plan, as `Step.update` takes it."""
    known = ("content", "status", "priority")
    entries: Json = [{name: task[name] for name in known if name in task} for task in dicts_of(tasks)]
    return {"type": "plan", "entries": entries}


def with_cache(usage: Usage | None) -> Usage:
    """Return counts whose input has what was cached, which some agents leave out of it."""
    if usage is None or usage.input_tokens is None:
        return usage or Usage()
    whole = usage.input_tokens + (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    return usage.model_copy(update={"input_tokens": whole})


def change_arguments(step: Step, arguments: Json, title: str | None = None) -> None:
    """Give a step the arguments of its call, which may follow the beginning of the call."""
    text = dumps(arguments)
    if step.cause is not None and text != step.cause.arguments_text:
        step.cause = step.cause.model_copy(update={"arguments_text": text})
        step.update({"type": "call", "title": title, "arguments": arguments})
