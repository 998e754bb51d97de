"""Draw a terminal in which examples/keep.py runs twice: writes terminal.svg in docs/pictures.

    python docs/_programs/terminal_picture.py

The program runs against a server on this machine, which sends docs/guides/quickstarts/openai-chat.sse:
first the whole answer, then one whose connection breaks in the middle, as if the server were stopped. The
picture shows what the program printed, piece by piece; each piece appears when the server's
schedule sends it. The animation is CSS alone: where it does not run, or where motion is
unwanted, the picture stands still and shows the end of both runs.
"""

from __future__ import annotations

import io
import os
import re
import runpy
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock
from xml.sax.saxutils import escape

from tokenstream import Decoder, TextDelta
from tokenstream.testing._serve.replies import Reply, paced
from tokenstream.testing._serve.server import ReplayServer

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parents[1] / "pictures" / "terminal.svg"
_PROGRAM = ROOT / "examples" / "keep.py"
_ANSWER = ROOT / "docs" / "guides" / "quickstarts" / "openai-chat.sse"
_COMMAND = "python examples/keep.py"
_LAST_WORD = b'" far"'
"""The piece in which the second answer ends."""
_RATE, _FIRST, _BEFORE, _AFTER = 12.0, 0.6, 0.6, 3.0
"""Events per second; seconds before the first event, before a command, and at the end."""
_BEGINS_WITH = 12
"""Pieces that are there at the start, so that the picture doesn't begin with an empty terminal."""
_COLUMNS, _LETTER, _LINE, _LEFT, _TOP = 72, 8.4, 21, 18, 46
_STYLE = (
    ".w{fill:#161b22;stroke:#6e7681}.b{fill:#8b949e}"
    "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}"
    ".p{fill:#7ee787}.c{fill:#8b949e}.e{fill:#ffa198}.k{fill:#79c0ff}"
    "g{animation-timing-function:step-end;animation-iteration-count:infinite}"
)


class Piece(NamedTuple):
    """Text that appears in the terminal at once."""

    moment: float
    text: str
    style: str = ""


class _Printed(io.StringIO):
    """Keeps what is printed as the pieces in which it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str, /) -> int:
        """Keep a piece, unless it is empty."""
        self.pieces += [text] if text else []
        return len(text)


def run(reply: Reply) -> list[Piece]:
    """Return what the program prints when the server sends `reply`, each piece with its moment."""
    moments, now, decoder = list[float](), 0.0, Decoder(content_type=reply.content_type)
    for pause, chunk in reply.chunks:
        now += pause
        moments += [now for event in decoder.feed(chunk) if isinstance(event, TextDelta) and event.text]
    printed = _Printed()
    # The pauses are those of the schedule: the server has no need to wait.
    at_once = replace(reply, chunks=[(0.0, chunk) for _, chunk in reply.chunks])
    with ReplayServer(lambda _: at_once) as server:
        names = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{server.url}/v1", "NO_PROXY": "*"}
        with mock.patch.dict(os.environ, names), redirect_stdout(printed):
            runpy.run_path(str(_PROGRAM))
    answer, rest = printed.pieces[: len(moments)], "".join(printed.pieces[len(moments) :])
    # Each run has another port and takes another time.
    rest = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", rest)
    rest = re.sub(r"\d+\.\d s$", f"{now:.1f} s", rest, flags=re.MULTILINE)
    if decoder.message.text != "".join(answer):
        raise RuntimeError("the program has not printed each piece of the answer by itself")
    style = "k" if decoder.message.finish_reason else "e"
    return [*map(Piece, moments, answer), Piece(now + 0.2, rest, style)]


def session() -> list[Piece]:
    """Return all that appears in the terminal: two commands, and what each of them prints."""
    body = _ANSWER.read_bytes()
    whole = Reply(chunks=paced(body, rate=_RATE, first=_FIRST))
    end = body.index(b"\n\n", body.index(_LAST_WORD)) + 2
    cut = whole.cut_after(end)
    shown, now = list[Piece](), 0.0
    for reply, remark in ((whole, ""), (cut, "  # this time, the server is stopped in the middle")):
        start = now + _BEFORE
        shown += [Piece(now, "$ ", "p"), Piece(start, _COMMAND), Piece(start, f"{remark}\n", "c")]
        shown += [piece._replace(moment=start + piece.moment) for piece in run(reply)]
        now = shown[-1].moment + _BEFORE
        shown.append(Piece(now, "\n"))
    shown[-1:] = [Piece(now, "$ ", "p"), Piece(now, "\u2588", "c")]
    begin = shown[_BEGINS_WITH - 1].moment
    return [piece._replace(moment=max(0.0, piece.moment - begin)) for piece in shown]


def draw(shown: list[Piece]) -> str:
    """Return the picture of a terminal in which each piece appears at its moment."""
    seconds = shown[-1].moment + _AFTER
    drawn, moves = list[str](), list[str]()
    row = column = 0
    for number, piece in enumerate(shown):
        letters = ""
        for index, line in enumerate(piece.text.split("\n")):
            if index:
                row, column = row + 1, 0
            rest = line
            while rest:
                if column == _COLUMNS:
                    row, column = row + 1, 0
                part, rest = rest[: _COLUMNS - column], rest[_COLUMNS - column :]
                x, y = _LEFT + _LETTER * column, _TOP + _LINE * row + 15
                size = f'x="{x:.1f}" y="{y}" textLength="{_LETTER * len(part):.1f}"'
                letters += f"<text {size}{_named(piece.style)}>{escape(part)}</text>" if part.strip() else ""
                column += len(part)
        if letters:
            share = 100 * piece.moment / seconds
            moves.append(f"@keyframes m{number}{{0%{{opacity:0}}{share:.2f}%{{opacity:1}}}}")
            moves.append(f".m{number}{{animation-name:m{number}}}")
            drawn.append(f'<g class="m{number}">{letters}</g>')
    return _svg(drawn, moves, seconds, _TOP + _LINE * (row + 1) + 14)


def _named(style: str) -> str:
    return f' class="{style}"' if style else ""


def _svg(drawn: list[str], moves: list[str], seconds: float, height: float) -> str:
    width = round(2 * _LEFT + _LETTER * _COLUMNS)
    still = "@media (prefers-reduced-motion:reduce){g{animation:none!important}}"
    head = '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" '
    head += f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    style = f"<style>{_STYLE}g{{animation-duration:{seconds:.2f}s;animation-delay:-{seconds - _AFTER:.2f}s}}{''.join(moves)}{still}</style>"
    window = f'<rect class="w" x="1" y="1" width="{width - 2}" height="{height - 2}" rx="9"/>'
    buttons = "".join(f'<circle class="b" cx="{x}" cy="20" r="5"/>' for x in (22, 40, 58))
    return "\n".join([head, style, window, buttons, *drawn, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(session()), encoding="utf-8")
