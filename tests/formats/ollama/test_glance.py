"""Ollama: lines that are read at a glance."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.mutations import pieces
from tests.formats.ollama.support import CALL, TIME, end, line, read, said
from tests.formats.told import without_shortcuts
from tests.support.formats import Ollama
from tests.support.tables import in_one_test
from tokenstream.framing import ServerSentEvent


def later(seconds: int) -> str:
    return f"2026-11-20T09:27:{seconds:02d}+02:00"


PIECES = pieces('","content":"')
TIMES = st.sampled_from([TIME, later(1), later(2), "", "x", 'a\\"b', "\n", None, 3])
TAILS = st.sampled_from([b"", b"", b"", b" ", b"}", b',"n":1', b"x", b"\xff", b',"done":true'])
SHAPES: dict[str, Callable[[Any, Any], Payload]] = {
    "chat": lambda piece, time: said(piece, time=time),
    "thinking": lambda piece, time: said("", thinking=piece, time=time),
    "reasoning_content": lambda piece, time: said("", reasoning_content=piece, time=time),
    "twice": lambda piece, time: said("", thinking=piece, reasoning=piece, time=time),
    "generate": lambda piece, time: line(response=piece, time=time),
    "no time": lambda piece, _: {"model": "m", "message": {"content": piece}, "done": False},
    "time last": lambda piece, time: {"model": "m", "response": piece, "done": False, "created_at": time},
}


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("shape", SHAPES)
@given(
    pieces=PIECES,
    times=st.lists(TIMES, min_size=8, max_size=8),
    tails=st.lists(TAILS, min_size=8, max_size=8),
    spelling=st.sampled_from([(",", ":"), (", ", ": ")]),
    ascii_only=st.booleans(),
)
def test_lines_known_by_their_bytes_give_what_decoding_gives(
    shape: str,
    pieces: list[str],
    times: list[Any],
    tails: list[bytes],
    spelling: tuple[str, str],
    ascii_only: bool,
) -> None:
    """Whatever the text and the time are, however the server spells JSON, and whatever stands behind them."""
    frames = [written(SHAPES[shape]("Hel", TIME)), written(SHAPES[shape]("lo", TIME))]
    for piece, time, tail in zip(pieces, times, tails, strict=False):
        data = json.dumps(SHAPES[shape](piece, time), separators=spelling, ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        )
        frames.append(data[:-1] + tail + data[-1:])
    frames.append(written(end()))

    assert read_by(without_shortcuts(Ollama()), *frames).outcome == read_by(Ollama(), *frames).outcome


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
    """It goes the long way, and so does what follows it."""
    frames = [*[written(first)] * 4, between, *[written(first)] * 4]

    assert read_by(without_shortcuts(Ollama()), *frames).outcome == read_by(Ollama(), *frames).outcome


def test_the_answer_goes_on_where_a_shape_does_not_last() -> None:
    """Lines whose layout changes each time are learnt ever less often, and read all the same."""
    layouts = [said("a"), {**said("a"), "model": "n"}]
    payloads = [deepcopy(layouts[number % 2]) for number in range(40)]

    assert "a" * 40 == read(*payloads, end()).message.text
