"""An unread `connect(…)` that a function returns is taken as the request that it is."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.either import read_whole
from tests.support.raised import misuse
from tokenstream import Message, Retry, Route, Routes, Tags, aconnect, aresilient, connect, resilient, testing
from tokenstream.errors import MisuseError, StreamError
from tokenstream.recovery import Attempt
from tokenstream.testing import Recording, Transport

URL = "https://first.test/v1"
OTHER = "https://other.test/v1"
SAID = testing.script().text("Hello").usage(output_tokens=2).finish().recording("openai-chat")
THOUGHT = testing.script().text("<think>Hm.</think>Hello").finish().recording("text")
BUSY = Recording(status=503)


def giving(*answers: Recording) -> Transport:
    return testing.transport(answers)


def asking(server: Transport, world: str, url: str = URL, **options: Any) -> Any:
    """Return the stream of a request, sync or async."""
    if world == "sync":
        return connect(url, json={}, client=httpx.Client(transport=server), **options)
    return aconnect(url, json={}, client=httpx.AsyncClient(transport=server), **options)


def asked(server: Transport) -> list[str]:
    return [f"https://{request.headers['host']}{request.path}" for request in server.requests]


def _read(world: str, make_stream: Callable[[], Any]) -> tuple[Any, Message]:
    stream = read_whole(world, make_stream)
    return stream, stream.message


def _resilient(world: str) -> Callable[..., Any]:
    return resilient if world == "sync" else aresilient


@in_each_world
def test_a_route_may_open_a_connect(world: str) -> None:
    """The stream itself is none: an answer that it gives cannot be asked for again."""
    server = giving(BUSY, THOUGHT)
    opens = partial(asking, server, world, OTHER, format="text", tags=Tags(reasoning=True))
    with pytest.raises(MisuseError, match=r"such as connect\(…\), and not"):
        Retry(routes=opens())
    retry = Retry(attempts=1, wait=0, routes=Route(open=opens, name=httpx.URL(OTHER).host))
    stream, message = _read(world, lambda: asking(server, world, retry=retry))

    assert [URL, OTHER] == asked(server)
    assert message.route == stream.attempts[1].route == httpx.URL(OTHER).host
    assert ("Hm.", "Hello", "text") == (message.reasoning, message.text, stream.format)


@in_each_world
def test_an_answer_of_connect_is_asked_for_again(world: str) -> None:
    """`resilient` sends its request as often as necessary."""
    server = giving(BUSY, Recording.of(SAID.chunks()[:2]), SAID)
    stream, message = _read(
        world, lambda: _resilient(world)(lambda: asking(server, world), Retry(again=True, wait=0))
    )

    assert ("Hello", 3) == (message.text, len(asked(server)))
    assert ["StatusError", "StreamTruncated", "NoneType"] == [
        type(report.error).__name__ for report in stream.attempts
    ]


@in_each_world
def test_the_options_of_one_attempt_do_not_stay(world: str) -> None:
    """Each answer is read as its own request says, and after that as `resilient` says."""
    server = giving(Recording(), SAID)
    opened = iter(
        [asking(server, world, format="text", tags=Tags(reasoning=True)), asking(server, world, OTHER)]
    )
    stream, message = _read(world, lambda: _resilient(world)(lambda: next(opened), Retry(again=True, wait=0)))

    assert ("Hello", "openai-chat") == (message.text, stream.format)


@in_each_world
def test_attempts_of_its_own_are_not_made(world: str) -> None:
    """The stream of all attempts counts and makes them."""
    server = giving(BUSY, BUSY, SAID)
    opens = partial(asking, server, world, retry=Retry(attempts=9, wait=0))
    with pytest.raises(StreamError):
        _read(world, lambda: _resilient(world)(opens, Retry(attempts=2, wait=0)))

    assert 2 == len(asked(server))


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_an_async_function_may_return_a_connect(world: str) -> None:
    server = giving(SAID)

    async def ask(attempt: Attempt) -> Any:
        await anyio.lowlevel.checkpoint()
        return asking(server, world, params={"n": attempt.number})

    _, message = _read(world, lambda: aresilient(ask))

    assert ("Hello", [f"{URL}?n=1"]) == (message.text, asked(server))


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_a_connect_may_be_hedged(world: str) -> None:
    server = giving(THOUGHT)
    opens = partial(asking, server, world, format="text", tags=Tags(reasoning=["think"]))
    _, message = _read(world, lambda: aresilient(opens, Retry(routes=Routes(hedge_after=60))))

    assert ("Hm.", "Hello") == (message.reasoning, message.text)


@in_each_world
def test_a_stream_whose_request_was_taken_is_closed(world: str) -> None:
    server = giving(SAID)
    streams = [asking(server, world)]
    _read(world, lambda: _resilient(world)(lambda: streams[0]))
    with misuse("closed", match="has taken the request of this one"):
        _read(world, lambda: streams[0])
    streams.clear()
    gc.collect()

    assert [URL] == asked(server)


@in_each_world
@pytest.mark.parametrize("case", ["opened", "guarded", "other colour"])
def test_what_is_no_request_any_more_is_refused(world: str, case: str) -> None:
    server = giving(SAID, SAID)
    words = {
        "opened": "that was opened already: return the response itself, or a?connect",
        "guarded": "add them to the stream of all attempts",
        "other colour": r"cannot read: write a?connect\(…\) in place of a?connect",
    }

    def opens() -> Any:
        if case == "other colour":
            return asking(server, "asyncio" if world == "sync" else "sync")
        stream = asking(server, world)
        if case == "guarded":
            return stream.guard("no")
        if world == "sync":
            stream.final()
            return stream

        async def opened() -> Any:
            await stream.final()
            return stream

        return opened()

    with pytest.raises(MisuseError, match=words[case]):
        _read(world, lambda: _resilient(world)(opens))
