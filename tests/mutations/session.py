"""A session of pytest that collects tests once, and tries each change in a child of its own."""

from __future__ import annotations

import _thread
import hashlib
import mmap
import os
import pickle
import resource
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.mutations.changes import Change
from tests.mutations.children import in_child, in_children
from tests.mutations.recording import Lines, Record
from tests.mutations.swapping import Functions
from tests.project import PACKAGE, ROOT

_MEMORY = 8_000_000_000
"""Bytes of address space: a change may have made a loop endless that collects something."""
_TIMES, _PROCESSOR_SECONDS, _SECONDS = 10, 2, 60
"""A test may take ten times as long as without a change, and two seconds more, or sixty on the clock."""
_CHUNK = 300
"""Tests that a child records, and the rest of their file."""


class Session:
    """A plugin of pytest, which tries changes in place of running the tests.

    Args:
        modules: Paths below the package.
        changes: What is tried, all of it in these modules.
        folder: Keeps what was recorded of the same tests of the same sources.
        processes: Number of children at once.
        tell: Is called with the number of each change and with what has noticed it, "" for nothing.
    """

    def __init__(
        self,
        modules: Sequence[str],
        changes: Sequence[Change],
        folder: Path,
        processes: int,
        tell: Callable[[int, str], None],
    ) -> None:
        self._modules = modules
        self._changes = changes
        self._folder = folder
        self._processes = processes
        self._tell = tell
        self._failed = False
        self._left = float(_SECONDS)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._session = session
        session.config.pluginmanager.unregister(name="terminalreporter")
        self._functions = Functions(self._modules)
        self._record = self._recorded()
        self._functions.forget()
        tasks = (partial(self._noticing, change) for change in self._changes)
        for number, noticing in in_children(tasks, self._processes):
            if noticing is None:
                sys.exit(f"cannot be tried: {self._changes[number]}")
            self._tell(number, noticing)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Leave it to `_watch`."""
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def _recorded(self) -> Record:
        """Return what the tests do, from the folder if it is known."""
        items = self._session.items
        known = hashlib.sha256(
            repr((sys.version, os.environ.get("HYPOTHESIS_PROFILE"), self._modules)).encode()
        )
        sources = {*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")}
        for path in sorted(sources.difference(Path(__file__).parent.iterdir())):
            known.update(path.read_bytes())
        known.update("\n".join(item.nodeid for item in items).encode())
        path = self._folder / f"{known.hexdigest()[:16]}.record"
        if not path.exists():
            found = Record()
            tasks = (partial(self._record_of, chunk) for chunk in self._chunks())
            for _, part in in_children(tasks, self._processes):
                found.add(part or Record())
            # The machine may have been busy.
            failing = [at for at in range(len(items)) if at not in found.seconds]
            found.add(in_child(partial(self._record_of, failing)) or Record())
            path.write_bytes(pickle.dumps(found))
        record: Record = pickle.loads(path.read_bytes())
        left_out = [item.nodeid for at, item in enumerate(items) if at not in record.seconds]
        _say("\n  ".join([f"{len(items)} tests; {len(left_out)} fail without a change:", *left_out]))
        return record

    def _chunks(self) -> Iterator[list[int]]:
        chunk: list[int] = []
        for at, item in enumerate(self._session.items):
            if len(chunk) >= _CHUNK and item.path != self._session.items[at - 1].path:
                yield chunk
                chunk = []
            chunk.append(at)
        yield chunk

    def _record_of(self, tests: Sequence[int]) -> Record:
        record = Record()
        lines = Lines(self._functions)
        self._session.config.pluginmanager.register(lines)
        for at, following in zip(tests, [*tests, None][1:], strict=True):
            lines.begin(self._session.items[at].path)
            processor, clock = time.process_time(), time.monotonic()
            if self._passes(at, following):
                record.seconds[at] = time.process_time() - processor, time.monotonic() - clock
                record.add(Record(touching={line: array("I", [at]) for line in lines.end()}))
        return record

    def _noticing(self, change: Change) -> str:
        """Return the test that notices a change, or nothing."""
        path = str(PACKAGE / change.module)
        lines = range(change.lines[0], change.lines[1] + 1)
        tests = self._in_order({at for line in lines for at in self._record.touching.get((path, line), ())})
        while (failing := self._failing(tests, change)) is not None:
            until = tests[: tests.index(failing) + 1]
            if self._failing(until, None) is None and self._failing(until, change) is not None:
                return self._session.items[failing].nodeid
            _say(f"left out, fails without a change or not always: {self._session.items[failing].nodeid}")
            tests.remove(failing)
        return ""

    def _in_order(self, tests: set[int]) -> list[int]:
        """Return the quickest test of each function, the quickest first, and then the others in turn."""
        first: dict[str, int] = {}
        for at in sorted(tests, key=lambda at: self._record.seconds[at]):
            first.setdefault(self._session.items[at].nodeid.partition("[")[0], at)
        return [*first.values(), *sorted(tests.difference(first.values()))]

    def _failing(self, tests: Sequence[int], change: Change | None) -> int | None:
        """Return the first test that fails, or takes too much time or memory."""
        # The child writes here which test it runs, and may die of it.
        self._at = mmap.mmap(-1, 8)
        self._at[:] = (-1).to_bytes(8, "big", signed=True)
        passes = in_child(partial(self._all_pass, tests, change))
        at = int.from_bytes(self._at[:], "big", signed=True)
        if passes is None and at < 0:
            raise RuntimeError(f"cannot be made: {change}")
        return None if passes else at

    def _all_pass(self, tests: Sequence[int], change: Change | None) -> bool:
        if change:
            self._functions.change(change)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        _thread.start_new_thread(self._watch, ())
        for at, following in zip(tests, [*tests, None][1:], strict=True):
            self._at[:] = at.to_bytes(8, "big")
            processor, clock = self._record.seconds[at]
            self._left = _TIMES * clock + _SECONDS
            # It ends the process, whatever that is busy with.
            signal.setitimer(signal.ITIMER_PROF, _TIMES * processor + _PROCESSOR_SECONDS)
            if not self._passes(at, following):
                return False
        return True

    def _watch(self) -> None:
        """End the process when a test waits for too long."""
        while self._left > 0:
            before = time.monotonic()
            time.sleep(1)
            # If the machine keeps this process from running, the test waits for the machine.
            self._left -= time.monotonic() - before < 1.5
        os._exit(1)

    def _passes(self, at: int, following: int | None) -> bool:
        items = self._session.items
        self._failed = False
        hook = items[at].config.hook
        hook.pytest_runtest_protocol(item=items[at], nextitem=None if following is None else items[following])
        return not self._failed


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
