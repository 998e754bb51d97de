"""Translate Anthropic's finish reasons, token counts and citations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of
from tokenstream._message_parts import make_usage
from tokenstream.formats._kit.values import failure_text
from tokenstream.message import Citation, Usage

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
}
"""Maps Anthropic's stop reasons to finish reasons."""


def usage_of(report: dict[str, Any], *, reason: str | None = None) -> Usage:
    """Return token counts as `Usage`; counts that the server did not send are None.

    Args:
        reason: The answer's stop reason. After a compaction, its tokens are added, which the API counts in
            `iterations` alone; in an answer that goes on behind a compaction, they stay there.

    Example:
        >>> usage_of({"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": None}).cached_tokens
        4
    """
    details = dict_of(report, "output_tokens_details")
    compactions = _compactions_in(report) if reason == "compaction" else []

    def count(name: str) -> int | None:
        """Return a count, with that of the compactions if the server has sent it."""
        total = int_of(report, name)
        return None if total is None else sum([int_of(each, name) or 0 for each in compactions], start=total)

    return make_usage(
        report,
        input_tokens=count("input_tokens"),
        output_tokens=count("output_tokens"),
        reasoning_tokens=int_of(details, "thinking_tokens"),
        cached_tokens=count("cache_read_input_tokens"),
        cache_write_tokens=count("cache_creation_input_tokens"),
    )


def replaced_counts(report: dict[str, Any], reason: str | None) -> frozenset[str]:
    """Return the names of the counts whose zero replaces an earlier count, because the API documents it.

    After a refusal, no output is counted. After a compaction, its tokens are in `iterations` alone, so the
    counts beside these may fall to zero.

    Args:
        report: The token counts as the server sent them.
        reason: The stop reason that comes with them; None if none does.

    Example:
        >>> sorted(replaced_counts({"output_tokens": 0}, "refusal"))
        ['output_tokens']
        >>> "input_tokens" in replaced_counts({"input_tokens": 0}, "compaction")
        True
    """
    if reason == "compaction" or _compactions_in(report):
        return _COUNTS
    return _COUNTS & {"output_tokens"} if reason == "refusal" else frozenset()


_COUNTS = frozenset({"input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens"})
"""The counts that an answer has beside its `iterations`."""


def _compactions_in(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the token counts of the compactions in a report, each of which was a request of its own."""
    return [each for each in dicts_of(report.get("iterations")) if each.get("type") == "compaction"]


def citation_of(data: dict[str, Any], cites: int) -> Citation:
    """Convert a citation of any of Anthropic's types.

    The positions in a citation refer to the source and not to the answer, so they stay in `provider_data`.

    Args:
        data: The citation as the server sent it.
        cites: Index of the part that the citation supports.

    Example:
        >>> citation_of({"type": "char_location", "document_title": "Laws", "cited_text": "§ 1"}, 0).title
        'Laws'
    """
    # The application chooses the `source` of a search result, which may be a URL or any other name.
    source = text_of(data, "source") or ""
    return Citation(
        url=text_of(data, "url") or (source if "://" in source else None),
        title=text_of(data, "title", "document_title"),
        text=text_of(data, "cited_text"),
        cites=cites,
        provider_data=data,
    )


def failure_in(block: dict[str, Any]) -> str | None:
    """Return the description of a tool's failure in the block of its result; None if the tool has succeeded.

    A tool of Anthropic's has a code as its error; a tool of an MCP server describes it in the content.

    Example:
        >>> error = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
        >>> failure_in({"content": error}), failure_in({"content": []})
        ('max_uses_exceeded', None)
    """
    content = block.get("content")
    if block.get("is_error") is True:
        return failure_text(content)
    if is_dict(content) and (text_of(content, "type") or "").endswith("_error"):
        return text_of(content, "error_code") or failure_text(content)
    return None
