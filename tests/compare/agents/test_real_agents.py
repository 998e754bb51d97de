"""Coding agents, started as a user starts them, with a scripted model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.compare.agents.model import (
    PLANS,
    a_plan,
    at_limit,
    broken_once,
    one_slow_command,
    one_subagent,
    refuse,
    two_commands,
    two_subagents,
)
from tests.compare.agents.programs import MODEL, started
from tokenstream import Peer, Steps, testing
from tokenstream.errors import StreamError
from tokenstream.events import StepUpdate

pytestmark = pytest.mark.agents

_COMMANDS: dict[str, tuple[str, ...]] = {
    "claude": (
        "-p",
        "MAINTASK",
        "--output-format",
        "stream-json",
        "--verbose",
        "--dangerously-skip-permissions",
    ),
    "claude-partial": (
        "-p",
        "MAINTASK",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--dangerously-skip-permissions",
    ),
    "codex": (
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "-m",
        "gpt-5",
        "MAINTASK",
    ),
    "opencode": ("run", "--format", "json", "--pure", "--thinking", "MAINTASK"),
    # Without the name of a model, it asks a smaller one which model to ask.
    "gemini": ("-p", "MAINTASK", "-m", "gemini-2.5-pro", "--output-format", "stream-json", "--yolo"),
    "pi": ("--mode", "json", "--provider", "test", "--model", MODEL, "-p", "MAINTASK"),
    "qwen": ("-p", "MAINTASK", "-m", MODEL, "--output-format", "stream-json", "--yolo"),
    "copilot": ("-p", "MAINTASK", "--output-format", "json", "--allow-all-tools", "--disable-builtin-mcps"),
    "kimi": ("-p", "MAINTASK", "--output-format", "stream-json"),
}
"""The command line of each agent without the name of its program."""
_NAMES = {
    "claude": "claude-code",
    "claude-partial": "claude-code",
    "codex": "codex",
    "opencode": "opencode",
    "gemini": "gemini-cli",
    "pi": "pi",
    "qwen": "qwen-code",
    "copilot": "copilot-cli",
    "kimi": "kimi-code",
}
_WITHOUT_COUNTS = ("copilot", "kimi")
"""The agents whose lines tell no tokens."""


@contextmanager
def codex_thread(folder: Path, model: Any, **options: str) -> Generator[tuple[Peer, Steps, str]]:
    """Start the app server of Codex, and a thread there; give the peer, the run, and the thread's id."""
    with (
        testing.serve(model) as server,
        started("codex", folder, server.url, "app-server") as process,
        Peer(process.stdout, process.stdin) as peer,
        Steps("codex") as run,
    ):
        peer.ask("initialize", clientInfo={"name": "test", "title": "test", "version": "1"})
        peer.notify("initialized")
        begun = peer.ask("thread/start", model="gpt-5", cwd=str(folder / "work"), **options)
        yield peer, run, begun["thread"]["id"]


def run_of(agent: str, folder: Path, model: Any) -> tuple[Steps, StreamError | None, list[Any]]:
    """Run an agent to its end; return the run, the error of the loop, and the lines that the loop got."""
    lines: list[Any] = []
    error = None
    name = agent.partition("-")[0]
    with (
        testing.serve(model) as server,
        started(name, folder, server.url, *_COMMANDS[agent]) as process,
        Steps("fix") as run,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            for line in run.follow(process.stdout, exit_code=process.wait, stderr=process.stderr):
                lines.append(line)
        except StreamError as raised:
            error = raised
    return run, error, lines


def own_count(lines: list[Any]) -> tuple[int, int] | None:
    """Return the tokens of the input and of the output as Claude Code counts them; None without a count."""
    told = [line["modelUsage"].values() for line in lines if line.get("modelUsage")]
    if not told:
        return None
    return sum(each["inputTokens"] for each in told[-1]), sum(each["outputTokens"] for each in told[-1])


@pytest.mark.parametrize("agent", _COMMANDS)
def test_a_turn_with_two_tools(agent: str, tmp_path: Path) -> None:
    run, error, lines = run_of(agent, tmp_path, two_commands)

    (turn,) = run.turns
    assert error is None
    assert (run.agent, turn.state, turn.result) == (_NAMES[agent], "done", "It said hello.")
    # Qwen Code gives each part of an answer an id of its own.
    texts = [message.text for message in turn.step.messages if message.text]
    assert texts == ["I will run two commands.", "It said hello."]
    # Codex runs both at the same time. No line of Kimi Code tells that a tool has failed.
    tools = sorted(turn.step.steps, key=lambda step: (step.state, "hello" not in str(step.result)))
    assert [step.state for step in tools] == ["done", "done" if agent == "kimi" else "failed"]
    assert "hello" in str(tools[0].result)
    counts = (None, None) if agent in _WITHOUT_COUNTS else (400, 29)
    for usage in (turn.usage, run.total_usage):
        assert (usage.input_tokens, usage.output_tokens) == counts
    assert run.session
    assert lines


@pytest.mark.parametrize("agent", ["claude", "claude-partial", "opencode", "copilot"])
def test_a_subagent_is_below_the_call_that_began_it(agent: str, tmp_path: Path) -> None:
    run, error, lines = run_of(agent, tmp_path, one_subagent)

    turn = run.turns[-1]
    assert error is None
    assert turn.state == "done"
    if counted := own_count(lines):
        assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == counted
        # Two answers, and those of the subagent.
        assert counted[0] >= 490
    assert [message.text for message in turn.step.messages][-1] == "The answer is 7."
    assert all("Sub" not in message.text for message in turn.step.messages)
    if agent != "opencode":
        # `opencode run` prints the lines of the main session only.
        (delegate,) = run.turns[0].step.steps
        assert [step.name for step in delegate.steps] == ["bash" if agent == "copilot" else "Bash"]


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "pi", "copilot"])
def test_a_refused_request_fails_the_turn(agent: str, tmp_path: Path) -> None:
    """The provider's message is in the error, and the exit code adds no second one."""
    run, error, _ = run_of(agent, tmp_path, refuse)

    assert [turn.state for turn in run.turns] == ["failed"]
    assert "no credit" in str(run.turns[0].error)
    assert error is None


@pytest.mark.parametrize("agent", ["claude", "claude-partial", "codex", "opencode", "copilot"])
def test_an_answer_that_breaks_off_is_asked_for_anew(agent: str, tmp_path: Path) -> None:
    run, error, lines = run_of(agent, tmp_path, broken_once())

    (turn,) = run.turns
    assert error is None
    *broken, last = turn.step.messages
    # Claude Code counts both answers; elsewhere, an estimate is all there is of one that broke off.
    counted = own_count(lines)
    guessed = [] if counted else [message.usage.output_tokens or 0 for message in broken]
    tokens = counted[1] if counted else sum(guessed) + (0 if agent in _WITHOUT_COUNTS else 5)
    assert (turn.state, turn.result, turn.usage.output_tokens) == ("done", "The whole answer.", tokens)
    assert (turn.usage.basis == "estimated") == any(guessed)
    assert run.total_usage == turn.usage
    assert (last.text, last.ending, last.finish_reason) == ("The whole answer.", "complete", "stop")
    assert {message.ending for message in broken} <= {"truncated"}
    # The other two print no word of it.
    assert bool(broken) == (agent in ("claude-partial", "opencode", "copilot"))


def test_opencode_says_that_an_answer_has_reached_its_limit(tmp_path: Path) -> None:
    """The turn is done, and the answer's reason tells that it is cut."""
    run, error, _ = run_of("opencode", tmp_path, at_limit)

    (turn,) = run.turns
    (message,) = turn.step.messages
    assert (error, turn.state, turn.usage.output_tokens) == (None, "done", 5)
    assert (message.text, message.ending, message.finish_reason) == (
        "The answer is cut",
        "complete",
        "length",
    )


@pytest.mark.parametrize("agent", ["claude", "claude-partial", "codex"])
def test_an_answer_at_its_limit_fails_the_turn_of_an_agent_that_goes_no_further(
    agent: str, tmp_path: Path
) -> None:
    """Claude Code asks the model to go on three times; the events of its provider tell why each ended."""
    run, error, _ = run_of(agent, tmp_path, at_limit)

    (turn,) = run.turns
    cut = [message.finish_reason for message in turn.step.messages if message.text == "The answer is cut"]
    assert (error, turn.state) == (None, "failed")
    assert "output token" in str(turn.error) or "max_output_tokens" in str(turn.error)
    if agent == "claude-partial":
        assert cut == ["length"] * 4
    if agent == "codex":
        assert cut == ["error"]


def test_kimi_code_does_not_tell_why_an_answer_has_ended(tmp_path: Path) -> None:
    """The reason is unknown, whether the answer is whole or cut at its limit."""
    run, error, _ = run_of("kimi", tmp_path, at_limit)

    (message,) = run.turns[0].step.messages
    assert (error, message.text, message.finish_reason) == (None, "The answer is cut", "unknown")


def _lines_after_asking(run: Steps, process: subprocess.Popen[bytes], **options: Any) -> Iterator[Any]:
    """Write the task at standard input, and yield the lines up to the result, which ends the input."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"type": "user", "message": {"role": "user", "content": "MAINTASK"}}
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
    for line in run.follow(process.stdout, exit_code=process.wait, **options):
        yield line
        if line["type"] == "result":
            process.stdin.close()


def test_claude_code_asks_for_a_permission_and_goes_on(tmp_path: Path) -> None:
    options = ("--permission-prompt-tool", "stdio", "--permission-mode", "default")
    command = ("-p", "--input-format", "stream-json", *_COMMANDS["claude-partial"][2:-1], *options)
    waited: list[Any] = []
    with (
        testing.serve(two_commands) as server,
        started("claude", tmp_path, server.url, *command) as process,
        Steps("ask") as run,
    ):
        for _ in _lines_after_asking(run, process, stdin=process.stdin):
            for request in run.waiting:
                waited += [
                    (run.turns[0].state, step.state) for step in run.turns[0].step.steps if step.requests
                ]
                run.reply(request.id, {"behavior": "allow", "updatedInput": request.request["input"]})

    assert waited
    assert {*waited} <= {("waiting", "waiting"), ("waiting", "done")}
    assert [turn.state for turn in run.turns] == ["done"]
    assert {step.state for step in run.turns[0].step.steps} == {"done", "failed"}


def test_gemini_cli_calls_an_answer_at_its_limit_a_success(tmp_path: Path) -> None:
    """Nothing in Gemini CLI's lines tells that the answer is cut."""
    run, error, lines = run_of("gemini", tmp_path, at_limit)

    (turn,) = run.turns
    assert (error, turn.state, turn.result) == (None, "done", "The answer is cut")
    assert lines[-1]["status"] == "success"


def test_gemini_cli_prints_no_line_between_an_answer_that_breaks_off_and_the_next_one(tmp_path: Path) -> None:
    """The text of both answers is one, as Gemini CLI's own count of tokens is; no line parts them."""
    run, error, lines = run_of("gemini", tmp_path, broken_once())

    (turn,) = run.turns
    assert error is None
    assert (turn.state, turn.result, turn.usage.output_tokens) == ("done", "Half an The whole answer.", 9)
    assert [line["type"] for line in lines] == ["init", *["message"] * 5, "result"]


def test_subagents_of_a_session_that_goes_on_are_no_part_of_its_turns(tmp_path: Path) -> None:
    """Claude Code with its messages at standard input: its subagents outlive the turn that began them."""
    command = ("-p", "--input-format", "stream-json", *_COMMANDS["claude-partial"][2:])
    with (
        testing.serve(two_subagents) as server,
        started("claude", tmp_path, server.url, *command) as process,
        Steps("fix") as run,
    ):
        for _ in _lines_after_asking(run, process):
            pass

    agents = [step for step in [*run.steps, *run.turns[0].step.steps] if step.name == "Agent"]
    said = "".join(message.text for turn in run.turns for message in turn.step.messages)
    assert {turn.state for turn in run.turns} == {"done"}
    assert "Sub" not in said
    assert [agent.result for agent in agents if agent.state == "done"] == ["Sub result: 7"] * 2
    assert len({agent.cause.id for agent in agents if agent.cause}) == 2


def test_opencode_is_driven_over_acp(tmp_path: Path) -> None:
    with (
        testing.serve(two_commands) as server,
        started("opencode", tmp_path, server.url, "acp", "--pure") as process,
        Peer(process.stdout, process.stdin) as peer,
        Steps("acp") as run,
    ):
        peer.ask("initialize", protocolVersion=1, clientCapabilities={})
        session = peer.ask("session/new", cwd=str(tmp_path / "work"), mcpServers=[])["sessionId"]
        prompt = [{"type": "text", "text": "MAINTASK"}]
        turn = peer.begin("session/prompt", sessionId=session, prompt=prompt)
        for message in run.follow(peer, until=turn):
            if message.wants_reply:
                choice = message.params["options"][0]["optionId"]
                message.reply({"outcome": {"outcome": "selected", "optionId": choice}})

    (found,) = run.turns
    assert turn.result["stopReason"] == "end_turn"
    assert (run.agent, run.session, found.state) == ("OpenCode", session, "done")
    assert [message.text for message in found.step.messages] == ["I will run two commands.", "It said hello."]
    assert sorted(step.state for step in found.step.steps) == ["done", "failed"]


def plans_of(run: Steps) -> list[Any]:
    updates = [event.data for event in run.events() if isinstance(event, StepUpdate)]
    return [[(task["content"], task["status"]) for task in update["entries"]] for update in updates]


def test_the_plan_of_codex_is_reported_at_each_change(tmp_path: Path) -> None:
    """`codex exec` tells of each task only whether it is completed."""
    run, error, _ = run_of("codex", tmp_path, a_plan)

    states = {"pending": "pending", "in_progress": "pending", "completed": "completed"}
    (turn,) = run.turns
    assert (error, turn.state, turn.result) == (None, "done", "It is done.")
    assert plans_of(run) == [[(task, states[state]) for task, state in plan] for plan in PLANS]
    assert [task["status"] for task in turn.step.updates["plan"]["entries"]] == ["completed"] * 2


def test_the_app_server_of_codex_tells_the_state_of_each_task(tmp_path: Path) -> None:
    with codex_thread(tmp_path, a_plan) as (peer, run, thread):
        peer.ask("turn/start", threadId=thread, input=[{"type": "text", "text": "MAINTASK"}])
        for _ in run.follow(peer, until="turn"):
            pass

    assert [turn.state for turn in run.turns] == ["done"]
    assert plans_of(run) == [list(plan) for plan in PLANS]


def test_the_app_server_of_codex_asks_and_goes_on(tmp_path: Path) -> None:
    """Two turns of one thread; the approval is given through the run, as an interface does."""
    options = {"approvalPolicy": "untrusted", "sandbox": "danger-full-access"}
    with codex_thread(tmp_path, two_commands, **options) as (peer, run, thread):
        for _ in range(2):
            peer.ask("turn/start", threadId=thread, input=[{"type": "text", "text": "MAINTASK"}])
            for _ in run.follow(peer, until="turn"):
                for waiting in run.waiting:
                    run.reply(waiting.id, {"decision": "accept"})

    first, second = run.turns
    assert (run.agent, run.session) == ("codex-server", thread)
    assert (first.state, first.result) == ("done", "It said hello.")
    assert sorted(step.state for step in first.step.steps) == ["done", "failed"]
    assert second.state == "done"
    assert run.waiting == ()


def test_codex_is_steered(tmp_path: Path) -> None:
    """The words reach the model within the turn, after the command that runs."""
    steer = None
    with codex_thread(tmp_path, one_slow_command) as (peer, run, thread):
        peer.ask("turn/start", threadId=thread, input=[{"type": "text", "text": "MAINTASK"}])
        for message in run.follow(peer, until="turn"):
            if message.wants_reply:
                message.reply({"decision": "accept"})
            item = message.params.get("item", {}) if isinstance(message.params, dict) else {}
            if steer is None and item.get("type") == "commandExecution":
                steer = run.steer("BE BRIEF")

    assert steer is not None
    assert (steer.state, [turn.result for turn in run.turns]) == ("applied", ["Briefly: hello."])
    assert _states_of_input(run) == ["accepted", "applied"]


def test_claude_code_is_steered(tmp_path: Path) -> None:
    options = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    content = {"role": "user", "content": [{"type": "text", "text": "MAINTASK"}]}
    steer = None
    with (
        testing.serve(one_slow_command) as server,
        started("claude", tmp_path, server.url, *options, "--dangerously-skip-permissions") as process,
        Steps("fix") as run,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"type": "user", "message": content}).encode() + b"\n")
        process.stdin.flush()
        for line in run.follow(process.stdout, stdin=process.stdin, exit_code=process.wait):
            if steer is None and "tool_use" in json.dumps(line):
                steer = run.steer("BE BRIEF")
            if line["type"] == "result":
                process.stdin.close()

    assert steer is not None
    assert (steer.state, [turn.result for turn in run.turns]) == ("applied", ["Briefly: hello."])
    assert [step.state for step in run.turns[0].step.steps] == ["done"]
    assert _states_of_input(run) == ["accepted", "applied"]


def _states_of_input(run: Steps) -> list[Any]:
    told = [event.data for event in run.events() if isinstance(event, StepUpdate)]
    return [data["state"] for data in told if data["type"] == "steer"]
