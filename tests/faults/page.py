"""docs/failures.md, written from what the rows of the fault matrix were measured to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.faults import rows_body, rows_calls, rows_events, rows_head, rows_life, rows_recovery
from tests.faults.matrix import WORLDS, Result, Row, World
from tests.project import ROOT

FILE = ROOT / "docs" / "failures.md"
SECTIONS: dict[str, Sequence[Row]] = {
    "The connection and the head of the response": rows_head.ROWS,
    "The body": rows_body.ROWS,
    "Events": sorted([*rows_events.ROWS, *rows_recovery.ROWS], key=lambda row: row.id),
    "Tool calls and their JSON": rows_calls.ROWS,
    "How a stream is left, interrupted and shared": rows_life.ROWS,
}
ROWS: list[Row] = [row for rows in SECTIONS.values() for row in rows]

_HEAD = """\
# What can go wrong

86 faults of servers, networks and programs, and what the library does each time, by measurement.
This page is written by `python -m tests.faults --write`; nobody edits it.

Each row was run in a `for` loop, and in an `async for` loop under asyncio and under trio:
over a real socket, with a server on the loopback address that does what the row says.
Only rows about work and memory read bytes that are there already.
The answer is one of `openai-chat`, and its text is mostly `Hello €`.
Rows in which an answer goes on over another connection ask by GET with `retry=Retry()`;
[recovery](recovery.md) has the other ways to go on. All others ask once.
A test runs all rows anew, and compares them with this page.

What holds in each row in which an answer was read:

- What came before the fault was handed out, and stays in `stream.message`:
  the text of the events is its text.
- No exception of a transport's, a decoder's or a JSON parser's own comes out of the loop.
- The error's `.partial` is that message, `.events_seen` counts what was handed out,
  and the error survives pickling.
- A loop that ends without an error has a whole answer, or one that was stopped.

How to read the tables:

- **what you get**: the class of the [error](errors.md) that the loop raises after all that came before it,
  whether asking again may help (`.retryable`), and what else was seen to be so.
  What is no error but no clean stream either is counted in `stream.departures`,
  under a [name](departures.md).
- **ending** and **kept**: `message.ending`, and the text and the tool calls of `stream.message`,
  which are also those of the error's `.partial`. A call that is incomplete is never handed out to be run.
- **closed**: whether the source was closed by the time the loop was left, as the server saw it;
  empty where there was no connection.
- **sync**, **asyncio**, **trio**: ✓ where it was measured to be just so, – where it cannot be measured;
  a note below the table says why, or what is different there.
- A letter behind a row's number marks another case of the same fault.
"""
_COLUMNS = ["row", "what goes wrong", "what you get", "ending", "kept", "closed", *WORLDS]
_CLOSED = {True: "yes", False: "no", None: ""}


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _gets(result: Result) -> str:
    if not result.error:
        said = ["no error"]
    elif result.error.startswith("the "):
        said = [result.error]
    else:
        said = [_code(result.error)]
    if result.retryable is not None:
        said[0] += ", retryable" if result.retryable else ", not retryable"
    return "; ".join([*said, *result.told])


def _measured(row: Row, world: World, results: Mapping[World, Result]) -> str:
    if world not in results:
        return "–"
    if results[world] != row.owed_in(world):
        return f"NOT SO: {results[world]}"
    return "note" if world in row.differs else "✓"


def line(row: Row, results: Mapping[World, Result]) -> str:
    """Return a row's line of the table.

    Args:
        row: The row.
        results: What was measured in each world.
    """
    cells = [
        row.id,
        row.fault,
        _gets(row.owed),
        _code(row.owed.ending),
        _code(row.owed.kept),
        _CLOSED[row.owed.closed],
        *[_measured(row, world, results) for world in WORLDS],
    ]
    return _line(cells)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def notes(row: Row) -> list[str]:
    """Return what is said below the table of a row that is not the same everywhere."""
    return [f"- {row.id}, {world}: {why}\n" for world, why in {**row.without, **row.notes}.items()]


def owed(row: Row) -> dict[World, Result]:
    """Return what a row would be measured to do if all were as it should be."""
    return {world: row.owed_in(world) for world in row.worlds}


def render(results: Mapping[str, Mapping[World, Result]]) -> str:
    """Return the page.

    Args:
        results: What was measured, by the rows' ids.
    """
    pieces = [_HEAD]
    for title, rows in SECTIONS.items():
        pieces += [f"\n## {title}\n\n", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
        pieces += [line(row, results[row.id]) for row in rows]
        below = [note for row in rows for note in notes(row)]
        pieces += ["\n", *below] if below else []
    return "".join(pieces)
