"""The time line of an answer: a picture of its chunks, their sizes, and the silences between them."""

from __future__ import annotations

import html
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tokenstream._basics.visible import one_line, several_lines
from tokenstream.cli._html.reading import KINDS
from tokenstream.stages._metrics.meter import STALL_SECONDS

if TYPE_CHECKING:
    from tokenstream.cli._html.reading import Kind, PageReading


class Markup(str):
    """Markup that this library wrote; any other text is escaped."""

    __slots__ = ()


Child: TypeAlias = "str | None"
"""A text, which is escaped, or markup; None is left out."""
Attribute: TypeAlias = "str | float | None"
"""The value of an attribute; None leaves it out."""

_WITHOUT_END = frozenset({"meta"})


def escape(text: str) -> Markup:
    r"""Return the markup of a text between elements.

    Characters that are controls, invisible or change the direction of writing become JSON escapes.
    """
    return Markup(html.escape(several_lines(text), quote=False))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element; "_" in an attribute's name stands for "-", and None leaves an attribute out."""
    pairs = [
        f' {label.rstrip("_").replace("_", "-")}="{html.escape(one_line(_write(value)))}"'
        for label, value in attributes.items()
        if value is not None
    ]
    start = f"<{name}{''.join(pairs)}>"
    return Markup(start if name in _WITHOUT_END else f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Return texts and markup, joined; text is escaped, and None is left out."""
    shown = [child for child in children if child is not None]
    return Markup("".join([child if isinstance(child, Markup) else escape(child) for child in shown]))


def preformatted(text: str) -> Markup:
    """Return a text with its line ends and spaces kept."""
    # A browser drops one line end at the start, so that a text that begins with one needs another.
    return element("pre", Markup("\n"), text)


def _write(value: str | float) -> str:
    """Return a value of an attribute: text, or a number with at most two digits after the point."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


_COLUMNS = 240
"""Largest number of bars in the picture; chunks that would share a bar are added up."""
_WIDTH = 1_200.0
_BARS_HEIGHT = 100.0
"""Height of the highest bar."""
_HEIGHT = 124.0
_MAX_GAPS = 5
"""Number of gaps that are listed, the longest first."""
_MAX_SHARE = 0.3
"""Longest silence that is drawn to scale, as a share of the time without stalls."""
_MAX_STALLS = 100
"""Largest number of stalls that are marked in the picture."""

_LABELS: dict[Kind, str] = {
    "error": "the error",
    "content": "content",
    "other": "start, usage, end and the like",
    "nothing": "no event",
}


class Gap(NamedTuple):
    """A silence between two chunks with content, or before the end of a stream that stalled."""

    begin: float
    """Seconds since the request."""
    seconds: float
    after: int
    """Number of the chunk before it, from 1."""
    before: int | None
    """Number of the chunk after it; None for the end of the reading."""

    @property
    def is_stall(self) -> bool:
        """True if the gap is long enough to be counted in `Metrics.stalls`."""
        return self.seconds > STALL_SECONDS


@dataclass(slots=True)
class _Bar:
    """A bar of the picture: the chunks that share one column."""

    column: int
    first: int
    """Number of the first chunk that the bar stands for, from 1."""
    last: int
    """Number of the last chunk that the bar stands for."""
    at: float
    """Seconds from the request to the first chunk."""
    size: int
    """Number of bytes of all its chunks."""
    kind: int
    """Index in `KINDS` of the most important chunk."""


class Axis:
    """The horizontal scale of the picture of an answer, on which very long silences are drawn shorter.

    Args:
        reading: The reading; without times, all its chunks have the same distance.
    """

    def __init__(self, reading: PageReading) -> None:
        # The request, the chunks and the end. No time is before the one that precedes it.
        self._times = [0.0]
        for chunk in reading.chunks:
            self._times.append(max(chunk.at, self._times[-1]))
        self._times.append(max(reading.ended_at, self._times[-1]))
        gaps = [until - at for at, until in pairwise(self._times)]
        # The sum of the gaps that are not stalls.
        usual = sum(gap for gap in gaps if gap <= STALL_SECONDS)
        # A silence is drawn at most `_MAX_SHARE` times as long as all usual gaps together.
        self.longest = max(STALL_SECONDS, _MAX_SHARE * usual)
        """Longest silence that is drawn to scale, in seconds; a longer one is drawn as long as this."""
        self.is_cut = max(gaps) > self.longest
        """True if a silence is drawn shorter than it was."""
        self._places = [0.0, *accumulate([min(gap, self.longest) for gap in gaps])]
        """The places of `_times` on the axis: their seconds, less the seconds cut from long silences."""

    def place(self, time: float) -> float:
        """Return the place of a time on the scale, as a number from 0 to 1."""
        # The scale has no length if all chunks arrived at once.
        return _interpolate(time, self._times, self._places) / (self._places[-1] or 1.0)

    def time(self, place: float) -> float:
        """Return the time at a place on the scale; the place is a number from 0 to 1."""
        return _interpolate(place * self._places[-1], self._places, self._times)


def _interpolate(value: float, given: list[float], wanted: list[float]) -> float:
    """Convert a value between two scales by linear interpolation of ascending points known on both."""
    # The index of the point after the value, within bounds so that both it and the one before exist.
    after = min(max(1, bisect_left(given, value)), len(given) - 1)
    low, high = given[after - 1], given[after]
    share = (value - low) / (high - low) if high > low else 1.0
    return wanted[after - 1] + max(0.0, min(1.0, share)) * (wanted[after] - wanted[after - 1])


def list_gaps(reading: PageReading) -> list[Gap]:
    """Return all gaps between chunks with content, the longest first; none if the times are not known.

    The silence between the last content and an error is a gap, too.
    """
    if not reading.has_times:
        return []
    numbered = [(number, chunk) for number, chunk in enumerate(reading.chunks, start=1)]
    content = [(number, chunk.at) for number, chunk in numbered if chunk.kind == "content"]
    gaps = [
        Gap(begin, until - begin, after=number, before=next_number)
        for (number, begin), (next_number, until) in pairwise(content)
    ]
    if content and reading.ended_at > content[-1][1] and reading.report.error is not None:
        # The silence after the last content, until the error.
        number, at = content[-1]
        gaps.append(Gap(at, reading.ended_at - at, after=number, before=None))
    return sorted(gaps, key=lambda gap: -gap.seconds)


def draw_timeline(reading: PageReading, gaps: list[Gap]) -> Markup:
    """Return a picture of an answer's chunks in the order of their arrival, with a scale and a legend."""
    chunks = reading.chunks
    if not chunks:
        return element("p", "No byte arrived.", class_="none")
    axis = Axis(reading)
    bars = _collect_bars(reading, axis)
    picture = element(
        "svg",
        *_draw_gaps(gaps, axis),
        *_draw_bars(reading, bars),
        _draw_end(reading),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{len(chunks):,} {reading.unit}s in the order of their arrival",
        class_="timeline",
    )
    return join(
        element("p", _describe(reading, axis, bars)),
        element("div", picture, class_="frame"),
        _draw_scale(reading, axis),
        _draw_legend(reading, gaps),
    )


def _count_columns(reading: PageReading) -> int:
    """Return the number of columns for bars; without times, each chunk has a column, if there are few."""
    return _COLUMNS if reading.has_times else min(_COLUMNS, len(reading.chunks))


def _collect_bars(reading: PageReading, axis: Axis) -> list[_Bar]:
    """Return the bars of the picture, each for the chunks that share one of its columns.

    The columns divide the time of the answer or, if the times are not known, the number of its chunks.
    """
    chunks = reading.chunks
    columns = _count_columns(reading)
    bars: dict[int, _Bar] = {}
    for index, chunk in enumerate(chunks):
        share = axis.place(chunk.at) if reading.has_times else index / len(chunks)
        column = max(0, min(columns - 1, int(share * columns)))
        number, kind = index + 1, KINDS.index(chunk.kind)
        bar = bars.get(column)
        if bar is None:
            bar = bars[column] = _Bar(column, first=number, last=number, at=chunk.at, size=0, kind=kind)
        # `KINDS` is in the order of importance: a bar has the kind of its most important chunk.
        bar.last, bar.kind = number, max(bar.kind, kind)
        bar.size += chunk.size
    return list(bars.values())


def _draw_bars(reading: PageReading, bars: list[_Bar]) -> list[Markup]:
    """Return a rectangle for the size of each bar."""
    columns = _count_columns(reading)
    width = _WIDTH / columns
    largest = max([bar.size for bar in bars]) or 1
    drawn: list[Markup] = []
    for bar in bars:
        x, thickness = bar.column * width, min(width * 0.8, 24.0)
        title = element("title", _title_of(reading, bar))
        if bar.size:
            # A linear scale would hide small chunks beside a large one.
            height = max(3.0, _BARS_HEIGHT * (bar.size / largest) ** 0.5)
            y, kind = _BARS_HEIGHT - height, f"bar {KINDS[bar.kind]}"
            drawn.append(_rect(x, y, thickness, height, class_=kind, title=title))
    return drawn


def _title_of(reading: PageReading, bar: _Bar) -> str:
    """Return the words about a bar: its chunks, their time, size and kind."""
    chunks = (
        f"{reading.unit} {bar.first}" if bar.first == bar.last else f"{reading.unit}s {bar.first}–{bar.last}"
    )
    at = f" at {bar.at:.3f} s" if reading.has_times else ""
    return f"{chunks}{at}: {bar.size:,} bytes, {_LABELS[KINDS[bar.kind]]}"


def _draw_gaps(gaps: list[Gap], axis: Axis) -> list[Markup]:
    """Return bands behind the bars: for the longest gaps, and for all stalls, but at most `_MAX_STALLS`."""
    marked = [gap for index, gap in enumerate(gaps[:_MAX_STALLS]) if gap.is_stall or index < _MAX_GAPS]
    drawn: list[Markup] = []
    for gap in marked:
        begin, end = axis.place(gap.begin) * _WIDTH, axis.place(gap.begin + gap.seconds) * _WIDTH
        title = element("title", describe_gap(gap))
        kind = "stall" if gap.is_stall else "gap"
        drawn.append(_rect(begin, 0, end - begin, _HEIGHT, class_=kind, title=title))
    return drawn


def describe_gap(gap: Gap) -> str:
    """Return a gap in words."""
    until = "the end" if gap.before is None else f"chunk {gap.before:,}"
    return f"{gap.seconds:.3f} s, from chunk {gap.after:,} at {gap.begin:.3f} s to {until}"


def _draw_end(reading: PageReading) -> Markup | None:
    """Return a vertical line at the end of the picture; None unless `_has_broken_end` is true."""
    if not _has_broken_end(reading):
        return None
    title = element("title", f"the end: {reading.report.ending}")
    return _rect(_WIDTH - 4, 0, 4, _HEIGHT, class_="broken", title=title)


def _has_broken_end(reading: PageReading) -> bool:
    """Return True if the picture marks the end: the answer is not complete, and no bar shows the error."""
    return reading.report.ending != "complete" and all(chunk.kind != "error" for chunk in reading.chunks)


def _rect(x: float, y: float, width: float, height: float, *, class_: str, title: Markup) -> Markup:
    """Return a rectangle, whose title is shown by a pointer above it."""
    return element("rect", title, x=x, y=y, width=width, height=height, class_=class_)


def _describe(reading: PageReading, axis: Axis, bars: list[_Bar]) -> str:
    """Return the sentences above the picture: the amount that arrived, and how it is drawn."""
    unit, chunks = reading.unit, reading.chunks
    count = f"{len(chunks):,} {unit}{'' if len(chunks) == 1 else 's'}"
    size = sum(chunk.size for chunk in chunks)
    if reading.has_times:
        text = f"{count}, {size:,} bytes, by the time of their arrival."
    elif unit == "chunk":
        text = f"The file has no times: its {count} ({size:,} bytes) stand in their order."
    else:
        text = f"The file has no times and no chunks: its {count} ({size:,} bytes) stand in their order."
    text += " The height of a bar is the square root of its size."
    if len(bars) < len(chunks):
        text += f" Neighbours share a bar, of which there are {len(bars)}."
    if reading.has_times and axis.is_cut:
        text += f" Silences longer than {axis.longest:.1f} s are drawn shorter."
    return text


def _draw_scale(reading: PageReading, axis: Axis) -> Markup:
    """Return the labels below the picture."""
    if reading.has_times:
        digits = 2 if axis.time(1) < 10 else 1
        labels = [f"{axis.time(quarter / 4):.{digits}f} s" for quarter in range(5)]
    else:
        labels = [f"{reading.unit} 1", f"{reading.unit} {len(reading.chunks):,}"]
        # A single chunk needs one label only.
        labels = labels[: len(reading.chunks)]
    return element("div", *[element("span", label) for label in labels], class_="scale")


def _draw_legend(reading: PageReading, gaps: list[Gap]) -> Markup:
    """Return the list of the colours that occur in the picture, with their meanings."""
    present = {chunk.kind for chunk in reading.chunks}
    entries: list[tuple[str, str]] = [(kind, label) for kind, label in _LABELS.items() if kind in present]
    if any(not gap.is_stall for gap in gaps):
        entries.append(("gap", "longest gaps"))
    if any(gap.is_stall for gap in gaps):
        entries.append(("stall", f"stalls, longer than {STALL_SECONDS:g} s"))
    if _has_broken_end(reading):
        entries.append(("broken", f"the end: {reading.report.ending}"))
    items = [element("li", element("i", class_=f"swatch {name}"), label) for name, label in entries]
    return element("ul", *items, class_="legend")


def list_longest(gaps: list[Gap]) -> list[Gap]:
    """Return as many gaps as a page lists, from all gaps, the longest first."""
    return gaps[:_MAX_GAPS]
