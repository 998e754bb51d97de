"""Streams of which nothing was read: closed ones, and blocks whose request the server has refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support.either import client_in, connect_in, inside, run_in
from tests.support.raised import misuse
from tests.support.views import VIEWS
from tests.support.wire import sse
from tokenstream import AsyncStream, Retry, Router, Stream
from tokenstream.errors import StatusError

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
SAYS = "closed before anything was read"
READ_IN_LOOPS: dict[str, Callable[[Any], Any]] = {
    **VIEWS,
    "reasoning": lambda stream: stream.reasoning,
    "events": lambda stream: stream,
}
READS: dict[str, Callable[[Any], Any]] = {
    "final": lambda stream: stream.final(),
    "result": lambda stream: stream.result(dict[str, Any]),
    "run": lambda stream: stream.run(Router()),
}
every_view = pytest.mark.parametrize("view_of", READ_IN_LOOPS.values(), ids=READ_IN_LOOPS.keys())
every_read = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())


async def _listed(view: Any) -> list[Any]:
    return [item async for item in view]


@every_view
def test_a_view_read_after_the_block_says_that_nothing_was_read(view_of: Callable[[Any], Any]) -> None:
    """Each time, whether it was made inside or outside; the error says what to do."""
    source = Source(ANSWER)
    with Stream(source) as stream:
        inside = view_of(stream)
    for view in (inside, view_of(stream)):
        with misuse("closed", match=f"{SAYS}.* inside `with`"):
            list(view)

    assert (source.reads, source.closed, stream.message.ending) == (0, 1, "stopped")


@every_read
def test_an_answer_asked_for_after_the_block_says_that_nothing_was_read(read: Callable[[Any], Any]) -> None:
    """An empty answer would be taken for the model's."""
    with Stream(Source(ANSWER)) as stream:
        pass
    for _ in range(2):
        with misuse("closed", match=SAYS):
            read(stream)


@every_view
@BACKENDS
def test_an_asynchronous_view_says_it_too(view_of: Callable[[Any], Any], backend: str) -> None:
    async def main() -> None:
        async with AsyncStream(AsyncSource(ANSWER)) as stream:
            inside = view_of(stream)
        for view in (inside, view_of(stream)):
            with misuse("closed", match=f"{SAYS}.* inside `async with`"):
                await _listed(view)

    anyio.run(main, backend=backend)


@every_read
@BACKENDS
def test_an_asynchronous_answer_says_it_too(read: Callable[[Any], Any], backend: str) -> None:
    async def main() -> None:
        async with AsyncStream(AsyncSource(ANSWER)) as stream:
            pass
        with misuse("closed", match=SAYS):
            await read(stream)

    anyio.run(main, backend=backend)


def test_after_a_stop_there_is_what_there_is() -> None:
    """Whoever stops knows that the answer is cut."""
    with Stream(Source(ANSWER)) as stream:
        stream.stop("enough")

    assert list(stream.text) == []
    assert stream.final().ending == "stopped"


def test_after_something_was_read_there_is_what_there_is() -> None:
    """The answer is known to be cut: its ending says so."""
    with Stream(Source(ANSWER)) as stream:
        next(iter(stream))

    assert list(stream.text) == []
    assert stream.final().ending == "stopped"
    assert list(stream.tool_calls) == []


URL = "https://api.example/v1/chat/completions"


def answered(status: int, body: Any = b"") -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, content=body)


def left(world: str, answer: Any, within: Any = lambda _: None, **options: Any) -> Any:
    """Return a stream whose block reads nothing."""

    async def main() -> Any:
        async with inside(client_in(world, answer)) as client:
            async with inside(connect_in(world)(URL, json={}, client=client, **options)) as stream:
                within(stream)
            return stream

    return run_in(world, main)


@in_each_world
@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("options", [{}, {"retry": Retry(wait=0)}])
def test_a_refusal_is_raised_at_the_end_of_a_block_that_reads_nothing(
    world: str, status: int, options: dict[str, Any]
) -> None:
    """A wrong key would look like an answer that nobody wanted."""
    with pytest.raises(StatusError) as caught:
        left(world, answered(status), **options)

    assert caught.value.status == status
    assert caught.value.partial.ending == "failed"
    assert caught.value.origin.answer_id is not None
    assert caught.value.origin.host == "api.example"


@in_each_world
@pytest.mark.parametrize("end", ["stop", "raise"])
def test_nothing_is_raised_for_what_the_block_has_ended_itself(world: str, end: str) -> None:
    """A stop asks for no answer, and an exception of the block's own goes first."""

    def within(stream: Any) -> None:
        if end == "raise":
            raise KeyError(end)
        stream.stop()

    if end == "raise":
        with pytest.raises(KeyError):
            left(world, answered(503), within)
    else:
        assert left(world, answered(503), within).message.ending == "stopped"


@in_each_world
def test_an_answer_that_was_not_refused_is_only_stopped(world: str) -> None:
    """A block that reads nothing of an answer is no mistake."""
    assert left(world, answered(200, sse("{}"))).message.ending == "stopped"


def test_nothing_waits_for_the_body_of_a_refusal() -> None:
    """The connection may be open for ever, and the status says enough."""
    read = list[bytes]()

    def body() -> Any:
        read.append(b"")
        yield b""

    with pytest.raises(StatusError, match="status 503"):
        left("sync", answered(503, body()))
    assert read == []
