"""A `for` loop keeps its deadlines while a running answer is silent, as an `async for` loop does.

The servers fall silent until the client closes, so a loop without a deadline would hang until the
limit of the test. No test here says how fast: only which error comes, and that the source is closed.
"""

from __future__ import annotations

import gc
import http.client
import threading
import urllib.request
import weakref
from contextlib import ExitStack
from itertools import product
from typing import Any

import anyio
import httpx
import pytest
import requests
import urllib3

from tests.stream.blocked import BEGUN, OPENERS, TEXT, Opener
from tests.stream.bodies import chunk
from tests.stream.test_deadlines_client import DRIPPING
from tests.support.loopback import (
    LAST_CHUNK,
    OPEN,
    REQUEST,
    Connection,
    Loopback,
    Script,
    chunked,
    chunked_head,
    client_context,
    http_chunk,
    until_close,
)
from tests.support.packages import needed
from tests.support.timing import TooLate, own_threads, tried_again
from tests.support.wire import DONE
from tokenstream import Deadlines, Retry, Stream, aconnect, connect
from tokenstream.errors import StreamStalled
from tokenstream.stages import Budget

pytestmark = pytest.mark.not_quick

GENEROUS = 30.0
"""Seconds within which a closed connection must be seen by its server, on a busy machine, too."""
WHOLE = [*BEGUN, chunk({}, "stop"), DONE]
BOTH = b"".join(map(http_chunk, BEGUN))
"""Text in one piece, so that a busy machine makes no silence in the middle of it."""
ANSWERED = b"".join(chunked(WHOLE))
"""A whole answer in one piece."""
SILENT: dict[str, Script] = {
    "chunked": [chunked_head(), BOTH, OPEN],
    "until the end of the connection": [b"".join(until_close(*BEGUN)), OPEN],
}
"""What a server sends before it falls silent."""
SHORT: dict[str, Deadlines] = {
    "idle_bytes": Deadlines(idle_bytes=0.1),
    "idle_content": Deadlines(idle_content=0.1),
    "total": Deadlines(total=0.5),
}


def by_http_client(url: str, stack: ExitStack, **options: Any) -> Stream:
    host = url.partition("://")[2]
    if url.startswith("https"):
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, context=client_context())
    else:
        connection = http.client.HTTPConnection(host)
    stack.callback(connection.close)
    connection.request("POST", "/")
    return Stream(connection.getresponse(), **options)


def by_urlopen(url: str, stack: ExitStack, **options: Any) -> Stream:
    context = client_context() if url.startswith("https") else None
    response = urllib.request.urlopen(url, b"{}", context=context)
    stack.callback(response.close)
    return Stream(response, **options)


def by_openai(url: str, stack: ExitStack, **options: Any) -> Stream:
    client = httpx.Client(verify=client_context(), trust_env=False)
    sdk = stack.enter_context(needed("openai").OpenAI(base_url=url, api_key="k", http_client=client))
    asked = sdk.chat.completions.create(model="m", messages=[], stream=True)
    return Stream(asked, **options)


ALL = {**OPENERS, "http.client": by_http_client, "urlopen": by_urlopen, "openai": by_openai}
every_opener = pytest.mark.parametrize("opener", ALL.values(), ids=ALL.keys())


def _stall_of(stream: Stream) -> StreamStalled:
    with pytest.raises(StreamStalled) as caught:
        stream.final()
    return caught.value


WAYS = [
    pytest.param(ALL[name], SILENT[body], limit, id=f"{name}, {body}, {limit}", marks=marks)
    for name, body, limit in product(ALL, SILENT, SHORT)
    # The quick ones cover each library and each deadline once.
    for marks in [[pytest.mark.slow] * (body != "chunked" or (limit != "idle_bytes" and name != "connect"))]
]


@pytest.mark.slow_rows("connect, chunked, total")
@pytest.mark.parametrize("opener, body, limit", WAYS)
def test_a_silent_answer_meets_its_deadline(opener: Opener, body: Script, limit: str) -> None:
    with Loopback(body) as server, ExitStack() as stack:
        stream = opener(server.url, stack, deadlines=SHORT[limit])
        error = _stall_of(stream)

        assert (limit, True) == (error.limit, error.retryable)
        assert stream.message.ending == "truncated"
        # A busy machine may take all the time that there is in total before the text comes.
        assert error.partial.text == TEXT or limit == "total"
        assert stream.closed
        assert server.connection(0).closed_within(GENEROUS)


TLS = {name: opener for name, opener in ALL.items() if name != "connect"}


@pytest.mark.slow
@pytest.mark.parametrize("opener", TLS.values(), ids=TLS.keys())
@pytest.mark.parametrize("limit", SHORT)
def test_a_silent_answer_over_tls_meets_its_deadline(opener: Opener, limit: str) -> None:
    """The timeout is the one of the socket below."""
    with Loopback(SILENT["chunked"], tls=True) as server, ExitStack() as stack:
        error = _stall_of(opener(server.url, stack, deadlines=SHORT[limit]))

        assert error.limit == limit
        assert error.partial.text == TEXT or limit == "total"


@pytest.mark.slow
@every_opener
def test_a_budget_of_seconds_stops_a_silent_answer(opener: Opener) -> None:
    """Nothing has to arrive for it; the answer is stopped, and there is no error."""
    with Loopback(SILENT["chunked"]) as server, ExitStack() as stack:
        stream = opener(server.url, stack).guard(Budget(seconds=0.5))

        assert stream.final().ending == "stopped"
        assert stream.closed
        assert server.connection(0).closed_within(GENEROUS)


@pytest.mark.slow
@every_opener
def test_a_body_without_a_first_event_meets_its_deadline(opener: Opener) -> None:
    """The head has come, so a timer for the head no longer helps."""
    with Loopback([chunked_head(), OPEN]) as server, ExitStack() as stack:
        error = _stall_of(opener(server.url, stack, deadlines=Deadlines(first_event=0.2, idle_bytes=None)))

        assert error.limit == "first_event"


@pytest.mark.slow
@every_opener
def test_a_chunk_whose_length_never_comes_whole_is_silence(opener: Opener) -> None:
    """Bytes that make up no chunk are no answer: a server cannot drip them for ever."""
    drip: Script = [step for _ in range(400) for step in (b"0", 0.02)]
    with Loopback([chunked_head(), BOTH, *drip]) as server, ExitStack() as stack:
        error = _stall_of(opener(server.url, stack, deadlines=SHORT["total"]))

        assert error.limit == "total"


ENDED = {limit: (SILENT["chunked"], deadlines) for limit, deadlines in SHORT.items()} | {
    f"{limit}, in a head": (DRIPPING, Deadlines(**{limit: 0.2})) for limit in ("total", "first_event")
}


@pytest.mark.slow_rows("total", "total, in a head", "first_event, in a head")
@pytest.mark.parametrize("name", ENDED)
def test_both_colours_say_the_same(name: str) -> None:
    script, deadlines = ENDED[name]
    told: list[StreamStalled] = []

    async def main(url: str) -> None:
        with pytest.raises(StreamStalled) as caught:
            await aconnect(url, deadlines=deadlines).final()
        told.append(caught.value)

    with Loopback(script) as server:
        told.append(_stall_of(connect(server.url, deadlines=deadlines)))
        anyio.run(main, server.url)

    assert told[0].message == told[1].message
    assert told[0].partial == told[1].partial or name == "total"


# -- the caller's own timeouts -------------------------------------------------------


@tried_again
def test_a_shorter_timeout_of_requests_is_never_raised() -> None:
    with Loopback(SILENT["chunked"]) as server, requests.Session() as session:
        try:
            response = session.post(server.url, stream=True, timeout=0.1)
        except requests.Timeout as late:
            raise TooLate("the head came after the timeout") from late
        error = _stall_of(Stream(response))
    if not error.partial.text:
        raise TooLate("the text came after the timeout")

    assert (error.limit, error.partial.text) == ("transport", TEXT)


TWICE: Script = [ANSWERED, REQUEST, chunked_head(), 0.4, *map(http_chunk, WHOLE), LAST_CHUNK]
"""Two answers on one connection, of which the second comes late."""


@pytest.mark.slow
def test_a_connection_that_was_given_back_has_no_deadline_of_ours() -> None:
    with Loopback(TWICE) as server, httpx.Client(timeout=None, trust_env=False) as client:
        first = connect(server.url, client=client, deadlines=SHORT["idle_bytes"]).final()
        second = client.post(server.url)

        assert (first.text, first.ending) == (TEXT, "complete")
        assert second.content == b"".join(WHOLE)
        assert len(server.connections) == 1


@pytest.mark.slow
def test_a_socket_of_http_client_has_its_own_timeout_back_at_the_end() -> None:
    with Loopback(TWICE) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=77.0)
        connection.request("POST", "/")
        Stream(connection.getresponse(), deadlines=Deadlines(idle_bytes=5.0)).final()
        assert connection.sock.gettimeout() == 77.0
        connection.request("POST", "/")
        assert connection.getresponse().read() == b"".join(WHOLE)
        connection.close()


@pytest.mark.slow
def test_a_pool_of_urllib3_goes_on_after_a_stream_with_deadlines() -> None:
    """urllib3 sets the timeout of each request itself."""
    with Loopback(TWICE) as server, urllib3.PoolManager() as pool:
        Stream(
            pool.request("POST", server.url, preload_content=False), deadlines=Deadlines(idle_bytes=0.1)
        ).final()

        assert pool.request("POST", server.url).data == b"".join(WHOLE)
        assert len(server.connections) == 1


# -- what else may happen ------------------------------------------------------------


def test_a_stall_in_a_running_answer_is_retried() -> None:
    """Silence is a failed attempt like any other."""
    with Loopback(SILENT["chunked"], [ANSWERED]) as server:
        stream = connect(
            server.url, json={}, deadlines=SHORT["idle_bytes"], retry=Retry(again=True, wait=0.0)
        )
        message = stream.final()

        assert (message.text, message.ending) == (TEXT, "complete")
        assert len(server.connections) == 2
        assert isinstance(stream.attempts[0].error, StreamStalled)
        assert server.connection(0).closed_within(GENEROUS)


@pytest.mark.parametrize("deadlines", [None, Deadlines(total=60.0)], ids=["default", "total"])
def test_deadlines_of_a_running_answer_cost_no_thread(deadlines: Deadlines | None) -> None:
    """The reading thread itself keeps them, so there is nothing to end, and nothing that a fork loses.

    Only the head was limited by the thread that the process has for all timers.
    """
    gate = threading.Event()
    body: Script = [chunked_head(), *map(http_chunk, BEGUN), gate, http_chunk(DONE), LAST_CHUNK]

    with Loopback(body) as server, connect(server.url, deadlines=deadlines) as stream:
        texts = iter(stream.text)
        next(texts)
        assert not own_threads()
        gate.set()
        stream.final()


def test_a_view_that_acts_in_time_keeps_the_deadlines_too() -> None:
    """A thread reads for it, and the loop waits for the thread with a limit."""
    with Loopback(SILENT["chunked"]) as server:
        stream = connect(server.url, deadlines=SHORT["idle_bytes"])
        with pytest.raises(StreamStalled) as caught:
            list(stream.text.throttle(50))

        assert caught.value.limit == "idle_bytes"
        assert server.connection(0).closed_within(GENEROUS)


@pytest.mark.slow
def test_a_server_that_does_not_close_after_its_last_event_ends_no_later() -> None:
    """Without a thread, as each read has its limit."""

    def script(connection: Connection) -> None:
        connection.play([chunked_head(), *map(http_chunk, WHOLE), OPEN])

    with Loopback(script) as server:
        message = connect(server.url).final()

        assert (message.text, message.ending) == (TEXT, "complete")
        assert server.connection(0).closed_within(GENEROUS)


def test_a_connection_in_its_pool_keeps_no_response_alive() -> None:
    """What limits the reads of a response ends with it."""
    with Loopback([ANSWERED, REQUEST, OPEN]) as server, httpx.Client(trust_env=False) as client:
        response = client.send(client.build_request("POST", server.url), stream=True)
        kept = weakref.ref(response)
        Stream(response).final()
        del response
        gc.collect()

        assert kept() is None
        assert server.connection().open_after(0.05)
