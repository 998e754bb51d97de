"""Translate the shapes and words of A2A: payloads, states of tasks, pieces of content, token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream.formats._kit.values import counts_in

if TYPE_CHECKING:
    from tokenstream.message import FinishReason, Usage

PayloadKind: TypeAlias = Literal["task", "message", "status-update", "artifact-update"]
"""The kinds of payloads, by their names in version 0.3."""

FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "input-required": "pause",
    "auth-required": "pause",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "failed": "error",
    "rejected": "error",
}
"""Maps a state to a finish reason; in any other state, the task goes on."""
PAUSED = frozenset({"input-required", "auth-required"})
"""States in which the task waits, and after which it may go on in the same stream."""
_KINDS_BY_FIELD: dict[str, PayloadKind] = {
    "task": "task",
    "message": "message",
    "statusUpdate": "status-update",
    "artifactUpdate": "artifact-update",
}
"""Maps the field that contains a payload in version 1.0 to the payload's kind."""
_KINDS: dict[object, PayloadKind] = {kind: kind for kind in _KINDS_BY_FIELD.values()}
_STATE_PREFIX = "TASK_STATE_"
# Quirk (google-adk, 2026-11): token counts and the mark of a thought are in the metadata, under names with
# a prefix of the framework; kagent, which is built on it, has a prefix of its own.
_PREFIXES = ("adk_", "kagent_")
_COUNTS = {
    "promptTokenCount": "input_tokens",
    "candidatesTokenCount": "output_tokens",
    "totalTokenCount": "total_tokens",
    "thoughtsTokenCount": "reasoning_tokens",
    "cachedContentTokenCount": "cached_tokens",
}
"""Maps the framework's names of counts, which are Gemini's, to ours."""


def unwrap(payload: dict[str, Any]) -> tuple[PayloadKind, dict[str, Any]] | None:
    """Return the kind and the content of a payload; None if it is not one of A2A.

    In version 0.3 of the protocol, the field `kind` of the content names the kind. In version 1.0, the
    content is in a field named after its kind; so it is in 0.3 over HTTP without JSON-RPC.

    Args:
        payload: The payload, with JSON-RPC around it or without.

    Example:
        >>> unwrap({"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_WORKING"}}})[0]
        'status-update'
        >>> unwrap({"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": False}}) is None
        True
    """
    inner = payload["result"] if is_dict(payload.get("result")) else payload
    kind = _KINDS.get(inner["kind"]) if isinstance(inner.get("kind"), str) else None
    if kind is not None:
        return (kind, inner) if _is_of_kind(kind, inner) else None
    for field, kind in _KINDS_BY_FIELD.items():
        content = inner.get(field)
        if is_dict(content) and _is_of_kind(kind, content):
            return kind, content
    # The answer to a request for a task, which has nothing around it.
    state = text_of(dict_of(inner, "status"), "state") or ""
    return ("task", inner) if "id" in inner and state.startswith(_STATE_PREFIX) else None


def _is_of_kind(kind: PayloadKind, content: dict[str, Any]) -> bool:
    """Return whether the content of a payload has the fields that every payload of the kind must have."""
    if kind == "message":
        return isinstance(content.get("messageId"), str) and is_list(parts_field(content))
    if kind == "artifact-update":
        return is_dict(content.get("artifact"))
    return text_of(dict_of(content, "status"), "state") is not None


def parts_field(message: dict[str, Any]) -> object:
    """Return a message's field `parts`; or `content`, its name in version 0.3 over HTTP without JSON-RPC."""
    return message["parts"] if "parts" in message else message.get("content")


def state_of(word: str) -> str:
    """Return a state as version 0.3 spells it.

    Example:
        >>> state_of("TASK_STATE_INPUT_REQUIRED"), state_of("working")
        ('input-required', 'working')
    """
    return word.removeprefix(_STATE_PREFIX).lower().replace("_", "-")


def is_thought(piece: dict[str, Any]) -> bool:
    """Return whether a piece of text is marked as reasoning."""
    metadata = dict_of(piece, "metadata")
    return any(metadata.get(f"{prefix}thought") is True for prefix in _PREFIXES)


def usage_in(metadata: dict[str, Any]) -> Usage | None:
    """Return the token counts in metadata; None if there are none.

    Example:
        >>> usage_in({"adk_usage_metadata": {"promptTokenCount": 60}}).input_tokens
        60
    """
    for prefix in _PREFIXES:
        usage = counts_in(dict_of(metadata, f"{prefix}usage_metadata"), _COUNTS)
        if usage is not None:
            return usage
    return None
