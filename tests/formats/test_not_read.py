"""Streams that are not read say so: which formats are, and what was seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import chunkings, registry, wire
from tests.support.beside import SHARED, needs_recordings
from tests.support.reading import read
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
