"""Faults of the body's transport."""

from __future__ import annotations

import gc
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from tests.faults.driver import END, HALF, HELLO, TEXT, Outcome
from tests.faults.matrix import (
    Result,
    Row,
    Run,
    World,
    answered,
    answered_in_steps,
    every,
    failed,
    interrupted,
    saw,
    state_of,
    truncated,
    whole,
)
from tests.support import wire
from tests.support.either import Each, run_in
from tests.support.loopback import (
    FIN,
    OPEN,
    RST,
    Script,
    chunked,
    chunked_head,
    client_context,
    http_chunk,
    sized,
    until_close,
)
from tokenstream import AsyncStream, Deadlines, Limits, Stream
from tokenstream.errors import LimitExceeded, ProtocolError, StreamStalled
from tokenstream.events import Event, TextDelta

LAST = "lo €"
TAIL = "`.tail` has the start of the last event"
GZIP = [("Content-Encoding", "gzip")]
CUT_CHARACTER = wire.chat({"content": "€"}).partition("€".encode()[1:])[0]


def cut_gzip(body: bytes) -> bytes:
    """Compress a body so that all of it can be read, but the compression has no end."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush(zlib.Z_SYNC_FLUSH)


def _for_ever(again: bytes) -> Script:
    """Send a body that never ends, every few milliseconds a piece of it."""
    script: list[bytes | float] = [chunked_head(), http_chunk(HELLO)]
    for _ in range(300):
        script += [http_chunk(again), 0.01]
    return script


_KEYS = {str(number * (2**61 - 1)): number for number in range(200)}


def _keys_are_text(outcome: Outcome) -> Iterable[str]:
    event = next(event for event in outcome.events if isinstance(event, TextDelta) and event.text == "!")
    given = event.raw["choices"][0]["delta"]
    yield saw("each key remains text", _KEYS.items() <= given.items())


# -- work and memory ------------------------------------------------------------------


def read_whole(
    world: World, chunks: Iterable[bytes], look: Callable[[Event], object] = id
) -> Stream | AsyncStream:
    """Read chunks that are there, with nothing between the library and them, and look at each event."""

    async def main() -> Any:
        async def body() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        stream: Any = Stream(iter(chunks)) if world == "sync" else AsyncStream(body())
        async for event in Each(stream):
            look(event)
        return stream

    read: Stream | AsyncStream = run_in(world, main)
    return read


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Tell whether four times the size takes less than eight times the work; to the square it is 16 times.

    A busy machine is slow now and then, so what counts is the fastest of several runs.
    """
    fastest = {size: float("inf"), 4 * size: float("inf")}
    for _ in range(6):
        for amount, before in fastest.items():
            begun = time.process_time()
            work(amount)
            fastest[amount] = min(before, time.process_time() - begun)
        if fastest[4 * size] < 8 * fastest[size]:
            return True
    return False


def _cut_into(size: int, event: bytes) -> list[bytes]:
    return [event[start : start + size] for start in range(0, len(event), size)]


def in_chunks(bytes_each: int, words: int) -> Run:
    """Return what reads a line in chunks, and one of four times the length to compare."""

    def run(world: World) -> Result:
        def work(words: int) -> Stream | AsyncStream:
            line = wire.chat({"content": "word " * words})
            return read_whole(world, [HELLO, *_cut_into(bytes_each, line), END])

        return state_of(work(4000), None, saw("the work is linear", is_linear(work, words)))

    return run


def _many_lines(size: int) -> bytes:
    payload = json.dumps(wire.chat_payload({"content": "many"}), indent=0)
    spaced = payload.replace("\n", "\n" * size)
    return "".join(f"data: {line}\n" for line in spaced.split("\n")).encode() + b"\n"


def of_many_lines(world: World) -> Result:
    """An event of some thousands of lines of data."""

    def work(size: int) -> Stream | AsyncStream:
        return read_whole(world, [HELLO, *_cut_into(4096, _many_lines(size)), END])

    return state_of(work(400), None, saw("the work is linear", is_linear(work, 400)))


def of_comments(world: World) -> Result:
    """Comments without a blank line: 20,000 of them hold no more memory than the first ones."""
    comments = b": keep-alive\n" * 200

    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            read_whole(world, [HELLO, *([comments] * count), b"\n", END])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    stream = read_whole(world, [HELLO, *([comments] * 100), b"\n", END])
    # What is made once, at the first read, is no memory of the comments.
    few, many = peak(10), peak(100)
    bounded = many < few + 100_000
    return state_of(stream, None, saw("none of them is kept", bounded))


def _silent(**deadlines: float) -> Any:
    return answered([chunked_head(), http_chunk(HELLO), OPEN], deadlines=Deadlines(**deadlines))


def _stalled(limit: str) -> Result:
    return failed(StreamStalled, f"`.limit` is `{limit}`", retryable=True)


def _outgrown(limit: str, *told: str) -> Result:
    return failed(LimitExceeded, f"`.limit` is `{limit}`", *told, retryable=False, ending="failed")


ROWS = [
    Row(
        "F16",
        "A chunked body breaks off between two events, over plain HTTP or TLS.",
        every(
            answered([chunked_head(), http_chunk(HELLO), FIN]),
            answered([chunked_head(), http_chunk(HELLO), FIN], tls=True, client={"verify": client_context()}),
        ),
        interrupted(),
    ),
    Row(
        "F17",
        "A chunked body breaks off inside an event, or inside an HTTP chunk.",
        every(
            answered([chunked_head(), http_chunk(HELLO + HALF), FIN]),
            answered([chunked_head(), http_chunk(HELLO), b"%x\r\n" % (len(HALF) + 9), HALF, FIN]),
        ),
        interrupted(TAIL),
    ),
    Row(
        "F18",
        "`Content-Length` is larger than the body.",
        answered([*sized(HELLO, length=len(HELLO) + 100), FIN]),
        interrupted(),
    ),
    Row(
        "F19",
        "`Content-Length` is too small and cuts off the end of the answer.",
        answered(sized(HELLO + HALF + END, length=len(HELLO + HALF))),
        truncated(TAIL),
    ),
    Row(
        "F19b",
        "`Content-Length` is too small, but cuts off only bytes after the answer's end.",
        answered(sized(HELLO + END + b": bye\n\n", length=len(HELLO + END))),
        whole(),
    ),
    Row(
        "F20",
        "The connection is reset.",
        every(
            answered_in_steps(lambda gate: [chunked_head(), http_chunk(HELLO), gate, RST], LAST),
            answered_in_steps(
                lambda gate: [chunked_head(), http_chunk(HELLO), gate, RST],
                LAST,
                tls=True,
                client={"verify": client_context()},
            ),
        ),
        interrupted(),
    ),
    Row(
        "F21",
        "A body with neither `Content-Length` nor chunked encoding ends inside an event.",
        answered(until_close(HELLO, HALF)),
        truncated(TAIL),
    ),
    Row(
        "F22",
        "The body ends between two events, without a finish reason, but HTTP considers it complete.",
        every(answered(until_close(HELLO)), answered(chunked([HELLO])), answered(sized(HELLO))),
        truncated(),
    ),
    Row(
        "F23",
        "The last event lacks only its blank line.",
        answered(until_close(HELLO, wire.chat({"content": "!"}, "stop")[:-2])),
        whole("counted as `blank_line_missing`, `done_missing`", kept=f"{TEXT}!"),
    ),
    Row(
        "F23b",
        "The last event lacks its blank line and its last bracket.",
        answered(until_close(HELLO, wire.chat({"content": "!"}, "stop")[:-3])),
        truncated(TAIL),
    ),
    Row(
        "F24",
        "The body ends inside a UTF-8 character.",
        answered(until_close(HELLO, CUT_CHARACTER)),
        truncated(TAIL),
    ),
    Row(
        "F25",
        "Invalid UTF-8 inside the text.",
        answered(chunked([HELLO, wire.chat({"content": "<>"}).replace(b"<>", b"<\xff>"), END])),
        whole("counted as `invalid_utf8`", kept=f"{TEXT}<\N{REPLACEMENT CHARACTER}>"),
    ),
    Row(
        "F26",
        "Invalid UTF-8 in a comment.",
        answered(chunked([b": \xff\xfe\n\n", HELLO, b":\xff\n", END])),
        whole(),
    ),
    Row(
        "F27",
        "A compressed body is truncated, but HTTP considers it complete.",
        every(
            answered(sized(cut_gzip(HELLO), headers=GZIP)),
            answered(until_close(cut_gzip(HELLO), headers=GZIP)),
        ),
        truncated(),
    ),
    Row(
        "F28",
        "A compressed body is corrupt.",
        answered(sized(cut_gzip(HELLO) + b"\xff" * 40, headers=GZIP)),
        failed(ProtocolError, retryable=False, ending="failed"),
    ),
    Row(
        "F28b",
        "A plain body is labelled `Content-Encoding: gzip`.",
        answered(sized(HELLO + END, headers=GZIP)),
        failed(ProtocolError, retryable=False, ending="failed", kept=""),
    ),
    Row(
        "F29",
        "Some kilobytes decompress to megabytes, with `Limits(body=100_000)`.",
        answered(
            sized(gzip.compress(HELLO + b":" + b"x" * 2_000_000 + b"\n" + END), headers=GZIP),
            limits=Limits(body=100_000),
        ),
        _outgrown("body"),
    ),
    Row(
        "F30",
        "The header of an HTTP chunk is illegal.",
        answered_in_steps(
            lambda gate: [chunked_head(), http_chunk(HELLO), gate, b"zz\r\nxx\r\n", OPEN], LAST
        ),
        interrupted(),
    ),
    Row(
        "F31",
        "The server falls silent, with `Deadlines(idle_bytes=…)`.",
        _silent(idle_bytes=0.3),
        _stalled("idle_bytes"),
    ),
    Row(
        "F31b",
        "The server falls silent, and the caller's own client has a read timeout.",
        answered([chunked_head(), http_chunk(HELLO), OPEN], client={"timeout": 0.3}),
        _stalled("transport"),
    ),
    Row(
        "F32",
        "Comments keep the connection alive forever, with `Deadlines(idle_content=…)`.",
        answered(_for_ever(b": ping\n\n"), deadlines=Deadlines(idle_content=0.15)),
        _stalled("idle_content"),
    ),
    Row(
        "F33",
        "The server sends a byte now and then, with `Deadlines(total=…)`.",
        answered(_for_ever(b"d"), deadlines=Deadlines(total=0.5)),
        failed(StreamStalled, "`.limit` is `total`", TAIL, retryable=True),
    ),
    Row(
        "F31c",
        "The server falls silent in the middle, with `Deadlines(idle_content=…)`.",
        _silent(idle_content=0.3),
        _stalled("idle_content"),
    ),
    Row(
        "F31d",
        "The server falls silent in the middle, with `Deadlines(total=…)`.",
        _silent(total=0.6),
        _stalled("total"),
    ),
    Row(
        "F34",
        "A line has no end, with `Limits(line=65_536)`.",
        answered(chunked([HELLO, b"data: ", *[b"x" * 4096] * 100]), limits=Limits(line=65_536)),
        _outgrown("line", TAIL),
    ),
    Row(
        "F34b",
        "A line of megabytes comes in chunks of 4 KiB.",
        in_chunks(4096, 250_000),
        whole("the work is linear", kept="Hello €word word wor… (20,007 characters)"),
    ),
    Row(
        "F35",
        "A long line comes in chunks of five bytes.",
        in_chunks(5, 2_000),
        whole("the work is linear", kept="Hello €word word wor… (20,007 characters)"),
    ),
    Row(
        "F35b",
        "An event has thousands of lines of data.",
        of_many_lines,
        whole("the work is linear", kept=f"{TEXT}many"),
    ),
    Row(
        "F36",
        "A payload has keys that would collide if they were hashed as numbers.",
        answered(chunked([HELLO, wire.chat({"content": "!", **_KEYS}), END]), also=_keys_are_text),
        whole("counted as `field_unread`", "each key remains text", kept=f"{TEXT}!"),
    ),
    Row(
        "F37",
        "Thousands of comments arrive without a blank line.",
        of_comments,
        whole("none of them is kept"),
    ),
]
