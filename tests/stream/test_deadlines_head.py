"""A head that comes too slowly meets the deadlines of a sync `connect`, although its server goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.stream.blocked import BEGUN, TEXT
from tests.stream.bodies import chunk
from tests.support.loopback import OPEN, Loopback, Script, chunked, chunked_head, http_chunk
from tests.support.wire import DONE
from tokenstream import Deadlines, Stream, aconnect, connect
from tokenstream.errors import StreamStalled
from tokenstream.stream._reading import wake
from tokenstream.stream._reading.wake import TimerThread

DRIPPING: Script = [step for byte in chunked_head([("X-Long", "x" * 200)]) for step in (bytes([byte]), 0.05)]
HEADS: dict[str, Script] = {"dripping": DRIPPING, "silent": [OPEN], "begun, then silent": [b"HTTP/1.1", OPEN]}
every_limit = pytest.mark.parametrize("limit", ["total", "first_event"])


def _enter(stream: Stream) -> object:
    with stream:
        return stream.final()


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(head, id=name, marks=[pytest.mark.slow] * (name != "dripping"))
        for name, head in HEADS.items()
    ],
)
@every_limit
@pytest.mark.parametrize("read", [_enter, Stream.final], ids=["in a block", "in a loop"])
def test_a_head_that_comes_too_slowly_is_a_stall(
    head: Script, limit: str, read: Callable[[Stream], Any]
) -> None:
    """As it is for `aconnect`: by the deadline's name, in time, and the connection is closed."""
    with Loopback(head) as server:
        begun = time.monotonic()
        stream = connect(server.url, deadlines=Deadlines(**{limit: 0.2}))
        with pytest.raises(StreamStalled) as caught:
            read(stream)

        assert 0.19 < time.monotonic() - begun < 3
        assert (limit, True) == (caught.value.limit, caught.value.retryable)
        assert (stream.message.ending, stream.closed) == ("truncated", True)
        assert server.connection(0).closed_within()


@pytest.mark.slow
@every_limit
def test_both_colours_say_the_same(limit: str) -> None:
    """The same words, the same verdict."""
    told: list[StreamStalled] = []

    async def main(url: str) -> None:
        with pytest.raises(StreamStalled) as caught:
            await aconnect(url, deadlines=Deadlines(**{limit: 0.2})).final()
        told.append(caught.value)

    with Loopback(DRIPPING) as server:
        with pytest.raises(StreamStalled) as caught:
            connect(server.url, deadlines=Deadlines(**{limit: 0.2})).final()
        told.append(caught.value)
        anyio.run(main, server.url)

    assert told[0].message == told[1].message
    assert told[0].partial == told[1].partial


@pytest.mark.slow
def test_a_head_in_time_meets_no_deadline() -> None:
    """What was watched while the head came is not cut afterwards."""
    body: Script = [0.05, *chunked([*BEGUN, chunk({}, "stop"), DONE])]
    with Loopback(body) as server, connect(server.url, deadlines=Deadlines(first_event=0.6)) as stream:
        time.sleep(0.6)
        message = stream.final()

    assert (message.text, message.ending) == (TEXT, "complete")


@pytest.mark.slow
def test_a_deadline_that_passes_while_the_head_comes_holds_for_its_body_too() -> None:
    """A head that takes all the time there is leaves none to what follows it."""
    late: Script = [0.3, chunked_head(), *map(http_chunk, BEGUN), OPEN]
    with Loopback(late) as server, pytest.raises(StreamStalled) as caught:
        connect(server.url, deadlines=Deadlines(total=0.2)).final()

    assert caught.value.limit == "total"


def _timers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "tokenstream-timers"}


@pytest.mark.parametrize(("deadlines", "expected"), [(None, 0), (Deadlines(total=60.0), 1)])
def test_the_default_deadlines_cost_no_thread(
    deadlines: Deadlines | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes for the first event are left to the client's own read timeout."""
    monkeypatch.setattr(wake, "timers", TimerThread(idle=0.0))
    timers: list[set[threading.Thread]] = []

    def told(step: str, _: object) -> None:
        if step == "http11.receive_response_headers.started":
            timers.append(_timers())
            stream.stop()

    with Loopback([OPEN]) as server:
        before = _timers()
        stream = connect(server.url, deadlines=deadlines, extensions={"trace": told})
        stream.final()

    assert expected == len(timers[0] - before)
