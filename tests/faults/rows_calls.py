"""Faults of what is put together out of deltas: tool calls and their JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.faults.driver import Outcome
from tests.faults.matrix import (
    Result,
    Row,
    Run,
    World,
    answered,
    every,
    interrupted,
    saw,
    state_of,
    truncated,
    whole,
)
from tests.faults.rows_body import is_linear, read_whole
from tests.support import wire
from tests.support.loopback import FIN, Script, chunked, chunked_head, http_chunk
from tests.support.wire import DONE
from tokenstream import AsyncStream, Stream
from tokenstream.events import ToolCallDone

START = wire.chat({"role": "assistant", "content": "Hi"})


def fragments(*deltas: dict[str, Any], finish: str | None = "tool_calls") -> Script:
    """Return an answer of openai-chat with fragments of calls."""
    end = [] if finish is None else [wire.chat({}, finish), DONE]
    return chunked([START, *[wire.chat(delta) for delta in deltas], *end])


def begun(index: Any, id: str, arguments: str = "") -> dict[str, Any]:
    return wire.chat_call(index, arguments, id=id, name="f")


def handed_out(count: int) -> Callable[[Outcome], Iterator[str]]:
    """Return what looks how many calls were handed out."""

    def told(outcome: Outcome) -> Iterator[str]:
        done = [event for event in outcome.events if isinstance(event, ToolCallDone)]
        yield saw(f"calls handed out: {count}", len(done) == count)

    return told


NONE, ONE, TWO = [f"calls handed out: {count}" for count in range(3)]


def asked(*deltas: dict[str, Any], finish: str | None = "tool_calls", calls: int = 1) -> Run:
    return answered(fragments(*deltas, finish=finish), also=handed_out(calls))


def without_index(delta: dict[str, Any]) -> dict[str, Any]:
    del delta["tool_calls"][0]["index"]
    return delta


def without_arguments(delta: dict[str, Any]) -> dict[str, Any]:
    delta["tool_calls"][0]["function"]["arguments"] = None
    return delta


def halves(*texts: str) -> list[bytes]:
    return [wire.chat({"content": text}) for text in texts]


def claude(*events: bytes, reason: str = "end_turn", **options: Any) -> Run:
    return answered(chunked([*events, wire.claude_end(reason)]), **options)


FINISH = wire.chat({}, "stop") + DONE


TEXT_BLOCK = (
    wire.claude_open(0, type="text", text=""),
    wire.claude_delta(0, "text_delta", text="Hi"),
    wire.claude_close(0),
)

# -- the current value of growing arguments ----------------------------------------------


def _long_call(count: int) -> list[bytes]:
    pieces = [wire.chat(wire.chat_call(0, '"0123456789abcd",')) for _ in range(count)]
    first, last = wire.chat(begun(0, "a", '{"a": [')), wire.chat(wire.chat_call(0, "0]}"))
    return [START, first, *pieces, last, wire.chat({}, "tool_calls"), DONE]


def at_each_delta(world: World) -> Result:
    """The value of the arguments, as far as they have come, is looked at with every event."""

    def work(count: int) -> Stream | AsyncStream:
        return read_whole(world, _long_call(count), lambda event: getattr(event, "partial_arguments", None))

    return state_of(work(2), None, saw("the work is linear", is_linear(work, 500)))


ROWS = [
    Row(
        "F61",
        "The input ends inside a call's arguments.",
        asked(begun(0, "a", '{"a":'), finish=None, calls=0),
        truncated("counted as `call_open_at_end`", NONE, kept='Hi, f({"a":) incomplete'),
    ),
    Row(
        "F62",
        "The model runs out of tokens inside a call's arguments.",
        asked(begun(0, "a", '{"a": 1'), finish="length", calls=0),
        whole("counted as `call_open_at_end`", NONE, kept='Hi, f({"a": 1) incomplete'),
    ),
    Row(
        "F63",
        "The first call has the index 1,000,000.",
        asked(begun(1_000_000, "a", "{}")),
        whole(ONE, kept="Hi, f({})"),
    ),
    Row(
        "F63b",
        "The call with index 1 comes before the one with index 0.",
        asked(begun(1, "a", "{}"), begun(0, "b", "{}"), calls=2),
        whole(TWO, kept="Hi, f({}), f({})"),
    ),
    Row("F64", "A call's index is -1.", asked(begun(-1, "a", "{}")), whole(ONE, kept="Hi, f({})")),
    Row(
        "F64b",
        "A call's index is null or missing.",
        every(asked(begun(None, "a", "{}")), asked(without_index(begun(0, "a", "{}")))),
        whole("counted as `call_index_missing`", ONE, kept="Hi, f({})"),
    ),
    Row(
        "F65",
        "Two calls with different ids have the same index.",
        asked(begun(0, "a", '{"a": 1}'), begun(0, "b", '{"b": 2}'), calls=2),
        whole("counted as `call_index_reused`", TWO, kept='Hi, f({"a": 1}), f({"b": 2})'),
    ),
    Row(
        "F66",
        "The id and the name are repeated with each fragment.",
        asked(begun(0, "a", '{"a":'), begun(0, "a", " 1}")),
        whole("counted as `call_repeated`", ONE, kept='Hi, f({"a": 1})'),
    ),
    Row(
        "F67",
        "The arguments are null.",
        asked(without_arguments(begun(0, "a"))),
        whole("counted as `arguments_null`", ONE, kept="Hi, f()"),
    ),
    Row(
        "F67b",
        "The connection breaks before `[DONE]`, and a call has no arguments.",
        answered(
            [
                chunked_head(),
                http_chunk(START + wire.chat(begun(0, "a", "{}")) + wire.chat({}, "tool_calls")),
                FIN,
            ],
            also=handed_out(0),
        ),
        interrupted("counted as `call_open_at_end`", NONE, kept="Hi, f({}) incomplete"),
    ),
    Row(
        "F68",
        "The arguments of one of two calls are not JSON.",
        asked(begun(0, "a", "{}"), begun(1, "b", "{a}")),
        whole("counted as `call_invalid`", ONE, kept="Hi, f({}), f({a}) incomplete"),
    ),
    Row(
        "F69",
        "One call's arguments are two JSON documents.",
        asked(begun(0, "a", '{}{"a": 1}'), calls=0),
        whole("counted as `call_invalid`", NONE, kept='Hi, f({}{"a": 1}) incomplete'),
    ),
    Row(
        "F69b",
        "One call's arguments are two JSON documents, in a format that has a separate block for each call.",
        claude(
            wire.claude_start(),
            wire.claude_open(0, type="tool_use", id="a", name="f", input={}),
            wire.claude_delta(0, "input_json_delta", partial_json='{}{"a": 1}'),
            wire.claude_close(0),
            reason="tool_use",
            also=handed_out(0),
        ),
        whole("counted as `call_invalid`", NONE, kept='f({}{"a": 1}) incomplete'),
    ),
    Row(
        "F70",
        "A delta belongs to a block that never began.",
        claude(wire.claude_start(), wire.claude_delta(0, "text_delta", text="Hi")),
        whole("counted as `part_unopened`, `part_unclosed`", kept="Hi"),
    ),
    Row(
        "F70b",
        "The start of the answer is repeated in the middle.",
        claude(wire.claude_start(), *TEXT_BLOCK, wire.claude_start()),
        whole("counted as `start_repeated`", kept="Hi"),
    ),
    Row(
        "F70c",
        "An event comes before the start of the answer.",
        claude(*TEXT_BLOCK, wire.claude_start()),
        whole("counted as `start_missing`", kept="Hi"),
    ),
    Row(
        "F70d",
        "Another answer begins in the middle.",
        claude(
            wire.claude_start(), *TEXT_BLOCK, wire.claude_start().replace(b"msg_1", b"msg_2"), *TEXT_BLOCK
        ),
        truncated("counted as `second_answer`", kept="Hi"),
    ),
    Row(
        "F70e",
        "A proxy begins an answer with an empty block, before the server's own answer begins.",
        claude(
            wire.claude_start().replace(b"msg_1", b"msg_0"), TEXT_BLOCK[0], wire.claude_start(), *TEXT_BLOCK
        ),
        whole("counted as `start_twice`, `id_changed`, `part_unclosed`", kept="Hi"),
    ),
    Row(
        "F71",
        "A character is split into the halves of a surrogate pair, in two deltas.",
        answered(chunked([START, *halves("\ud83d", "\ude00"), FINISH])),
        whole(kept="Hi\N{GRINNING FACE}"),
    ),
    Row(
        "F71b",
        "Half of a surrogate pair never gets its other half.",
        answered(chunked([START, *halves("\ud83d", "!"), FINISH])),
        whole("counted as `lone_surrogate`", kept="Hi\N{REPLACEMENT CHARACTER}!"),
    ),
    Row(
        "F72",
        "A call comes in thousands of deltas, and its value is read after each delta.",
        at_each_delta,
        whole("the work is linear", kept='Hi, f({"a": ["0123456789abcd","0123456789abcd",0]})'),
    ),
]
