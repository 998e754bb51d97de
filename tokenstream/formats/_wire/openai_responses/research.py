"""The research of Perplexity's Agent API, which imitates the Responses API: thoughts, searches and sources.

Events and items: `ResponseStreamChunk` and `OutputItem` of Perplexity's SDKs, and
https://docs.perplexity.ai/docs/cookbook/articles/streaming-citations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dicts_of, is_list, text_of
from tokenstream.formats._kit.values import split_names
from tokenstream.message import Citation, ReasoningPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.parts import Parts

RESEARCH_EVENTS = tuple(
    f"response.reasoning.{word}"
    for word in split_names(
        "started search_queries search_results fetch_url_queries fetch_url_results finance_search_queries "
        "finance_search_results stopped"
    )
)
"""Names of the events about research; all may have a `thought`."""
SOURCE_ITEMS = frozenset({"search_results", "people_search_results", "fetch_url_results"})
"""Types of output items that repeat the sources of the research events."""
_SOURCE_FIELDS = ("results", "contents")


class Research:
    """Reports the research behind an answer: each thought as reasoning, each source once as a citation."""

    __slots__ = ("_cited", "_thought")

    def __init__(self) -> None:
        self._thought = ""
        """The last thought, which the next event may repeat."""
        self._cited: dict[str, None] = {}
        """The number and address of each source, which an event and an item may both have."""

    def read_event(self, parts: Parts, payload: JsonObject, kind: str) -> None:
        """Report an event: its thought as reasoning, its sources as citations, and its queries unchanged."""
        thought = text_of(payload, "thought") or ""
        if thought and thought != self._thought:
            self._thought = thought
            part = parts.open(0, ReasoningPart(provider_data={"type": kind}))
            parts.add(part, thought)
            parts.close(part)
        self.cite_sources(parts, payload)
        if kind.endswith("queries"):
            parts.unknown(kind, payload)

    def cite_sources(self, parts: Parts, holder: JsonObject) -> None:
        """Report the sources in an event or an item as citations, except those reported before."""
        for name in _SOURCE_FIELDS:
            for source in dicts_of(holder.get(name)):
                for citation in _citations_of(source):
                    key = f"{source.get('id')} {citation.url}"
                    if key not in self._cited:
                        self._cited[key] = None
                        parts.cite(0, citation)


def _citations_of(source: JsonObject) -> list[Citation]:
    if (url := text_of(source, "url")) is not None:
        title, snippet = text_of(source, "title"), text_of(source, "snippet")
        return [Citation(url=url, title=title, text=snippet, provider_data=source)]
    urls = source.get("sources")
    return [Citation(url=url) for url in urls if isinstance(url, str)] if is_list(urls) else []
