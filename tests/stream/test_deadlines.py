"""Deadlines on asynchronous sources fire although no byte comes, and none fires for a slow consumer."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import Any

import anyio
import httpx
import pytest

from tests.stream.async_sources import END, HEL, HELLO, LO, Scripted, is_closed, serving
from tests.support.loopback import OPEN, Loopback, until_close
from tests.support.playing import silent_after
from tests.support.timing import TooLate, tried_again
from tokenstream import AsyncStream, Deadlines, aconnect, relay
from tokenstream.errors import StreamStalled

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]
in_and_out = pytest.mark.parametrize("block", [False, True])
"""Inside `async with` and without: on trio the one has a task that reads, the other not."""
BEATS: list[Any] = [step for _ in range(40) for step in (0.03, b": beat\n\n")]
SILENCES: list[tuple[str, list[Any], str]] = [
    ("first_event", [], ""),
    ("first_event", [b": beat\n\n"], ""),
    ("idle_bytes", [HEL], "Hel"),
    ("idle_content", [HEL], "Hel"),
    ("idle_content", [HEL, *BEATS], "Hel"),
    ("total", [HEL, *BEATS], "Hel"),
]
"""Which deadline fires after what, and the text that there is by then."""
REST_SECONDS = 0.5
"""For this long a stream waits for the end of a body whose answer is complete."""


async def stalled(stream: AsyncStream, block: bool) -> StreamStalled:
    async with stream if block else nullcontext():
        with pytest.raises(StreamStalled) as caught:
            await stream.final()
        assert stream.closed
    return caught.value


@in_and_out
@pytest.mark.parametrize("limit, body, text", SILENCES)
async def test_each_deadline_fires(block: bool, limit: str, body: list[Any], text: str) -> None:
    playback = silent_after(*body)
    stream = playback.astream(deadlines=Deadlines(**{limit: 0.3}))
    error = await stalled(stream, block)

    assert (limit, True) == (error.limit, error.retryable)
    assert (text, "truncated") == (error.partial.text, error.partial.ending)
    assert error.partial == stream.message
    assert pytest.approx(0.3, abs=1e-5) == playback.clock()
    assert playback.closed


# On asyncio both are one, so the quick tests have one of them.
@pytest.mark.parametrize(
    "anyio_backend, block",
    [
        ("asyncio", True),
        ("trio", True),
        ("trio", False),
        pytest.param("asyncio", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("own", [False, True])
@tried_again
async def test_the_head_that_does_not_come_is_waited_for_as_the_first_event(block: bool, own: bool) -> None:
    with Loopback([OPEN]) as server:
        async with httpx.AsyncClient(timeout=None) as client:
            deadlines = Deadlines(first_event=0.1)
            stream = aconnect(server.url, client=client if own else None, deadlines=deadlines)
            error = await stalled(stream, block)

            assert error.limit == "first_event"
            if not server.connections:
                raise TooLate("the connection was not made before the deadline")
            assert is_closed(server)


@pytest.mark.slow
@in_and_out
async def test_the_read_timeout_of_the_callers_client_is_the_transports(block: bool) -> None:
    async def be_brief(response: httpx.Response) -> None:
        # The head may take its time on a busy machine.
        response.request.extensions["timeout"]["read"] = 0.15

    # What comes with the head is not waited for.
    with Loopback([b"".join(until_close(HEL)), OPEN]) as server:
        async with httpx.AsyncClient(event_hooks={"response": [be_brief]}) as client:
            error = await stalled(aconnect(server.url, client=client), block)

            assert error.limit == "transport"
            assert error.partial.text == "Hel"
            assert isinstance(error.__cause__, httpx.ReadTimeout)
            assert is_closed(server)


@pytest.mark.slow
@in_and_out
@pytest.mark.parametrize("pieces", [300, 3])
async def test_a_slow_consumer_is_no_stall(block: bool, pieces: int) -> None:
    """The clocks run only while somebody waits for bytes; all that was sent is read."""
    gate = threading.Event()
    with serving(HEL, *[LO] * pieces, gate, LO, END) as server:
        stream = aconnect(server.url, deadlines=Deadlines(idle_bytes=0.12, idle_content=0.12))
        async with stream if block else nullcontext():
            count = 0
            async for _ in stream.text:
                count += 1
                if count == pieces:
                    gate.set()
                if count in (1, pieces):
                    await anyio.sleep(0.15)
            assert count == pieces + 2
            assert stream.message.ending == "complete"


@pytest.mark.slow
@in_and_out
async def test_a_consumer_that_blocks_the_loop_is_no_stall(block: bool) -> None:
    """What came meanwhile lies in the socket, and is looked for there first."""
    gates = [threading.Event() for _ in range(2)]
    steps = [step for gate in gates for step in (gate, LO)]
    with serving(HEL, *steps, END) as server:
        stream = aconnect(server.url, deadlines=Deadlines(idle_bytes=0.12))
        async with stream if block else nullcontext():
            async for _ in stream.text:
                if gates:
                    gates.pop(0).set()
                    time.sleep(0.15)  # noqa: ASYNC251 - that is the fault
            assert stream.message.text == "Hel" + "lo" * 2


@in_and_out
async def test_a_silence_after_the_answer_ends_is_waited_for_only_shortly(block: bool) -> None:
    """The answer is complete: neither `total` nor any other deadline makes an error of what follows it."""
    playback = silent_after(*HELLO)
    stream = playback.astream(deadlines=Deadlines(total=0.4, idle_bytes=0.1))
    async with stream if block else nullcontext():
        assert "complete" == (await stream.final()).ending
    assert pytest.approx(REST_SECONDS, abs=1e-5) == playback.clock()
    assert playback.closed


@in_and_out
async def test_a_deadline_never_cuts_what_has_come(block: bool) -> None:
    source = Scripted(HEL, LO, LO, 9.0, survives=False)
    stream = AsyncStream(source, deadlines=Deadlines(total=0.2))
    pieces: list[str] = []
    async with stream if block else nullcontext():
        with pytest.raises(StreamStalled) as caught:
            async for piece in stream.text:
                pieces.append(piece)
    assert pieces == ["Hel", "lo", "lo"]
    assert caught.value.limit == "total"
    assert source.closed == 1


@in_and_out
async def test_a_view_read_again_after_a_stall_meets_it_again(block: bool) -> None:
    stream = silent_after(HEL).astream(deadlines=Deadlines(idle_bytes=60))
    error = await stalled(stream, block)
    view = stream.text
    assert await anext(view) == "Hel"
    with pytest.raises(StreamStalled) as again:
        await anext(view)
    assert again.value is error


async def test_a_deadline_passes_while_a_relay_sends_heartbeats() -> None:
    """Each heartbeat ends a read, but not the silence."""
    stream = silent_after(HEL).astream(format="text", deadlines=Deadlines(idle_bytes=4))
    told = [piece async for piece in relay.encode(stream, keep_alive=3)]

    assert 1 <= told.count(b": keep-alive\n\n") <= 2
    assert "truncated" == stream.message.ending
