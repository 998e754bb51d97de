"""Streams of which nothing was read: closed ones, and blocks whose request the server has refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.stream.bodies import ANSWER, Source, source_in
from tests.support.either import Each, client_in, connect_in, got, in_each_loop, inside, run_in, stream_in
from tests.support.raised import misuse
from tests.support.views import VIEWS
from tests.support.wire import sse
from tokenstream import Retry, Router, Stream
from tokenstream.errors import ConnectError, StatusError

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


@every_view
@in_each_loop
async def test_a_view_read_after_the_block_says_that_nothing_was_read(
    colour: str, view_of: Callable[[Any], Any]
) -> None:
    source = source_in(colour)(ANSWER)
    async with inside(stream_in(colour)(source)) as stream:
        made_inside = view_of(stream)
    for view in (made_inside, view_of(stream)):
        with misuse("closed", match=f"{SAYS}.* inside `{'with' if colour == 'sync' else 'async with'}`"):
            _ = [item async for item in Each(view)]

    assert (source.reads, source.closed, stream.message.ending) == (0, 1, "stopped")


@every_read
@in_each_loop
async def test_an_answer_asked_for_after_the_block_says_that_nothing_was_read(
    colour: str, read: Callable[[Any], Any]
) -> None:
    """An empty answer would be taken for the model's."""
    async with inside(stream_in(colour)(source_in(colour)(ANSWER))) as stream:
        pass
    for _ in range(2):
        with misuse("closed", match=SAYS):
            await got(read(stream))


@in_each_loop
async def test_after_a_stop_there_is_what_there_is(colour: str) -> None:
    """Whoever stops a stream knows that its answer is cut."""
    async with inside(stream_in(colour)(source_in(colour)(ANSWER))) as stream:
        stream.stop("enough")

    assert [piece async for piece in Each(stream.text)] == []
    assert (await got(stream.final())).ending == "stopped"


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


def refused(request: httpx.Request) -> httpx.Response:
    message = "refused"
    raise httpx.ConnectError(message, request=request)


def left(world: str, answer: Any, within: Any = lambda _: None, **options: Any) -> Any:
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
def test_a_connection_that_was_refused_is_raised_there_too(world: str) -> None:
    with pytest.raises(ConnectError) as caught:
        left(world, refused)

    assert caught.value.partial.ending == "failed"


@in_each_world
@pytest.mark.parametrize("end", ["stop", "raise"])
@pytest.mark.parametrize("answer", [answered(503), refused])
def test_nothing_is_raised_for_what_the_block_has_ended_itself(world: str, answer: Any, end: str) -> None:
    """A stop asks for no answer, and an exception of the block's own goes first."""

    def within(stream: Any) -> None:
        if end == "raise":
            raise KeyError(end)
        stream.stop()

    if end == "raise":
        with pytest.raises(KeyError):
            left(world, answer, within)
    else:
        assert left(world, answer, within).message.ending == "stopped"


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
