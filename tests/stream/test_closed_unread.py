"""A stream that was closed before anything was read has no answer, and says so to whoever asks for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support.views import VIEWS
from tokenstream import AsyncStream, Router, Stream
from tokenstream.errors import StreamClosed

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
        with pytest.raises(StreamClosed, match=f"{SAYS}.* inside `with`"):
            list(view)

    assert (source.reads, source.closed, stream.message.ending) == (0, 1, "stopped")


@every_read
def test_an_answer_asked_for_after_the_block_says_that_nothing_was_read(read: Callable[[Any], Any]) -> None:
    """An empty answer would be taken for the model's."""
    with Stream(Source(ANSWER)) as stream:
        pass
    for _ in range(2):
        with pytest.raises(StreamClosed, match=SAYS):
            read(stream)


@every_view
@BACKENDS
def test_an_asynchronous_view_says_it_too(view_of: Callable[[Any], Any], backend: str) -> None:
    async def main() -> None:
        async with AsyncStream(AsyncSource(ANSWER)) as stream:
            inside = view_of(stream)
        for view in (inside, view_of(stream)):
            with pytest.raises(StreamClosed, match=f"{SAYS}.* inside `async with`"):
                await _listed(view)

    anyio.run(main, backend=backend)


@every_read
@BACKENDS
def test_an_asynchronous_answer_says_it_too(read: Callable[[Any], Any], backend: str) -> None:
    async def main() -> None:
        async with AsyncStream(AsyncSource(ANSWER)) as stream:
            pass
        with pytest.raises(StreamClosed, match=SAYS):
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
