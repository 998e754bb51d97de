"""`python -m tests.conformance`: run the cases over the readers that are here, and write the page."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.conformance import page, results
from tests.conformance.readers import readers


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Renew the results of the readers that are installed, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", action="append", metavar="READER", help="one of those that the page names")
    parser.add_argument(
        "--node",
        type=Path,
        default=os.environ.get("TOKENSTREAM_NODE"),
        metavar="FOLDER",
        help="where packages of npm are installed; by default what TOKENSTREAM_NODE says",
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page only")
    asked = parser.parse_args()
    if asked.node is not None:
        # The files of JSONTestSuite are there, too.
        os.environ["TOKENSTREAM_NODE"] = str(asked.node)
    known = readers(None if asked.node is None else Path(asked.node).resolve())
    names = [reader.name for reader in known]
    for name in asked.only or ():
        if name not in names:
            parser.error(f"there is no reader {name!r}; the readers are {', '.join(names)}")
    kept = results.load()
    for reader in () if asked.page else known:
        if asked.only and reader.name not in asked.only:
            continue
        if not reader.installed():
            _say(f"{reader.name}: not installed here, its results are kept")
            continue
        begun = time.perf_counter()
        kept[reader.name] = results.results_of(reader, kept.get(reader.name, {}))
        _say(f"{reader.name}: {time.perf_counter() - begun:.1f} s")
        results.save(kept, names)
    results.save(kept, names)
    page.FILE.write_text(page.render(results.load()), "utf-8")
    _say(f"written: {page.FILE.name}")


if __name__ == "__main__":
    main()
