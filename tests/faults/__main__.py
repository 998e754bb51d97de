"""`python -m tests.faults`: run every row of the fault matrix, print or write docs/reports/failures.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import certifi
import trustme

from tests.faults import page
from tests.faults.matrix import Result, Row, World


def _results() -> dict[str, dict[World, Result]]:
    results: dict[str, dict[World, Result]] = {}
    for row in page.ROWS:
        results[row.id] = {}
        for world in row.worlds:
            results[row.id][world] = _result(row, world)
    return results


def _result(row: Row, world: World) -> Result:
    try:
        return row.run(world)
    except Exception as error:  # noqa: BLE001 - a row that fails is told like one that owes something else
        return Result(f"the row failed: {error!r}")


def main() -> int:
    """Measure, and tell; 1 where a row is not what it owes."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="write docs/reports/failures.md instead of printing it"
    )
    asked = parser.parse_args()
    results = _results()
    wrong = [
        f"{row.id}, {world}: {result}\n{' ' * len(row.id)}  owed: {row.owed_in(world)}\n"
        for row in page.ROWS
        for world, result in results[row.id].items()
        if result != row.owed_in(world)
    ]
    if asked.write and not wrong:
        page.FILE.write_text(page.render(results), "utf-8")
    elif not asked.write:
        sys.stdout.write(page.render(results))
    sys.stderr.writelines(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    # A client reads the authorities of the whole world, which takes it longer than most rows do.
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "one.pem"))
        trustme.CA().cert_pem.write_to_path(file)
        with (
            mock.patch.dict(os.environ, {"SSL_CERT_FILE": file}),
            mock.patch.object(certifi, "where", return_value=file),
        ):
            sys.exit(main())
