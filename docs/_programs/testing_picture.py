"""Draw what a stream keeps of an answer that ends at each of its bytes: writes testing.svg in docs/pictures.

    python docs/_programs/testing_picture.py

Each byte of the recording has the colour of what `testing.every_cut` gives if the answer ends there.
"""

from __future__ import annotations

import runpy
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from tokenstream import Message, StreamError, testing
from tokenstream.testing import Recording

FILE = Path(__file__).parents[1] / "pictures" / "testing.svg"
_KEPT = {
    "none": "no text; StreamTruncated",
    "text": "the text so far; StreamTruncated",
    "open": "the text, and a call that must not run; StreamTruncated",
    "whole": "the complete answer, without an error",
}
"""What may be kept, by the class of its colour."""
_STYLE: str = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"](
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2937;white-space:pre}"
    ".told{font-family:system-ui,sans-serif;fill:#4b5563}.page{fill:#fff;stroke:#d1d5db}"
    ".none{fill:#e5e7eb}.text{fill:#bfdbfe}.open{fill:#fde68a}.whole{fill:#4ade80}"
)
_COLUMNS, _LETTER, _LINE, _LEFT, _TOP = 100, 7.3, 19, 16, 36


def answer() -> Recording:
    """Return the answer that is cut."""
    script = testing.script(id="1", model="m").text("Let me ", "see.")
    return script.tool_call("get_weather", {"city": "Oslo"}, id="c1").finish().recording("mistral")


def kind_of(message: Message) -> str:
    """Return what is kept in a message."""
    if message.complete:
        return "whole"
    if message.tool_calls:
        return "open"
    return "text" if message.text else "none"


def kept(recording: Recording) -> list[str]:
    """Return what is kept if the answer ends after each of its bytes."""
    kinds = list[str]()
    for cut in testing.every_cut(recording):
        try:
            message = cut.stream().final()
        except StreamError as error:
            message = error.partial
        kinds.append(kind_of(message))
    return [*kinds[1:], kind_of(recording.stream().final())]


def draw() -> str:
    """Return the picture."""
    recording = answer()
    letters = list(zip(recording.body.decode(), kept(recording), strict=True))
    drawn, y = list[str](), _TOP
    for is_end, line in groupby(letters, key=lambda each: each[0] == "\n"):
        rows = [list(line)]
        if is_end:
            continue
        while len(rows[-1]) > _COLUMNS:
            rows[-1:] = [rows[-1][:_COLUMNS], rows[-1][_COLUMNS:]]
        for row in rows:
            column = 0
            for kind, run in groupby(row, key=lambda each: each[1]):
                text = "".join(letter for letter, _ in run)
                x, width = _LEFT + _LETTER * column, _LETTER * len(text)
                drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 2}"/>')
                drawn.append(f'<text x="{x:.1f}" y="{y + 13}" textLength="{width:.1f}">{escape(text)}</text>')
                column += len(text)
            y += _LINE
        y += 5
    counts = [kind for _, kind in letters]
    y += 8
    for kind, words in _KEPT.items():
        drawn.append(f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="14" height="14"/>')
        drawn.append(
            f'<text class="told" x="{_LEFT + 22}" y="{y + 12}">{words} ({counts.count(kind)} places)</text>'
        )
        y += 20
    width, height = round(2 * _LEFT + _COLUMNS * _LETTER), y + 8
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" {size}>'
    page = f'<rect class="page" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>'
    title = '<text class="told" x="16" y="23">What is kept if the answer ends after a letter</text>'
    return "\n".join([head, f"<style>{_STYLE}</style>", page, title, *drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
