"""`tap` over a response of httpx or httpx2: whatever is read of its body is seen, chunk by chunk."""

from __future__ import annotations

import copy
import gzip
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import httpx_sse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER, Later
from tests.support.chunkings import chunked as cut_anyhow
from tests.support.either import Each, at_once, inside
from tests.support.loopback import (
    CLOSE,
    OPEN,
    RST,
    Loopback,
    Script,
    chunked,
    chunked_head,
    http_chunk,
    sized,
)
from tests.support.wire import sse
from tokenstream import Decoder, Limits, Stream, tap
from tokenstream.errors import (
    LimitExceeded,
    ProtocolError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)

WHOLE = Stream(ANSWER).final()
BODY = b"".join(ANSWER)
GZIPPED = gzip.compress(BODY)

both = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
"""Each of the two libraries."""


async def _read(make_client: Any, url: str, options: dict[str, Any]) -> tuple[bytes, Any, Exception | None]:
    body, raised = b"", None
    async with inside(make_client(**options)) as client, inside(client.stream("POST", url)) as response:
        tapped: Any = tap(response)
        pieces = tapped.aiter_bytes if hasattr(client, "aclose") else tapped.iter_bytes
        try:
            async for piece in Each(pieces()):
                body += piece
        except (httpx.TransportError, httpx2.TransportError) as error:
            raised = error
    return body, tapped, raised


def read(library: Any, script: Script, **options: Any) -> tuple[bytes, Any, Exception | None]:
    """Read an answer through a tapped response; return its bytes, the tap, and what was raised."""
    with Loopback(script) as server:
        return at_once(_read(library.Client, server.url, options))


async def read_later(library: Any, script: Script, **options: Any) -> tuple[bytes, Any, Exception | None]:
    with Loopback(script) as server:
        return await _read(library.AsyncClient, server.url, options)


COMPRESSED = sized(GZIPPED, headers=[("Content-Encoding", "gzip")])


@pytest.mark.anyio
@both
@pytest.mark.parametrize(
    "script", [chunked(ANSWER), sized(BODY), COMPRESSED], ids=["chunked", "sized", "gzip"]
)
async def test_the_body_passes_and_is_seen(library: Any, script: Script) -> None:
    for body, tapped, raised in [read(library, script), await read_later(library, script)]:
        assert (BODY, None) == (body, raised)
        assert tapped.message == WHOLE
        assert tapped.error is None
        assert {} == tapped.departures.details


@pytest.mark.anyio
@both
@pytest.mark.parametrize("end", [CLOSE, RST], ids=["FIN", "RST"])
async def test_a_cut_raises_what_it_would_have_raised(library: Any, end: Any) -> None:
    script = [chunked_head(), *map(http_chunk, ANSWER[:4]), 0.05, end]
    for body, tapped, raised in [read(library, script), await read_later(library, script)]:
        assert body == b"".join(ANSWER[:4])
        assert isinstance(raised, library.TransportError)
        assert ("truncated", "Let me ") == (tapped.message.ending, tapped.message.text)
        assert isinstance(tapped.error, StreamInterrupted)
        assert tapped.error.__cause__ is raised


@both
def test_a_read_timeout_is_a_stall(library: Any) -> None:
    """The timeout of the application's own client is named as the limit."""

    def be_brief(response: Any) -> None:
        # The head may take its time on a busy machine.
        response.request.extensions["timeout"]["read"] = 0.05

    hooks = {"response": [be_brief]}
    _, tapped, raised = read(library, [chunked_head(), http_chunk(ANSWER[0]), OPEN], event_hooks=hooks)

    assert isinstance(raised, library.ReadTimeout)
    assert isinstance(tapped.error, StreamStalled)
    assert tapped.error.limit == "transport"


@pytest.mark.parametrize(
    "body, kind, ending",
    [
        (ANSWER[:4], StreamTruncated, "truncated"),
        ([*ANSWER[:4], sse("{]"), *ANSWER[4:]], ProtocolError, "failed"),
    ],
    ids=["ends early", "broken payload"],
)
@pytest.mark.anyio
async def test_what_only_the_tap_notices_disturbs_nobody(
    body: list[bytes], kind: type[StreamError], ending: str
) -> None:
    for got, tapped, raised in [read(httpx, chunked(body)), await read_later(httpx, chunked(body))]:
        assert (b"".join(body), None) == (got, raised)
        assert isinstance(tapped.error, kind)
        assert (ending, "Let me ") == (tapped.message.ending, tapped.message.text)


def test_an_error_status_is_reported_with_the_request_id() -> None:
    """The body of a refusal is read as one, when the application reads it."""
    said = b'{"error": {"message": "Too many", "type": "rate_limit_error"}}'
    headers = [("x-request-id", "req_1"), ("retry-after", "7")]
    script = sized(said, status=429, content_type="application/json", headers=headers)
    body, tapped, _ = read(httpx, script)

    assert body == said
    assert isinstance(tapped.error, StatusError)
    assert (429, "req_1", 7.0) == (tapped.error.status, tapped.error.request_id, tapped.error.retry_after)


@pytest.mark.anyio
@both
# On trio, httpx leaves the generators of its transport to the collector, tapped or not.
@pytest.mark.filterwarnings("ignore:.*PoolByteStream", "ignore:Async generator:ResourceWarning")
async def test_closing_early_is_stopped_and_closes_the_connection(library: Any) -> None:
    script: Script = [chunked_head(), *map(http_chunk, ANSWER[:4]), OPEN, 2.0]
    with Loopback(script) as server, library.Client() as client:
        first: Any = tap(client.send(client.build_request("POST", server.url), stream=True))
        for _ in first.iter_raw():
            break
        first.close()
        closed = server.connections[0].closed_within()
    with Loopback(script) as server:
        async with library.AsyncClient() as client:
            second: Any = tap(await client.send(client.build_request("POST", server.url), stream=True))
            pieces = second.aiter_raw()
            await anext(pieces)
            still = server.connections[0].open_after(0.02)
            await second.aclose()
            await pieces.aclose()
            closed_too = server.connections[0].closed_within()

    assert (True, True, True) == (closed, still, closed_too)
    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]


@pytest.mark.anyio
async def test_cancelling_the_reader_is_stopped() -> None:
    with Loopback([chunked_head(), *map(http_chunk, ANSWER[:4]), OPEN, 2.0]) as server:
        async with httpx2.AsyncClient() as client, client.stream("POST", server.url) as response:
            tapped: Any = tap(response)
            with anyio.move_on_after(0.1) as scope:
                async for _ in tapped.aiter_bytes():
                    pass

            assert scope.cancelled_caught
            assert ("stopped", "Let me ") == (tapped.message.ending, tapped.message.text)


def test_an_event_source_is_tapped_in_its_place() -> None:
    """What reads the response need not know of the tap: `iter_sse` of httpx-sse gives its own events."""
    with (
        Loopback(chunked(ANSWER)) as server,
        httpx.Client() as client,
        httpx_sse.connect_sse(client, "POST", server.url) as source,
    ):
        tapped = tap(source.response)
        got = [event.data for event in source.iter_sse()]

    assert "[DONE]" == got[-1]
    assert tapped.message == WHOLE


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in both colours, with something of its own, as an SDK puts beneath a response."""

    stream_observer = "an observer of the SDK's"

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def answered(body: Body, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": "text/event-stream"}, stream=body)


def test_what_is_on_the_body_is_found_there() -> None:
    """An SDK that looks for something on `response.stream` finds it, and both loops read it."""
    body = Body(ANSWER)
    response = answered(body)
    tapped = tap(response)
    shown: Any = response.stream

    assert shown is not body
    assert "an observer of the SDK's" == shown.stream_observer
    assert not hasattr(shown, "elapsed")
    assert body.chunks is copy.copy(shown).chunks
    assert isinstance(shown, httpx2.SyncByteStream)
    assert isinstance(shown, httpx2.AsyncByteStream)
    response.close()
    assert 1 == body.closed
    assert "stopped" == tapped.message.ending


def test_a_bound_is_noticed_where_it_is_passed() -> None:
    response = answered(Body(ANSWER[2:4] * 2 + ANSWER[4:]))
    tapped: Any = tap(response, limits=Limits(text=len("Let me Let ") - 1))
    pieces = tapped.iter_raw()
    endings = [tapped.message.ending for _ in zip(range(3), pieces, strict=False)]

    assert ["streaming", "streaming", "failed"] == endings
    assert isinstance(tapped.error, LimitExceeded)
    assert len(ANSWER) - 3 == len(list(pieces))


def test_what_comes_after_the_end_is_passed_on() -> None:
    """Some SDKs read on beneath their own loop, for the sake of the connection."""
    response = answered(Body([*ANSWER, b": bye\n\n"]))
    tapped = tap(response)
    shown: Any = response.stream
    pieces = iter(shown)
    first = [next(pieces) for _ in ANSWER]
    rest = list(shown)

    assert (ANSWER, [*ANSWER, b": bye\n\n"]) == (first, rest)
    assert tapped.message == WHOLE


def test_a_body_that_closes_after_its_terminal_event_is_complete() -> None:
    """The compressed body's own end is not missed by who knows that the answer is over."""
    compressor = zlib.compressobj(wbits=31)
    piece = compressor.compress(BODY) + compressor.flush(zlib.Z_SYNC_FLUSH)
    response = answered(Body([piece, compressor.flush()]))
    response.headers["content-encoding"] = "gzip"
    tapped: Any = tap(response)
    for _ in tapped.iter_bytes():
        break
    response.close()

    assert tapped.message == WHOLE
    assert {} == tapped.departures.details


@pytest.mark.anyio
async def test_a_reader_that_leaves_closes_what_it_began() -> None:
    """An asynchronous body that is left early is closed in the reader's own task, not at some later time."""
    left: list[str] = []

    class Telling(Body):
        async def __aiter__(self) -> AsyncGenerator[bytes]:
            try:
                for chunk in self.chunks:
                    yield chunk
            finally:
                left.append("body")

    response = answered(Telling(ANSWER))
    tapped = tap(response)
    shown: Any = response.stream
    pieces = aiter(shown)
    assert ANSWER[0] is await anext(pieces)
    await pieces.aclose()

    assert ["body"] == left
    assert "streaming" == tapped.message.ending


@pytest.mark.anyio
async def test_a_body_need_not_be_a_generator() -> None:
    class Other(Body):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return Later(self.chunks)

    response = answered(Other(ANSWER))
    tapped = tap(response)
    shown: Any = response.stream
    got = [piece async for piece in shown]

    assert all(ours is own for ours, own in zip(got, ANSWER, strict=True))
    assert tapped.message == WHOLE


def test_a_response_that_was_begun_is_left_alone() -> None:
    class Holder:
        def __init__(self, response: httpx2.Response) -> None:
            self.response = response
            self._pieces = response.iter_bytes()

        def __iter__(self) -> Iterator[bytes]:
            return self._pieces

    response = answered(body := Body(ANSWER))
    holder = Holder(response)
    first = next(iter(holder))
    tapped = tap(holder)

    assert [first, *tapped] == ANSWER
    assert response.stream is body
    assert ("complete", WHOLE.text) == (tapped.message.ending, tapped.message.text)


def test_what_is_seen_already_is_not_seen_twice() -> None:
    """Entering may give another object on the same response; its body passes once."""

    class Holder:
        def __init__(self, response: httpx2.Response) -> None:
            self.response = response

        def __iter__(self) -> Iterator[bytes]:
            return self.response.iter_bytes()

        def __enter__(self) -> Iterable[bytes]:
            return Holder(self.response)

        def __exit__(self, *raised: object) -> None:
            self.response.close()

    with tap(Holder(answered(Body(ANSWER)))) as tapped:
        assert ANSWER == list(tapped)

    assert tapped.message == WHOLE


def test_a_response_that_cannot_be_read_says_so_itself() -> None:
    """A mistake of who reads is no failure of the answer."""

    class Closed(Body):
        def __iter__(self) -> Iterator[bytes]:
            raise httpx2.StreamClosed

    response = answered(Closed([]))
    tapped: Any = tap(response)
    with pytest.raises(httpx2.StreamClosed):
        list(tapped.iter_bytes())

    assert ("stopped", None) == (tapped.message.ending, tapped.error)


@given(cut_anyhow(st.just(BODY)))
def test_where_chunks_end_means_nothing(drawn: tuple[bytes, list[bytes]]) -> None:
    response = answered(Body(drawn[1]))
    tapped: Any = tap(response)
    decoder = Decoder(content_type="text/event-stream")
    for piece in tapped.iter_raw():
        decoder.feed(piece)

        assert tapped.message == decoder.message
    assert tapped.message == WHOLE
