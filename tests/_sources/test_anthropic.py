"""The stream objects of anthropic's SDK, over real connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import CLAUDE, FRAMINGS
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


_ASKS = asks_of(lambda client: client.messages, **ASKED)
OPENERS = openers_of(_client, _ASKS)
ASYNC_OPENERS = async_openers_of(_async_client, _ASKS)
_observed = opening(OPENERS["create"], seen)
OBSERVED = {"observed create": _observed, "observed helper": opening(OPENERS["stream helper"], seen)}
ASYNC_OBSERVED = {
    "observed create": opening_async(ASYNC_OPENERS["create"], seen_async),
    "observed helper": opening_async(ASYNC_OPENERS["stream helper"], seen_async),
}


class TestStreams(AtOnce, Garbage):
    """What holds for any SDK: of the response beneath, and of the objects that others pass on."""

    openers = {name: (opener, CLAUDE) for name, opener in (OPENERS | OBSERVED).items()}  # noqa: RUF012
    async_openers = {  # noqa: RUF012
        name: (opener, CLAUDE) for name, opener in (ASYNC_OPENERS | ASYNC_OBSERVED).items()
    }
    framings = FRAMINGS


@pytest.mark.parametrize("name", ["stream manager", "streaming response"])
def test_a_refused_request_is_a_status_error(name: str) -> None:
    """A manager sends its request at the first read; the SDK's exception is told as ours."""
    at_once(scenarios.raises_what_a_status_means(OPENERS[name]))


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
