"""Draw a terminal with the doctor's report on a path that buffers: writes doctor.svg in docs/pictures.

    python docs/_programs/doctor_picture.py

The report is the library's own, of an answer that came through nginx 1.22 as Debian installs it.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

from tokenstream._connection.head import ResponseHead
from tokenstream.cli._doctor import lines_of
from tokenstream.cli._doctor.findings import judge
from tokenstream.cli._doctor.pacing import TimedChunk
from tokenstream.cli._doctor.probe import ProbedAnswer

FILE = Path(__file__).parents[1] / "pictures" / "doctor.svg"
_URL = "https://api.example.com/v1/chat/completions"
_COMMAND = "python -m tokenstream doctor https://api.example.com/v1/chat/completions …"
# The server sent an event each 30 ms.
_BUFFERED = ProbedAnswer(
    coding="identity",
    head=ResponseHead(
        status=200,
        reason="OK",
        headers={
            "server": "nginx/1.22.1",
            "content-type": "text/event-stream; charset=utf-8",
            "transfer-encoding": "chunked",
            "cache-control": "no-cache",
        },
    ),
    version="HTTP/1.1",
    head_at=0.970,
    arrivals=[
        TimedChunk(0.970, 3_849, 31),
        TimedChunk(1.959, 4_096, 33),
        TimedChunk(2.948, 4_096, 33),
        TimedChunk(3.610, 2_974, 25),
    ],
    ended_at=3.610,
    kind="sse",
)
LINES = list(lines_of(_URL, [_BUFFERED], judge([_BUFFERED])))
"""The lines of the report."""
_COLUMNS, _LETTER, _LINE, _LEFT, _TOP, _INDENT = 92, 7.8, 19, 18, 46, 12
_STYLE = (
    ".w{fill:#161b22;stroke:#6e7681}.d{fill:#8b949e}"
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}"
    ".p{fill:#7ee787}.e{fill:#ffa198}.k{fill:#79c0ff}.b{fill:#d29922}"
)
_STYLES = {"change": "p", "fault": "e", "note": "d", "hop": "k"}
"""Classes of lines, by their first word."""


def _label(line: str) -> str:
    return (line.split(maxsplit=1) or [""])[0]


def _style(line: str) -> str:
    if line.endswith("does not stream"):
        return "e"
    return "b" if "###" in line else _STYLES.get(_label(line), "")


def draw() -> str:
    """Return the picture."""
    shown = [("$ " + _COMMAND, "p")]
    for line in LINES:
        indent = " " * (_INDENT if _label(line) in _STYLES else 2)
        # A line that fits keeps the spaces between its columns.
        rows = [line] if len(line) <= _COLUMNS else textwrap.wrap(line, _COLUMNS, subsequent_indent=indent)
        shown += [(row, _style(line)) for row in rows]
    width, height = round(2 * _LEFT + _LETTER * _COLUMNS), _TOP + _LINE * len(shown) + 14
    head = '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" role="img" '
    drawn = [
        head + f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>The doctor's report on a path that buffers</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="w" x="1" y="1" width="{width - 2}" height="{height - 2}" rx="9"/>',
        *(f'<circle class="d" cx="{x}" cy="20" r="5"/>' for x in (22, 40, 58)),
    ]
    for number, (row, style) in enumerate(shown):
        text = row.lstrip()
        if text:
            x, y = _LEFT + _LETTER * (len(row) - len(text)), _TOP + _LINE * number + 13
            size = f'x="{x:.1f}" y="{y}" textLength="{_LETTER * len(text):.1f}"'
            drawn.append(f'<text {size} class="{style}">{escape(text)}</text>')
    return "\n".join([*drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
