"""What holds for any Anthropic stream: the short way is the long way, and nothing crashes."""

from __future__ import annotations

import pytest

from tests.formats.anthropic.payloads import (
    PING,
    STOP,
    arguments,
    block,
    delta,
    finish,
    frame,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.formats.told import without_shortcuts
from tests.support.formats import Anthropic
from tokenstream.framing import ServerSentEvent

EVERYTHING = [
    start(),
    PING,
    block(0, "thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Let me"),
    delta(0, "thinking_delta", thinking=" see", estimated_tokens=3),
    delta(0, "signature_delta", signature="c2ln"),
    stop(0),
    block(1, "redacted_thinking", data="c2Vj"),
    stop(1),
    block(2, "text", text="", citations=[]),
    text(2, "Hel"),
    text(2, "lo"),
    delta(2, "citations_delta", citation={"type": "page_location", "cited_text": "p"}),
    stop(2),
    tool(3),
    arguments(3, '{"path"'),
    arguments(3, ': "/srv"}'),
    stop(3),
    block(4, "server_tool_use", id="srv_1", name="web_search", input={}),
    arguments(4, '{"query": "cats"}'),
    stop(4),
    block(5, "web_search_tool_result", tool_use_id="srv_1", content=[]),
    stop(5),
    block(6, "compaction", content=None),
    delta(6, "compaction_delta", content="Summary"),
    stop(6),
    block(7, "fallback", to={"model": "claude-y"}),
    stop(7),
    finish("tool_use", stop_details={"type": "none"}),
    STOP,
    start(content=[{"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}}], stop_reason="tool_use"),
    start(content=[{"type": "text", "text": "Hi"}])["message"],
    {"type": "error", "error": {"type": "api_error", "message": "m", "details": {}}},
]


@pytest.mark.parametrize(
    "between",
    [
        ServerSentEvent(frame(text(0, "b")).payload, "ping"),
        ServerSentEvent(frame(text(0, "b")).payload, "message", "7"),
        frame(text(1, "b")),
        frame(stop(0)),
        frame(delta(0, "text_delta", text="b", n=1)),
        frame({"type": "error", "error": {"message": "m"}}),
        frame(STOP),
        frame(finish()),
    ],
)
def test_what_comes_between_two_deltas_is_not_overlooked(between: ServerSentEvent) -> None:
    frames = [frame(start()), frame(block(0, "text", text=""))]
    frames += [frame(text(0, "a")), frame(text(0, "a")), between, frame(text(0, "c")), frame(text(0, "c"))]

    assert read(*frames, format=without_shortcuts(Anthropic())).outcome == read(*frames).outcome
