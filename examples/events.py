"""Read every event of an Anthropic answer, each by its type."""

import json

from tokenstream import Finish, ReasoningDelta, Stream, TextDelta, ToolCallDone, UsageUpdate


def sse(kind: str, **fields: object) -> bytes:
    """Return one event as the server sends it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, content: dict[str, object], *deltas: dict[str, object]) -> list[bytes]:
    """Return the events of one content block."""
    return [
        sse("content_block_start", index=index, content_block=content),
        *[sse("content_block_delta", index=index, delta=delta) for delta in deltas],
        sse("content_block_stop", index=index),
    ]


ANSWER = [
    sse("message_start", message={"id": "msg_1", "model": "example", "role": "assistant", "content": []}),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Oslo: a weather question."},
        {"type": "signature_delta", "signature": "c2lnbmVk"},
    ),
    *block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Let me "},
        {"type": "text_delta", "text": "look that up."},
    ),
    *block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"city": '},
        {"type": "input_json_delta", "partial_json": '"Oslo"}'},
    ),
    sse("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 31}),
    sse("message_stop"),
]

with Stream(ANSWER) as stream:
    for event in stream:
        match event:
            case ReasoningDelta(text) if text:
                print("reasoning:", text)
            case TextDelta(text):
                print("text:     ", text)
            case ToolCallDone(call):
                print("call:     ", call.name, call.arguments)
            case UsageUpdate(usage):
                print("usage:    ", usage.output_tokens, "tokens out")
            case Finish(reason, raw_reason):
                print("finish:   ", reason, f"({raw_reason!r} on the wire)")
            case _:
                print("          ", type(event).__name__)

print(len(stream.message.parts), "parts, read as", stream.format)
