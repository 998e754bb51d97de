"""Print an answer as it arrives, then its tool calls and its token counts.

Pass the URL of an OpenAI-compatible server, or nothing for a built-in answer.
"""

import json
import sys

from tokenstream import Stream, connect

QUESTION = {"messages": [{"role": "user", "content": "What is the weather in Oslo?"}], "stream": True}


def chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    """Return one event as a server sends it."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


CALL = {"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
ANSWER = [
    chunk({"role": "assistant", "content": "Let me "}),
    chunk({"content": "look that up."}),
    chunk({"tool_calls": [CALL]}),
    chunk({}, "tool_calls"),
    b'data: {"choices": [], "usage": {"prompt_tokens": 41, "completion_tokens": 23}}\n\n',
    b"data: [DONE]\n\n",
]

with connect(sys.argv[1], json=QUESTION) if len(sys.argv) > 1 else Stream(ANSWER) as stream:
    for piece in stream.text:
        print(piece, end="", flush=True)
    print()
    for call in stream.tool_calls:
        print("call:", call.name, call.arguments)

message = stream.message
print("ended:", message.ending, "because of", message.finish_reason)
if message.usage:
    print("tokens:", message.usage.input_tokens, "in,", message.usage.output_tokens, "out")
