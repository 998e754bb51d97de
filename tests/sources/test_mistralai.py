"""The streams of mistralai's SDK, over real connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import FRAMINGS, Body
from tests.sources.sdks import AtOnce, Closing, Cut, Garbage, Reading, on_asyncio
from tests.stream.bodies import chunk
from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.wire import DONE, sse
from tokenstream import Stream

client_module = needed("mistralai.client")

# Importing the SDK takes seconds on a busy machine.
pytestmark = [pytest.mark.anyio]

CALL = {
    "id": "a1b2c3d4e",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
    "index": 0,
}
CHAT = Body(
    "openai-chat",
    [
        chunk({"role": "assistant", "content": ""}) + chunk({"content": "Let "}),
        chunk({"content": "me "}),
        chunk({"content": "see – 🌊."}),
        b"".join(
            [
                chunk(
                    {"content": "", "tool_calls": [CALL]},
                    "tool_calls",
                    usage={"prompt_tokens": 7, "completion_tokens": 21, "total_tokens": 28},
                ),
                DONE,
            ]
        ),
    ],
    ["Let ", "me ", "see – 🌊."],
)
THINKING = Body(
    "openai-chat",
    [
        chunk({"role": "assistant", "content": ""})
        + chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]})
        + chunk({"content": "Let "}),
        chunk({"content": "me see."}),
        chunk({"content": ""}, "stop") + DONE,
    ],
    ["Let ", "me see."],
)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}


def _client(url: str) -> Any:
    return client_module.Mistral(api_key="k", server_url=url)


@contextmanager
def _stream(url: str) -> Generator[Any]:
    with _client(url) as client:
        yield client.chat.stream(**ASKED)


@contextmanager
def _entered(url: str) -> Generator[Any]:
    with _client(url) as client, client.chat.stream(**ASKED) as stream:
        yield stream


@asynccontextmanager
async def _async_stream(url: str) -> AsyncGenerator[Any]:
    async with _client(url) as client:
        yield await client.chat.stream_async(**ASKED)


@asynccontextmanager
async def _async_unawaited(url: str) -> AsyncGenerator[Any]:
    async with _client(url) as client:
        yield client.chat.stream_async(**ASKED)


OPENERS = {"stream": _stream, "entered": _entered}
ASYNC_OPENERS = {"stream_async": _async_stream, "stream_async not awaited": _async_unawaited}
BODIES = {"chat": CHAT, "thinking": THINKING}
OPENED = {
    f"{way}, {name}": (opener, body) for way, opener in OPENERS.items() for name, body in BODIES.items()
}
ASYNC_OPENED = {
    f"{way}, {name}": (opener, body) for way, opener in ASYNC_OPENERS.items() for name, body in BODIES.items()
}
each_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


class TestStreams(Reading, AtOnce, Cut, Closing, Garbage):
    """What holds for the streams of any SDK; the response beneath is read."""

    openers = OPENED
    async_openers = ASYNC_OPENED
    framings = FRAMINGS
    items = "mistralai.client.models.completionevent.CompletionEvent"


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
    """Where the stream awaits the request, the SDK's exception is told as ours."""
    await scenarios.raises_what_a_status_means_async(_async_unawaited)


def _seen(events: Any) -> Generator[Any]:
    """Stand for a tool that observes: a generator around the SDK's stream."""
    yield from events


@contextmanager
def _observed(url: str) -> Generator[Any]:
    with _entered(url) as stream:
        yield _seen(stream)


@each_body
def test_a_generator_around_the_stream_gives_the_same(body: Body) -> None:
    """The payloads are taken out of the events that the SDK makes."""
    scenarios.gives_what_plain_bytes_give(_observed, body)


# The SDK loads a package for this that asks for what Python 3.14 has removed.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:ast:DeprecationWarning")
def test_the_stream_of_a_conversation_is_read() -> None:
    """Its events have names, and a vocabulary of their own."""
    events: dict[str, dict[str, Any]] = {
        "conversation.response.started": {"conversation_id": "conv_1"},
        "message.output.delta": {"id": "msg_1", "content": "Hi"},
        "conversation.response.done": {"usage": {}},
    }
    frames = [sse({"type": kind, **fields}, event=kind) for kind, fields in events.items()]
    with Loopback(chunked(frames)) as server, _client(server.url) as client:
        source = client.beta.conversations.start_stream(inputs="Hi", model="m")
        with Stream(source) as stream:
            assert "Hi" == stream.final().text

    assert "mistral-conversations" == stream.format
