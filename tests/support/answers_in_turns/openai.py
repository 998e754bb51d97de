"""Answers written in turns: OpenAI's formats."""

from __future__ import annotations

from typing import Any

from tests.support.answers_in_turns.wires import Answer, Payload, named_event
from tests.support.wire import bytes_of

_CHAT = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}


def chat_chunk(delta: Payload, index: int = 0) -> Payload:
    return {**_CHAT, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def _chat_call(index: int, piece: str = "", **fields: Any) -> Payload:
    body = {**fields, "arguments": piece}
    id = {"id": f"call_{index}", "type": "function"} if fields else {}
    return chat_chunk({"tool_calls": [{"index": index, **id, "function": body}]})


def _response(kind: str, index: int, **fields: Any) -> Payload:
    return {"type": f"response.{kind}", "sequence_number": 7, "output_index": index, **fields}


def _item(kind: str, index: int, **fields: Any) -> Payload:
    return _response("output_item.added", index, item={"type": kind, "id": f"i{index}", **fields})


_CREATED: Payload = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "r", "object": "response", "status": "in_progress", "model": "m", "output": []},
}


def _completion(index: int, piece: str) -> Payload:
    choice = {"text": piece, "index": index, "logprobs": None, "finish_reason": None}
    return {"id": "c", "object": "text_completion", "created": 5, "model": "m", "choices": [choice]}


def _realtime(index: int, piece: str, kind: str = "response.output_text.delta") -> Payload:
    where = {"response_id": "r", "item_id": f"i{index}", "output_index": index, "content_index": 0}
    return {"type": kind, "event_id": "e", **where, "delta": piece}


def _realtime_item(index: int) -> Payload:
    item = {"id": f"i{index}", "type": "message", "status": "in_progress", "role": "assistant"}
    return {
        "type": "response.output_item.added",
        "event_id": "e",
        "response_id": "r",
        "output_index": index,
        "item": item,
    }


_REALTIME_START: Payload = {
    "type": "response.created",
    "event_id": "e",
    "response": {"object": "realtime.response", "id": "r", "status": "in_progress", "output": []},
}


def _realtime_call(index: int) -> Payload:
    item = {"type": "function_call", "call_id": f"c{index}", "name": "f", "arguments": ""}
    made = _realtime_item(index)
    return {**made, "item": {"id": f"i{index}", "status": "in_progress", **item}}


OPENAI: dict[str, Answer] = {
    "openai-chat, choices": Answer("openai-chat", lambda n, text: chat_chunk({"content": text}, n), texts=3),
    "openai-chat, reasoning": Answer(
        "openai-chat", lambda n, text: chat_chunk({"reasoning_content": text, "content": None}, n)
    ),
    "openai-chat, text and reasoning": Answer(
        "openai-chat",
        lambda n, text: chat_chunk(
            {"content": None if n else text, "reasoning_content": text if n else None}
        ),
    ),
    "openai-chat, without index": Answer(
        "openai-chat",
        lambda n, text: {
            "model": "m",
            "choices": [{"delta": {"content": text}, **({"index": n} if n else {})}],
        },
    ),
    "openai-chat, calls": Answer(
        "openai-chat",
        _chat_call,
        (_chat_call(0, name="f"), _chat_call(1, name="g"), _chat_call(2, name="h")),
        texts=3,
    ),
    "openai-chat, bare": Answer("openai-chat", lambda _, text: {"response": text}, texts=1),
    "openai-completions": Answer("openai-completions", _completion),
    "openai-completions, native": Answer(
        "openai-completions", lambda n, text: {"index": n, "content": text, "stop": False, "id_slot": 1}
    ),
    "openai-realtime": Answer(
        "openai-realtime", _realtime, (_REALTIME_START, _realtime_item(0), _realtime_item(1)), bytes_of
    ),
    "openai-realtime, calls": Answer(
        "openai-realtime",
        lambda n, text: {**_realtime(n, text, "response.function_call_arguments.delta"), "call_id": f"c{n}"},
        (_REALTIME_START, _realtime_call(0), _realtime_call(1)),
        bytes_of,
    ),
    "openai-responses, items": Answer(
        "openai-responses",
        lambda n, text: _response(
            "output_text.delta", n, item_id=f"i{n}", content_index=0, delta=text, logprobs=[]
        ),
        (_CREATED, _item("message", 0), _item("message", 1), _item("message", 2)),
        named_event,
        3,
    ),
    "openai-responses, parts": Answer(
        "openai-responses",
        lambda n, text: _response("output_text.delta", 0, item_id="i0", content_index=n, delta=text),
        (_CREATED, _item("message", 0)),
        named_event,
    ),
    "openai-responses, summaries": Answer(
        "openai-responses",
        lambda n, text: _response(
            "reasoning_summary_text.delta", 0, item_id="i0", summary_index=n, delta=text
        ),
        (_CREATED, _item("reasoning", 0)),
        named_event,
    ),
    "openai-responses, calls": Answer(
        "openai-responses",
        lambda n, text: _response("function_call_arguments.delta", n, item_id=f"i{n}", delta=text),
        (_CREATED, *[_item("function_call", n, call_id=f"c{n}", name="f", arguments="") for n in range(3)]),
        named_event,
        3,
    ),
    "openai-responses, calls by deltas of another kind": Answer(
        "openai-responses",
        lambda n, text: _response("mcp_call_arguments.delta", n, item_id=f"i{n}", delta=text),
        (
            _CREATED,
            _item("function_call", 0, call_id="c0", name="f", arguments=""),
            _item("custom_tool_call", 1, call_id="c1", name="f", input=""),
            _item("web_search_call", 2),
        ),
        named_event,
        3,
    ),
    "openai-responses, tools by deltas of another kind": Answer(
        "openai-responses",
        lambda n, text: _response("function_call_arguments.delta", n, item_id=f"i{n}", delta=text),
        (_CREATED, _item("mcp_call", 0, name="f"), _item("code_interpreter_call", 1), _item("odd_call", 2)),
        texts=3,
    ),
    "openai-responses, without names": Answer(
        "openai-responses",
        lambda n, text: _response("output_text.delta", n, item_id="i", content_index=0, delta=text),
        (_CREATED, _item("message", 0), _item("message", 1)),
    ),
}
