"""Count the bytecodes of what each event costs, which no clock and no other program changes.

`python -m tests.house.bytecodes` writes a line of JSON for each row. It is a process of its own, as tracing
and the measuring of coverage exclude each other. The numbers are those of a version of Python.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import FrameType
from typing import Any, NamedTuple

from tests.support.wire import DONE, chat, chat_call
from tokenstream import AsyncStream, Decoder, Stream, relay, testing

_FEWER = 200
"""Number of further pieces of the shorter of two answers; the longer has twice as many."""


def _call(text: str, **start: str) -> bytes:
    return chat(chat_call(0, text, **start))


def _opened(text: str) -> bytes:
    return _call(text, id="c", name="f")


_WORD, _STOP, _TOOL = chat({"content": "word "}), chat({}, "stop"), chat({}, "tool_calls")
_CUT = chat({}, "length")


def _read(chunks: Sequence[bytes]) -> None:
    with Stream(iter(chunks)) as stream:
        for _ in stream:
            pass


def _read_text(chunks: Sequence[bytes]) -> None:
    with Stream(iter(chunks)) as stream:
        for _ in stream.text:
            pass


def decode(chunks: Sequence[bytes]) -> None:
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)


def _relay(chunks: Sequence[bytes]) -> None:
    for _ in relay.encode(Stream(iter(chunks)), "ui-message"):
        pass


def read_async(chunks: Sequence[bytes], view: Callable[[AsyncStream], Any] = lambda stream: stream) -> None:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> None:
        async with AsyncStream(source()) as stream:
            async for _ in view(stream):
                pass

    asyncio.run(read())


class _Piece(NamedTuple):
    """A piece of an answer, whose cost is the difference of two answers, for each further piece."""

    read: Callable[[Sequence[bytes]], None]
    begin: list[bytes]
    piece: bytes
    end: list[bytes]


_TEXT = ([_WORD], _WORD, [_STOP, DONE])
_PIECES: dict[str, _Piece] = {
    "a text delta": _Piece(_read, *_TEXT),
    "a text delta of Decoder": _Piece(decode, *_TEXT),
    "a text delta of AsyncStream": _Piece(read_async, *_TEXT),
    "a piece of stream.text": _Piece(_read_text, *_TEXT),
    "a piece of AsyncStream.text": _Piece(
        lambda chunks: read_async(chunks, lambda stream: stream.text), *_TEXT
    ),
    "a fragment in a string": _Piece(_read, [_opened('{"a": "')], _call("word "), [_call('"}'), _TOOL, DONE]),
    "a fragment with quotation marks": _Piece(
        _read, [_opened('[{"a": 1')], _call(', "a": 1'), [_call("}]"), _TOOL, DONE]
    ),
    "a fragment of an array": _Piece(_read, [_opened("[")], _call("1, "), [_call("0]"), _TOOL, DONE]),
    "a fragment that never ends": _Piece(_read, [_opened("[")], _call("1, "), [_CUT, DONE]),
    "a relayed token": _Piece(_relay, *_TEXT),
}
_WHOLE: dict[str, list[bytes]] = {
    **{f"an answer of {count} events": [*[_WORD] * count, _STOP, DONE] for count in (1, 10, 54)},
    **{
        f"an answer of Anthropic of {count} words": testing.script()
        .text(*["word "] * count)
        .usage(input_tokens=3, output_tokens=count)
        .finish("stop")
        .chunks("anthropic")
        for count in (1, 10, 54)
    },
}


def _trace(work: Callable[[], None]) -> Counter[str]:
    """Return the bytecodes and the calls of C code in the package, of a work that was done before."""
    counted = Counter[str]()

    def is_ours(frame: FrameType) -> bool:
        name: str = frame.f_globals.get("__name__", "")
        return name.partition(".")[0] == "tokenstream"

    def local(_: FrameType, event: str, __: object) -> Any:
        counted["bytecodes"] += event == "opcode"
        return local

    def trace(frame: FrameType, _: str, __: object) -> Any:
        if not is_ours(frame):
            return None
        frame.f_trace_opcodes = True
        return local

    def profile(frame: FrameType, event: str, _: object) -> None:
        # Those of a dependency are another number in each of its releases.
        counted["c_calls"] += event == "c_call" and is_ours(frame)

    # The collector may end generators of earlier works.
    gc.collect()
    gc.disable()
    try:
        sys.settrace(trace)
        work()
        sys.settrace(None)
        sys.setprofile(profile)
        work()
    finally:
        sys.settrace(None)
        sys.setprofile(None)
        gc.enable()
    return counted


def rows() -> Iterable[tuple[str, dict[str, float]]]:
    """Yield what each piece costs, and what each whole answer costs."""
    for name, (read, begin, piece, end) in _PIECES.items():
        fewer, more = ([*begin, *[piece] * count, *end] for count in (_FEWER, 2 * _FEWER))
        read(fewer)
        read(more)
        few, many = _trace(lambda: read(fewer)), _trace(lambda: read(more))  # noqa: B023 - called at once
        yield name, {"bytecodes": round((many["bytecodes"] - few["bytecodes"]) / _FEWER, 1)}
    for name, chunks in _WHOLE.items():
        for _ in range(3):
            _read(chunks)
        yield name, dict(_trace(lambda: _read(chunks)))  # noqa: B023 - called at once


if __name__ == "__main__":
    # A clock that runs would take samples at other pieces each time.
    with testing.VirtualClock():
        for named in rows():
            sys.stdout.write(json.dumps(named) + "\n")
