"""Ollama: bad input, bounds and cuts."""

from __future__ import annotations

import json

import pytest

from tests.formats.ollama.support import CALL, end, line, said
from tokenstream import Stream

EVERYTHING = [
    said("", thinking="Hm"),
    said("Hel"),
    {**said("lo"), "logprobs": [{"token": "lo"}]},
    said("", tool_calls=[CALL, {"id": "c", "function": {"index": 1, "name": "b", "arguments": {}}}]),
    said("", images=["AAAA"]),
    line(response="!", thinking="?"),
    line(completed=1, total=8, image="AAAA"),
    end(),
    line(done=True, response="", done_reason="stop", context=[1, 2]),
    {"error": "e"},
]


def test_a_call_that_is_no_list_is_a_call() -> None:
    message = Stream([said(tool_calls=CALL), end()]).final()

    assert [("a", '{"x": 1}', True)] == [
        (call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert "tool_calls" == message.finish_reason


@pytest.mark.parametrize("missing", ["model", "created_at"])
def test_a_line_of_chat_is_known_without_its_model_or_its_time(missing: str) -> None:
    """Servers that imitate Ollama leave out what its clients do not read."""
    lines = [{name: value for name, value in each.items() if name != missing} for each in (said("Hi"), end())]
    stream = Stream([json.dumps(each).encode() + b"\n" for each in lines])

    assert ("Hi", "ollama") == (stream.final().text, stream.format)
