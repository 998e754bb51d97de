"""`inspect` on the lines of an agent: the events of its run, the tree, the turns, and who was recognised."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import run
from tests.project import ROOT
from tokenstream import AsyncStream, Decoder, NotAStream, Stream, testing
from tokenstream.cli import main
from tokenstream.testing import Arrival, Recording, faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Shown, Told

FOLDER = ROOT / "tests/steps/agents/recordings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
PARTIAL = FOLDER / "claude-code-own-two-tools-partial.jsonl"


def agent_of(name: str) -> str:
    return name.partition("-own")[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_of_an_agent_are_shown_as_its_run(name: str, shown: Shown) -> None:
    status, text = shown(FOLDER / f"{name}.jsonl")
    events, _, summary = text.partition("\n\nrun ")
    failed = any(word in name for word in ("error", "failed-turn", "interrupted", "max-turns"))

    assert (5 if failed else 0) == status
    assert " StepStart " in events
    assert " TextDelta " in events
    assert f"\nending         {'failed' if failed else 'complete'}\n" in summary
    assert "\nagent          name=" in summary
    assert f"\nturn 1         {'failed' if failed else 'done'}" in summary
    assert "├─ " in summary or "└─ " in summary
    # Agents that speak ACP tell their own name.
    assert f'name="{agent_of(name)}"' in summary or name.startswith("acp")


def test_a_turn_has_its_tokens_its_cost_and_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["inspect", str(PARTIAL)])
    shown = capsys.readouterr().out

    assert "\nturn 1         done input_tokens=400 output_tokens=29 " in shown
    assert " cost=0.001638\n" in shown
    assert '\n               "It said hello."\n' in shown
    # The lines have no times, so those are of the reading.
    assert re.search(r"   └─ Bash command=.* failed \d+\.\d s - Exit code 2", shown)


def test_plans_and_questions_are_listed(shown: Shown) -> None:
    """A permission that the agent has asked for is a question, and its plan is the last one."""
    lines = (FOLDER / "acp-own-opencode.jsonl").read_bytes().splitlines()
    session = next(json.loads(line)["params"]["sessionId"] for line in lines if b"session/update" in line)
    entry = {"content": "look", "status": "pending", "priority": "high"}
    update = {"sessionUpdate": "plan", "entries": [entry]}
    plan = {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": session, "update": update}}
    at = next(index for index, line in enumerate(lines) if b"tool_call" in line)
    status, text = shown(b"\n".join([*lines[:at], json.dumps(plan).encode(), *lines[at:], b""]))

    assert 0 == status
    assert '\nplan           acp: {"type":"plan","entries":[{"content":"look","status":"pending"' in text
    assert '\nquestion       no answer was seen: {"jsonrpc":"2.0","id":0,' in text
    assert "\ncontext        used=" in text


def test_a_recorded_process_has_its_times_and_its_exit_code(tmp_path: Path, shown: Shown) -> None:
    lines = PARTIAL.read_bytes().splitlines(keepends=True)
    arrivals = tuple(Arrival(10.0 * number, line) for number, line in enumerate(lines))
    Recording(arrivals, exit_code=2).save(tmp_path / "fix.rec")

    status, text = shown(tmp_path / "fix.rec")

    assert 5 == status
    assert f"{arrivals[-1].at:9.3f}  StepDone" in text
    assert "the process of claude-code ended with exit code 2" in text
    assert "claude-code (claude-code) done 3" in text


def test_programs_get_the_run_as_json(inspected: Told) -> None:
    status, (*events, end, last) = inspected(PARTIAL)
    text = "".join(event["text"] for event in events if event["type"] == "text_delta")

    assert 0 == status
    assert "I will run two commands.It said hello." == text
    assert {"1", "2", "3"} == {event.get("step") or event["id"] for event in events}
    assert {"type": "end", "ending": "complete"} == end
    assert ("claude-code", "complete", None) == (last["agent"], last["ending"], last["error"])
    (turn,) = last["turns"]
    assert ("done", "It said hello.", 400) == (turn["state"], turn["result"], turn["usage"]["input_tokens"])
    assert [("1", None), ("2", "1"), ("3", "1")] == [(step["id"], step["parent"]) for step in last["steps"]]
    assert ["done", "done", "failed"] == [step["state"] for step in last["steps"]]


def test_lines_that_are_no_json_are_counted(shown: Shown) -> None:
    """A log between the lines of an agent changes nothing else."""
    lines = PARTIAL.read_bytes().splitlines(keepends=True)
    status, text = shown(b"".join([*lines[:5], b"warning: slow\n", *lines[5:]]))

    assert 0 == status
    assert "\nother lines    1\n" in text


def test_an_address_says_what_was_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    """The request is not sent a second time."""
    with testing.serve(Recording.load(PARTIAL)) as server:
        assert 5 == main(["inspect", f"{server.url}/lines"])
        assert 1 == len(server.requests)
    shown = capsys.readouterr().out

    assert "NotAStream      these are the lines of claude-code" in shown
    assert "inspect shows the run of an agent from a file or a pipe" in shown


@pytest.mark.few_rows(4)
@pytest.mark.slow_rows("permissions")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.anyio
async def test_a_stream_over_an_agents_lines_names_the_agent(name: str) -> None:
    """The error says how to follow the lines; every chunking gives the same error."""
    expected = (
        f"these are the lines of {agent_of(name)}, which may hold several answers: follow them "
        "with Steps, run.follow(lines)"
    )
    recording = Recording.load(FOLDER / f"{name}.jsonl")
    streams: list[Any] = [recording.stream(chunking=each) for each in ("whole", "bytes", "events", 7)]

    for stream in streams:
        with pytest.raises(NotAStream) as caught:
            stream.final()
        assert expected == str(caught.value)
        assert '{"' in (caught.value.body or "")
    with pytest.raises(NotAStream) as caught:
        await AsyncStream(recording.aprocess().stdout).final()
    assert expected == str(caught.value)
    decoder = Decoder()
    decoder.feed(recording.body)
    assert expected == str(decoder.error)


def test_lines_that_may_be_of_several_agents_are_those_of_an_agent() -> None:
    """Amp and Cursor print lines like those of Claude Code."""
    line = b'{"type": "user", "session_id": "s", "message": {"role": "user", "content": []}}\n'

    with pytest.raises(NotAStream, match="these are the lines of an agent, which may hold"):
        Stream([line]).final()


@pytest.mark.slow
def test_a_cut_before_the_first_line_is_a_truncated_stream() -> None:
    """Nothing can be recognised in half a line."""
    cut = Recording.load(PARTIAL).with_fault(faults.cut(at=40)).body
    done = run("inspect", "-", given=cut)

    assert done.returncode != 0
    assert b"agent " not in done.stdout
