"""Translate AG-UI's names of outcomes and token counts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, text_of
from tokenstream.errors import ProtocolError
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.message import FinishReason

FINISH_REASONS: dict[str, FinishReason] = {
    "success": "stop",
    "interrupt": "pause",
    "cancelled": "cancelled",
}
"""Maps a run's outcome to a finish reason; a run without an outcome succeeded."""

COMMON_FIELDS = frozenset({"type", "timestamp", "rawEvent", "raw_event", "metadata"})
"""Fields that any event may have, such as its time; they are not reported, but an event's `raw` has them."""


def read_output(payload: dict[str, Any]) -> tuple[Json, str | None, bool]:
    """Return the output and the error of a `TOOL_CALL_RESULT`, and True if the agent has run the tool itself.

    Args:
        payload: The event. If a relay of this library has sent it, its metadata say whether its `content` is
            JSON text, plain text or the message of an error.

    Example:
        >>> told = {"content": "json", "providerExecuted": True}
        >>> read_output({"content": "[7]", "metadata": {"tokenstream": told}})
        ([7], None, True)
    """
    content = payload.get("content")
    told = dict_of(dict_of(payload, "metadata"), "tokenstream")
    error, kind = told.get("error"), text_of(told, "content")
    if kind == "error":
        content = None
    elif kind == "json" and isinstance(content, str):
        # Content that is not JSON, although the metadata say so, stays text.
        with suppress(ProtocolError):
            content = decode(content)
    return content, error if isinstance(error, str) else None, told.get("providerExecuted") is True


def is_server_call(payload: dict[str, Any]) -> bool:
    """Return True if the metadata of a call say that a model's provider runs the tool itself.

    Example:
        >>> is_server_call({"metadata": {"tokenstream": {"providerExecuted": True}}})
        True
    """
    return dict_of(dict_of(payload, "metadata"), "tokenstream").get("providerExecuted") is True


def usage_of(reports: object) -> Usage | None:
    """Return the token counts of a run, summed over its models; None if no model reported any.

    Args:
        reports: A list of counts, one entry for each provider and model.

    Example:
        >>> usage_of([{"outputTokens": 4}, {"outputTokens": 3, "reasoningTokens": 1}]).output_tokens
        7
    """
    entries = dicts_of(reports)
    if not entries:
        return None
    return Usage(
        input_tokens=_add_up(entries, "inputTokens", "input_tokens"),
        output_tokens=_add_up(entries, "outputTokens", "output_tokens"),
        total_tokens=_add_up(entries, "totalTokens", "total_tokens"),
        reasoning_tokens=_add_up(entries, "reasoningTokens", "reasoning_tokens"),
        cached_tokens=_add_up(entries, "cachedInputTokens", "cached_input_tokens"),
        cache_write_tokens=_add_up(entries, "cacheWriteInputTokens", "cache_write_input_tokens"),
        provider_data={"usage": entries},
    )


def _add_up(entries: list[dict[str, Any]], *names: str) -> int | None:
    """Return the sum of a token count over all entries of a report; None if no entry has the count.

    Args:
        names: The names of the count, one of which an entry uses.
    """
    counts = [count for entry in entries if (count := int_of(entry, *names)) is not None]
    return sum(counts) if counts else None
