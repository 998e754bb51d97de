"""Calls of tools as the formats with fragments write them, one payload at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from tests.formats.ag_ui import support as ag_ui
from tests.formats.anthropic import payloads as anthropic
from tests.formats.bedrock import payloads as bedrock
from tests.formats.cohere import payloads as cohere
from tests.formats.gemini_interactions import support as steps
from tests.formats.openai_chat import payloads as chat
from tests.formats.openai_realtime import payloads as realtime
from tests.formats.openai_responses import payloads as responses
from tokenstream import Stream
from tokenstream.errors import ProtocolError
from tokenstream.events import ToolCallDone
from tokenstream.formats import FormatName

Payload: TypeAlias = dict[str, Any]

IDS = ["c0", "c1", "c2"]
NAMES = ["ring", "find", "count"]
"""Of the calls of an answer, by their index."""


class Wire(NamedTuple):
    """The payloads of an answer with calls; each function takes the index of a call.

    Attributes:
        begins: What comes before the calls.
        start: Begins a call.
        piece: Brings a fragment of its arguments.
        stops: End it, and tell its arguments again if the format does.
        reason: The finish reason, where it is no part of the end.
        ends: What comes last.
    """

    begins: list[Payload]
    start: Callable[[int], Payload]
    piece: Callable[[int, str], Payload]
    stops: Callable[[int, str], list[Payload]]
    reason: list[Payload]
    ends: list[Payload]


def _item(index: int) -> Payload:
    """Return the fields of a call of OpenAI's items."""
    return {"id": f"i{index}", "call_id": IDS[index], "name": NAMES[index]}


def _live_item(index: int) -> Payload:
    return {"item": f"i{index}", "index": index, "call_id": IDS[index], "name": NAMES[index]}


def _live(kind: str, index: int, **fields: Any) -> Payload:
    place = realtime.where(item=f"i{index}", output=index)
    return realtime.event(f"response.function_call_arguments.{kind}", **place, **fields)


def _langchain(**fields: Any) -> Payload:
    return {"type": "AIMessageChunk", "content": "", "id": "run-1", "response_metadata": {}, **fields}


def _langchain_call(index: int, text: str, **fields: Any) -> Payload:
    call = {"type": "tool_call_chunk", "index": index, "name": None, "id": None, "args": text, **fields}
    return _langchain(tool_call_chunks=[call])


WIRES: dict[str, Wire] = {
    "openai-chat": Wire(
        [],
        lambda index: chat.call("", name=NAMES[index], index=index, id=IDS[index], type="function"),
        lambda index, text: chat.call(text, index=index),
        lambda *_: [],
        [chat.chunk({}, "tool_calls")],
        [],
    ),
    "anthropic": Wire(
        [anthropic.start()],
        lambda index: anthropic.tool(index, NAMES[index], IDS[index]),
        anthropic.arguments,
        lambda index, _: [anthropic.stop(index)],
        [anthropic.finish("tool_use")],
        [anthropic.STOP],
    ),
    "bedrock-converse": Wire(
        [dict([bedrock.START])],
        lambda index: dict([bedrock.tool(index, IDS[index], NAMES[index])]),
        lambda index, text: dict([bedrock.arguments(index, text)]),
        lambda index, _: [dict([bedrock.stop(index)])],
        [dict([bedrock.finish("tool_use")])],
        [dict([bedrock.USAGE])],
    ),
    "openai-responses": Wire(
        [responses.created()],
        lambda index: responses.added(responses.call(**_item(index)), index),
        lambda index, text: responses.event("function_call_arguments.delta", index, f"i{index}", delta=text),
        lambda index, told: [
            responses.event("function_call_arguments.done", index, f"i{index}", arguments=told),
            responses.done(responses.call(told, "completed", **_item(index)), index),
        ],
        [],
        [responses.ended()],
    ),
    "cohere": Wire(
        [cohere.start()],
        lambda index: cohere.tool(index, NAMES[index], IDS[index]),
        cohere.arguments,
        lambda index, _: [cohere.tool_stop(index)],
        [],
        [cohere.end("TOOL_CALL")],
    ),
    "ag-ui": Wire(
        [ag_ui.START],
        lambda index: {"type": "TOOL_CALL_START", "toolCallId": IDS[index], "toolCallName": NAMES[index]},
        lambda index, text: {"type": "TOOL_CALL_ARGS", "toolCallId": IDS[index], "delta": text},
        lambda index, _: [{"type": "TOOL_CALL_END", "toolCallId": IDS[index]}],
        [],
        [ag_ui.END],
    ),
    "openai-realtime": Wire(
        [realtime.created()],
        lambda index: realtime.added("function_call", arguments="", **_live_item(index)),
        lambda index, text: _live("delta", index, delta=text),
        lambda index, told: [
            _live("done", index, arguments=told),
            realtime.finished("function_call", arguments=told, **_live_item(index)),
        ],
        [],
        [realtime.done()],
    ),
    "langchain": Wire(
        [],
        lambda index: _langchain_call(index, "", name=NAMES[index], id=IDS[index]),
        _langchain_call,
        lambda *_: [],
        [_langchain(response_metadata={"finish_reason": "tool_calls"})],
        [],
    ),
    "gemini-interactions": Wire(
        [steps.created()[1]],
        # Every call starts with an empty object.
        lambda index: steps.start(index, "function_call", id=IDS[index], name=NAMES[index], arguments={})[1],
        lambda index, text: steps.delta(index, "arguments_delta", arguments=text)[1],
        lambda index, _: [steps.stop(index)[1]],
        [],
        [steps.completed("requires_action")[1]],
    ),
}


def payloads_in(chunks: Iterable[bytes]) -> list[Payload]:
    """Return the decoded payloads of an answer in lines or in server-sent events."""
    lines = b"".join(chunks).splitlines()
    data = [line.removeprefix(b"data:").strip() for line in lines if line.lstrip()[:1] in (b"d", b"{")]
    return [json.loads(each) for each in data if each.startswith(b"{")]


def read(format: FormatName, payloads: list[Payload]) -> tuple[Stream, list[str], ProtocolError | None]:
    """Read an answer to its end, and return the stream, the arguments that were handed out, and the error."""
    handed_out: list[str] = []
    with Stream(payloads, format=format) as stream:
        try:
            for event in stream:
                if isinstance(event, ToolCallDone):
                    handed_out.append(event.call.arguments_text)
        except ProtocolError as error:
            return stream, handed_out, error
    return stream, handed_out, None
