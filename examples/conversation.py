"""Answer a model's tool call: its turn is sent back unchanged, with the signature of its reasoning.

The two answers are made here, in Anthropic's form; `ask` stands for your request.
"""

import json
from typing import Any

from tokenstream import Message, Stream


def event(kind: str, **fields: object) -> bytes:
    """Return one event as the server sends it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, start: dict[str, object], *deltas: dict[str, object]) -> bytes:
    """Return the events of a content block."""
    started = event("content_block_start", index=index, content_block=start)
    grown = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join([started, *grown, event("content_block_stop", index=index)])


def answer(stop_reason: str, *blocks: bytes) -> list[bytes]:
    """Return an answer's chunks."""
    head: dict[str, object] = {
        "id": "msg_1",
        "role": "assistant",
        "content": [],
        "usage": {"input_tokens": 9},
    }
    end = event("message_delta", delta={"stop_reason": stop_reason}, usage={"output_tokens": 7})
    return [event("message_start", message=head), *blocks, end, event("message_stop")]


ANSWERS = [
    answer(
        "tool_use",
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "I need the weather."},
            {"type": "signature_delta", "signature": "c2lnbmVk"},
        ),
        block(
            1,
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"city": '},
            {"type": "input_json_delta", "partial_json": '"Oslo"}'},
        ),
    ),
    answer(
        "end_turn", block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "7 °C in Oslo."})
    ),
]


def ask(history: list[dict[str, Any]]) -> list[bytes]:
    """Return the answer to a history; a real program would send a request here."""
    return ANSWERS[len(history) // 2]


def get_weather(city: str) -> str:
    """Pretend to be a tool."""
    return f"{city}: 7 °C"


def talk(history: list[dict[str, Any]]) -> Message:
    """Talk until the model asks for no more tools."""
    while True:
        with Stream(ask(history)) as stream:
            for piece in stream.text:
                print(piece, end="", flush=True)
            message = stream.final()
        history.append(message.to_anthropic())
        if not message.tool_calls:
            print()
            return message
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": get_weather(**call.arguments)}
            for call in message.tool_calls
        ]
        history.append({"role": "user", "content": results})


said: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Oslo?"}]
talk(said)
for turn in said:
    print(json.dumps(turn, ensure_ascii=False))
