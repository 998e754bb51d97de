"""Answers as Anthropic, Bedrock, Cohere, Ollama, Hugging Face's servers, AI SDK, AG-UI and A2A send them."""

from __future__ import annotations

import base64
import random
from typing import Any
from zlib import crc32

from tests.compare.benchmarks.shapes import (
    Event,
    Payload,
    Shape,
    binary,
    letters,
    line,
    named,
    nameless,
    tight,
)
from tests.support.wire import bytes_of


def _claude(text: str) -> Event:
    kind = "content_block_delta"
    return kind, {"type": kind, "index": 0, "delta": {"type": "text_delta", "text": text}}


def _padded(payload: Payload) -> bytes:
    """Return a payload with up to fifteen blanks at its end, as Anthropic sends it."""
    written = bytes_of(payload)
    return written[:-1] + b" " * (crc32(written) % 16) + b"}"


ANTHROPIC = Shape("anthropic", named, lambda _, text, __: _claude(text), written=_padded)


def _converse(text: str, source: random.Random) -> Event:
    delta = {"contentBlockIndex": 0, "delta": {"text": text}, "p": letters(source, 62)}
    return "contentBlockDelta", delta


CONVERSE = Shape("bedrock-converse", binary, lambda _, text, source: _converse(text, source), tokens=3)


def _invoked(payload: Payload, source: random.Random | None = None) -> Event:
    inner = base64.b64encode(bytes_of(payload)).decode()
    return "chunk", {"bytes": inner, "p": "abcdefgh" if source is None else letters(source, 62)}


_METRICS: Payload = {"inputTokenCount": 22, "outputTokenCount": 33, "invocationLatency": 2481}
CLAUDE = Shape("bedrock-invoke", binary, lambda _, text, source: _invoked(_claude(text)[1], source), tokens=2)


def _llama(number: int, text: str, source: random.Random) -> Event:
    counts = {"prompt_token_count": None, "generation_token_count": number + 1}
    return _invoked({"generation": text, **counts, "stop_reason": None}, source)


LLAMA = Shape(
    "bedrock-invoke",
    binary,
    _llama,
    tail=(
        _invoked(
            {
                "generation": "",
                "prompt_token_count": None,
                "generation_token_count": 99_999,
                "stop_reason": "stop",
                "amazon-bedrock-invocationMetrics": _METRICS,
            }
        ),
    ),
)


# -- the others -------------------------------------------------------------------


def _cohere(text: str) -> Event:
    kind = "content-delta"
    return kind, {"type": kind, "index": 0, "delta": {"message": {"content": {"text": text}}}}


COHERE = Shape("cohere", named, lambda _, text, __: _cohere(text))
COHERE_1 = Shape(
    "cohere",
    line,
    lambda _, text, __: ("", {"is_finished": False, "event_type": "text-generation", "text": text}),
    (("", {"is_finished": False, "event_type": "stream-start", "generation_id": "5c1f7d2e-3b4a"}),),
    (
        (
            "",
            {
                "is_finished": True,
                "event_type": "stream-end",
                "finish_reason": "COMPLETE",
                "response": {"text": "", "generation_id": "5c1f7d2e-3b4a", "finish_reason": "COMPLETE"},
            },
        ),
    ),
)


def _ollama(number: int, text: str) -> Event:
    # The clock of a machine that gives thirty tokens in a second.
    at = f"2025-05-19T09:{number // 1800 % 60:02}:{number // 30 % 60:02}.{number * 33_333_333 % 10**9:09}Z"
    said = {"role": "assistant", "content": text}
    return "", {"model": "llama3.2", "created_at": at, "message": said, "done": False}


OLLAMA = Shape("ollama", line, lambda number, text, _: _ollama(number, text))


def _tgi(number: int, text: str, source: random.Random) -> Event:
    logprob = -round(source.random() * 4, 8)
    token = {"id": source.randrange(32_000), "text": text, "logprob": logprob, "special": False}
    return "", {"index": number + 1, "token": token, "generated_text": None, "details": None}


TGI = Shape("tgi", tight, _tgi)


_MANAGED: Payload = {"processed_at": "2026-11-20T10:00:00Z"}


def _preview(text: str) -> Event:
    content = {"type": "text", "text": text}
    delta = {"type": "content_delta", "index": 0, "content": content}
    return "event_delta", {"type": "event_delta", "event_id": "sevt_01", "delta": delta}


MANAGED = Shape(
    "anthropic-agents",
    named,
    lambda _, text, __: _preview(text),
    (("session.status_running", {"id": "sevt_00", "type": "session.status_running", **_MANAGED}),),
    (
        (
            "session.status_idle",
            {
                "id": "sevt_02",
                "type": "session.status_idle",
                **_MANAGED,
                "stop_reason": {"type": "end_turn"},
                "stop_details": None,
            },
        ),
    ),
)


def _conversation(kind: str, **fields: Any) -> Event:
    return kind, {**fields, "type": kind, "created_at": "2026-11-20T10:00:00Z"}


_ENTRY: Payload = {
    "output_index": 0,
    "content_index": 0,
    "model": "mistral-medium-2511",
    "agent_id": "ag_0684fe18ba6d7516",
    "role": "assistant",
}
CONVERSATION = Shape(
    "mistral-conversations",
    named,
    lambda _, text, __: _conversation("message.output.delta", id="msg_0684", content=text, **_ENTRY),
    (_conversation("conversation.response.started", conversation_id="conv_0684fe18b9a5753d"),),
    (_conversation("conversation.response.done", usage={"prompt_tokens": 18, "completion_tokens": 55}),),
)

TRANSCRIPTION = Shape(
    "transcription",
    named,
    lambda _, text, __: ("transcription.text.delta", {"type": "transcription.text.delta", "text": text}),
    (("transcription.language", {"type": "transcription.language", "audio_language": "en"}),),
    (
        (
            "transcription.done",
            {
                "type": "transcription.done",
                "model": "voxtral-mini-2602",
                "usage": {"prompt_tokens": 18, "completion_tokens": 55},
            },
        ),
    ),
)


def _chunk(content: str, **fields: Any) -> Event:
    head = {"type": "AIMessageChunk", "id": "lc_run--019aa3b5-6c1e-7a02-9d41-52c0a1b7e9f3"}
    return "", {**head, "response_metadata": {"model_provider": "openai"}, "content": content, **fields}


LANGCHAIN = Shape(
    "langchain",
    line,
    lambda _, text, __: _chunk(text),
    tail=(_chunk("", response_metadata={"finish_reason": "stop"}), _chunk("", chunk_position="last")),
)


def _block(kind: str, **fields: Any) -> Event:
    return "", {"event": f"content-block-{kind}", "index": 0, **fields}


_LANGCHAIN_ID = "lc_run--01a21ab7-93de-71c6-abf9-f1bd6de0398d"
LANGCHAIN_PROTOCOL = Shape(
    "langchain-protocol",
    line,
    lambda _, text, __: _block("delta", delta={"type": "text-delta", "text": text}),
    (
        (
            "",
            {"event": "message-start", "role": "ai", "id": _LANGCHAIN_ID, "metadata": {"provider": "openai"}},
        ),
        _block("start", content={"type": "text", "text": ""}),
    ),
    (("", {"event": "message-finish", "metadata": {"finish_reason": "stop", "model_name": "m"}}),),
)


def _response(delta: str, **raw: Any) -> Event:
    message = {"role": "assistant", "blocks": [], "additional_kwargs": {}}
    return "", {"message": message, "raw": {"done": False, **raw}, "delta": delta, "additional_kwargs": {}}


LLAMAINDEX = Shape(
    "llamaindex",
    line,
    lambda _, text, __: _response(text),
    tail=(_response("", done=True, done_reason="stop"),),
)


UI = Shape(
    "ui-message", nameless, lambda _, text, __: ("", {"type": "text-delta", "id": "txt-0", "delta": text})
)
AG_UI = Shape(
    "ag-ui",
    nameless,
    lambda _, text, __: ("", {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m1", "delta": text}),
    ids={"msg-0": "m1"},
)
_IN_TASK = {
    "taskId": "3e7b47f3-73ef-4afc-9b54-b3b8a5c9383e",
    "contextId": "495f6df7-1388-4c24-b8b1-9855b161acac",
}


def _update(kind: str, **fields: Any) -> Event:
    return "", {"result": {kind: {**_IN_TASK, **fields}}, "id": "r-1", "jsonrpc": "2.0"}


def _artifact(text: str, **fields: Any) -> Event:
    return _update("artifactUpdate", artifact={"artifactId": "a1", "parts": [{"text": text}]}, **fields)


A2A = Shape(
    "a2a",
    nameless,
    lambda _, text, __: _artifact(text, append=True),
    (_update("statusUpdate", status={"state": "TASK_STATE_WORKING"}), _artifact("")),
    (_update("statusUpdate", status={"state": "TASK_STATE_COMPLETED"}),),
)

TOKENSTREAM = Shape("tokenstream", nameless, lambda _, text, __: ("", {"type": "text_delta", "text": text}))


SHAPES = {
    "bedrock-converse": CONVERSE,
    "bedrock-invoke, Claude": CLAUDE,
    "bedrock-invoke, Llama": LLAMA,
    "cohere, v2": COHERE,
    "cohere, v1": COHERE_1,
    "ollama": OLLAMA,
    "tgi": TGI,
    "anthropic-agents": MANAGED,
    "mistral-conversations": CONVERSATION,
    "langchain-protocol, JSON lines": LANGCHAIN_PROTOCOL,
    "transcription": TRANSCRIPTION,
    "langchain, JSON lines": LANGCHAIN,
    "llamaindex, JSON lines": LLAMAINDEX,
    "ui-message": UI,
    "ag-ui": AG_UI,
    "a2a": A2A,
    "tokenstream": TOKENSTREAM,
}
"""The shapes of answers, by their names in the tables."""
