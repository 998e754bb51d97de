"""Read the binary body of Bedrock's ConverseStream, as the response to your own signed request.

The body is made here, checksums included, so no network is needed.
"""

import json
from collections.abc import Iterator
from zlib import crc32

from tokenstream import Stream


def header(name: str, value: str) -> bytes:
    """Return a packed header with text as its value."""
    return bytes([len(name)]) + name.encode() + b"\7" + len(value).to_bytes(2, "big") + value.encode()


def message(event: str, payload: dict[str, object]) -> bytes:
    """Return one message of AWS's event stream: lengths, headers, payload, and two checksums."""
    headers = header(":message-type", "event") + header(":event-type", event)
    body = json.dumps(payload).encode()
    lengths = (16 + len(headers) + len(body)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    start = lengths + crc32(lengths).to_bytes(4, "big") + headers + body
    return start + crc32(start).to_bytes(4, "big")


CALL = {"toolUse": {"toolUseId": "call_1", "name": "get_weather"}}
INPUT = {"toolUse": {"input": '{"city": "Oslo"}'}}
ANSWER = [
    message("messageStart", {"role": "assistant"}),
    message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Let me "}}),
    message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "look that up."}}),
    message("contentBlockStop", {"contentBlockIndex": 0}),
    message("contentBlockStart", {"contentBlockIndex": 1, "start": CALL}),
    message(
        "contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"city": "Oslo"}'}}}
    ),
    message("contentBlockStop", {"contentBlockIndex": 1}),
    message("messageStop", {"stopReason": "tool_use"}),
    message("metadata", {"usage": {"inputTokens": 41, "outputTokens": 23, "totalTokens": 64}}),
]


def network() -> Iterator[bytes]:
    """Yield the body in chunks that ignore message boundaries."""
    body = b"".join(ANSWER)
    for begin in range(0, len(body), 100):
        yield body[begin : begin + 100]


with Stream(network()) as stream:
    for piece in stream.text:
        print(piece, end="", flush=True)
    print()
    for call in stream.tool_calls:
        print("call:", call.name, call.arguments)

print("format:", stream.format, "- ended:", stream.message.ending)
print("next request:", json.dumps(stream.message.to_bedrock()))
