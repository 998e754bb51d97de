"""`python -m tests.compare.conformance`: run the cases over the readers that are here, and write the page.

With `--recovery`, the same for libraries that recover an answer whose provider fails.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compare.conformance import page, results
from tests.compare.conformance.readers import readers
from tests.compare.conformance.recovery import page as recovery_page
from tests.compare.conformance.recovery import results as recovery_results
from tests.compare.conformance.recovery.peers import peers


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class _Comparison:
    """What is compared, and where its results are kept."""

    known: Sequence[Any]
    """All readers, installed or not."""
    file: Path
    run: Callable[[Any, dict[str, Any]], dict[str, Any]]
    """Returns the fresh results of a reader; gets its results so far."""
    write: Callable[[], None]
    """Writes the page."""

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.known]

    def renew(self, only: Sequence[str]) -> None:
        """Renew the results of the readers that are installed.

        Args:
            only: The names of those that are asked for; nothing for all.
        """
        kept = results.load(self.file)
        for each in self.known:
            if only and each.name not in only:
                continue
            if not each.installed():
                _say(f"{each.name}: not installed here, its results are kept")
                continue
            begun = time.perf_counter()
            kept[each.name] = self.run(each, kept.get(each.name, {}))
            _say(f"{each.name}: {time.perf_counter() - begun:.1f} s")
            results.save(self.file, kept, self.names)


def _write_page() -> None:
    page.FILE.write_text(page.render(results.load(results.FILE)), "utf-8")
    _say(f"written: {page.FILE.name}")


def _comparison(folder: Path | None, *, of_recovery: bool) -> _Comparison:
    if of_recovery:
        return _Comparison(
            known=peers(folder),
            file=recovery_results.FILE,
            run=lambda peer, _: recovery_results.results_of(peer),
            write=recovery_page.SECTION.write,
        )
    return _Comparison(known=readers(folder), file=results.FILE, run=results.results_of, write=_write_page)


def main() -> None:
    """Renew the results of the readers that are installed, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.compare.conformance", description=__doc__)
    parser.add_argument("--only", action="append", metavar="READER", help="one of those that the page names")
    parser.add_argument(
        "--node",
        type=Path,
        default=os.environ.get("TOKENSTREAM_NODE"),
        metavar="FOLDER",
        help="where packages of npm are installed; by default what TOKENSTREAM_NODE says",
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page only")
    parser.add_argument("--recovery", action="store_true", help="compare recovery, for its page")
    asked = parser.parse_args()
    if asked.node is not None:
        # The files of JSONTestSuite are there, too.
        os.environ["TOKENSTREAM_NODE"] = str(asked.node)
    folder = None if asked.node is None else Path(asked.node).resolve()
    comparison = _comparison(folder, of_recovery=asked.recovery)
    for name in asked.only or ():
        if name not in comparison.names:
            parser.error(f"there is no reader {name!r}; the readers are {', '.join(comparison.names)}")
    if not asked.page:
        comparison.renew(asked.only or ())
    results.save(comparison.file, results.load(comparison.file), comparison.names)
    comparison.write()


if __name__ == "__main__":
    main()
