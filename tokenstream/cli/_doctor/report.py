"""The report of a diagnosis, as lines for people and as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenstream._basics.visible import one_line
from tokenstream.cli._doctor.pacing import moments_of, pace_of
from tokenstream.errors import StreamStalled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream._basics.secret_mask import SecretMask
    from tokenstream.cli._doctor.findings import Diagnosis
    from tokenstream.cli._doctor.probe import ProbedAnswer

_SHOWN_HEADERS = (
    "server",
    "via",
    "content-type",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "x-cache",
    "cf-cache-status",
    "age",
)
"""Relevant headers of the response, in the order in which they are printed."""
_ENDING_WORDS = {"end": "the end", "broken": "the connection broke", "stopped": "stopped"}
_LABEL = 12
_FIRST_LINES, _LAST_LINES = 6, 3
"""Numbers of lines that are printed of the start and of the end of a timeline."""
_BAR_LENGTH = 40


def lines_of(address: str, probes: Sequence[ProbedAnswer], diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the lines of a report, with an address without secrets, on verdict, evidence, hops and advice."""
    verb = "" if diagnosis.verdict != "cannot be told" else "it "
    yield f"{one_line(address)}: {verb}{diagnosis.verdict}"
    yield f"  {one_line(diagnosis.reason)}"
    for probe in probes:
        yield ""
        yield from _list_evidence(probe)
    yield ""
    for name, sign in diagnosis.hops:
        yield write_row("hop", f"{name}, by {sign}")
    if not diagnosis.hops and any(probe.head is not None for probe in probes):
        yield write_row("hop", "the response names no known one")
    for finding in diagnosis.findings:
        # The first grave finding is the reason for the verdict, which has been printed above.
        what = "" if finding.what == diagnosis.reason else f": {finding.what}"
        yield write_row("fault" if finding.grave else "note", f"{finding.name}{what}")
        for do in finding.do:
            yield write_row("  change" if finding.grave else "  do", do)
    if diagnosis.verdict == "streams":
        yield write_row("client", "if your program gets the answer late, its HTTP client holds it back")


def _list_evidence(probe: ProbedAnswer) -> Iterator[str]:
    """Yield the lines about an answer: its status, relevant headers, and timeline."""
    yield write_row("asked", f"with Accept-Encoding: {probe.coding}")
    head = probe.head
    if head is None:
        yield write_row("answered", "not at all")
        return
    yield write_row("answered", f"{head.status} {head.reason}".rstrip() + f" in {probe.version}")
    for name in _SHOWN_HEADERS:
        if name in head.headers:
            yield write_row("", f"{name}: {head.headers[name]}")
    yield f"{'seconds':>10} {'bytes':>8} {'events':>7}"
    yield f"{probe.head_at or 0.0:10.3f} {'':>8} {'':>7}  the head"
    yield from _list_timeline(probe)
    ending = "given up" if isinstance(probe.error, StreamStalled) else _ENDING_WORDS[probe.ended]
    yield f"{probe.ended_at:10.3f} {'':>8} {'':>7}  {ending}"


def _list_timeline(probe: ProbedAnswer) -> Iterator[str]:
    """Yield a line for each moment at which chunks arrived, with a bar; one line replaces a long middle."""
    moments = moments_of(probe.arrivals)
    most_events = max([_BAR_LENGTH, *(moment.events for moment in moments)])
    omitted = moments[_FIRST_LINES:-_LAST_LINES]
    for number, moment in enumerate(moments):
        if _FIRST_LINES <= number < len(moments) - _LAST_LINES:
            if number == _FIRST_LINES:
                summary = f"{len(omitted)} more, {sum(one.size for one in omitted):,} bytes"
                yield f"{'…':>10} {'':>8} {'':>7}  {summary}"
            continue
        bar = "#" * max(1, round(_BAR_LENGTH * moment.events / most_events)) if moment.events else "."
        yield f"{moment.at:10.3f} {moment.size:8,} {moment.events:7,}  {bar}"


def write_row(label: str, text: str) -> str:
    """Return a line of the report: the label, padded to the column of the texts, and the text."""
    return f"{label:<{_LABEL}}{one_line(text)}"


def as_json(address: str, probes: Sequence[ProbedAnswer], diagnosis: Diagnosis, mask: SecretMask) -> str:
    """Return the diagnosis, with an address without secrets, as a JSON object on one line."""
    report: dict[str, Any] = {
        "url": address,
        "verdict": diagnosis.verdict,
        "reason": diagnosis.reason,
        "findings": [
            {"name": finding.name, "grave": finding.grave, "what": finding.what, "do": finding.do}
            for finding in diagnosis.findings
        ],
        "hops": [{"name": name, "sign": sign} for name, sign in diagnosis.hops],
        "answers": [_write_answer(probe) for probe in probes],
    }
    return json.dumps(mask.mask_json(report), separators=(",", ":"))


def _write_answer(probe: ProbedAnswer) -> dict[str, Any]:
    """Return an answer as a JSON object."""
    return {
        "accept_encoding": probe.coding,
        "status": None if probe.head is None else probe.head.status,
        "http_version": probe.version or None,
        "headers": {name: value for name, value in probe.headers.items() if name in _SHOWN_HEADERS},
        "head_at": probe.head_at,
        "ended_at": probe.ended_at,
        "ended": probe.ended,
        "pace": pace_of(probe.arrivals).verdict,
        "arrivals": [[round(arrival.at, 6), arrival.size, arrival.events] for arrival in probe.arrivals],
    }
