"""Mappings: recordings of simple servers, each read by one line."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support import chunkings
from tests.support.beside import needs_recordings
from tests.support.reading import read
from tests.support.recordings import Recorded, shared
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import NotAStream, ProviderError, StreamTruncated
from tokenstream.formats import custom

MAPPINGS = {
    "watsonx": custom(
        text="results.0.generated_text",
        finish="results.0.stop_reason",
        finish_reasons={"not_finished": None},
        usage={"output_tokens": "results.0.generated_token_count"},
        model="model_id",
    ),
    "replicate": custom(text="", event="output", finish="reason", end="done"),
}

RECORDED = shared(*MAPPINGS)

PAGE = (ROOT / "docs" / "formats" / "custom.md").read_text(encoding="utf-8")
LINES = next(block.code for block in blocks(PAGE, "python") if "dify = " in block.code)
PLATFORMS: dict[str, Any] = {
    "dify": [
        {"event": "workflow_started", "task_id": "t", "data": {"id": "w"}},
        {"event": "message", "task_id": "t", "message_id": "m", "answer": "Hel"},
        {"event": "message", "task_id": "t", "message_id": "m", "answer": "lo"},
        {"event": "message_end", "task_id": "t", "metadata": {"usage": {"completion_tokens": 2}}},
    ],
    "n8n": [
        {"type": "begin", "metadata": {"nodeId": "n"}},
        {"type": "item", "content": "Hel", "metadata": {"nodeId": "n"}},
        {"type": "item", "content": "lo", "metadata": {"nodeId": "n"}},
        {"type": "end", "metadata": {"nodeId": "n"}},
    ],
    "flowise": [
        {"event": "start", "data": "Hel"},
        {"event": "token", "data": "Hel"},
        {"event": "token", "data": "lo"},
        {"event": "metadata", "data": {"chatId": "c", "messageId": "m"}},
        {"event": "end", "data": "[DONE]"},
    ],
    "langflow": [
        {"event": "add_message", "data": {"sender": "User", "text": "Hi", "id": "u"}},
        {"event": "token", "data": {"chunk": "Hel", "id": "a"}},
        {"event": "token", "data": {"chunk": "lo", "id": "a"}},
        {"event": "end", "data": {"result": {"session_id": "s", "outputs": []}}},
    ],
    "poe": [
        ("meta", {"content_type": "text/markdown"}),
        ("text", {"text": "Hel"}),
        ("text", {"text": "lo"}),
        ("done", {}),
    ],
    "ragflow": [
        {"code": 0, "message": "", "data": {"answer": "Hel", "reference": {}, "final": False}},
        {"code": 0, "message": "", "data": {"answer": "lo", "reference": {}, "final": False}},
        {"code": 0, "message": "", "data": {"answer": "Hello [ID:0]", "reference": {}, "final": True}},
        {"code": 0, "message": "", "data": True},
    ],
    "clova": [
        ("token", {"message": {"role": "assistant", "content": "Hel"}, "finishReason": None}),
        ("token", {"message": {"role": "assistant", "content": "lo"}, "finishReason": None}),
        ("result", {"message": {"role": "assistant", "content": "Hello"}, "finishReason": "stop"}),
    ],
}
"""Payloads as the documents of platforms have them in 2026, some under the name of their event."""
FAILURES = {
    "dify": {"event": "error", "status": 400, "code": "no_quota", "message": "no quota"},
    "n8n": {"type": "error", "content": "no quota"},
    "flowise": {"event": "error", "data": "no quota"},
    "langflow": {"event": "error", "data": {"error": "no quota"}},
    "poe": ("error", {"allow_retry": False, "text": "no quota"}),
}


def _body(payloads: list[Any]) -> bytes:
    named = [payload if isinstance(payload, tuple) else ("", payload) for payload in payloads]
    frames = [
        (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n" for event, data in named
    ]
    return "".join(frames).encode()


@in_one_test("platform", PLATFORMS)
def test_a_platform_is_read_by_the_line_of_the_page(platform: str) -> None:
    body = _body(PLATFORMS[platform])
    names: dict[str, Any] = {"custom": custom, "Stream": Stream}
    exec(LINES, names)
    with pytest.raises(NotAStream) as caught:
        Stream(httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})).final()
    (proposed,) = re.findall(r"tokenstream\.formats\.(custom\(.*\)): check it", str(caught.value))

    for format in (names[platform], eval(proposed, {"custom": custom})):
        message = Stream([body], format=format).final()
        assert ("Hello", "complete") == (message.text, message.ending)


INVENTED: dict[str, list[Any]] = {
    "nested": [
        {"kind": "piece", "meta": {"id": "n 1"}, "body": {"out": {"bit": "Hel"}}},
        {"kind": "piece", "meta": {"id": "n 2"}, "body": {"out": {"bit": "lo"}}},
        {"kind": "over", "meta": {"id": "n 3"}, "body": {}},
    ],
    "under names of events": [("bit", {"b": "Hel"}), ("bit", {"b": "lo"}), ("finish", {"why": "stop"})],
    "in a list": [
        {"op": "add", "rows": [{"v": "Hel"}]},
        {"op": "add", "rows": [{"v": "lo"}]},
        {"op": "close"},
    ],
    "with a flag": [{"say": "Hel", "last": False}, {"say": "lo", "last": True}],
}
"""Payloads of servers that nobody knows, under names that nobody gives."""


def _proposed(body: bytes) -> str:
    """Return the advice of the error about the format of a body."""
    with pytest.raises(NotAStream) as caught:
        Stream([body]).final()
    return str(caught.value)


@pytest.mark.parametrize("lines", [False, True], ids=["events", "lines"])
@in_one_test("server", INVENTED)
def test_a_server_that_nobody_knows_is_read_by_what_its_error_proposes(server: str, lines: bool) -> None:
    """The text is what differs from payload to payload, wherever it stands."""
    payloads = INVENTED[server]
    if lines:
        told = [payload for payload in payloads if isinstance(payload, dict)]
        body = b"".join(
            json.dumps(payload).encode() + b"\n" for payload in told or [{"b": "Hel"}, {"b": "lo"}]
        )
    else:
        body = _body(payloads)
    (proposed,) = re.findall(r"tokenstream\.formats\.(custom\(.*\)): check it", _proposed(body))
    message = Stream([body], format=eval(proposed, {"custom": custom})).final()

    assert ("Hello", "complete") == (message.text, message.ending)


def test_a_text_that_is_repeated_from_its_beginning_has_no_mapping() -> None:
    advice = _proposed(_body([{"so_far": "It "}, {"so_far": "It rains "}, {"so_far": "It rains today."}]))

    assert "repeats the text so far in 'so_far', which no mapping reads: yield what each adds" in advice
    assert "custom(" not in advice
    assert "rains" not in advice


@in_one_test("platform", FAILURES)
def test_an_error_of_a_platform_is_raised(platform: str) -> None:
    names: dict[str, Any] = {"custom": custom, "Stream": Stream}
    exec(LINES, names)
    body = _body([*PLATFORMS[platform][:3], FAILURES[platform]])

    with pytest.raises(ProviderError, match="the provider reports an error"):
        Stream([body], format=names[platform]).final()


@needs_recordings
def test_the_recordings_of_simple_servers_are_found() -> None:
    """The comparison does not pass because there was nothing to compare."""
    assert len(RECORDED) >= 2


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_server_is_read_by_one_line(recorded: Recorded) -> None:
    """Text, end and model are what was recorded, at every chunking."""
    format = MAPPINGS[recorded.expected["format"]]
    expected = recorded.expected["choices"][0]
    for chunks in chunkings.several(recorded.body, recorded.name).values():
        reading = read(chunks, format=format)
        message = reading.message

        assert (expected["text"], expected["raw_finish_reason"], recorded.expected["model"]) == (
            message.text,
            message.raw_finish_reason,
            message.model,
        )
        assert expected["text"] == reading.text()
        assert ("custom", {}) == (reading.format, reading.departures)
        assert (None, "complete") == (reading.error, message.ending)


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_stream_that_was_cut_is_not_called_complete(recorded: Recorded) -> None:
    """Where anything in the stream is its end, its lack is told."""
    body = recorded.body
    for place in range(1, body.rindex(b"data:"), 97):
        reading = read([body[:place]], format=MAPPINGS[recorded.expected["format"]])

        assert isinstance(reading.error, StreamTruncated)
