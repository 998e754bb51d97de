"""Answers with pauses: a research of Anthropic's, in legs as a server sends them, and the server itself."""

from __future__ import annotations

import json
from typing import Any

from tests.support import wire
from tokenstream import Message

SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds+/="
QUESTION = {"role": "user", "content": "What is new in Oslo?"}
TOOLS = [{"type": "web_search_20250305", "name": "web_search"}]
ASKED: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 1024,
    "messages": [QUESTION],
    "tools": TOOLS,
    "stream": True,
}
CONTAINER = {"id": "container_011C", "expires_at": "2026-11-25T09:00:00Z"}
RESULTS = [
    {"type": "web_search_result", "url": "https://oslo.test", "title": "Oslo", "encrypted_content": "Eo=="}
]
BLOCKS: tuple[list[dict[str, Any]], ...] = (
    [
        {"type": "thinking", "thinking": "Search for it.", "signature": SIGNATURE},
        {"type": "text", "text": "I'll look it up."},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "Oslo news"},
        },
    ],
    [
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": RESULTS},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4a"},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_2",
            "name": "web_search",
            "input": {"query": "Oslo opera"},
        },
    ],
    [
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_2", "content": RESULTS},
        {"type": "text", "text": " The opera has opened again."},
    ],
)
"""The content of each leg, as the API writes it in an answer that is not streamed."""
TEXT = "I'll look it up. The opera has opened again."


def events_of(block: dict[str, Any], index: int) -> list[bytes]:
    """Return the events of a block: what is streamed comes in two pieces, all else in its start."""
    match block:
        case {"type": "text", "text": text}:
            start, deltas = {**block, "text": ""}, [("text_delta", "text", piece) for piece in halves(text)]
        case {"type": "thinking", "thinking": text, "signature": signature}:
            start = {**block, "thinking": "", "signature": ""}
            deltas = [("thinking_delta", "thinking", piece) for piece in halves(text)]
            deltas.append(("signature_delta", "signature", signature))
        case {"input": {**values}}:
            start = {**block, "input": {}}
            deltas = [("input_json_delta", "partial_json", piece) for piece in halves(json.dumps(values))]
        case _:
            start, deltas = block, []
    pieces = [wire.claude_delta(index, kind, **{field: piece}) for kind, field, piece in deltas]
    return [wire.claude_open(index, **start), *pieces, wire.claude_close(index)]


def halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [text[:middle], text[middle:]]


def leg(
    number: int, blocks: list[dict[str, Any]], reason: str, *, usage: Any = None, **end: Any
) -> list[bytes]:
    """Return one leg, with `msg_` and its number as its id, and ten tokens of output for each number."""
    start = wire.claude_start_payload()
    start["message"] |= {"id": f"msg_{number}", "usage": {"input_tokens": 100 * number, "output_tokens": 1}}
    delta = {"stop_reason": reason, "stop_sequence": None, **end}
    usage = {"output_tokens": 10 * number} if usage is None else usage
    return [
        wire.claude("message_start", message=start["message"]),
        *[event for index, block in enumerate(blocks) for event in events_of(block, index)],
        wire.claude("message_delta", delta=delta, usage=usage),
        wire.claude("message_stop"),
    ]


LEGS = [
    leg(1, BLOCKS[0], "pause_turn", container=CONTAINER),
    leg(2, BLOCKS[1], "pause_turn", container=CONTAINER),
    leg(3, BLOCKS[2], "end_turn", container=CONTAINER),
]


def end_of(message: Message) -> tuple[str, str | None, str]:
    """Return the text of a message, its finish reason and its ending."""
    return message.text, message.finish_reason, message.ending


def raw_end_of(message: Message) -> tuple[str | None, str | None]:
    """Return the finish reason, and the provider's own word for it."""
    return message.finish_reason, message.raw_finish_reason


def number_asked(asked: dict[str, Any]) -> int:
    """Return the number of the leg, from 0, that a request asks for, by what it sends back."""
    *_, last = asked["messages"]
    if last["role"] == "user":
        return 0
    sent = len(last["content"])
    return next(number for number in (1, 2) if sum(map(len, BLOCKS[:number])) == sent)
