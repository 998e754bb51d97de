"""Citation markers that a model writes into its text, read while the text arrives."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.limits import check_names
from tokenstream.message import Citation
from tokenstream.stages._text.scanning import CodeMarks, Passage, passages

if TYPE_CHECKING:
    from collections.abc import Sequence

_match_entry = re.compile(r"[ \t]{0,3}(?:[-*+][ \t]{1,3})?").fullmatch
"""Matches what may come before an entry of a list of sources."""
_LINE_KEPT = 8
"""The most characters of a line's start that are kept; one more than an entry has before it."""


class Marker(NamedTuple):
    """A marker: an opening, the name of a source, and an end. Each pattern is bounded."""

    name: str
    opening: str
    source: str
    """A pattern of the source's name."""
    beginning: str
    """A pattern of whatever may follow the opening, as long as the end is missing."""
    end: str
    rest: str = ""
    """A pattern of what is between the name and the end."""
    before: str = ""
    """A pattern of what is between the opening and the name."""
    closing: str = ""
    """The text that ends the words that the marker encloses; "" if it comes after them."""
    in_line: bool = False
    """True for a form of Markdown, which is a link before a parenthesis, and at the start of a line an entry
    in the list of sources."""
    between: str = ""
    """The text between the names of several sources; "" if a marker has one name."""
    needs_source: bool = False
    """True if it counts only once the API has named a source of that number."""


_SOURCE = r"[A-Za-z0-9_-]{1,64}"
_LINES = r"L\d{1,7}(?:-L\d{1,7})?"
"""A pattern of the lines of a source that are cited."""

# Sources, read on 2026-11-26: questions about file search in OpenAI's forum (`【4:0†source】`), the browser
# tool of openai/gpt-oss (`【6†L9-L11】`), OpenAI's guide "Citation formatting" (`cite`, in private-use
# characters; exports of ChatGPT also have `filecite`), Claude's instructions for citations in claude.ai
# (`<cite index=`), Markdown's footnotes, and Perplexity's Sonar, whose `citations` are counted from 1.
MARKERS: tuple[Marker, ...] = (
    Marker(
        "openai",
        "【",
        r"\d{1,4}(?::\d{1,4})?",
        r"(?:\d[\d:]{0,8}(?:†[^】\n]{0,120})?)?",
        "】",
        rest=r"†[^】\n]{0,120}",
    ),
    Marker("footnote", "[^", r"\d{1,4}(?:_\d{1,4})?", r"[\d_]{0,9}", "]", in_line=True),
    Marker(
        "cite",
        "<cite index=",
        r"[\w,:. -]{1,64}",
        r"[\"']?[\w,:. -]{0,64}[\"']?",
        ">",
        rest=r"[\"']?",
        before=r"[\"']?",
        closing="</cite>",
    ),
    Marker("number", "[", r"\d{1,3}", r"\d{0,3}", "]", in_line=True, needs_source=True),
    Marker(
        "private_use",
        "\ue200",
        rf"{_SOURCE}(?:\ue202(?!{_LINES}\ue201){_SOURCE}){{0,8}}",
        r"[a-z]{0,8}(?:\ue202[A-Za-z0-9_-]{0,64}){0,10}",
        "\ue201",
        rest=rf"(?:\ue202{_LINES})?",
        before="(?:file)?cite\ue202",
        between="\ue202",
    ),
)
NAMES = tuple(marker.name for marker in MARKERS)
TAIL = "tail"
"""The group of a text's end that may become a marker."""


def choose_markers(names: Any) -> tuple[Marker, ...]:  # noqa: ANN401 - as callers give it
    """Return the markers that a caller asks for; a marker that is named needs no source of the API."""
    if names is True:
        return MARKERS
    found = check_names("Tags.citations", names, NAMES, others="True or", noun="markers")
    return tuple([marker._replace(needs_source=False) for marker in MARKERS if marker.name in found])


class MarkerSearch:
    """A search for the next of several markers, or for the end of a text that may become one.

    The name of the last group that matches is that of the marker, `TAIL`, or "" for a closing.

    Args:
        markers: The markers.
    """

    def __init__(self, markers: tuple[Marker, ...]) -> None:
        closings = [marker.closing for marker in markers if marker.closing]
        openings = [marker.opening for marker in markers]
        tails = [_beginnings(text) for text in (*closings, *openings)]
        for marker in markers:
            may_end = f"{re.escape(marker.end)}?" if marker.in_line else ""
            tails.append(re.escape(marker.opening) + marker.beginning + may_end)
        ends = [re.escape(closing) for closing in closings]
        wholes = [_pattern_of(marker, ended=False) for marker in markers]
        self.in_more = re.compile("|".join([*ends, *wholes, rf"(?P<{TAIL}>(?:{'|'.join(tails)})\Z)"])).search
        """Searches a text that may go on."""
        wholes = [_pattern_of(marker, ended=True) for marker in markers]
        self.in_whole = re.compile("|".join([*ends, *wholes])).search
        """Searches a text that has ended."""
        self.firsts = frozenset(text[0] for text in (*openings, *closings))


def _pattern_of(marker: Marker, *, ended: bool) -> str:
    """Return a pattern of a whole marker, with a group of its name, and one of its source."""
    # Of the two groups, the marker's own is the outer one, which closes last.
    source = f"{marker.before}(?P<{marker.name}_source>{marker.source}){marker.rest}"
    whole = f"(?P<{marker.name}>{re.escape(marker.opening)}{source}{re.escape(marker.end)})"
    if not marker.in_line:
        return whole
    return whole + (r"(?!\()" if ended else r"(?!\(|\Z)")


def _beginnings(text: str) -> str:
    return "|".join([re.escape(text[:size]) for size in range(len(text) - 1, 0, -1)]) or r"(?!)"


@cache
def search_for(markers: tuple[Marker, ...]) -> MarkerSearch:
    """Return the search for several markers; it is made once."""
    return MarkerSearch(markers)


class CitedWords(NamedTuple):
    """The last words of a text so far cite a source."""

    marker: str
    source: str
    """The name of the source within the marker."""
    width: int
    """The number of characters of the words that the marker encloses; 0 if it encloses none."""
    known: Citation | None

    def make_citation(self, end: int, part: int) -> Citation:
        """Return the citation of words that end at the character `end` of a part."""
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


CitedPiece: TypeAlias = "Passage | CitedWords"
"""A piece of text, or the source that the text before it cites."""


class MarkerScanner:
    """Splits a text into the text without markers, and what they cite.

    Markers in code are text. So is a form of Markdown that is a link, or begins an entry in a
    list of sources.

    Args:
        markers: The markers to look for.
        sources: The known sources, for markers that number them from 1; it may grow.
    """

    def __init__(self, markers: tuple[Marker, ...], sources: Sequence[Citation]) -> None:
        self._markers = {marker.name: marker for marker in markers}
        self._search = search_for(markers)
        self._sources = sources
        self._code = CodeMarks()
        self._line = ""
        self._held = ""
        """The end of the text so far that may become a marker."""
        self._open: CitedWords | None = None
        self._width = 0
        """The number of characters that it encloses so far."""
        self.removed = False

    @property
    def firsts(self) -> frozenset[str]:
        return self._search.firsts

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a marker, and with nothing undecided."""
        return not self._held and self._search.firsts.isdisjoint(text)

    def skim(self, text: str) -> None:
        """Read a piece that the caller returns unchanged (`passes` was True)."""
        self._note(text)
        self._width += len(text)

    def feed(self, text: str) -> list[CitedPiece]:
        """Return the decided pieces of the text, and what they cite."""
        if self.passes(text):
            self.skim(text)
            return [*passages(text, inside=False)]
        text, self._held = self._held + text, ""
        return self._read(text, ended=False)

    def end(self) -> list[CitedPiece]:
        """Return the pieces that were held back; words whose marker has no end are cited up to here."""
        text, self._held = self._held, ""
        out = self._read(text, ended=True)
        if self._open is not None:
            out.append(self._close(self._open))
        return out

    def _read(self, text: str, *, ended: bool) -> list[CitedPiece]:
        """Return the pieces of a text; its end is held back if more may come that makes it a marker."""
        search = self._search.in_whole if ended else self._search.in_more
        out: list[CitedPiece] = []
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

    def _cite(self, found: re.Match[str], out: list[CitedPiece]) -> None:
        text = found[0]
        self.removed = True
        if found.lastgroup is None:
            if self._open is not None:
                out.append(self._close(self._open))
            return
        marker = self._markers[found.lastgroup]
        names = found[f"{marker.name}_source"]
        sources = names.split(marker.between) if marker.between else [names]
        cited = [CitedWords(text, source, 0, self._find(marker, source)) for source in sources]
        if marker.closing:
            self._open, self._width = cited[0], 0
        else:
            out += cited

    def _find(self, marker: Marker, source: str) -> Citation | None:
        number = int(source) if marker.name == "number" else 0
        return self._sources[number - 1] if 1 <= number <= len(self._sources) else None

    def _close(self, cited: CitedWords) -> CitedWords:
        """End the words that a marker encloses, and return what they cite."""
        self._open = None
        return cited._replace(width=self._width)

    def _put(self, text: str, out: list[CitedPiece]) -> None:
        if text:
            out.append(Passage(inside=False, text=text))
            self._width += len(text)

    def _note(self, text: str) -> None:
        """Read text outside of markers, on which it depends if a marker counts."""
        if text:
            self._code.feed(text)
            _, newline, line = text.rpartition("\n")
            self._line = (line if newline else self._line + text)[:_LINE_KEPT]
