"""The streams of litellm, over real connections: what it makes of a provider's stream, and what it hides."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests._sources.scenarios import CHAT, CLAUDE, ENDS, REFUSAL, Body, Opener
from tests._sources.sdks import Garbage
from tests.support.loopback import Loopback, chunked, sized
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream, tap
from tokenstream.errors import ProviderError, StatusError, StreamInterrupted, StreamTruncated

# Without it, importing the package asks a server for a list of prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm = needed("litellm")

pytestmark = [
    pytest.mark.anyio,
    # What pydantic thinks of the package's own models.
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # Loops that the package makes for its logging may be collected before they are closed below.
    pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning"),
    pytest.mark.filterwarnings(r"ignore:unclosed <socket\.socket fd=\d+, family=1,:ResourceWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _left_behind() -> Generator[None]:
    """Close the event loops that the package makes for its logging and leaves open."""
    yield
    for thing in gc.get_objects():
        if isinstance(thing, asyncio.AbstractEventLoop) and not thing.is_running() and not thing.is_closed():
            # A thread of the package may be closing it at this moment: its sockets are gone then.
            with contextlib.suppress(AttributeError, ValueError):
                thing.close()


MODELS = {"openai-chat": "openai/m", "anthropic": "anthropic/claude-x"}


def _asked(url: str, body: Body) -> dict[str, Any]:
    return {
        "model": MODELS[body.format],
        "messages": [{"role": "user", "content": "Weather?"}],
        "api_base": f"{url}/v1" if body.format == "openai-chat" else url,
        "api_key": "k",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_retries": 0,
        "num_retries": 0,
    }


_ROUTED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Weather?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def _router(url: str) -> Any:
    asked = _asked(url, CHAT)
    parameters = {name: asked[name] for name in ("model", "api_base", "api_key", "max_retries")}
    return litellm.Router([{"model_name": "routed", "litellm_params": parameters}], num_retries=0)


@contextmanager
def _chat(url: str) -> Generator[Any]:
    yield litellm.completion(**_asked(url, CHAT))


@contextmanager
def _routed(url: str) -> Generator[Any]:
    yield _router(url).completion("routed", **_ROUTED)


@contextmanager
def _claude(url: str) -> Generator[Any]:
    yield litellm.completion(**_asked(url, CLAUDE))


@asynccontextmanager
async def _async_chat(url: str) -> AsyncGenerator[Any]:
    yield await litellm.acompletion(**_asked(url, CHAT))


@asynccontextmanager
async def _async_unawaited(url: str) -> AsyncGenerator[Any]:
    yield litellm.acompletion(**_asked(url, CHAT))


@asynccontextmanager
async def _async_claude(url: str) -> AsyncGenerator[Any]:
    yield await litellm.acompletion(**_asked(url, CLAUDE))


OPENERS = {"openai": (_chat, CHAT), "anthropic": (_claude, CLAUDE)}
ASYNC_OPENERS = {
    "openai": (_async_chat, CHAT),
    "openai not awaited": (_async_unawaited, CHAT),
    "anthropic": (_async_claude, CLAUDE),
}
_WITH_ROUTER = {**OPENERS, "a router": (_routed, CHAT)}
each_opener = pytest.mark.parametrize(("opener", "body"), _WITH_ROUTER.values(), ids=_WITH_ROUTER)
# Raised by litellm since 1.109 where the provider's stream ends without a finish reason.
_EARLY_END = litellm.exceptions.MidStreamFallbackError, litellm.exceptions.APIConnectionError
# The package works on asyncio only.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.mark.leaves_behind("litellm keeps clients and an event loop for the next request")
class TestGarbage(Garbage):
    """What holds for the streams of any SDK."""

    openers = OPENERS
    async_openers = ASYNC_OPENERS


def _says_the_same(got: Any, body: Body) -> None:
    """Compare what litellm passes on; ids, times and the model's name may be its own."""
    expected = body.message
    assert expected.text == got.text
    assert [(call.name, call.arguments) for call in expected.tool_calls] == [
        (call.name, call.arguments) for call in got.tool_calls
    ]
    assert (expected.finish_reason, "complete") == (got.finish_reason, got.ending)
    assert expected.usage.output_tokens == got.usage.output_tokens


@each_opener
def test_a_stream_of_litellm_says_what_its_bytes_say(opener: Opener, body: Body) -> None:
    """Objects of litellm have the shape of openai-chat, whoever answers."""
    with Loopback(chunked(body.frames)) as server, opener(server.url) as source:
        stream = Stream(source)
        pieces = list(stream.text)

    assert list(body.pieces) == pieces
    _says_the_same(stream.message, body)
    assert "openai-chat" == stream.format
    assert {} == stream.departures.details


@each_opener
def test_a_finish_reason_that_nobody_sent_is_not_believed(opener: Opener, body: Body) -> None:
    """Where the provider's stream ends early, litellm before 1.109 says "stop"; here it is truncated."""
    with Loopback(chunked(body.frames[:2])) as server, opener(server.url) as source:
        with pytest.raises(StreamTruncated) as caught:
            Stream(source).final()

        assert "".join(body.pieces[:2]) == caught.value.partial.text
        assert caught.value.partial.finish_reason is None


@pytest.mark.parametrize("end", ENDS)
@each_opener
def test_a_cut_connection_is_an_interruption(opener: Opener, body: Body, end: Any) -> None:
    """What litellm calls a status is the transport's failure; the partial is kept."""
    with Loopback([*chunked(body.frames)[:3], end]) as server, opener(server.url) as source:
        with pytest.raises(StreamInterrupted) as caught:
            Stream(source).final()

        assert caught.value.retryable
        assert "".join(body.pieces[:2]).startswith(caught.value.partial.text)
        # A router raises the exception that the other one wraps.
        assert isinstance(caught.value.__cause__, _EARLY_END)


ERRORS = {
    "openai": (_chat, CHAT, sse('{"error": {"message": "busy", "type": "overloaded_error"}}'), "overloaded"),
    "anthropic": (
        _claude,
        CLAUDE,
        sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, event="error"),
        "server",
    ),
}


@pytest.mark.parametrize(("opener", "body", "error", "kind"), ERRORS.values(), ids=ERRORS)
def test_an_error_event_is_the_provider_speaking(opener: Opener, body: Body, error: bytes, kind: str) -> None:
    with Loopback(chunked([body.frames[0], error])) as server, opener(server.url) as source:
        with pytest.raises(ProviderError, match="busy") as caught:
            Stream(source).final()

        assert kind == caught.value.kind
        assert body.pieces[0].startswith(caught.value.partial.text)


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
    """What is awaited by the stream is told in our words."""
    with Loopback(sized(REFUSAL, status=401, content_type="application/json")) as server:
        async with _async_unawaited(server.url) as source, AsyncStream(source) as stream:
            with pytest.raises(StatusError) as caught:
                await stream.final()

    assert (401, "authentication") == (caught.value.status, caught.value.kind)


@each_opener
def test_a_tap_gives_litellms_own_objects(opener: Opener, body: Body) -> None:
    """The loop that is there already goes on as it was; the message grows beside it."""
    with Loopback(chunked(body.frames)) as server, opener(server.url) as source:
        tapped = tap(source)
        kinds = {type(item).__module__.partition(".")[0] for item in tapped}

        assert {"litellm"} == kinds
        _says_the_same(tapped.message, body)


@each_opener
def test_a_tap_does_not_believe_a_finish_reason_that_nobody_sent(opener: Opener, body: Body) -> None:
    """The application's loop ends as litellm ends it; the message says what came."""
    with Loopback(chunked(body.frames[:2])) as server, opener(server.url) as source:
        tapped = tap(source)
        with contextlib.suppress(*_EARLY_END):
            assert "stop" in [item.choices[0].finish_reason for item in tapped if item.choices]

        assert ("".join(body.pieces[:2]), "truncated") == (tapped.message.text, tapped.message.ending)
        assert isinstance(tapped.error, StreamTruncated)


def test_what_an_observer_wraps_is_read_from_its_objects() -> None:
    """A generator around the stream hides nothing that the objects say."""
    with Loopback(chunked(CHAT.frames)) as server, _chat(server.url) as source:
        message = Stream(chunk for chunk in source).final()

    _says_the_same(message, CHAT)
