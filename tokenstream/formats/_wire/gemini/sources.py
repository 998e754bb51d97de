"""Sources of an answer: each one is cited once, although every payload repeats all sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, is_list, text_of
from tokenstream.message import Citation

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE_FIELDS = ("web", "retrievedContext", "maps", "image")
"""The fields of a grounding chunk that may hold its source, one for each kind of chunk."""


class Sources:
    """Makes the citations of one candidate, and yields each citation once.

    Google's *grounding chunks* are sources; its *grounding supports* are passages of the
    answer, each with the positions of the chunks that support it.

    Example:
        >>> sources = Sources()
        >>> quoted = {"citations": [{"startIndex": 3, "endIndex": 9, "uri": "https://example.org"}]}
        >>> [citation.url for citation in sources.cite_quotations(quoted)]
        ['https://example.org']
        >>> list(sources.cite_quotations(quoted))
        []
    """

    __slots__ = ("_chunks", "_citations", "_cited_sources")

    def __init__(self) -> None:
        self._citations: set[tuple[object, ...]] = set()
        """Keys of the citations yielded so far."""
        self._cited_sources: set[tuple[object, ...]] = set()
        """The URL and title of each grounding chunk that was cited."""
        self._chunks: list[dict[str, Any]] = []
        """The last list of grounding chunks, which are Google's sources."""

    def cite_grounding(self, metadata: dict[str, Any]) -> Iterator[Citation]:
        """Yield a citation for each source of each supported passage, unless it was cited before.

        Args:
            metadata: The grounding metadata: a list of chunks, and supports, which name chunks by their
                positions in the list. Without a list, the positions are those in the list that came last.
        """
        chunks = metadata.get("groundingChunks")
        if is_list(chunks) and chunks:
            # Anything that is not an object is kept as an empty one, because chunks are named by position.
            self._chunks = [chunk if is_dict(chunk) else {} for chunk in chunks]
        for support in dicts_of(metadata.get("groundingSupports")):
            indices = support.get("groundingChunkIndices")
            segment = dict_of(support, "segment")
            for index in indices if is_list(indices) else []:
                if isinstance(index, int) and 0 <= index < len(self._chunks):
                    yield from self._cite_chunk(self._chunks[index], segment, support)

    def cite_without_support(self) -> Iterator[Citation]:
        """Yield a citation for each source in the last list of chunks that supports no passage."""
        for chunk in self._chunks:
            source = _source_of(chunk)
            if (text_of(source, *_URLS), text_of(source, "title")) not in self._cited_sources:
                yield from self._cite_chunk(chunk, segment={}, support=None)

    def cite_quotations(self, metadata: dict[str, Any]) -> Iterator[Citation]:
        """Yield a citation for each passage of the answer that quotes a source, unless it was cited before.

        Args:
            metadata: The citation metadata.
        """
        # The documented name is `citations`; some servers send `citationSources`.
        for name in ("citations", "citationSources"):
            for source in dicts_of(metadata.get(name)):
                start, end = _span_of(source)
                url, title = text_of(source, "uri"), text_of(source, "title")
                if self._note("cited", url, title, start, end):
                    yield Citation(url=url, title=title, start=start, end=end, provider_data=source)

    def _cite_chunk(
        self, chunk: dict[str, Any], segment: dict[str, Any], support: dict[str, Any] | None
    ) -> Iterator[Citation]:
        """Yield a citation of a grounding chunk, unless the chunk was cited for the same passage before.

        A chunk with neither URL nor title names no source, and is skipped.

        Args:
            segment: The start and end of the passage; empty if the chunk supports no particular one.
            support: The grounding support that names the passage, if any.
        """
        source = _source_of(chunk)
        url, title = text_of(source, *_URLS), text_of(source, "title")
        start, end = _span_of(segment)
        if url is None and title is None:
            return
        # At the end, only the sources that no passage has cited are cited for the whole answer.
        self._cited_sources.add((url, title))
        if self._note("grounded", url, title, start, end):
            data: dict[str, Any] = {"groundingChunk": chunk}
            if support is not None:
                data["groundingSupport"] = support
            yield Citation(
                url=url, title=title, text=text_of(source, "text"), start=start, end=end, provider_data=data
            )

    def _note(self, *key: object) -> bool:
        """Remember the key of a citation; return False if it is repeated."""
        if key in self._citations:
            return False
        self._citations.add(key)
        return True


_URLS = ("uri", "sourceUri", "imageUri")


def _source_of(chunk: dict[str, Any]) -> dict[str, Any]:
    """Return the object in a grounding chunk that describes its source; empty for an unknown kind."""
    for kind in _SOURCE_FIELDS:
        source = dict_of(chunk, kind)
        if source:
            return source
    return {}


def _span_of(passage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the start and end of a passage, each None if unknown; the API omits a start of 0."""
    start, end = int_of(passage, "startIndex"), int_of(passage, "endIndex")
    return (0 if start is None and end is not None else start), end
