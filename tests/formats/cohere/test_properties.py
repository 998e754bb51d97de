"""What holds for any Cohere stream: the short way is the long way, and nothing crashes."""

from __future__ import annotations

from typing import Any

from tests.formats.cohere.payloads import (
    arguments,
    block,
    cite,
    end,
    event,
    frame,
    line,
    plan,
    read_by,
    start,
    stop,
    text,
    tool,
    tool_stop,
    written,
)
from tests.formats.told import without_shortcuts
from tests.support.formats import Cohere
from tests.support.tables import in_one_test
from tokenstream.framing import ServerSentEvent

EVERYTHING = [
    start(),
    block(0, "thinking"),
    text(0, "Hm", "thinking"),
    text(0, ".", "thinking"),
    stop(0),
    plan("I will."),
    block(1),
    text(1, "Hel"),
    {**text(1, "lo"), "logprobs": {"text": "lo", "token_ids": [1]}},
    cite(content_index=1, sources=[{"type": "document", "id": "d", "document": {"title": "T"}}]),
    event("citation-end", index=0),
    stop(1),
    tool(0, "a", "a_1"),
    arguments(0, '{"x"'),
    arguments(0, ": 1}"),
    tool_stop(0),
    tool(1, "b", "b_1"),
    tool_stop(1),
    {"type": "debug", "prompt": "p"},
    end("TOOL_CALL"),
    {
        "id": "m1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text"}]},
    },
    {"message": "bad"},
]
EVERYTHING_V1 = [
    line("stream-start", generation_id="g1"),
    line("search-queries-generation", search_queries=[{"text": "q"}]),
    line("search-results", search_results=[{"document_ids": ["d"]}], documents=[{"id": "d", "title": "T"}]),
    line("text-generation", text="Hel"),
    line("text-generation", text="lo"),
    line("citation-generation", citations=[{"start": 0, "end": 1, "document_ids": ["d"]}]),
    line("tool-calls-chunk", text="I will."),
    line("tool-calls-chunk", tool_call_delta={"index": 0, "name": "a"}),
    line("tool-calls-chunk", tool_call_delta={"index": 0, "parameters": '{"x": 1}'}),
    line("tool-calls-generation", tool_calls=[{"name": "a", "parameters": {"x": 1}}]),
    line("stream-end", finish_reason="COMPLETE", response={"meta": {"tokens": {"input_tokens": 1.0}}}),
    {"text": "Hi", "generation_id": "g", "tool_calls": [{"name": "a", "parameters": {}}], "meta": {}},
]


BETWEEN = [
    ServerSentEvent(written(text(0, "b")), "ping"),
    ServerSentEvent(written(text(0, "b")), "message"),
    frame(text(1, "b")),
    frame(text(0, "b", "thinking")),
    frame(stop(0)),
    frame(cite()),
    frame(plan("p")),
    frame(tool(0)),
    frame({**text(0, "b"), "index": True}),
    frame({**text(0, "b"), "n": 1}),
    frame({"index": 0, "delta": {"message": {"content": {"text": "b"}}}, "n": 1, "type": None}),
    frame({"type": "error", "error": {"message": "m"}}),
    frame(end()),
    written(text(0, "b")),
    written(line("text-generation", text="b")),
    text(0, "b"),
    b"[DONE]",
    b"",
]


@in_one_test("between", BETWEEN, ids=repr)
@in_one_test(
    "first",
    [frame(text(0, "a")), written(text(0, "a")), written(line("text-generation", text="a"))],
    ids=["v2", "nameless", "v1"],
)
def test_what_comes_between_two_pieces_is_not_overlooked(between: Any, first: Any) -> None:
    frames = [frame(start()), frame(block(0)), *[first] * 4, between, *[first] * 3]

    assert read_by(without_shortcuts(Cohere()), *frames).outcome == read_by(Cohere(), *frames).outcome
