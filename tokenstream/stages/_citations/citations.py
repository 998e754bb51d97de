"""The stage that reads citation markers in a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream._basics.members import show_members
from tokenstream.events import CitationAdded, TextDelta
from tokenstream.stages._citations.markers import choose_markers
from tokenstream.stages._citations.scanner import Cited, MarkerScanner
from tokenstream.stages._text.base import SoundStage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.events import Event
    from tokenstream.message import Citation
    from tokenstream.stages._citations.markers import Marker


@show_members
class Citations(SoundStage):
    """Turns the markers with which a model cites sources in its text into the events of citations.

    Markers in code are text, and so is whatever only looks like a marker. A citation follows the text that it
    belongs to: `start` and `end` are the words that the marker encloses, or its place in the text.

    A stream takes such a stage as an option, `Stream(…, citation_markers=Citations(keep=True))`, and reads
    each of its texts in the same way.

    Args:
        markers: Names of markers: "openai" for `【12†source】`, "footnote" for `[^1]`, "cite" for
            `<cite index="1">…</cite>`, "number" for `[1]`; without any, all of them, but `[1]` only with a
            source of that number.
        keep: True if markers stay in the text; otherwise they are left out.
        sources: The sources that numbers count from 1; in a stream, those of the API if there are none.

    Raises:
        MisuseError: A name is not one of a marker.

    Example:
        >>> citations = Citations()
        >>> [type(event).__name__ for event in citations.feed("It is blue【12†sou")]
        ['TextDelta']
        >>> [event.citation.provider_data["source"] for event in citations.feed("rce】.")[:1]]
        ['12']
    """

    __slots__ = ("_length", "_next_part", "_scanner", "keep", "markers", "sources")

    def __init__(self, *markers: str, keep: bool = False, sources: Iterable[Citation] = ()) -> None:
        self.markers = markers
        """The names of the markers; none for all."""
        self.keep = keep
        self.sources = tuple(sources)
        self._scanner = MarkerScanner(choose_markers(markers or True), self.sources, keep=keep)
        self._length = 0
        self._next_part = 1

    def feed(self, item: str, /, *, now: float = 0.0) -> list[Event]:
        """Return the events of the next piece of the text, as far as it is decided.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        return [self._read(piece) for piece in self._scanner.feed(item)]

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events of the text that was held back.

        Args:
            now: Unused; every stage has this parameter.
        """
        return [self._read(piece) for piece in self._scanner.end()]

    def _read(self, piece: str | Cited) -> Event:
        """Return the event of a piece: the text is part 0, and each citation the next part."""
        if isinstance(piece, Cited):
            self._next_part += 1
            return CitationAdded(piece.make_citation(self._length, 0), part=self._next_part - 1)
        self._length += len(piece)
        return TextDelta(piece, part=0)


CitationMarkers: TypeAlias = "bool | str | Iterable[str] | Citations"
"""The markers that a caller asks for."""


class WantedMarkers(NamedTuple):
    """The markers of citations that are looked for in texts."""

    rows: tuple[Marker, ...] = ()
    """The markers."""
    keep: bool = False
    """True if they stay in the text."""
    sources: tuple[Citation, ...] = ()
    """The sources that numbers count; those of the API if there are none."""


def read_markers(given: Any) -> WantedMarkers:  # noqa: ANN401 - as callers give it
    """Return the markers that a caller asks for.

    Raises:
        MisuseError: A name is not one of a marker.
    """
    if isinstance(given, Citations):
        return WantedMarkers(choose_markers(given.markers or True), given.keep, given.sources)
    return WantedMarkers(choose_markers(given))
