"""Arguments that come after a mark of their call's end, in every format with such a mark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest

from tests.support.wire import sses
from tokenstream import Retry, Stream, resilient
from tokenstream._basics.same_call import judge
from tokenstream.errors import ProtocolError, StreamInterrupted, StreamTruncated
from tokenstream.events import Finish, ToolCallDone

if TYPE_CHECKING:
    from tokenstream import ToolCall
    from tokenstream.formats import FormatName

Payload: TypeAlias = dict[str, Any]
WHOLE = '{"folder": "/var/tern", "deep": [1, {"on": true}]}'
OTHER = '{"folder": "/"}'


class Call(NamedTuple):
    """A call whose arguments are cut into fragments: those before the mark, and those after it."""

    before: list[str]
    after: list[str]
    id: str = "a"
    name: str = "wipe"


Wire: TypeAlias = Callable[[list[Call]], list[Payload]]
"""Writes an answer with calls, whose marks come between the two lists of fragments."""


def _chunk(delta: Payload, reason: str | None = None) -> Payload:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _chat_start(index: int, call: Call) -> Payload:
    function = {"name": call.name, "arguments": ""}
    return _chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})


def _chat_piece(index: int, fragment: str, reason: str | None = None) -> Payload:
    return _chunk({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}, reason)


def chat(calls: list[Call], reason: str = "tool_calls") -> list[Payload]:
    before = [
        payload
        for index, call in enumerate(calls)
        for payload in (_chat_start(index, call), *[_chat_piece(index, text) for text in call.before])
    ]
    after = [_chat_piece(index, text) for index, call in enumerate(calls) for text in call.after]
    return [*before, _chunk({}, reason), *after]


def stopping_chat(calls: list[Call]) -> list[Payload]:
    return chat(calls, "stop")


def repeating_chat(calls: list[Call]) -> list[Payload]:
    """Every chunk behind the first one has the finish reason."""
    first, *others = chat(calls)
    return [
        first,
        *[{**each, "choices": [{**each["choices"][0], "finish_reason": "tool_calls"}]} for each in others],
    ]


def anthropic(calls: list[Call], *, stops_first: bool = False) -> list[Payload]:
    def piece(index: int, text: str) -> Payload:
        return {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": "input_json_delta", "partial_json": text},
        }

    before, after = [], []
    for index, call in enumerate(calls):
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        stop = {"type": "content_block_stop", "index": index}
        before.append({"type": "content_block_start", "index": index, "content_block": block})
        before += [piece(index, text) for text in call.before]
        before += [stop] if stops_first else []
        after += [piece(index, text) for text in call.after] + ([] if stops_first else [stop])
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {}}
    return [
        {"type": "message_start", "message": message},
        *before,
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
        *after,
        {"type": "message_stop"},
    ]


def stopped_anthropic(calls: list[Call]) -> list[Payload]:
    return anthropic(calls, stops_first=True)


def converse(calls: list[Call]) -> list[Payload]:
    def piece(index: int, text: str) -> Payload:
        return {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"toolUse": {"input": text}}}}

    before, after = [], []
    for index, call in enumerate(calls):
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        before.append({"contentBlockStart": {"contentBlockIndex": index, "start": start}})
        before += [piece(index, text) for text in call.before]
        before.append({"contentBlockStop": {"contentBlockIndex": index}})
        after += [piece(index, text) for text in call.after]
    end = {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}}
    return [
        {"messageStart": {"role": "assistant"}},
        *before,
        {"messageStop": {"stopReason": "tool_use"}},
        *after,
        end,
    ]


def responses(calls: list[Call]) -> list[Payload]:
    head = {"id": "r", "object": "response", "model": "m", "output": []}

    def event(kind: str, **fields: Any) -> Payload:
        return {"type": f"response.{kind}", **fields}

    def piece(index: int, text: str) -> Payload:
        return event("function_call_arguments.delta", output_index=index, item_id=f"i{index}", delta=text)

    before, after = [], []
    for index, call in enumerate(calls):
        item = {"type": "function_call", "id": f"i{index}", "call_id": call.id, "name": call.name}
        told = "".join(call.before)
        before += [
            event("output_item.added", output_index=index, item={**item, "arguments": ""}),
            *[piece(index, text) for text in call.before],
            event("function_call_arguments.done", output_index=index, item_id=f"i{index}", arguments=told),
            event("output_item.done", output_index=index, item={**item, "arguments": told}),
        ]
        after += [piece(index, text) for text in call.after]
    end = event("completed", response={**head, "status": "completed"})
    return [event("created", response={**head, "status": "in_progress"}), *before, *after, end]


def cohere(calls: list[Call]) -> list[Payload]:
    def delta(kind: str, index: int, call: Payload) -> Payload:
        return {"type": kind, "index": index, "delta": {"message": {"tool_calls": call}}}

    before, after = [], []
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": ""}
        start = {"id": call.id, "type": "function", "function": function}
        pieces = [
            [delta("tool-call-delta", index, {"function": {"arguments": text}}) for text in fragments]
            for fragments in (call.before, call.after)
        ]
        before += [
            delta("tool-call-start", index, start),
            *pieces[0],
            {"type": "tool-call-end", "index": index},
        ]
        after += pieces[1]
    end = {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}
    return [{"type": "message-start", "id": "m", "delta": {}}, *before, *after, end]


def ag_ui(calls: list[Call]) -> list[Payload]:
    def piece(call: Call, text: str) -> Payload:
        return {"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": text}

    before = [
        payload
        for call in calls
        for payload in (
            {"type": "TOOL_CALL_START", "toolCallId": call.id, "toolCallName": call.name},
            *[piece(call, text) for text in call.before],
            {"type": "TOOL_CALL_END", "toolCallId": call.id},
        )
    ]
    after = [piece(call, text) for call in calls for text in call.after]
    end = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}
    start = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
    return [start, *before, *after, end]


def realtime(calls: list[Call]) -> list[Payload]:
    def event(number: int, kind: str, **fields: Any) -> Payload:
        return {"type": f"response.{kind}", "event_id": f"e{number}", "response_id": "r", **fields}

    before, after = [], []
    for index, call in enumerate(calls):
        item = {"id": f"i{index}", "type": "function_call", "call_id": call.id, "name": call.name}
        place = {"output_index": index, "item_id": f"i{index}"}
        told = "".join(call.before)
        before += [
            event(1, "output_item.added", output_index=index, item={**item, "arguments": ""}),
            *[event(2, "function_call_arguments.delta", **place, delta=text) for text in call.before],
            event(3, "function_call_arguments.done", **place, arguments=told),
            event(4, "output_item.done", output_index=index, item={**item, "arguments": told}),
        ]
        after += [event(5, "function_call_arguments.delta", **place, delta=text) for text in call.after]
    head = {"object": "realtime.response", "id": "r", "status": "in_progress", "output": []}
    return [
        {"type": "response.created", "event_id": "e0", "response": head},
        *before,
        *after,
        {"type": "response.done", "event_id": "e9", "response": {**head, "status": "completed"}},
    ]


def langchain(calls: list[Call]) -> list[Payload]:
    def chunk(**fields: Any) -> Payload:
        return {"type": "AIMessageChunk", "content": "", "id": "run-1", "response_metadata": {}, **fields}

    def piece(index: int, text: str, **fields: Any) -> Payload:
        call = {"type": "tool_call_chunk", "index": index, "name": None, "id": None, "args": text, **fields}
        return chunk(tool_call_chunks=[call])

    before, after = [], []
    for index, call in enumerate(calls):
        before.append(piece(index, "", name=call.name, id=call.id))
        before += [piece(index, text) for text in call.before]
        after += [piece(index, text) for text in call.after]
    return [*before, chunk(response_metadata={"finish_reason": "tool_calls"}), *after]


def interactions(calls: list[Call]) -> list[Payload]:
    def event(kind: str, **fields: Any) -> Payload:
        return {"event_type": kind, **fields}

    def piece(index: int, text: str) -> Payload:
        return event("step.delta", index=index, delta={"type": "arguments_delta", "arguments": text})

    before, after = [], []
    for index, call in enumerate(calls):
        # Every call starts with an empty object.
        step = {"type": "function_call", "id": call.id, "name": call.name, "arguments": {}}
        before += [
            event("step.start", index=index, step=step),
            *[piece(index, text) for text in call.before],
            event("step.stop", index=index),
        ]
        after += [piece(index, text) for text in call.after]
    head = {"id": "v", "object": "interaction", "model": "m"}
    end = event("interaction.completed", interaction={**head, "status": "requires_action"})
    return [event("interaction.created", interaction={**head, "status": "in_progress"}), *before, *after, end]


WIRES: list[tuple[str, Wire]] = [
    ("openai-chat", chat),
    ("openai-chat", stopping_chat),
    ("openai-chat", repeating_chat),
    ("mistral", chat),
    ("anthropic", anthropic),
    ("anthropic", stopped_anthropic),
    ("bedrock-converse", converse),
    ("openai-responses", responses),
    ("cohere", cohere),
    ("ag-ui", ag_ui),
    ("openai-realtime", realtime),
    ("langchain", langchain),
    ("gemini-interactions", interactions),
]
each_wire = pytest.mark.parametrize(
    ("format", "wire"), WIRES, ids=[f"{format}-{wire.__name__}" for format, wire in WIRES]
)


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def read(format: FormatName, payloads: list[Payload]) -> tuple[Stream, list[str], Exception | None]:
    """Read an answer to its end, and return the stream, the arguments that were handed out, and the error."""
    handed_out: list[str] = []
    with Stream(payloads, format=format) as stream:
        error: Exception | None = None
        try:
            handed_out += [event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)]
        except ProtocolError as caught:
            error = caught
            handed_out += [call.arguments_text for call in stream.message.tool_calls if call.complete]
    return stream, handed_out, error


@each_wire
@pytest.mark.parametrize("cut", [0, 1, 23, len(WHOLE) - 1], ids=["nothing", "a brace", "half", "nearly all"])
@pytest.mark.parametrize("cutting", [pieces, lambda text: [text]], ids=["pieces", "whole"])
def test_arguments_after_a_mark_belong_to_their_call(
    format: FormatName, wire: Wire, cut: int, cutting: Callable[[str], list[str]]
) -> None:
    """The call is handed out once, at the end of the answer, with all of them."""
    call = Call(cutting(WHOLE[:cut]) if cut else [], cutting(WHOLE[cut:]))
    stream, handed_out, error = read(format, wire([call]))

    assert ([WHOLE], None, "complete") == (handed_out, error, stream.message.ending)
    assert "tool_calls" == stream.message.finish_reason


@each_wire
@pytest.mark.parametrize("cuts", [(0, 0), (0, 20), (20, 0), (0, len(WHOLE)), (len(WHOLE), 0)])
def test_two_calls_never_get_arguments_that_are_not_theirs(
    format: FormatName, wire: Wire, cuts: tuple[int, int]
) -> None:
    """Whatever had arrived of each of them at the mark."""
    calls = [
        Call(pieces(WHOLE[:cut]), pieces(WHOLE[cut:]), id, name)
        for cut, id, name in zip(cuts, ("a", "b"), ("wipe", "list"), strict=True)
    ]
    stream, handed_out, error = read(format, wire(calls))

    assert ([WHOLE, WHOLE], None) == (handed_out, error)
    assert ["wipe", "list"] == [call.name for call in stream.message.tool_calls]


@each_wire
def test_a_call_that_gets_no_arguments_is_handed_out_without_them(format: FormatName, wire: Wire) -> None:
    """The end of the answer says that there are none; the finish reason comes behind the call."""
    events = list(Stream(wire([Call([], [])]), format=format))
    ends = [type(event) for event in events if isinstance(event, ToolCallDone | Finish)]

    assert [ToolCallDone, Finish] == ends
    assert [{}] == [event.call.arguments for event in events if isinstance(event, ToolCallDone)]


@each_wire
@pytest.mark.parametrize("later", [WHOLE, WHOLE.replace(" ", ""), " \n", "x", "{}", "null", OTHER])
def test_what_follows_a_call_that_was_handed_out_is_judged_alike(
    format: FormatName, wire: Wire, later: str
) -> None:
    """Only other arguments fail: the answer contradicts itself, and the call may have been run."""
    stream, handed_out, error = read(format, wire([Call([WHOLE], pieces(later))]))
    fails = judge("after", WHOLE, later) == "contradicts"

    assert (fails, fails) == (later == OTHER, isinstance(error, ProtocolError))
    assert ([WHOLE], "failed" if fails else "complete") == (handed_out, stream.message.ending)
    assert fails == stream.departures.details.get("late_content", 0)


@pytest.mark.parametrize("before", [[], ["{}"], ["{}", " "]])
def test_an_empty_object_at_a_finish_reason_is_no_arguments_yet(before: list[str]) -> None:
    """Gateways send it before the real ones."""
    _, handed_out, error = read("openai-chat", chat([Call(before, [WHOLE])]))

    assert ([WHOLE], None) == (handed_out, error)


@pytest.mark.parametrize("sent", [([], []), (["{}"], []), ([], pieces(WHOLE[:20])), ([], [WHOLE])])
def test_a_break_before_the_end_leaves_a_waiting_call_open(sent: tuple[list[str], list[str]]) -> None:
    """It is not handed out, and the answer is not complete: nothing has said that no arguments follow."""

    def broken() -> Any:
        yield from chat([Call(*sent)])
        raise ConnectionResetError("reset")

    stream = Stream(broken(), format="openai-chat")
    calls: list[ToolCall] = []
    with pytest.raises(StreamInterrupted, match="reset") as caught:
        calls.extend(stream.tool_calls)

    (call,) = caught.value.partial.tool_calls
    assert ([], "".join(sent[1] or sent[0]), False) == (calls, call.arguments_text, call.complete)
    assert ("truncated", None) == (stream.message.ending, stream.message.finish_reason)
    assert caught.value.retryable


def _tool(**schema: Any) -> Payload:
    return {"type": "function", "function": {"name": "wipe", "parameters": {"type": "object", **schema}}}


NOTHING: Payload = {"properties": {}}


@pytest.mark.parametrize("fragments", [[], ["{}"], ["{", "}"]])
@pytest.mark.parametrize(
    ("schema", "is_whole"),
    [
        (NOTHING, True),
        ({**NOTHING, "additionalProperties": False}, True),
        ({**NOTHING, "additionalProperties": True}, False),
        ({**NOTHING, "additionalProperties": {}}, False),
        ({**NOTHING, "patternProperties": {"^x": {}}}, False),
        ({**NOTHING, "$ref": "#/$defs/a"}, False),
        ({**NOTHING, "anyOf": []}, False),
        ({"properties": {"a": {}}}, False),
        ({}, False),
    ],
)
def test_a_call_of_a_tool_that_takes_nothing_is_whole_at_the_reason(
    fragments: list[str], schema: Payload, *, is_whole: bool
) -> None:
    """A break behind it loses nothing; any other schema lets arguments follow."""

    def broken() -> Any:
        yield from sses(*chat([Call(fragments, [])]))
        raise ConnectionResetError("reset")

    stream = Stream(broken(), tools=[_tool(**schema)])
    handed_out: list[str] = []
    with nullcontext() if is_whole else pytest.raises(StreamInterrupted):
        handed_out += [call.name for call in stream.tool_calls]

    assert ((["wipe"], "complete") if is_whole else ([], "truncated")) == (handed_out, stream.message.ending)


def test_a_call_of_a_tool_that_takes_nothing_waits_for_the_rest_of_half_an_object() -> None:
    def broken() -> Any:
        yield from sses(*chat([Call(["{"], [])]))
        raise ConnectionResetError("reset")

    with pytest.raises(StreamInterrupted):
        list(Stream(broken(), tools=[_tool(**NOTHING)]).tool_calls)


@pytest.mark.parametrize("left", [5, 30, -5])
def test_an_end_inside_a_frame_leaves_a_waiting_call_open(left: int) -> None:
    """The frame that was cut off has the arguments of the call, so the answer is not complete."""
    *frames, last = sses(*chat([Call([], [WHOLE])]))
    stream = Stream([*frames, last[:left]])
    calls: list[ToolCall] = []
    with pytest.raises(StreamTruncated, match="inside 1 tool call"):
        calls.extend(stream.tool_calls)

    assert ([], "truncated", None) == (calls, stream.message.ending, stream.message.finish_reason)


def test_an_answer_cut_before_the_arguments_of_its_call_is_asked_for_again() -> None:
    """The second answer has the call; of the first one, nothing was delivered."""
    *frames, last = sses(*chat([Call([], [WHOLE])]))
    bodies = [[*frames, last[:30]], [*frames, last]]
    stream = resilient(lambda: bodies.pop(0), retry=Retry(attempts=2, wait=0))

    assert [WHOLE] == [call.arguments_text for call in stream.tool_calls]
    assert "complete" == stream.message.ending


def test_a_call_with_its_id_again_behind_the_finish_is_the_same_call() -> None:
    """With other arguments, it contradicts what was handed out."""
    again = {"index": 0, "id": "a", "function": {"name": "wipe", "arguments": OTHER}}
    _, waited, _ = read("openai-chat", [*chat([Call([], [])]), _chunk({"tool_calls": [again]})])
    _, handed_out, error = read("openai-chat", [*chat([Call([WHOLE], [])]), _chunk({"tool_calls": [again]})])

    assert [OTHER] == waited
    assert [WHOLE] == handed_out
    assert isinstance(error, ProtocolError)
