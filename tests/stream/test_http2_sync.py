"""Streams that share a connection of HTTP/2."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.stream.blocked import PATIENCE, TEXT, TEXTS, Loop
from tests.stream.bodies import ANSWER
from tests.support.loopback import Connection, Loopback, client_context
from tests.support.timing import at_once, tried_again, wait_for
from tokenstream import Deadlines, Stream
from tokenstream.errors import StreamStalled


class Multiplexed:
    """A server of HTTP/2 that sends what a test says on each stream of each connection."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.asked: dict[str, int] = {}
        """The stream of each request, by its path."""
        self._h2 = H2Connection(H2Configuration(client_side=False))
        self._news = threading.Condition()

    def __call__(self, connection: Connection) -> None:
        self.connections.append(connection)
        with self._news:
            self._h2.initiate_connection()
            connection.send(self._h2.data_to_send())
        threading.Thread(target=self._ping, args=(connection,), daemon=True).start()
        while received := connection.receive():
            with self._news:
                for event in self._h2.receive_data(received):
                    if isinstance(event, RequestReceived):
                        path = dict(event.headers or [])[b":path"].decode()
                        self.asked[path] = event.stream_id
                        head = [(":status", "200"), ("content-type", "text/event-stream")]
                        self._h2.send_headers(event.stream_id, head)
                connection.send(self._h2.data_to_send())
                self._news.notify_all()

    def _ping(self, connection: Connection) -> None:
        """Make whoever reads this connection for all its streams come up for air."""
        with suppress(OSError):
            while not connection.closed.wait(0.01):
                with self._news:
                    self._h2.ping(b"12345678")
                    connection.send(self._h2.data_to_send())

    def say(self, path: str, *pieces: bytes, end: bool = False) -> None:
        with self._news:
            assert self._news.wait_for(lambda: path in self.asked, PATIENCE)
            for piece in pieces:
                self._h2.send_data(self.asked[path], piece)
            if end:
                self._h2.end_stream(self.asked[path])
            self.connections[0].send(self._h2.data_to_send())


@pytest.mark.slow
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@tried_again
def test_a_connection_of_http2_goes_on_for_others_when_one_is_stopped(library: Any) -> None:
    """Other answers share the socket, so it is never shut."""
    server_side = Multiplexed()
    with (
        Loopback(server_side, tls=True, alpn=["h2"]) as server,
        library.Client(http2=True, verify=client_context(), timeout=None, trust_env=False) as client,
    ):

        def opened_at(path: str) -> Stream:
            return Stream(client.send(client.build_request("POST", server.url + path), stream=True))

        stopped, other = opened_at("/stopped"), opened_at("/other")
        with Loop(stopped.text) as loop, Loop(other.text) as other_loop:
            server_side.say("/stopped", *ANSWER[2:4])
            server_side.say("/other", ANSWER[2])
            loop.got(2)
            other_loop.got(1)
            asked_at = time.monotonic()
            stopped.stop("enough")
            at_once(asked_at, time.monotonic())
            assert stopped.message.ending == "stopped"

            server_side.say("/other", *ANSWER[3:5])
            other_loop.got(3)
            assert loop.ended_at is None
            server_side.say("/stopped", ANSWER[4])
            loop.ended()
            server_side.say("/other", *ANSWER[8:], end=True)
            other_loop.ended()

        assert (loop.items, loop.error) == (TEXTS, None)
        assert (stopped.message.text, stopped.message.ending) == (TEXT, "stopped")
        assert (other_loop.items, other_loop.error) == (["Let ", "me ", "see."], None)
        assert other.message.ending == "complete"
        assert len(server.connections) == 1
        assert server.connection().open_after(0.05)


def _ask_twice(server: Loopback, client: Any, **options: Any) -> tuple[Stream, Stream]:
    """Return two streams on one connection, of which the first one has options."""
    first, second = (
        client.send(client.build_request("POST", server.url + path), stream=True)
        for path in ("/silent", "/other")
    )
    return Stream(first, **options), Stream(second)


@pytest.mark.slow
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("limit", ["idle_bytes", "idle_content", "total"])
def test_a_silent_answer_ends_alone_on_a_connection_of_http2(library: Any, limit: str) -> None:
    """A read that times out would break the connection for the other answer."""
    server_side = Multiplexed()
    with (
        Loopback(server_side, tls=True, alpn=["h2"]) as server,
        library.Client(http2=True, verify=client_context(), timeout=None, trust_env=False) as client,
    ):
        silent, other = _ask_twice(server, client, deadlines=Deadlines(**{limit: 0.4}))
        server_side.say("/silent", *ANSWER[2:4])
        server_side.say("/other", ANSWER[2])
        texts = iter(other.text)
        assert next(texts) == "Let "
        with pytest.raises(StreamStalled) as caught:
            silent.final()
        assert caught.value.limit == limit

        server_side.say("/other", *ANSWER[3:5], *ANSWER[8:], end=True)
        assert [*texts] == ["me ", "see."]
        assert other.message.ending == "complete"
        assert len(server.connections) == 1
        assert server.connection().open_after(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_silent_answer_meets_its_deadline_while_another_thread_reads_its_connection(library: Any) -> None:
    server_side = Multiplexed()
    with (
        Loopback(server_side, tls=True, alpn=["h2"]) as server,
        library.Client(http2=True, verify=client_context(), timeout=None, trust_env=False) as client,
    ):
        silent, other = _ask_twice(server, client, deadlines=Deadlines(idle_bytes=0.2))
        with Loop(silent.text) as loop, Loop(other.text) as other_loop:
            server_side.say("/silent", *ANSWER[2:4])
            server_side.say("/other", ANSWER[2])
            wait_for(lambda: loop.ended_at is not None)
            server_side.say("/other", *ANSWER[3:5], *ANSWER[8:], end=True)
            other_loop.ended()

        assert isinstance(loop.error, StreamStalled)
        assert (loop.error.limit, loop.items) == ("idle_bytes", TEXTS)
        assert (other_loop.error, other.message.ending) == (None, "complete")
