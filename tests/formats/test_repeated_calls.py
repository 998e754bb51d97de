"""One call told twice is one call, and two calls never share an id: a law over the formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.formats.calls import IDS, NAMES, WIRES
from tests.support import wire
from tests.support.chunkings import sized
from tests.support.effort import in_steps
from tests.support.reading import Reading, read
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Message, Stream
from tokenstream.events import ToolCallDelta, ToolCallStart
from tokenstream.turns import ToolResults

_Call = tuple[int, str, dict[str, Any]]
"""Index, id and arguments of a call on the wire."""
_FIRST: _Call = (0, "c1", {"n": 1})


def _chat(calls: list[_Call], size: int) -> Iterator[bytes]:
    for index, id_, arguments in calls:
        first, *rest = _pieces(arguments, size)
        yield wire.chat(wire.chat_call(index, first, id=id_, name="f"))
        for piece in rest:
            yield wire.chat(wire.chat_call(index, piece))
    yield from (wire.chat({}, "tool_calls"), wire.DONE)


def _chat_from_nothing(calls: list[_Call], size: int) -> Iterator[bytes]:
    """As OpenAI does: the start has empty arguments."""
    for index, id_, arguments in calls:
        yield wire.chat(wire.chat_call(index, "", id=id_, name="f"))
        for piece in _pieces(arguments, size):
            yield wire.chat(wire.chat_call(index, piece))
    yield from (wire.chat({}, "tool_calls"), wire.DONE)


def _chat_document(calls: list[_Call], _: int) -> Iterator[bytes]:
    told = [
        {"index": index, "id": id_, "function": {"name": "f", "arguments": json.dumps(arguments)}}
        for index, id_, arguments in calls
    ]
    yield json.dumps(
        {"choices": [{"index": 0, "message": {"tool_calls": told}, "finish_reason": "stop"}]}
    ).encode()


def _claude(calls: list[_Call], size: int) -> Iterator[bytes]:
    yield wire.claude_start()
    for index, id_, arguments in calls:
        yield wire.claude_open(index, type="tool_use", id=id_, name="f", input={})
        for piece in _pieces(arguments, size):
            yield wire.claude_delta(index, "input_json_delta", partial_json=piece)
        yield wire.claude_close(index)
    yield wire.claude_end("tool_use")


def _gemini(calls: list[_Call], _: int) -> Iterator[bytes]:
    for __, id_, arguments in calls:
        part = {"functionCall": {"id": id_, "name": "f", "args": arguments}}
        yield wire.sse({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]})
    yield wire.sse({"candidates": [{"index": 0, "finishReason": "STOP"}]})


def _ollama(calls: list[_Call], _: int) -> Iterator[bytes]:
    for __, id_, arguments in calls:
        call = {"id": id_, "function": {"name": "f", "arguments": arguments}}
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
        yield (
            json.dumps({"model": "m", "created_at": "t", "message": message, "done": False}).encode() + b"\n"
        )
    end = {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": ""}}
    yield json.dumps({**end, "done": True, "done_reason": "stop"}).encode() + b"\n"


def _responses(calls: list[_Call], size: int) -> Iterator[bytes]:
    yield wire.sse({"type": "response.created", "response": {"id": "r", "status": "in_progress"}})
    for at, (_, id_, arguments) in enumerate(calls):
        item = {"type": "function_call", "id": f"fc_{at}", "call_id": id_, "name": "f", "arguments": ""}
        yield wire.sse({"type": "response.output_item.added", "output_index": at, "item": item})
        for piece in _pieces(arguments, size):
            kind = "response.function_call_arguments.delta"
            yield wire.sse({"type": kind, "item_id": f"fc_{at}", "output_index": at, "delta": piece})
        done = {**item, "arguments": json.dumps(arguments), "status": "completed"}
        yield wire.sse({"type": "response.output_item.done", "output_index": at, "item": done})
    yield wire.sse({"type": "response.completed", "response": {"id": "r", "status": "completed"}})


def _ag_ui(calls: list[_Call], size: int) -> Iterator[bytes]:
    yield wire.sse({"type": "RUN_STARTED", "threadId": "t", "runId": "r"})
    for _, id_, arguments in calls:
        yield wire.sse({"type": "TOOL_CALL_START", "toolCallId": id_, "toolCallName": "f"})
        for piece in _pieces(arguments, size):
            yield wire.sse({"type": "TOOL_CALL_ARGS", "toolCallId": id_, "delta": piece})
        yield wire.sse({"type": "TOOL_CALL_END", "toolCallId": id_})
    yield wire.sse({"type": "RUN_FINISHED", "threadId": "t", "runId": "r"})


def _pieces(arguments: dict[str, Any], size: int) -> list[str]:
    text = json.dumps(arguments)
    return [text[at : at + size] for at in range(0, len(text), size)]


def _ids(got: Reading) -> list[str]:
    return [call.id for call in got.message.tool_calls]


_WIRES = [_chat, _chat_from_nothing, _chat_document, _claude, _gemini, _ollama, _responses, _ag_ui]
_wires = pytest.mark.parametrize("write", _WIRES, ids=lambda write: write.__name__.strip("_"))
_sizes = pytest.mark.parametrize("size", [2, 100], ids=["in pieces", "whole"])


@_wires
@_sizes
def test_a_call_that_is_repeated_word_for_word_is_one_call(write: Any, size: int) -> None:
    """Nobody runs it twice, and nothing of the repeat is told."""
    second = (1, "c2", {"n": 1})
    once, again = (read(write(calls, size)) for calls in ([_FIRST, second], [_FIRST, second, _FIRST, second]))

    assert [("c1", {"n": 1}), ("c2", {"n": 1})] == [(call.id, call.arguments) for call in again.calls()]
    assert again.departures["call_repeated"] >= 2
    assert _ids(once) == _ids(again)


@_wires
@_sizes
def test_a_second_call_under_a_used_id_has_an_id_of_its_own(write: Any, size: int) -> None:
    got = read(write([_FIRST, (1, "c1", {"n": 2}), (2, "c3", {})], size))
    first, second, third = got.calls()

    assert ("c1", {"n": 1}, {"n": 2}, "c3") == (first.id, first.arguments, second.arguments, third.id)
    assert second.id not in ("c1", "c3")
    assert {"call_id_repeated": 1} == {
        rule: count for rule, count in got.departures.items() if rule.startswith("call_")
    }
    told = "".join(
        event.fragment for event in got.events if isinstance(event, ToolCallDelta) and event.id == second.id
    )
    assert second.arguments_text == told


@pytest.mark.few_rows(3)
@_wires
@pytest.mark.parametrize("stride", [7, pytest.param(in_steps(3), marks=pytest.mark.slow)])
def test_a_call_that_is_cut_while_it_repeats_another_is_kept_and_not_handed_out(
    write: Any, stride: int
) -> None:
    *chunks, _ = write([_FIRST, _FIRST], 4)
    body = b"".join(chunks)
    for cut in range(0, len(body), stride):
        got = read([body[:cut]])

        assert len(got.calls()) <= 1
        assert len({event.id for event in got.events if isinstance(event, ToolCallStart)}) <= 2


@pytest.mark.parametrize("behind", [[], [" "]])
def test_a_start_that_is_sent_again_at_the_end_begins_no_call(behind: list[str]) -> None:
    """Some servers name the call in their last fragment, too, and white space may follow."""
    start = wire.chat(wire.chat_call(0, "", id="c1", name="f"))
    pieces = [wire.chat(wire.chat_call(0, piece)) for piece in ('{"n"', ":1}")]
    more = [wire.chat(wire.chat_call(0, piece)) for piece in behind]
    got = read([start, *pieces, start, *more, wire.chat({}, "tool_calls"), wire.DONE])

    assert [("c1", {"n": 1})] == [(call.id, call.arguments) for call in got.calls()]
    assert 1 == len(got.message.parts)


def test_one_id_on_two_indexes_is_two_calls_whatever_they_say() -> None:
    """The index is what the wire counts calls by; also where both begin before either goes on."""
    starts = [wire.chat(wire.chat_call(index, "", id="c1", name="roll")) for index in (0, 1)]
    pieces = [wire.chat(wire.chat_call(index, piece)) for piece in ('{"n"', ":1}") for index in (0, 1)]
    got = read([*starts, *pieces, wire.chat({}, "tool_calls"), wire.DONE])

    assert [{"n": 1}, {"n": 1}] == [call.arguments for call in got.calls()]
    assert 2 == len({call.id for call in got.calls()})


def test_an_id_that_is_made_up_is_never_one_that_was_sent() -> None:
    calls = [wire.chat_call(0, "{}", id="call_1", name="f"), wire.chat_call(1, "{}", id="", name="f")]
    got = read([*map(wire.chat, calls), wire.chat({}, "tool_calls"), wire.DONE])

    assert ["call_1", "call_2"] == [call.id for call in got.calls()]


@pytest.mark.parametrize(
    "write, named",
    [
        (_chat, ["c1", "call_2"]),
        (_claude, ["c1", "call_2"]),
        (_gemini, ["c1", "c1"]),
        (_ollama, ["c1", "c1"]),
    ],
    ids=["chat", "claude", "gemini", "ollama"],
)
def test_each_call_is_answered_under_the_id_that_its_turn_has(write: Any, named: list[str]) -> None:
    """Where the API matches results by their order, that is the id that was sent."""
    message: Message = Stream(write([_FIRST, (1, "c1", {"n": 2})], 100)).final()
    results = ToolResults(message, {call.id: call.arguments["n"] * 10 for call in message.tool_calls})

    assert [10, 20] == [*results.values()]
    answered: dict[Any, Callable[[], list[str]]] = {
        _chat: lambda: [turn["tool_call_id"] for turn in results.to_openai_chat()],
        _claude: lambda: [block["tool_use_id"] for block in results.to_anthropic()[0]["content"]],
        _gemini: lambda: [part["functionResponse"]["id"] for part in results.to_gemini()[0]["parts"]],
        _ollama: lambda: [turn["tool_call_id"] for turn in results.to_ollama()],
    }
    assert named == answered[write]()


@in_one_test("format", ["anthropic", "ag-ui", "cohere", "openai-chat"])
@in_one_test(
    "pieces",
    [
        ['{"usd":', " 100}", '{"usd": 100}'],
        ['{"usd":', " 100}", '{"usd":100}'],
        ['{"usd":', " 1", "00}", '{"usd": 100}', '{"usd": 100}'],
    ],
    ids=["whole", "other spaces", "twice"],
)
@in_one_test("size", [1, 50, 10_000])
def test_arguments_that_come_again_are_read_once(format: Any, pieces: list[str], size: int) -> None:
    wire = WIRES[format]
    call = [wire.start(0), *[wire.piece(0, piece) for piece in pieces], *wire.stops(0, "")]
    body = b"".join(sses(*wire.begins, *call, *wire.reason, *wire.ends))
    stream = Stream(sized(body, size), format=format)
    given = "".join(event.fragment for event in stream if isinstance(event, ToolCallDelta))
    message = stream.final()

    assert [(IDS[0], NAMES[0], '{"usd": 100}', True)] == [
        (call.id, call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert ('{"usd": 100}', "tool_calls") == (given, message.finish_reason)
    assert "call_repeated" in stream.departures.details
