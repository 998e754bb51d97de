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
_BEGUN, _FAILED, _PASSED, _DEATHS = 1, 2, 3, 3
"""How a test ends, and the number of those that die of a change after which no further one is tried."""


class Session:
    """A plugin of pytest, which tries changes in place of running the tests.

    Args:
        modules: Paths below the package.
        changes: What is tried, all of it in these modules.
        folder: Keeps what was recorded of the same tests of the same sources.
        processes: Number of children at once.
        tell: Is called with the number of each change and with the tests that have noticed it.
        every: All tests that notice a change are found, and not only the first one.
    """

    def __init__(
        self,
        modules: Sequence[str],
        changes: Sequence[Change],
        folder: Path,
        processes: int,
        tell: Callable[[int, Sequence[str]], None],
        *,
        every: bool = False,
    ) -> None:
        self._modules = modules
        self._changes = changes
        self._folder = folder
        self._processes = processes
        self._tell = tell
        self._every = every
        self._failed = False
        self._left = float(_SECONDS)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._session = session
        self.items = session.items
        session.config.pluginmanager.unregister(name="terminalreporter")
        self._functions = Functions(self._modules)
        self.record = self._recorded()
        self._functions.forget()
        tasks = (partial(self._noticing, change) for change in self._changes)
        for number, noticing in in_children(tasks, self._processes):
            if noticing is None:
                sys.exit(f"cannot be tried: {self._changes[number]}")
            self._tell(number, [self.items[at].nodeid for at in noticing])
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Leave it to `_watch`."""
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def _recorded(self) -> Record:
        """Return what the tests do, from the folder if it is known."""
        items = self.items
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
        for at, item in enumerate(self.items):
            if len(chunk) >= _CHUNK and item.path != self.items[at - 1].path:
                yield chunk
                chunk = []
            chunk.append(at)
        yield chunk

    def _record_of(self, tests: Sequence[int]) -> Record:
        record = Record()
        lines = Lines(self._functions)
        self._session.config.pluginmanager.register(lines)
        for at, following in zip(tests, [*tests, None][1:], strict=True):
            lines.begin(self.items[at].path)
            processor, clock = time.process_time(), time.monotonic()
            if self._passes(at, following):
                record.seconds[at] = time.process_time() - processor, time.monotonic() - clock
                record.add(Record(touching={line: array("I", [at]) for line in lines.end()}))
        return record

    def _noticing(self, change: Change) -> list[int]:
        path = str(PACKAGE / change.module)
        lines = range(change.lines[0], change.lines[1] + 1)
        touching = {at for line in lines for at in self.record.touching.get((path, line), ())}
        if self._every:
            return self._failing(sorted(touching), change)
        tests = self._in_order(touching)
        while failing := self._failing(tests, change):
            until = tests[: tests.index(failing[0]) + 1]
            if not self._failing(until, None) and self._failing(until, change):
                break
            _say(f"left out, fails without a change or not always: {self.items[failing[0]].nodeid}")
            tests.remove(failing[0])
        return failing

    def _in_order(self, tests: set[int]) -> list[int]:
        """Return the quickest test of each function, the quickest first, and then the others in turn."""
        first: dict[str, int] = {}
        for at in sorted(tests, key=lambda at: self.record.seconds[at]):
            first.setdefault(self.items[at].nodeid.partition("[")[0], at)
        return [*first.values(), *sorted(tests.difference(first.values()))]

    def _failing(self, tests: Sequence[int], change: Change | None) -> list[int]:
        """Return the first test, or every one, that fails, or takes too much time or memory."""
        failing: list[int] = []
        for _ in range(_DEATHS if self._every else 1):
            # The child writes here how each test ends, and may die of one.
            outcomes = mmap.mmap(-1, len(tests) + 1)
            survives = in_child(partial(self._run, tests, change, outcomes))
            if not survives and not outcomes[0]:
                raise RuntimeError(f"cannot be made: {change}")
            ended = [outcome for outcome in outcomes[:-1] if outcome]
            failing += [at for at, outcome in zip(tests, ended, strict=False) if outcome != _PASSED]
            if survives:
                break
            tests = tests[len(ended) :]
        return failing

    def _run(self, tests: Sequence[int], change: Change | None, outcomes: mmap.mmap) -> bool:
        if change:
            self._functions.change(change)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        _thread.start_new_thread(self._watch, ())
        for number, (at, following) in enumerate(zip(tests, [*tests, None][1:], strict=True)):
            outcomes[number] = _BEGUN
            processor, clock = self.record.seconds[at]
            self._left = _TIMES * clock + _SECONDS
            # It ends the process, whatever that is busy with.
            signal.setitimer(signal.ITIMER_PROF, _TIMES * processor + _PROCESSOR_SECONDS)
            outcomes[number] = _PASSED if self._passes(at, following) else _FAILED
            if outcomes[number] == _FAILED and not self._every:
                break
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
        self._failed = False
        hook = self.items[at].config.hook
        next_item = None if following is None else self.items[following]
        hook.pytest_runtest_protocol(item=self.items[at], nextitem=next_item)
        return not self._failed


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
