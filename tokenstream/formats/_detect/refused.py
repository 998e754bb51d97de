"""Streams that are known, but in no format that is read; an error names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.error_marks import mark_cause
from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict
from tokenstream.errors import NotAStream

if TYPE_CHECKING:
    from collections.abc import Callable

INVOKE_AGENT_FIELDS = frozenset({"agentId", "agentAliasId", "sessionId"})
"""The fields of which each trace of InvokeAgent has one."""
_FLOW_EVENTS = frozenset({"flowOutputEvent", "flowCompletionEvent", "flowTraceEvent"})
HARNESS = "a run of AgentCore's InvokeHarness"
INVOKE_AGENT = "a run of Bedrock's InvokeAgent"
SNOWFLAKE = "a tool call of Snowflake Cortex"

_FOLLOWED = {HARNESS: "agentcore-harness", INVOKE_AGENT: "bedrock-agent"}
"""The agents whose runs these are, which `run.follow` reads."""


def refusal(name: str) -> NotAStream:
    """Return the error for a stream that is known by its name, but not read.

    Example:
        >>> str(refusal("a trace"))
        'the stream is a trace, which is not read'
    """
    agent = _FOLLOWED.get(name)
    advice = "" if agent is None else f" as an answer: follow it, as in run.follow(events, agent={agent!r})"
    return mark_cause(NotAStream(f"the stream is {name}, which is not read{advice}"), "unknown_format")


def find_refused(payload: dict[str, Any], event: str) -> NotAStream | None:
    """Return the error that names what a payload is of; None if it is of nothing that is known.

    Args:
        payload: A payload that no format recognises.
        event: The SSE event's or AWS message's name, "" if it has none.
    """
    name = next((name for name, is_of in _KNOWN.items() if is_of(payload, event)), None)
    return None if name is None else refusal(name)


def has_snowflakes_call(payload: dict[str, Any]) -> bool:
    """Return whether a payload has a piece of a tool call as Snowflake Cortex sends it.

    Example:
        >>> has_snowflakes_call({"choices": [{"delta": {"type": "tool_use", "tool_use_id": "t"}}]})
        True
    """
    return any(is_snowflakes_call(dict_of(choice, "delta")) for choice in dicts_of(payload.get("choices")))


def is_snowflakes_call(delta: dict[str, Any]) -> bool:
    """Return whether a delta is a piece of a tool call as Snowflake Cortex sends it."""
    return delta.get("type") == "tool_use" and not delta.keys().isdisjoint(
        {"tool_use_id", "content_list", "input"}
    )


def _is_invoke_agent(payload: dict[str, Any], event: str) -> bool:
    if event == "chunk" or is_dict(payload.get("chunk")):
        return "bytes" in payload or "bytes" in dict_of(payload, "chunk")
    trace = payload if event == "trace" else dict_of(payload, "trace")
    return not trace.keys().isdisjoint(INVOKE_AGENT_FIELDS) or "invocationInputs" in dict_of(
        payload, "returnControl"
    )


def _is_flow(payload: dict[str, Any], event: str) -> bool:
    return event in _FLOW_EVENTS or not payload.keys().isdisjoint(_FLOW_EVENTS)


def _is_harness(payload: dict[str, Any], event: str) -> bool:
    return event == "hookEvent" or is_dict(payload.get("hookEvent"))


def _is_snowflake(payload: dict[str, Any], _event: str) -> bool:
    return has_snowflakes_call(payload)


_KNOWN: dict[str, Callable[[dict[str, Any], str], bool]] = {
    INVOKE_AGENT: _is_invoke_agent,
    "a run of Bedrock's InvokeFlow": _is_flow,
    HARNESS: _is_harness,
    SNOWFLAKE: _is_snowflake,
}
"""Maps what is known, in words, to a function that recognises a payload of it."""
