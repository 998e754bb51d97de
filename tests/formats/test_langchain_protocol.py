"""LangChain's streaming protocol: a model's answer, the answers of a graph, and what is no answer."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from itertools import permutations, product
from typing import Any, NamedTuple

import httpx
import pytest

from tests.formats.told import Told, tell
from tests.stream.bodies import later
from tests.support.formats import LangChainProtocol
from tests.support.recordings import OURS, events_of, frames_of
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import AsyncStream, Retry, Stream, connect
from tokenstream.errors import PositionLost, ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import ToolResult

AGENT = events_of("langchain-protocol/agent_with_subagent")
RUNS = {path.stem[5:]: path.read_bytes() for path in OURS.glob("langchain-protocol/runs_*.sse")}
"""What a server of LangGraph streams of a run, by the modes that a client may ask for."""


class StreamPart(NamedTuple):
    """Stands for what the client of a LangGraph server yields."""

    event: str
    data: Any
    id: str | None = None


def parts_of(mode: str) -> list[StreamPart]:
    """Return the parts of a run as the client yields them."""
    frames: list[Any] = frames_of(RUNS[mode])
    return [StreamPart(frame.event, json.loads(frame.payload)) for frame in frames]


def v2(part: StreamPart) -> dict[str, Any]:
    return {"type": part.event, "ns": [], "data": part.data, "interrupts": []}


def lines_of(name: str) -> list[dict[str, Any]]:
    """Return the events of a model in one of our recordings."""
    text = (OURS / "langchain-protocol" / f"{name}.ndjson").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def start(**fields: Any) -> dict[str, Any]:
    return {
        "event": "message-start",
        "role": "ai",
        "id": "msg_1",
        "metadata": {"provider": "openai"},
    } | fields


def begin(index: int, **content: Any) -> dict[str, Any]:
    return {"event": "content-block-start", "index": index, "content": content}


def add(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"event": "content-block-delta", "index": index, "delta": {"type": f"{kind}-delta", **fields}}


def end(index: int, **content: Any) -> dict[str, Any]:
    return {"event": "content-block-finish", "index": index, "content": content}


def finish(word: str | None = "stop", /, **fields: Any) -> dict[str, Any]:
    metadata = {} if word is None else {"finish_reason": word}
    return {"event": "message-finish", "metadata": metadata} | fields


def wrapped(data: Any, method: str = "messages", **params: Any) -> dict[str, Any]:
    return {"type": "event", "method": method, "params": {"namespace": [], "data": data, **params}}


RUNNING, COMPLETED = (wrapped({"event": state}, "lifecycle") for state in ("running", "completed"))


HELLO = (begin(0, type="text", text=""), add(0, "text", text="Hel"), add(0, "text", text="lo"))
CALL = (
    begin(1, type="tool_call_chunk", id="call_1", name="get_weather", args=""),
    add(1, "tool-call", args='{"city":'),
    add(1, "tool-call", args=' "Oslo"}'),
)
CALLED = end(1, type="tool_call", id="call_1", name="get_weather", args={"city": "Oslo"})


def read(*events: dict[str, Any]) -> Told:
    return tell(LangChainProtocol(), *events)


def test_blocks_add_up_to_the_message_of_a_model() -> None:
    usage = {"input_tokens": 3, "output_tokens": 5, "input_token_details": {"cache_read": 2}}
    told = read(
        start(), *HELLO, *CALL, end(0, type="text", text="Hello"), CALLED, finish("stop", usage=usage)
    )
    message = told.message

    assert ("Hello", "tool_calls", "stop") == (message.text, message.finish_reason, message.raw_finish_reason)
    assert [("call_1", "get_weather", {"city": "Oslo"})] == [
        (call.id, call.name, call.arguments) for call in message.tool_calls
    ]
    assert message.usage
    assert (3, 5, 2) == (message.usage.input_tokens, message.usage.output_tokens, message.usage.cached_tokens)
    assert ("msg_1", None, set()) == (message.id, told.error, told.rules)


def test_an_answer_that_langchain_ends_without_the_providers_reason_was_cut() -> None:
    """LangChain ends all blocks, and parses the arguments, also if the provider's stream broke off."""
    told = read(start(), *HELLO, *CALL, end(0, type="text", text="Hello"), CALLED, finish(None))

    assert isinstance(told.error, StreamTruncated)
    assert "finish reason" in str(told.error)
    assert [] == told.calls
    assert "Hello" == told.message.text


def test_a_model_that_names_no_provider_may_end_without_a_reason() -> None:
    """LangChain's own fakes, and models of your own, know none; a departure counts it."""
    stream = Stream(lines_of("fake_model"))

    assert ("Hello there", "complete", None) == (
        stream.final().text,
        stream.message.ending,
        stream.message.finish_reason,
    )
    assert ["finish_missing"] == list(stream.departures.details)


def test_a_model_that_names_no_provider_does_not_end_inside_a_call() -> None:
    """Arguments that are the beginning of a JSON value show that the answer was cut."""
    broken = end(1, type="invalid_tool_call", id="call_1", name="get_weather", args='{"city":', error="e")
    told = read(start(metadata={}), *CALL[:2], broken, finish(None))

    assert isinstance(told.error, StreamTruncated)
    assert [] == told.calls


def test_a_call_is_handed_out_when_another_block_begins() -> None:
    """LangChain ends all blocks at the end, so that an end proves nothing."""
    another = begin(2, type="tool_call_chunk", id="call_2", name="get_time", args="")

    assert [] == read(start(), *CALL).calls
    assert [] == read(start(), *CALL, CALLED).calls
    # The end of its own block says nothing new behind the start of another one.
    for behind in [another], [CALLED, begin(2, type="text", text="")], [another, CALLED]:
        assert ["get_weather"] == [call.name for call in read(start(), *CALL, *behind).calls]


def test_a_call_that_arrives_whole_is_read() -> None:
    """Models that are not streamed have no pieces: the end of the block has the arguments."""
    skeleton = begin(0, type="tool_call", id="c", name="f", args={})
    told = read(start(), skeleton, end(0, type="tool_call", id="c", name="f", args={"a": 1}), finish())

    assert [{"a": 1}] == [call.arguments for call in told.message.tool_calls]


def test_snapshots_of_arguments_are_read_as_pieces() -> None:
    """JavaScript's integrations may send all arguments so far each time."""
    pieces = [
        add(1, "block", fields={"type": "tool_call_chunk", "args": text})
        for text in ('{"city":', '{"city": "Oslo"}')
    ]
    told = read(start(), CALL[0], *pieces, CALLED, finish("tool_calls"))

    assert [{"city": "Oslo"}] == [call.arguments for call in told.message.tool_calls]
    assert set() == told.rules


def test_content_of_every_kind_has_a_place() -> None:
    note = {"type": "citation", "url": "https://x.example", "title": "T", "cited_text": "Hello"}
    told = read(
        start(),
        begin(0, type="reasoning", reasoning=""),
        add(0, "reasoning", reasoning="Hm."),
        end(0, type="reasoning", reasoning="Hm.", extras={"signature": "s"}),
        begin(1, type="text", text=""),
        add(1, "text", text="Hello"),
        end(1, type="text", text="Hello", annotations=[note]),
        begin(2, type="audio", mime_type="audio/wav"),
        add(2, "data", data="QUJD"),
        add(2, "data", data="REVG"),
        end(2, type="audio", base64="QUJDREVG", mime_type="audio/wav"),
        begin(3, type="server_tool_call_chunk", id="s", name="search", args=""),
        add(3, "tool-call", args='{"q": "x"}'),
        end(3, type="server_tool_call", id="s", name="search", args={"q": "x"}),
        begin(4, type="server_tool_result", tool_call_id="s", status="success"),
        end(4, type="server_tool_result", tool_call_id="s", status="success", output=["found"]),
        begin(5, type="non_standard", value={}),
        end(5, type="non_standard", value={"type": "map", "at": "Oslo"}),
        finish(),
    )
    reasoning, _, citation, media, call, *_ = told.parts
    kinds = ["reasoning", "text", "citation", "media", "server_tool_call", "server_tool_result", "opaque"]

    assert kinds == told.kinds
    assert ("Hm.", "s") == (reasoning.text, reasoning.signature)
    assert (b"ABCDEF", "https://x.example") == (media.data, getattr(citation, "url", None))
    assert '{"q": "x"}' == getattr(call, "arguments_text", None)
    assert set() == told.rules


_REASONS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    ({"finish_reason": "max_tokens"}, {}, ("length", "max_tokens")),
    ({"status": "completed"}, {}, ("stop", "completed")),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        {},
        ("content_filter", "content_filter"),
    ),
    ({"finish_reason": "w", "normalized_finish_reason": "refusal"}, {}, ("refusal", "w")),
    ({"finish_reason": "w", "normalized_finish_reason": "other"}, {}, ("unknown", "w")),
    ({"stop_reason": "w", "finish_state": "suspended"}, {}, ("pause", "w")),
    ({}, {"finishReason": "w", "normalizedFinishReason": "context_exceeded"}, ("length", "w")),
    ({}, {"finishReason": "pause_turn", "finishState": "suspended"}, ("pause", "pause_turn")),
    ({}, {"reason": "tool_use"}, ("tool_calls", "tool_use")),
    ({}, {"responseMetadata": {"finish_reason": "length"}}, ("length", "length")),
]


@in_one_test(("metadata", "fields", "expected"), _REASONS)
def test_the_reason_is_the_providers_or_langchains_own(
    metadata: dict[str, Any], fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    """LangChain.js 1.5 adds words of its own, and says whether the provider has paused the answer."""
    told = read(start(), *HELLO, finish(None, metadata=metadata, **fields))

    assert expected == (told.reason, told.raw_reason)


def test_an_error_in_the_middle_ends_the_answer() -> None:
    told = read(start(), *HELLO, {"event": "error", "message": "Overloaded", "code": "overloaded_error"})

    assert ("overloaded", "overloaded_error") == (told.failure.kind, told.failure.code)
    assert "Hello" == told.message.text


@in_one_test("name", ["reasoning_and_calls", "anthropic_length"])
def test_an_answer_that_is_cut_anywhere_is_truncated(name: str) -> None:
    events = lines_of(name)

    for place in range(len(events)):
        with pytest.raises(StreamTruncated) as caught:
            Stream(events[:place]).final()
        assert not any(call.complete for call in caught.value.partial.tool_calls[-1:])


def test_a_subagent_is_not_the_answer() -> None:
    """The answers of the graph itself are; what the subagent has said is in the tool's result."""
    stream = Stream(AGENT)
    events = list(stream)

    assert "I ask the helper.It is sunny in Oslo." == stream.message.text
    assert [("call_1", "Sunny, says the map.")] == [
        (event.id, event.output) for event in events if isinstance(event, ToolResult)
    ]
    assert ("stop", "complete", {}) == (
        stream.message.finish_reason,
        stream.message.ending,
        stream.departures.details,
    )


def test_each_answer_of_a_graph_is_read_in_turn() -> None:
    said = [(response.final().text, response.message.finish_reason) for response in Stream(AGENT).responses]

    assert [("I ask the helper.", "tool_calls"), ("It is sunny in Oslo.", "stop")] == said


_CALL = ("Let me see.", ["get_weather"], "tool_calls")
_SAID = ("The sea is salty.", list[str](), "stop")


@in_one_test("mode", RUNS)
def test_the_messages_of_a_servers_run_are_its_answers_in_each_mode(mode: str) -> None:
    """As bytes, as what its client yields, and in its second version; together or one by one."""
    for source in ([RUNS[mode]], parts_of(mode), [v2(part) for part in parts_of(mode)]):
        stream = Stream(source)
        answers = [each.final() for each in Stream(source).responses]
        said = [(each.text, [call.name for call in each.tool_calls], each.finish_reason) for each in answers]

        assert said == ([_SAID] if mode == "events" else [_CALL, _SAID])
        assert stream.final().text == "".join(each.text for each in answers)
        assert ("langchain-protocol", {}) == (stream.format, stream.departures.details)


@in_one_test("mode", ["messages", "messages_tuple", "events"])
def test_a_servers_run_that_is_cut_or_fails_in_an_answer_is_no_whole_one(mode: str) -> None:
    frames = RUNS[mode].split(b"\r\n\r\n")
    last = max(n for n, frame in enumerate(frames) if b'"finish_reason"' not in frame and b'"The ' in frame)
    body = b"\r\n\r\n".join([*frames[: last + 1], b""])
    for rest, kind in (
        (b"", StreamTruncated),
        (sse({"error": "E", "message": "x"}, event="error"), ProviderError),
    ):
        with pytest.raises(kind) as caught:
            Stream([body + rest]).final()
        assert caught.value.partial.text.removeprefix("Let me see.").startswith("The ")


def test_models_of_a_servers_run_that_write_at_once_are_told_apart() -> None:
    one, two = [{**part, "id": f"lc_{n}"} for n, part in enumerate([_CHUNK] * 2)]
    last = {"chunk_position": "last", "response_metadata": {"finish_reason": "stop"}, "content": ""}
    pairs = [one, two, {**one, "content": "!"}, {**two, **last}, {**one, **last}]
    parts = [StreamPart("metadata", {}), *[StreamPart("messages", [each, _NODE]) for each in pairs]]

    assert Stream(parts).final().text == "Hi!"
    assert [each.final().text for each in Stream(parts).responses] == ["Hi!", "Hi"]


_NODE = {"langgraph_node": "ask"}
_CHUNK = {"type": "AIMessageChunk", "content": "Hi", "response_metadata": {}}


def test_a_run_of_a_server_that_is_cut_anywhere_is_truncated() -> None:
    """Between two answers, the end of the run is missing."""
    for place in range(len(AGENT)):
        with pytest.raises(StreamTruncated):
            Stream(AGENT[:place]).final()


def test_a_run_that_failed_is_an_error() -> None:
    """The server says so at the end of the run."""
    failed = wrapped({"event": "failed", "error": "no such tool"}, "lifecycle")
    with pytest.raises(ProviderError, match="no such tool") as caught:
        Stream([*AGENT[:18], failed]).final()

    assert "I ask the helper." == caught.value.partial.text


def test_a_run_whose_last_answer_failed_has_failed() -> None:
    """The server may call it complete: the graph itself has not."""
    broken = [start(), *HELLO, {"event": "error", "message": "busy", "code": "overloaded_error"}]
    with pytest.raises(ProviderError, match="busy") as caught:
        Stream([RUNNING, *[wrapped(event) for event in broken], COMPLETED]).final()

    assert "Hello" == caught.value.partial.text


def test_events_that_a_server_sends_again_are_dropped() -> None:
    """Ids of events are the same on every connection."""
    stream = Stream([*AGENT[:12], *AGENT])

    assert "I ask the helper.It is sunny in Oslo." == stream.final().text
    assert ["frame_repeated"] == list(stream.departures.details)


def test_a_connection_that_broke_off_goes_on_after_the_last_number() -> None:
    """A server of LangGraph takes the number in the request's JSON, and may send again what came before."""
    body = (OURS / "langchain-protocol" / "agent_with_subagent.sse").read_bytes()
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        sent = (
            body[body.index(b"event: messages\r\ndata") :] if "since" in asked[-1] else body[: len(body) // 2]
        )
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=sent)

    with connect(
        "https://graph.example/threads/t1/stream/events",
        json={"channels": ["messages", "tools", "lifecycle"]},
        client=httpx.Client(transport=httpx.MockTransport(answer)),
        retry=Retry(wait=lambda _: 0.0),
    ) as stream:
        text = "".join(stream.text)

    assert "I ask the helper.It is sunny in Oslo." == text
    assert ("complete", {}) == (stream.message.ending, stream.departures.details)
    last = int(body[: len(body) // 2].rpartition(b"id: ")[2].split()[0])
    assert [None, last] == [payload.get("since") for payload in asked]


def test_a_stream_that_cannot_go_on_where_it_broke_off_is_an_error() -> None:
    """A server keeps only the last events."""
    refused = {"type": "error", "id": None, "error": "resume_gap", "message": "since=3"}

    assert isinstance(read(start(), refused).error, PositionLost)
    assert isinstance(read({**refused, "error": "no_such_run"}).error, ProviderError)


def test_the_answers_of_models_that_run_at_once_are_not_mixed() -> None:
    """In Python, an event says which model's it is; the second model's events are reported as unknown."""
    one, two = {"run_id": "r1"}, {"run_id": "r2"}
    told = read(
        wrapped((start(), one)),
        *[wrapped((event, one)) for event in HELLO],
        wrapped((start(id="msg_2"), two)),
        *[wrapped((event, two)) for event in HELLO],
        wrapped((finish(), two)),
        wrapped((finish(), one)),
    )

    assert ("Hello", "stop") == (told.message.text, told.reason)


def at_once(**nodes: str) -> list[dict[str, Any]]:
    """Return the events of a server's run in which two models answer at once, each with its node if named."""
    a, b = ({"node": nodes[name]} if name in nodes else {} for name in ("a", "b"))
    return [
        RUNNING,
        wrapped(start(id="a"), **a),
        wrapped(start(id="b"), **b),
        wrapped(add(0, "text", text="A"), **a),
        wrapped(add(0, "text", text="B"), **b),
        wrapped(finish(), **a),
        wrapped(finish(), **b),
    ]


def test_the_models_of_a_server_that_run_at_once_are_told_apart_by_their_nodes() -> None:
    """A server sends no id of the model's run, but may name the node."""
    events = [*at_once(a="one", b="two"), COMPLETED]

    assert ("A", "complete") == (Stream(events).final().text, Stream(events).final().ending)
    assert ["A", "B"] == [response.final().text for response in Stream(events).responses]


def test_answers_that_nothing_tells_apart_are_never_joined() -> None:
    """Without nodes, the texts of two models that run at once cannot be assigned: the answer has failed."""
    stream = Stream([*at_once(), COMPLETED])
    with pytest.raises(ProtocolError, match="several models"):
        stream.final()

    assert ("", "failed", ["answers_interleaved"]) == (
        stream.message.text,
        stream.message.ending,
        list(stream.departures.details),
    )
    (response,) = Stream([*at_once(), COMPLETED]).responses
    assert "failed" == response.message.ending


def test_two_tasks_of_one_node_are_never_joined() -> None:
    """The name of the node is then no help."""
    with pytest.raises(ProtocolError):
        Stream([*at_once(a="work", b="work"), COMPLETED]).final()


def test_pieces_without_a_node_are_of_no_known_answer_while_two_are_open() -> None:
    """Only the starts name their nodes."""
    events = at_once(a="one", b="two")
    for event in events[3:]:
        del event["params"]["node"]

    with pytest.raises(ProtocolError):
        Stream([*events, COMPLETED]).final()


def said_by_each(events: list[dict[str, Any]]) -> list[tuple[str | None, str, str]]:
    """Return the id, the text and the ending of each answer of a run."""
    told: list[tuple[str | None, str, str]] = []
    with Stream([RUNNING, *events, COMPLETED]) as stream:
        for response in stream.responses:
            with suppress(StreamError):
                response.final()
            told.append((response.message.id, response.message.text, response.message.ending))
    return told


def test_pieces_without_a_node_are_in_none_of_the_responses() -> None:
    events = at_once(a="one", b="two")[1:]
    del events[3]["params"]["node"]

    assert [("a", "A", "failed"), ("b", "", "failed")] == said_by_each(events)
    with (
        Stream([RUNNING, *events, COMPLETED]) as stream,
        pytest.raises(ProtocolError, match="several models"),
    ):
        [response.final() for response in stream.responses]


@pytest.mark.anyio
async def test_each_of_the_mixed_responses_counts_the_departure() -> None:
    events = at_once(a="one", b="two")
    del events[4]["params"]["node"]
    for run, responses, first in (
        ([*events, COMPLETED], 2, 4),
        ([RUNNING, *without_ids(*at_once()[1:]), COMPLETED], 1, 3),
    ):
        told: list[Any] = []
        with Stream(run) as stream:
            for response in stream.responses:
                with suppress(StreamError):
                    response.final()
                told.append(response)
        async with AsyncStream(later(run)) as waiting:
            async for answer in waiting.responses:
                with suppress(StreamError):
                    await answer.final()
                told.append(answer)

        counted = [each.departures["answers_mixed"] for each in told]
        assert [1] * 2 * responses == [each.count for each in counted]
        assert first == counted[0].first_event


def without_ids(*events: dict[str, Any]) -> list[dict[str, Any]]:
    told = deepcopy([*events])
    for event in told:
        event["params"]["data"].pop("id", None)
    return told


def test_answers_without_ids_that_are_mixed_are_one_response() -> None:
    """The answer that was open fails, and the pieces after it begin no others; a later answer is read."""
    mixed = without_ids(*at_once()[1:])
    third = without_ids(wrapped(start()), *mixed[2:4], wrapped(finish()))
    last = without_ids(*[wrapped(event) for event in (start(), *HELLO, finish())])
    tool = without_ids(*[wrapped(event) for event in (start(role="tool", metadata={}), *HELLO[:1])])

    assert [(None, "", "failed")] == said_by_each(mixed)
    assert [(None, "", "failed")] == said_by_each([*mixed[:2], *third, *mixed[4:]])
    assert [(None, "", "failed"), (None, "Hello", "complete")] == said_by_each([*mixed, *last])
    # The answer that begins beside the message of a tool is the only one.
    assert [(None, "", "failed")] == said_by_each([*tool, *last, *mixed[4:5]])


@pytest.mark.slow
def test_no_response_has_the_words_of_another_one() -> None:
    """However two answers are interleaved, and whichever of their events name a node."""
    a, b = (
        [events[at] for at in places] for events, places in ((at_once(), (1, 3, 5)), (at_once(), (2, 4, 6)))
    )
    for order in set(permutations("aaabbb")):
        left = {"a": iter(a), "b": iter(b)}
        events = [next(left[name]) for name in order]
        for named in product((False, True), repeat=6):
            run = [
                {**event, "params": {**event["params"], **({"node": name} if is_named else {})}}
                for event, name, is_named in zip(events, order, named, strict=True)
            ]
            for id, text, _ in said_by_each(run):
                assert text in ("", str(id).upper()), (order, named)


def test_the_answer_after_those_that_were_mixed_is_read() -> None:
    """The run goes on, and its last answer decides, as after an error of a model."""
    last = [wrapped(event) for event in (start(id="c"), *HELLO, finish())]
    stream = Stream([*at_once(), *last, COMPLETED])

    assert ("Hello", "complete", 1) == (
        stream.final().text,
        stream.message.ending,
        stream.departures.details["answers_interleaved"],
    )


def test_a_start_that_is_sent_again_is_no_other_answer() -> None:
    told = read(start(), *HELLO[:2], start(), HELLO[2], finish())
    graph = Stream([wrapped(event) for event in (start(), *HELLO[:2], start(), HELLO[2], finish())])

    assert ("Hello", None, {"start_repeated"}) == (told.message.text, told.error, told.rules)
    assert ("Hello", ["start_repeated"]) == (graph.final().text, list(graph.departures.details))
    # The message of a model alone has no other beside it: the end of the first one is missing.
    assert isinstance(read(start(), *HELLO, start(id="msg_2")).error, StreamTruncated)


def test_a_message_of_a_tool_is_not_the_answer() -> None:
    """A tool's message may come first, and beside the answer if the node tells it."""
    tool = [start(id="t", role="tool", metadata={}), *HELLO, finish(None)]
    said = [start(), *HELLO, finish()]
    beside = [
        wrapped(start(), node="model"),
        *[wrapped(event, node="tools") for event in tool],
        *[wrapped(event, node="model") for event in said[1:]],
    ]

    assert "Hello" == Stream([wrapped(event) for event in (*tool, *said)]).final().text
    assert "Hello" == Stream(beside).final().text
    # Nothing tells the pieces of the answer from those of the tool's message that is open.
    with pytest.raises(ProtocolError):
        Stream([RUNNING, *[wrapped(event) for event in (*tool[:2], *said)], COMPLETED]).final()


_TOLD: dict[str, tuple[list[str], object, str]] = {
    "the end lacks": (['{"a":'], {"a": 1}, '{"a": 1}'),
    "written without spaces": (['{"a":1,"b":'], {"a": 1, "b": 2}, '{"a":1,"b":2}'),
    "as text": (['{"a":'], '{"a":1}', '{"a":1}'),
    "equal in another spelling": (['{"b":2,', '"a":1}'], {"a": 1, "b": 2}, '{"b":2,"a":1}'),
    "no pieces": ([], {"a": 1}, '{"a": 1}'),
}


@in_one_test(("pieces", "whole", "arguments"), list(_TOLD.values()), ids=list(_TOLD))
def test_the_end_of_a_call_adds_what_its_pieces_lack(
    pieces: list[str], whole: object, arguments: str
) -> None:
    called = end(0, type="tool_call", id="c", name="f", args=whole)
    begun = begin(0, type="tool_call_chunk", id="c", name="f", args="")
    told = read(start(), begun, *[add(0, "tool-call", args=piece) for piece in pieces], called, finish())

    assert [(arguments, True)] == [(call.arguments_text, call.complete) for call in told.message.tool_calls]
    assert (set(), None) == (told.rules, told.error)


def test_a_call_whose_end_tells_other_arguments_is_not_handed_out() -> None:
    begun = begin(0, type="tool_call_chunk", id="c", name="f", args="")
    called = end(0, type="tool_call", id="c", name="f", args={"a": 2})
    told = read(start(), begun, add(0, "tool-call", args='{"a":1}'), called, finish())

    assert isinstance(told.error, ProtocolError)
    assert ([], {"late_content"}) == (told.calls, told.rules - {"call_open_at_end"})


@in_one_test("at", range(4))
@in_one_test("again", [True, False])
@pytest.mark.parametrize("kind", ["text", "reasoning"])
def test_pieces_after_the_end_of_their_block_are_added_once(kind: str, at: int, again: bool) -> None:
    """The end has told them before; if it comes once more, it changes nothing."""
    pieces = ["Low ", "water ", "at six."]
    whole = "".join(pieces)
    events: list[Any] = [add(0, kind, **{kind: piece}) for piece in pieces]
    events.insert(at, end(0, type=kind, **{kind: whole}))
    last = [end(0, type=kind, **{kind: whole})] if again else []
    got = read(start(), begin(0, type=kind, **{kind: ""}), *events, *last, finish())

    assert whole == (got.message.text if kind == "text" else got.message.reasoning)
    assert (True, None) == (got.message.complete, got.error)


def test_a_block_with_the_index_of_one_that_has_ended_is_another_block() -> None:
    blocks = [
        event
        for text in ("One. ", "Two.")
        for event in (
            begin(0, type="text", text=""),
            add(0, "text", text=text),
            end(0, type="text", text=text),
        )
    ]
    got = read(start(), *blocks, finish())

    assert ("One. Two.", {"part_index_reused"}) == (got.message.text, got.rules)


def test_the_content_of_a_blocks_start_is_its_first_piece() -> None:
    """A start may have text, reasoning, or arguments."""
    told = read(
        start(),
        begin(0, type="reasoning", reasoning="H"),
        add(0, "reasoning", reasoning="m."),
        end(0, type="reasoning", reasoning="Hm."),
        begin(1, type="text", text="he"),
        add(1, "text", text="llo"),
        end(1, type="text", text="hello"),
        begin(2, type="tool_call_chunk", id="c", name="f", args='{"a"'),
        add(2, "tool-call", args=": 1}"),
        end(2, type="tool_call", id="c", name="f", args={"a": 1}),
        begin(3, type="server_tool_call_chunk", id="s", name="search", args='{"q"'),
        add(3, "tool-call", args=': "x"}'),
        end(3, type="server_tool_call", id="s", name="search", args={"q": "x"}),
        finish(),
    )

    assert ("Hm.", "hello", None, set()) == (
        told.message.reasoning,
        told.message.text,
        told.error,
        told.rules,
    )
    assert ['{"a": 1}', '{"q": "x"}'] == [getattr(part, "arguments_text", None) for part in told.parts[2:]]
