"""Lanes: checks that run side by side, each in its turn, and a table of what they took.

It needs no package, because it runs before any is installed.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


class Failed(Exception):
    """A command of a lane has failed."""


class Shell:
    """The commands of one lane, with what they print and the processor time that they take.

    Args:
        log: The file for all that the lane prints.
        minutes: A command that takes longer is killed.
    """

    def __init__(self, log: Path, minutes: float = 75) -> None:
        self.processor_seconds = 0.0
        self.tried_again = False
        self.notes = list[str]()
        """What is worth a line at the end of all lanes."""
        self._group: int | None = None
        self._is_stopped = False
        self._log = log
        self._minutes = minutes

    def note_second_try(self, failure: str) -> None:
        """Have the end of all lanes tell that this one was tried again, and what had failed first."""
        self.tried_again = True
        self.notes.append(f"tried again after {failure}")

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def run(
        self,
        *command: str | Path,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        is_bare: bool = False,
        user: tuple[int, int] | None = None,
    ) -> None:
        """Run a command to its end.

        Args:
            folder: Where it runs.
            variables: What its environment has beside that of this program.
            is_bare: Whether its environment has nothing but these variables.
            user: The ids of the user and the group as which root runs it.

        Raises:
            Failed: It says so, or was killed.
        """
        words = [str(word) for word in command]
        uid, gid = user or (None, None)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(words)}\n")
            log.flush()
            process = subprocess.Popen(
                words,
                cwd=folder,
                env={**({} if is_bare else os.environ), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # With a group of its own, all that it has started ends with it.
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=None if user is None else (),
            )
        self._group = process.pid
        limit = threading.Timer(self._minutes * 60, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        if self._is_stopped:
            self.stop()
        # Unlike Popen.wait, it tells the processor time of this command and its children, and of no other.
        _, status, usage = os.wait4(process.pid, 0)
        limit.cancel()
        self._group = None
        process.returncode = os.waitstatus_to_exitcode(status)
        self.processor_seconds += usage.ru_utime + usage.ru_stime
        if process.returncode:
            raise Failed(f"{words[0]} ended with {process.returncode}")

    def stop(self) -> None:
        """Kill the command that runs, and those that are still to come."""
        self._is_stopped = True
        if self._group is not None:
            os.killpg(self._group, signal.SIGKILL)


Work: TypeAlias = "Callable[[Shell], None]"
"""What a lane does."""


@dataclass(frozen=True)
class Lane:
    """A check, or what others need."""

    name: str
    work: Work
    after: Collection[str] = ()
    """Lanes that must be over before. If they have failed, this one is tried all the same."""
    processes: int = 1
    only_by_name: bool = False
    """True for one that says nothing of the checkout that others do not say, and is left out unless named."""


@dataclass(frozen=True)
class Outcome:
    lane: Lane
    began: float
    """Seconds after the first lane."""
    seconds: float
    processor_seconds: float
    error: str = ""
    tried_again: bool = False
    notes: Sequence[str] = ()


def chosen(lanes: Sequence[Lane], names: Iterable[str]) -> list[Lane]:
    """Return the lanes with some names, and those that they wait for; without a name, all that need none.

    Raises:
        KeyError: No lane has a name.
    """
    by_name = {lane.name: lane for lane in lanes}
    wanted = dict.fromkeys(names or [lane.name for lane in lanes if not lane.only_by_name])
    pending = list(wanted)
    while pending:
        for before in by_name[pending.pop()].after:
            if before not in wanted:
                wanted[before] = None
                pending.append(before)
    return [lane for lane in lanes if lane.name in wanted]


def run_lanes(lanes: Sequence[Lane], processes: int, logs: Path) -> list[Outcome]:
    """Run lanes side by side, print what each has said when it is over, and return how they went.

    Lanes begin in the order in which they stand, as soon as what they wait for is over. One that waits
    for two processes is overtaken only while another lane has two: small ones would rarely end at once.

    Args:
        processes: Number of processes at a time; each lane says how many it has.
        logs: A folder for what the lanes say.
    """
    begun = time.monotonic()
    waiting, running, outcomes = list(lanes), dict[Future[Outcome], Lane](), list[Outcome]()
    shells = {lane.name: Shell(logs / f"{number}.txt") for number, lane in enumerate(lanes)}
    with ThreadPoolExecutor(max(len(lanes), 1)) as threads:
        try:
            while waiting or running:
                for lane in _startable(waiting, list(running.values()), processes):
                    waiting.remove(lane)
                    _print(f"... {lane.name}")
                    running[threads.submit(_outcome, lane, shells[lane.name], begun)] = lane
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    outcomes.append(future.result())
        except BaseException:
            for shell in shells.values():
                shell.stop()
            raise
    return outcomes


def _startable(waiting: Sequence[Lane], running: Sequence[Lane], processes: int) -> list[Lane]:
    unfinished = {lane.name for lane in (*waiting, *running)}
    begun = list(running)
    for lane in waiting:
        if unfinished.isdisjoint(lane.after):
            if not begun or lane.processes + sum(other.processes for other in begun) <= processes:
                begun.append(lane)
            elif all(other.processes < lane.processes for other in begun):
                break
    return begun[len(running) :]


_PRINTING = threading.Lock()


def _outcome(lane: Lane, shell: Shell, begun: float) -> Outcome:
    start, error, how = time.monotonic(), "", "passed in"
    try:
        lane.work(shell)
    except (Failed, OSError) as exception:
        error, how = str(exception), f"FAILED ({exception}) after"
    seconds = time.monotonic() - start
    _print(f"\n=== {lane.name}\n{shell.said()}--- {lane.name}: {how} {seconds:.0f} s")
    used = shell.processor_seconds
    return Outcome(lane, start - begun, seconds, used, error, shell.tried_again, shell.notes)


def _print(text: str) -> None:
    with _PRINTING:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def table(outcomes: Sequence[Outcome], cores: int) -> str:
    """Return the seconds of each lane, the longest first, with when it began and its processor time."""
    width = max(len(outcome.lane.name) for outcome in outcomes)
    lines = [f"{'lane':{width}}  began  seconds  processor"]
    for each in sorted(outcomes, key=lambda outcome: -outcome.seconds):
        row = (
            f"{each.lane.name:{width}}  {each.began:5.0f}  {each.seconds:7.0f}  {each.processor_seconds:9.0f}"
        )
        mark = "  FAILED" if each.error else "  passed at its second try" if each.tried_again else ""
        lines.append(f"{row}{mark}")
    seconds = max(outcome.began + outcome.seconds for outcome in outcomes)
    used = sum(outcome.processor_seconds for outcome in outcomes)
    share = used / (seconds * cores)
    lines.append(f"{seconds:.0f} s in all; {used:.0f} s of processor time, {share:.0%} of {cores} cores")
    return "\n".join(lines)


def notes(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each thing that lanes have noted: what was tried again, and what was missing."""
    return "".join(f"{each.lane.name}: {note}\n" for each in outcomes for note in each.notes)
