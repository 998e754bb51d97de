"""Bodies that are no stream: whole answers, errors, web pages, and what else comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.detection.support import greets, respond
from tests.support import wire
from tests.support.chunkings import bytewise
from tests.support.reading import read
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream.errors import NotAStream, ProtocolError, ProviderError, StatusError, StreamTruncated

_COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_794_700_000,
    "model": "gpt-5.1",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hi",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "ls", "arguments": '{"all": true}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {"all": True}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 9},
}
_WHOLE = {"openai-chat": _COMPLETION, "anthropic": _MESSAGE}


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "indented"])
@pytest.mark.parametrize("format", _WHOLE)
def test_a_whole_answer_is_read_as_one(format: str, indent: int | None) -> None:
    body = json.dumps(_WHOLE[format], indent=indent).encode()
    for chunks in ([body], bytewise(body), [body + b"\n"]):
        reading = read(chunks)
        message = reading.message

        assert greets(reading, format)
        assert ("tool_calls", 9) == (message.finish_reason, message.usage.output_tokens)
        assert [("ls", {"all": True})] == [(call.name, call.arguments) for call in reading.calls()]


@pytest.mark.parametrize("format", _WHOLE)
def test_a_whole_answer_that_was_cut_is_truncated(format: str) -> None:
    body = json.dumps(_WHOLE[format]).encode()
    for cut in range(1, len(body), 7):
        reading = read([body[:cut]])

        assert isinstance(reading.error, StreamTruncated)
        assert [] == reading.calls()


@in_one_test("content_type", ["application/json", "text/event-stream", None])
@in_one_test(
    "payload",
    [
        {"error": {"message": "Overloaded", "type": "overloaded_error"}},
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"},
            "request_id": "req_1",
        },
    ],
    ids=["openai", "anthropic"],
)
@in_one_test("framed", [False, True], ids=["body", "event"])
def test_an_error_is_the_providers_with_a_status_below_400(
    payload: dict[str, Any], content_type: str | None, framed: bool
) -> None:
    """A JSON error in a body that was to be a stream is `ProviderError`, whatever the content type."""
    body = wire.sse(payload) if framed else json.dumps(payload).encode()
    reading = respond(body, content_type)
    error = reading.error

    assert isinstance(error, ProviderError)
    assert ("overloaded", True) == (error.kind, error.retryable)
    assert "Overloaded" in str(error)
    assert reading.closed


@pytest.mark.parametrize(
    "body", [b'{"error": {"message": "No such model", "code": "model_not_found"}}', b"<html>", b""]
)
def test_an_error_status_is_a_status_error_whatever_the_body(body: bytes) -> None:
    """From 400 the status tells, with the provider's words where it sent some."""
    error = respond(body, "text/html", status=404).error

    assert isinstance(error, StatusError)
    assert 404 == error.status
    assert ("No such model" in str(error)) == body.startswith(b"{")


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/event-stream", None])
def test_a_web_page_is_no_stream(content_type: str | None) -> None:
    page = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>data: x\n\n</body></html>"
    error = respond(page, content_type).error

    assert isinstance(error, NotAStream)
    assert "Sign in" in str(error)
    assert "<title>" in error.body
    assert not error.retryable


@pytest.mark.parametrize(
    "body",
    [
        wire.sse({"foo": "private"}),
        wire.sse({"foo": "private"}, event="token"),
        b'{"foo": "private"}\n',
        b'{"foo": "private"}\n{"foo": 2}\n',
        wire.sse({"reply": "private"}) + wire.DONE,
    ],
    ids=repr,
)
def test_json_of_an_unknown_format_is_no_stream_and_the_error_says_the_way_to_read_it(body: bytes) -> None:
    """Nothing is guessed: the error says that a format can be named, or described by its paths."""
    error = read([body]).error

    assert isinstance(error, NotAStream)
    for name in ("format=", "tokenstream.formats.custom(text="):
        assert name in str(error)
    assert "private" not in str(error)


@in_one_test(
    "asked, answered, path",
    [
        ({"message": {"content": "Tide?"}}, [{"piece": "It "}, {"piece": "ebbs."}], "piece"),
        ({"query": {"text": "Tide?"}, "said": {"bit": "It "}}, [{"said": {"bit": "ebbs."}}], "said.bit"),
        ({"text": "Tide?"}, [{"text": "Tide?", "content": bit} for bit in ("It ", "ebbs.")], "content"),
        ({"prompt": "Tide?", "output": "It ebbs."}, [], "output"),
    ],
)
def test_the_proposed_path_is_that_of_the_answer_and_not_of_the_question(
    asked: dict[str, Any], answered: list[dict[str, Any]], path: str
) -> None:
    error = read([wire.sse(payload) for payload in (asked, *answered)]).error

    assert f"custom(text={path!r}" in str(error)


def test_a_payload_that_is_broken_json_is_a_protocol_error() -> None:
    """What begins like a JSON object and is none says where, and the answer before it is kept."""
    reading = read([wire.chat({"content": "Hi"}) + sse('{"choices": [}') + wire.chat({"content": "!"})])
    error = reading.error

    assert isinstance(error, ProtocolError)
    assert (2, 13) == (error.event, error.offset)
    assert ("Hi", "failed") == (reading.message.text, reading.message.ending)
