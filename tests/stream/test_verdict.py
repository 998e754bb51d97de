"""What is decided once, at the end of a stream: how the answer ended, and what its error says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from tests.stream.bodies import ANSWER, source_in
from tests.support.either import got, in_each_loop, read_whole, stream_in
from tokenstream import tap
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.message import Ending

HALF = b"".join(ANSWER[:4])


HEADERS = {"content-type": "text/event-stream", "x-request-id": "req_9"}


def _read(colour: str) -> StreamError:
    head = httpx.Response(200, headers=HEADERS, content=HALF)
    with pytest.raises(StreamError) as caught:
        read_whole(colour, lambda: stream_in(colour)(head))
    return caught.value


def _tapped() -> StreamError | None:
    tapped = tap(httpx.Response(200, headers=HEADERS, content=iter([HALF])))
    for _ in tapped.iter_bytes():
        pass
    error: StreamError | None = tapped.error
    return error


@pytest.mark.parametrize(
    "read", [partial(_read, "sync"), partial(_read, "asyncio"), _tapped], ids=["Stream", "AsyncStream", "tap"]
)
def test_an_error_in_the_body_names_the_request(read: Callable[[], StreamError | None]) -> None:
    """The status was 200, and who asks the provider has to say which request it was."""
    error = read()

    assert isinstance(error, StreamTruncated)
    assert error.request_id == "req_9"


@in_each_loop
async def test_a_stop_that_comes_while_the_end_is_noted_changes_nothing(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told `stopped` first, and `truncated` afterwards."""
    told: list[Ending] = []
    conclude = Accumulator.conclude

    def stopped_meanwhile(accumulator: Accumulator, ending: Ending, **more: Any) -> None:
        stopper = threading.Thread(target=stream.stop)
        stopper.start()
        stopper.join()
        told.append(stream.message.ending)
        conclude(accumulator, ending, **more)

    stream = stream_in(colour)(source_in(colour)(ANSWER[:4]))
    with monkeypatch.context() as patched, pytest.raises(StreamTruncated) as caught:
        patched.setattr(Accumulator, "conclude", stopped_meanwhile)
        await got(stream.final())

    assert told == ["streaming"]
    assert stream.message.ending == "truncated"
    assert caught.value.partial == stream.message
