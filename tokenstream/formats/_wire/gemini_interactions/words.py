"""Translate the statuses, token counts and annotations of the Interactions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import int_of, text_of
from tokenstream.formats._kit.values import count_of_kind
from tokenstream.message import Citation, Usage

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

ALIASES = {
    "interaction.start": "interaction.created",
    "interaction.complete": "interaction.completed",
    "content.start": "step.start",
    "content.delta": "step.delta",
    "content.stop": "step.stop",
}
"""Maps event names in previews of the API to the present names."""
FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "length",
    "budget_exceeded": "length",
    "requires_continuation": "pause",
    "cancelled": "cancelled",
    "failed": "error",
}
"""Maps the final status of an interaction to a finish reason; any other status is "unknown"."""
UNFINISHED = frozenset({"in_progress", "queued"})
"""Statuses of an interaction that has not ended."""


def usage_of(report: dict[str, Any]) -> Usage:
    """Return token counts as `Usage`; counts that the server did not send are None.

    `total_output_tokens` does not include the thoughts, so the output tokens are
    the sum of this count and `total_thought_tokens`.

    Example:
        >>> usage_of({"total_output_tokens": 26, "total_thought_tokens": 115}).output_tokens
        141
    """
    written, thought = int_of(report, "total_output_tokens"), int_of(report, "total_thought_tokens")
    counts = [count for count in (written, thought) if count is not None]
    return Usage(
        input_tokens=int_of(report, "total_input_tokens"),
        output_tokens=sum(counts) if counts else None,
        total_tokens=int_of(report, "total_tokens"),
        reasoning_tokens=thought,
        cached_tokens=int_of(report, "total_cached_tokens"),
        input_audio_tokens=count_of_kind(report.get("input_tokens_by_modality"), "audio", "tokens"),
        output_audio_tokens=count_of_kind(report.get("output_tokens_by_modality"), "audio", "tokens"),
        input_image_tokens=count_of_kind(report.get("input_tokens_by_modality"), "image", "tokens"),
        provider_data=report,
    )


def citation_of(annotation: dict[str, Any], cites: int | None) -> Citation:
    """Convert an annotation of any kind to a citation.

    Args:
        annotation: The annotation as the server sent it.
        cites: Index of the text part that the citation supports.

    Example:
        >>> citation_of({"type": "url_citation", "title": "Example", "start_index": 3}, 0).start
        3
    """
    return Citation(
        url=text_of(annotation, "url", "document_uri"),
        title=text_of(annotation, "title", "file_name", "name"),
        text=text_of(annotation, "source"),
        start=int_of(annotation, "start_index"),
        end=int_of(annotation, "end_index"),
        cites=cites,
        provider_data=annotation,
    )
