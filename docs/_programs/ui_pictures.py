"""Draw what each way of shaping a text does to it: writes animated pictures into docs/pictures/ui.

    python docs/_programs/ui_pictures.py

Each shows what a loop was given: an answer is played to a stream by a clock of its own, once as it
arrives and once shaped, and each piece appears at its time. A picture begins with its end, so that it
is never seen empty. Pieces stand on two colours in turns, so that a picture without animation shows
them, too. Markdown is rendered by markdown-it-py.
"""

from __future__ import annotations

import runpy
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tokenstream import testing
from tokenstream.stages import MarkdownBlocks

FOLDER = Path(__file__).parents[1] / "pictures" / "ui"
_COLUMNS, _LETTER, _LINE, _LEFT = 64, 8.4, 22, 16
_REST = 1.5
"""Seconds for which a finished picture stands still."""
_in_both: Callable[[str], str] = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"]
_STYLE = (
    "text{font-family:ui-monospace,monospace;font-size:14px;fill:#1f2937;white-space:pre}"
    ".told{font-family:system-ui,sans-serif;font-size:12px;fill:#4b5563}"
    ".odd{fill:#dbeafe}.even{fill:#dcfce7}svg{background:#fff}"
)


class Picture(NamedTuple):
    """What a picture shows: pieces of an answer with pauses between, and how they are shaped."""

    title: str
    answer: tuple[str | float, ...]
    shape: Callable[[Any], Any]
    replaces: bool = False
    """Each piece takes the place of the one before it."""


_BURSTS = tuple(
    step
    for words in (
        "A river d",
        "oes not m",
        "ind a sto",
        "ne. It par",
        "ts, goes",
        " around, a",
        "nd is one",
        " river.",
    )
    for step in (*(words[at : at + 3] for at in range(0, len(words), 3)), 0.25)
)
_TOKENS = tuple(
    step
    for token in (
        "Dr",
        ". Li",
        "nd",
        " meas",
        "ured",
        " 3",
        ".5",
        " km. ",
        "\u201cGo",
        " on",
        "!\u201d",
        " she",
        " said.",
    )
    for step in (token, 0.15)
)
_FAMILY = tuple(
    step
    for piece in ("Hel", "lo \U0001f469", "\u200d\U0001f469\u200d", "\U0001f467 caf", "e", "\u0301!")
    for step in (piece, 0.3)
)
PICTURES = {
    "throttle": Picture(".throttle(hz=4)", _BURSTS, lambda text: text.throttle(hz=4)),
    "smooth": Picture(".smooth(max_delay=0.4)", _BURSTS, lambda text: text.smooth(max_delay=0.4)),
    "accumulate": Picture(
        ".throttle(hz=4).accumulate()", _BURSTS, lambda text: text.throttle(hz=4).accumulate(), replaces=True
    ),
    "words": Picture(".words()", _TOKENS, lambda text: text.words()),
    "graphemes": Picture(".graphemes()", _FAMILY, lambda text: text.graphemes()),
    "lines": Picture(
        ".lines()", ("one\n", 0.3, "tw", 0.3, "o\nth", 0.3, "ree\n", 0.3), lambda text: text.lines()
    ),
    "sentences": Picture(".sentences()", _TOKENS, lambda text: text.sentences()),
    "redact": Picture(
        r'.redact(r"sk-\d{6}", with_="***")',
        ("The key", 0.3, " is s", 0.3, "k-12", 0.3, "3456", 0.3, ", keep", 0.3, " it.", 0.3),
        lambda text: text.redact(r"sk-\d{6}", with_="***"),
    ),
    "until": Picture(
        '.until("END")',
        ("The ans", 0.3, "wer. E", 0.3, "ND and", 0.3, " more", 0.3),
        lambda text: text.until("END"),
    ),
}


def recorded(answer: tuple[str | float, ...]) -> testing.Recording:
    """Return a recording of an answer that comes with pauses."""
    script = testing.script()
    for step in answer:
        script = script.text(step) if isinstance(step, str) else script.silence(step)
    return script.finish("stop").recording("openai-chat")


def read(answer: tuple[str | float, ...], shape: Callable[[Any], Any]) -> list[tuple[float, str]]:
    """Return the pieces that a loop is given, each with its moment."""
    clock = testing.VirtualClock()
    with recorded(answer).stream(pace="recorded", clock=clock) as stream:
        return [(clock(), piece) for piece in shape(stream.text)]


class Lane:
    """Draws pieces one behind the other, each to appear at its moment."""

    def __init__(self, top: float, seconds: float) -> None:
        self._top, self._seconds = top, seconds
        self._row = self._column = self._pieces = 0
        self.drawn: list[str] = []

    @property
    def bottom(self) -> float:
        """Where the last line ends."""
        return self._top + _LINE * (self._row + 1)

    def add(self, moment: float, piece: str, until: float | None = None) -> None:
        """Draw a piece.

        Args:
            moment: When it appears.
            piece: The piece.
            until: When the next one takes its place; None where none does.
        """
        shares, values = [0.0, moment / self._seconds], [0, 1]
        if until is not None:
            shares.append(until / self._seconds)
            values.append(0)
        if moment == 0:
            del shares[0], values[0]
        times = ";".join(f"{share:.4f}" for share in shares)
        appear = (
            f'<animate attributeName="opacity" dur="{self._seconds:.2f}s" begin="{_REST - self._seconds:.2f}s" '
            f'repeatCount="indefinite" calcMode="discrete" keyTimes="{times}" values="{";".join(map(str, values))}"/>'
            if len(shares) > 1
            else ""
        )
        self._pieces += 1
        shown = "".join(self._letters(line, last=last) for line, last in _lines(piece))
        still = ' opacity="0"' if until is not None else ""
        self.drawn.append(f'<g class="{("odd", "even")[self._pieces % 2]}"{still}>{shown}{appear}</g>')
        if until is not None:
            self._row = self._column = 0

    def _letters(self, text: str, *, last: bool) -> str:
        drawn = ""
        for part in textwrap.wrap(text, _COLUMNS, drop_whitespace=False) if text else []:
            if self._column + len(part) > _COLUMNS:
                self._row, self._column = self._row + 1, 0
            x, y = _LEFT + _LETTER * self._column, self._top + _LINE * self._row
            width = _LETTER * len(part)
            drawn += f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 3}" rx="3"/>'
            drawn += f'<text x="{x:.1f}" y="{y + 14}">{escape(part)}</text>'
            self._column += len(part)
        if not last:
            self._row, self._column = self._row + 1, 0
        return drawn


def _lines(piece: str) -> list[tuple[str, bool]]:
    lines = piece.split("\n")
    return [(line, number == len(lines) - 1) for number, line in enumerate(lines)]


def draw(picture: Picture) -> str:
    """Return a picture: the text as it comes above, shaped below."""
    lanes = [("stream.text", read(picture.answer, lambda text: text))]
    lanes.append((f"stream.text{picture.title}", read(picture.answer, picture.shape)))
    seconds = max(moment for _, pieces in lanes for moment, _ in pieces) + _REST
    drawn, top = list[str](), 0.0
    for title, pieces in lanes:
        drawn.append(
            f'<text class="told" x="{_LEFT}" y="{top + 22}">{escape(title)}: {len(pieces)} pieces</text>'
        )
        lane = Lane(top + 30, seconds)
        replaces = picture.replaces and len(drawn) > 1
        for number, (moment, piece) in enumerate(pieces):
            last = number == len(pieces) - 1
            lane.add(moment, piece, pieces[number + 1][0] if replaces and not last else None)
        drawn += lane.drawn
        top = lane.bottom
    return _svg(drawn, top + 12)


_MARKDOWN = (
    "Take the **early tr",
    "ain**: [time",
    "table](http",
    "s://e.org)\n\n| leaves | arrives |\n|--",
    "-|---|\n| 7:50 | 12:55 |\n",
)
_PARSER = MarkdownIt("commonmark").enable("table")
_RENDERED = (
    ".shown{font-family:system-ui,sans-serif}.link{fill:#1d4ed8;text-decoration:underline}"
    ".cell{fill:#fff;stroke:#94a3b8}"
)
_COLUMN, _ROW, _CELL = 292, 20, 78
"""Width of a column and height of a line of the picture of Markdown; width of a table's cell."""


def _inline(x: float, y: float, token: Token) -> str:
    """Return a line of rendered text."""
    spans, kinds = "", list[str]()
    for child in token.children or []:
        if child.nesting > 0:
            kinds.append({"strong_open": "font-weight='700'", "link_open": "class='link'"}[child.type])
        elif child.nesting < 0:
            kinds.pop()
        else:
            spans += f"<tspan {' '.join(kinds)}>{escape(child.content or ' ')}</tspan>"
    return f'<text class="shown" x="{x:.0f}" y="{y:.0f}">{spans}</text>'


def _rendered(x: float, y: float, text: str) -> tuple[list[str], float]:
    """Return what a renderer shows of a text of paragraphs and tables, and where it ends."""
    drawn, in_table, column = list[str](), False, 0
    for token in _PARSER.parse(text):
        if token.type in {"table_open", "table_close"}:
            in_table = token.type == "table_open"
        elif token.type == "tr_open":
            column = 0
        elif token.type == "inline":
            if in_table:
                place = x + column * _CELL
                drawn.append(
                    f'<rect class="cell" x="{place:.0f}" y="{y:.0f}" width="{_CELL}" height="{_ROW}"/>'
                )
                drawn.append(_inline(place + 6, y + 14, token))
                column += 1
            else:
                drawn.append(_inline(x, y + 14, token))
        if token.type == "paragraph_close":
            y += _ROW + 4
        elif token.type == "tr_close":
            y += _ROW
    return drawn, y


def draw_markdown() -> str:
    """Return a strip: an answer at five moments, rendered whole on the left and block by block on the right."""
    left, right = _LEFT + 8, _LEFT + _COLUMN + 16
    drawn = [
        f'<text class="told" x="{left - 8}" y="22">the whole text, rendered each time</text>',
        f'<text class="told" x="{right - 8}" y="22">the blocks of markdown_blocks(), rendered</text>',
    ]
    stage, shown, source, y = MarkdownBlocks(), dict[int, str](), "", 32.0
    for piece in _MARKDOWN:
        source += piece
        shown.update({block.id: block.text for block in stage.feed(piece)})
        columns = [_rendered(left, y + 6, source)]
        block_drawn, below = list[str](), y + 6
        for text in shown.values():
            part, below = _rendered(right, below, text)
            block_drawn += part
        columns.append((block_drawn, below))
        bottom = max(end for _, end in columns)
        for x, kind in ((left, "odd"), (right, "even")):
            size = f'x="{x - 8}" y="{y:.0f}" width="{_COLUMN}" height="{bottom - y + 2:.0f}"'
            drawn.append(f'<rect class="{kind}" {size} rx="3"/>')
        drawn += [line for lines, _ in columns for line in lines]
        y = bottom + 8
    return _svg(drawn, y + 4, _RENDERED)


def _svg(drawn: list[str], height: float, style: str = "") -> str:
    width = 2 * _LEFT + _LETTER * _COLUMNS + 40
    head = '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" '
    head += f'width="{width:.0f}" height="{height:.0f}">'
    return "\n".join([head, f"<style>{_in_both(_STYLE + style)}</style>", *drawn, "</svg>"]) + "\n"


def pictures() -> dict[str, str]:
    """Return all pictures by name."""
    return {name: draw(picture) for name, picture in PICTURES.items()} | {"markdown": draw_markdown()}


if __name__ == "__main__":
    for name, drawing in pictures().items():
        (FOLDER / f"{name}.svg").write_text(drawing, encoding="utf-8")
