"""The agent of the cookbook calls its tool, sends the result, and prints the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cookbook.programs import run_program
from tokenstream import testing


@pytest.mark.parametrize(
    "city, result",
    [("Oslo", {"city": "Oslo", "degrees": 21}), ("Atlantis", "There is no weather station in Atlantis.")],
)
def test_the_result_of_the_tool_is_sent(city: str, result: object, tmp_path: Path) -> None:
    """The failure of a tool, too, is something for the model to read."""
    call = testing.script().tool_call("get_weather", {"city": city}, id="call_1").finish("tool_calls")
    answer = testing.script().text("That is ", "all I know.").finish("stop")
    with testing.serve([call, answer]) as provider:
        done = run_program("agent-loop", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")
    sent = provider.requests[1].json["messages"][-1]

    assert "That is all I know.\n" == done.stdout, done.stderr
    assert ("tool", "call_1") == (sent["role"], sent["tool_call_id"])
    assert result == (json.loads(sent["content"]) if city == "Oslo" else sent["content"])


def test_a_model_that_never_stops_calling_is_stopped(tmp_path: Path) -> None:
    call = testing.script().tool_call("get_weather", {"city": "Oslo"}, id="call_1").finish("tool_calls")
    with testing.serve([call] * 9) as provider:
        done = run_program("agent-loop", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert "RuntimeError: the model still calls tools after 8 turns" in done.stderr
    assert 8 == len(provider.requests)


def test_a_broken_answer_stays_with_the_error(tmp_path: Path) -> None:
    call = testing.script().tool_call("get_weather", {"city": "Oslo"}, id="call_1").finish("tool_calls")
    answer = testing.script().text("It is ", "warm.").finish("stop").recording("openai-chat")
    broken = answer.with_fault(testing.faults.close(event=2))
    with testing.serve([call, broken]) as provider:
        done = run_program("agent-loop", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert ("It is ", "\nThe answer broke off (network).\n") == (done.stdout, done.stderr)
    assert 1 == done.returncode


def test_an_answer_that_breaks_off_between_its_calls_goes_on(tmp_path: Path) -> None:
    """The model gets the result of the call that has run, and no word of the one that was cut off."""
    script = testing.script().text("Let me ", "see. ").tool_call("get_weather", {"city": "Oslo"}, id="call_1")
    script = script.tool_call("get_weather", {"city": "Rome"}, id="call_2").finish("tool_calls")
    broken = script.recording("openai-chat").with_fault(testing.faults.close(event=7))
    answer = testing.script().text("It is warm.").finish("stop")
    with testing.serve([broken, answer]) as provider:
        done = run_program("agent-loop", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")
    _, turn, result = provider.requests[1].json["messages"]

    assert ("Let me see. It is warm.\n", "") == (done.stdout, done.stderr)
    assert ("Let me see. ", ["call_1"]) == (turn["content"], [call["id"] for call in turn["tool_calls"]])
    assert ("call_1", {"city": "Oslo", "degrees": 21}) == (
        result["tool_call_id"],
        json.loads(result["content"]),
    )
