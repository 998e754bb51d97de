"""`observe`: the spans and the durations of several attempts, at one provider and at others."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.otel.backend import Backend, told_by
from tests.otel.observe.support import ANSWER, DURATION, TOKENS
from tests.otel.observe.test_faults import Raises
from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import Behaviour, Provider
from tests.support.either import connect_in, read_whole
from tokenstream import Retry, Route, Routes, aconnect, resilient
from tokenstream.errors import StreamError
from tokenstream.otel import observe

OWN = "tokenstream.attempt.duration"
PROVIDER, MODEL = "gen_ai.provider.name", "gen_ai.request.model"


def _ask(world: str, first: Provider, *others: Provider, backend: Backend, **options: Any) -> None:
    """Read an observed answer of several providers to its end, or to its error."""
    is_async = world != "sync"

    def prepare() -> Any:
        routes = [other.route(is_async=is_async) for other in others]
        retry = Retry(routes=routes, wait=lambda _: 0.02, **options)
        client = first.client(is_async=is_async)
        stream = connect_in(world)(first.url, json=first.payload, client=client, retry=retry)
        return observe(stream, **backend.takes)

    read_whole(world, prepare)


@in_each_world
def test_each_attempt_is_a_child_with_its_own_provider(backend: Backend, world: str) -> None:
    _ask(
        world,
        Provider("openai-chat", Behaviour("status"), Behaviour("reset", 5)),
        Provider("anthropic"),
        backend=backend,
    )
    refused, broken, whole = backend.attempts
    answer = backend.answer

    assert answer.context is not None
    assert {answer.context.span_id} == {span.parent.span_id for span in backend.attempts if span.parent}
    assert [("attempt m", SpanKind.CLIENT)] * 3 == [(span.name, span.kind) for span in backend.attempts]
    assert {
        PROVIDER: "openai",
        MODEL: "m",
        "server.address": "chat.test",
        "server.port": 443,
        "error.type": "503",
        "tokenstream.attempt.number": 1,
        "tokenstream.attempt.mode": "start",
        "tokenstream.route": "chat.test",
        "tokenstream.attempt.cost": 0.0,
    } == told_by(refused)
    # Nothing was counted, so that only a cost could be estimated.
    assert {
        **told_by(refused),
        "error.type": "StreamInterrupted",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "scripted-1",
        "tokenstream.attempt.number": 2,
        "tokenstream.attempt.mode": "restart",
        "tokenstream.attempt.estimated": True,
    } == {**told_by(broken), "tokenstream.attempt.cost": 0.0}
    assert {
        PROVIDER: "anthropic",
        MODEL: "m",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.model": "scripted-1",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 20,
        "server.address": "claude.test",
        "server.port": 443,
        "tokenstream.attempt.number": 3,
        "tokenstream.attempt.mode": "continue",
        "tokenstream.route": "claude.test",
    } == told_by(whole)
    assert [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET] == [
        span.status.status_code for span in backend.attempts
    ]


@in_each_world
def test_the_attempts_lie_within_the_answer(backend: Backend, world: str) -> None:
    _ask(world, Provider("openai-chat", Behaviour("status")), Provider("gemini"), backend=backend)
    first, second = backend.attempts
    answer = backend.answer

    assert (answer.start_time, answer.end_time) == (first.start_time, second.end_time)
    assert first.end_time is not None
    assert second.start_time is not None
    assert 20_000_000 <= second.start_time - first.end_time < 1_000_000_000


def test_the_answer_has_the_server_that_it_came_from(backend: Backend) -> None:
    _ask("sync", Provider("anthropic", *[Behaviour("status")] * 2), Provider("gemini"), backend=backend)
    told = told_by(backend.answer)

    assert ("generate_content gemini-x", "gcp.gen_ai") == (backend.answer.name, told[PROVIDER])
    assert ("gemini-x", "gemini.test", "gemini.test") == (
        told[MODEL],
        told["server.address"],
        told["tokenstream.route"],
    )
    assert 3 == told["tokenstream.attempts"]


@in_each_world
def test_when_all_attempts_have_failed_the_last_one_has_the_error(backend: Backend, world: str) -> None:
    with pytest.raises(StreamError):
        _ask(
            world,
            Provider("openai-chat", *[Behaviour("status")] * 2),
            Provider("anthropic", Behaviour("connect")),
            backend=backend,
        )

    assert ["503", "503", "ConnectError"] == [told_by(span)["error.type"] for span in backend.attempts]
    assert ("ConnectError", "anthropic") == (
        told_by(backend.answer)["error.type"],
        told_by(backend.answer)[PROVIDER],
    )
    assert "ConnectError" == backend.attempts[-1].status.description


def test_operations_are_counted_once_and_attempts_by_themselves(backend: Backend) -> None:
    """In the conventions, the duration of an operation covers all its retries."""
    first = Provider("openai-chat", Behaviour("status"), Behaviour("reset", 5))
    _ask("sync", first, Provider("anthropic"), backend=backend)

    assert [1] == [point.count for point in backend.points(DURATION)]
    assert not any("gen_ai.operation.name" in told_by(span) for span in backend.attempts)
    assert [
        ("openai", "start", "503", 1),
        ("openai", "restart", "StreamInterrupted", 1),
        ("anthropic", "continue", None, 1),
    ] == [
        (
            point.attributes[PROVIDER],
            point.attributes["tokenstream.attempt.mode"],
            point.attributes.get("error.type"),
            point.count,
        )
        for point in backend.points(OWN)
    ]


def test_tokens_are_counted_for_the_provider_that_has_written_them(backend: Backend) -> None:
    answers = iter([False, True])
    _ask(
        "sync",
        Provider("openai-chat"),
        Provider("anthropic"),
        backend=backend,
        attempts=1,
        accept=lambda _: next(answers),
    )

    counted = backend.points(TOKENS)

    assert {
        (name, kind): count
        for name in ("openai", "anthropic")
        for kind, count in (("input", 7), ("output", 20))
    } == {(point.attributes[PROVIDER], point.attributes["gen_ai.token.type"]): point.sum for point in counted}
    assert {"chat"} == {point.attributes["gen_ai.operation.name"] for point in counted}


def test_a_route_has_its_span_even_if_it_is_asked_once(backend: Backend) -> None:
    """The share of answers that a route serves can be counted."""
    _ask("sync", Provider("openai-chat"), Provider("anthropic"), backend=backend)

    assert ["chat.test"] == [told_by(span)["tokenstream.route"] for span in backend.attempts]
    assert [1] == [point.count for point in backend.points(OWN)]


def test_without_a_request_of_the_library_the_caller_names_provider_and_model(backend: Backend) -> None:
    chunks = ANSWER.chunks("openai-chat")
    bodies = [chunks, chunks[:3]]
    stream = resilient(bodies.pop, Retry(again=True, wait=0))
    with observe(stream, provider="my.gateway", model="m", **backend.takes) as observed:
        observed.final()

    assert [("attempt m", "my.gateway", "m")] * 2 == [
        (span.name, told_by(span)[PROVIDER], told_by(span)[MODEL]) for span in backend.attempts
    ]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("second_wins", [True, False])
def test_a_hedge_runs_beside_the_first_attempt(backend: Backend, loop: str, *, second_wins: bool) -> None:
    """The answer has the server of the one that was read, and ends with it."""

    async def main() -> None:
        seconds = {"chat.test": 5.0, "claude.test": 0.0} if second_wins else {"chat.test": 0.1}
        first, other = Provider("openai-chat"), Provider("anthropic")
        client = httpx.AsyncClient(transport=_Slow(seconds, first, other))
        retry = Retry(
            routes=Routes(
                Route(other.url, json={**other.payload, "model": "c"}, client=client), hedge_after=0.02
            )
        )
        asked = aconnect(first.url, json=first.payload, client=client, retry=retry)
        async with client, observe(asked, **backend.takes) as stream:
            await stream.final()

    anyio.run(main, backend=loop)
    one, two = backend.attempts
    answer = backend.answer
    read, lost = (two, one) if second_wins else (one, two)

    assert ["start", "hedge"] == [told_by(span)["tokenstream.attempt.mode"] for span in backend.attempts]
    assert {"openai": "m", "anthropic": "c"} == {
        told_by(span)[PROVIDER]: told_by(span)[MODEL] for span in backend.attempts
    }
    for name in (PROVIDER, MODEL):
        assert told_by(read)[name] == told_by(answer)[name]
    assert (answer.start_time, answer.end_time) == (one.start_time, read.end_time)
    assert (lost.end_time or 0) <= (answer.end_time or 0)
    assert (one.start_time or 0) + 20_000_000 <= (two.start_time or 0) < (one.end_time or 0)
    assert {StatusCode.UNSET} == {span.status.status_code for span in backend.spans}


class _Slow(httpx.AsyncBaseTransport):
    """Lets some providers answer only after a while."""

    def __init__(self, seconds: dict[str, float], *providers: Provider) -> None:
        self._seconds = seconds
        self._clients: dict[str, httpx.AsyncClient] = {
            httpx.URL(provider.url).host: provider.client(is_async=True) for provider in providers
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(self._seconds.get(request.url.host, 5.0))
        response: httpx.Response = await self._clients[request.url.host].send(request, stream=True)
        return response


def test_nothing_of_the_content_is_reported(backend: Backend) -> None:
    _ask("sync", Provider("openai-chat", Behaviour("reset", 5)), Provider("anthropic"), backend=backend)

    assert not any("river" in span.to_json().lower() for span in backend.spans)


@pytest.mark.parametrize("place", ["start", "end"])
def test_what_fails_with_an_attempts_span_never_reaches_the_loop(backend: Backend, place: str) -> None:
    backend.tracers.add_span_processor(Raises(place, ValueError("my secret")))
    _ask("sync", Provider("openai-chat", Behaviour("status")), Provider("anthropic"), backend=backend)

    assert [1] == [point.count for point in backend.points(DURATION)]
    assert 2 == sum(point.count for point in backend.points(OWN))
