"""The agent of the cookbook calls its tool, sends the result, and prints the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.programs import run_program
from tokenstream import testing

if TYPE_CHECKING:
    from pathlib import Path


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
    """After eight turns."""
    call = testing.script().tool_call("get_weather", {"city": "Oslo"}, id="call_1").finish("tool_calls")
    with testing.serve([call] * 9) as provider:
        done = run_program("agent-loop", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert "RuntimeError: the model still calls tools after 8 turns" in done.stderr
    assert 8 == len(provider.requests)
