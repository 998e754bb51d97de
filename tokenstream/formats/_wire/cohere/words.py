"""Translate Cohere's finish reasons, token counts, citations and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_list, text_of
from tokenstream._message_parts import make_usage
from tokenstream.errors import ProviderError
from tokenstream.formats._kit.errors import provider_error
from tokenstream.message import Citation, Usage

if TYPE_CHECKING:
    from tokenstream.message import FinishReason

FINISH_REASONS: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "USER_CANCEL": "cancelled",
    "ERROR": "error",
    "TIMEOUT": "error",
}
"""Maps the words of v2 and v1 to finish reasons."""

_FAILURES = {
    "ERROR": "generation failed with an error at the provider",
    "TIMEOUT": "generation took longer than the provider allows",
}
"""Messages for the finish reasons that are failures, used if the server sends no message."""


def usage_of(report: dict[str, Any]) -> Usage:
    """Return token counts as `Usage`; counts that the server did not send are None.

    The counts in `tokens` take precedence over the counts in `billed_units`.

    Example:
        >>> usage = usage_of({"tokens": {"input_tokens": 507.0}, "billed_units": {"output_tokens": 7}})
        >>> usage.input_tokens, usage.output_tokens
        (507, 7)
    """
    tokens, billed = dict_of(report, "tokens"), dict_of(report, "billed_units")

    def count(name: str) -> int | None:
        """Return the count of this name in `tokens`, or else in `billed_units`; None if it is in neither."""
        number = int_of(tokens, name)
        return int_of(billed, name) if number is None else number

    return make_usage(
        report,
        input_tokens=count("input_tokens"),
        output_tokens=count("output_tokens"),
        cached_tokens=int_of(report, "cached_tokens"),
    )


def citation_of(data: dict[str, Any], cites: int | None, documents: object) -> Citation:
    """Convert a citation.

    Of the sources, only the first with an address or a title is used. The other sources
    stay in `provider_data`, and so does `text`, which repeats the cited words of the answer.

    Args:
        data: The citation as the server sent it.
        cites: Index of the part that the citation supports; None if it supports none.
        documents: The documents that citations of v1 refer to by id; citations of v2 contain them.

    Example:
        >>> source = {"type": "document", "id": "d1", "document": {"title": "Laws"}}
        >>> citation_of({"start": 0, "end": 5, "sources": [source]}, 0, None).title
        'Laws'
    """
    url = title = None
    for source in (*_sources_of(data), *_documents_of(data, documents)):
        url, title = text_of(source, "url"), text_of(source, "title")
        if url or title:
            break
    return Citation(
        url=url,
        title=title,
        start=int_of(data, "start"),
        end=int_of(data, "end"),
        cites=cites,
        provider_data=data,
    )


def _sources_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents and tool outputs that a v2 citation contains."""
    return [
        dict_of(source, "document") or dict_of(source, "tool_output")
        for source in dicts_of(data.get("sources"))
    ]


def _documents_of(data: dict[str, Any], documents: object) -> list[dict[str, Any]]:
    """Return the documents whose ids a v1 citation lists.

    Args:
        data: The citation.
        documents: All documents of the request or answer.
    """
    ids = data.get("document_ids")
    return [document for document in dicts_of(documents) if is_list(ids) and document.get("id") in ids]


def failure_of(reason: str, failure_message: str | None) -> ProviderError | None:
    """Return the error for a finish reason; None if the reason is not a failure.

    Args:
        reason: Cohere's word for the finish reason.
        failure_message: The server's description of the failure.

    Example:
        >>> failure_of("TIMEOUT", None).retryable, failure_of("COMPLETE", None)
        (True, None)
    """
    if reason not in _FAILURES:
        return None
    error = provider_error({"error": {"message": failure_message or _FAILURES[reason], "type": reason}})
    if error is None or error.kind != "unknown":
        return error
    # Cohere's word says only that the server failed.
    return ProviderError(error.message, type=error.type, kind="server")
