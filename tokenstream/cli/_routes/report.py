"""The report on the trials of routes, as lines for people and as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenstream._basics.visible import one_line
from tokenstream.cli._doctor.report import write_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream.cli._doctor.report import SecretMask
    from tokenstream.cli._routes.trial import RouteTrial

_COLUMNS = ("route", "host", "format")


def lines_of(trials: Sequence[RouteTrial]) -> Iterator[str]:
    """Yield the lines of a report: the verdict, a table, and what to change."""
    serving = sum(trial.serves for trial in trials)
    yield f"{serving} of {len(trials)} {'route' if len(trials) == 1 else 'routes'} would serve"
    yield ""
    rows = [_list_cells(trial) for trial in trials]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    yield _write_cells("seconds", _COLUMNS, widths, "answered")
    for trial, cells in zip(trials, rows, strict=True):
        seconds = "–" if trial.seconds is None else f"{trial.seconds:.3f}"
        yield _write_cells(seconds, cells, widths, _describe_answer(trial))
    findings = [(trial, what) for trial in trials if (what := trial.what) is not None]
    if findings:
        yield ""
    for trial, what in findings:
        grave, kind = not trial.serves, "" if trial.kind is None else f"{trial.kind}: "
        yield write_row("fault" if grave else "note", f"{trial.candidate.route.name}: {kind}{what}")
        if trial.advice is not None:
            yield write_row("  change" if grave else "  do", trial.advice)


def _list_cells(trial: RouteTrial) -> tuple[str, ...]:
    """Return the cells that name a route: its name, its server and its format."""
    return one_line(trial.candidate.route.name), one_line(trial.candidate.server), trial.format or "unknown"


def _write_cells(seconds: str, cells: Sequence[str], widths: Sequence[int], answer: str) -> str:
    """Return a line of the table.

    Args:
        seconds: The first cell.
        cells: The cells that name the route.
        answer: The last cell.
    """
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{seconds:>10}  {'  '.join(padded)}  {answer}"


def _describe_answer(trial: RouteTrial) -> str:
    """Return the status of a response; if there was none, say so."""
    if trial.status is None:
        return "not at all" if trial.candidate.missing is None else "not asked"
    return one_line(f"{trial.status} {trial.reason}".rstrip())


def as_json(trials: Sequence[RouteTrial], mask: SecretMask) -> str:
    """Return the trials as a JSON object on one line, with secrets hidden."""
    report: dict[str, Any] = {"serving": sum(trial.serves for trial in trials)}
    report["routes"] = [
        {
            "name": trial.candidate.route.name,
            "host": trial.candidate.server,
            "format": trial.format,
            "serves": trial.serves,
            "status": trial.status,
            "first_content": trial.seconds,
            "kind": trial.kind,
            "what": trial.what,
            "do": trial.advice,
        }
        for trial in trials
    ]
    return json.dumps(mask.mask_json(report), separators=(",", ":"))
