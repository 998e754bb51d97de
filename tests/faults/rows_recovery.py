"""Faults that matter to who asks again: waits, ids, what comes twice, and what is left behind.

Rows about `Retry`, `Reorder` and resuming stand here, too: each is one more `Row` in the list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import httpx

from tests.faults.driver import END, HALF, TEXT, Outcome
from tests.faults.matrix import (
    Result,
    Row,
    Run,
    World,
    every,
    failed,
    measured,
    result_of,
    saw,
    state_of,
    whole,
)
from tests.faults.rows_calls import asked, begun
from tests.faults.rows_events import FIRST, LAST, around
from tests.faults.rows_life import in_each_loop
from tests.stream.async_sources import serving
from tests.support import wire
from tests.support.either import connect_in, got, inside, run_in, stream_in
from tests.support.loopback import Loopback, Request, Script, chunked, sized, until_close
from tokenstream import AsyncStream, Retry, Stream
from tokenstream.errors import PositionLost, ProtocolError, StreamError
from tokenstream.recovery import Attempt
from tokenstream.stages import Reorder

ODD_ID = "é€ 7"

Look = Callable[[list[Attempt], list[Request]], Iterable[str]]


def numbered(event: bytes, number: str = "7") -> bytes:
    return f"id: {number}\n".encode() + event


def going_on(first: bytes, second: bytes, look: Look) -> Run:
    """Return what reads an answer over two connections; the server goes on behind the id that it is told.

    Args:
        first: What the first connection sends before it breaks off.
        second: What the other one sends.
        look: Is given the attempts but the first, and the requests, and tells what is so.
    """
    return asking_again(until_close(first), chunked([second]), look)


def asking_again(first: Script, second: Script, look: Look) -> Run:
    """Return what reads an answer by a GET that is sent again where it breaks off."""

    def run(world: World) -> Result:
        attempts: list[Attempt] = []
        with Loopback(first, second) as server:
            return measured(
                world,
                server,
                lambda _: look(attempts, server.requests),
                method="GET",
                json=None,
                retry=Retry(wait=0, on_retry=attempts.append),
            )

    return run


def waits(seconds: float) -> Look:
    """Return what looks how long is waited before the second attempt."""

    def look(attempts: list[Attempt], _: list[Request]) -> Iterable[str]:
        yield saw(
            f"the stream continues after {seconds} s", [attempt.wait for attempt in attempts] == [seconds]
        )

    return look


def _asks_for_the_rest(_: list[Attempt], requests: list[Request]) -> Iterable[str]:
    ids = [request.headers.get("last-event-id") for request in requests]
    yield saw("the rest is requested after the last valid id", ids == [None, "7"])


def _sends_the_id(_: list[Attempt], requests: list[Request]) -> Iterable[str]:
    sent = requests[-1].headers["last-event-id"].encode("latin-1")
    yield saw("`Last-Event-ID` is sent as UTF-8", sent == ODD_ID.encode())


# -- a wait that is longer than anybody's -------------------------------------------------

LONG_WAIT = b"retry: 1" + b"0" * 30 + b"\n\n" + numbered(FIRST)


class _Stopping:
    """Notes an attempt, and stops its stream while that waits."""

    def __init__(self) -> None:
        self.stream: Stream | AsyncStream
        self._attempts: list[Attempt] = []

    def __call__(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        threading.Timer(0.05, self.stream.stop).start()

    def seen(self) -> str:
        waits = [attempt.wait for attempt in self._attempts]
        return saw("the wait is 300 s, and `stop()` ends it", waits == [300.0])


async def stopped_in_a_wait(world: World) -> Result:
    stopping = _Stopping()
    with serving(LONG_WAIT) as server:
        made = connect_in(world)(server.url, method="GET", retry=Retry(on_retry=stopping))
        async with inside(made) as stream:
            stopping.stream = stream
            await got(stream.final())
        return state_of(stream, server, stopping.seen())


# -- out of order and twice ----------------------------------------------------------------

ONE, TWO, THREE = (
    wire.chat({"role": "assistant", "content": "Hel"}, n=0),
    wire.chat({"content": "lo €"}, n=1),
    wire.chat({}, "stop", n=2),
)


def put_right(*events: bytes) -> Run:
    """Return what reads a response whose events are numbered."""

    def run(world: World) -> Result:
        with Loopback(until_close(*events, wire.DONE)) as server:
            return run_in(world, _read, server, world)

    return run


async def _read(server: Loopback, world: World) -> Result:
    made = httpx.Client if world == "sync" else httpx.AsyncClient
    async with inside(made(trust_env=False)) as client:
        response = await got(client.send(client.build_request("POST", server.url), stream=True))
        stream, error = stream_in(world)(response, reorder=Reorder("n")), None
        try:
            await got(stream.final())
        except StreamError as caught:
            error = caught
        return _outcome(stream, server, error)


def _outcome(stream: Stream | AsyncStream, server: Loopback, error: StreamError | None) -> Result:
    outcome = Outcome(stream.message, stream.departures, error=error)
    return result_of(outcome, closed=stream.closed and server.connection().closed_within())


REST = numbered(LAST, "8") + END
CUTS = (HALF, LAST.partition("€".encode()[1:])[0], b"data: x\r", b"id: 8\nevent: x\n")
"""What a connection may leave behind: half an event, half a character, half a line end, an id and a name."""

ROWS = [
    Row(
        "F41",
        "`retry:` is not an ASCII number (`+40`, `4_0`, `-40`, Arabic digits), and the connection breaks.",
        every(
            *[
                going_on(f"retry: {value}\n\n".encode() + numbered(FIRST), REST, waits(0.0))
                for value in ("+40", "4_0", "-40", "٤٠")
            ]
        ),
        whole("the stream continues after 0.0 s"),
    ),
    Row(
        "F42",
        "`retry: 0`, and the connection breaks.",
        going_on(b"retry: 0\n\n" + numbered(FIRST), REST, waits(0.1)),
        whole("the stream continues after 0.1 s"),
    ),
    Row(
        "F42b",
        "`retry:` asks for 10^30 milliseconds, and the connection breaks.",
        in_each_loop(stopped_in_a_wait),
        Result(ending="stopped", kept="Hel", told=("the wait is 300 s, and `stop()` ends it",)),
    ),
    Row(
        "F56",
        "The same event comes twice, with nothing to distinguish them.",
        around(LAST),
        whole(kept=f"{TEXT}lo €"),
    ),
    Row(
        "F56b",
        "The connection breaks, and the next connection repeats everything from the first event.",
        going_on(numbered(FIRST), numbered(FIRST) + REST, _asks_for_the_rest),
        whole("the rest is requested after the last valid id"),
    ),
    Row(
        "F56c",
        "A numbered event comes twice, with `reorder=Reorder(…)`.",
        put_right(ONE, TWO, TWO, THREE),
        whole("counted as `frame_repeated`"),
    ),
    Row(
        "F57",
        "The fragments of two calls alternate, beginning with the second call.",
        asked(
            begun(1, "a", '{"a":'),
            begun(0, "b", '{"b":'),
            wire.chat_call(1, " 1}"),
            wire.chat_call(0, " 2}"),
            calls=2,
        ),
        whole("calls handed out: 2", kept='Hi, f({"a": 1}), f({"b": 2})'),
    ),
    Row(
        "F57b",
        "Numbered events come out of order, with `reorder=Reorder(…)`.",
        put_right(TWO, ONE, THREE),
        whole("counted as `frame_reordered`"),
    ),
    Row(
        "F57c",
        "A numbered event never comes, with `reorder=Reorder(…)`.",
        put_right(ONE, THREE),
        failed(
            ProtocolError,
            "`.event` is `1`",
            "counted as `frame_reordered`",
            retryable=True,
            ending="failed",
            kept="Hel",
        ),
    ),
    Row(
        "F59",
        "The last event's id is not ASCII, and the connection breaks.",
        going_on(numbered(FIRST, ODD_ID), REST, _sends_the_id),
        whole("`Last-Event-ID` is sent as UTF-8"),
    ),
    Row(
        "F59b",
        "The last event's id contains NUL, which is illegal in a header, and the connection breaks.",
        going_on(numbered(FIRST) + b"id: a\0b\n\n", REST, _asks_for_the_rest),
        whole("the rest is requested after the last valid id"),
    ),
    Row(
        "F60",
        "The connection breaks inside an event, a character or a line end, and the next connection "
        "begins with a byte order mark.",
        every(*[going_on(numbered(FIRST) + cut, b"\xef\xbb\xbf" + REST, _asks_for_the_rest) for cut in CUTS]),
        whole("the rest is requested after the last valid id"),
    ),
    Row(
        "F60b",
        "The connection breaks, and the server no longer has the position (status 410).",
        asking_again(until_close(numbered(FIRST)), sized(b"gone", status=410), _asks_for_the_rest),
        failed(
            PositionLost,
            "the rest is requested after the last valid id",
            retryable=False,
            ending="failed",
            kept="Hel",
        ),
    ),
]
