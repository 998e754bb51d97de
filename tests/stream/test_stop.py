"""`stop()`: from another thread, from a signal's handler, from the loop itself, at any moment."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from typing import Any

import httpx
import pytest

from tests.stream.blocked import (
    PATIENCE,
    SILENT,
    TEXT,
    TEXTS,
    Loop,
    Opener,
    alone,
    asked,
    every_opener,
    opened,
)
from tests.stream.bodies import ANSWER, TOKENS, Source, Stubborn, chunk
from tests.stream.test_ending import Nosy
from tests.support.loopback import OPEN, Loopback, Script, chunked, chunked_head, http_chunk, sized
from tests.support.timing import at_once, at_rest, tried_again, wait_for
from tests.support.wire import DONE
from tokenstream import Stream
from tokenstream.events import MessageStart, TextDelta

every_end = pytest.mark.parametrize("script", SILENT.values(), ids=SILENT.keys())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@every_end
@every_opener
@tried_again
def test_a_loop_that_waits_for_bytes_ends_at_once(opener: Opener, script: Script, tls: bool) -> None:
    if tls and opener is alone:
        # A client of our own trusts the machine's authorities only.
        tls = False
    with Loopback(script, tls=tls) as server, opened(opener, server.url) as stream, Loop(stream.text) as loop:
        loop.got(2)
        asked_at = time.monotonic()
        stream.stop("enough")
        returned_at = time.monotonic()
        ended_at = loop.ended()
        connection = server.connection()

        assert loop.error is None
        assert loop.items == TEXTS
        assert (stream.message.text, stream.message.ending) == (TEXT, "stopped")
        assert stream.closed
        at_once(asked_at, returned_at)
        at_once(asked_at, ended_at)
        assert connection.closed_within(PATIENCE)
        at_once(asked_at, connection.closed_at)
        assert stream.departures.details == {}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@tried_again
def test_a_signal_handler_may_stop_the_loop_that_it_interrupts(tls: bool) -> None:
    """The thread that waits is the one that the handler runs in."""
    done_at: list[float] = []

    def handle(*_: object) -> None:
        stream.stop("signal")
        done_at.append(time.monotonic())

    def send() -> None:
        at_rest(threading.main_thread())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Loopback(SILENT["chunked"], tls=tls) as server, opened(asked(httpx), server.url) as stream:
            texts = []
            sender = threading.Thread(target=send)
            for text in stream.text:
                texts.append(text)
                if len(texts) == 2:
                    sender.start()
            ended_at = time.monotonic()
            sender.join()

            assert texts == TEXTS
            assert stream.message.ending == "stopped"
            at_once(done_at[0], ended_at)
            assert server.connection().closed_within(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_second_stop_changes_nothing() -> None:
    with (
        Loopback(SILENT["chunked"]) as server,
        opened(alone, server.url) as stream,
        Loop(stream.text) as loop,
    ):
        loop.got(2)
        stream.stop("first")
        stream.stop("second")
        loop.ended()
        message = stream.message
        stream.stop("third")
        stream.close()

        assert loop.error is None
        assert message.ending == "stopped"
        assert stream.message == message


def test_the_loop_may_stop_its_own_stream() -> None:
    with Loopback(SILENT["chunked"]) as server, opened(alone, server.url) as stream:
        texts = []
        for text in stream.text:
            texts.append(text)
            stream.stop("enough")
            assert server.connection().closed_within(PATIENCE)

        assert texts == TEXTS[:1]
        assert (stream.message.text, stream.message.ending) == (TEXTS[0], "stopped")


@every_opener
def test_a_stop_before_the_first_read_leaves_nothing_to_read(opener: Opener) -> None:
    """A request that was not sent never is; a response that is there is closed unread."""
    with Loopback(SILENT["chunked"]) as server, opened(opener, server.url) as stream:
        stream.stop()

        assert all(connection.closed_within(PATIENCE) for connection in server.connections)
        assert list(stream.text) == []
        assert stream.final().ending == "stopped"
        assert stream.closed


def test_a_stop_after_the_end_has_no_effect() -> None:
    with Loopback(chunked(ANSWER)) as server, opened(alone, server.url) as stream:
        message = stream.final()
        stream.stop("late")

        assert message.ending == "complete"
        assert stream.message == message


class Held(Source):
    """A source that waits for the end of its body until it is let go."""

    def __init__(self, chunks: list[bytes]) -> None:
        super().__init__(chunks)
        self.waits, self.go_on = threading.Event(), threading.Event()

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except StopIteration:
            self.waits.set()
            assert self.go_on.wait(PATIENCE)
            raise


@pytest.mark.parametrize(
    "body, format, ending",
    [
        pytest.param(ANSWER, "openai-chat", "complete", id="with a finish reason"),
        pytest.param([*ANSWER[:3], DONE], "openai-chat", "stopped", id="without"),
        pytest.param(TOKENS, "text", "complete", id="bare text"),
    ],
)
def test_a_stop_after_the_terminal_event_leaves_the_answer_complete(
    body: list[bytes], format: Any, ending: str
) -> None:
    source = Held(body)
    stream = Stream(source, format=format)
    with Loop(stream) as loop:
        assert source.waits.wait(PATIENCE)
        stream.stop()
        said_at_once = stream.message.ending
        source.go_on.set()
        loop.ended()

    assert loop.error is None
    assert (said_at_once, stream.message.ending) == (ending, ending)


@pytest.mark.parametrize("late", [OSError("bad file descriptor"), ANSWER[3]], ids=["an error", "a chunk"])
def test_what_comes_of_the_source_after_a_stop_is_nobodys(late: Exception | bytes) -> None:
    """A blocked iterable cannot be woken: its loop ends with what comes next, and the source is closed."""
    go_on, waits, ended = threading.Event(), threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        try:
            yield ANSWER[2]
            waits.set()
            assert go_on.wait(PATIENCE)
            if isinstance(late, Exception):
                raise late
            yield late
        finally:
            ended.set()

    stream = Stream(body())
    with Loop(stream.text) as loop:
        assert waits.wait(PATIENCE)
        stream.stop()
        message = stream.message
        go_on.set()

    assert (loop.items, loop.error, ended.is_set()) == (["Let "], None, True)
    assert (message.text, message.ending) == ("Let ", "stopped")
    assert stream.message == message


def test_a_source_that_cannot_be_closed_takes_no_event_from_the_loop_that_was_stopped() -> None:
    """The event that was being decoded is given, then the loop ends; closing stays quiet there."""
    decoding, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        decoding.set()
        assert go_on.wait(PATIENCE)

    source = Stubborn(TOKENS)
    stream = Stream(source, format=Nosy(hold))
    with Loop(stream) as loop:
        assert decoding.wait(PATIENCE)
        stream.stop()
        go_on.set()

    assert (loop.items, loop.error) == ([MessageStart(role="assistant")], None)
    assert (stream.message.ending, source.closed) == ("stopped", 1)


# -- while the request's answer is waited for ------------------------------


@pytest.mark.parametrize("in_with", [False, True], ids=["at the first read", "in with"])
@tried_again
def test_a_stop_while_our_own_client_waits_for_the_response_ends_the_wait(in_with: bool) -> None:
    """Our client's connection carries nothing else, so it is cut."""

    def read() -> list[Any]:
        with stream if in_with else nullcontext():
            return list(stream.text)

    with Loopback([OPEN]) as server, opened(alone, server.url) as stream, Loop(read) as loop:
        connection = server.connection()
        wait_for(lambda: bool(connection.requests))
        loop.waits()
        asked_at = time.monotonic()
        stream.stop()

        at_once(asked_at, loop.ended())
        assert (loop.items, loop.error) == ([], None)
        assert stream.message.ending == "stopped"
        assert connection.closed_within(PATIENCE)


@pytest.mark.parametrize("in_with", [False, True], ids=["at the first read", "in with"])
@tried_again
def test_a_stop_while_a_client_of_ones_own_waits_for_the_response_shows_at_once(in_with: bool) -> None:
    """The wait ends with the response; nothing of it is read, and it is closed."""
    gate = threading.Event()

    def read() -> list[Any]:
        if not in_with:
            return list(stream.text)
        with stream:
            assert server.connection().closed_within(PATIENCE)
            return list(stream.text)

    with (
        Loopback([gate, chunked_head(), *map(http_chunk, ANSWER), OPEN]) as server,
        opened(asked(httpx), server.url) as stream,
        Loop(read) as loop,
    ):
        connection = server.connection()
        wait_for(lambda: bool(connection.requests))
        loop.waits()
        asked_at = time.monotonic()
        stream.stop()
        at_once(asked_at, time.monotonic())
        assert stream.message.ending == "stopped"
        assert connection.open_after(0.05)
        gate.set()

        loop.ended()
        assert (loop.items, loop.error) == ([], None)
        assert stream.message.ending == "stopped"
        assert connection.closed_within(PATIENCE)


# -- afterwards -----------------------------------------------------------


def test_a_connection_that_was_shut_is_not_used_again() -> None:
    with (
        Loopback(SILENT["chunked"], sized(b"".join(ANSWER))) as server,
        httpx.Client(timeout=None, trust_env=False) as client,
    ):
        stream = Stream(client.send(client.build_request("POST", server.url), stream=True))
        with Loop(stream.text) as loop:
            loop.got(2)
            stream.stop()
        again = Stream(client.send(client.build_request("POST", server.url), stream=True))

        whole = again.final()
        assert (whole.text, whole.ending) == ("Let me see.", "complete")
        assert len(server.connections) == 2


@pytest.mark.parametrize("end", [Stream.stop, Stream.close], ids=["stop", "close"])
def test_a_response_that_was_read_before_needs_no_socket(end: Callable[[Stream], None]) -> None:
    with Loopback(sized(b"".join(ANSWER))) as server, closing(httpx.Client(trust_env=False)) as client:
        stream = Stream(client.post(server.url))
        event = next(item for item in stream if isinstance(item, TextDelta))
        end(stream)

        assert event.text == "Let "
        assert (stream.message.text, stream.message.ending) == ("Let ", "stopped")


def test_tool_calls_that_were_not_whole_are_not_given_after_a_stop() -> None:
    body = [ANSWER[5], chunk({"content": "x"})]
    stream = Stream(body)
    for event in stream:
        if isinstance(event, TextDelta):
            stream.stop()

    assert list(stream.tool_calls) == []
    assert [call.complete for call in stream.message.tool_calls] == [False]
