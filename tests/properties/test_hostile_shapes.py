"""Bodies of hostile shapes: twice as many bytes take about twice the time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from tests.support.chunkings import sized
from tokenstream import Decoder
from tokenstream.limits import Limits

ENDLESS = Limits(line=1 << 30, event=1 << 30, depth=200)
_STEPS = 4
_STEEP = 3 * _STEPS
"""How many times as long four times the bytes may take; quadratic is sixteen times."""
_UNDER = 0.05
"""Seconds of the processor's own time that say nothing."""

_CHAT = b'data: {"choices":[{"index":0,"delta":{"content":"'

SHAPES: dict[str, Callable[[int], bytes]] = {
    "a line without an end": lambda size: _CHAT + b"x" * size,
    "an event that is malformed": lambda size: _CHAT + b"x" * size + b'"]\n\n',
    "an event with a byte that is no UTF-8": lambda size: _CHAT + b"x" * size + b'\xff"}}]}\n\n',
    "backslashes": lambda size: _CHAT + b"\\\\" * (size // 2) + b'"}}]}\n\n',
    "backslashes without an end": lambda size: _CHAT + b"\\\\" * (size // 2),
    "line ends": lambda size: b"\n" * size,
    "carriage returns": lambda size: b"data: x\r" * (size // 8),
    "comments": lambda size: b":x\n" * (size // 3),
    "empty data": lambda size: b"data\n" * (size // 5),
    "names of events": lambda size: b"event: x\n\n" * (size // 10),
    "brackets": lambda size: b"data: " + b"[" * size + b"\n\n",
    "closed brackets": lambda size: b"[" + b"[]," * (size // 3),
    "quotes": lambda size: b"[" + b'"",' * (size // 3),
    "keys": lambda size: b'data: {"choices":[],' + b'"a":1,' * (size // 6) + b'"b":2}\n\n',
    "digits": lambda size: b"data: {" + b"1" * size + b"\n\n",
    "an array that never closes": lambda size: b'[{"a":"' + b"x" * size,
    "white space before a document": lambda size: b" " * size + b'{"choices":[]}',
    "a first line of JSON without an end": lambda size: b'{"a":"' + b"x" * size,
    "a document over many lines": lambda size: b"{\n" * (size // 2),
    "small JSON lines": lambda size: b'{"a":1}\n' * (size // 8),
    "a web page": lambda size: b"<title" * (size // 6),
    "binary": lambda size: b"\x00" * size,
}


def _seconds(body: bytes, size: int) -> float:
    """Return the processor's time that reading takes, in chunks of some size."""
    chunks = sized(body, size)
    begun = time.thread_time()
    _decode(chunks)
    return time.thread_time() - begun


def _memory(body: bytes, size: int) -> int:
    """Return the most bytes that reading holds at a time, in chunks of some size."""
    chunks = sized(body, size)
    tracemalloc.start()
    try:
        _decode(chunks)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _decode(chunks: list[bytes]) -> None:
    decoder = Decoder(limits=ENDLESS)
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [16, 4_096, 1 << 30])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_time_and_memory_are_linear(shape: Callable[[int], bytes], chunk: int) -> None:
    small, large = shape(100_000), shape(100_000 * _STEPS)
    first, second = _seconds(small, chunk), _seconds(large, chunk)
    for _ in range(3):
        if second > max(_UNDER, _STEEP * first):
            first, second = _seconds(small, chunk), _seconds(large, chunk)
    # To trace memory takes several times as long as to read.
    held, held_then = _memory(shape(100_000 // _STEPS), chunk), _memory(small, chunk)

    assert max(_UNDER, _STEEP * first) >= second
    assert _STEPS * 1.5 * held + 100_000 >= held_then
