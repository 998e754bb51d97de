"""The markers with which models cite sources in their text: one row for each kind."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from tokenstream.limits import check_names


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
    """A pattern of what stands between the name and the end."""
    before: str = ""
    """A pattern of what stands between the opening and the name."""
    closing: str = ""
    """The text that ends the words that the marker encloses; "" if it stands behind them."""
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
    """Return the markers that a caller asks for; a marker that is named needs no source of the API.

    Args:
        names: The name of a marker, several names, or True for all; False for none.

    Raises:
        MisuseError: A name is not one of a marker.
    """
    if names is True:
        return MARKERS
    found = check_names(
        "citation_markers", names, NAMES, others="True, a stage Citations, or", noun="markers"
    )
    return tuple([marker._replace(needs_source=False) for marker in MARKERS if marker.name in found])


class MarkerSearch:
    """A search for the next of several markers, or for the end of a text that may become one.

    The name of the last group that matches is that of the marker, `TAIL`, or "" for a closing.

    Args:
        markers: The markers.
    """

    __slots__ = ("firsts", "in_more", "in_whole")

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
        """Characters of which a text with a marker has one."""


def _pattern_of(marker: Marker, *, ended: bool) -> str:
    """Return a pattern of a whole marker, with a group of its name, and one of its source.

    Args:
        ended: True if the text has ended, and no parenthesis may follow any more.
    """
    # Of the two groups, the marker's own is the outer one, which closes last.
    source = f"{marker.before}(?P<{marker.name}_source>{marker.source}){marker.rest}"
    whole = f"(?P<{marker.name}>{re.escape(marker.opening)}{source}{re.escape(marker.end)})"
    if not marker.in_line:
        return whole
    return whole + (r"(?!\()" if ended else r"(?!\(|\Z)")


def _beginnings(text: str) -> str:
    """Return a pattern of all beginnings of a text that is not whole."""
    return "|".join([re.escape(text[:size]) for size in range(len(text) - 1, 0, -1)]) or r"(?!)"


@cache
def search_for(markers: tuple[Marker, ...]) -> MarkerSearch:
    """Return the search for several markers; it is made once."""
    return MarkerSearch(markers)
