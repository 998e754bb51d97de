"""Bodies of services that run agents: events of ADK as its runner gives them, and AgentCore's SSE."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.steps.agents.support import (
    FOLDER,
    assert_same_in_all_chunkings,
    assert_same_twice,
    body_of,
    cuts_of,
    follow,
    tools_of,
)
from tests.steps.told import told
from tests.support.wire import sses
from tokenstream.errors import StreamTruncated

_ADK = ("adk-pieces", "adk-pieces-camel", "adk-whole")
_BODIES = [*[f"{name}.jsonl" for name in _ADK], "agentcore-text.sse", "agentcore-exception.sse"]


def _read(name: str) -> bytes:
    return (FOLDER / "transports" / name).read_bytes()


def _as_sse(lines: list[Any]) -> bytes:
    """Return lines as AgentCore's own server sends what its agent yields."""
    return b"".join(sses(*lines))


@pytest.mark.parametrize("name", _ADK)
def test_each_agent_of_adk_is_a_step_with_its_answers_and_tools(name: str) -> None:
    """The text comes once although the end of an answer repeats its pieces; tokens are counted once."""
    run, _, error = follow(_read(f"{name}.jsonl"))

    (turn,) = run.turns
    root, helper = turn.step.steps
    assert (error, run.agent) == (None, "adk")
    assert (turn.state, turn.result) == ("done", "It is noon. Bye.")
    assert [(step.name, step.agent, step.state) for step in (root, helper)] == [
        ("root", "root", "done"),
        ("helper", "helper", "done"),
    ]
    assert [message.text for message in root.messages] == ["I ask the helper.", ""]
    assert root.messages[0].reasoning == "I look at the time."
    assert [message.text for message in helper.messages] == ["It is noon. Bye."]
    assert tools_of(root) == [
        ("now", "done", {"time": "12:00"}),
        ("transfer_to_agent", "done", {"result": None}),
    ]
    assert [tool.cause and tool.cause.arguments for tool in root.steps] == [
        {"zone": "UTC"},
        {"agent_name": "helper"},
    ]
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (320, 35)
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (320, 35)


def test_an_error_of_adk_fails_the_turn_unless_the_agent_goes_on() -> None:
    """The code and the message are in the event that ends the answer."""
    event = {"author": "root", "invocation_id": "i", "actions": {}}
    failed = {**event, "id": "1", "error_code": "SAFETY", "error_message": "blocked", "partial": False}
    again = {**event, "id": "2", "content": {"role": "model", "parts": [{"text": "Well."}]}}

    assert [turn.error for turn in follow([failed])[0].turns] == [
        "ProviderError: adk reports an error: blocked"
    ]
    assert [turn.state for turn in follow([failed, again])[0].turns] == ["done"]


def test_a_tool_that_adk_could_not_call_has_failed() -> None:
    event = {"author": "root", "invocation_id": "i"}
    call = {"function_call": {"id": "c", "name": "now", "args": {}}}
    response = {"function_response": {"id": "c", "name": "now", "response": {"error": "zone is missing"}}}
    lines = [
        {**event, "id": "1", "content": {"role": "model", "parts": [call]}},
        {**event, "id": "2", "content": {"role": "user", "parts": [response]}},
        {**event, "id": "3", "content": {"role": "model", "parts": [{"text": "Sorry."}]}},
    ]

    (turn,) = follow(lines)[0].turns

    assert (turn.state, turn.step.steps[0].steps[0].error) == ("done", "zone is missing")


def test_each_invocation_of_adk_is_a_turn() -> None:
    """A file of a session may have several."""
    lines = [
        {"author": "root", "invocation_id": id, "id": id, "content": {"parts": [{"text": id}]}}
        for id in ("one", "two")
    ]

    assert [(turn.state, turn.result) for turn in follow(lines)[0].turns] == [
        ("done", "one"),
        ("done", "two"),
    ]


def test_strings_of_agentcore_are_one_answer() -> None:
    """The loop gets each string."""
    run, given, error = follow(_read("agentcore-text.sse"))

    (turn,) = run.turns
    assert (error, run.agent, turn.state) == (None, "agentcore", "done")
    assert turn.step.text == 'It said hello.\nGrüße "{"'
    assert given == ["It ", "said ", "hello.\n", 'Grüße "{"']


def test_an_exception_of_an_agent_on_agentcore_fails_the_turn() -> None:
    """The strings that had arrived before it stay in the answer."""
    (turn,) = follow(_read("agentcore-exception.sse"))[0].turns

    assert turn.error == "ProviderError: agentcore reports an error: the tool is gone"
    assert turn.step.text == 'It said hello.\nGrüße "{"'


@pytest.mark.parametrize("encode", [json.loads, str], ids=["as objects", "as strings"])
@pytest.mark.parametrize("name", ["claude-code-own-two-tools-partial", "codex-own-exec-command"])
def test_the_lines_of_another_agent_on_agentcore_are_read_as_such(name: str, encode: Any) -> None:
    """An agent may yield its events, or their JSON."""
    lines = body_of(name).decode().splitlines()
    run, _, error = follow(_as_sse([encode(line) for line in lines]))

    assert error is None
    assert told(run) == told(follow(body_of(name))[0])


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", _BODIES)
def test_every_chunking_gives_the_same_run(name: str) -> None:
    assert_same_in_all_chunkings(_read(name), name, agent=name.split("-", maxsplit=1)[0])


@pytest.mark.parametrize("name", [f"{name}.jsonl" for name in _ADK])
def test_a_cut_of_adk_is_reported_unless_nothing_has_to_follow(name: str) -> None:
    """A turn is done only after an answer that calls no tool."""
    body = _read(name)
    for cut in cuts_of(body, name):
        run, _, error = follow(body[:cut], agent="adk")

        for turn in run.turns:
            assert turn.state == "failed"
            assert isinstance(error, StreamTruncated)


def test_events_of_adk_that_come_twice_change_nothing() -> None:
    """Whole events have ids; pieces share the id of the event that repeats them."""
    assert_same_twice(_read("adk-whole.jsonl").splitlines())
