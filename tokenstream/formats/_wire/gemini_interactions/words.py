"""Translate the statuses, token counts and annotations of the Interactions API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import int_of, text_of
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.message import Citation

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


USAGE = Counts(
    total_tokens="total_tokens",
    input_tokens="total_input_tokens",
    cached_tokens="total_cached_tokens",
    output_tokens="total_output_tokens",
    reasoning_tokens="total_thought_tokens",
    input_audio_tokens="input_tokens_by_modality[audio]",
    input_image_tokens="input_tokens_by_modality[image]",
    output_audio_tokens="output_tokens_by_modality[audio]",
    element="tokens",
    apart=True,
)
"""The token counts of an interaction; those of the output do not include the thoughts."""


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
