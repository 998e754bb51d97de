"""Runs of coding agents, from the lines that they print: recordings of real programs, cut in each way."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.steps.agents.claude_code import INIT, calls, ended, noted, returned, said, words
from tests.steps.agents.support import FOLDER, Pieces, assert_same_in_all_chunkings, body_of, cuts_of, follow
from tests.steps.told import told
from tests.support.beside import SHARED
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError, StreamTruncated

NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
_TWO = ["I will run two commands.", "It said hello."]
_ONE = ["I will run a command.", "It said hello."]
_DELEGATED = ["I delegate.", "The answer is 7."]
"""What the models say before and after they call tools."""
_BASH = ["Bash done hello", "Bash failed"]
_LOWER_BASH = ["bash done hello", "bash failed"]
_SHELL = ["run_shell_command done hello", "read_file failed"]
"""What becomes of the tools of several agents."""
_OUTCOMES: dict[str, tuple[str, list[str], list[str], tuple[int, int] | None]] = {
    "claude-code-own-api-error": ("failed", [], ["API Error: 400 no credit"], (0, 0)),
    "claude-code-own-permission-denied": ("done", _BASH, _TWO, (400, 29)),
    "claude-code-own-two-tools-partial": ("done", _BASH, _TWO, (400, 29)),
    "claude-code-own-two-tools-whole": ("done", _BASH, _TWO, (400, 29)),
    "claude-code-own-unknown-tool": (
        "done",
        ["Read failed", "NoSuchTool failed", "Edit failed"],
        ["I read.", "It failed."],
        (40, 5),
    ),
    "claude-code-own-interrupted": ("failed", ["Bash failed"], ["I sleep."], (10, 2)),
    "claude-code-own-max-turns": ("failed", _BASH, ["I will run two commands."], (100, 20)),
    "claude-code-own-broken-answer": (
        "done",
        [],
        ["Half an answer that breaks here.", "The whole answer."],
        None,
    ),
    "codex-own-exec-command": ("done", ["shell done hello"], _ONE, (250, 40)),
    "codex-own-failed-turn": ("failed", ["shell done err"], ["I will run a command."], None),
    "codex-server-own-app-server": ("done", ["shell done err"], _ONE, (250, 40)),
    "acp-own-opencode": ("done", ["bash done {'output':", "bash failed"], _TWO, (305, 9)),
    "opencode-server-own-permissions": ("done", _LOWER_BASH, _TWO, (410, 29)),
    "opencode-server-own-subagent": ("done", ["task done <task"], _DELEGATED, (410, 29)),
    "gemini-cli-own-tools": ("done", _SHELL, _ONE, (300, 18)),
    "opencode-own-run": ("done", _LOWER_BASH, _TWO, (410, 29)),
    "opencode-own-broken-answer": (
        "done",
        [],
        ["", "Half an answer that breaks here.", "The whole answer."],
        None,
    ),
    "copilot-cli-own-tools": ("done", _LOWER_BASH, _TWO, None),
    "copilot-cli-own-subagent": ("done", ["task done Sub"], _DELEGATED, None),
    "copilot-cli-own-broken-answer": ("done", [], ["Half an answer.", "The whole answer."], None),
    "kimi-code-own-tools": ("done", ["Bash done hello", "Bash done ls:"], _TWO, None),
    "qwen-code-own-tools": ("done", _SHELL, _TWO, (400, 29)),
    "pi-own-tools": ("done", _LOWER_BASH, _TWO, (410, 29)),
}
"""The state of the one turn of each recording, its tools, its texts, and its tokens."""


@in_one_test("name", NAMES)
def test_a_recorded_run_becomes_one_turn_with_its_texts_tools_and_tokens(name: str) -> None:
    state, tools, texts, tokens = _OUTCOMES[name]

    run, _, error = follow(Pieces(body_of(name), iter(lambda: 65536, None)))

    (turn,) = run.turns
    assert error is None
    assert turn.state == state
    assert [
        f"{step.name} {step.state}" + (f" {str(step.result).split()[0]}" if step.state == "done" else "")
        for step in turn.step.steps
    ] == tools
    assert [message.text for message in turn.step.messages] == texts
    if tokens is not None:
        assert (turn.step.usage.input_tokens, turn.step.usage.output_tokens) == tokens
        if not name.endswith("subagent"):
            assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == tokens
    assert run.session == turn.session
    assert run.session


@pytest.mark.few_rows(8)
@pytest.mark.slow_rows("subagent")
@pytest.mark.parametrize("name", NAMES)
def test_every_chunking_gives_the_same_run(name: str) -> None:
    """The objects of the lines give it, too."""
    body = body_of(name)

    assert_same_in_all_chunkings(body, name)
    assert told(follow([json.loads(line) for line in body.splitlines()])[0]) == told(follow(body)[0])


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cut_is_reported_and_keeps_what_had_arrived(name: str) -> None:
    """Cut after each line, and at twenty places inside of lines: no turn is done without its verdict."""
    body = body_of(name)
    state, _, texts, _ = _OUTCOMES[name]
    ends = [place + 1 for place, byte in enumerate(body) if byte == 0x0A]
    # A server of several sessions goes on after the end of a turn.
    verdict = (
        body.rindex(b'"session.idle"') if "-server-own-" in name and b"session.idle" in body else ends[-2]
    )
    for cut in cuts_of(body, name):
        run, _, error = follow(body[:cut], agent=name.partition("-own")[0])

        last = run.turns[-1] if run.turns else None
        if last is not None and last.state == "done":
            # Only what follows the verdict is missing.
            assert state == "done"
            assert cut >= verdict
        elif last is not None and isinstance(error, StreamTruncated):
            assert last.state == "failed"
            assert "".join(texts).startswith("".join(message.text for message in last.step.messages))


_WITHOUT_IDS = ("gemini", "acp", "codex-server", "pi", "kimi")
"""Agents whose pieces of text have no ids, so that two that are equal are two pieces."""


@in_one_test("name", [name for name in NAMES if not name.startswith(_WITHOUT_IDS)])
def test_lines_that_come_twice_change_nothing(name: str) -> None:
    """Claude Code, Codex and opencode give what they print an id; Gemini CLI gives its text none."""
    lines = body_of(name).splitlines()

    # Codex's lines about turns have none.
    has_id = [b'"item"' in line or not name.startswith("codex") for line in lines]
    doubled = [line for line, twice in zip(lines, has_id, strict=True) for _ in range(1 + twice)]

    assert told(follow(doubled)[0]) == told(follow(lines)[0])


def test_the_answers_of_a_subagent_are_below_the_call_that_began_it() -> None:
    lines = [
        INIT,
        said("m1", words("I ask."), calls("toolu_agent", "Agent", prompt="look")),
        noted("task_started", task_id="t", tool_use_id="toolu_agent"),
        returned("toolu_agent", "Async agent launched"),
        said("m2", words("I look."), calls("toolu_ls", command="ls"), parent="toolu_agent"),
        returned("toolu_ls", "a.txt", parent="toolu_agent"),
        said("m3", words("There is a.txt."), parent="toolu_agent"),
        noted("task_updated", tool_use_id="toolu_agent", patch={"status": "completed"}),
        said("m4", words("It is a.txt.")),
        ended("It is a.txt."),
    ]

    run, _, error = follow(lines)

    assert error is None
    (turn,) = run.turns
    (agent,) = turn.step.steps
    assert [message.text for message in turn.step.messages] == ["I ask.", "It is a.txt."]
    assert [message.text for message in agent.messages] == ["I look.", "There is a.txt."]
    assert [(step.name, step.state, step.result) for step in agent.steps] == [("Bash", "done", "a.txt")]
    assert agent.state == "done"


@pytest.mark.parametrize(
    ("reason", "answers", "state"),
    [("tool_use", False, "failed"), ("tool_use", True, "done"), ("end_turn", False, "done")],
)
def test_a_turn_that_ends_while_its_tool_runs_is_not_done(reason: str, answers: bool, state: str) -> None:
    """Claude Code calls it a success; the reason and the missing result say more."""
    lines = [
        INIT,
        said("m1", calls("toolu_1")),
        *([returned("toolu_1", "a.txt")] if answers else []),
        ended(stop_reason=reason),
    ]

    (turn,) = follow(lines)[0].turns

    assert turn.state == state
    assert (turn.error is not None) == (state == "failed")


def test_the_exit_code_of_the_process_decides_where_no_line_does() -> None:
    """Opencode may end without a reason: 0 says that it is done, anything else that it is not."""
    lines = [
        {"type": "text", "sessionID": "s", "part": {"id": "1", "text": "Done."}},
        {"type": "step_finish", "sessionID": "s", "part": {"id": "2", "tokens": {"input": 1, "output": 1}}},
    ]

    assert follow(lines, exit_code=0)[0].turns[0].state == "done"
    run, _, error = follow(lines, exit_code=1)
    assert run.turns[0].state == "failed"
    assert isinstance(error, StreamTruncated)
    assert error.partial.text == "Done."


def test_opencode_that_goes_on_after_a_last_answer_is_not_done() -> None:
    """Only the `step_finish` behind which nothing follows ends the turn."""
    finish = {"type": "step_finish", "sessionID": "s", "part": {"id": "1", "reason": "stop"}}
    start = {"type": "step_start", "sessionID": "s", "part": {"id": "2"}}

    assert follow([finish])[0].turns[0].state == "done"
    run, _, error = follow([finish, start])
    assert run.turns[0].state == "failed"
    assert isinstance(error, StreamTruncated)


def test_an_asynchronous_process_is_read_from_its_pipe() -> None:
    body = body_of("codex-own-exec-command").replace(b"It said hello.", b"hello " * 50_000)
    program = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"

    async def main() -> Steps:
        agent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert agent.stdin is not None
        assert agent.stdout is not None
        agent.stdin.write(body)
        agent.stdin.close()
        with Steps() as run:
            async for line in run.follow(agent.stdout, exit_code=agent.wait):
                assert line["type"]
        return run

    run = asyncio.run(main())

    assert run.turns[0].state == "done"
    assert run.turns[0].result == "hello " * 50_000


def test_a_process_itself_is_refused_with_a_hint() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process, Steps() as run:
        for options in ({}, {"agent": "codex"}):
            with pytest.raises(MisuseError, match=r"process\.stdout"):
                run.follow(process, **options)  # type: ignore[call-overload]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes that do not block")
def test_a_pipe_that_does_not_block_is_refused() -> None:
    """A moment without data would look like the end of the lines."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with (
        os.fdopen(writing, "wb"),
        os.fdopen(reading, "rb") as pipe,
        Steps() as run,
        pytest.raises(MisuseError, match="non-blocking"),
    ):
        next(run.follow(pipe, agent="codex"))


def test_an_agent_of_no_known_name_is_a_mistake() -> None:
    """The error has a few names, and the page with all of them."""
    told = "claude-code, codex, gemini-cli, opencode and .* docs/guides/coding-agents.md"
    with Steps() as other, pytest.raises(MisuseError, match=told):
        other.follow(io.BytesIO(), agent="claude")


def _functions_called(lines: list[str]) -> int:
    """Return how many functions run while lines are read."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    with Steps() as run:
        followed = run.follow(lines)
        next(followed)
        sys.setprofile(note)
        try:
            list(followed)
        finally:
            sys.setprofile(None)
    return count


def test_the_answers_before_do_not_make_the_next_one_dearer() -> None:
    """A turn of four times as many answers costs four times as much, and not sixteen times."""
    head = ['{"type": "thread.started", "thread_id": "t"}', '{"type": "turn.started"}']
    end = '{"type": "turn.completed", "usage": {"input_tokens": 9, "output_tokens": 2}}'
    costs: list[int] = []
    for many in (100, 400):
        items: list[dict[str, Any]] = [
            {"id": f"item_{number}", "type": "agent_message", "text": "Next."} for number in range(many)
        ]
        lines = [json.dumps({"type": "item.completed", "item": item}) for item in items]
        costs.append(_functions_called([*head, *lines, end]))

    assert costs[1] < 5 * costs[0]


_SHARED = SHARED / "agents" / "recordings"


@pytest.mark.skipif(not _SHARED.is_dir(), reason="the recordings of agents are not beside this checkout")
def test_each_recording_beside_the_checkout_becomes_turns_with_a_verdict() -> None:
    paths = [
        path
        for folder in ("claude-code", "codex", "gemini-cli", "opencode")
        for path in sorted((_SHARED / folder).glob("*.jsonl"))
        if "app-server" not in path.name
    ]
    for path in paths:
        run, given, error = follow(path.read_bytes(), exit_code=0)

        assert error is None, path.name
        assert given, path.name
        assert run.turns, path.name
        assert {turn.state for turn in run.turns} <= {"done", "failed"}, path.name
    assert paths


def test_the_session_of_a_subagent_is_below_the_tool_that_began_it() -> None:
    """The server of opencode sends the events of all sessions in one stream."""
    run, _, _ = follow(body_of("opencode-server-own-subagent"))
    (task,) = run.turns[0].step.steps
    (agent,) = task.steps

    assert [message.text for message in agent.messages] == ["Sub looks.", "Sub result: 7"]
    assert [(step.name, step.result) for step in agent.steps] == [("bash", "sub\n")]
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (620, 69)


def test_what_a_session_of_a_subagent_says_after_the_turn_is_a_turn_of_its_own() -> None:
    lines = [json.loads(line) for line in body_of("opencode-server-own-subagent").splitlines()]
    sessions = [line["properties"].get("sessionID") for line in lines]
    main, child = dict.fromkeys(filter(None, sessions))
    aborted = {"sessionID": main, "error": {"name": "MessageAbortedError"}}
    abort = {"type": "session.error", "id": "evt_abort", "properties": aborted}
    for place in [place for place, session in enumerate(sessions) if session == child]:
        late = [line for line, session in zip(lines, sessions, strict=True) if session == child]
        late = late[sessions[:place].count(child) :]
        run, _, error = follow([*lines[:place], abort, *late], agent="opencode-server")
        first, *others = run.turns
        below = [agent for task in first.step.steps for agent in task.steps]
        said = [
            message.text for step in [*below, *[each.step for each in others]] for message in step.messages
        ]

        assert (error, first.state) == (None, "stopped")
        assert all(each.session == child for each in others)
        assert "".join(said) == "Sub looks.Sub result: 7"


def test_a_run_with_a_session_reads_only_that_one_of_a_server() -> None:
    """Other clients of the same server have sessions of their own."""
    lines = [json.loads(line) for line in body_of("opencode-server-own-subagent").splitlines()]
    session = follow(lines)[0].session
    others = [json.loads(json.dumps(line).replace("ses_", "other_").replace("evt_", "o_")) for line in lines]
    mixed = [each for pair in zip(lines, others, strict=True) for each in pair]
    with Steps() as run:
        run.session = session
        list(run.follow(mixed, agent="opencode-server"))

    assert told(run) == told(follow(lines)[0])
    assert len(follow(mixed)[0].turns) == 2
