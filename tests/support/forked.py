"""Tests in several processes that are forked once all tests are collected.

`pytest --processes 4` reads a thousand modules once, and not in each process, and a test that passes
costs its process one small message: on two cores, that is a fourth of what all tests take. `-n 0`
has one process, for a debugger or a few tests; where processes cannot be forked, there is one, too.
With four processes for two cores, two work while others wait for a clock or a socket.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, NoReturn

import pytest

_TOGETHER = 8
"""As many neighbours are run by one process, since they share modules and fixtures."""
_PIPE = 32_768
"""As many bytes a pipe takes that nobody reads yet; on Linux and macOS it takes twice as many."""


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "fork as many processes, which share the tests (`-n 0`: none)"
    parser.addoption("--processes", type=int, default=1, help=told)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in several processes; leave the loop to pytest where there is to be one."""
    config = session.config
    count = min(config.option.processes, len(session.items) // _TOGETHER)
    # A process of xdist has no number of processes, and its loop is that of its own.
    alone = (
        config.getoption("numprocesses", None) is not None
        or hasattr(config, "workerinput")
        or config.getoption("usepdb")
    )
    if count < 2 or alone or config.option.collectonly or session.testsfailed or not hasattr(os, "fork"):
        return None
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    # Output that is captured goes to a file, of which each process needs one of its own.
    capture.stop_global_capturing()
    try:
        _share(session, count, capture)
    finally:
        capture.start_global_capturing()
    return True


class _Told(NamedTuple):
    done: tuple[str, Any] | None
    """The name and the place of the test; None before the first one."""
    reports: list[Any]
    following: str | None
    """The test that begins."""


def _share(session: pytest.Session, count: int, capture: Any) -> None:
    """Fork the processes, and take the reports of their tests as they come."""
    # All that is to be done is in a pipe, from which each process takes the next number when it is free.
    together = max(_TOGETHER, 4 * len(session.items) // _PIPE + 1)
    take, put = os.pipe()
    for number in range(0, len(session.items), together):
        os.write(put, number.to_bytes(4, "big"))
    os.close(put)
    processes: dict[Connection, int] = {}
    for _ in range(count):
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(read)
            capture.start_global_capturing()
            _work(session, _taken(session.items, take, together), Connection(write, readable=False))
        os.close(write)
        processes[Connection(read, writable=False)] = process
    os.close(take)
    try:
        _listen(session, processes)
    finally:
        for process in processes.values():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _listen(session: pytest.Session, processes: dict[Connection, int]) -> None:
    """Hand the reports of all processes to pytest's hooks, until each process has ended."""
    running: dict[Any, str] = {}
    while processes:
        for connection in wait([*processes]):
            assert isinstance(connection, Connection)
            try:
                told = connection.recv()
            except EOFError:
                os.waitpid(processes.pop(connection), 0)
                connection.close()
                if running.get(connection):
                    pytest.exit(f"a process died in {running[connection]}", returncode=3)
                continue
            running[connection] = told.following
            _report(session.config, told)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)


def _report(config: pytest.Config, told: _Told) -> None:
    for data in told.reports:
        report = config.hook.pytest_report_from_serializable(config=config, data=data)
        config.hook.pytest_runtest_logreport(report=report)
    if told.done:
        nodeid, location = told.done
        config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)


def _work(session: pytest.Session, items: Iterator[pytest.Item | None], connection: Connection) -> NoReturn:
    """Run tests in a process of their own, which ends here."""
    status = 1
    try:
        config = session.config
        config.pluginmanager.unregister(name="terminalreporter")
        teller = _Teller(config, connection)
        config.pluginmanager.register(teller)
        item = next(items)
        while item is not None:
            teller.tell(item)
            following = next(items)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        teller.tell(None)
        status = 0
    except BaseException:  # noqa: BLE001 - what is above belongs to the process that has forked
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def _taken(items: list[pytest.Item], take: int, together: int) -> Iterator[pytest.Item | None]:
    """Yield the tests that this process is free for, and then None."""
    while number := os.read(take, 4):
        first = int.from_bytes(number, "big")
        yield from items[first : first + together]
    yield None


class _Teller:
    """Tells the first process what became of each test, and which one is next."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config = config
        self._connection = connection
        self._reports: list[Any] = []
        self._running: pytest.Item | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what has to be told: preparations that went well are nothing new."""
        if report.when == "call" or not report.passed:
            hook = self._config.hook
            self._reports.append(hook.pytest_report_to_serializable(config=self._config, report=report))

    def tell(self, following: pytest.Item | None) -> None:
        """Tell what became of the test that has run, in one message with the next one's name."""
        done = (self._running.nodeid, self._running.location) if self._running else None
        self._connection.send(_Told(done, self._reports, following.nodeid if following else None))
        self._reports, self._running = [], following
