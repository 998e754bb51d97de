"""Messages of JSON-RPC in lines and in SSE: at every chunking, with bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunkings
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._json_rpc import JSONRPCMessage, JSONRPCParser
from tokenstream.limits import Limits

_MESSAGES: list[dict[str, Any]] = [
    {"method": "initialize", "id": 0, "params": {"text": "ä\u2028\n{"}},
    {"jsonrpc": "2.0", "id": 0, "result": {}},
    {"method": "note", "params": [1]},
    {"id": "a", "error": {"code": -32601, "message": "no"}},
]


def _in_lines(messages: list[Any]) -> bytes:
    return "".join(json.dumps(message, ensure_ascii=False) + "\r\n" for message in messages).encode()


def _in_sse(messages: list[Any]) -> bytes:
    return b"".join(b": hi\n\nid: 1\ndata: %b\n\n" % json.dumps(message).encode() for message in messages)


_FRAMINGS = (_in_lines, _in_sse)


def read(chunks: list[bytes], limits: Limits | None = None) -> list[dict[str, Any]]:
    parser = JSONRPCParser(limits=limits or Limits())
    messages = [message.raw for chunk in chunks for message in parser.feed(chunk)]
    messages += [message.raw for message in parser.end()]
    parser.check()
    return messages


@pytest.mark.slow
@pytest.mark.parametrize("frame", _FRAMINGS)
def test_each_framing_is_recognised_at_every_chunking(frame: Callable[[list[Any]], bytes]) -> None:
    batches: list[Any] = [*_MESSAGES, _MESSAGES[:2], []]
    for before in (b"", b"\xef\xbb\xbf", b" \r\n\n", b"agent 1.0\n\n", b"content\ndat\n", b"ERROR: x\n"):
        body = before + frame(batches)
        for chunks in chunkings(body):
            assert read(chunks) == [*_MESSAGES, *_MESSAGES[:2]]


@pytest.mark.parametrize("frame", _FRAMINGS)
def test_a_last_message_needs_no_line_end(frame: Callable[[list[Any]], bytes]) -> None:
    body = frame(_MESSAGES)

    assert read([body.rstrip(b"\r\n")]) == _MESSAGES
    assert read([body.rstrip(b"\r\n")[:-1]]) == _MESSAGES[:-1]


@in_one_test(
    "raw, kind, method, id, params",
    [
        ({"method": "a", "id": 0}, "request", "a", 0, {}),
        ({"method": "a", "id": 0, "result": 1}, "request", "a", 0, {}),
        ({"method": "a"}, "notification", "a", None, {}),
        ({"method": "a", "id": True}, "notification", "a", None, {}),
        ({"id": 0, "result": None}, "answer", "", 0, {}),
        ({"id": None, "error": {}}, "answer", "", None, {}),
        ({"id": 0}, "unknown", "", 0, {}),
        ({"method": 3, "id": [1]}, "unknown", "", None, {}),
    ],
)
def test_the_direction_comes_first_and_then_the_id(
    raw: dict[str, Any], kind: str, method: str, id: Any, params: Any
) -> None:
    """A message with a method is of the other side, whatever else it has."""
    message = JSONRPCMessage(raw)

    assert (message.kind, message.method, message.id, message.params) == (kind, method, id, params)
    assert kind in repr(message)


def test_lines_that_are_no_messages_are_counted() -> None:
    parser = JSONRPCParser()

    assert len(parser.feed(b'hello\n{"id": 0, "result": 1}\nlog: x\n3\n{"a": \n[]\n[4]\n')) == 1
    assert parser.skipped == 6
    assert parser.feed(b"Content-Length: 2\r\n\r\n{}Content-Length: 2\r\n\r\n") == []
    assert parser.skipped == 8
    assert parser.error is None


def test_a_line_of_json_among_server_sent_events_is_an_error() -> None:
    parser = JSONRPCParser()

    assert len(parser.feed(b'data: {"method": "a"}\n\n{"error": {"code": 5')) == 1
    with pytest.raises(ProtocolError, match="among server-sent events") as caught:
        parser.check()
    assert caught.value.tail == b'{"error": {"code": 5'
    assert parser.feed(b"}}\n") == []


@pytest.mark.parametrize(
    "body, limit",
    [
        (b'{"method": "' + b"a" * 100 + b'"}\n', "event"),
        (b'data: {"method": "' + b"a" * 100 + b'"}\n\n', "event"),
        (b'{"a": ' * 9 + b"1" + b"}" * 9 + b"\n", "depth"),
    ],
)
def test_sizes_and_depth_are_bounded(body: bytes, limit: str) -> None:
    limits = Limits(event=100, depth=8)
    first = b'{"method": "a"}'
    start = {b"d": b"data: " + first + b"\n\n"}
    parser = JSONRPCParser(limits=limits)

    assert len(parser.feed(start.get(body[:1], first + b"\n") + body)) == 1
    with pytest.raises(LimitExceeded) as caught:
        parser.check()
    assert caught.value.limit == limit


@given(st.lists(st.sampled_from([b"{", b"}", b"[", b"data: ", b"\n", b"{}", b" "])))
def test_any_bytes_are_read_without_an_exception(pieces: list[bytes]) -> None:
    whole, parts = JSONRPCParser(), JSONRPCParser()
    found = [message.raw for message in whole.feed(b"".join(pieces))]

    assert [message.raw for piece in pieces for message in parts.feed(piece)] == found
    assert (whole.error is None) == (parts.error is None)
    assert whole.skipped == parts.skipped
