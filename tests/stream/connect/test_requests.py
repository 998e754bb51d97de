"""Asking for a stream over real HTTP: what goes out, and when."""

from __future__ import annotations

import inspect
import json
from typing import Any

import httpx
import httpx2
import pytest

from tests.stream.bodies import ANSWER
from tests.stream.connect.support import PATH, WHOLE, read
from tests.support.loopback import OPEN, Loopback
from tests.support.replies import serve_in_time
from tests.support.timing import meanwhile
from tokenstream import Stream, aconnect, connect
from tokenstream.errors import MisuseError, StreamClosed


def test_an_answer_over_http() -> None:
    """The request carries what was asked for, and asks for an uncompressed event stream."""
    message, error, exchange = read(WHOLE, json={"stream": True}, headers={"X-Key": "k"})

    assert error is None
    assert message is not None
    assert message.text == "Let me see."
    assert json.loads(exchange.request.body) == {"stream": True}
    assert exchange.request.headers["x-key"] == "k"
    assert exchange.request.headers["accept"] == "text/event-stream"
    assert exchange.request.headers["accept-encoding"] == "identity"
    assert exchange.outcome == "answered"


def test_an_option_may_be_none() -> None:
    """It stands for httpx's own default."""
    options = dict.fromkeys(["headers", "params", "cookies", "extensions", "content", "json"])
    message, error, _ = read(WHOLE, **options)

    assert error is None
    assert message is not None
    assert message.text == "Let me see."


def test_the_callers_headers_are_not_written_into() -> None:
    """What was passed in stays as it was."""
    headers = {"X-Key": "k"}
    read(WHOLE, headers=headers)

    assert headers == {"X-Key": "k"}


def test_nothing_is_sent_before_the_first_read() -> None:
    """`connect` is lazy: the request goes out at `with` or the first read."""
    with serve_in_time({PATH: WHOLE}) as server:
        stream = connect(server.url + PATH)
        assert server.exchanges == []
        before = stream.response
        assert before is None
        assert next(stream.text) == "Let "
        head = stream.response
        stream.close()

    assert head is not None
    assert head.status == 200
    assert head.content_type == "text/event-stream; charset=utf-8"
    assert head.request_id


def test_a_stream_that_is_never_opened_needs_no_closing() -> None:
    """There is no source yet."""
    stream = connect("http://127.0.0.1:9/")
    stream.close()

    assert stream.message.ending == "stopped"
    with pytest.raises(MisuseError):
        iter(stream)


def test_a_stream_that_was_ended_before_it_began_sends_nothing() -> None:
    """Nobody pays for an answer that nobody wants."""
    with serve_in_time({PATH: WHOLE}) as server:
        stream = connect(server.url + PATH)
        stream.stop()
        with stream:
            assert list(stream.text) == []
        closed = connect(server.url + PATH)
        closed.close()
        with pytest.raises(StreamClosed):
            closed.__enter__()

        assert server.exchanges == []


def test_misuse_is_not_blamed_on_the_network() -> None:
    """A response that was read before, a client that is none, a client of the other colour."""
    response = httpx.Response(200, stream=httpx.ByteStream(b"".join(ANSWER)))
    next(response.iter_raw(5))
    with pytest.raises(MisuseError, match="already read or closed"):
        Stream(response).final()
    with pytest.raises(MisuseError, match="takes an httpx"):
        connect("http://127.0.0.1/", client=object())
    with pytest.raises(MisuseError, match="aconnect"):
        connect("http://127.0.0.1/", client=httpx.AsyncClient())
    with httpx.Client() as client, pytest.raises(MisuseError, match="use connect"):
        aconnect("http://127.0.0.1/", client=client)


class _Wider:
    """A client whose `stream` takes an option more than httpx's."""

    def stream(self, method: str, url: str, *, trace_id: str = "") -> Any:
        raise AssertionError

    def close(self) -> None: ...


def test_an_unknown_option_is_refused_before_anything_is_sent() -> None:
    """With the nearest name; an option that the caller's own client takes is left to it."""
    unknown: dict[str, tuple[Any, str]] = {
        "jsn": ({}, r"connect\(\) has no option jsn=; did you mean json=\?"),
        "payload": ({}, r"did you mean json=\?"),
        "formt": ("text", r"did you mean format=\?"),
        "xyzzy": (1, r"the options are json, content, .*, reasoning_tags"),
    }
    for name, (value, words) in unknown.items():
        options: dict[str, Any] = {name: value}
        with pytest.raises(MisuseError, match=words):
            connect("http://127.0.0.1/", **options)
        with pytest.raises(MisuseError, match=words.replace("connect", "aconnect")):
            aconnect("http://127.0.0.1/", **options)
        with httpx.Client() as client, pytest.raises(MisuseError, match=words):
            connect("http://127.0.0.1/", client=client, **options)
    wider: dict[str, Any] = {"trace_id": "1"}
    connect("http://127.0.0.1/", client=_Wider(), **wider).close()


def test_the_typed_options_are_those_of_httpx() -> None:
    """All of them, beside what `connect` takes itself."""
    unknown: dict[str, Any] = {"xyzzy": 1}
    with pytest.raises(MisuseError) as caught:
        connect("http://127.0.0.1/", **unknown)
    told = set(caught.value.message.rpartition("the options are ")[2].split(", "))
    own = set(inspect.signature(connect).parameters)
    for client in (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient):
        taken = set(inspect.signature(client.stream).parameters)

        assert told - own == taken - {"self", "method", "url"}


def test_a_trace_of_the_callers_is_told_each_step() -> None:
    """Ours listens too; what the caller's own raises passes as it does with httpx."""
    steps: list[str] = []
    with Loopback([OPEN]) as server:
        stream = connect(server.url, extensions={"trace": lambda step, _: steps.append(step)}, timeout=600)
        with meanwhile(stream.stop, once=lambda: "http11.receive_response_headers.started" in steps):
            assert list(stream.text) == []
    assert steps[0] == "connection.connect_tcp.started"

    def refusing(step: str, _: object) -> None:
        raise LookupError(step)

    with pytest.raises(MisuseError) as caught:
        connect("http://127.0.0.1:9/", extensions={"trace": refusing}).final()
    assert isinstance(caught.value.__cause__, LookupError)


def test_extensions_that_are_no_dict_are_misuse() -> None:
    """At once, before anything is sent."""
    extensions: Any = [1]
    with pytest.raises(MisuseError, match="extensions"):
        connect("http://127.0.0.1:9/", extensions=extensions)


def test_an_address_that_cannot_be_asked_is_misuse() -> None:
    """The calling code is wrong, not the world."""
    for url in ("ftp://example.org/", "example.org/no-scheme"):
        with pytest.raises(MisuseError, match="request"):
            connect(url).final()
