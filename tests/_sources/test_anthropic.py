"""The stream objects of anthropic's SDK, over real connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import CLAUDE, FRAMINGS, Opener
from tests._sources.sdks import AtOnce, Garbage, opening, opening_async, seen, seen_async
from tests.support.either import at_once
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


def _client(url: str) -> Any:
    return anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)


def _async_client(url: str) -> Any:
    return anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0)


def _create(client: Any) -> Any:
    return client.messages.create(**ASKED, stream=True)


def _stream(client: Any) -> Any:
    return client.messages.stream(**ASKED)


def _create_raw(client: Any) -> Any:
    return client.messages.with_raw_response.create(**ASKED, stream=True)


def _create_streaming(client: Any) -> Any:
    return client.messages.with_streaming_response.create(**ASKED, stream=True)


_created = opening(_client, _create)
_helper = opening(_client, _stream, is_entered=True)
_manager = opening(_client, _stream)
_raw = opening(_client, _create_raw)
_streaming = opening(_client, _create_streaming)
OPENERS = {
    "create": _created,
    "stream helper": _helper,
    "stream manager": _manager,
    "raw response": _raw,
    "streaming response": _streaming,
}
_async_created = opening_async(_async_client, _create, is_awaited=True)
_async_unawaited = opening_async(_async_client, _create)
_async_helper = opening_async(_async_client, _stream, is_entered=True)
_async_manager = opening_async(_async_client, _stream)
_async_raw = opening_async(_async_client, _create_raw)
_async_streaming = opening_async(_async_client, _create_streaming)
ASYNC_OPENERS = {
    "create": _async_created,
    "create not awaited": _async_unawaited,
    "stream helper": _async_helper,
    "stream manager": _async_manager,
    "raw response": _async_raw,
    "streaming response": _async_streaming,
}
_observed = opening(_created, seen)
_observed_helper = opening(_helper, seen)
_async_observed = opening_async(_async_created, seen_async)
_async_observed_helper = opening_async(_async_helper, seen_async)
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
    at_once(scenarios.raises_what_a_status_means(opener))


def test_an_error_event_that_the_sdk_raises_is_the_provider_speaking() -> None:
    error = sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, event="error")
    with (
        Loopback(chunked([CLAUDE.frames[0], error])) as server,
        _observed(server.url) as source,
        pytest.raises(ProviderError, match="busy") as caught,
    ):
        Stream(source).final()

    assert ("overloaded", "overloaded_error") == (caught.value.kind, caught.value.type)
    assert CLAUDE.pieces[0] == caught.value.partial.text
