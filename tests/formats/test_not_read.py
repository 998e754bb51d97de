"""Streams that are not read say so; errors name services that were switched off, and what to use instead."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support import chunkings, registry, wire
from tests.support.beside import SHARED, needs_recordings
from tests.support.reading import read
from tests.support.recordings import shared
from tokenstream import AsyncStream, Decoder, MisuseError, Stream
from tokenstream.errors import NotAStream, StreamError

_MCP = sorted((SHARED / "recordings" / "mcp").glob("*.sse"))
_OLD_SDK = (
    'f:{"messageId":"msg-1"}\n'
    '0:"Hel"\n'
    '0:"lo"\n'
    'e:{"finishReason":"stop","usage":{"promptTokens":9,"completionTokens":2},"isContinued":false}\n'
    'd:{"finishReason":"stop","usage":{"promptTokens":9,"completionTokens":2}}\n'
)


def _refused(body: bytes) -> StreamError:
    """Return the error that a body gives, the same at every chunking."""
    errors = [read(chunks).error for chunks in chunkings.several(body, "refused").values()]
    first = errors[0]

    assert isinstance(first, StreamError)
    assert {(type(first), str(first))} == {(type(error), str(error)) for error in errors}
    return first


def _lists_the_formats(error: StreamError) -> bool:
    return all(name in str(error) for name in registry.names())


@needs_recordings
@pytest.mark.parametrize("path", _MCP, ids=lambda path: path.stem)
def test_messages_between_a_tool_server_and_its_client_are_no_answer(path: Any) -> None:
    """MCP carries JSON-RPC; the result of a tool is recognised, and `run.follow` reads it."""
    error = _refused(path.read_bytes())

    assert isinstance(error, NotAStream)
    if any(name in path.read_text(encoding="utf-8") for name in ("isError", "serverInfo")):
        assert "the lines of mcp" in str(error)
    else:
        assert _lists_the_formats(error)
        assert "'jsonrpc', 'id', 'result'" in str(error)
    assert error.body.startswith('{"jsonrpc":"2.0"')


def test_progress_of_a_tool_server_is_no_answer() -> None:
    """A notification of MCP is read by `run.follow`; its values are not in the error."""
    payload = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"message": "private"}}
    error = _refused(wire.sse(payload) * 2)

    assert isinstance(error, NotAStream)
    assert "the lines of mcp" in str(error)
    assert "private" not in str(error)


@pytest.mark.parametrize("start", [0, 1])
def test_the_older_stream_of_the_ai_sdk_is_not_read(start: int) -> None:
    """Lines of the older stream begin with a code and a colon; version 5 has another stream."""
    body = "".join(_OLD_SDK.splitlines(keepends=True)[start:]).encode()
    error = _refused(body)

    assert isinstance(error, NotAStream)
    assert _lists_the_formats(error)
    assert error.body == body.decode()


def test_an_error_of_json_rpc_is_an_error_all_the_same() -> None:
    body = wire.sse({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Internal error"}})
    error = _refused(body)

    assert not isinstance(error, NotAStream)
    assert "Internal error" in str(error)


def test_what_was_seen_is_shown_by_names_alone() -> None:
    """Values may be private, and so may be names that are no words of a vocabulary."""
    error = _refused(wire.sse({"foo": "secret", "type": "ein Satz"}))

    assert isinstance(error, NotAStream)
    assert "'foo', 'type'" in str(error)
    assert "secret" not in str(error)
    assert json.loads(error.body) == {"foo": "secret", "type": "ein Satz"}


@pytest.mark.parametrize(
    "payload",
    [
        {"event": "on_chain_start", "data": {}, "run_id": "r", "parent_ids": []},
        {"input": [], "current_agent_name": "triage"},
    ],
    ids=["LangChain", "LlamaIndex"],
)
def test_a_run_of_a_framework_is_no_answer(payload: Any) -> None:
    error = _refused(json.dumps(payload).encode() + b"\n")

    assert isinstance(error, NotAStream)
    assert "run.follow(events)" in str(error)


RUN = {"id": "run_1", "object": "thread.run", "status": "queued", "model": "m", "last_error": None}
DELTA = {
    "id": "msg_1",
    "object": "thread.message.delta",
    "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "Hel"}}]},
}
FAILED = {**RUN, "status": "failed", "last_error": {"code": "server_error", "message": "m"}}
STEP = {"id": "step_1", "object": "thread.run.step.delta", "delta": {"step_details": {"tool_calls": []}}}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("thread.run.created", RUN),
    ("thread.message.delta", DELTA),
    ("thread.run.step.delta", STEP),
    ("thread.run.failed", FAILED),
]
SENTENCE = (
    "the stream is a run of OpenAI's Assistants API, which was switched off on 2026-08-26: it is not read; "
    'use the Responses API, format="openai-responses"'
)


def _named(event: str, payload: dict[str, Any]) -> Any:
    return f"event: {event}\ndata: {json.dumps(payload)}\n\n".encode()


def _nameless(_event: str, payload: dict[str, Any]) -> Any:
    return f"data: {json.dumps(payload)}\n\n".encode()


def _object_of_the_sdk(event: str, payload: dict[str, Any]) -> Any:
    return {"event": event, "data": payload}


def _without_kind(event: str, payload: dict[str, Any]) -> Any:
    return _named(event, {key: value for key, value in payload.items() if key != "object"})


@pytest.mark.parametrize("write", [_named, _nameless, _object_of_the_sdk, _without_kind])
@pytest.mark.parametrize(("event", "payload"), EVENTS, ids=[event for event, _ in EVENTS])
def test_a_run_of_assistants_is_an_error_that_names_the_service(
    event: str, payload: dict[str, Any], write: Any
) -> None:
    with pytest.raises(NotAStream) as caught:
        Stream([write(event, payload)]).final()

    assert SENTENCE in str(caught.value)


def test_an_async_stream_says_the_same() -> None:
    async def body() -> Any:
        yield _named(*EVENTS[0])

    async def read() -> None:
        await AsyncStream(body()).final()

    with pytest.raises(NotAStream, match="switched off on 2026-08-26: it is not read; use the Responses API"):
        asyncio.run(read())


def test_an_event_of_the_same_name_with_a_type_is_of_another_service() -> None:
    """The objects of Assistants have no type."""
    with pytest.raises(NotAStream, match="no known format"):
        Stream([_named("thread.message.delta", {"type": "thread.message.delta", "delta": "Hel"})]).final()


@pytest.mark.parametrize("make", [Stream, Decoder], ids=lambda make: make.__name__)
def test_to_name_a_format_of_a_service_that_is_gone_is_misuse(make: Any) -> None:
    options: dict[str, Any] = {"format": "openai-assistants"}
    with pytest.raises(MisuseError, match=r"Assistants API, which was switched off .* use the Responses API"):
        make(*([[]] if make is Stream else []), **options)


@pytest.mark.parametrize("recorded", shared("openai-assistants"), ids=lambda each: each.name)
def test_a_recorded_run_of_assistants_is_that_error(recorded: Any) -> None:
    for body in (recorded.body, recorded.body.partition(b"\n\n")[0] + b"\n\n"):
        with pytest.raises(NotAStream, match="OpenAI's Assistants API, which was switched off"):
            Stream([body]).final()
