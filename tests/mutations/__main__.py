"""Change core modules in copies of this checkout, one change at a time, and list what no test notices.

python -m tests.mutations [--count 200] [--seed 0] [--only framing/_sse.py …] [--processes 2]

The same seed draws the same changes from the same sources. A change is noticed if a test fails, or if the
tests take longer than they may.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutations.changes import Change, changes
from tests.mutations.targets import TARGETS
from tests.project import PACKAGE, ROOT
from tests.support.beside import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TESTS = ["-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "--timeout", "60"]
_SECONDS = 300
"""Time after which all tests of a module count as hanging."""
_MEMORY = 4_000_000_000
"""Bytes of address space: a change may have made a loop endless that collects something."""
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)


@dataclass(frozen=True)
class Tried:
    """A change to a module, and whether a test noticed it."""

    module: str
    change: Change
    noticed: bool


class Checkout:
    """A copy of the checkout, in which one change at a time is made.

    Args:
        folder: Folder of the copy; what lies beside the checkout is beside it too.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / "main"
        shutil.copytree(ROOT, self._root, ignore=_LEFT_OUT)
        if SHARED.exists():
            (folder / "shared").symlink_to(SHARED, target_is_directory=True)

    def try_out(self, module: str, change: Change) -> Tried:
        """Make a change, run the module's tests, and take the change back."""
        path = self._path(module)
        source = path.read_text(encoding="utf-8")
        self._write(path, change.apply(source))
        try:
            return Tried(module, change, noticed=not self.passes(module))
        finally:
            self._write(path, source)

    def passes(self, module: str) -> bool:
        """Run a module's tests up to the first that fails; return True if none does."""
        # In CI, nothing is random; with the profile, laws are tried on few examples.
        environment = {**os.environ, "PYTHONPATH": str(self._root), "CI": "1"}
        try:
            done = subprocess.run(
                [sys.executable, *_TESTS, *TARGETS[module]],
                cwd=self._root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                preexec_fn=_bound_memory,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _path(self, module: str) -> Path:
        return self._root / "tokenstream" / module

    def _write(self, path: Path, source: str) -> None:
        path.write_text(source, encoding="utf-8")
        # Python takes a file of the same size and second for unchanged.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def drawn(modules: Sequence[str], count: int, seed: int) -> list[tuple[str, Change]]:
    """Return `count` changes at most, as many of each module as of any other, always the same ones."""
    chance = random.Random(seed)
    found: list[tuple[str, Change]] = []
    for number, module in enumerate(modules):
        possible = changes((PACKAGE / module).read_text(encoding="utf-8"))
        share = (number + 1) * count // len(modules) - number * count // len(modules)
        numbers = chance.sample(range(len(possible)), min(share, len(possible)))
        found += [(module, possible[at]) for at in sorted(numbers)]
    return found


class Checkouts:
    """Copies of the checkout, one for each process that runs tests."""

    def __init__(self, folder: Path, count: int) -> None:
        self._free = queue.SimpleQueue[Checkout]()
        for number in range(count):
            self._free.put(Checkout(folder / str(number)))

    def passes(self, module: str) -> bool:
        """Run a module's tests in a free copy."""
        checkout = self._free.get()
        try:
            return checkout.passes(module)
        finally:
            self._free.put(checkout)

    def try_out(self, module: str, change: Change) -> Tried:
        """Try a change in a free copy."""
        checkout = self._free.get()
        try:
            return checkout.try_out(module, change)
        finally:
            self._free.put(checkout)


def run(modules: Sequence[str], count: int, seed: int, processes: int) -> Iterator[Tried]:
    """Yield what became of each change."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:
        checkouts = Checkouts(Path(folder), processes)
        # Some modules have the same tests.
        judged = list({TARGETS[module]: module for module in modules}.values())
        passed = zip(judged, pool.map(checkouts.passes, judged), strict=True)
        if failing := [module for module, passes in passed if not passes]:
            sys.exit(f"without any change, the tests fail of {', '.join(failing)}")
        yield from pool.map(lambda one: checkouts.try_out(*one), drawn(modules, count, seed))


def table(tried: Sequence[Tried]) -> list[str]:
    """Return a row for each module and one for all, in Markdown."""
    rows = ["| module | changes | noticed |", "|---|---|---|"]
    for module in dict.fromkeys(one.module for one in tried):
        rows.append(_row(f"`{module}`", [one for one in tried if one.module == module]))
    return [*rows, _row("all", tried)]


def _row(name: str, tried: Sequence[Tried]) -> str:
    return f"| {name} | {len(tried)} | {sum(one.noticed for one in tried)} |"


def main() -> None:
    """Print each change that no test notices as soon as it is known, and then a table of the modules."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("--count", type=int, default=200, help="number of changes in all (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="draws other changes (default: 0)")
    parser.add_argument("--only", nargs="+", choices=[*TARGETS], default=[*TARGETS], metavar="MODULE")
    parser.add_argument("--processes", type=int, default=2, help="number of test runs at once (default: 2)")
    options = parser.parse_args()
    tried = []
    for one in run(options.only, options.count, options.seed, options.processes):
        tried.append(one)
        if not one.noticed:
            sys.stdout.write(f"not noticed: {one.module}:{one.change}\n")
            sys.stdout.flush()
    sys.stdout.write("\n".join(["", *table(tried), ""]))


if __name__ == "__main__":
    main()
