"""What follows the answer's own end: the end of the body, for the sake of the connection, or nothing."""

from __future__ import annotations

import time
from typing import Any

import httpx
import httpx2
import pytest

from tests.stream.blocked import PATIENCE, Loop, Opener, alone, every_opener, opened
from tests.stream.bodies import ANSWER
from tests.support import wire
from tests.support.either import connect_in, got, in_each_loop, inside
from tests.support.loopback import LAST_CHUNK, OPEN, REQUEST, Loopback, Script, chunked_head, http_chunk
from tests.support.timing import wait_for
from tokenstream import Deadlines, Stream, connect
from tokenstream.errors import ProviderError
from tokenstream.stream._reading import silence


def wait_for_the_rest(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have streams wait that long for what follows an answer."""
    monkeypatch.setattr(silence, "REST_SECONDS", seconds)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@every_opener
def test_a_server_that_stays_silent_after_the_end_holds_no_loop(
    opener: Opener, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is whole; the end of its body is waited for half a second, for the connection's reuse."""
    seconds = 0.5
    if tls or opener is not alone:
        seconds = 0.1
        wait_for_the_rest(seconds, monkeypatch)
    if tls and opener is alone:
        tls = False
    with (
        Loopback([chunked_head(), *map(http_chunk, ANSWER), OPEN], tls=tls) as server,
        opened(opener, server.url) as stream,
    ):
        begun = time.monotonic()
        message = stream.final()
        waited = time.monotonic() - begun

        assert seconds - 0.05 < waited < seconds + 1
        assert (message.text, message.ending) == ("Let me see.", "complete")
        assert stream.departures.details == {}
        assert stream.closed
        assert server.connection().closed_within(PATIENCE)


@pytest.mark.slow
def test_a_server_that_drips_after_the_end_holds_no_loop() -> None:
    """Blank lines, one at a time: the half second is one for all of them."""
    drips: Script = [0.1, http_chunk(b"\n")] * 400
    with (
        Loopback([chunked_head(), *map(http_chunk, ANSWER), *drips]) as server,
        opened(alone, server.url) as stream,
    ):
        begun = time.monotonic()
        message = stream.final()

        assert time.monotonic() - begun < 4
        assert message.ending == "complete"
        assert server.connection().closed_within(PATIENCE)


def test_a_stop_while_the_rest_is_waited_for_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_the_rest(10 * PATIENCE, monkeypatch)
    with (
        Loopback([chunked_head(), *map(http_chunk, ANSWER), OPEN]) as server,
        opened(alone, server.url) as stream,
        Loop(stream) as loop,
    ):
        wait_for(lambda: stream.message.finish_reason is not None)
        loop.waits()
        stream.stop()
        loop.ended()

        assert loop.error is None
        assert stream.message.ending == "complete"


@pytest.mark.slow
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_a_body_that_ends_in_time_leaves_its_connection_to_the_next_request(
    library: Any, pause: float
) -> None:
    answer: list[Any] = [chunked_head(), *map(http_chunk, ANSWER), pause, LAST_CHUNK]
    with (
        Loopback([*answer, REQUEST, *answer, OPEN]) as server,
        library.Client(timeout=None, trust_env=False) as client,
    ):
        for _ in range(2):
            response = client.send(client.build_request("POST", server.url), stream=True)
            assert Stream(response).final().ending == "complete"

        assert [2] == [len(connection.requests) for connection in server.connections]


CHUNKS = [wire.chat({"role": "assistant", "content": "Hi"}), wire.chat({}, "stop")]
"""An answer with a finish reason, and without the sentinel."""
SOON = Deadlines(after_finish=0.05)
with_and_without_heartbeats = pytest.mark.parametrize(
    "signs_of_life", [[], [0.02, http_chunk(b": here\n\n")] * 400], ids=["silent", "alive"]
)


@with_and_without_heartbeats
@in_each_loop
async def test_a_finished_answer_without_its_end_mark_ends_soon(colour: str, signs_of_life: Script) -> None:
    with Loopback([chunked_head(), *map(http_chunk, CHUNKS), *signs_of_life, OPEN]) as server:
        async with inside(connect_in(colour)(server.url, json={}, deadlines=SOON)) as stream:
            begun = time.monotonic()
            message = await got(stream.final())

            assert time.monotonic() - begun < 4
            assert ("Hi", "complete") == (message.text, message.ending)
            assert {"done_missing"} == set(stream.departures.details)
            assert server.connection().closed_within(PATIENCE)


def test_an_error_of_an_unknown_kind_is_raised_if_nothing_follows_it() -> None:
    refused = wire.sse({"type": "nest.failed", "error": {"type": "rate_limit_error", "message": "no"}})
    with (
        Loopback([chunked_head(), http_chunk(CHUNKS[0]), http_chunk(refused), OPEN]) as server,
        connect(server.url, json={}, deadlines=SOON) as stream,
    ):
        with pytest.raises(ProviderError) as caught:
            stream.final()

        assert ("rate_limited", "Hi") == (caught.value.kind, stream.message.text)
