"""The table in docs/doctor.md of proxies and platforms: `python -m tests.doctor_page`; and its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_section import Section
from tests.project import ROOT
from tokenstream._connection.head import ResponseHead
from tokenstream.cli._doctor.findings import judge
from tokenstream.cli._doctor.hops import HOPS
from tokenstream.cli._doctor.pacing import TimedChunk
from tokenstream.cli._doctor.probe import ProbedAnswer
from tokenstream.cli._doctor.report import lines_of

if TYPE_CHECKING:
    from tokenstream.cli._doctor.hops import Hop

__all__ = ["OUTPUT", "PAGE", "SECTION"]

PAGE = ROOT / "docs" / "doctor.md"
_ABSENT = "–"
# Through nginx 1.22 as Debian installs it: an answer of 122 events, one each 30 ms.
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


def _output() -> str:
    lines = lines_of("https://api.example.com/v1/chat/completions", [_BUFFERED], judge([_BUFFERED]))
    return "".join(f"{line}\n" for line in lines)


OUTPUT = _output()
"""What the page shows of the command."""


def _row(hop: Hop) -> str:
    signs = [f"`{name}: {words}`" if words else f"`{name}`" for name, words in hop.signs]
    limits = [f"{limit.seconds:g} s ({limit.on}): {limit.change}" for limit in hop.limits]
    settings = "; ".join(setting for setting in (hop.unbuffer, hop.uncompress) if setting)
    name = f"[{hop.name}]({hop.source})" if hop.source else hop.name
    cells = [name, ", ".join(signs), settings, "; ".join(limits)]
    return f"| {' | '.join(cell or _ABSENT for cell in cells)} |"


def _made() -> list[str]:
    columns = ["hop", "recognised by", "setting that lets events through", "cuts off after"]
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return ["\n".join([*head, *map(_row, HOPS)])]


SECTION = Section(PAGE, "tests.doctor_page", _made)

if __name__ == "__main__":
    SECTION.write()
