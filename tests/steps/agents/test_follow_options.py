"""Pipes of agents' processes: silence, standard error, exit codes, and loops that end with a turn."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.steps.processes import KINDS, run_with_process
from tests.support.timing import PATIENCE, own_threads, wait_for
from tokenstream import Deadlines, Steps
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

_START = [{"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}]
_SAID = {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Done."}}
_END = {"type": "turn.completed", "usage": {"input_tokens": 9, "output_tokens": 2}}
TURN = [*_START, _SAID, _END]
CUT = TURN[:3]
_LINE = '{"type": "turn.started"}'
_WORKING = "[print('working', flush=True) or time.sleep(0.02) for _ in range(30_000)]"
"""A program that prints a log, and no line of an agent."""


def text_of(lines: list[Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def program(lines: list[Any], then: str = "") -> list[str]:
    """Return the command of an agent that prints some lines, and then runs some Python."""
    source = "import os, sys, time\nsys.stdout.write(sys.argv[1])\nsys.stdout.flush()\n"
    return [sys.executable, "-c", source + then, text_of(lines)]


@contextmanager
def process_of(lines: list[Any], then: str = "", **streams: Any) -> Generator[Any]:
    """Start such an agent; kill it at the end."""
    with subprocess.Popen(program(lines, then), stdout=subprocess.PIPE, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def read(run: Any, source: Any, **options: Any) -> StreamError | None:
    try:
        list(run.follow(source, **options))
    except StreamError as error:
        return error
    return None


@pytest.mark.slow
def test_a_silent_pipe_ends_with_the_partial_run_and_without_a_thread() -> None:
    """The process stays the caller's; its pipe can be closed at once."""
    before = own_threads()
    with process_of(CUT, "time.sleep(600)") as process, Steps() as run:
        error = read(run, process.stdout, deadlines=Deadlines(idle_bytes=0.3), stderr=None)
        threads = own_threads()
        process.stdout.close()
        assert process.poll() is None

    assert isinstance(error, StreamStalled)
    assert (error.limit, error.partial.text) == ("idle_bytes", "Done.")
    assert [turn.state for turn in run.turns] == ["failed"]
    assert threads <= before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "limit"),
    [
        ("time.sleep(600)", "first_event"),
        (_WORKING, "first_event"),
        (f"print('{_LINE}')\n{_WORKING}", "idle_content"),
        (f"[print('{_LINE}', flush=True) for _ in range(10**9)]", "total"),
    ],
)
def test_each_deadline_has_its_own_silence(then: str, limit: str) -> None:
    """A log is no line of the agent, but a sign of life; the whole time ends even a busy agent.

    With the error, no thread reads any further.
    """
    with process_of([], then) as process, Steps() as run:
        before = own_threads()
        error = read(run, process.stdout, deadlines=Deadlines(**{limit: 0.4}))
        threads = own_threads()

    assert isinstance(error, StreamStalled)
    assert error.limit == limit
    assert threads <= before


def test_a_silent_agent_that_is_read_with_short_timeouts_meets_the_deadline() -> None:
    """The waits that the caller has given up add up."""

    async def main() -> None:
        with Steps() as run:
            lines = aiter(run.follow(asyncio.StreamReader(), deadlines=Deadlines(first_event=0.03)))
            with anyio.fail_after(PATIENCE), pytest.raises(StreamStalled):
                while True:
                    with anyio.move_on_after(0.006):
                        await anext(lines)

    asyncio.run(main())


@pytest.mark.slow
def test_the_time_of_the_loop_is_no_silence() -> None:
    """Only waiting for the agent counts."""
    with process_of(TURN) as process, Steps() as run:
        for number, _ in enumerate(run.follow(process.stdout, deadlines=Deadlines(idle_bytes=1))):
            time.sleep(1.5 if number == 0 else 0)

    assert run.turns[0].state == "done"


def test_a_pipe_that_fills_up_at_standard_error_blocks_nobody() -> None:
    """A megabyte is read, and its end is kept; it is on the error."""
    then = "sys.stderr.write('é' * 500_000 + 'no space left')\nsys.exit(1)"
    with process_of(CUT, then, stderr=subprocess.PIPE) as process, Steps() as run:
        followed = run.follow(process.stdout, stderr=process.stderr, exit_code=process.wait)
        with pytest.raises(StreamTruncated, match="exit code 1") as caught:
            list(followed)

    assert caught.value.stderr == followed.stderr
    assert caught.value.stderr.endswith("éno space left")
    assert caught.value.stderr.startswith("é")
    assert len(caught.value.stderr.encode()) <= 8 * 1024


def test_an_agent_that_only_fails_is_an_error() -> None:
    then = "sys.stderr.write('not logged in')\nsys.exit(2)"
    with process_of([], then, stderr=subprocess.PIPE, text=True) as process, Steps() as run:
        error = read(run, process.stdout, stderr=process.stderr, exit_code=process.wait)

    assert isinstance(error, ProviderError)
    assert "exit code 2" in str(error)
    assert error.stderr == "not logged in"


@pytest.mark.slow
def test_a_process_that_runs_on_after_its_output_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenstream.steps._program.PATIENCE", 0.2)
    for lines, kind in ((TURN, StreamStalled), (CUT, StreamTruncated)):
        with process_of(lines, "os.close(1)\ntime.sleep(600)") as process, Steps() as run:
            error = read(run, process.stdout, exit_code=process.wait)
            assert process.poll() is None

        assert isinstance(error, kind)
        assert "still runs" in str(error)
        assert error.partial.text == "Done."


@pytest.mark.slow
def test_any_function_may_tell_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenstream.steps._program.PATIENCE", 0.2)
    forever = threading.Event()

    def wait() -> int:
        return int(forever.wait())

    def fails() -> int:
        raise ZeroDivisionError

    with Steps() as run:
        assert isinstance(read(run, io.StringIO(text_of(TURN)), exit_code=lambda: 3), ProviderError)
        assert isinstance(read(run, io.StringIO(text_of(TURN)), exit_code=wait), StreamStalled)
        with pytest.raises(ZeroDivisionError):
            read(run, io.StringIO(text_of(TURN)), exit_code=fails)

        async def code() -> int:
            return 0

        for wrong in (code, lambda: "0"):
            with pytest.raises(MisuseError, match="exit_code="):
                read(run, io.StringIO(text_of(TURN)), exit_code=wrong)
    forever.set()


def test_a_loop_can_end_with_a_turn_and_go_on() -> None:
    asked = "for line in sys.stdin:\n    sys.stdout.write(sys.argv[1])\n    sys.stdout.flush()\n"
    with process_of(TURN, asked, stdin=subprocess.PIPE) as process, Steps() as run:
        lines = run.follow(process.stdout, until="turn", exit_code=process.wait)
        for count in range(3):
            assert list(lines) == TURN
            assert len(run.turns) == count + 1
            process.stdin.write(b"again\n")
            process.stdin.flush()
        process.stdin.close()
        assert list(lines) == TURN
        assert list(lines) == []

    assert [turn.state for turn in run.turns] == ["done"] * 4


def test_a_loop_can_end_with_an_item() -> None:
    with Steps() as run:
        assert list(run.follow(TURN + TURN, until=lambda line: line["type"] == "turn.started")) == TURN[:2]
    other: Any = Steps()
    with other:
        assert list(other.follow(TURN + TURN, until="idle")) == TURN
        with pytest.raises(MisuseError, match="until="):
            other.follow(TURN, until="end")
        with pytest.raises(MisuseError, match="deadlines="):
            other.follow(TURN, deadlines=3)
        with pytest.raises(MisuseError, match="stderr="):
            other.follow(TURN, stderr="/dev/null")
        with pytest.raises(MisuseError, match="cannot follow"):
            other.follow("codex exec", agent="codex")


@pytest.mark.slow
def test_a_loop_that_is_left_leaves_no_thread() -> None:
    before = own_threads()
    with process_of(CUT, "time.sleep(600)", stderr=subprocess.PIPE) as process, Steps() as run:
        for _ in run.follow(process.stdout, stderr=process.stderr):
            break
        with run.follow(process.stdout, stderr=process.stderr, agent="codex") as lines:
            del lines
        wait_for(lambda: own_threads() <= before)


def test_a_line_that_is_nested_too_deeply_is_an_error_in_its_place() -> None:
    """Lines before it are read."""
    body = text_of(CUT) + "[" * 100_000 + "\n" + '{"a":' * 500 + "1" + "}" * 500 + "\n"
    with Steps() as run:
        followed = run.follow(io.StringIO(body))
        assert [next(followed) for _ in CUT] == CUT
        with pytest.raises(LimitExceeded) as caught:
            next(followed)

    assert caught.value.partial.text == "Done."
    assert run.turns[0].state == "failed"


def _response(asynchronous: bool, status: int = 200) -> httpx.Response:
    body = "".join(f"id: 1\ndata: {json.dumps(line)}\n\n" for line in TURN)
    compressed = gzip.compress(
        body.encode() if status == 200 else b'{"error": {"message": "no such session"}}'
    )

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from (compressed[:20], compressed[20:])

    class AsyncBody(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield compressed[:20]
            yield compressed[20:]

    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    return httpx.Response(status, headers=headers, stream=AsyncBody() if asynchronous else Body())


def test_a_response_is_read_as_its_payloads() -> None:
    """Server-sent events hold one object each."""
    with Steps() as run:
        assert list(run.follow(_response(asynchronous=False))) == TURN
        with pytest.raises(StatusError, match="no such session"):
            list(run.follow(_response(asynchronous=False, status=404), agent="codex"))

    async def main() -> None:
        with Steps() as run:
            assert [line async for line in run.follow(_response(asynchronous=True))] == TURN
            with pytest.raises(StatusError):
                await anext(run.follow(_response(asynchronous=True, status=404)))

    asyncio.run(main())
    assert run.turns[0].state == "done"


# -- in coroutines ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_byte_streams_keep_deadlines_and_drain_standard_error(kind: str) -> None:
    async def test(process: Any) -> None:
        with Steps() as run:
            followed = run.follow(process.stdout, stderr=process.stderr, deadlines=Deadlines(idle_bytes=1))
            lines: list[Any] = []
            with pytest.raises(StreamStalled) as caught:
                while True:
                    with anyio.move_on_after(0.05):
                        lines.append(await anext(followed))
        assert lines == CUT
        assert caught.value.stderr.endswith("slow")
        assert len(caught.value.stderr) == 8 * 1024
        assert run.turns[0].state == "failed"

    then = "sys.stderr.write('x' * 500_000 + 'slow')\nsys.stderr.flush()\ntime.sleep(600)"
    run_with_process(kind, program(CUT, then), test)


@pytest.mark.parametrize("kind", KINDS)
def test_exit_codes_are_awaited(kind: str) -> None:
    async def test(process: Any) -> None:
        with Steps() as run:
            followed = run.follow(process.stdout, stderr=process.stderr, exit_code=process.wait)
            async with followed as lines:
                got: list[Any] = []
                with pytest.raises(ProviderError, match="exit code 4") as caught:
                    async for line in lines:
                        got.append(line)
        assert got == TURN
        assert caught.value.stderr == "why"
        assert run.turns[0].state == "done"
        with pytest.raises(StopAsyncIteration):
            await anext(followed)

    run_with_process(kind, program(TURN, "sys.stderr.write('why')\nsys.exit(4)"), test)


@pytest.mark.slow
def test_a_process_that_runs_on_is_reported_in_coroutines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code may come from a coroutine or from a function that blocks."""
    monkeypatch.setattr("tokenstream.steps._program.PATIENCE", 0.2)

    async def lines() -> AsyncIterator[str]:
        for line in TURN:
            yield json.dumps(line)

    async def main(exit_code: Any) -> None:
        with Steps() as run, pytest.raises(StreamStalled, match="still runs"):
            async for _ in run.follow(lines(), agent="codex", exit_code=exit_code):
                pass

    def block(timeout: float) -> int:
        raise subprocess.TimeoutExpired("agent", timeout)

    for backend in ("asyncio", "trio"):
        anyio.run(main, anyio.sleep_forever, backend=backend)
        anyio.run(main, block, backend=backend)


def test_a_generator_that_a_timeout_has_ended_is_reported() -> None:
    async def lines() -> AsyncIterator[str]:
        yield json.dumps(TURN[0])
        await anyio.sleep_forever()

    async def main() -> None:
        with Steps() as run:
            followed = run.follow(lines(), agent="codex")
            await anext(followed)
            with anyio.move_on_after(0.05):
                await anext(followed)
            with pytest.raises(StreamInterrupted):
                await anext(followed)

    anyio.run(main)


def test_a_process_that_still_runs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenstream.steps._follow.PATIENCE", 3600.0)

    def wait(timeout: float) -> int:
        raise subprocess.TimeoutExpired("agent", timeout)

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stderr, os.fdopen(writing, "wb"), Steps() as run:
        body = io.BytesIO("".join(f"{json.dumps(line)}\n" for line in TURN).encode())
        with pytest.raises(StreamStalled, match="still runs"):
            list(run.follow(body, exit_code=wait, stderr=stderr))
