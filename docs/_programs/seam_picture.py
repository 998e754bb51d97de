"""Draw the seam of an answer that broke off and was gone on with: writes seam.svg in docs/pictures.

    python docs/_programs/seam_picture.py

What it shows is what a stream has given: two connections are played to it, the first
of which ends in the middle of a word.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.sax.saxutils import escape

from tokenstream import Retry, resilient, testing
from tokenstream.events import Resumed, TextDelta
from tokenstream.recovery import Attempt

PICTURE = Path(__file__).parents[1] / "pictures" / "seam.svg"
_TEXT = "A river does not mind a stone. It parts, goes around, and is one river again."
_CUT = 43
_REPEATED = 40
LETTER, ROW, LEFT, TOP = 8.4, 64, 20, 34
_STYLE: str = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"](
    "text{font-family:ui-monospace,monospace;font-size:14px;fill:#1f2937;white-space:pre}"
    ".told{font-family:system-ui,sans-serif;font-size:12px;fill:#4b5563}"
    ".given{fill:#dbeafe}.new{fill:#dcfce7}.dropped{fill:#fee2e2}"
    "path{stroke:#b45309;stroke-width:1.5;stroke-dasharray:4 3}svg{background:#fff}"
)


def played() -> tuple[list[str], list[str], Resumed]:
    """Return the pieces before the seam and behind it, and what announces it."""

    def ask(attempt: Attempt) -> list[bytes]:
        start, end = (0, _CUT) if attempt.mode == "start" else (_CUT - _REPEATED, len(_TEXT))
        whole = testing.script().text(_TEXT[start:end]).finish("stop").chunks("openai-chat")
        return whole[:-2] if attempt.mode == "start" else whole

    before: list[str] = []
    behind: list[str] = []
    seam = Resumed()
    for event in resilient(ask, Retry(again=True, wait=0), format="openai-chat"):
        if isinstance(event, Resumed):
            seam, before, behind = event, behind, []
        elif isinstance(event, TextDelta):
            behind.append(event.text)
    return before, behind, seam


def draw_rows(rows: list[tuple[str, int, list[tuple[str, str]]]], *, letters: int, style: str) -> list[str]:
    """Return the lines of a picture, without its end, in which each row has pieces of a text.

    Args:
        rows: The title of each row, the number of letters before its first piece, and the kind and the text
            of each piece.
        letters: The number of letters in the longest row.
        style: The style of the picture, with a class for each kind.
    """
    height, width = TOP + ROW * len(rows), 2 * LEFT + LETTER * letters
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}">',
        f"<style>{style}</style>",
    ]
    for number, (told, start, pieces) in enumerate(rows):
        y, x = TOP + ROW * number, LEFT + LETTER * start
        drawn.append(f'<text class="told" x="{LEFT}" y="{y - 8}">{escape(told)}</text>')
        for kind, text in pieces:
            size = LETTER * len(text)
            drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{size:.1f}" height="26" rx="3"/>')
            drawn.append(f'<text x="{x:.1f}" y="{y + 18}" textLength="{size:.1f}">{escape(text)}</text>')
            x += size
    return drawn


def draw() -> str:
    """Return the picture."""
    before, behind, seam = played()
    given, new = "".join(before), "".join(behind)
    begin = len(given) - seam.dropped
    rows = [
        ("the first connection, which breaks", 0, [("given", given)]),
        (
            f"the second one, asked to begin with the last words: {seam.dropped} characters are dropped",
            begin,
            [("dropped", given[begin:]), ("new", new)],
        ),
        (
            f"the loop over text; Resumed says confidence={seam.confidence}",
            0,
            [("given", given), ("new", new)],
        ),
    ]
    height = TOP + ROW * len(rows)
    seam_at = LEFT + LETTER * len(given)
    drawn = draw_rows(rows, letters=len(given) + len(new), style=_STYLE)
    drawn += [f'<path d="M{seam_at:.1f} {TOP}V{height - ROW + 26}"/>', "</svg>"]
    return "\n".join(drawn) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
