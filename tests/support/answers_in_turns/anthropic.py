"""Answers written in turns: Anthropic's format, and those of Bedrock."""

from __future__ import annotations

from typing import Any

from tests.support.answers_in_turns.openai import chat_chunk
from tests.support.answers_in_turns.wires import Answer, Payload, converse_event, invoke_event, named_event


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


def _converse_tool(index: int) -> Payload:
    return {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": f"t{index}", "name": "f"}}}


def _converse_text(index: int, piece: str) -> Payload:
    delta = {"reasoningContent": {"text": piece}} if index == 2 else {"text": piece}
    return {"contentBlockIndex": index, "delta": delta}


def _claude_call(index: int, piece: str) -> Payload:
    return _of_block(index, "input_json_delta", partial_json=piece)


_CLAUDE_CALLS = (_CLAUDE_START, *[_block(n, "tool_use", id=f"t{n}", name="f", input={}) for n in range(2)])

ANTHROPIC_AND_BEDROCK: dict[str, Answer] = {
    "anthropic": Answer("anthropic", _claude, _CLAUDE_HEAD, named_event, 3),
    "anthropic, calls": Answer("anthropic", _claude_call, _CLAUDE_CALLS, named_event),
    "bedrock-converse": Answer(
        "bedrock-converse", _converse_text, ({"role": "assistant"},), converse_event, 3
    ),
    "bedrock-converse, calls": Answer(
        "bedrock-converse",
        lambda n, text: {"contentBlockIndex": n, "delta": {"toolUse": {"input": text}}},
        ({"role": "assistant"}, _converse_tool(0), _converse_tool(1)),
        converse_event,
    ),
    "bedrock-invoke, blocks": Answer("bedrock-invoke", _claude, _CLAUDE_HEAD, invoke_event, 3),
    "bedrock-invoke, calls": Answer("bedrock-invoke", _claude_call, _CLAUDE_CALLS, invoke_event),
    "bedrock-invoke, choices": Answer(
        "bedrock-invoke", lambda n, text: chat_chunk({"content": text}, n), wire=invoke_event
    ),
    "bedrock-invoke, Llama": Answer(
        "bedrock-invoke",
        lambda _, text: {"generation": text, "prompt_token_count": None, "generation_token_count": 3},
        wire=invoke_event,
        texts=1,
    ),
}
