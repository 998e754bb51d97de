"""A stream that is opened before it is read, so that a failure is known in time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.loopback import Loopback, chunked, refusing_url, sized
from tokenstream import Retry, aconnect, connect, testing
from tokenstream.errors import ConnectError, NotAStream, StatusError

WHOLE = testing.script().text("Hello wonderful world").finish("stop").chunks("openai-chat")
BUSY = sized(b'{"error": {"message": "busy"}}', status=503, content_type="application/json")
PAGE = sized(b"<!doctype html><html><body>Sign in</body></html>", content_type="text/html")


def opened(world: str, url: str, first: Any, *, twice: bool = False, **options: Any) -> str:
    """Wait until an answer has begun, and return its text."""
    if world == "sync":
        with connect(url, **options) as stream:
            for _ in range(1 + twice):
                stream.wait_open(first)
            return "".join(stream.text)

    async def main() -> str:
        async with aconnect(url, **options) as stream:
            for _ in range(1 + twice):
                await stream.wait_open(first)
            return "".join([text async for text in stream.text])

    return anyio.run(main, backend=world)


both_firsts = pytest.mark.parametrize("first", ["head", "event"])


@in_each_world
@both_firsts
@pytest.mark.parametrize(("script", "expected"), [(BUSY, StatusError), (PAGE, NotAStream)])
def test_what_is_no_answer_is_raised_there(world: str, first: str, script: Any, expected: Any) -> None:
    """A status of 400 or more, and a web page with a 200."""
    with Loopback(script) as server, pytest.raises(expected):
        opened(world, server.url, first)


@in_each_world
@both_firsts
def test_a_connection_that_is_refused_is_raised_there(world: str, first: str) -> None:
    """No response came at all."""
    with pytest.raises(ConnectError):
        opened(world, refusing_url(), first)


@in_each_world
@both_firsts
@pytest.mark.parametrize("twice", [False, True])
def test_what_was_read_is_given_again(world: str, first: str, twice: bool) -> None:
    """The views have all of the answer, also when it is waited for twice."""
    with Loopback(chunked(WHOLE)) as server:
        text = opened(world, server.url, first, twice=twice)

    assert text == "Hello wonderful world"


@in_each_world
@both_firsts
def test_a_refusal_is_asked_again_for_meanwhile(world: str, first: str) -> None:
    """With `retry=`, a 503 before an answer is not seen."""
    with Loopback(BUSY, chunked(WHOLE)) as server:
        text = opened(world, server.url, first, retry=Retry(wait=0))

    assert text == "Hello wonderful world"
    assert len(server.requests) == 2
