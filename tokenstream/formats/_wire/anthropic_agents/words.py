"""The words of Anthropic's Managed Agents."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of
from tokenstream.formats._kit.values import counts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.message import FinishReason, Usage

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "requires_action": "tool_calls",
    "budget_reached": "length",
    "refusal": "refusal",
    "retries_exhausted": "error",
    "terminated": "unknown",
}
"""Maps the reasons for which a session gets idle, and its end, to finish reasons."""
RETRYABLE: Mapping[str, bool] = MappingProxyType(
    {
        "mcp_connection_failed_error": True,
        "model_request_failed_error": True,
        **dict.fromkeys(
            (
                "compaction_limit_reached_error",
                "credential_host_unreachable_error",
                "repository_checkout_error",
                "repository_clone_error",
                "tool_use_limit_reached_error",
            ),
            False,
        ),
    }
)
"""Maps types of errors to True if a retry may help; the types whose words already show that are left out."""
COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
"""Maps Anthropic's names of counts to fields of `Usage`."""


def usage_of(payload: dict[str, Any]) -> Usage | None:
    """Return the tokens of one request to the model, from the event that ends it; None if it has none.

    Example:
        >>> usage_of({"model_usage": {"input_tokens": 9, "output_tokens": 2}}).output_tokens
        2
    """
    return counts_in(dict_of(payload, "model_usage"), COUNTS)
