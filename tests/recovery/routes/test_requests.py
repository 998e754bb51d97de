"""The requests of routes: keys, payloads, deadlines, and the application's decisions on each attempt."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, read
from tests.support.either import connect_in, read_whole
from tokenstream import Deadlines, Retry, Route, Routes, Seam, aconnect, connect, resilient, testing
from tokenstream.errors import MisuseError, StreamStalled
from tokenstream.recovery import Attempt
from tokenstream.testing import serve

DOWN = Behaviour("status")


def test_each_request_has_an_idempotency_key_of_its_own() -> None:
    """A provider honours a key only once, and two routes may lead to the same one."""
    first, second, third = (
        Provider("openai-chat", DOWN, DOWN),
        Provider("anthropic", DOWN),
        Provider("gemini"),
    )
    retry = Retry(routes=[second.route(), third.route(headers={"Idempotency-Key": "own"})], wait=0)

    with connect(
        first.url, json=first.payload, headers={"Idempotency-Key": "k"}, client=first.client(), retry=retry
    ) as stream:
        stream.final()

    keys = [
        request.headers.get("idempotency-key") for each in (first, second, third) for request in each.requests
    ]
    # The same request again, before any content, repeats its key.
    assert keys == ["k", "k", "k-2", "own-3"]


def test_the_credentials_of_one_route_never_reach_another() -> None:
    """Each request has its own headers, and no others."""
    first, second = Provider("openai-chat", Behaviour("reset", 9), DOWN), Provider("anthropic")
    retry = Retry(routes=[second.route(headers={"x-api-key": "second"})], wait=0)

    with connect(
        first.url,
        json=first.payload,
        headers={"Authorization": "Bearer first"},
        client=first.client(),
        retry=retry,
    ) as stream:
        assert stream.final().text == TRUTH

    (request,) = second.requests
    assert request.headers["x-api-key"] == "second"
    assert "authorization" not in request.headers
    assert all("x-api-key" not in request.headers for request in first.requests)


def test_on_retry_can_leave_a_route_out() -> None:
    """`attempt.skip()` moves on to the next one, and asks no more of that route."""
    first, second, third = Provider("openai-chat", DOWN), Provider("anthropic"), Provider("gemini")

    def decide(attempt: Attempt) -> object:
        return attempt.skip() if attempt.route in ("chat.test", "claude.test") else None

    retry = Retry(routes=[second.route(attempts=3), third.route()], wait=0, on_retry=decide)
    found = read("sync", first, lambda _: retry)

    assert found.text == TRUTH
    assert [len(each.requests) for each in (first, second, third)] == [1, 0, 1]


def test_on_retry_can_leave_out_the_request_without_a_refused_prefix() -> None:
    first = Provider("openai-chat", Behaviour("reset", 9), Behaviour("refused", status=400))
    second = Provider("anthropic")

    def decide(attempt: Attempt) -> object:
        return attempt.skip() if attempt.number == 3 and attempt.route == "chat.test" else None

    retry = Retry(attempts=3, seam=Seam(prefill=True), routes=[second.route()], wait=0, on_retry=decide)
    found = read("sync", first, lambda _: retry)

    assert found.text == TRUTH
    assert [len(each.requests) for each in (first, second)] == [2, 1]


def test_on_retry_ends_the_attempts_by_an_exception() -> None:
    """An attempt cannot be stopped, which the error says."""
    first, second = Provider("openai-chat", DOWN), Provider("anthropic")
    stop: Any = lambda attempt: attempt.stop()  # noqa: E731 - as a user writes it

    with pytest.raises(AttributeError, match="raise an exception in on_retry, which ends the stream"):
        read("sync", first, lambda _: Retry(routes=[second.route()], on_retry=stop))

    assert (len(first.requests), second.requests) == (1, [])


def test_on_retry_can_send_another_payload() -> None:
    first, second = Provider("openai-chat", Behaviour("reset", 9), DOWN), Provider("anthropic")

    def decide(attempt: Attempt) -> object:
        own: dict[str, Any] = first.payload if attempt.route == "chat.test" else second.payload
        return attempt.with_payload({**own, "model": f"small-{attempt.number}"})

    found = read("sync", first, lambda _: Retry(routes=[second.route()], wait=0, on_retry=decide))

    assert found.text == TRUTH
    assert [payload["model"] for payload in first.payloads + second.payloads] == ["m", "small-2", "small-3"]
    assert len(second.payloads[0]["messages"]) == 3


def test_a_payload_for_one_attempt_is_not_that_of_the_next_one() -> None:
    """The third request continues the answer with the payload of the route."""
    first = Provider("openai-chat", Behaviour("reset", 9), Behaviour("reset", 2))

    def decide(attempt: Attempt) -> object:
        return attempt.with_payload({**first.payload, "model": "small"}) if attempt.number == 2 else None

    found = read("sync", first, lambda _: Retry(attempts=3, wait=0, on_retry=decide))

    assert found.text == TRUTH
    assert [payload["model"] for payload in first.payloads] == ["m", "small", "m"]


@pytest.mark.parametrize("decides", [True, False])
def test_a_request_to_resume_has_the_payload_of_its_attempt(*, decides: bool) -> None:
    """A relay that replays after an event's id gets the body again, made by a function or by `on_retry`."""
    bodies = [b"id: 1\ndata: Hel\n\n", b"id: 2\ndata: lo\n\ndata: [DONE]\n\n"]
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.headers.get("last-event-id"), json.loads(request.content)))
        headers = {"content-type": "text/event-stream", "x-answer-id": "a"}
        return httpx.Response(200, headers=headers, content=bodies.pop(0))

    def write(attempt: Attempt) -> dict[str, int]:
        return {"n": attempt.number}

    def decide(attempt: Attempt) -> object:
        return attempt.with_payload({"n": attempt.number})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    route = Route("https://a.test/x", json={"n": 1} if decides else write, client=client, format="text")
    retry = Retry(wait=0, on_retry=decide if decides else None)
    with connect(route, retry=retry) as stream:
        assert stream.final().text == "Hello"

    assert sent == [(None, {"n": 1}), ("1", {"n": 2})]


def test_any_other_result_of_on_retry_is_ignored() -> None:
    """A lambda that happens to return something decides nothing."""
    first = Provider("openai-chat", DOWN)

    found = read("sync", first, lambda _: Retry(wait=0, on_retry=lambda attempt: attempt.number))

    assert found.text == TRUTH


@in_each_world
@pytest.mark.parametrize("fault", ["status", "reset"])
def test_an_exception_of_a_payload_function_is_raised_as_it_is(world: str, fault: str) -> None:
    first, second, third = (
        Provider("openai-chat", Behaviour(fault, 9)),
        Provider("anthropic"),
        Provider("gemini"),
    )

    def write(_: Attempt) -> object:
        raise LookupError("no prompt")

    def retry(is_async: bool) -> Retry:
        other = second.route(is_async=is_async)
        other.json = write
        return Retry(attempts=1, routes=[other, third.route(is_async=is_async)], wait=0)

    with pytest.raises(LookupError, match="no prompt"):
        read(world, first, retry)

    assert (len(second.requests), len(third.requests)) == (0, 0)
    assert first.open == 0


@pytest.mark.parametrize(
    ("world", "policy"),
    [
        *[(world, policy) for world in ("sync", "asyncio", "trio") for policy in ({}, {"retry": Retry()})],
        *[(world, {"retry": Retry(routes=Routes(hedge_after=30))}) for world in ("asyncio", "trio")],
    ],
)
def test_an_exception_of_the_first_payload_function_is_raised_as_it_is(
    world: str, policy: dict[str, Any]
) -> None:
    provider = Provider("openai-chat")

    def write(_: Attempt) -> object:
        raise LookupError("no prompt")

    route = provider.route(is_async=world != "sync")
    route.json = write
    stream = connect_in(world)(route, **policy)
    with pytest.raises(LookupError, match="no prompt"):
        read_whole(world, lambda: stream)
    assert stream.message.ending == "stopped"
    assert provider.requests == []


def test_the_payload_of_a_function_of_ones_own_cannot_be_replaced() -> None:
    """The library does not make that request."""
    retry = Retry(wait=0, on_retry=lambda attempt: attempt.with_payload({}))

    with (
        resilient(lambda: [b""], retry, format="text") as stream,
        pytest.raises(MisuseError, match="makes the"),
    ):
        stream.final()


def test_the_payload_of_the_first_request_may_be_a_function_too() -> None:
    first = Provider("openai-chat", DOWN)
    route = Route(
        first.url, json=lambda attempt: {**first.payload, "n": attempt.number}, client=first.client()
    )

    with connect(route, retry=Retry(wait=0)) as stream:
        assert stream.final().text == TRUTH

    assert [payload["n"] for payload in first.payloads] == [1, 2]


def test_a_route_has_its_own_deadlines() -> None:
    """A local model may be slow to begin, and a fast one is given up early."""
    path = "/v1/chat/completions"
    quick_script = testing.script().text("Hello").finish()
    slow_script = testing.script().silence(30).text("late").finish()
    with (
        serve(quick_script, format="openai-chat") as quick,
        serve(slow_script, format="openai-chat", pace="recorded") as slow,
    ):
        route = Route(f"{slow.url}{path}", json={}, deadlines=Deadlines(first_event=0.1))
        other = Route(f"{quick.url}{path}", json={}, name="quick")
        with connect(route, retry=Retry(attempts=1, routes=[other])) as stream:
            assert stream.final().text == "Hello"

    assert isinstance(stream.attempts[0].error, StreamStalled)
    assert stream.attempts[0].error.limit == "first_event"
    assert stream.message.route == "quick"


def test_the_total_deadline_belongs_to_the_stream() -> None:
    """The total deadline is over all attempts, so a route cannot have one."""
    with pytest.raises(MisuseError, match="over all attempts"):
        Route("https://chat.test/v1", json={}, deadlines=Deadlines(total=5))


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_request_of_a_hedge_shares_its_key_with_no_other() -> None:
    first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")
    first.delay, second.delay = 0.1, 0.3
    keys: list[str | None] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("idempotency-key"))
        provider = first if request.url.host == "chat.test" else second
        return await provider._answer_async(request)  # noqa: SLF001 - its handler

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    route = Route(second.url, json=second.payload, client=client, attempts=2)
    retry = Retry(attempts=1, routes=Routes(route, hedge_after=0.01), wait=0)
    headers = {"Idempotency-Key": "k"}
    async with aconnect(first.url, json=first.payload, headers=headers, client=client, retry=retry) as stream:
        assert (await stream.final()).text == TRUTH

    assert keys == ["k", "k-2", "k-3"]


def test_a_background_response_is_cancelled_where_it_runs() -> None:
    """The route that is asked next does not know the response."""
    whole = testing.script().text("Hello, ", "rivers.").finish().chunks("openai-responses")
    begun = [chunk.replace(b'"background":false', b'"background":true') for chunk in whole]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url}")
        if request.method == "GET":
            return httpx.Response(503)
        body = b"" if request.url.path.endswith("/cancel") else b"".join(begun[:5])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    first = httpx.Client(transport=httpx.MockTransport(answer))
    second = Provider("anthropic")
    url = "https://api.test/v1/responses"
    payload = {"model": "m", "input": "Hi", "stream": True, "background": True}
    retry = Retry(attempts=1, again=True, routes=[second.route()], wait=0)
    with connect(url, json=payload, client=first, retry=retry) as stream:
        stream.final()

    assert asked == [f"POST {url}", f"POST {url}/resp_1/cancel"]
    assert len(second.requests) == 1
