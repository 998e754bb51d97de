"""Ollama: bad input, bounds and cuts, and lines that are read at a glance."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.ollama.support import CALL, end, line, read, said
from tests.formats.told import without_shortcuts
from tests.support.formats import Ollama
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.framing import ServerSentEvent

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


BETWEEN = [
    written(said("b", thinking="t")),
    written(said("", thinking="t")),
    written({**said("b"), "model": "other"}),
    written({**said("b"), "n": 1}),
    written({**said("b"), "response": "c"}),
    written(line(response="b")),
    written(said("")),
    written(said("b", tool_calls=[CALL])),
    written(end()),
    written(said("b\ud83d")),
    b'{"error":"e"}',
    b"nonsense",
    b"[DONE]",
    ServerSentEvent(written(said("b")), "x"),
    said("b"),
]


@in_one_test("between", BETWEEN, ids=repr)
@in_one_test(
    "first", [said("a"), line(response="a"), said("", thinking="a")], ids=["chat", "generate", "thinking"]
)
def test_what_comes_between_two_lines_is_not_overlooked(between: Any, first: Payload) -> None:
    frames = [*[written(first)] * 4, between, *[written(first)] * 4]

    assert read_by(without_shortcuts(Ollama()), *frames).outcome == read_by(Ollama(), *frames).outcome


def test_the_answer_goes_on_where_a_shape_does_not_last() -> None:
    """Lines whose layout changes each time are learnt ever less often, and read all the same."""
    layouts = [said("a"), {**said("a"), "model": "n"}]
    payloads = [deepcopy(layouts[number % 2]) for number in range(40)]

    assert "a" * 40 == read(*payloads, end()).message.text
