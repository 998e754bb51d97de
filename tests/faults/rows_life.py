"""Faults of the client's own making: how a stream is left, interrupted and shared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

from tests.faults import life, life_async, life_sync
from tests.faults.driver import HELLO
from tests.faults.matrix import Result, Row, Run, World, failed, saw
from tests.project import ROOT
from tests.stream.async_sources import PATIENCE, open_after
from tests.support.either import run_in
from tokenstream.errors import StreamInterrupted


def either(in_for: Callable[[], Result] | None, in_async_for: Callable[[], Awaitable[Result]]) -> Run:
    """Return what measures in a `for` loop, or in an `async for` loop."""

    def run(world: World) -> Result:
        if world != "sync":
            return anyio.run(in_async_for, backend=world)
        assert in_for is not None
        return in_for()

    return run


def in_each_loop(measured: Callable[[World], Coroutine[Any, Any, Result]]) -> Run:
    """Return what measures in a loop of the world's own kind."""
    return lambda world: run_in(world, measured, world)


def prompt(run: Run) -> Run:
    """Return what runs again where something came late: a busy machine is late now and then."""

    def tried(world: World) -> Result:
        result = run(world)
        for _ in range(2):
            if result.told == (AT_ONCE,):
                break
            result = run(world)
        return result

    return tried


def interpreter_exits(world: World) -> Result:
    """Let a program end that has a stream open."""
    call = "()" if world == "asyncio" else ""
    program = life_sync.PROGRAM if world == "sync" else life_async.PROGRAM.format(world=world, call=call)
    with open_after(HELLO) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        closed = server.connection().closed_within(PATIENCE)
        told = [saw(EXITS, done.returncode == 0)]
        if world != "trio":
            told.append(saw(SILENT, not done.stderr))
        return Result("", None, "", done.stdout.strip(), closed, tuple(told))


NO_LOOP = "Synchronous code has no event loop."
TRIO_DROPS = (
    "The HTTP client's generators are garbage-collected together with the stream, and Python may print "
    "an error from one of them on stderr. On trio, read inside `async with`."
)
TRIO_EXITS = (
    "Outside `async with`, trio closes the HTTP client's generators in its own order, and Python "
    "may print an error from one of them on stderr."
)
STOPPED = "stopped"
EXITS, SILENT = "it exits with status 0", "nothing is written to stderr"
AT_ONCE = "the loop ends at once"

ROWS = [
    Row(
        "F73",
        "The loop is left with `break`, in a `with` block.",
        in_each_loop(life.break_in_a_block),
        Result(ending=STOPPED, kept="Hel", told=("the source stays open until the block ends",)),
    ),
    Row(
        "F74",
        "The loop is left with `break`, without a block, and the stream is dropped.",
        either(life_sync.break_and_drop, life_async.break_and_drop),
        Result(ending="", kept="Hel", told=("you get a `ResourceWarning`",)),
        notes={"trio": TRIO_DROPS},
    ),
    Row(
        "F75",
        "The loop's body raises an exception, in a `with` block.",
        in_each_loop(life.exception_in_a_block),
        Result("ZeroDivisionError", None, STOPPED, "Hel", told=("it propagates unchanged",)),
    ),
    Row(
        "F76",
        "A loop begins after `close()`.",
        in_each_loop(life.read_after_close),
        Result(
            "MisuseError",
            None,
            STOPPED,
            "Hel",
            told=("`.kind` is `closed`", "the views return what has arrived"),
        ),
    ),
    Row(
        "F77",
        "`stop()` is called in another thread while the loop is waiting.",
        prompt(either(life_sync.stop_in_another_thread, life_async.stop_in_another_thread)),
        Result(ending=STOPPED, told=(AT_ONCE,)),
    ),
    Row(
        "F78",
        "A second thread or task reads while the first is waiting.",
        either(life_sync.second_reader, life_async.second_reader),
        Result(
            "MisuseError", kept="Hello €!", told=("`.kind` is `concurrent`", "the first reader continues")
        ),
    ),
    Row(
        "F79",
        "The task that reads is cancelled.",
        either(None, life_async.cancelled),
        Result(
            "the cancellation",
            None,
            STOPPED,
            told=("the source is closed before the cancellation leaves the block",),
        ),
        without={"sync": "A thread cannot be cancelled."},
    ),
    Row(
        "F80",
        "The loop is left with `break`, without a block, and the stream is read again later.",
        in_each_loop(life.break_and_read_on),
        Result(kept="Hello €!", told=("the source stays open until the end is read",)),
    ),
    Row(
        "F81",
        "A generator around the stream is closed at its `yield`.",
        either(life_sync.generator_closed, life_async.generator_closed),
        Result(ending=STOPPED, kept="Hel"),
    ),
    Row(
        "F81b",
        "`close()` or `aclose()` is called in another thread or task while the loop is waiting.",
        prompt(either(life_sync.close_in_another_thread, life_async.close_in_another_task)),
        Result(ending=STOPPED, told=(AT_ONCE,)),
    ),
    Row(
        "F82",
        "Ctrl-C is pressed in a `with` block, with half an event read.",
        in_each_loop(life.interrupted_by_keyboard),
        Result("KeyboardInterrupt", None, STOPPED, told=("no event comes twice",)),
    ),
    Row(
        "F83",
        "The interpreter exits while a stream is open.",
        interpreter_exits,
        Result(ending="", kept="Hel", told=(EXITS, SILENT)),
        differs={"trio": Result(ending="", kept="Hel", told=(EXITS,))},
        notes={"trio": TRIO_EXITS},
    ),
    Row(
        "F84",
        "The loop's body takes longer than `Deadlines(idle_bytes=…, idle_content=…)`.",
        in_each_loop(life.slow_loop),
        Result(kept="Hello €!"),
    ),
    Row(
        "F85",
        "The source reads the very stream that reads it.",
        either(life_sync.read_within_a_read, life_async.read_within_a_read),
        Result("MisuseError", told=("`.kind` is `concurrent`", "the first read continues")),
    ),
    Row(
        "F86",
        "The stream is read in one event loop, and then in another.",
        life_async.in_another_loop,
        Result("MisuseError", None, STOPPED, told=("the message names both loops",)),
        without={"sync": NO_LOOP},
    ),
    Row(
        "F86b",
        "The event loop in which the stream was read has ended.",
        life_async.after_its_loop,
        failed(StreamInterrupted, retryable=False),
        without={"sync": NO_LOOP},
    ),
]
