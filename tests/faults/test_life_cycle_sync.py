"""How a stream in a `for` loop is interrupted, left and shared: what rows F77 to F85 do not say."""

from __future__ import annotations

import gc
import itertools
import linecache
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

from tests.project import PACKAGE
from tests.stream.blocked import PATIENCE, SILENT, TEXTS, Loop, alone, opened, sent
from tests.stream.bodies import ANSWER, Source
from tests.support import wire
from tests.support.clocks import on
from tests.support.loopback import LAST_CHUNK, OPEN, Connection, Loopback, chunked_head, http_chunk
from tests.support.timing import at_once, settled, tried_again
from tokenstream import Stream
from tokenstream.errors import StreamInterrupted, StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.testing import VirtualClock

pytestmark = pytest.mark.not_quick


@tried_again
def test_f77_a_stop_from_another_thread_while_the_loop_waits_for_tls() -> None:
    """The loop ends normally, within a tenth of a second; the connection is closed once."""
    with (
        Loopback(SILENT["chunked"], tls=True) as server,
        opened(sent(httpx), server.url) as stream,
        Loop(stream.text) as loop,
    ):
        loop.got(2)
        since = time.monotonic()
        stream.stop()

        at_once(since, loop.ended())
        assert (loop.items, loop.error) == (TEXTS, None)
        assert stream.message.ending == "stopped"
        assert server.connection().closed_within(PATIENCE)


DRIVER = [
    PACKAGE / "stream" / "_sync.py",
    *[PACKAGE / "_pipeline" / f"{part}.py" for part in ("intake", "way", "link", "machine")],
]


def line_of(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno)


def interrupted_at(stream: Stream, line: int) -> bool:
    """Read to the end, with Ctrl-C before one of the lines that the library runs; tell whether it came."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal left
        # A stream before this one may be collected meanwhile.
        if Path(frame.f_code.co_filename) not in DRIVER or frame.f_code.co_name in {"__del__", "dispose"}:
            return None
        # Before the first statement of a `finally` no signal's handler is run.
        if event == "line" and "self._reading = False" not in line_of(frame):
            left -= 1
            if not left:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for _ in iter(stream.__next__, None):
            pass
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.slow
def test_f82_ctrl_c_between_reading_and_parsing_loses_and_doubles_nothing_in_silence() -> None:
    # A stream of another test that is collected in the middle would be interrupted in this one's place.
    gc.collect()
    body = [ANSWER[2], ANSWER[3] + ANSWER[4], *ANSWER[8:]]
    whole = Stream(body).final()
    outcomes: Counter[str] = Counter()
    for line in itertools.count(1):
        source = Source(body)
        stream = Stream(source)
        if not interrupted_at(stream, line):
            break
        error = None
        try:
            message = stream.final()
        except StreamInterrupted as caught:
            error, message = caught, stream.message
        if error is None:
            # After the finish reason a broken end is a departure.
            assert message == whole or "broken_after_finish" in stream.departures.details
            assert (message.text, message.ending) == (whole.text, "complete")
            outcomes["whole"] += 1
        else:
            assert error.partial == message
            assert message.ending == ("truncated" if message.finish_reason is None else "complete")
            assert whole.text.startswith(message.text)
            outcomes["broken off"] += 1
        assert source.closed == 1
        assert stream.closed

    assert min(outcomes["broken off"], outcomes["whole"]) > 15


# -- F84: a slow consumer ---------------------------------------------------------


PING = wire.chat({})
DEADLINES = Deadlines(first_event=10, idle_bytes=10, idle_content=10)


def timed(clock: VirtualClock, *steps: bytes | float) -> Iterator[bytes]:
    """Give chunks; a number lets the time pass in which a read waits."""
    for step in steps:
        if isinstance(step, bytes):
            yield step
        else:
            clock.advance(step)


def test_f84_silence_of_the_server_is_counted_beside_the_time_of_the_loop() -> None:
    """A slow loop does not make a dead server look alive."""
    clock = VirtualClock(1000)
    script: list[bytes | float] = [*ANSWER[:3], 6.0, PING, 6.0, PING, *ANSWER[3:]]
    stream = on(clock, Stream, timed(clock, *script), deadlines=DEADLINES)
    texts = []
    with pytest.raises(StreamStalled) as caught:
        for event in stream:
            clock.advance(100)
            texts.append(getattr(event, "text", ""))

    assert caught.value.limit == "idle_content"
    assert ["Hm. ", "Weather.", "Let "] == [text for text in texts if text]
    assert stream.message.ending == "truncated"


def test_f84_a_loop_that_begins_late_has_not_waited_for_the_first_event() -> None:
    for cut in (0, 10):
        clock = VirtualClock(1000)
        pieces = [ANSWER[2][:cut], ANSWER[2][cut:], *ANSWER[3:]]
        stream = on(clock, Stream, timed(clock, *filter(None, pieces)), deadlines=DEADLINES)
        clock.advance(1000)

        assert stream.final().text == "Let me see."


def test_f84_the_first_read_does_not_set_the_idle_clock_back() -> None:
    """Although nothing was read before it, and a first event may come in the same tick of the clock."""
    clock = VirtualClock(1000)
    silence: list[bytes | float] = [2.0, PING] * 200
    stream = on(clock, Stream, timed(clock, PING, *silence, *ANSWER), deadlines=DEADLINES)
    with pytest.raises(StreamStalled) as caught:
        stream.final()

    assert caught.value.limit == "idle_content"
    assert clock() == 1000 + 12


@pytest.mark.slow
def test_f84_a_slow_loop_holds_the_server_back() -> None:
    """By TCP: what is not read is not sent, and nothing of it is kept in memory here."""
    total, handed = 400, []
    piece = http_chunk(wire.chat({"content": "x" * 65_000}))

    def serve(connection: Connection) -> None:
        connection.request()
        connection.send(chunked_head() + http_chunk(wire.chat({"role": "assistant", "content": ""})))
        for number in range(total):
            connection.send(piece)
            handed.append(number)
        connection.send(http_chunk(wire.chat({}, "stop") + wire.DONE) + LAST_CHUNK)
        connection.end(OPEN)

    with Loopback(serve) as server, opened(alone, server.url) as stream:
        view = stream.text
        next(view)
        assert settled(lambda: len(handed)) < total // 2

        assert len(stream.final().text) == total * 65_000
        assert stream.message.ending == "complete"
