"""Ollama: lines that are read at a glance."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.ollama.support import CALL, end, line, read, said
from tests.formats.told import without_shortcuts
from tests.support.formats import Ollama
from tests.support.tables import in_one_test
from tokenstream.framing import ServerSentEvent

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
