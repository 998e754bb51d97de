"""`observe`: how an answer ended, and what it was wrapped in."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import anyio
import pytest
from opentelemetry.trace import StatusCode

from tests.otel.backend import Backend, told_by
from tests.otel.observe.support import ANSWER, CHAT, DURATION, FIRST, TOKENS, replayed
from tests.support.asgi import Client
from tokenstream import (
    AsyncStream,
    Deadlines,
    Retry,
    Stream,
    aconnect,
    aresilient,
    connect,
    relay,
    resilient,
    tap,
    testing,
)
from tokenstream.errors import StatusError, StreamError
from tokenstream.otel import observe
from tokenstream.recovery import Routes
from tokenstream.testing import Server


def test_a_refusal_is_reported_by_its_status(backend: Backend, server: Server) -> None:
    """`error.type` is the status; the words of the error, which may quote the request, stay out."""
    with (
        pytest.raises(StatusError),
        observe(connect(server.url + "/busy" + CHAT, json={"model": "m"}), **backend.takes) as stream,
    ):
        stream.final()
    span = backend.span

    assert (StatusCode.ERROR, "StatusError") == (span.status.status_code, span.status.description)
    assert "429" == backend.told["error.type"]
    assert ["429"] == [point.attributes["error.type"] for point in backend.points(DURATION)]
    assert "openai" == backend.told["gen_ai.provider.name"]
    assert "secret" not in span.to_json()


@pytest.mark.anyio
async def test_a_shutdown_of_the_relay_is_no_error_of_the_providers(backend: Backend) -> None:
    """An alert on other errors stays silent at each deploy."""

    async def silent() -> AsyncIterator[str]:
        yield "Hello"
        await anyio.sleep_forever()

    client = Client()
    answer = observe(AsyncStream(silent(), format="pieces"), **backend.takes)
    async with client.calling(relay.respond(answer, timing=relay.Timing(drain=0))):
        await client.until(lambda: b"Hello" in client.body)
        relay.shut_down()
    attributes = backend.told

    assert ("shutdown", "truncated") == (attributes["error.type"], attributes["tokenstream.ending"])
    assert ["shutdown"] == [point.attributes["error.type"] for point in backend.points(DURATION)]


@pytest.mark.parametrize(
    ("fault", "name"),
    [(testing.faults.cut(event=3), "StreamTruncated"), (testing.faults.stall(90, event=3), "StreamStalled")],
    ids=["truncated", "stalled"],
)
def test_an_answer_that_breaks_off_is_reported_by_its_error(backend: Backend, fault: Any, name: str) -> None:
    with pytest.raises(StreamError):
        observe(replayed(fault=fault, deadlines=Deadlines(idle_bytes=30)), **backend.takes).final()
    told = backend.told

    assert (name, "truncated") == (told["error.type"], told["tokenstream.ending"])
    assert StatusCode.ERROR == backend.span.status.status_code
    assert [name] == [point.attributes["error.type"] for point in backend.points(DURATION)]
    assert [1] == [point.count for point in backend.points(FIRST)]
    assert [] == backend.points(TOKENS)


def test_a_server_that_is_not_there_is_reported(backend: Backend) -> None:
    """The operation was asked for, though no response came."""
    with (
        pytest.raises(StreamError),
        observe(connect("http://127.0.0.1:9/v1/messages", json={"model": "m"}), **backend.takes) as stream,
    ):
        stream.final()
    told = backend.told

    assert ("ConnectError", "anthropic") == (told["error.type"], told["gen_ai.provider.name"])
    assert [] == backend.points(FIRST)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_an_answer_that_is_not_wanted_any_more_is_no_error(backend: Backend, how: str) -> None:
    stream = observe(replayed(), **backend.takes)
    next(stream.text)
    getattr(stream, how)()
    stream.close()
    told = backend.told

    assert "stopped" == told["tokenstream.ending"]
    assert "error.type" not in told
    assert StatusCode.UNSET == backend.span.status.status_code


def test_an_answer_that_is_dropped_is_reported_with_the_next_one(backend: Backend) -> None:
    """A dropped answer may be collected where OpenTelemetry holds its locks, so it waits for the next one."""
    stream = observe(Stream([*ANSWER.chunks("openai-chat")], started_at=0.0), **backend.takes)
    next(stream.text)
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream
        gc.collect()

    assert [] == [*backend.spans]
    observe(replayed(), **backend.takes).close()
    told = [told_by(span) for span in backend.spans]
    assert ["stopped", "stopped"] == [each["tokenstream.ending"] for each in told]
    # Of the two, only the dropped one had read something.
    assert 1 == sum("gen_ai.response.time_to_first_chunk" in each for each in told)


def test_what_was_never_asked_for_is_not_reported(backend: Backend) -> None:
    """A request that never went out is no operation."""
    observe(connect("http://127.0.0.1:9/v1/messages", json={}), **backend.takes).close()
    observe(connect("http://127.0.0.1:9/v1/messages", json={}), **backend.takes)
    gc.collect()
    observe(replayed(), **backend.takes).final()

    assert 1 == len(backend.spans)


def test_attempts_are_one_operation(backend: Backend) -> None:
    chunks = ANSWER.chunks("openai-chat")
    bodies = [chunks, chunks[:3]]
    with observe(resilient(bodies.pop, Retry(again=True, wait=0)), **backend.takes) as stream:
        stream.final()
    span = backend.answer

    assert [("tokenstream.attempt", {"number": 1, "mode": "start", "error.type": "StreamTruncated"})] == [
        (event.name, dict(event.attributes or {})) for event in span.events
    ]
    assert (StatusCode.UNSET, 2) == (span.status.status_code, (span.attributes or {})["tokenstream.attempts"])
    assert all((span.start_time or 0) <= event.timestamp <= (span.end_time or 0) for event in span.events)
    assert [1] == [point.count for point in backend.points(DURATION)]


@pytest.mark.anyio
async def test_attempts_side_by_side_end_within_the_operation(backend: Backend) -> None:
    """A hedge begins before the first attempt has ended, so its time doesn't count twice."""
    chunks = ANSWER.chunks("openai-chat")

    async def body(attempt: int) -> AsyncIterator[bytes]:
        if attempt == 1:
            await anyio.sleep_forever()
        for chunk in chunks[:3] if attempt == 2 else chunks:
            yield chunk

    async def ask() -> AsyncIterator[bytes]:
        return body(next(numbers))

    numbers = count(1)
    retry = Retry(again=True, routes=Routes(hedge_after=0.1), wait=0)
    async with observe(aresilient(ask, retry, format="openai-chat"), **backend.takes) as stream:
        await stream.final()
    span = backend.answer

    assert [2] == [(event.attributes or {})["number"] for event in span.events]
    assert all((span.start_time or 0) <= event.timestamp <= (span.end_time or 0) for event in span.events)


def test_a_request_that_is_made_again_tells_what_was_asked(backend: Backend, server: Server) -> None:
    asked = connect(server.url + CHAT, json={"model": "m", "seed": 7}, retry=Retry(wait=0))
    with observe(asked, **backend.takes) as stream:
        stream.final()
    told = backend.told

    assert ("m", 7) == (told["gen_ai.request.model"], told["gen_ai.request.seed"])


@pytest.mark.anyio
async def test_an_asynchronous_stream_tells_the_same(backend: Backend, server: Server) -> None:
    with observe(connect(server.url + CHAT, json={"model": "m"}), **backend.takes) as stream:
        stream.final()
    async with observe(aconnect(server.url + CHAT, json={"model": "m"}), **backend.takes) as other:
        await other.final()
    # The time, and the ids, are those of one answer.
    own = {"gen_ai.response.time_to_first_chunk", "tokenstream.answer.id", "tokenstream.request.id"}
    one, two = map(told_by, backend.spans)

    assert own <= {*one}
    assert {name: one[name] for name in {*one} - own} == {name: two[name] for name in {*two} - own}


def test_a_tap_is_observed_beside_its_loop(backend: Backend) -> None:
    tapped = observe(tap(ANSWER.chunks("openai-chat")), model="m", **backend.takes)
    for _ in tapped:
        pass
    told = backend.told

    assert ("chat m", "complete") == (backend.span.name, told["tokenstream.ending"])
    assert 41 == told["gen_ai.usage.input_tokens"]
