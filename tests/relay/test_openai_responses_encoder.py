"""What is sent as a response of OpenAI: the events of small answers, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.relay.openai_answers import FORMATS, media_of, message_of
from tests.support.sent import payloads_of, relayed
from tests.support.wire import sses
from tokenstream import Stream, relay, testing
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
)
from tokenstream.message import Citation, MediaPart, ReasoningPart, TextPart


def _without(payload: Any, *names: str) -> Any:
    return {name: value for name, value in payload.items() if name not in names}


def _events(chunks: Iterable[bytes]) -> list[Any]:
    """Return the events of a response, whose names and numbers are right."""
    payloads = payloads_of(chunks)
    assert [name for name, _ in payloads] == [payload["type"] for _, payload in payloads]
    assert list(range(len(payloads))) == [payload["sequence_number"] for _, payload in payloads]
    return [_without(payload, "sequence_number") for _, payload in payloads]


def test_a_response_of_text_is_what_openai_sends() -> None:
    """The order of events, their indexes, and what is said again at each end."""
    script = (
        testing.script(id="resp_9", model="gpt-5.1").text("Hel", "lo").usage(input_tokens=7, output_tokens=3)
    )
    created, progress, *events, completed = _events(script.finish("stop").chunks("openai-responses"))
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "content": [], "role": "assistant"}
    whole = {**part, "text": "Hello"}
    over = {**item, "status": "completed", "content": [whole]}

    assert [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": over},
    ] == events
    assert ("response.created", "response.in_progress") == (created["type"], progress["type"])
    assert created["response"] == progress["response"]
    response = completed["response"]
    assert ("response.completed", "completed", [over]) == (
        completed["type"],
        response["status"],
        response["output"],
    )
    assert {
        "input_tokens": 7,
        "output_tokens": 3,
        "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    } == response["usage"]
    changed = ("status", "output", "usage", "completed_at")
    assert _without(created["response"], *changed) == _without(response, *changed)


def test_a_response_has_reasoning_as_a_summary_and_calls_as_items() -> None:
    """Each part is an output item, with the words of its kind."""
    script = testing.script().reasoning("Hm").refusal("No").tool_call("rm", ("{", "}"))
    *events, _ = _events(script.finish("stop").chunks("openai-responses"))[2:]
    summary = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    refused = {"item_id": "msg_2", "output_index": 1, "content_index": 0}
    called = {"item_id": "fc_3", "output_index": 2}
    call = {"id": "fc_3", "type": "function_call", "call_id": "call_1", "name": "rm"}
    message = {"id": "msg_2", "type": "message", "role": "assistant"}

    def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
        return {"type": "response.output_item.added", "output_index": index, "item": item}

    def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
        return {"type": "response.output_item.done", "output_index": index, "item": item}

    thought = {"type": "summary_text", "text": "Hm"}
    refusal = {"type": "refusal", "refusal": "No"}
    assert [
        added(0, {"id": "rs_1", "type": "reasoning", "summary": []}),
        {"type": "response.reasoning_summary_part.added", **summary, "part": {**thought, "text": ""}},
        {"type": "response.reasoning_summary_text.delta", **summary, "delta": "Hm"},
        {"type": "response.reasoning_summary_text.done", **summary, "text": "Hm"},
        {"type": "response.reasoning_summary_part.done", **summary, "part": thought},
        done(0, {"id": "rs_1", "type": "reasoning", "summary": [thought]}),
        added(1, {**message, "status": "in_progress", "content": []}),
        {"type": "response.content_part.added", **refused, "part": {**refusal, "refusal": ""}},
        {"type": "response.refusal.delta", **refused, "delta": "No"},
        {"type": "response.refusal.done", **refused, "refusal": "No"},
        {"type": "response.content_part.done", **refused, "part": refusal},
        done(1, {**message, "status": "completed", "content": [refusal]}),
        added(2, {**call, "status": "in_progress", "arguments": ""}),
        {"type": "response.function_call_arguments.delta", **called, "delta": "{"},
        {"type": "response.function_call_arguments.delta", **called, "delta": "}"},
        {"type": "response.function_call_arguments.done", **called, "arguments": "{}"},
        done(2, {**call, "status": "completed", "arguments": "{}"}),
    ] == events


def test_a_response_that_was_cut_says_why() -> None:
    """What was being said is incomplete, and so is the response; a call that was whole stays so."""
    script = testing.script().tool_call("ls", "{}").text("Hel").finish("length")
    response = _events(script.chunks("openai-responses"))[-1]["response"]

    assert ("incomplete", {"reason": "max_output_tokens"}, None) == (
        response["status"],
        response["incomplete_details"],
        response["completed_at"],
    )
    assert ["completed", "incomplete"] == [item["status"] for item in response["output"]]


def test_a_call_that_was_cut_is_incomplete_in_a_response() -> None:
    script = testing.script().tool_call("rm", '{"path": "/').finish("length")
    chunks = script.chunks("openai-responses")

    assert "incomplete" == _events(chunks)[-1]["response"]["output"][0]["status"]
    (call,) = message_of("openai-responses", chunks, "call_open_at_end").tool_calls
    assert ('{"path": "/', False) == (call.arguments_text, call.complete)


def test_a_source_in_a_response_is_an_annotation_of_its_text() -> None:
    script = testing.script().text("Hi").citation(url="http://a.b", title="A").text("Ho").finish()
    events = _events(script.chunks("openai-responses"))
    annotation = {"type": "url_citation", "url": "http://a.b", "title": "A", "start_index": 0, "end_index": 0}
    kinds = [event["type"] for event in events]
    told = kinds.index("response.output_text.annotation.added")

    assert {
        "type": "response.output_text.annotation.added",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "annotation_index": 0,
        "annotation": annotation,
    } == events[told]
    assert told < kinds.index("response.output_text.done")
    output = events[-1]["response"]["output"]
    assert [[annotation], []] == [item["content"][0]["annotations"] for item in output]


def test_an_annotation_of_a_file_is_written_as_it_came() -> None:
    """An annotation of a file names no URL, but a file of OpenAI's own."""
    own = {"type": "file_citation", "file_id": "file-1", "filename": "laws.pdf", "index": 2}
    cited = Citation(title="laws.pdf", text="cited", start=2, provider_data=own)
    chunks = relayed("openai-responses", TextDelta("Hi"), CitationAdded(cited, part=1), Finish("stop"))

    (read,) = message_of("openai-responses", chunks).citations
    assert own == read.provider_data


def test_an_image_in_a_response_is_an_item() -> None:
    script = testing.script().media(b"\x00\x01", "image/webp").finish()
    events = _events(script.chunks("openai-responses"))
    item = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress"}
    over = {**item, "status": "completed", "output_format": "webp", "result": "AAE="}
    place = {"item_id": "ig_1", "output_index": 0}

    assert [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.image_generation_call.in_progress", **place},
        {"type": "response.image_generation_call.generating", **place},
        {"type": "response.image_generation_call.completed", **place},
        {"type": "response.output_item.done", "output_index": 0, "item": over},
    ] == events[2:-1]
    (image,) = media_of(message_of("openai-responses", script.chunks("openai-responses")))
    assert (b"\x00\x01", "image/webp") == (image.data, image.mime_type)


def test_audio_whose_words_come_before_its_type_is_no_image() -> None:
    """Gemini Live may send the transcript first."""
    events: list[Event] = [
        PartStart(MediaPart()),
        MediaDelta(b"", "High "),
        PartStart(MediaPart(mime_type="audio/pcm")),
        MediaDelta(b"\x00\x01"),
        PartDone(),
        TextDelta("Hi", part=1),
        Finish("stop"),
    ]
    message = message_of("openai-responses", relayed("openai-responses", *events, lossy=True))

    assert ["text"] == [part.kind for part in message.parts]


def test_a_heartbeat_in_a_response_is_a_keepalive() -> None:
    silent = testing.script().text("Hi")

    assert {"type": "keepalive"} == _events(silent.ping().chunks("openai-responses"))[-1]
    for format in FORMATS:
        extra = len(silent.ping().chunks(format)) - len(silent.chunks(format))
        assert (format == "openai-responses") == bool(extra)


def test_a_message_of_a_response_says_its_phase() -> None:
    chunks = relayed(
        "openai-responses",
        PartStart(TextPart(phase="commentary")),
        TextDelta("Let me see."),
        PartDone(),
        PartStart(TextPart(), part=1),
        TextDelta("Hi", part=1),
        Finish("stop"),
    )
    items = [event["item"] for event in _events(chunks) if "item" in event]

    assert ["commentary", "commentary", None, None] == [item.get("phase") for item in items]
    first, _ = message_of("openai-responses", chunks).parts
    assert isinstance(first, TextPart)
    assert "commentary" == first.phase


def test_reasoning_of_a_response_stays_what_it_was() -> None:
    """Encrypted reasoning and the reasoning itself are written as they were read."""
    sealed = PartStart(ReasoningPart(redacted="gAAA", provider_data={"id": "rs_9"}))
    shown = PartStart(ReasoningPart(provider_data={"content_index": 0}), part=1)
    chunks = relayed(
        "openai-responses",
        MessageStart(),
        sealed,
        PartDone(),
        shown,
        ReasoningDelta("Hm", part=1),
        PartDone(part=1),
        Finish("stop"),
    )

    first, second = _events(chunks)[-1]["response"]["output"]
    assert {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"} == first
    assert ([], [{"type": "reasoning_text", "text": "Hm"}]) == (second["summary"], second["content"])
    read = message_of("openai-responses", chunks).parts
    assert [("", "gAAA"), ("Hm", None)] == [
        (part.text, part.redacted) for part in read if isinstance(part, ReasoningPart)
    ]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("has_deltas", [False, True])
def test_a_text_is_relayed_once_with_what_only_its_end_has(late: bool, has_deltas: bool) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    whole = {**item, "status": "completed", "content": [{"type": "reasoning_text", "text": "Hm"}]}
    place = {"output_index": 0, "content_index": 0, "item_id": "rs_1"}
    body = sses(
        {"type": "response.created", "response": {"id": "resp_1", "object": "response"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *[{"type": "response.reasoning_text.delta", "delta": "Hm", **place}] * has_deltas,
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
        {"type": "response.completed", "response": {"status": "completed", "output": [whole]}},
    )
    hub = Stream(body).broadcast()
    reader = hub.reader()
    if late:
        hub.reader().final()
    sent = b"".join(relay.encode(reader, raw=True))

    assert Stream(sent).final().parts == Stream(body).final().parts
    assert [event.text for event in Stream(sent) if isinstance(event, ReasoningDelta)] == ["Hm"]
    again = b"".join(relay.encode(Stream(sent), "openai-responses", raw=True))
    assert again.count(b'"type":"response.reasoning_text.delta"') == 1
