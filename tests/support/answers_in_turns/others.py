"""Answers written in turns: Cohere, Ollama, TGI, protocols of interfaces, and mappings."""

from __future__ import annotations

from typing import Any

from tests.support.answers_in_turns.wires import Answer, Payload, json_line, named_event
from tokenstream.formats import custom


def _cohere(index: int, piece: str) -> Payload:
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": {"text": piece}}}}


def _ollama(index: int, piece: str) -> Payload:
    said = {"role": "assistant", "content": "" if index else piece, "thinking": piece if index else ""}
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}


def _ui(index: int, piece: str) -> Payload:
    return {"type": "reasoning-delta" if index == 2 else "text-delta", "id": str(index), "delta": piece}


def _ag_ui(index: int, piece: str) -> Payload:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"m{index}", "delta": piece}


def _cohere_call(index: int, piece: str = "", kind: str = "delta", **call: Any) -> Payload:
    body = {**call, "function": {**({"name": "f"} if call else {}), "arguments": piece}}
    return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": body}}}


OTHERS: dict[str, Answer] = {
    "cohere": Answer("cohere", _cohere, wire=named_event, texts=3),
    "cohere, calls": Answer(
        "cohere",
        _cohere_call,
        tuple(_cohere_call(n, kind="start", id=f"t{n}", type="function") for n in range(2)),
        named_event,
    ),
    "cohere, without names": Answer("cohere", _cohere),
    "cohere, v1": Answer(
        "cohere",
        lambda _, text: {"is_finished": False, "event_type": "text-generation", "text": text},
        wire=json_line,
        texts=1,
    ),
    "ollama": Answer("ollama", _ollama, wire=json_line),
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
