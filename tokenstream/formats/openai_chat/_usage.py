"""Read a report of token counts."""

from __future__ import annotations

from typing import Any

from tokenstream.formats._read import dict_of, float_of, int_of, is_dict
from tokenstream.formats.openai_chat._tables import USAGE_DETAILS, USAGE_FIELDS
from tokenstream.message import Usage

__all__ = ["usage_of"]


def usage_of(report: dict[str, Any]) -> Usage:
    """Return token counts in our names, with the report as it was sent.

    Args:
        report: The `usage` of a payload, a choice or an extension.

    Example:
        >>> usage_of({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}).cached_tokens
        4
    """
    counts: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for key, value in report.items():
        if key in USAGE_FIELDS:
            _count(report, key, USAGE_FIELDS, counts)
        elif key in USAGE_DETAILS and is_dict(value):
            for name in value:
                _count(value, name, USAGE_DETAILS[key], details)
    counts.update(details)
    cost = float_of(report, "cost")
    if cost is None:
        # Quirk (Perplexity sonar, 2026-11): the cost is an object with its parts; recording: none.
        cost = float_of(dict_of(report, "cost"), "total_cost")
    if cost is not None:
        counts["cost"] = cost
    return Usage(**counts, provider_data=report)


def _count(report: dict[str, Any], key: str, names: dict[str, str], counts: dict[str, Any]) -> None:
    count = int_of(report, key)
    if count is not None and key in names:
        counts[names[key]] = count
