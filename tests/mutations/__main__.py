"""Change functions of core modules, one change at a time, and list what no test notices.

python -m tests.mutations [TESTS …] [--count 300] [--seed 0] [--only framing/_sse.py …] [--again FILE]
python -m tests.mutations [TESTS …] [--count 300] [--seed 0] --unneeded framing

The same seed draws the same changes from the same sources. First the tests of the default run are tried on
each change, then, on what they have not noticed, the slow ones, with as many examples of each law as .ci/run
tries. A change is noticed if a test fails, or takes ten times as long as without it.

With --unneeded, all tests of the default run but laws are tried on each change of a room; then the tests are
listed of which no change says that they are needed.

Only functions are changed. What runs while a module is imported has run already when a change is made, and
what a program does that a test starts is not seen either. Needs Linux and Python 3.12.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from tests.mutations.changes import ROOMS, Change, drawn, found_again, modules
from tests.mutations.children import in_child
from tests.mutations.session import Session
from tests.mutations.unneeded import listed
from tests.project import PYPROJECT, ROOT
from tests.support.tables import APART

_OPTIONS = PYPROJECT["tool"]["pytest"]["ini_options"]["addopts"]
_DEFAULT = _OPTIONS[_OPTIONS.index("-m") + 1]
_IMPORTED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
RUNS = {"default": (_DEFAULT, "few"), "slow": (_DEFAULT.replace("not slow", "(slow or hypothesis)"), "full")}
"""The tests of each run, and the profile of hypothesis."""


def main() -> None:
    """Print each change that no test notices as soon as it is known, and then a table of the rooms."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("tests", nargs="*", help="files or folders (default: all)")
    parser.add_argument("--count", type=int, default=300, help="number of changes in all (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="draws other changes (default: 0)")
    parser.add_argument(
        "--only", nargs="+", default=ROOMS, metavar="ROOM", help="files or folders of the package"
    )
    parser.add_argument("--unneeded", metavar="ROOM", help="lists tests that no change of a room needs")
    parser.add_argument("--again", type=Path, metavar="FILE", help="tries the changes that a run has written")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=[*RUNS])
    parser.add_argument("--processes", type=int, default=2, help="number of tests at once (default: 2)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "mutations", help="keeps what is found"
    )
    options = parser.parse_args()
    if options.unneeded:
        options.only, options.runs = [options.unneeded], ["unneeded"]
    options.folder.mkdir(parents=True, exist_ok=True)
    changes = _again(options.again) if options.again else drawn(options.only, options.count, options.seed)
    noticed: list[dict[str, str]] = [{} for _ in changes]
    for run in options.runs:
        left = [number for number, by in enumerate(noticed) if not any(by.values())]
        found = in_child(partial(_found, run, [changes[number] for number in left], options))
        if found is None:
            sys.exit(f"the {run} run has not come to its end")
        for number, by in found.items():
            noticed[left[number]][run] = by
    if not options.unneeded:
        sys.stdout.write("\n".join(["", *_table(changes, noticed, options.runs), ""]))


def _again(file: Path) -> list[Change]:
    found = []
    for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        del row["noticed"]
        if one := found_again(Change(**row)):
            found.append(one)
        else:
            sys.stdout.write(f"no longer there: {Change(**row)}\n")
    return found


def _found(run: str, changes: Sequence[Change], options: argparse.Namespace) -> dict[int, str]:
    """Return which test of a run notices each change, "" if none does; list the tests that are unneeded."""
    os.environ["CI"] = "1"
    every = bool(options.unneeded)
    expression, os.environ["HYPOTHESIS_PROFILE"] = (
        (f"{_DEFAULT} and not hypothesis", "few") if every else RUNS[run]
    )
    found: dict[int, str] = {}
    noticing: list[set[str]] = []

    def tell(number: int, by: Sequence[str]) -> None:
        noticing.append({*by})
        found[number] = by[0] if by else ""
        row = json.dumps(asdict(changes[number]) | {"noticed": found[number]})
        with (options.folder / f"{run}.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{row}\n")
        if not by:
            sys.stdout.write(f"not noticed by the {run} run: {changes[number]}\n")
            sys.stdout.flush()

    session = Session(modules(options.only), changes, options.folder, options.processes, tell, every=every)
    os.environ[APART] = "1" if every else ""
    arguments = ["-q", "-n", "0", "-W", _IMPORTED, "-p", "no:cacheprovider", "-m", expression, *options.tests]
    # What a test that fails says is read by nobody, and takes long to find.
    if status := pytest.main([*arguments, *(["--tb=no", "--assert=plain"] if every else [])], [session]):
        sys.exit(status)
    if every:
        sys.stdout.writelines(f"{line}\n" for line in listed(session.items, session.record, noticing))
    return found


def _table(
    changes: Sequence[Change], noticed: Sequence[Mapping[str, str]], runs: Sequence[str]
) -> Iterator[str]:
    """Yield a row for each room and one for all, in Markdown; runs count what earlier ones notice."""
    yield f"| room | changes | {' | '.join(runs)} |"
    yield "|---" * (len(runs) + 2) + "|"
    for room in [*dict.fromkeys(change.room for change in changes), "all"]:
        ours = [by for change, by in zip(changes, noticed, strict=True) if room in {change.room, "all"}]
        counts = [
            sum(any(by.get(run) for run in runs[: number + 1]) for by in ours) for number in range(len(runs))
        ]
        yield f"| {room} | {len(ours)} | {' | '.join(map(str, counts))} |"


if __name__ == "__main__":
    main()
