"""Seconds that a read may wait for its connection, with clocks that tests set."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import chunk
from tests.support.clocks import on
from tests.support.tables import in_one_test
from tests.support.wire import DONE
from tokenstream import Deadlines, Stream
from tokenstream.errors import StreamError, StreamStalled, StreamTruncated
from tokenstream.stages import Budget

TOLERANCE = 0.01
SECONDS = st.none() | st.floats(0.01, 1e6)


class Connection:
    """A connection whose waits take as long as a test says, and that asks for its timeout before each.

    Args:
        waits: The seconds of each wait, and what it brings.
        own: The timeout of the caller's client.
    """

    def __init__(self, *waits: tuple[float, bytes], own: float | None = None) -> None:
        self.now = 0.0
        self.allowed: list[float | None] = []
        """The timeouts, as the stream gave them."""
        self._waits, self._own = iter(waits), own

    def clock(self) -> float:
        return self.now

    def stream(self, **options: Any) -> Stream:
        body = Body(self, self._own)
        extensions = {"network_stream": self, "http_version": b"HTTP/1.1"}
        response = httpx.Response(200, stream=body, extensions=extensions)
        return on(self.clock, Stream, response, format="openai-chat", **options)

    def get_extra_info(self, _name: str) -> None:
        """Have no socket that a stream could shut down."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait as httpx has its network streams wait."""
        wait = next(self._waits, None)
        if wait is None:
            return b""
        self.allowed.append(timeout)
        seconds, data = wait
        if timeout is not None and seconds > timeout:
            self.now += timeout
            raise httpx.ReadTimeout("made up")
        self.now += seconds
        return data


class Body(httpx.SyncByteStream):
    def __init__(self, connection: Any, own: float | None) -> None:
        self._connection, self._own = connection, own

    def __iter__(self) -> Iterator[bytes]:
        while data := self._connection.read(65_536, self._own):
            yield data


FIRST = (1.0, chunk({"content": "Let "}))
NEXT = (1.0, chunk({"content": "me "}))
PING = (100.0, b": ping\n\n")
NEVER = (math.inf, b"")


def _end_of(connection: Connection, **options: Any) -> StreamError | None:
    stream = connection.stream(**options)
    try:
        stream.final()
    except StreamError as error:
        return error
    return None


NONE = Deadlines(first_event=None, idle_bytes=None, idle_content=None)
ENDLESS = Deadlines(first_event=math.inf, idle_bytes=1e300, idle_content=None)
"""No system can wait for an infinite or a very large number of seconds."""
LIMITS: dict[str, tuple[list[Any], dict[str, Any], str | None, list[float | None], float]] = {
    # A client's constant timeout could not tell these two from each other.
    "ten minutes for the first event, and five for each byte after it": (
        [FIRST, NEXT, NEVER],
        {},
        "idle_bytes",
        [600, 300, 300],
        302,
    ),
    "pings leave less and less for content": (
        [FIRST, *[PING] * 6, NEVER],
        {},
        "idle_content",
        [600, *[300] * 4, 200, 100, TOLERANCE / 2],
        601,
    ),
    "what is left in total": (
        [FIRST, NEXT, NEVER],
        {"deadlines": Deadlines(total=30.0)},
        "total",
        [30, 29, 28],
        30,
    ),
    "a shorter timeout of the caller's client": ([FIRST, NEVER], {"own": 5.0}, "transport", [5.0, 5.0], 6),
    "no deadlines": ([FIRST, NEXT], {"deadlines": NONE}, None, [None, None], 2),
    "endless deadlines": ([FIRST, NEXT], {"deadlines": ENDLESS}, None, [None, None], 2),
}
"""What a connection does, the limit that ends the answer, the timeouts of its reads, and the time then."""


@in_one_test("name", LIMITS)
def test_a_read_may_wait_until_the_next_deadline(name: str) -> None:
    waits, options, limit, allowed, now = LIMITS[name]
    connection = Connection(*waits, own=options.get("own"))
    error = _end_of(connection, deadlines=options.get("deadlines"))

    assert isinstance(error, StreamStalled if limit else StreamTruncated)
    assert limit == getattr(error, "limit", None)
    assert error.partial.text == ("Let me " if NEXT in waits else "Let ")
    assert connection.allowed == [each and pytest.approx(each, abs=TOLERANCE) for each in allowed]
    assert connection.now == pytest.approx(now, abs=TOLERANCE)


def test_a_guard_stops_the_answer_at_its_seconds() -> None:
    connection = Connection(FIRST, NEVER)
    stream = connection.stream().guard(Budget(seconds=20))

    assert stream.final().ending == "stopped"
    assert connection.now == pytest.approx(20, abs=TOLERANCE)


def test_after_the_last_event_the_rest_of_the_body_is_awaited_for_half_a_second() -> None:
    """The answer is complete then, whether the server closes or not."""
    connection = Connection((0.0, chunk({"content": "Hi"})), (0.0, chunk({}, "stop") + DONE), NEVER)

    assert _end_of(connection) is None
    assert connection.now == pytest.approx(0.5, abs=TOLERANCE)


def test_time_that_the_loop_takes_is_left_out() -> None:
    """A read that begins late may take as long as one that begins at once."""
    connection = Connection(FIRST, NEXT, NEVER)
    stream = connection.stream()
    with pytest.raises(StreamStalled):
        for _ in stream.text:
            connection.now += 1000.0

    assert connection.allowed == pytest.approx([600, 300, 300], abs=TOLERANCE)


@given(
    own=SECONDS,
    deadlines=st.builds(
        Deadlines, first_event=SECONDS, idle_bytes=SECONDS, idle_content=SECONDS, total=SECONDS
    ),
    waits=st.lists(
        st.tuples(st.floats(0, 1000), st.sampled_from([FIRST[1], NEXT[1], PING[1], b"data: {"])), max_size=12
    ),
)
def test_no_timeout_exceeds_the_callers_own_or_a_deadline(
    own: float | None, deadlines: Deadlines, waits: list[tuple[float, bytes]]
) -> None:
    connection = Connection(*waits, NEVER, own=own)
    stream = connection.stream(deadlines=deadlines)
    try:
        for _ in stream.text:
            pass
    except StreamError:
        assert stream.closed

    assert all(allowed is None or allowed > 0 for allowed in connection.allowed)
    if own is not None:
        assert all(allowed is not None and allowed <= own for allowed in connection.allowed)
    if deadlines.total is not None:
        assert connection.now <= deadlines.total + len(connection.allowed) * TOLERANCE


def test_a_stream_that_was_dropped_limits_nothing() -> None:
    connection = Connection(FIRST)
    stream = connection.stream()
    stream.close()
    del stream
    gc.collect()
    connection.read(1, 7.0)

    assert connection.allowed == [7.0]
