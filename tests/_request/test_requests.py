"""Asking for a stream over real HTTP: what goes out, when, and with whose client."""

from __future__ import annotations

import inspect
import json
from typing import Any

import httpx
import httpx2
import pytest

from tests._request.support import PATH, WHOLE, read
from tests.stream.bodies import ANSWER
from tests.support.either import connect_in, got, in_each_loop, inside
from tests.support.loopback import OPEN, Loopback
from tests.support.raised import misuse
from tests.support.replies import reply, serve_in_time
from tests.support.timing import meanwhile
from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import MisuseError


def test_an_answer_over_http() -> None:
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
    options = dict.fromkeys(["headers", "params", "cookies", "extensions", "content", "json"])
    message, error, _ = read(WHOLE, **options)

    assert error is None
    assert message is not None
    assert message.text == "Let me see."


def test_the_callers_headers_are_not_written_into() -> None:
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


def test_a_stream_that_was_ended_before_it_began_sends_nothing() -> None:
    """Nobody pays for an answer that nobody wants."""
    with serve_in_time({PATH: WHOLE}) as server:
        stream = connect(server.url + PATH)
        stream.stop()
        with stream:
            assert list(stream.text) == []
        closed = connect(server.url + PATH)
        closed.close()
        with misuse("closed"):
            closed.__enter__()

        assert server.exchanges == []


def test_misuse_is_not_blamed_on_the_network() -> None:
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
    unknown: dict[str, tuple[Any, str]] = {
        "jsn": ({}, r"connect\(\) has no option jsn=; did you mean json=\?"),
        "payload": ({}, r"did you mean json=\?"),
        "formt": ("text", r"did you mean format=\?"),
        "xyzzy": (1, r"the options are json, content, .*, tags"),
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

    with pytest.raises(LookupError):
        connect("http://127.0.0.1:9/", extensions={"trace": refusing}).final()


def test_extensions_that_are_no_dict_are_misuse() -> None:
    extensions: Any = [1]
    with pytest.raises(MisuseError, match="extensions"):
        connect("http://127.0.0.1:9/", extensions=extensions)


def test_an_address_that_cannot_be_asked_is_misuse() -> None:
    """The calling code is wrong, not the world."""
    for url in ("ftp://example.org/", "example.org/no-scheme"):
        with pytest.raises(MisuseError, match="request"):
            connect(url).final()


@pytest.mark.parametrize("library", [httpx, httpx2])
@in_each_loop
async def test_a_client_of_ones_own_is_used_and_stays_open(colour: str, library: Any) -> None:
    made = library.Client if colour == "sync" else library.AsyncClient
    with serve_in_time({PATH: WHOLE}) as server:
        async with inside(made(headers={"X-Own": "1"})) as client:
            for _ in range(2):
                async with inside(connect_in(colour)(server.url + PATH, client=client)) as stream:
                    assert (await got(stream.final())).ending == "complete"

            assert not client.is_closed
        assert [exchange.request.headers["x-own"] for exchange in server.exchanges] == ["1", "1"]


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("already_read", [False, True])
def test_a_response_that_one_already_has(library: Any, already_read: bool) -> None:
    with serve_in_time({PATH: WHOLE}) as server, library.Client() as client:
        with client.stream("POST", server.url + PATH) as response:
            if already_read:
                response.read()
            stream = Stream(response)
            assert stream.final().text == "Let me see."
            assert stream.metrics.started == "wrapped"
        assert response.is_closed


@pytest.mark.anyio
@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_an_asynchronous_response_that_one_already_has(library: Any) -> None:
    with serve_in_time({PATH: WHOLE}) as server:
        async with library.AsyncClient() as client, client.stream("POST", server.url + PATH) as response:
            with pytest.raises(MisuseError, match="AsyncStream"):
                Stream(response)
            assert (await AsyncStream(response).final()).text == "Let me see."
            assert response.is_closed


def test_a_response_of_a_sync_client_is_refused_by_the_other_driver() -> None:
    with (
        serve_in_time({PATH: WHOLE}) as server,
        httpx.Client() as client,
        client.stream("POST", server.url + PATH) as response,
    ):
        with pytest.raises(MisuseError, match="with Stream"):
            AsyncStream(response)
        response.read()


def test_metrics_count_from_the_request() -> None:
    """The time to the first token contains the time to the response."""
    with (
        serve_in_time({PATH: reply([(0.05, ANSWER[2]), (0.0, ANSWER[8]), (0.0, ANSWER[-1])])}) as server,
        connect(server.url + PATH) as stream,
    ):
        stream.final()

    assert stream.metrics.started == "request"
    assert stream.metrics.ttft is not None
    assert stream.metrics.ttft >= 0.05
