"""Recordings of programs: the lines that an agent's process prints are recorded, and played with faults."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.project import ROOT
from tests.support.either import Each, at_once, in_each_loop
from tests.support.timing import meanwhile
from tokenstream import Deadlines, Steps, testing
from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamStalled, StreamTruncated
from tokenstream.testing import Recording, RecordingInvalid, faults

if TYPE_CHECKING:
    from pathlib import Path


LINES = ROOT / "tests/steps/agents/recordings/claude-code-own-two-tools-partial.jsonl"
AGENT = """
import sys, time
for line in open(sys.argv[1], "rb"):
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    time.sleep(0.002)
sys.exit(int(sys.argv[2]))
"""


def command(exit_code: int = 0) -> list[str]:
    """Return the command that starts a program which prints the lines of Claude Code."""
    return [sys.executable, "-c", AGENT, str(LINES), str(exit_code)]


async def follow_in_turn(agent: Any) -> tuple[Steps, list[Any], StreamError | None]:
    """Follow a process of either kind, as an application does; return the run, the lines, and the error."""
    lines: list[Any] = []
    with Steps("fix") as run:
        try:
            async for line in Each(run.follow(agent.stdout, exit_code=agent.wait)):
                lines.append(line)
        except (StreamTruncated, ProviderError) as error:
            return run, lines, error
    return run, lines, None


def follow(agent: Any) -> tuple[Steps, list[Any], StreamError | None]:
    return at_once(follow_in_turn(agent))


@pytest.mark.slow
def test_an_agent_is_recorded_while_it_is_followed_and_played_with_a_cut_and_an_exit_code(
    tmp_path: Path,
) -> None:
    path = tmp_path / "fix.rec"
    with testing.record(subprocess.Popen(command(), stdout=subprocess.PIPE), path) as agent:
        run, lines, error = follow(agent)
    recording = Recording.load(path)

    assert (error, run.turns[0].state, len(lines)) == (None, "done", len(LINES.read_bytes().splitlines()))
    assert recording.body == LINES.read_bytes()
    assert recording.exit_code == 0

    again, same_lines, error = follow(recording.process())
    assert (error, same_lines, again.turns[0].result) == (None, lines, run.turns[0].result)

    killed = faults.cut(at=recording.body.index(b'"tool_result"')) | faults.exit_code(137)
    partial, fewer, error = follow(recording.process(fault=killed))
    (turn,) = partial.turns
    assert fewer == lines[: len(fewer)]
    assert (turn.state, turn.step.messages[0].text) == ("failed", "I will run two commands.")
    assert "stopped" in {step.state for step in turn.step.steps}
    assert isinstance(error, StreamTruncated)
    assert "exit code 137" in str(error)
    assert error.partial.text == "I will run two commands."


def test_an_exit_code_alone_fails_a_run_that_ended_well() -> None:
    """The lines are whole, and the process says that it failed."""
    recording = Recording.load(LINES)

    run, _, error = follow(recording.process(fault=faults.exit_code(2)))

    assert run.turns[0].state == "done"
    assert isinstance(error, ProviderError)
    assert "exit code 2" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_asyncio_has_the_same(tmp_path: Path) -> None:
    path = tmp_path / "fix.rec"
    process = await asyncio.create_subprocess_exec(*command(3), stdout=asyncio.subprocess.PIPE)
    run, lines, error = await follow_in_turn(testing.record(process, path))
    recording = Recording.load(path)

    assert isinstance(error, ProviderError)
    assert (recording.body, recording.exit_code) == (LINES.read_bytes(), 3)

    again, same_lines, error = await follow_in_turn(recording.aprocess(chunking="bytes"))
    assert (isinstance(error, ProviderError), same_lines) == (True, lines)
    assert again.turns[0].result == run.turns[0].result

    _, fewer, error = await follow_in_turn(recording.aprocess(fault=faults.cut(at=0.5)))
    assert isinstance(error, StreamTruncated)
    assert 0 < len(fewer) < len(lines)


@pytest.mark.slow_rows("bytes")
@pytest.mark.parametrize("chunking", ["recorded", "events", "bytes", "whole", 7, testing.Seed(3)])
def test_every_chunking_gives_the_same_run(chunking: Any) -> None:
    """The pipe is read in pieces of any size."""
    recording = Recording.load(LINES)

    run, lines, error = follow(recording.process(chunking=chunking))

    assert (error, run.turns[0].result) == (None, "It said hello.")
    assert lines == [json.loads(line) for line in LINES.read_bytes().splitlines()]


@pytest.mark.slow
def test_a_pipe_alone_can_be_recorded(tmp_path: Path) -> None:
    """Binary or text, and read in whichever way; the exit code is then not known."""
    options: list[dict[str, Any]] = [{}, {"text": True, "encoding": "utf-8"}]
    for number, how in enumerate(options):
        path = tmp_path / f"{number}.rec"
        with subprocess.Popen(command(), stdout=subprocess.PIPE, **how) as agent, Steps() as run:
            assert agent.stdout is not None
            for _ in run.follow(testing.record(agent.stdout, path), exit_code=agent.wait):
                pass
        recording = Recording.load(path)
        assert (recording.body, recording.exit_code) == (LINES.read_bytes(), None)


def test_the_lines_of_a_recorded_pipe_can_be_read_one_by_one(tmp_path: Path) -> None:
    with subprocess.Popen(command(), stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        with testing.record(agent.stdout, tmp_path / "a.rec") as pipe:
            first = pipe.readline()
            rest = list(pipe)

    assert first + b"".join(rest) == LINES.read_bytes() == Recording.load(tmp_path / "a.rec").body


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_lines_of_a_recorded_stream_reader_can_be_read_one_by_one(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(*command(), stdout=asyncio.subprocess.PIPE)
    reader = testing.record(process.stdout, tmp_path / "a.rec")
    assert reader is not None
    first = await reader.readexactly(5) + await reader.readuntil(b"\n")
    rest = [line async for line in reader]
    await process.wait()

    assert first + b"".join(rest) == LINES.read_bytes() == Recording.load(tmp_path / "a.rec").body
    assert reader.at_eof()


def test_each_piece_of_a_pipe_has_the_time_of_its_arrival(tmp_path: Path) -> None:
    """The time counts from the call of `record`."""
    clock = testing.VirtualClock(100)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as source, testing.record(source, tmp_path / "a.rec", clock=clock) as pipe:
        for seconds, line in ((1.5, b"one\n"), (2.5, b"two\n")):
            clock.advance(seconds)
            os.write(write_end, line)
            assert pipe.readline() == line
        os.close(write_end)
        assert pipe.read() == b""

    assert Recording.load(tmp_path / "a.rec").arrivals == ((1.5, b"one\n"), (4.0, b"two\n"))


def test_a_process_that_is_left_early_is_recorded_so_far(tmp_path: Path) -> None:
    """Closing the pipe writes the file, and waiting adds the exit code."""
    path = tmp_path / "a.rec"
    with testing.record(subprocess.Popen(command(), stdout=subprocess.PIPE), path) as agent:
        assert agent.stdout is not None
        first = agent.stdout.readline()
        agent.terminate()
    recording = Recording.load(path)

    assert recording.body == first
    assert recording.exit_code is not None
    assert recording.exit_code != 0


def test_a_process_without_a_pipe_cannot_be_recorded(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", ""]) as process,
        pytest.raises(MisuseError, match="no output that can be recorded: start it with stdout=PIPE"),
    ):
        testing.record(process, tmp_path / "a.rec")


def test_what_looks_like_a_key_is_never_written(tmp_path: Path) -> None:
    """An agent prints the contents of files."""
    script = 'print(\'{"key": "sk-' + "0123456789abcdef" * 2 + "\"}')"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        testing.record(process, tmp_path / "a.rec")
        assert process.stdout is not None
        with pytest.raises(RecordingInvalid):
            process.stdout.read()
    assert not (tmp_path / "a.rec").exists()


def test_the_exit_code_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    Recording.of([b"{}\n"], exit_code=-9).save(path)
    assert "\nexit: -9\n" in path.read_text(encoding="utf-8")
    assert Recording.load(path).exit_code == -9

    path.write_text(path.read_text(encoding="utf-8").replace("-9", "bad"), encoding="utf-8")
    with pytest.raises(RecordingInvalid, match="the exit code is not a whole number, such as 1"):
        Recording.load(path)


def test_an_exit_code_is_a_number() -> None:
    for code in (True, "1", None):
        with pytest.raises(MisuseError, match="an exit code is a whole number"):
            Recording.of([b"{}\n"]).process(fault=faults.exit_code(code))  # type: ignore[arg-type]


def test_a_stall_lasts_until_the_process_is_ended() -> None:
    """In real time, as with a program that hangs; on the virtual clock, nothing could end the wait."""
    recording = Recording.of([b"one\n", b"two\n"])
    agent = recording.process(fault=faults.stall(at=4), clock=time.monotonic)
    with agent:
        assert agent.stdout.readline() == b"one\n"
        with meanwhile(agent.kill):
            assert agent.stdout.read() == b""
    assert agent.poll() == -9

    with pytest.raises(MisuseError, match=r"a process has to be played with clock=time\.monotonic"):
        recording.process(fault=faults.stall(at=4)).stdout.read()


@in_each_loop
async def test_a_deadline_ends_a_stall(colour: str) -> None:
    """The run has what had arrived before the agent went silent; the end of its block ends the silence."""
    recording = Recording.load(LINES)
    play: Any = recording.process if colour == "sync" else recording.aprocess
    agent = play(fault=faults.stall(event=9), clock=time.monotonic)
    deadlines = Deadlines(idle_content=0.1)
    with agent if colour == "sync" else nullcontext(), Steps() as run, pytest.raises(StreamStalled):
        async for _ in Each(run.follow(agent.stdout, exit_code=agent.wait, deadlines=deadlines)):
            pass

    assert run.turns[0].state == "failed"
    assert run.agent == "claude-code"


@pytest.mark.anyio
async def test_a_stall_in_an_event_loop_can_be_cancelled() -> None:
    """The chunk after it is not lost."""
    recording = Recording.of([b"one\n", b"two\n"])
    agent = recording.aprocess(fault=faults.stall(at=4), clock=time.monotonic)

    assert await agent.stdout.readline() == b"one\n"
    with anyio.move_on_after(0.02) as scope:
        await agent.stdout.read()
    agent.terminate()

    assert scope.cancelled_caught
    assert (await agent.stdout.read(), await agent.wait()) == (b"", -15)


def test_a_place_can_be_a_line() -> None:
    """An event of a fault is a line of the agent, whether the file has been recorded or is a bare body."""
    lines = LINES.read_bytes().splitlines(keepends=True)
    bare = Recording.load(LINES)

    for recording in (bare, Recording.of(lines), Recording.of([bare.body])):
        cut = recording.process(fault=faults.cut(event=3))
        assert cut.stdout.read() == b"".join(lines[:3])


def test_what_is_played_has_its_recorded_times() -> None:
    clock = testing.VirtualClock()
    recording = Recording((testing.Arrival(1.5, b"one\n"), testing.Arrival(4, b"two\n")))
    agent = recording.process(pace="recorded", clock=clock)

    assert [(line, clock()) for line in agent.stdout] == [(b"one\n", 1.5), (b"two\n", 4.0)]


def test_messages_of_a_websocket_are_no_output() -> None:
    for play in (Recording.of([b"{}"], messages=True).process, Recording.of([b"{}"], messages=True).aprocess):
        with pytest.raises(MisuseError, match="no process prints it"):
            play()
