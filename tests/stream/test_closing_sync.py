"""The connection closes at every way out of a stream, and at no other moment: seen from the server."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.stream.blocked import PATIENCE, SILENT, TEXT, TEXTS, Loop, Opener, alone, every_opener, opened
from tests.stream.bodies import ANSWER, Source, Stubborn
from tests.support.loopback import (
    CLOSE,
    LAST_CHUNK,
    RST,
    Connection,
    Loopback,
    Script,
    chunked,
    chunked_head,
    http_chunk,
    until_close,
)
from tests.support.raised import misuse
from tests.support.timing import at_once, tried_again
from tests.support.wire import sse
from tokenstream import Stream, connect
from tokenstream.errors import ProviderError, StreamError, StreamInterrupted, StreamTruncated

BOOM = sse('{"error": {"message": "busy", "type": "overloaded_error"}}')


def read_two(stream: Stream) -> None:
    view = stream.text
    assert [next(view), next(view)] == TEXTS


def is_left(connection: Connection, since: float) -> None:
    """Assert that the client's side closes, and within the time that a server may expect."""
    assert connection.closed_within(PATIENCE)
    at_once(since, connection.closed_at)


# -- ways out, each of which closes -----------------------------------------


def by_close(stream: Stream) -> None:
    read_two(stream)
    stream.close()
    stream.close()


def by_stop(stream: Stream) -> None:
    read_two(stream)
    stream.stop("enough")


def by_with(stream: Stream) -> None:
    with stream:
        read_two(stream)


def by_break_in_with(stream: Stream) -> None:
    with stream:
        for text in stream.text:
            if text == TEXTS[-1]:
                break


def by_an_exception_in_with(stream: Stream) -> None:
    own = ZeroDivisionError("the consumer's own")
    with pytest.raises(ZeroDivisionError) as caught, stream:
        read_two(stream)
        raise own

    assert caught.value is own
    assert (own.__cause__, own.__context__) == (None, None)


def consumer(stream: Stream) -> Generator[str]:
    with stream:
        yield from stream.text


def by_a_consumer_that_is_closed(stream: Stream) -> None:
    pieces = consumer(stream)
    assert [next(pieces), next(pieces)] == TEXTS
    pieces.close()


def by_a_consumer_that_is_thrown_into(stream: Stream) -> None:
    pieces = consumer(stream)
    assert [next(pieces), next(pieces)] == TEXTS
    with pytest.raises(KeyError):
        pieces.throw(KeyError("thrown"))


WAYS = [
    by_close,
    by_stop,
    by_with,
    by_break_in_with,
    by_an_exception_in_with,
    by_a_consumer_that_is_closed,
    by_a_consumer_that_is_thrown_into,
]


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
@every_opener
@tried_again
def test_each_way_out_closes_the_connection(opener: Opener, leave: Callable[[Stream], None]) -> None:
    with Loopback(SILENT["chunked"]) as server, opened(opener, server.url) as stream:
        leave(stream)
        since = time.monotonic()

        is_left(server.connection(), since)
        assert (stream.message.text, stream.message.ending) == (TEXT, "stopped")
        assert stream.closed
        assert list(stream.text) == [TEXT]


@every_opener
@tried_again
def test_a_stream_that_is_collected_closes_the_connection_and_warns(opener: Opener) -> None:
    with Loopback(SILENT["chunked"]) as server, opened(opener, server.url) as stream:
        read_two(stream)
        connection = server.connection()
        assert connection.open_after(0.02)
        since = time.monotonic()
        with pytest.warns(ResourceWarning, match="never closed: use `with`"):
            del stream

        is_left(connection, since)


def test_a_view_keeps_its_stream() -> None:
    with Loopback(chunked(ANSWER)) as server, opened(alone, server.url) as stream:
        views = [stream.text]
        assert next(views[0]) == "Let "
        del stream
        gc.collect()

        assert list(views[0]) == ["me ", "see."]


def test_a_consumer_without_with_is_closed_when_it_is_collected() -> None:
    def consumer() -> Generator[str]:
        yield from Stream(source).text

    source = Source(ANSWER)
    pieces = consumer()
    assert next(pieces) == "Let "
    with pytest.warns(ResourceWarning, match="never closed"):
        pieces.close()

    assert source.closed == 1


def test_a_stream_whose_request_never_went_out_needs_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = connect("http://127.0.0.1:9/")
        del stream
        gc.collect()


# -- the end of the input, and errors ---------------------------------------


@every_opener
@tried_again
def test_the_end_of_the_input_closes_the_connection(opener: Opener) -> None:
    with Loopback(until_close(*ANSWER)) as server, opened(opener, server.url) as stream:
        message = stream.final()
        since = time.monotonic()

        is_left(server.connection(), since)
        assert (message.text, message.ending) == ("Let me see.", "complete")
        assert stream.closed


@tried_again
def test_our_own_client_closes_the_connection_at_the_end_of_a_body() -> None:
    """The server would have taken another request on the connection."""
    with Loopback([*chunked(ANSWER), threading.Event()]) as server, opened(alone, server.url) as stream:
        stream.final()
        since = time.monotonic()

        is_left(server.connection(), since)


FAULTS: dict[str, tuple[list[Any], type[StreamError], str]] = {
    "a cut": ([chunked_head(), *map(http_chunk, ANSWER[:4]), CLOSE], StreamInterrupted, "truncated"),
    "a reset": ([chunked_head(), *map(http_chunk, ANSWER[:4]), 0.05, RST], StreamInterrupted, "truncated"),
    "a clean end too early": ([*until_close(*ANSWER[:4])], StreamTruncated, "truncated"),
    "an error of the provider's": (
        [chunked_head(), *map(http_chunk, [*ANSWER[:4], BOOM]), threading.Event()],
        ProviderError,
        "failed",
    ),
}


@pytest.mark.parametrize("script, kind, ending", FAULTS.values(), ids=FAULTS.keys())
@every_opener
@tried_again
def test_an_error_closes_the_connection(
    opener: Opener, script: list[Any], kind: type[StreamError], ending: str
) -> None:
    with Loopback(script) as server, opened(opener, server.url) as stream:
        texts = []
        with pytest.raises(kind) as caught:
            for text in stream.text:
                texts.append(text)
        since = time.monotonic()
        connection = server.connection()

        assert connection.closed_within(PATIENCE)
        # After a reset of the server's there is no connection left to be closed.
        at_once(since, connection.closed_at or since)
        assert "".join(texts) == TEXT
        assert caught.value.partial == stream.message
        assert (stream.message.text, stream.message.ending) == (TEXT, ending)
        assert stream.closed


def _held_at(gate: threading.Event) -> Script:
    """Return an answer whose second half waits for the gate."""
    return [chunked_head(), *map(http_chunk, ANSWER[:4]), gate, *map(http_chunk, ANSWER[4:]), LAST_CHUNK]


# -- what does not close -------------------------------------------------------


@every_opener
def test_break_alone_closes_nothing_and_reading_on_works(opener: Opener) -> None:
    gate = threading.Event()
    script = _held_at(gate)
    with Loopback(script) as server, opened(opener, server.url) as stream:
        for text in stream.text:
            if text == "me ":
                break
        connection = server.connection()
        assert connection.open_after(0.05)
        halfway = stream.message
        gate.set()

        assert list(stream.reasoning) == ["Hm. Weather."]
        assert list(stream.text) == ["Let me see."]
        assert [call.id for call in stream.tool_calls] == ["call_a", "call_b"]
        assert (halfway.ending, stream.message.ending) == ("streaming", "complete")
        assert stream.closed


def test_reading_on_after_close_is_refused_and_nothing_is_lost() -> None:
    with Loopback(SILENT["chunked"]) as server, opened(alone, server.url) as stream:
        read_two(stream)
        stream.close()
        with misuse("closed", match="closed"):
            iter(stream)
        with misuse("closed", match="closed"):
            stream.__enter__()

        assert stream.final().text == TEXT
        assert list(stream.text) == [TEXT]
        assert server.connection().closed_within(PATIENCE)


# -- a source that cannot be closed ---------------------------------------------


def test_close_tells_once_that_it_failed() -> None:
    source = Stubborn(ANSWER)
    stream = Stream(source)
    next(stream)
    with pytest.raises(OSError, match="cannot close"):
        stream.close()
    stream.close()

    assert source.closed == 1
    assert (stream.closed, stream.message.ending) == (True, "stopped")


def test_collecting_a_stream_whose_source_cannot_be_closed_stays_quiet() -> None:
    source = Stubborn(ANSWER)
    stream = Stream(source)
    next(stream)
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream

    assert source.closed == 1


def test_the_last_reference_may_go_while_another_thread_reads() -> None:
    """The loop has one of its own; it is read to its end, and nothing warns."""
    gate = threading.Event()
    script = _held_at(gate)
    with Loopback(script) as server:
        holder = [connect(server.url)]
        with Loop(holder.pop().text) as loop:
            loop.got(2)
            gc.collect()
            gate.set()

        assert (loop.items, loop.error) == (["Let ", "me ", "see."], None)
        assert server.connection().closed_within(PATIENCE)
