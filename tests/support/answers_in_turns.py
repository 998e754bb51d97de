"""Answers with several parts, choices or calls, in every format: their opening payloads and their deltas."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.support.aws_eventstream import message
from tokenstream.formats._wire.custom_mapping import custom

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["ANSWERS", "Answer", "Payload", "aws_event", "is_binary", "sse", "written"]

Payload: TypeAlias = dict[str, Any]
Wire: TypeAlias = "Callable[[Payload], bytes]"


def written(payload: Payload) -> bytes:
    """Return a payload as JSON."""
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # JSON can hold a lone surrogate only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def sse(payload: Payload, *, name: str = "") -> bytes:
    """Return an SSE event; `name` is the payload's field that names it."""
    head = b"event: %b\n" % payload[name].encode() if name else b""
    return b"%bdata: %b\n\n" % (head, written(payload))


def _line(payload: Payload) -> bytes:
    return written(payload) + b"\n"


def aws_event(name: str, payload: Payload) -> bytes:
    """Return an event of AWS's binary streams."""
    return message({":event-type": name, ":message-type": "event"}, written(payload))


def _converse(payload: Payload) -> bytes:
    kinds = {"delta": "contentBlockDelta", "start": "contentBlockStart"}
    return aws_event(next((kinds[key] for key in payload if key in kinds), "messageStart"), payload)


def _invoke(payload: Payload) -> bytes:
    outer = {"p": payload["p"]} if "p" in payload else {}
    inner = {key: value for key, value in payload.items() if key not in outer}
    return aws_event("chunk", {"bytes": base64.b64encode(written(inner)).decode(), **outer})


# -- answers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """An answer whose texts can be written in turns.

    Args:
        format: The format.
        delta: Makes the payload that adds a piece to the text of a number.
        head: Payloads that open the texts.
        wire: Makes the bytes of a payload.
        texts: Number of texts.
    """

    format: Any
    delta: Callable[[int, str], Payload]
    head: tuple[Payload, ...] = ()
    wire: Wire = sse
    texts: int = 2


_named = partial(sse, name="type")
_CHAT = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}


def _chat(delta: Payload, index: int = 0) -> Payload:
    return {**_CHAT, "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def _chat_call(index: int, piece: str = "", **fields: Any) -> Payload:
    body = {**fields, "arguments": piece}
    id = {"id": f"call_{index}", "type": "function"} if fields else {}
    return _chat({"tool_calls": [{"index": index, **id, "function": body}]})


def _block(index: int, kind: str, **fields: Any) -> Payload:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def _of_block(index: int, kind: str, **fields: Any) -> Payload:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


_CLAUDE_START: Payload = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": []},
}
_CLAUDE_KINDS = (("text", "text_delta", "text"), ("thinking", "thinking_delta", "thinking"))


def _claude(index: int, piece: str) -> Payload:
    _, kind, key = _CLAUDE_KINDS[index % 2]
    return _of_block(index, kind, **{key: piece})


_CLAUDE_HEAD = (
    _CLAUDE_START,
    *[_block(index, _CLAUDE_KINDS[index % 2][0], **{_CLAUDE_KINDS[index % 2][2]: ""}) for index in range(3)],
)


def _response(kind: str, index: int, **fields: Any) -> Payload:
    return {"type": f"response.{kind}", "sequence_number": 7, "output_index": index, **fields}


def _item(kind: str, index: int, **fields: Any) -> Payload:
    return _response("output_item.added", index, item={"type": kind, "id": f"i{index}", **fields})


_CREATED: Payload = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "r", "object": "response", "status": "in_progress", "model": "m", "output": []},
}


def _cohere(index: int, piece: str) -> Payload:
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": {"text": piece}}}}


def _completion(index: int, piece: str) -> Payload:
    choice = {"text": piece, "index": index, "logprobs": None, "finish_reason": None}
    return {"id": "c", "object": "text_completion", "created": 5, "model": "m", "choices": [choice]}


def _candidate(index: int, piece: str) -> Payload:
    content = {"parts": [{"text": piece}], "role": "model"}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 8, "totalTokenCount": 11}
    return {
        "candidates": [{"content": content, "index": index}],
        "usageMetadata": counts,
        "modelVersion": "gemini-x",
    }


def _thought(index: int, piece: str) -> Payload:
    part = {"text": piece, "thought": True} if index else {"text": piece}
    return {"candidates": [{"content": {"parts": [part], "role": "model"}}], "modelVersion": "gemini-x"}


def _interaction(index: int, piece: str) -> Payload:
    return {"event_type": "step.delta", "index": index, "delta": {"type": "text", "text": piece}}


def _ollama(index: int, piece: str) -> Payload:
    said = {"role": "assistant", "content": "" if index else piece, "thinking": piece if index else ""}
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}


def _assistants(index: int, piece: str) -> Payload:
    content = [{"index": index % 2, "type": "text", "text": {"value": piece}}]
    return {"id": f"msg_{index // 2}", "object": "thread.message.delta", "delta": {"content": content}}


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


def _converse_tool(index: int) -> Payload:
    return {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": f"t{index}", "name": "f"}}}


def _converse_text(index: int, piece: str) -> Payload:
    delta = {"reasoningContent": {"text": piece}} if index == 2 else {"text": piece}
    return {"contentBlockIndex": index, "delta": delta}


def _ui(index: int, piece: str) -> Payload:
    return {"type": "reasoning-delta" if index == 2 else "text-delta", "id": str(index), "delta": piece}


def _ag_ui(index: int, piece: str) -> Payload:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"m{index}", "delta": piece}


def _realtime_call(index: int) -> Payload:
    item = {"type": "function_call", "call_id": f"c{index}", "name": "f", "arguments": ""}
    made = _realtime_item(index)
    return {**made, "item": {"id": f"i{index}", "status": "in_progress", **item}}


def _cohere_call(index: int, piece: str = "", kind: str = "delta", **call: Any) -> Payload:
    body = {**call, "function": {**({"name": "f"} if call else {}), "arguments": piece}}
    return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": body}}}


def _assistants_call(index: int, piece: str = "", **call: Any) -> Payload:
    function = {**({"name": "f"} if call else {}), "arguments": piece}
    item = {"index": index, **call, "type": "function", "function": function}
    details = {"type": "tool_calls", "tool_calls": [item]}
    return {"id": "step_1", "object": "thread.run.step.delta", "delta": {"step_details": details}}


def _claude_call(index: int, piece: str) -> Payload:
    return _of_block(index, "input_json_delta", partial_json=piece)


_CLAUDE_CALLS = (_CLAUDE_START, *[_block(n, "tool_use", id=f"t{n}", name="f", input={}) for n in range(2)])


ANSWERS: dict[str, Answer] = {
    "openai-chat, choices": Answer("openai-chat", lambda n, text: _chat({"content": text}, n), texts=3),
    "openai-chat, reasoning": Answer(
        "openai-chat", lambda n, text: _chat({"reasoning_content": text, "content": None}, n)
    ),
    "openai-chat, text and reasoning": Answer(
        "openai-chat",
        lambda n, text: _chat({"content": None if n else text, "reasoning_content": text if n else None}),
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
    "openai-assistants": Answer("openai-assistants", _assistants, wire=partial(sse, name="object"), texts=3),
    "openai-assistants, calls": Answer(
        "openai-assistants",
        _assistants_call,
        tuple(_assistants_call(n, id=f"c{n}") for n in range(2)),
        partial(sse, name="object"),
    ),
    "openai-realtime": Answer(
        "openai-realtime", _realtime, (_REALTIME_START, _realtime_item(0), _realtime_item(1)), written
    ),
    "openai-realtime, calls": Answer(
        "openai-realtime",
        lambda n, text: {
            **_realtime(n, text, "response.function_call_arguments.delta"),
            "call_id": f"c{n}",
        },
        (_REALTIME_START, _realtime_call(0), _realtime_call(1)),
        written,
    ),
    "openai-responses, items": Answer(
        "openai-responses",
        lambda n, text: _response(
            "output_text.delta", n, item_id=f"i{n}", content_index=0, delta=text, logprobs=[]
        ),
        (_CREATED, _item("message", 0), _item("message", 1), _item("message", 2)),
        _named,
        3,
    ),
    "openai-responses, parts": Answer(
        "openai-responses",
        lambda n, text: _response("output_text.delta", 0, item_id="i0", content_index=n, delta=text),
        (_CREATED, _item("message", 0)),
        _named,
    ),
    "openai-responses, summaries": Answer(
        "openai-responses",
        lambda n, text: _response(
            "reasoning_summary_text.delta", 0, item_id="i0", summary_index=n, delta=text
        ),
        (_CREATED, _item("reasoning", 0)),
        _named,
    ),
    "openai-responses, calls": Answer(
        "openai-responses",
        lambda n, text: _response("function_call_arguments.delta", n, item_id=f"i{n}", delta=text),
        (_CREATED, *[_item("function_call", n, call_id=f"c{n}", name="f", arguments="") for n in range(3)]),
        _named,
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
        _named,
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
    "anthropic": Answer("anthropic", _claude, _CLAUDE_HEAD, _named, 3),
    "anthropic, calls": Answer("anthropic", _claude_call, _CLAUDE_CALLS, _named),
    "bedrock-converse": Answer("bedrock-converse", _converse_text, ({"role": "assistant"},), _converse, 3),
    "bedrock-converse, calls": Answer(
        "bedrock-converse",
        lambda n, text: {"contentBlockIndex": n, "delta": {"toolUse": {"input": text}}},
        ({"role": "assistant"}, _converse_tool(0), _converse_tool(1)),
        _converse,
    ),
    "bedrock-invoke, blocks": Answer("bedrock-invoke", _claude, _CLAUDE_HEAD, _invoke, 3),
    "bedrock-invoke, calls": Answer("bedrock-invoke", _claude_call, _CLAUDE_CALLS, _invoke),
    "bedrock-invoke, choices": Answer(
        "bedrock-invoke", lambda n, text: _chat({"content": text}, n), wire=_invoke
    ),
    "bedrock-invoke, Llama": Answer(
        "bedrock-invoke",
        lambda _, text: {"generation": text, "prompt_token_count": None, "generation_token_count": 3},
        wire=_invoke,
        texts=1,
    ),
    "cohere": Answer("cohere", _cohere, wire=_named, texts=3),
    "cohere, calls": Answer(
        "cohere",
        _cohere_call,
        tuple(_cohere_call(n, kind="start", id=f"t{n}", type="function") for n in range(2)),
        _named,
    ),
    "cohere, without names": Answer("cohere", _cohere),
    "cohere, v1": Answer(
        "cohere",
        lambda _, text: {"is_finished": False, "event_type": "text-generation", "text": text},
        wire=_line,
        texts=1,
    ),
    "gemini, candidates": Answer("gemini", _candidate),
    "gemini, text and thoughts": Answer("gemini", _thought),
    "gemini-interactions": Answer(
        "gemini-interactions",
        _interaction,
        tuple({"event_type": "step.start", "index": n, "step": {"type": "model_output"}} for n in range(2)),
        partial(sse, name="event_type"),
    ),
    "gemini-interactions, calls": Answer(
        "gemini-interactions",
        lambda n, text: {
            "event_type": "step.delta",
            "index": n,
            "delta": {"type": "arguments_delta", "arguments": text},
        },
        tuple(
            {
                "event_type": "step.start",
                "index": n,
                "step": {"type": "function_call", "id": f"c{n}", "name": "f", "arguments": {}},
            }
            for n in range(2)
        ),
        partial(sse, name="event_type"),
    ),
    "gemini-live": Answer(
        "gemini-live",
        lambda n, text: {
            "serverContent": {"modelTurn": {"parts": [{"text": text, **({"thought": True} if n else {})}]}}
        },
        wire=written,
    ),
    "ollama": Answer("ollama", _ollama, wire=_line),
    "ollama, as events": Answer("ollama", _ollama),
    "tgi": Answer(
        "tgi",
        lambda _, text: {
            "index": 3,
            "token": {"id": 5, "text": text, "logprob": -0.5, "special": False},
            "generated_text": None,
        },
        texts=1,
    ),
    "ui-message": Answer(
        "ui-message",
        _ui,
        (
            {"type": "start"},
            {"type": "text-start", "id": "0"},
            {"type": "text-start", "id": "1"},
            {"type": "reasoning-start", "id": "2"},
        ),
        texts=3,
    ),
    "ag-ui": Answer(
        "ag-ui",
        _ag_ui,
        (
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            *[{"type": "TEXT_MESSAGE_START", "messageId": f"m{n}", "role": "assistant"} for n in range(2)],
        ),
    ),
    "ui-message, calls": Answer(
        "ui-message",
        lambda n, text: {"type": "tool-input-delta", "toolCallId": f"c{n}", "inputTextDelta": text},
        (
            {"type": "start"},
            *[{"type": "tool-input-start", "toolCallId": f"c{n}", "toolName": "f"} for n in range(2)],
        ),
    ),
    "ag-ui, calls": Answer(
        "ag-ui",
        lambda n, text: {"type": "TOOL_CALL_ARGS", "toolCallId": f"c{n}", "delta": text},
        (
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            *[{"type": "TOOL_CALL_START", "toolCallId": f"c{n}", "toolCallName": "f"} for n in range(2)],
        ),
    ),
    "custom": Answer(
        custom(text=["a.text", "b.text"], reasoning="c.text"),
        lambda n, text: {"n": 1, "c" if n else "a": {"text": text}, "end": None},
    ),
}
"""Answers by name: everything that a format can hold several of and that has a fast path."""


def is_binary(answer: Answer) -> bool:
    """True if an answer is sent in AWS's binary streams."""
    return answer.wire in (_converse, _invoke)
