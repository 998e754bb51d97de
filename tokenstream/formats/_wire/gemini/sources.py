"""Sources of an answer, each of which is cited once, although payloads repeat all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, is_list, text_of
from tokenstream.message import Citation

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = ("web", "retrievedContext", "maps", "image")
"""Kinds of grounding chunks."""


class Sources:
    """The sources of one candidate that have been cited so far.

    Example:
        >>> sources = Sources()
        >>> cited = {"citations": [{"startIndex": 3, "endIndex": 9, "uri": "https://example.org"}]}
        >>> [citation.url for citation in sources.cited(cited)], list(sources.cited(cited))
        (['https://example.org'], [])
    """

    __slots__ = ("_chunks", "_named", "_seen")

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()
        self._named: set[tuple[object, ...]] = set()
        self._chunks: list[dict[str, Any]] = []

    def grounded(self, metadata: dict[str, Any]) -> Iterator[Citation]:
        """Yield a citation for each source of each supported passage, unless it was cited before.

        Args:
            metadata: The grounding metadata; the indices in it refer to its own list of chunks.
        """
        chunks = metadata.get("groundingChunks")
        if is_list(chunks) and chunks:
            self._chunks = [chunk if is_dict(chunk) else {} for chunk in chunks]
        for support in dicts_of(metadata.get("groundingSupports")):
            indices = support.get("groundingChunkIndices")
            segment = dict_of(support, "segment")
            for index in indices if is_list(indices) else []:
                if isinstance(index, int) and 0 <= index < len(self._chunks):
                    yield from self._name(self._chunks[index], segment, support)

    def rest(self) -> Iterator[Citation]:
        """Yield citations of the last grounding metadata's sources that support no particular passage."""
        for chunk in self._chunks:
            source = _source_of(chunk)
            if (text_of(source, *_URLS), text_of(source, "title")) not in self._named:
                yield from self._name(chunk, {}, None)

    def cited(self, metadata: dict[str, Any]) -> Iterator[Citation]:
        """Yield a citation for each passage of the answer that quotes a source, unless cited before."""
        # The documented name is `citations`; some servers send `citationSources`.
        for name in ("citations", "citationSources"):
            for source in dicts_of(metadata.get(name)):
                start, end = _places(source)
                url, title = text_of(source, "uri"), text_of(source, "title")
                if self._is_new("cited", url, title, start, end):
                    yield Citation(url=url, title=title, start=start, end=end, provider_data=source)

    def _name(
        self, chunk: dict[str, Any], segment: dict[str, Any], support: dict[str, Any] | None
    ) -> Iterator[Citation]:
        """Yield a citation of one grounding chunk for one passage, unless it was cited before."""
        source = _source_of(chunk)
        url, title = text_of(source, *_URLS), text_of(source, "title")
        start, end = _places(segment)
        if url is None and title is None:
            return
        self._named.add((url, title))
        if self._is_new("grounded", url, title, start, end):
            data: dict[str, Any] = {"groundingChunk": chunk}
            if support is not None:
                data["groundingSupport"] = support
            yield Citation(
                url=url, title=title, text=text_of(source, "text"), start=start, end=end, provider_data=data
            )

    def _is_new(self, *key: object) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


_URLS = ("uri", "sourceUri", "imageUri")


def _source_of(chunk: dict[str, Any]) -> dict[str, Any]:
    for kind in _KINDS:
        source = dict_of(chunk, kind)
        if source:
            return source
    return {}


def _places(passage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the start and end of a passage; a start of 0 is omitted on the wire."""
    start, end = int_of(passage, "startIndex"), int_of(passage, "endIndex")
    return (0 if start is None and end is not None else start), end
