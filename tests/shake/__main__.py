"""Run the tests that wait on a busy machine, in another order each time, and list those that fail.

python -m tests.shake [PATH …] [--changed [BASE]] [--rounds 10] [--minutes M] [--seed S] [--busy N] [-- …]

A test that waits for an event is green in each round; one whose passing leans on an idle machine, on what ran
before it, or on a clock, is not. A process spins for each core meanwhile, or N in all. Without paths, all
folders run whose tests wait; with --changed, only what a change since that revision concerns. With --minutes,
the tests of each round have their share of them, and those are left out for which the order leaves none.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING

from tests.shake.changed import ROOT, WAITING, concerned_since
from tests.shake.order import SECONDS, SEED

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

_CORES = os.cpu_count() or 1
_PYTEST = ["-m", "pytest", "-p", "tests.shake.order", "-q", "-p", "no:cacheprovider"]
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+(?: .*?\])?)(?: - .*)?$", re.MULTILINE)
_SPINS = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
_NO_TESTS = 5
"""The exit code of pytest if it has found no tests."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds; return 1 if a test has failed in any of them."""
    options = _options(arguments)
    paths = options.paths or [*WAITING]
    if options.changed is not None:
        paths = concerned_since(options.changed)
        if not paths:
            _say("Nothing that waits has changed.")
            return 0
    failed = Counter[str]()
    # The processes that spin end also if this one is asked to.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _busy(options.busy):
        for number in range(options.rounds):
            seconds = options.minutes * 60 / options.rounds
            variables = {SEED: str(options.seed + number), SECONDS: str(seconds)}
            failed.update(_run(number + 1, variables, [*options.pytest, *paths]))
    for test, count in failed.most_common():
        _say(f"{count} × {test}")
    return 1 if failed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.shake", description="Run the tests that wait on a busy machine."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="what to run (default: all that waits)")
    parser.add_argument(
        "--changed",
        metavar="BASE",
        nargs="?",
        const="",
        help="only what a change since this revision concerns (by default: since it left its upstream)",
    )
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="time for the tests of all rounds"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=SystemRandom().randrange(1_000_000),
        help="seed of the first round's order, and one more in each round (default: another one each time)",
    )
    parser.add_argument(
        "--busy", type=int, default=_CORES, help="processes that spin (default: one per core)"
    )
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    cut = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:cut])
    options.pytest = given[cut + 1 :]
    return options


def _run(number: int, variables: Mapping[str, str], words: Sequence[str]) -> set[str]:
    """Run the tests once; print the outcome, and return the names of those that failed."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, *_PYTEST, *words],
        cwd=ROOT,
        env={**os.environ, **variables, "TOKENSTREAM_LEFTOVERS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    failed = {*_FAILED.findall(done.stdout)}
    verdict = done.stdout.strip().rpartition("\n")[2].strip("= ")
    _say(f"round {number}, --seed {variables[SEED]}, {time.monotonic() - begun:.0f} s: {verdict}")
    if done.returncode not in (0, _NO_TESTS):
        _say(done.stdout)
        # A run that broke off names no test.
        return failed or {"pytest itself"}
    return set()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _busy(count: int) -> Generator[None]:
    """Keep the cores busy with processes of their own."""
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", _SPINS]))
            stack.callback(process.kill)
        yield


if __name__ == "__main__":
    sys.exit(main())
