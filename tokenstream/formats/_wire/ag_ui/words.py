"""Translate AG-UI's names of outcomes and token counts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, dicts_of, float_of, int_of, text_of
from tokenstream._message_parts import COUNTS
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.openai import finish_reason
from tokenstream.message import FinishReason, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

FINISH_REASONS: dict[str, FinishReason] = {
    **{reason: reason for reason in get_args(FinishReason)},
    "success": "stop",
    "interrupt": "pause",
}
"""Maps a run's outcome to a finish reason; a run without an outcome succeeded.

A relay of this library sends reasons for which AG-UI has no outcome in the metadata, under their own names.
"""

_COUNTS = {
    "input_tokens": ("inputTokens", "input_tokens"),
    "output_tokens": ("outputTokens", "output_tokens"),
    "total_tokens": ("totalTokens", "total_tokens"),
    "reasoning_tokens": ("reasoningTokens", "reasoning_tokens"),
    "cached_tokens": ("cachedInputTokens", "cached_input_tokens"),
    "cache_write_tokens": ("cacheWriteInputTokens", "cache_write_input_tokens"),
}
"""Maps fields of `Usage` to AG-UI's names of token counts, of which an entry uses one."""

OUTCOMES = frozenset({"success", "interrupt", "cancelled"})
"""The outcomes of a run that AG-UI knows."""

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


PROGRESS = "TOOL_PROGRESS"
"""The type of the activity in which a relay of this library sends the progress of a tool.

AG-UI has no event for it (github.com/ag-ui-protocol/ag-ui, issues 443 and 620, seen 2026-11), but activities
are for "intermediate planning or tool use visibility" (docs.ag-ui.com/drafts/activity-events).
"""


def read_progress(payload: dict[str, Any]) -> tuple[str, Json] | None:
    """Return the id of a call and what its tool shows, from an activity; None for any other activity.

    Example:
        >>> content, told = {"toolCallId": "call_1", "output": 3}, {"tokenstream": {}}
        >>> read_progress({"activityType": "TOOL_PROGRESS", "content": content, "metadata": told})
        ('call_1', 3)
    """
    content, id = dict_of(payload, "content"), text_of(dict_of(payload, "content"), "toolCallId")
    # Another application may have an activity of that name.
    is_ours = "tokenstream" in dict_of(payload, "metadata")
    if id is None or not is_ours or payload.get("activityType") != PROGRESS:
        return None
    return id, content.get("output")


def finish_word_of(payload: dict[str, Any]) -> str:
    """Return the word for which a run has ended: its outcome, or the finish reason in its metadata.

    Args:
        payload: A `RUN_FINISHED`. If a relay of this library or TanStack AI has sent it, a reason for which
            AG-UI has no outcome is in its metadata.

    Example:
        >>> told = {"tokenstream": {"finishReason": "length"}}
        >>> finish_word_of({"outcome": {"type": "success"}, "metadata": told})
        'length'
    """
    outcome = text_of(dict_of(payload, "outcome"), "type") or "success"
    told = told_finish_word(payload) or _tanstack_finish_word(payload)
    if outcome == "success" and told is not None:
        return told
    return outcome if outcome in OUTCOMES else "unknown"


def told_finish_word(payload: dict[str, Any]) -> str | None:
    """Return the word for a finish reason that a relay of this library has sent in metadata; None without.

    Example:
        >>> told_finish_word({"metadata": {"tokenstream": {"finishReason": "length"}}})
        'length'
    """
    told = text_of(dict_of(dict_of(payload, "metadata"), "tokenstream"), "finishReason")
    return told if told in FINISH_REASONS else None


def model_in_metadata(payload: dict[str, Any]) -> str | None:
    """Return the model that TanStack AI names in the metadata of a run's start or end; None without one.

    Example:
        >>> model_in_metadata({"metadata": {"tanstack": {"model": "gpt-5"}}})
        'gpt-5'
    """
    return text_of(_tanstack_metadata(payload), "model")


def _tanstack_finish_word(payload: dict[str, Any]) -> str | None:
    """Return the finish reason in TanStack AI's metadata, or "unknown" for an unknown word; None without."""
    word = text_of(_tanstack_metadata(payload), "finishReason")
    return None if word is None else finish_reason(word)


def _tanstack_metadata(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what TanStack AI has put into the metadata of an event; empty if it has not sent it."""
    # Quirk (TanStack AI 0.58, 2026-10): AG-UI's `RUN_FINISHED` has no place for the finish reason and the
    # model, so both are in the metadata (strip-to-spec-middleware.ts).
    return dict_of(dict_of(payload, "metadata"), "tanstack")


def is_server_call(payload: dict[str, Any]) -> bool:
    """Return True if the metadata of a call say that a model's provider runs the tool itself.

    Example:
        >>> is_server_call({"metadata": {"tokenstream": {"providerExecuted": True}}})
        True
    """
    return dict_of(dict_of(payload, "metadata"), "tokenstream").get("providerExecuted") is True


def usage_of(payload: dict[str, Any]) -> Usage | None:
    """Return the token counts of a run, summed over its models; None if no model reported any.

    Args:
        payload: The event that ended the run, with a list of counts, one entry for each provider and model.
            If a relay of this library has sent it, further counts are in its metadata.

    Example:
        >>> usage_of({"usage": [{"outputTokens": 4}, {"outputTokens": 3}]}).output_tokens
        7
    """
    entries = dicts_of(payload.get("usage"))
    told = dict_of(dict_of(dict_of(payload, "metadata"), "tokenstream"), "usage")
    if not entries and not told:
        return None
    counts: dict[str, Any] = {name: _add_up(entries, *words) for name, words in _COUNTS.items()}
    counts |= {name: int_of(told, name) for name in COUNTS if name not in _COUNTS}
    counts["cost"] = float_of(told, "cost")
    return Usage(**counts, provider_data={"usage": entries})


def _add_up(entries: list[dict[str, Any]], *names: str) -> int | None:
    """Return the sum of a token count over all entries of a report; None if no entry has the count.

    Args:
        names: The names of the count, one of which an entry uses.
    """
    counts = [count for entry in entries if (count := int_of(entry, *names)) is not None]
    return sum(counts) if counts else None
