"""The stream objects of anthropic's SDK, over real connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import CLAUDE, FRAMINGS, AsyncOpener, Opener
from tests.sources.sdks import Garbage
from tests.support.loopback import Loopback, chunked, refusing_url, sized
from tests.support.packages import needed
from tests.support.recordings import Recorded, ours
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ConnectError, MisuseError, ProviderError, StatusError

anthropic = needed("anthropic")

pytestmark = pytest.mark.anyio

ASKED: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Weather?"}],
}


@contextmanager
def _client(url: str) -> Generator[Any]:
    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        yield client


@asynccontextmanager
async def _async_client(url: str) -> AsyncGenerator[Any]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0) as client:
        yield client


@contextmanager
def _created(url: str) -> Generator[Any]:
    with _client(url) as client:
        yield client.messages.create(**ASKED, stream=True)


@contextmanager
def _helper(url: str) -> Generator[Any]:
    with _client(url) as client, client.messages.stream(**ASKED) as stream:
        yield stream


@contextmanager
def _manager(url: str) -> Generator[Any]:
    with _client(url) as client:
        yield client.messages.stream(**ASKED)


@contextmanager
def _raw(url: str) -> Generator[Any]:
    with _client(url) as client:
        yield client.messages.with_raw_response.create(**ASKED, stream=True)


@contextmanager
def _streaming(url: str) -> Generator[Any]:
    with _client(url) as client:
        yield client.messages.with_streaming_response.create(**ASKED, stream=True)


OPENERS = {
    "create": _created,
    "stream helper": _helper,
    "stream manager": _manager,
    "raw response": _raw,
    "streaming response": _streaming,
}


@asynccontextmanager
async def _async_created(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client:
        yield await client.messages.create(**ASKED, stream=True)


@asynccontextmanager
async def _async_unawaited(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client:
        yield client.messages.create(**ASKED, stream=True)


@asynccontextmanager
async def _async_helper(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client, client.messages.stream(**ASKED) as stream:
        yield stream


@asynccontextmanager
async def _async_manager(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client:
        yield client.messages.stream(**ASKED)


@asynccontextmanager
async def _async_raw(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client:
        yield client.messages.with_raw_response.create(**ASKED, stream=True)


@asynccontextmanager
async def _async_streaming(url: str) -> AsyncGenerator[Any]:
    async with _async_client(url) as client:
        yield client.messages.with_streaming_response.create(**ASKED, stream=True)


ASYNC_OPENERS = {
    "create": _async_created,
    "create not awaited": _async_unawaited,
    "stream helper": _async_helper,
    "stream manager": _async_manager,
    "raw response": _async_raw,
    "streaming response": _async_streaming,
}


class TestGarbage(Garbage):
    """What holds for the streams of any SDK."""

    openers = {name: (opener, CLAUDE) for name, opener in OPENERS.items()}  # noqa: RUF012
    async_openers = {name: (opener, CLAUDE) for name, opener in ASYNC_OPENERS.items()}  # noqa: RUF012


def _seen(events: Any) -> Generator[Any]:
    """Stand for a tool that observes: a generator around the SDK's stream."""
    yield from events


async def _async_seen(events: Any) -> AsyncGenerator[Any]:
    async for event in events:
        yield event


@contextmanager
def _observed(url: str) -> Generator[Any]:
    with _created(url) as stream:
        yield _seen(stream)


@contextmanager
def _observed_helper(url: str) -> Generator[Any]:
    with _helper(url) as stream:
        yield _seen(stream)


@asynccontextmanager
async def _async_observed(url: str) -> AsyncGenerator[Any]:
    async with _async_created(url) as stream:
        yield _async_seen(stream)


@asynccontextmanager
async def _async_observed_helper(url: str) -> AsyncGenerator[Any]:
    async with _async_helper(url) as stream:
        yield _async_seen(stream)


OBSERVED = {"observed create": _observed, "observed helper": _observed_helper}

each_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
each_async_opener = pytest.mark.parametrize("opener", ASYNC_OPENERS.values(), ids=ASYNC_OPENERS)


@each_opener
def test_a_stream_of_the_sdk_gives_what_its_bytes_give(opener: Opener) -> None:
    """The response beneath is read: same pieces, same message, nothing to remark."""
    scenarios.gives_what_plain_bytes_give(opener, CLAUDE)


@each_async_opener
async def test_an_async_stream_of_the_sdk_gives_what_its_bytes_give(opener: AsyncOpener) -> None:
    """The same for `async for`, also where it is awaited or entered first."""
    await scenarios.gives_what_plain_bytes_give_async(opener, CLAUDE)


@pytest.mark.parametrize("framing", FRAMINGS)
@each_opener
def test_each_event_is_there_as_soon_as_it_was_sent(opener: Opener, framing: str) -> None:
    """No read waits for more bytes than have come."""
    scenarios.gives_each_event_at_once(opener, CLAUDE, framing)


@each_async_opener
async def test_each_event_is_there_at_once_in_an_async_loop(opener: AsyncOpener) -> None:
    """The same for `async for`."""
    await scenarios.gives_each_event_at_once_async(opener, CLAUDE, "chunked")


@pytest.mark.parametrize("opener", [_manager, _streaming], ids=["stream", "streaming response"])
def test_a_refused_request_is_a_status_error(opener: Opener) -> None:
    """A manager sends its request at the first read; the SDK's exception is told as ours."""
    scenarios.raises_what_a_status_means(opener)


@pytest.mark.parametrize(
    "opener", [_async_manager, _async_streaming, _async_unawaited], ids=["stream", "streaming", "create"]
)
async def test_a_refused_request_is_a_status_error_in_an_async_loop(opener: AsyncOpener) -> None:
    """The same for `async for`, and for what is awaited."""
    await scenarios.raises_what_a_status_means_async(opener)


async def test_the_exception_of_the_sdk_is_the_cause() -> None:
    """Whoever knows the SDK finds its own words there."""
    with (
        Loopback(sized(scenarios.REFUSAL, status=401)) as server,
        _manager(server.url) as source,
        pytest.raises(StatusError) as caught,
    ):
        Stream(source).final()

    assert isinstance(caught.value.__cause__, anthropic.AuthenticationError)


def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    """The SDK says "Connection error."; what happened is beneath it."""
    with _manager(refusing_url()) as source, pytest.raises(ConnectError) as caught:
        Stream(source).final()

    assert ("connect", True) == (caught.value.stage, caught.value.retryable)


@pytest.mark.parametrize("opener", OBSERVED.values(), ids=OBSERVED)
def test_a_generator_around_the_stream_gives_the_same(opener: Opener) -> None:
    """The payloads are made of the SDK's objects; what its helper adds to them is left out."""
    scenarios.gives_what_plain_bytes_give(opener, CLAUDE)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("opener", [_async_observed, _async_observed_helper], ids=OBSERVED)
async def test_an_async_generator_around_the_stream_gives_the_same(opener: AsyncOpener) -> None:
    """The same for `async for`.

    On trio the SDK's own loop leaves generators behind, of which trio warns.
    """
    await scenarios.gives_what_plain_bytes_give_async(opener, CLAUDE)


@pytest.mark.parametrize("opener", OBSERVED.values(), ids=OBSERVED)
def test_the_objects_are_there_as_soon_as_they_were_sent(opener: Opener) -> None:
    """Nothing is read ahead of what was asked for."""
    scenarios.gives_each_event_at_once(opener, CLAUDE, "chunked")


def _name(recorded: Recorded) -> str:
    return recorded.name


@pytest.mark.parametrize("opener", OBSERVED.values(), ids=OBSERVED)
@pytest.mark.parametrize("recorded", [each for each in ours() if each.format == "anthropic"], ids=_name)
def test_the_objects_of_each_recording_give_the_message_of_its_bytes(
    recorded: Recorded, opener: Opener
) -> None:
    """Thinking, citations, server tools, refusals: nothing is lost on the way through the SDK."""
    expected = Stream(recorded.body).final()
    with Loopback(chunked([recorded.body])) as server, opener(server.url) as source:
        assert expected == Stream(source).final()


def test_an_error_event_that_the_sdk_raises_is_the_provider_speaking() -> None:
    """Its type and message are the provider's."""
    error = sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, event="error")
    with (
        Loopback(chunked([CLAUDE.frames[0], error])) as server,
        _observed(server.url) as source,
        pytest.raises(ProviderError, match="busy") as caught,
    ):
        Stream(source).final()

    assert ("overloaded", "overloaded_error") == (caught.value.kind, caught.value.type)
    assert CLAUDE.pieces[0] == caught.value.partial.text


async def test_a_stream_of_the_wrong_colour_names_the_right_class() -> None:
    """Nothing is read of it."""
    with Loopback(chunked(CLAUDE.frames)) as server:
        with (
            _helper(server.url) as source,
            pytest.raises(MisuseError, match=r"read it with Stream, in `for`"),
        ):
            AsyncStream(source)
        async with _async_helper(server.url) as source:
            with pytest.raises(MisuseError, match=r"read it with AsyncStream, in `async for`"):
                Stream(source)


async def test_a_request_that_is_never_sent_leaves_no_warning() -> None:
    """A stream that is closed unread drops the coroutine; warnings are errors here."""
    for opener in (_async_unawaited, _async_manager, _async_streaming, _async_raw):
        async with opener("http://nowhere.test") as source:
            await AsyncStream(source).aclose()


def test_a_whole_answer_asks_whether_stream_was_forgotten() -> None:
    """The object that `create` gives without `stream=True` is no stream."""
    message = anthropic.types.Message.model_validate(
        {"id": "m", "type": "message", "role": "assistant", "model": "claude"}
        | {"content": [], "stop_reason": None, "stop_sequence": None}
        | {"usage": {"input_tokens": 3, "output_tokens": 1}}
    )

    with pytest.raises(MisuseError, match="pass stream=True"):
        Stream(message)
