"""A block that reads nothing of an answer that the server has refused."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.wire import sse
from tokenstream import Retry, aconnect, connect
from tokenstream.errors import StatusError

URL = "https://api.example/v1/chat/completions"


def answered(status: int, body: Any = b"") -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, content=body))


def left(world: str, transport: httpx.MockTransport, within: Any = lambda _: None, **options: Any) -> Any:
    """Return a stream whose block reads nothing."""
    if world == "sync":
        with httpx.Client(transport=transport) as client:
            with connect(URL, json={}, client=client, **options) as stream:
                within(stream)
            return stream

    async def main() -> Any:
        async with httpx.AsyncClient(transport=transport) as client:
            async with aconnect(URL, json={}, client=client, **options) as stream:
                within(stream)
            return stream

    return anyio.run(main, backend=world)


@in_each_world
@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("options", [{}, {"retry": Retry(wait=0)}])
def test_a_refusal_is_raised_at_the_end_of_a_block_that_reads_nothing(
    world: str, status: int, options: dict[str, Any]
) -> None:
    """Otherwise a wrong key looks like an answer that nobody wanted."""
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
