"""The stream objects of the SDKs of openai and anthropic, over real connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, CLAUDE, FRAMINGS, AsyncOpener, Body, Opener
from tests._sources.sdks import (
    AtOnce,
    Garbage,
    asks_of,
    async_openers_of,
    openers_of,
    opening,
    opening_async,
    seen,
    seen_async,
)
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked, refusing_url, sized
from tests.support.packages import needed
from tests.support.timing import PATIENCE
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    ProviderError,
    StatusError,
    StreamInterrupted,
    StreamStalled,
)

openai, anthropic = needed("openai"), needed("anthropic")

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}


def _client(url: str) -> Any:
    return openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)


def _async_client(url: str, **options: Any) -> Any:
    return openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0, **options)


def _claude(url: str) -> Any:
    return anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)


def _async_claude(url: str) -> Any:
    return anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0)


_ASKS = asks_of(lambda client: client.chat.completions, **ASKED)
_CLAUDE_ASKS = asks_of(lambda client: client.messages, **ASKED, max_tokens=9)
OPENERS = {
    **openers_of(_client, _ASKS),
    "streaming response entered": opening(_client, _ASKS["streaming response"], is_entered=True),
}
ASYNC_OPENERS = async_openers_of(_async_client, _ASKS)
CLAUDE_OPENERS = openers_of(_claude, _CLAUDE_ASKS)
ASYNC_CLAUDE_OPENERS = async_openers_of(_async_claude, _CLAUDE_ASKS)
_created, _manager = OPENERS["create"], OPENERS["stream manager"]
_async_created, _async_unawaited = ASYNC_OPENERS["create"], ASYNC_OPENERS["create not awaited"]


def _observed(openers: dict[str, Opener]) -> dict[str, Opener]:
    """Return the ways in which an SDK's stream is handed over by a tool that observes it."""
    ways = {"observed create": "create", "observed helper": "stream helper"}
    return {name: opening(openers[way], seen) for name, way in ways.items()}


def _async_observed(openers: dict[str, AsyncOpener], *ways: str) -> dict[str, AsyncOpener]:
    return {f"observed {way}": opening_async(openers[way], seen_async) for way in ways}


class TestStreams(AtOnce, Garbage):
    """What holds for any SDK: of the response beneath, and of the objects that others pass on."""

    openers = {name: (opener, CHAT) for name, opener in (OPENERS | _observed(OPENERS)).items()}  # noqa: RUF012
    async_openers = {  # noqa: RUF012
        name: (opener, CHAT)
        for name, opener in (ASYNC_OPENERS | _async_observed(ASYNC_OPENERS, "create")).items()
    }
    framings = FRAMINGS


class TestStreamsOfAnthropic(TestStreams):
    """The same of its answers."""

    openers = {  # noqa: RUF012
        name: (opener, CLAUDE) for name, opener in (CLAUDE_OPENERS | _observed(CLAUDE_OPENERS)).items()
    }
    async_openers = {  # noqa: RUF012
        name: (opener, CLAUDE)
        for name, opener in (
            ASYNC_CLAUDE_OPENERS | _async_observed(ASYNC_CLAUDE_OPENERS, "create", "stream helper")
        ).items()
    }


@pytest.mark.parametrize("openers", [OPENERS, CLAUDE_OPENERS], ids=["openai", "anthropic"])
@pytest.mark.parametrize("name", ["stream manager", "streaming response"])
def test_a_refused_request_is_a_status_error(name: str, openers: dict[str, Opener]) -> None:
    """A manager sends its request at the first read; the SDK's exception is told as ours."""
    at_once(scenarios.raises_what_a_status_means(openers[name]))


async def test_the_exception_of_the_sdk_is_the_cause() -> None:
    """Whoever knows the SDK finds its own words there."""
    with Loopback(sized(scenarios.REFUSAL, status=401)) as server:
        async with _async_unawaited(server.url) as source:
            with pytest.raises(StatusError) as caught:
                await AsyncStream(source).final()

    assert isinstance(caught.value.__cause__, openai.AuthenticationError)


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    """The SDK says "Connection error."; what happened is beneath it."""
    with _manager(refusing_url()) as source, pytest.raises(ConnectError) as caught:
        Stream(source).final()

    assert ("connect", True) == (caught.value.stage, caught.value.retryable)

    async with _async_unawaited(refusing_url()) as awaited:
        with pytest.raises(ConnectError) as caught:
            await AsyncStream(awaited).final()

    assert ("connect", True) == (caught.value.stage, caught.value.retryable)


async def test_a_server_that_does_not_answer_is_a_stall() -> None:
    """The limit is the SDK's own timeout."""
    patience = openai.Timeout(PATIENCE, read=0.1)
    with Loopback([4.0]) as server:
        async with _async_client(server.url, timeout=patience) as client:
            with pytest.raises(StreamStalled) as caught:
                await AsyncStream(client.chat.completions.create(**ASKED, stream=True)).final()

    assert "transport" == caught.value.limit


def test_a_request_that_the_sdk_refuses_is_misuse() -> None:
    """Arguments that make no request are the calling code's."""
    with _client("http://nowhere.test") as client:
        manager = client.chat.completions.with_streaming_response.create(model="m", stream=True)
        with pytest.raises(MisuseError, match="cannot be opened: TypeError"):
            Stream(manager).final()


@pytest.mark.parametrize("opener", _observed(OPENERS).values(), ids=_observed(OPENERS))
def test_a_cut_is_recognised_in_the_objects_too(opener: Opener) -> None:
    """The SDK's exception is an interruption."""
    script = chunked(CHAT.frames)[:3]
    with Loopback(script) as server, opener(server.url) as source, pytest.raises(StreamInterrupted) as caught:
        Stream(source).final()

    assert "Let me " == caught.value.partial.text


_ERROR = {"message": "busy", "type": "overloaded_error", "code": "x"}


@pytest.mark.parametrize(
    "openers, body, event, code",
    [(OPENERS, CHAT, "", "x"), (CLAUDE_OPENERS, CLAUDE, "error", None)],
    ids=["openai", "anthropic"],
)
def test_an_error_event_that_the_sdk_raises_is_the_provider_speaking(
    openers: dict[str, Opener], body: Body, event: str, code: str | None
) -> None:
    error = sse({"type": "error", "error": _ERROR}, event=event)
    with (
        Loopback(chunked([body.frames[0], error])) as server,
        _observed(openers)["observed create"](server.url) as source,
        pytest.raises(ProviderError, match="busy") as caught,
    ):
        Stream(source).final()

    assert ("overloaded", "overloaded_error") == (caught.value.kind, caught.value.type)
    assert code in {None, caught.value.code}
    assert body.pieces[0] == caught.value.partial.text


def test_a_stream_that_was_begun_is_refused() -> None:
    """What the application's own loop has taken is lost to the response beneath."""
    with Loopback(chunked(CHAT.frames)) as server, _created(server.url) as source:
        assert [next(source), next(source)]
        with pytest.raises(MisuseError, match=r"pass it unread.*Stream\(chunk for chunk in stream\)"):
            Stream(source)
        rest = Stream(chunk for chunk in source).final()
        source.close()

    assert ("".join(CHAT.pieces[1:]), "complete") == (rest.text, rest.ending)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_async_stream_that_was_begun_is_refused() -> None:
    with Loopback(chunked(CHAT.frames)) as server:
        async with _async_created(server.url) as source:
            assert [await anext(source), await anext(source)]
            with pytest.raises(MisuseError, match=r"AsyncStream\(chunk async for chunk in stream\)"):
                AsyncStream(source)
            async with AsyncStream(chunk async for chunk in source) as stream:
                rest = await stream.final()
            await source.close()

    assert ("".join(CHAT.pieces[1:]), "complete") == (rest.text, rest.ending)


async def test_a_stream_of_the_wrong_colour_names_the_right_class() -> None:
    """Nothing is read of it."""
    with Loopback(chunked(CHAT.frames)) as server:
        with _created(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
                AsyncStream(source)
            source.close()
        async with _async_created(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(source)
            await source.close()
    with (
        _manager("http://nowhere.test") as source,
        pytest.raises(MisuseError, match=r"read it with Stream, in `for`"),
    ):
        AsyncStream(source)


WHOLE = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
)


async def test_a_request_that_is_never_sent_leaves_no_warning() -> None:
    """A stream that is closed unread, or dropped, drops the coroutine; warnings are errors here."""
    for name in ("create not awaited", "stream manager", "streaming response", "raw response"):
        async with ASYNC_OPENERS[name]("http://nowhere.test") as source:
            await AsyncStream(source).aclose()


async def test_a_whole_answer_asks_whether_stream_was_forgotten() -> None:
    """The object that `create` gives without `stream=True` is no stream."""
    with Loopback(sized(WHOLE, content_type="application/json")) as server:
        with _client(server.url) as client:
            completion = client.chat.completions.create(**ASKED)
        async with _async_client(server.url) as client:
            with pytest.raises(MisuseError, match="pass stream=True"):
                await AsyncStream(client.chat.completions.create(**ASKED)).final()
    with pytest.raises(MisuseError, match="pass stream=True"):
        Stream(completion)


def test_the_raw_response_of_a_whole_answer_is_read() -> None:
    with Loopback(sized(WHOLE, content_type="application/json")) as server, _client(server.url) as client:
        message = Stream(client.chat.completions.with_raw_response.create(**ASKED)).final()

    assert ("Hello", "stop") == (message.text, message.finish_reason)
