"""A compressed chunk may grow a thousandfold: deadlines and tasks have a turn while it is read."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.support.clocks import on
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Deadlines, Stream, testing
from tokenstream.errors import StreamStalled
from tokenstream.testing import script

SLICE = 64 * 1024
COUNT = 60
PIECES = [
    sse({"id": "chatcmpl-slices", "choices": [{"index": 0, "delta": {"content": f"{n} "}}]})
    for n in range(COUNT)
]
COMMENTS = b": x\n" * (SLICE // 4)
END = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + DONE
BODY = gzip.compress(b"".join(piece + COMMENTS for piece in PIECES) + END)
"""An answer of four megabytes, mostly comments, in a few kilobytes: one chunk of the network."""
TEXT = "".join(f"{n} " for n in range(COUNT))


class AsyncBody(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


def response(body: bytes, coding: str = "gzip", content_type: str = "text/event-stream") -> httpx.Response:
    headers = {"content-type": content_type, "content-encoding": coding}
    return httpx.Response(200, headers=headers, content=iter([body]))


def async_response(body: bytes) -> httpx.Response:
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    return httpx.Response(200, headers=headers, stream=AsyncBody(body))


def ticking() -> Any:
    """Return a clock that goes on by a thousandth of a second whenever it is read."""
    return itertools.count(0, 0.001).__next__


def read_until_stalled(stream: Any) -> Iterator[str]:
    with pytest.raises(StreamStalled) as caught:
        yield from stream.text
    assert "total" == caught.value.limit


def test_a_deadline_falls_between_two_slices() -> None:
    """The text before it is kept; the rest of the chunk is not decoded for a loop that has no time left."""
    stream = on(ticking(), Stream, response(BODY), deadlines=Deadlines(total=0.02))

    count = len(list(read_until_stalled(stream)))

    assert 0 < count < COUNT // 2
    assert "truncated" == stream.message.ending
    assert TEXT.startswith(stream.message.text)


@pytest.mark.anyio
async def test_other_tasks_run_between_two_slices() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await anyio.lowlevel.checkpoint()
        assert TEXT == (await AsyncStream(async_response(BODY)).final()).text
        tasks.cancel_scope.cancel()

    assert turns >= COUNT - 2


@pytest.mark.anyio
async def test_a_cancellation_falls_between_two_slices() -> None:
    async with AsyncStream(async_response(BODY)) as stream:
        got: list[str] = []
        with anyio.CancelScope() as scope:
            async for piece in stream.text:
                got.append(piece)
                scope.cancel()
        assert scope.cancelled_caught
        assert 0 < len(got) < COUNT // 2
        assert stream.message.text.startswith("".join(got))


def test_a_stop_falls_between_two_slices() -> None:
    with Stream(response(BODY)) as stream:
        for piece in stream.text:
            if piece == "7 ":
                stream.stop()

    assert ("stopped", TEXT[: TEXT.index("8")]) == (stream.message.ending, stream.message.text)


@pytest.mark.slow
@in_one_test("format", testing.all_formats)
def test_slices_change_nothing_of_any_answer(format: Any) -> None:
    long = [f"{n} of many words. " * 400 for n in range(10)]
    answer = script()
    for word in long:
        answer = answer.text(word)
    chunks = answer.finish("stop").chunks(format)
    plain = Stream(chunks, format=format)
    expected = [repr(event) for event in plain]
    zipped = Stream(response(gzip.compress(b"".join(chunks), 1), content_type=""), format=format)

    assert expected == [repr(event) for event in zipped]
    assert plain.message == zipped.message
