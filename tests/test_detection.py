"""Which format a stream is in is found from its first bytes; labels count where the bytes do not tell."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx
import pytest

from tests.support import wire
from tests.support.chunkings import bytewise
from tests.support.reading import Reading, read
from tests.support.recordings import frames_of, ours, shared
from tests.support.wire import DONE, sse
from tokenstream import Stream
from tokenstream.errors import (
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamTruncated,
)
from tokenstream.formats import _registry as registry
from tokenstream.formats._detect.seen import payload_of
from tokenstream.framing import ServerSentEvent
from tokenstream.framing.aws_eventstream import EventStreamMessage

_CHAT = wire.chat({"role": "assistant", "content": "Hi"}) + wire.chat({}, "stop") + wire.DONE
_CLAUDE = (
    wire.claude_start()
    + wire.claude_open(0, type="text", text="")
    + wire.claude_delta(0, "text_delta", text="Hi")
    + wire.claude_close(0)
    + wire.claude_end()
)
_TEXT = sse("Hi") + DONE
_BODIES = {"openai-chat": _CHAT, "anthropic": _CLAUDE, "text": _TEXT}

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


def _respond(body: bytes, content_type: str | None = "text/event-stream", *, status: int = 200) -> Reading:
    """Read an HTTP response with this body, as a transport hands it over."""
    headers = {} if content_type is None else {"content-type": content_type}
    response = httpx.Response(
        status,
        headers=headers,
        stream=httpx.ByteStream(body),
        request=httpx.Request("POST", "http://server.test/"),
    )
    reading = Reading()
    stream = Stream(response)
    try:
        reading.events.extend(stream)
    except StreamError as error:
        reading.error = error
    reading.message, reading.messages, reading.format = stream.message, stream.messages, stream.format
    reading.departures = {name: departure.count for name, departure in stream.departures.items()}
    reading.closed = response.is_closed
    return reading


def _greets(reading: Reading, format: str) -> bool:
    """Tell whether the answer is "Hi", in this format, whole."""
    message = reading.message
    return (
        reading.error is None
        and reading.format == format
        and message is not None
        and (message.text, message.ending) == ("Hi", "complete")
    )


# -- from the first payload ---------------------------------------------------


@pytest.mark.parametrize("format", _BODIES)
def test_the_first_payload_tells_the_format(format: str) -> None:
    """A first payload with a format's marks is enough, whole or byte by byte."""
    for chunks in ([_BODIES[format]], bytewise(_BODIES[format])):
        assert _greets(read(chunks), format)


@pytest.mark.parametrize("format", _BODIES)
def test_a_name_fixes_the_format(format: Any) -> None:
    """With `format=`, nothing is guessed, and the name is known before the first byte."""
    with Stream([], format=format) as stream:
        assert format == stream.format
    assert _greets(read([_BODIES[format]], format=format), format)


def test_mistral_is_a_name_for_openai_chat() -> None:
    """Mistral's own API has the keys of openai-chat."""
    assert _greets(read([_CHAT], format="mistral"), "openai-chat")


def test_a_name_that_does_not_exist_is_misuse_and_lists_those_that_do() -> None:
    """Who names an unknown format reads which ones there are."""
    with pytest.raises(MisuseError, match=r"openai-chat, .*text, pieces") as caught:
        Stream([], format=cast("Any", "openai"))

    assert "anthropic" in str(caught.value)


@pytest.mark.parametrize(
    "before",
    [
        b": OPENROUTER PROCESSING\n\n",
        b": ping\n\n" * 100,
        b"\n\n\n",
        b"retry: 3000\n\n",
        b"id: 7\n\n",
        b"event: ping\n\n",
        sse(""),
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf: connected\n\n",
        b"  ",
    ],
    ids=repr,
)
@pytest.mark.parametrize("format", ["openai-chat", "anthropic"])
def test_what_says_nothing_is_waited_through(format: str, before: bytes) -> None:
    """Comments, empty events, ids, a BOM: the first payload after them tells."""
    body = before + (_BODIES[format] if before != b"  " else b"\n" + _BODIES[format])

    for chunks in ([body], bytewise(body)):
        assert _greets(read(chunks), format)


def test_pings_before_the_start_of_the_message_are_anthropics() -> None:
    """A ping may come first; what follows tells."""
    assert _greets(read([wire.claude("ping") + _CLAUDE]), "anthropic")


def test_anthropic_without_event_lines_is_known_by_its_payloads() -> None:
    """Gateways leave the `event:` lines out: the payload's own type tells, with a departure."""
    body = b"".join(line + b"\n" for line in _CLAUDE.split(b"\n") if not line.startswith(b"event:"))
    reading = read([body])

    assert _greets(reading, "anthropic")
    assert "event_name_missing" in reading.departures


def test_a_chunk_without_choices_may_come_first() -> None:
    """Azure sends the prompt's filter results first, with no id, no model and no object."""
    results = [
        {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    ]
    first = {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "choices": [],
        "prompt_filter_results": results,
    }

    assert _greets(read([wire.sse(first) + _CHAT]), "openai-chat")


_SILENT = {"choices": [{"index": 0, "finish_reason": None}]}


@pytest.mark.parametrize(
    ("said", "format"),
    [
        ({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}, "openai-chat"),
        ({"choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}, "openai-completions"),
    ],
)
def test_a_choice_that_says_nothing_may_come_first(said: dict[str, Any], format: str) -> None:
    """Without a delta or a text it is of either format: the next chunk tells."""
    body = wire.sse(_SILENT) + wire.sse(said) + wire.DONE

    for chunks in ([body], bytewise(body)):
        reading = read(chunks)
        assert (reading.format, reading.text(), reading.error) == (format, "Hi", None)


def test_choices_that_never_say_anything_are_an_answer_that_was_cut() -> None:
    """The connection broke after the first chunk: it may be asked again."""
    reading = read([wire.sse(_SILENT)])

    assert isinstance(reading.error, StreamTruncated)
    assert "openai-chat" == reading.format


def test_text_that_is_no_json_object_is_text() -> None:
    """Bare pieces in `data:` lines are the form that tutorials teach; digits and quotes are pieces too."""
    for piece in ("Hi", "42", '"quoted"', "null", "[1"):
        reading = read([wire.sse(piece) + wire.DONE])
        assert reading.error is None
        assert reading.message is not None
        assert ("text", piece) == (reading.format, reading.message.text)


def test_a_sentinel_alone_is_an_empty_answer() -> None:
    """`[DONE]` and nothing else is openai-chat that had nothing to say, with a departure."""
    reading = read([wire.DONE])

    assert reading.error is None
    assert reading.message is not None
    assert ("openai-chat", "", "complete") == (reading.format, reading.message.text, reading.message.ending)
    assert "finish_missing" in reading.departures


# -- no stream at all ---------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "indented"])
@pytest.mark.parametrize("format", _WHOLE)
def test_a_whole_answer_is_read_as_one(format: str, indent: int | None) -> None:
    """A server that refuses to stream answers with one document: it is the same message."""
    body = json.dumps(_WHOLE[format], indent=indent).encode()
    for chunks in ([body], bytewise(body), [body + b"\n"]):
        reading = read(chunks)
        message = reading.message

        assert _greets(reading, format)
        assert message is not None
        assert ("tool_calls", 9) == (message.finish_reason, message.usage and message.usage.output_tokens)
        assert [("ls", {"all": True})] == [(call.name, call.arguments) for call in reading.calls()]


@pytest.mark.parametrize("format", _WHOLE)
def test_a_whole_answer_that_was_cut_is_truncated(format: str) -> None:
    """Half a document is no answer."""
    body = json.dumps(_WHOLE[format]).encode()
    for cut in range(1, len(body), 7):
        reading = read([body[:cut]])

        assert isinstance(reading.error, StreamTruncated)
        assert [] == reading.calls()


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", None])
@pytest.mark.parametrize(
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
@pytest.mark.parametrize("framed", [False, True], ids=["body", "event"])
def test_an_error_is_the_providers_with_a_status_below_400(
    payload: dict[str, Any], content_type: str | None, framed: bool
) -> None:
    """A JSON error in a body that was to be a stream is `ProviderError`, whatever the content type."""
    body = wire.sse(payload) if framed else json.dumps(payload).encode()
    reading = _respond(body, content_type)
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
    error = _respond(body, "text/html", status=404).error

    assert isinstance(error, StatusError)
    assert 404 == error.status
    assert ("No such model" in str(error)) == body.startswith(b"{")


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/event-stream", None])
def test_a_web_page_is_no_stream(content_type: str | None) -> None:
    """A login page or a proxy's page is `NotAStream`, with its title and its start."""
    page = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>data: x\n\n</body></html>"
    error = _respond(page, content_type).error

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
def test_json_of_an_unknown_format_is_no_stream_and_the_error_lists_the_known_ones(body: bytes) -> None:
    """Nothing is guessed: the error names the formats, and that one of them can be named."""
    error = read([body]).error

    assert isinstance(error, NotAStream)
    for name in ("openai-chat", "anthropic", "text", "format="):
        assert name in str(error)
    assert "private" not in str(error)


def test_a_plain_body_is_no_stream() -> None:
    """Words that are neither SSE nor JSON are shown by their start, in `.body` and not in the message."""
    error = read([b"upstream connect error or disconnect/reset before headers"]).error

    assert isinstance(error, NotAStream)
    assert error.body.startswith("upstream")
    assert "upstream" not in str(error)


def test_a_payload_that_is_broken_json_is_a_protocol_error() -> None:
    """What begins like a JSON object and is none says where, and the answer before it is kept."""
    reading = read([wire.chat({"content": "Hi"}) + sse('{"choices": [}') + wire.chat({"content": "!"})])
    error = reading.error

    assert isinstance(error, ProtocolError)
    assert (2, 13) == (error.event, error.offset)
    assert reading.message is not None
    assert ("Hi", "failed") == (reading.message.text, reading.message.ending)


# -- labels -------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "text/plain; charset=utf-8", "application/json"]
)
def test_a_wrong_content_type_is_a_departure(content_type: str) -> None:
    """The bytes are SSE, so it is a stream, and the label is counted."""
    reading = _respond(_CHAT, content_type)

    assert _greets(reading, "openai-chat")
    assert {"content_type_wrong": 1} == reading.departures


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream;charset=UTF-8", None])
def test_the_right_content_type_or_none_is_no_departure(content_type: str | None) -> None:
    """Upper case and parameters are part of the standard, and sources without a head have no label."""
    reading = _respond(_CHAT, content_type)

    assert _greets(reading, "openai-chat")
    assert {} == reading.departures


def test_the_charset_of_a_stream_is_utf_8_whatever_its_label_says() -> None:
    """SSE has no other encoding."""
    reading = _respond(wire.chat({"content": "€"}) + wire.DONE, "text/event-stream; charset=iso-8859-1")

    assert reading.message is not None
    assert "€" == reading.message.text


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", [b"", b"\n", b": ping\n\n", b"retry: 10\n\n"], ids=repr)
def test_a_body_without_an_event_is_truncated(status: int, body: bytes) -> None:
    """An empty success is no success: no event came."""
    reading = _respond(b"" if status == 204 else body, status=status)
    error = reading.error

    assert isinstance(error, StreamTruncated)
    assert (0, True) == (error.events_seen, error.retryable)
    assert reading.message is not None
    assert ("truncated", ()) == (reading.message.ending, reading.message.parts)
    assert reading.closed


def _first_objects(body: bytes, most: int) -> list[tuple[dict[str, Any], str]]:
    """Return the first payloads of a body that are JSON objects, each with its event's name."""
    found = []
    for frame in frames_of(body)[:most]:
        event = frame.event if isinstance(frame, ServerSentEvent | EventStreamMessage) else ""
        payload = payload_of(frame)
        try:
            value = json.loads(payload) if isinstance(payload, bytes) else payload
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append((value, "" if event == "message" else event))
    return found


def test_no_payload_is_claimed_by_two_formats() -> None:
    """So it does not matter which format is asked first, and the commonest may be."""
    claimed = {
        (recorded.name, names)
        for recorded in [*ours(), *shared()]
        for payload, event in _first_objects(recorded.body, 6)
        if len(names := tuple(n for n in registry.names() if registry.load(n).recognises(payload, event))) > 1
    }

    assert set() == claimed


@pytest.mark.parametrize(
    "body, name",
    [
        (DONE, "openai-chat"),
        (sse('{"choices":[]}'), "openai-chat"),
        (sse('{"choices":[]}') + DONE, "openai-chat"),
        (sse('{"type":"start"}'), "ui-message"),
        (sse('{"type":"start"}') + DONE, "ui-message"),
    ],
)
def test_a_body_that_ends_before_it_tells_is_of_the_only_format_it_can_be(body: bytes, name: str) -> None:
    """What little came is read as such, so that a cut is a cut and not an unknown format."""
    for chunks in (bytewise(body), [body]):
        reading = read(chunks)

        assert name == reading.format
        assert not isinstance(reading.error, NotAStream)


def test_a_body_that_could_be_of_several_formats_or_of_none_is_of_none() -> None:
    """A ping, a name without data: nothing is guessed."""
    for body in (sse("y", event="x"), sse('{"type":"start"}') + sse('{"choices":[]}')):
        assert isinstance(read([body]).error, NotAStream)
