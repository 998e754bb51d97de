"""Runs of Cursor, Amp and Pi, from recordings and from lines made by the agents' own types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.steps.agents.claude_code import calls, ended, noted, returned, said, words
from tests.steps.agents.support import assert_same_in_all_chunkings, body_of, cuts_of, follow, tools_of
from tests.steps.told import told
from tests.support.beside import SHARED
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import StepDelta

_RECORDINGS = SHARED / "agents" / "recordings"
_needs_recordings = pytest.mark.skipif(
    not _RECORDINGS.is_dir(), reason="the recordings of agents are not beside this checkout"
)
_BESIDE = [
    "cursor/takopi-cursor_stream_error",
    "cursor/takopi-cursor_stream_success",
    "pi/takopi-pi_print_mode_events",
    "pi/takopi-pi_stream_error",
    "pi/takopi-pi_stream_success",
]
_THREAD = {"session_id": "T-5928a90d-d53b-488f-a829-4e36442142ee"}
_SAID = {"type": "message", "model": "claude-opus-4-6"}
_ASKED = {"role": "user", "content": [words("Look.")]}
_LINES: list[dict[str, Any]] = [
    noted("init", cwd="/work", tools=["Bash"], mcp_servers=[]),
    {"type": "user", "message": _ASKED, "parent_tool_use_id": None},
    said("msg_1", words("I look."), calls("toolu_1", cmd="ls"), **_SAID),
    returned("toolu_1", "a.txt"),
    said("msg_2", words("One file."), **_SAID),
    ended("One file.", is_error=False, usage={"input_tokens": 30, "output_tokens": 9}),
]
AMP: list[dict[str, Any]] = [{**line, **_THREAD} for line in _LINES]
"""The types of Amp's own SDK, in which all of these fields are."""
AMP_FAILS = {
    "type": "result",
    "subtype": "error_during_execution",
    "is_error": True,
    "error": "no credit",
    **_THREAD,
}


def arguments_of(step: Any) -> Any:
    return step.cause.arguments


def _body_of(lines: list[dict[str, Any]]) -> bytes:
    return b"".join([json.dumps(line).encode() + b"\n" for line in lines])


def _recorded(name: str) -> bytes:
    return (_RECORDINGS / f"{name}.jsonl").read_bytes()


@_needs_recordings
def test_cursor_becomes_a_turn_with_its_reasoning_tool_and_text() -> None:
    """Reasoning comes in pieces, and the text once although the result repeats it."""
    run, _, error = follow(_recorded("cursor/takopi-cursor_stream_success"))

    (turn,) = run.turns
    first, last = turn.step.messages
    assert (error, run.agent, run.session) == (None, "cursor", "a1b2c3d4-e5f6-7890-abcd-ef1234567890")
    assert (turn.state, turn.result) == ("done", "I found README.md. Here is the content: Project README")
    assert first.reasoning == "Let me list the directory contents. I will use the ls tool."
    assert (last.text, last.model) == (turn.result, "Claude 4.6 Opus (Thinking)")
    assert tools_of(turn.step) == [("read", "done", {"content": "Project README"})]
    assert arguments_of(turn.step.steps[0]) == {"path": "/home/user/project/README.md"}


def test_the_pieces_of_cursor_and_what_repeats_them_are_one_text() -> None:
    """With pieces, the text comes again before a tool, and that of the whole turn at its end."""
    session = {"session_id": "s"}

    def told_by(text: str, **fields: Any) -> dict[str, Any]:
        return {**said(None, words(text)), **fields}

    call = {"shellToolCall": {"args": {"command": "ls"}}}
    failed = {
        "shellToolCall": {**call["shellToolCall"], "result": {"success": {"exitCode": 2, "stdout": ""}}}
    }
    lines = [
        {"type": "system", "subtype": "init", "model": "Auto", "permissionMode": "default", **session},
        told_by("ha", timestamp_ms=1),
        told_by("ha", timestamp_ms=2),
        told_by("haha", timestamp_ms=3, model_call_id="c"),
        {"type": "tool_call", "subtype": "started", "call_id": "1", "tool_call": call, **session},
        {"type": "tool_call", "subtype": "completed", "call_id": "1", "tool_call": failed, **session},
        told_by("Bye", timestamp_ms=4),
        told_by(".", timestamp_ms=5),
        told_by("hahaBye."),
        {"type": "result", "subtype": "success", "is_error": False, "result": "hahaBye.", **session},
    ]

    (turn,) = follow(lines, agent="cursor")[0].turns

    assert [message.text for message in turn.step.messages] == ["haha", "Bye."]
    assert tools_of(turn.step) == [("shell", "failed", {"exitCode": 2, "stdout": ""})]


def test_the_same_whole_text_of_cursor_twice_is_two_texts() -> None:
    """Without pieces, nothing is repeated."""
    line = said(None, words("Next."))

    (turn,) = follow([line, line, ended()], agent="cursor")[0].turns

    assert [getattr(part, "text", None) for part in turn.step.messages[0].parts] == ["Next.", "Next."]


@_needs_recordings
def test_pi_becomes_turns_with_texts_tools_tokens_and_costs() -> None:
    """Each line has the whole answer so far; a failed turn that Pi tries again is a turn of its own."""
    run, _, error = follow(_recorded("pi/takopi-pi_print_mode_events"))

    first, failed, again = run.turns
    assert (error, run.agent) == (None, "pi")
    assert first.step.messages[0].text == "I'll check the README for the CLI commands."
    assert first.step.messages[1].text == (
        "Main CLI commands include `pi --mode <mode>` for output format and `pi --print` for non-interactive "
        "runs."
    )
    assert first.step.messages[0].reasoning == "Need to read README for the CLI commands."
    assert [(tool.name, tool.state, arguments_of(tool)) for tool in first.step.steps] == [
        ("read", "done", {"path": "README.md"})
    ]
    assert (first.usage.input_tokens, first.usage.output_tokens) == (1920, 310)
    assert first.cost == pytest.approx(0.00254)
    assert (failed.state, failed.error) == (
        "failed",
        "ProviderError: pi reports an error: Rate limit exceeded",
    )
    assert again.result == (
        "Retry succeeded. Recent notes: 1) Added --mode json output. 2) Improved session export."
    )
    assert again.state == "done"


def test_the_output_of_a_tool_of_pi_is_reported_while_it_runs() -> None:
    """Each line has the whole output so far, of which only the end is new."""
    run, _, _ = follow(body_of("pi-own-tools"))
    tool = run.turns[0].step.steps[0]

    assert tool.output == "hello\n"
    assert [event.text for event in run.events() if isinstance(event, StepDelta)][:1] == ["hello\n"]


def test_amp_is_read_in_the_manner_of_claude_code() -> None:
    run, _, error = follow(AMP)

    (turn,) = run.turns
    assert (error, run.agent, run.session) == (None, "amp", _THREAD["session_id"])
    assert (turn.step.name, turn.state, turn.result) == ("amp", "done", "One file.")
    assert [message.text for message in turn.step.messages] == ["I look.", "One file."]
    assert tools_of(turn.step) == [("Bash", "done", "a.txt")]
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (30, 9)


def _bodies() -> list[Any]:
    recorded = [pytest.param(name, marks=_needs_recordings) for name in _BESIDE]
    return [*recorded, "amp", "amp fails"]


def _read(name: str) -> bytes:
    made = {"amp": AMP, "amp fails": [*AMP[:4], AMP_FAILS]}
    return _body_of(made[name]) if name in made else _recorded(name)


def _agent_of(name: str) -> str:
    return name.split("/", maxsplit=1)[0].split(maxsplit=1)[0]


@pytest.mark.parametrize("name", _bodies())
def test_every_chunking_gives_the_same_run(name: str) -> None:
    """The objects of the lines give it, too."""
    body = _read(name)

    assert_same_in_all_chunkings(body, name)
    assert told(follow([json.loads(line) for line in body.splitlines()])[0]) == told(follow(body)[0])


@pytest.mark.parametrize("name", _bodies())
def test_a_run_that_is_cut_is_reported_and_keeps_what_had_arrived(name: str) -> None:
    """Cut after each line and inside of lines: a turn without its last line has failed, as truncated."""
    body = _read(name)
    whole, _, _ = follow(body)
    for cut in cuts_of(body, name):
        run, _, error = follow(body[:cut], agent=_agent_of(name))

        for turn, complete in zip(run.turns, whole.turns, strict=False):
            texts = [message.text for message in turn.step.messages]
            if turn.state == "done":
                assert complete.state == "done"
                assert texts == [message.text for message in complete.step.messages]
            elif complete.state == "done":
                assert isinstance(error, StreamTruncated)
                assert "".join([message.text for message in complete.step.messages]).startswith(
                    "".join(texts)
                )


def test_lines_that_may_be_of_two_agents_are_read_at_once() -> None:
    """`run.agent` is None until a line tells; what such lines say is in the run before that."""
    start = {"type": "system", "subtype": "init", "tools": [], "session_id": "s"}
    answer = {**AMP[2], "session_id": "s"}
    with Steps() as run:
        seen = []
        for _ in run.follow([start, answer, {**AMP_FAILS, "session_id": "s"}]):
            seen.append((run.agent, [step.text for step in run.steps]))

    assert seen == [(None, [""]), (None, ["I look."]), ("amp", ["I look."])]


def test_a_name_decides_against_what_the_lines_say() -> None:
    """`agent=` is for lines that begin in the middle."""
    run, _, _ = follow(AMP, agent="claude-code")

    assert (run.agent, run.turns[0].step.name) == ("claude-code", "claude-code")


def _of_all(line: dict[str, Any]) -> dict[str, Any]:
    """Return an event as `GET /global/event` has it."""
    return {"directory": "/project", "project": "p", "payload": line}


@in_one_test("name", ["opencode-server-own-permissions", "opencode-server-own-subagent"])
def test_the_events_of_all_projects_are_read_as_those_of_one(name: str) -> None:
    lines = [json.loads(line) for line in body_of(name).splitlines()]
    greeting = {"payload": {"type": "server.connected", "properties": {}}}
    run, given, error = follow([greeting, *map(_of_all, lines)], agent="opencode-server")
    expected, _, _ = follow(lines)

    assert (len(given), error) == (len(lines) + 1, None)
    assert [(turn.state, turn.result, turn.usage, tools_of(turn.step)) for turn in run.turns] == [
        (turn.state, turn.result, turn.usage, tools_of(turn.step)) for turn in expected.turns
    ]


@in_one_test("missing", ["session", "directory"])
def test_events_of_all_projects_that_cannot_be_told_apart_are_refused(missing: str) -> None:
    """Servers before this endpoint had both name neither the session nor the directory."""
    properties = {"part": {"id": "p"}} if missing == "session" else {"sessionID": "s", "part": {"id": "p"}}
    line = _of_all({"type": "message.part.updated", "properties": properties})
    if missing == "directory":
        del line["directory"]
    with pytest.raises(MisuseError, match=r"/event\?directory=…"):
        follow([line], agent="opencode-server")


@pytest.mark.parametrize("late", ["assistant.message", "assistant.message_delta"])
def test_what_a_subagent_says_after_its_end_is_left_out(late: str) -> None:
    """Copilot CLI may print it behind the failure of the subagent; the turn goes on."""
    lines = [
        {"type": "user.message", "id": "1", "data": {}},
        {"type": "tool.execution_start", "id": "2", "data": {"toolCallId": "c", "toolName": "task"}},
        {"type": "subagent.started", "id": "3", "data": {"toolCallId": "c"}},
        {
            "type": "assistant.message_delta",
            "id": "4",
            "data": {"deltaContent": "A", "parentToolCallId": "c"},
        },
        {"type": "subagent.failed", "id": "5", "data": {"toolCallId": "c", "error": "x"}},
        {"type": late, "id": "6", "data": {"parentToolCallId": "c", "content": "AB", "deltaContent": "B"}},
        {"type": "result", "timestamp": "z", "sessionId": "s", "exitCode": 0},
    ]
    run, *_ = follow(lines, agent="copilot-cli")

    assert [turn.state for turn in run.turns] == ["done"]
    (step,) = run.turns[0].step.steps
    assert (step.state, step.text) == ("failed", "A")
