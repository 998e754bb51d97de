"""Sources that fail, also when they are closed, and streams that nobody holds."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.stream.bodies import ANSWER, AsyncSource, Source
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamInterrupted


class Stubborn(Source):
    """A source that fails to close."""

    def close(self) -> None:
        super().close()
        raise OSError("cannot close")


class AsyncStubborn(AsyncSource):
    """The same, asynchronous."""

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("cannot close")


def test_closing_never_raises_over_another_error() -> None:
    """The caller's own error, and the stream's, are what the caller sees."""
    with pytest.raises(KeyError), Stream(Stubborn(ANSWER)) as stream:
        raise KeyError
    with pytest.raises(StreamInterrupted):
        Stream(Stubborn(ANSWER[:3], OSError("reset"))).final()
    with pytest.raises(OSError, match="cannot close"), Stream(Stubborn(ANSWER)):
        pass

    async def main() -> None:
        with pytest.raises(KeyError):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                raise KeyError
        with pytest.raises(OSError, match="cannot close"):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                pass

    anyio.run(main)
    assert stream.closed


def test_misuse_closes_the_source() -> None:
    """A bad item ends the stream; nothing is left open."""
    source = Source([ANSWER[2]])
    items: Any = chain(source, [None])
    stream = Stream(items)
    with pytest.raises(MisuseError):
        stream.final()

    assert stream.closed
    assert stream.message.ending == "stopped"


def test_a_bug_in_a_source_is_not_blamed_on_the_network() -> None:
    """Asking again would meet it again."""

    def body() -> Iterator[bytes]:
        yield ANSWER[2]
        raise KeyError("a bug")

    with pytest.raises(StreamInterrupted, match="source broke") as caught:
        Stream(body()).final()

    assert (caught.value.kind, caught.value.retryable) == ("unknown", False)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_source_that_cannot_be_closed_spoils_no_answer() -> None:
    """Whoever has the whole answer has it, although closing fails; a stop raises nothing either."""
    assert Stream(Stubborn(ANSWER)).final().text == "Let me see."
    stream = Stream(Stubborn(ANSWER))
    stream.stop()
    assert stream.message.ending == "stopped"

    async def main() -> None:
        assert (await AsyncStream(AsyncStubborn(ANSWER)).final()).text == "Let me see."

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_a_stream_that_nobody_holds_is_closed_where_warnings_are_errors() -> None:
    """The warning is raised where nobody can catch it, and the source is closed all the same."""
    source = Source(ANSWER)
    with catch_unraisable() as caught:
        stream = Stream(source)
        next(stream)
        del stream
        gc.collect()

    assert [ResourceWarning] == caught
    assert source.closed == 1


def test_the_same_in_an_event_loop() -> None:
    """The task that reads ends, and closes its source."""

    async def main() -> None:
        source = AsyncSource(ANSWER[:2] * 500)
        with catch_unraisable() as caught:
            stream = AsyncStream(source)
            await anext(stream)
            del stream
            gc.collect()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

        assert [ResourceWarning] == caught
        assert source.closed == 1

    anyio.run(main)


@contextmanager
def catch_unraisable() -> Generator[list[type[BaseException] | None]]:
    """Collect what is raised where nobody can catch it."""
    caught: list[type[BaseException] | None] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda raised: caught.append(raised.exc_type)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield caught
    finally:
        sys.unraisablehook = before
