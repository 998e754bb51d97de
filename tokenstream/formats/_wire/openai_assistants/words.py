"""The Assistants API's names of events and statuses, and the finish reasons for them."""

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
"""Maps the name of an event to the `object` of its payload."""

FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "unknown",
    "cancelled": "cancelled",
    "expired": "cancelled",
    "failed": "error",
}
"""Maps the statuses of a run that end its stream to finish reasons."""

INCOMPLETE_REASONS: dict[str, FinishReason] = {
    "max_completion_tokens": "length",
    "max_prompt_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""Maps the reason why a run is incomplete to a finish reason."""

FINAL_STEP_STATUSES = frozenset({"completed", "failed", "cancelled", "expired"})
"""Statuses with which a step ends."""
