"""The results that are kept: what each reader made of the cases, at which version, on which day."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compare.conformance import compatible, cuts, json_suites, sse_cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.compare.conformance.answers import SSEEvent
    from tests.compare.conformance.json_case import JSONSuite
    from tests.compare.conformance.reader import Reader

FILE = Path(__file__).with_name("results.json")
_FIELDS = ("event", "data", "id")


def load(file: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return kept


def save(file: Path, results: dict[str, Any], order: Sequence[str]) -> None:
    """Keep results in the order of the page; those of readers that are no more are dropped."""
    kept = {name: results[name] for name in order if name in results}
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def digests() -> dict[str, str]:
    """Return what tells the cases of today from others; of SSE only where the cases are there."""
    found = {"cuts": cuts.digest(), "compatible": compatible.digest(), "json": json_suites.digest()}
    return {"sse": sse_cases.digest(), **found} if sse_cases.cases() else found


def sse_results(reader: Reader) -> dict[str, Any]:
    """Return the SSE cases that a reader gets wrong, and at which chunking."""
    places = [_FIELDS.index(field) for field in reader.sse]

    def view(event: SSEEvent) -> tuple[str, ...]:
        return tuple(event[place] for place in places)

    cases = sse_cases.cases()
    verdicts = {
        case.name: sse_cases.judge(case, told, view)
        for case, told in zip(cases, reader.events(cases), strict=True)
    }
    wrong = {name: verdict for name, verdict in verdicts.items() if verdict is not None}
    missed = Counter(case.group for case in cases if case.name in wrong)
    return {
        "compared": list(reader.sse),
        "groups": {group: [total - missed[group], total] for group, total in sse_cases.groups().items()},
        "wrong": wrong,
    }


def cut_results(
    reader: Reader, step: int = 1, formats: Iterable[str] = cuts.ANSWERS
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for format in [format for format in formats if format in reader.formats]:
        answer = cuts.ANSWERS[format]
        places = answer.cuts()[::step]
        told = reader.answers([(format, answer.body[:place]) for place in places])
        found[format] = cuts.tally(answer, places, told).plain()
    return found


def compatible_results(reader: Reader) -> dict[str, str | None]:
    """Return, for each case in a reader's formats, "right", what came instead, or None."""
    cases = compatible.of_formats(reader.formats)
    told = reader.answers([(case.format, case.body) for case in cases])
    return {
        case.name: compatible.judge(case, said, reader.claims) for case, said in zip(cases, told, strict=True)
    }


def json_results(reader: Reader, suites: Iterable[JSONSuite] = json_suites.SUITES) -> dict[str, Any]:
    """Return what a reader tells of the cases of each suite that it reads."""
    found: dict[str, Any] = {}
    for suite in suites:
        cases = [case for case in suite.cases() if case.kind in reader.json]
        if cases:
            found[suite.name] = json_suites.tally(cases, reader.json_told(cases))
    return found


def results_of(reader: Reader, kept: dict[str, Any]) -> dict[str, Any]:
    """Run a reader over all cases.

    Args:
        kept: What it made of the cases before; its results stay where the cases of SSE and of
            JSONTestSuite are missing.
    """
    found: dict[str, Any] = {
        "versions": reader.versions(),
        "runtime": reader.runtime(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "how": reader.how,
        "cases": {},
    }
    if reader.sse:
        if sse_cases.cases():
            found["sse"] = sse_results(reader)
        elif kept.get("versions") == found["versions"] and "sse" in kept:
            found["sse"] = kept["sse"]
            found["cases"]["sse"] = kept["cases"]["sse"]
    if reader.formats:
        found["cuts"] = cut_results(reader)
        found["compatible"] = compatible_results(reader)
    if reader.json:
        before = kept.get("json", {}) if kept.get("versions") == found["versions"] else {}
        fresh = json_results(reader)
        both = [suite.name for suite in json_suites.SUITES if suite.name in fresh or suite.name in before]
        found["json"] = {name: fresh.get(name) or before[name] for name in both}
    found["cases"] |= {kind: digest for kind, digest in digests().items() if kind in found}
    return found
