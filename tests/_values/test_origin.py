"""The origin of an answer: which server was asked, in which attempt, and under which ids."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests

from tests.recovery.attempts import in_each_world
from tests.support.either import connect_in, got, inside, run_in
from tests.support.tables import in_one_test
from tokenstream import Retry, Route, Stream, connect, resilient, tap, testing
from tokenstream.errors import (
    ConnectError,
    OutputIncomplete,
    OutputInvalid,
    StatusError,
    StreamError,
    StreamTruncated,
)
from tokenstream.stream import Origin

SECRET = "sk-0123456789abcdef0123456789"
URL = f"https://user:{SECRET}@api.example:8443/v1/chat/completions?key={SECRET}"
ASKED = {"model": "m-1", "messages": [{"role": "user", "content": "a private question"}]}
WHOLE = testing.script().text("Hello", " there").finish("stop").chunks("openai-chat")
CLAUDE = testing.script().text("Hello", " there").finish("stop").chunks("anthropic")


def answered(request: httpx.Request) -> httpx.Response:
    """Return a whole answer, or one that is cut off, by the host."""
    numbered = {"content-type": "text/event-stream", "x-request-id": f"req_{request.url.host}"}
    chunks = CLAUDE if request.url.path.endswith("messages") else WHOLE
    if request.url.host == "down.example":
        return httpx.Response(
            503, headers=numbered, json={"error": {"message": "busy", "type": "server_error"}}
        )
    return httpx.Response(
        200, headers=numbered, content=b"".join(chunks[:2] if "api" in request.url.host else chunks)
    )


def origin_of(error: Any) -> Origin:
    origin: Origin = error.origin
    assert isinstance(origin, Origin)
    return origin


def refused(request: httpx.Request) -> httpx.Response:
    message = "refused"
    raise httpx.ConnectError(message, request=request)


def failed(
    world: str,
    url: str,
    handler: Callable[[httpx.Request], httpx.Response],
    make_retry: Callable[[Any], Retry | None] = lambda _: None,
) -> Any:
    options: dict[str, Any] = {"json": ASKED, "headers": {"authorization": f"Bearer {SECRET}"}}
    make_client: Any = httpx.Client if world == "sync" else httpx.AsyncClient

    async def main() -> Any:
        async with inside(make_client(transport=httpx.MockTransport(handler))) as client:
            connects = connect_in(world)
            stream = connects(url, client=client, retry=make_retry(client), **options)
            with pytest.raises(StreamError) as caught:
                async with inside(stream):
                    await got(stream.final())
            return stream, caught.value

    return run_in(world, main)


@in_each_world
def test_an_error_tells_who_was_asked_and_how_far_the_answer_got(world: str) -> None:
    """Whoever reads a traceback can quote the provider's id to its support."""
    stream, error = failed(world, URL, answered)
    origin = error.origin

    assert (origin.host, origin.port, origin.path) == ("api.example", 8443, "/v1/chat/completions")
    assert (origin.format, origin.model, origin.route) == ("openai-chat", stream.message.model, None)
    assert (origin.request_id, error.request_id) == ("req_api.example",) * 2
    assert (origin.attempt, origin.attempts) == (1, 1)
    assert (origin.bytes, origin.events) == (error.bytes_seen, error.events_seen)
    assert stream.origin == origin


@in_each_world
def test_the_last_line_of_an_error_is_its_origin(world: str) -> None:
    _, error = failed(world, URL, answered)
    first, line = str(error).split("\n")

    assert first == error.message
    assert line == (
        "api.example:8443/v1/chat/completions · openai-chat · req_api.example · "
        f"{origin_of(error).seconds:.1f} s · model scripted-1 · answer {origin_of(error).answer_id}"
    )
    assert line == str(error.origin)
    assert "api.example" not in error.message


@in_each_world
@pytest.mark.parametrize(
    ("handler", "kind", "request_id"),
    [(refused, ConnectError, None), (answered, StatusError, "req_down.example")],
)
def test_an_answer_that_never_began_has_an_origin_too(
    world: str, handler: Any, kind: type[StreamError], request_id: str | None
) -> None:
    """The request tells the server, the path tells the format, and the payload the model."""
    _, error = failed(world, "https://down.example/v1/messages", handler)

    assert isinstance(error, kind)
    assert (origin_of(error).host, origin_of(error).format) == ("down.example", "anthropic")
    assert (origin_of(error).model, origin_of(error).request_id) == ("m-1", request_id)
    assert str(error).endswith(f" s · model m-1 · answer {origin_of(error).answer_id}")


@in_each_world
def test_each_attempt_has_an_origin_of_its_own(world: str) -> None:
    def make_retry(client: Any) -> Retry:
        second = Route(
            "https://api2.example/v1/messages", json=ASKED, name="second", attempts=1, client=client
        )
        return Retry(attempts=2, wait=0, routes=[second])

    url = "https://down.example/v1/chat/completions"
    stream, error = failed(world, url, answered, make_retry=make_retry)
    told = [
        (origin_of(each.error).host, origin_of(each.error).attempt, origin_of(each.error).route)
        for each in stream.attempts
    ]

    assert told == [
        ("down.example", 1, "down.example"),
        ("down.example", 2, "down.example"),
        ("api2.example", 3, "second"),
    ]
    assert {origin_of(each.error).attempts for each in stream.attempts} == {3}
    assert len({origin_of(each.error).answer_id for each in stream.attempts}) == 1
    assert "\napi2.example/v1/messages · anthropic · second · req_api2.example · attempt 3 of 3 · " in str(
        error
    )


@in_each_world
def test_nothing_secret_is_in_an_origin(world: str) -> None:
    stream, error = failed(world, URL, answered)

    for told in (str(error), repr(error), repr(error.origin), repr(stream.origin.fields), str(stream.origin)):
        for secret in (SECRET, "user", "key", "Bearer", "private", "Hello"):
            assert secret not in told


@in_one_test(
    ("url", "expected"),
    [
        ("https://api.example/v1/chat/completions", ("api.example", None, "/v1/chat/completions")),
        ("https://api.example:443/v1?q=1#f", ("api.example", None, "/v1")),
        ("http://127.0.0.1:8000/", ("127.0.0.1", 8000, "")),
        ("wss://api.example/v1/realtime?model=m", ("api.example", None, "/v1/realtime")),
        (f"https://api.example/{SECRET}/chat", ("api.example", None, "/…/chat")),
        ("https://api.example/AIzaSyABCDEFGHIJKLMNOPQRSTUV/chat", ("api.example", None, "/…/chat")),
        ("https://api.example/550e8400-e29b-41d4-a716-446655440000", ("api.example", None, "/…")),
        ("https://api.example/AB12-CD34-EF56-GH78-IJ90/chat", ("api.example", None, "/…/chat")),
        (f"https://api.example/{'1-' * 5_000}!", ("api.example", None, "/…")),
        ("https://api.example/v1;key=1/chat", ("api.example", None, "/v1/chat")),
        ("https://me:a/b@api.example/v1", (None, None, "")),
        ("https://me:1/b@api.example/v1", (None, None, "")),
        (
            "https://v.example/v1/models/opus@2025:streamRawPredict",
            ("v.example", None, "/v1/models/opus@2025:streamRawPredict"),
        ),
        *[
            (f"https://api.example{path}?key={SECRET}", ("api.example", None, path))
            for path in (
                "/v1beta/models/gemini-3-flash-preview-09-2026:streamGenerateContent",
                "/openai/deployments/gpt-5-chat-production-eu/chat/completions",
                "/openai/deployments/ourOwnNameForAModelOfThisYear/chat",
                "/model/anthropic.claude-3-5-sonnet-20240620-v1:0/invoke-with-response-stream",
                "/client/v4/ai/run/@cf/meta/llama-3.1-8b-instruct-fp8",
                "/Qwen2.5-Coder-32B-Instruct-AWQ/generate",
            )
        ],
        ("https://api.example:99999/v1", (None, None, "")),
        ("nonsense", (None, None, "")),
        ("", (None, None, "")),
    ],
)
def test_an_address_is_reported_without_what_may_be_secret(url: str, expected: tuple[Any, ...]) -> None:
    """Segments of 20 and more characters may be keys, whatever the API, but names of models are told."""
    response = requests.Response()
    response.status_code, response.url, response.raw = 200, url, io.BytesIO()
    with Stream(response) as stream:
        origin = stream.origin

    assert expected == (origin.host, origin.port, origin.path)


@in_each_world
@pytest.mark.parametrize("proxy", ["127.0.0.1:9", "http://user:secret@127.0.0.1:9"])
def test_the_origin_names_the_proxy_of_the_environment(
    world: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the line learns that the provider was not asked itself; a client of yours has its own."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    named = "127.0.0.1:9 (HTTPS_PROXY)"

    async def main() -> Any:
        stream = connect_in(world)("https://api.example/v1/messages", json=ASKED)
        with pytest.raises(ConnectError) as caught:
            await got(stream.final())
        return caught.value

    error = run_in(world, main)
    _, own = failed(world, "https://down.example/v1/messages", refused)

    assert (error.origin.host, error.origin.proxy) == ("api.example", named)
    assert f"through the proxy {named}" in error.message
    assert f" · proxy {named} · model m-1 · answer " in str(error).splitlines()[-1]
    assert error.origin.fields["proxy"] == named
    assert (origin_of(own).proxy, "proxy" in origin_of(own).fields) == (None, False)


@in_one_test("length", [1, 20, 60, 200, 5000])
def test_the_line_has_at_most_160_characters(length: int) -> None:
    origin = Origin(
        host="h" * length,
        path="/p" * length,
        format="f" * length,
        route="r" * length,
        request_id="i" * length,
        attempt=length,
        attempts=length,
        seconds=12345.67,
    )

    assert len(str(origin)) <= 160
    assert str(origin).endswith(f"attempt {length} of {length} · 12345.7 s" if length > 1 else " · 12345.7 s")


def test_a_server_writes_no_line_of_its_own_into_the_log() -> None:
    """Ids and names come from outside: line ends and escapes are told as such, and have a bound."""

    def hostile(_: httpx.Request) -> httpx.Response:
        error = {"message": "no", "type": "x"}
        return httpx.Response(
            400, json={"error": error, "request_id": "a\nWARNING forged\x1b[31m" + "b" * 999}
        )

    _, error = failed("sync", "https://api.example/v1/messages", hostile)

    assert len(str(error).splitlines()) == 2
    assert "\x1b" not in str(error)
    assert len(origin_of(error).request_id or "") < 300


def test_an_answer_without_a_server_has_no_line() -> None:
    """The origin of an answer from a file or a list would help nobody."""
    with pytest.raises(StreamTruncated) as caught:
        Stream(WHOLE[:2]).final()

    assert str(caught.value) == caught.value.message
    assert (origin_of(caught.value).host, origin_of(caught.value).format) == (None, "openai-chat")
    assert origin_of(caught.value).bytes == sum(map(len, WHOLE[:2]))


def test_two_answers_have_two_ids() -> None:
    """Ours, which are there before any provider has sent one."""
    with Stream(WHOLE) as first, Stream(WHOLE) as second:
        assert first.final() == second.final()

    assert first.origin.answer_id == first.origin.answer_id != second.origin.answer_id


@in_each_world
def test_the_id_of_the_caller_is_that_of_the_origin(world: str) -> None:
    """Without a relay, nobody gives the answer another one."""

    async def main() -> Any:
        url = "https://down.example/acme-a1b2c3d4e5f6a7b8c9d0/m-1a1b2c3d4e5f6a7b8c9d0"
        asked = {**ASKED, "model": "acme-a1b2c3d4e5f6a7b8c9d0"}
        make_client: Any = httpx.Client if world == "sync" else httpx.AsyncClient
        async with inside(make_client(transport=httpx.MockTransport(answered))) as client:
            stream = connect_in(world)(url, json=asked, client=client, job="order 7")
            with pytest.raises(StreamError) as caught:
                async with inside(stream):
                    await got(stream.final())
        return caught.value.origin

    origin = run_in(world, main)

    assert (origin.answer_id, origin.source_id, "source_id" in origin.fields) == ("order 7", None, False)
    # The name of the model that was asked for is no key.
    assert origin.path == "/acme-a1b2c3d4e5f6a7b8c9d0/…"
    assert str(origin).endswith(" s · model acme-a1b2c3d4e5f6a7b8c9d0 · answer order 7")


def test_the_client_of_the_application_tells_the_server_as_well() -> None:
    """A function that opens the source may use any client."""

    def ask() -> Any:
        with httpx.Client(transport=httpx.MockTransport(refused)) as client:
            return client.send(client.build_request("POST", "https://api.example/v1/messages"), stream=True)

    with pytest.raises(ConnectError) as caught:
        resilient(ask, Retry(attempts=1)).final()

    assert (origin_of(caught.value).host, origin_of(caught.value).path) == ("api.example", "/v1/messages")


def test_a_tap_knows_the_origin_of_its_error() -> None:
    """The answer is read by other code, and was asked for by other code."""
    tapped = tap(WHOLE[:2])
    for _ in tapped:
        pass

    assert isinstance(tapped.error, StreamTruncated)
    assert (origin_of(tapped.error).format, origin_of(tapped.error).events) == (
        "openai-chat",
        tapped.error.events_seen,
    )


@pytest.mark.parametrize("cut", [None, -3])
def test_the_error_of_an_output_has_the_origin_of_its_answer(cut: int | None) -> None:
    chunks = testing.script().text('{"name":', " 1}").finish("stop").chunks("openai-chat")
    headers = {"content-type": "text/event-stream", "x-request-id": "req_9"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, content=b"".join(chunks[:cut]))
    )
    with httpx.Client(transport=transport) as client:
        stream = connect("https://api.example/v1/chat/completions", json=ASKED, client=client)
        with pytest.raises((OutputInvalid, OutputIncomplete)) as caught:
            stream.result(dict[str, str])

    assert (origin_of(caught.value).host, origin_of(caught.value).request_id) == ("api.example", "req_9")
    assert "req_9" in str(caught.value)
    assert "req_9" not in caught.value.message


@in_each_world
def test_an_error_keeps_its_origin_in_another_process(world: str) -> None:
    _, error = failed(world, URL, answered)
    again = pickle.loads(pickle.dumps(error))

    assert (again.origin, str(again), again.message) == (error.origin, str(error), error.message)


@in_each_world
@pytest.mark.parametrize(
    "kept", [lambda each: each, copy.copy, lambda each: pickle.loads(pickle.dumps(each))]
)
def test_who_reports_an_error_tells_its_origin_once(world: str, kept: Callable[[Any], Any]) -> None:
    """A traceback, the log and Sentry, which prefers `error.message`; also if the error is raised again."""
    utils = pytest.importorskip("sentry_sdk.utils")
    stream, error = failed(world, URL, answered)
    with pytest.raises(StreamError) as again:
        run_in(world, lambda: got(stream.final()))
    for raised in (kept(error), kept(again.value)):
        line, log = str(raised.origin), io.StringIO()
        logger = logging.getLogger("application")
        logger.handlers, logger.propagate = [logging.StreamHandler(log)], False
        try:
            raise raised
        except StreamError:
            logger.exception("failed")
            event, _ = utils.event_from_exception(raised)
        (value,) = [each["value"] for each in event["exception"]["values"]]

        assert str(raised).splitlines()[-1] == line
        assert line not in raised.message
        told = ["".join(traceback.format_exception(raised)), log.getvalue(), value]
        assert [each.count(line) for each in told] == [1, 1, 1]
