"""Finds citation markers in a text while it arrives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.message import Citation
from tokenstream.stages._citations.markers import TAIL, search_for
from tokenstream.stages._text.code import CodeMarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.stages._citations.markers import Marker

_match_entry = re.compile(r"[ \t]{0,3}(?:[-*+][ \t]{1,3})?").fullmatch
"""Matches what may stand before an entry of a list of sources."""
_LINE_KEPT = 8
"""The most characters of a line's start that are kept; one more than an entry has before it."""


class Cited(NamedTuple):
    """The last words of a text so far cite a source."""

    marker: str
    source: str
    """The name of the source within the marker."""
    width: int
    """The number of characters of these words, or of the marker; 0 if the marker was removed."""
    known: Citation | None
    """The source, if it is known."""

    def make_citation(self, end: int, part: int) -> Citation:
        """Return the citation.

        Args:
            end: The number of characters of the part so far.
            part: The index of the part with these words.
        """
        known = self.known or Citation()
        return Citation(
            url=known.url,
            title=known.title,
            text=known.text,
            start=end - self.width,
            end=end,
            cites=part,
            provider_data={"marker": self.marker, "source": self.source},
        )


class MarkerScanner:
    """Splits a text into the text without markers, and what they cite.

    Markers in code are text. So is a form of Markdown that is a link, or begins an entry in a
    list of sources.

    Args:
        markers: The markers to look for.
        sources: The known sources, for markers that number them from 1; it may grow.
        keep: True if markers stay in the text.
    """

    __slots__ = (
        "_code",
        "_held",
        "_keep",
        "_line",
        "_markers",
        "_open",
        "_search",
        "_sources",
        "_width",
        "removed",
    )

    def __init__(self, markers: tuple[Marker, ...], sources: Sequence[Citation], *, keep: bool) -> None:
        self._markers = {marker.name: marker for marker in markers}
        self._search = search_for(markers)
        self._sources = sources
        self._keep = keep
        self._code = CodeMarks()
        self._line = ""
        """The start of the line."""
        self._held = ""
        """The end of the text so far that may become a marker."""
        self._open: Cited | None = None
        """The marker that encloses the text; None if there is none."""
        self._width = 0
        """The number of characters that it encloses so far."""
        self.removed = False
        """True once a marker was removed from the text."""

    @property
    def firsts(self) -> frozenset[str]:
        """Characters of which a text with a marker has one."""
        return self._search.firsts

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a marker, and with nothing undecided."""
        return not self._held and self._search.firsts.isdisjoint(text)

    def skim(self, text: str) -> None:
        """Read a piece that the caller returns unchanged (`passes` was True)."""
        self._note(text)
        self._width += len(text)

    def feed(self, text: str) -> list[str | Cited]:
        """Return the decided pieces of the text, and what they cite."""
        if self.passes(text):
            self.skim(text)
            return [text] if text else []
        text, self._held = self._held + text, ""
        return self._read(text, ended=False)

    def end(self) -> list[str | Cited]:
        """Return the pieces that were held back; words whose marker has no end are cited up to here."""
        text, self._held = self._held, ""
        out = self._read(text, ended=True)
        if self._open is not None:
            out.append(self._close(self._open))
        return out

    def _read(self, text: str, *, ended: bool) -> list[str | Cited]:
        """Return the pieces of a text; its end is held back if more may come that makes it a marker."""
        search = self._search.in_whole if ended else self._search.in_more
        out: list[str | Cited] = []
        given = noted = position = 0
        while (found := search(text, position)) is not None:
            at = found.start()
            self._note(text[noted:at])
            noted = at
            if not self._counts(found):
                position = at + 1
                continue
            self._put(text[given:at], out)
            if found.lastgroup == TAIL:
                self._held = found[0]
                return out
            self._cite(found, out)
            self._note("-")  # the line has begun
            given = noted = position = found.end()
        self._note(text[noted:])
        self._put(text[given:], out)
        return out

    def _counts(self, found: re.Match[str]) -> bool:
        """Return True if a marker, or what may become one, is neither code nor something else."""
        if self._code.is_code():
            return False
        if found.lastgroup is None:
            return self._open is not None
        if found.lastgroup == TAIL:
            return True
        marker = self._markers[found.lastgroup]
        if marker.in_line and _match_entry(self._line):
            return False
        if marker.needs_source and not 1 <= int(found[f"{marker.name}_source"]) <= len(self._sources):
            return False
        return not marker.closing or self._open is None

    def _cite(self, found: re.Match[str], out: list[str | Cited]) -> None:
        """Add what a marker cites, and the marker itself if it stays in the text."""
        text = found[0]
        self.removed = self.removed or not self._keep
        if found.lastgroup is None:
            if self._open is not None:
                out.append(self._close(self._open))
            self._put(text * self._keep, out)
            return
        marker = self._markers[found.lastgroup]
        names = found[f"{marker.name}_source"]
        self._put(text * self._keep, out)
        width = len(text) * self._keep
        sources = names.split(marker.between) if marker.between else [names]
        cited = [Cited(text, source, width, self._find(marker, source)) for source in sources]
        if marker.closing:
            self._open, self._width = cited[0], 0
        else:
            out += cited

    def _find(self, marker: Marker, source: str) -> Citation | None:
        """Return the source of a marker, if it is known."""
        number = int(source) if marker.name == "number" else 0
        return self._sources[number - 1] if 1 <= number <= len(self._sources) else None

    def _close(self, cited: Cited) -> Cited:
        """End the words that a marker encloses, and return what they cite."""
        self._open = None
        return cited._replace(width=self._width)

    def _put(self, text: str, out: list[str | Cited]) -> None:
        """Add a text."""
        if text:
            out.append(text)
            self._width += len(text)

    def _note(self, text: str) -> None:
        """Read text outside of markers, on which it depends if a marker counts."""
        if text:
            self._code.feed(text)
            _, newline, line = text.rpartition("\n")
            self._line = (line if newline else self._line + text)[:_LINE_KEPT]
