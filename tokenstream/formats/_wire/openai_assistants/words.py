"""The vocabulary of the Assistants API: events, statuses, finish reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

_STATUSES: dict[str, tuple[str, ...]] = {
    "thread": ("created",),
    "thread.run": (
        "created",
        "queued",
        "in_progress",
        "requires_action",
        "completed",
        "incomplete",
        "failed",
        "cancelling",
        "cancelled",
        "expired",
    ),
    "thread.run.step": ("created", "in_progress", "completed", "failed", "cancelled", "expired"),
    "thread.message": ("created", "in_progress", "completed", "incomplete"),
}
OBJECTS: dict[str, str] = {
    **{f"{name}.{status}": name for name, statuses in _STATUSES.items() for status in statuses},
    **{name: name for name in ("thread.message.delta", "thread.run.step.delta")},
}
"""The `object` of each event's payload, by event name."""

FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "unknown",
    "cancelled": "cancelled",
    "expired": "cancelled",
    "failed": "error",
}
"""Statuses of a run that end its stream."""

INCOMPLETE_REASONS: dict[str, FinishReason] = {
    "max_completion_tokens": "length",
    "max_prompt_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""Finish reasons by the cause of an incomplete run or message."""

WHOLE_STEPS = frozenset({"completed", "failed", "cancelled", "expired"})
"""Final statuses of a step."""
