"""The streams of mistralai's SDK, over real connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import ENDS, FRAMINGS, WAYS, AsyncOpener, Body, Opener
from tests.stream.bodies import DONE, chunk
from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream, tap
from tokenstream.errors import MisuseError, NotAStream

client_module = needed("mistralai.client")

# Importing the SDK takes seconds on a busy machine.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

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
each_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
each_async_opener = pytest.mark.parametrize("opener", ASYNC_OPENERS.values(), ids=ASYNC_OPENERS)
# What the SDK does before a request needs asyncio's loop; on trio it cannot be sent.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
each_body = pytest.mark.parametrize("body", [CHAT, THINKING], ids=["chat", "thinking"])


@each_body
@each_opener
def test_a_stream_of_the_sdk_gives_what_its_bytes_give(opener: Opener, body: Body) -> None:
    """The response beneath is read: same pieces, same message, nothing to remark."""
    scenarios.gives_what_plain_bytes_give(opener, body)


@on_asyncio
@each_body
@each_async_opener
async def test_an_async_stream_of_the_sdk_gives_what_its_bytes_give(opener: AsyncOpener, body: Body) -> None:
    """The same for `async for`, also where it is awaited first."""
    await scenarios.gives_what_plain_bytes_give_async(opener, body)


@pytest.mark.parametrize("framing", FRAMINGS)
@each_opener
def test_each_event_is_there_as_soon_as_it_was_sent(opener: Opener, framing: str) -> None:
    """No read waits for more bytes than have come."""
    scenarios.gives_each_event_at_once(opener, CHAT, framing)


@on_asyncio
@each_async_opener
async def test_each_event_is_there_at_once_in_an_async_loop(opener: AsyncOpener) -> None:
    """The same for `async for`."""
    await scenarios.gives_each_event_at_once_async(opener, CHAT, "chunked")


@pytest.mark.parametrize("end", ENDS)
@each_opener
def test_a_cut_connection_is_no_end(opener: Opener, end: Any) -> None:
    """The stream raises and keeps the partial."""
    scenarios.tells_a_cut_from_an_end(opener, CHAT, end)


@on_asyncio
@each_async_opener
async def test_a_cut_connection_is_no_end_in_an_async_loop(opener: AsyncOpener) -> None:
    """The same for `async for`."""
    await scenarios.tells_a_cut_from_an_end_async(opener, CHAT)


@pytest.mark.parametrize("way", WAYS)
@each_opener
def test_the_server_sees_the_connection_closed(opener: Opener, way: str) -> None:
    """By `close`, at the end of `with`, and by `stop`."""
    scenarios.closes(opener, CHAT, way)


@on_asyncio
@pytest.mark.parametrize("way", WAYS)
@each_async_opener
async def test_the_server_sees_the_connection_of_an_async_stream_closed(
    opener: AsyncOpener, way: str
) -> None:
    """By `aclose`, at the end of `async with`, and by `stop`."""
    await scenarios.closes_async(opener, CHAT, way)


@each_opener
def test_stop_wakes_a_read_without_a_timeout(opener: Opener) -> None:
    """The socket beneath is shut down, so the loop ends at once."""
    scenarios.is_woken_by_stop(opener, CHAT)


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


async def _async_seen(events: Any) -> AsyncGenerator[Any]:
    async for event in events:
        yield event


@asynccontextmanager
async def _async_observed(url: str) -> AsyncGenerator[Any]:
    async with _async_stream(url) as stream:
        yield _async_seen(stream)


@on_asyncio
async def test_an_async_generator_around_the_stream_gives_the_same() -> None:
    """The same for `async for`."""
    await scenarios.gives_what_plain_bytes_give_async(_async_observed, CHAT)


@each_opener
def test_beside_the_loop_over_the_sdk_the_message_grows(opener: Opener) -> None:
    """`tap` yields the SDK's own objects, and sees all of the answer."""
    with Loopback(chunked(CHAT.frames)) as server, opener(server.url) as source:
        tapped = tap(source)
        kinds = {type(item).__name__ for item in tapped}

    assert {"CompletionEvent"} == kinds
    assert CHAT.message == tapped.message
    assert tapped.error is None


@on_asyncio
@each_async_opener
async def test_beside_an_async_loop_over_the_sdk_the_message_grows(opener: AsyncOpener) -> None:
    """The same for `async for`."""
    with Loopback(chunked(CHAT.frames)) as server:
        async with opener(server.url) as source:
            tapped: Any = tap(source)
            async with tapped:
                _ = [item async for item in tapped]

    assert CHAT.message == tapped.message
    assert tapped.error is None


def test_the_events_of_a_conversation_are_of_no_known_format() -> None:
    """The error names the types that were seen, so that one sees what was handed over."""
    events: dict[str, dict[str, Any]] = {
        "conversation.response.started": {"conversation_id": "conv_1"},
        "message.output.delta": {"id": "msg_1", "content": "Hi"},
        "conversation.response.done": {"usage": {}},
    }
    frames = [sse({"type": kind, **fields}, event=kind) for kind, fields in events.items()]
    with Loopback(chunked(frames)) as server, _client(server.url) as client:
        source = client.beta.conversations.start_stream(inputs="Hi", model="m")
        with pytest.raises(NotAStream, match=r"conversation\.response\.started"):
            Stream(source).final()


def test_a_stream_of_the_wrong_colour_names_the_right_class() -> None:
    """Nothing is read of it."""
    with Loopback(chunked(CHAT.frames)) as server, _stream(server.url) as source:
        with pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
            AsyncStream(source)
        source.close()
