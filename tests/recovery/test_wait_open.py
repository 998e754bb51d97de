"""A stream is waited for until it has begun: what fails before is raised there, and nothing is lost."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.recovery.attempts import in_each_world
from tests.support import wire
from tests.support.either import Each, connect_in, got, inside, run_in
from tests.support.loopback import OPEN, Loopback, Script, chunked, refusing_url, sized
from tokenstream import AsyncStream, Retry, Stream, testing
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProviderError,
    StatusError,
    StreamError,
    StreamTruncated,
)
from tokenstream.events import MessageStart

HELLO = wire.chat({"role": "assistant", "content": "Hel"}) + wire.chat({"content": "lo"}, "stop") + wire.DONE
BUSY = sized(b'{"error": {"message": "busy"}}', status=503, content_type="application/json")
PAGE = sized(b"<html><title>Sign in</title></html>", content_type="text/html")
FIRSTS = ["head", "event"]


def opened(world: str, url: str, first: Any = "head", **options: Any) -> Any:
    """Return the error of waiting, which each wait raises, or the message of the answer, read as events."""

    async def main() -> Any:
        async with inside(connect_in(world)(url, json={}, **options)) as stream:
            failure = None
            try:
                await got(stream.wait_open(first))
            except StreamError as error:
                failure = error
            if failure is not None:
                with pytest.raises(StreamError) as again:
                    await got(stream.wait_open(first))
                assert (stream.closed, again.value) == (True, failure)
                return failure
            await got(stream.wait_open(first))
            events = [event async for event in Each(stream)]
            assert isinstance(events[0], MessageStart)
            return stream.message

    return run_in(world, main)


OVERLOADED = testing.script().error("overloaded").chunks("anthropic")[-1]
NO_ANSWERS: dict[str, tuple[Any, list[str], type[StreamError]]] = {
    "an error status": (BUSY, FIRSTS, StatusError),
    "a web page with status 200": (PAGE, FIRSTS, NotAStream),
    "an empty body": (sized(b""), ["event"], StreamTruncated),
    "an error as the first event": (sized(OVERLOADED), ["event"], ProviderError),
    "no server": (None, FIRSTS, ConnectError),
}


@in_each_world
@pytest.mark.parametrize(("script", "firsts", "expected"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_is_raised(
    world: str, script: Script | None, firsts: list[str], expected: type[Exception]
) -> None:
    """A web handler can still answer with an error of its own."""
    for first in firsts:
        with Loopback(*([] if script is None else [script])) as server:
            url = refusing_url() if script is None else server.url
            assert isinstance(opened(world, url, first), expected)


@in_each_world
@pytest.mark.parametrize("first", FIRSTS)
def test_what_was_read_is_given_again(world: str, first: str) -> None:
    """The loop begins with the first event; waiting twice changes nothing."""
    with Loopback(chunked([HELLO])) as server:
        message = opened(world, server.url, first)

    assert (message.text, message.complete) == ("Hello", True)


@in_each_world
@pytest.mark.parametrize("first", FIRSTS)
def test_a_refusal_that_passes_is_waited_for(world: str, first: str) -> None:
    """With a retry, what is waited for is the attempt that begins."""
    with Loopback(BUSY, chunked([HELLO])) as server:
        message = opened(world, server.url, first, retry=Retry(wait=0))

        assert message.text == "Hello"
        assert len(server.requests) == 2


@in_each_world
def test_the_head_is_enough(world: str) -> None:
    """A model that takes its time does not keep a handler from answering."""

    async def main(url: str) -> None:
        async with inside(connect_in(world)(url, json={})) as stream:
            await got(stream.wait_open())
            assert stream.response is not None
            assert (stream.response.status, stream.message.parts) == (200, ())

    with Loopback([*chunked([])[:1], OPEN]) as server:
        run_in(world, main, server.url)


def test_a_stopped_stream_is_not_waited_for() -> None:
    """Whoever has stopped it wants nothing more."""
    stream = Stream([HELLO])
    stream.stop()
    stream.wait_open("event")

    assert stream.message.ending == "stopped"


def test_there_is_nothing_else_to_wait_for() -> None:
    with Stream([HELLO]) as stream, pytest.raises(MisuseError, match='first="head" or first="event"'):
        stream.wait_open("body")  # type: ignore[arg-type]


def test_an_async_stream_of_a_body_at_hand_is_open() -> None:
    async def main() -> str:
        stream = AsyncStream([HELLO])
        await stream.wait_open("event")
        return "".join([piece async for piece in stream.text])

    assert anyio.run(main) == "Hello"
