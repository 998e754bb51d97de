"""A second answer behind the end of the first one, in one body: `stream.responses` reads it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tokenstream import Retry, Stream, connect
from tokenstream.errors import StreamTruncated

pytestmark = pytest.mark.anyio


def chat(id: str, text: str) -> list[dict[str, Any] | str]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": id, "object": "chat.completion.chunk", "model": "m", "choices": [choice]}

    return [chunk({"role": "assistant", "content": text}), chunk({}, "stop"), "[DONE]"]


def anthropic(id: str, text: str) -> list[dict[str, Any] | str]:
    message = {"id": id, "type": "message", "role": "assistant", "content": [], "usage": {}}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]


def responses(id: str, text: str) -> list[dict[str, Any] | str]:
    head = {"id": id, "object": "response", "model": "m"}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": f"m{id}", "role": "assistant", "status": "completed", "content": content}
    return [
        {"type": "response.created", "response": {**head, "status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**head, "status": "completed", "output": [item]}},
    ]


def cohere(id: str, text: str) -> list[dict[str, Any] | str]:
    content = {"type": "text", "text": text}
    return [
        {"type": "message-start", "id": id, "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": content}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    ]


def old_cohere(id: str, text: str) -> list[dict[str, Any] | str]:
    return [
        {"is_finished": False, "event_type": "stream-start", "generation_id": id},
        {"is_finished": False, "event_type": "text-generation", "text": text},
        {"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE"},
    ]


def ui_message(id: str, text: str) -> list[dict[str, Any] | str]:
    return [
        {"type": "start", "messageId": id},
        {"type": "text-start", "id": "t"},
        {"type": "text-delta", "id": "t", "delta": text},
        {"type": "text-end", "id": "t"},
        {"type": "finish", "finishReason": "stop"},
        "[DONE]",
    ]


def ag_ui(id: str, text: str) -> list[dict[str, Any] | str]:
    return [
        {"type": "RUN_STARTED", "threadId": "t", "runId": id},
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": f"m{id}", "role": "assistant", "delta": text},
        {"type": "RUN_FINISHED", "threadId": "t", "runId": id},
    ]


def completions(id: str, text: str) -> list[dict[str, Any] | str]:
    choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return [{"id": id, "object": "text_completion", "model": "m", "choices": [choice]}, "[DONE]"]


def a2a(id: str, text: str) -> list[dict[str, Any] | str]:
    task = {"taskId": id, "contextId": "c"}
    artifact = {"artifactId": f"a{id}", "parts": [{"kind": "text", "text": text}]}
    updates: list[dict[str, Any]] = [
        {"kind": "status-update", **task, "status": {"state": "working"}},
        {"kind": "artifact-update", **task, "artifact": artifact},
        {"kind": "status-update", **task, "final": True, "status": {"state": "completed"}},
    ]
    return [{"jsonrpc": "2.0", "id": 1, "result": update} for update in updates]


def mistral(id: str, text: str) -> list[dict[str, Any] | str]:
    return [
        {"type": "conversation.response.started", "conversation_id": id},
        {"type": "message.output.delta", "id": f"m{id}", "content": text, "role": "assistant"},
        {"type": "conversation.response.done", "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
    ]


each_format = pytest.mark.parametrize(
    "write", [chat, anthropic, responses, cohere, old_cohere, ui_message, ag_ui, completions, a2a, mistral]
)


def body(*answers: list[dict[str, Any] | str]) -> list[bytes]:
    payloads = [payload for answer in answers for payload in answer]
    texts = [payload if isinstance(payload, str) else json.dumps(payload) for payload in payloads]
    return [f"data: {text}\n\n".encode() for text in texts]


@each_format
def test_each_answer_of_a_body_is_one_of_its_own(write: Any) -> None:
    chunks = body(write("1", "first"), write("2", "second"), write("3", "third"))
    for source in (chunks, [b"".join(chunks)]):
        stream = Stream(source)
        got = [(answer.final().text, answer.message.id, answer.message.ending) for answer in stream.responses]

        assert [("first", "1", "complete"), ("second", "2", "complete"), ("third", "3", "complete")] == got


@each_format
def test_a_stream_reads_the_first_answer_and_counts_the_other(write: Any) -> None:
    stream = Stream(body(write("1", "first"), write("2", "second")))

    assert "first" == stream.final().text
    assert 1 == stream.departures.details["second_answer"]


@each_format
def test_the_same_answer_again_is_no_second_one(write: Any) -> None:
    stream = Stream(body(write("1", "first"), write("1", "first")))

    assert ["first"] == [answer.final().text for answer in stream.responses]
    assert "second_answer" not in stream.departures.details
    assert {"data_after_end", "end_repeated"} & stream.departures.details.keys()


def test_a_second_answer_that_breaks_off_is_truncated() -> None:
    stream = Stream(body(chat("1", "first"), chat("2", "second")[:1]))
    first, second = stream.responses
    assert "first" == first.final().text

    with pytest.raises(Exception, match="ended"):
        second.final()
    assert ("second", "truncated") == (second.message.text, second.message.ending)


def test_a_second_answer_of_a_model_on_bedrock_is_one_of_its_own() -> None:
    """The model's own payloads have the ids."""
    payloads = [*anthropic("1", "first"), *anthropic("2", "second")]
    stream = Stream([{"chunk": {"bytes": json.dumps(payload).encode()}} for payload in payloads])

    assert ["first", "second"] == [answer.final().text for answer in stream.responses]
    assert "bedrock-invoke" == stream.format


def test_what_is_no_payload_after_the_end_on_bedrock_is_ignored() -> None:
    ended = [{"chunk": {"bytes": json.dumps(payload).encode()}} for payload in anthropic("1", "first")]
    stream = Stream([*ended, {"chunk": {"bytes": b"{"}}, {"chunk": {}}], format="bedrock-invoke")

    assert ("first", "complete") == (stream.final().text, stream.message.ending)
    assert 2 == stream.departures.details["data_after_end"]


def interactions(id: str, text: str) -> list[dict[str, Any] | str]:
    return [
        {"event_type": "interaction.created", "interaction": {"id": id, "status": "in_progress"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": text}},
        {"event_type": "step.stop", "index": 0},
        {"event_type": "interaction.completed", "interaction": {"id": id, "status": "completed"}},
    ]


def on_bedrock(id: str, text: str) -> list[dict[str, Any] | str]:
    return [{"chunk": {"bytes": json.dumps(payload).encode()}} for payload in anthropic(id, text)]


def text_of(part: Any) -> str:
    text: str = part.text
    return text


named_starts = pytest.mark.parametrize(
    "write", [anthropic, responses, cohere, old_cohere, ag_ui, mistral, interactions, on_bedrock]
)


def _source(*payloads: dict[str, Any] | str) -> list[Any]:
    return [*payloads] if any("chunk" in payload for payload in payloads) else body([*payloads])


@named_starts
def test_an_answer_in_the_middle_of_another_cuts_it(write: Any) -> None:
    """A proxy has asked again: what the two say is never joined, wherever the first one breaks off."""
    first, second = write("1", "first"), write("2", "second")
    for broken_at in range(1, len(first)):
        begun = Stream(_source(*first[:broken_at]))
        with suppress(StreamTruncated):
            begun.final()
        if begun.message.finish_reason is not None:
            continue
        spliced = Stream(_source(*first[:broken_at], *second))
        if not begun.message.text:
            # A proxy has sent a start and an empty part of its own, which stays empty.
            assert ["second"] == list(filter(None, map(text_of, spliced.final().parts)))
            continue
        with pytest.raises(StreamTruncated, match="another answer, '2', begins before the end") as caught:
            spliced.final()
        assert begun.message.text == caught.value.partial.text
        assert "truncated" == spliced.message.ending


@named_starts
def test_the_start_of_the_same_answer_may_come_again(write: Any) -> None:
    start, *rest = write("1", "first")
    for index in range(len(rest)):
        stream = Stream(_source(start, *rest[:index], start, *rest[index:]))

        assert ("first", "complete") == (stream.final().text, stream.message.ending)


@pytest.mark.parametrize("content", [{"type": "thinking", "thinking": ""}, {"type": "text", "text": ""}])
def test_an_empty_block_of_a_proxy_is_no_answer(content: dict[str, str]) -> None:
    """A proxy sends a start, and a block that it may also end, before the server has said anything."""
    begun: list[dict[str, Any] | str] = [
        {"type": "message_start", "message": {"id": "of the proxy", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": content},
        {"type": "content_block_stop", "index": 0},
    ]
    for sent in (begun[:2], begun):
        stream = Stream(body(sent, anthropic("1", "first")))

        assert ("first", "complete") == (stream.final().text, stream.message.ending)
        assert "start_twice" in stream.departures.details


def test_a_begun_call_and_a_finish_reason_are_an_answer() -> None:
    """The model has chosen a tool or has ended: another answer is not the same one again."""
    start, _, *_, end, _ = anthropic("1", "")
    call = {"type": "tool_use", "id": "c", "name": "pay", "input": {}}
    begun = {"type": "content_block_start", "index": 0, "content_block": call}
    spliced = Stream(body([start, begun], anthropic("2", "second")))
    with pytest.raises(StreamTruncated, match="another answer, '2', begins"):
        spliced.final()

    stream = Stream(body([start, end], anthropic("2", "second")))
    assert ["", "second"] == [answer.final().text for answer in stream.responses]


def test_an_empty_item_of_a_proxy_stays_empty() -> None:
    """The server's own item has another id, and the text."""

    def begun(id: str) -> list[dict[str, Any] | str]:
        item = {"type": "message", "id": f"m{id}", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        place = {"item_id": f"m{id}", "output_index": 0, "content_index": 0}
        return [
            responses(id, "")[0],
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **place, "part": part},
        ]

    stream = Stream(body(begun("1"), begun("2"), responses("2", "second")[1:]))

    assert ["", "second"] == [*map(text_of, stream.final().parts)]


def test_a_finished_answer_without_its_end_is_whole() -> None:
    stream = Stream(body(anthropic("1", "first")[:-1], anthropic("2", "second")))

    assert ["first", "second"] == [answer.final().text for answer in stream.responses]


def test_an_answer_that_another_one_cuts_is_asked_for_again() -> None:
    headers = {"content-type": "text/event-stream"}
    bodies = [body(anthropic("1", "first")[:3], anthropic("2", "second")), body(anthropic("3", "third"))]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, content=b"".join(bodies.pop(0)))

    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        connect("http://model.test", json={}, client=client, retry=Retry(wait=0)) as stream,
    ):
        assert "third" == stream.final().text
