"""Print what reaches the statements inside the package's functions.

python -m tests.evidence [ROOM …] [--data DIR] [--again PART …] [--check]

A row has a room's statements that recordings reach, those that only programs of docs/ and examples/ reach,
and those that neither reaches. Recordings are those of this repository, and those of real servers in
../shared, where it exists. With a room, as `formats/_wire`, its functions with statements that neither
reaches are listed, with these lines. With --data, what was measured is kept in a folder, and is measured
again only after a change of the package, or with --again. With --check, what neither reaches must be within
the bounds of tests/house/budget.py; without ../shared, nothing is measured, and the command says so. It takes
about five minutes on two cores; programs whose frameworks, browser or database are missing are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.evidence.counts import NEITHER, Reached, by_room, reached
from tests.evidence.parts import PARTS, Part, measure, settings
from tests.evidence.tables import list_of_functions, table_of_rooms
from tests.house import budget
from tests.project import PACKAGE
from tests.support.beside import SHARED

_WITHOUT_SERVERS = "recordings: those of this repository alone, since ../shared/recordings is missing\n"
_UNCHECKED = (
    "not checked: how many statements no recording and no program reaches. The bound counts with the"
    " recordings of real servers in ../shared/recordings, and is checked where they lie. A recording of the"
    " server that your change is about, in tests/recordings/, is what keeps it within the bound.\n"
)
_ADVICE = (
    "add a recording to tests/recordings/, or a program to docs/, that reaches what is new, or take away what"
    " nothing needs; `python -m tests.evidence ROOM` lists the functions of a room that neither reaches\n"
)


def main(arguments: Sequence[str]) -> int:
    """Measure what is missing, print tables, and return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(
        "python -m tests.evidence", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help="list the functions of these rooms")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep what was measured here")
    names = [part.name for part in PARTS]
    parser.add_argument("--again", nargs="+", default=[], choices=names, help="measure these parts again")
    parser.add_argument("--check", action="store_true", help="hold the bounds of tests/house/budget.py")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return _run(options, (options.data or Path(folder)).resolve())


def _run(options: argparse.Namespace, data: Path) -> int:
    if not (SHARED / "recordings").is_dir():
        sys.stdout.write(_WITHOUT_SERVERS)
        if options.check:
            sys.stdout.write(_UNCHECKED)
            return 0
    measured = {part.name: _measured(part, data, again=part.name in options.again) for part in PARTS}
    found = reached(PACKAGE, measured)
    for room in options.rooms:
        sys.stdout.write(f"\n{room}\n{list_of_functions(found, room, [NEITHER])}\n")
    if not options.rooms:
        sys.stdout.write(f"\n{table_of_rooms(found, [*measured])}\n")
    return _check(found) if options.check else 0


def _check(found: Sequence[Reached]) -> int:
    """Print how the statements that neither reaches compare with their bounds; return 1 beyond one."""
    counts = sum(by_room(found).values(), start=Counter[str]())
    number, share = counts[NEITHER], counts[NEITHER] / counts.total()
    most = budget.ceiling(budget.NO_EVIDENCE)
    sys.stdout.write(
        f"no recording and no program reaches {number:,} statements, {share:.2%};"
        f" at most {most:,} and {budget.NO_EVIDENCE_SHARE:.2%} are allowed\n"
    )
    is_beyond = number > most or share > budget.NO_EVIDENCE_SHARE
    if is_beyond:
        sys.stdout.write(_ADVICE)
    return int(is_beyond)


def _measured(part: Part, data: Path, *, again: bool) -> Path:
    """Return the settings of a part's data, measured now if there is none of the package as it stands."""
    folder = data / part.name
    stamp, now = folder / "package.txt", _package_hash()
    if again or not stamp.exists() or stamp.read_text(encoding="utf-8") != now:
        for path in folder.glob("*"):
            path.unlink()
        sys.stdout.write(f"{measure(part, folder)}\n")
        sys.stdout.flush()
        stamp.write_text(now, encoding="utf-8")
    return settings(folder)


def _package_hash() -> str:
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
