"""The stream objects of anthropic's SDK, over real connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import CLAUDE, FRAMINGS, Opener
from tests.sources.sdks import AtOnce, Garbage
from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import ProviderError

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
ASYNC_OBSERVED = {"observed create": _async_observed, "observed helper": _async_observed_helper}


class TestStreams(AtOnce, Garbage):
    """What holds for any SDK: of the response beneath, and of the objects that others pass on."""

    openers = {name: (opener, CLAUDE) for name, opener in (OPENERS | OBSERVED).items()}  # noqa: RUF012
    async_openers = {  # noqa: RUF012
        name: (opener, CLAUDE) for name, opener in (ASYNC_OPENERS | ASYNC_OBSERVED).items()
    }
    framings = FRAMINGS


@pytest.mark.parametrize("opener", [_manager, _streaming], ids=["stream", "streaming response"])
def test_a_refused_request_is_a_status_error(opener: Opener) -> None:
    """A manager sends its request at the first read; the SDK's exception is told as ours."""
    scenarios.raises_what_a_status_means(opener)


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
