"""How many calls of the library one event costs, which does not depend on the machine that runs the tests."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clocks import on
from tests.support.wire import chat, chat_call
from tokenstream import Decoder, Stream, Tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    _Read = Callable[[list[bytes]], object]

_WORDS = 200
_TEXT = chat({"content": "word "})
_START = chat({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": ""}}]})
_FRAGMENT = chat({"tool_calls": [{"index": 0, "function": {"arguments": "word "}}]})
_END = chat({}, "stop")


def _calls(work: Callable[[], object]) -> int:
    """Return the number of calls of the library's functions, and resumptions of its generators."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and "tokenstream" in frame.f_globals.get("__name__", "").split(".")

    before = sys.getprofile()
    # What other tests have left would be taken apart in between.
    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def _per_event(read: _Read, begin: list[bytes], piece: bytes, events: int) -> float:
    """Return the calls that each further event costs, once the answer has begun."""
    fewer, more = ([*begin, *[piece] * count, _END] for count in (_WORDS, 2 * _WORDS))
    read(fewer)
    return (_calls(lambda: read(more)) - _calls(lambda: read(fewer))) / _WORDS / events


def _stand_still() -> float:
    """Return always the same time: a busy machine would seem to be a loop that takes long."""
    return 0.0


def _read_stream(chunks: Iterable[bytes]) -> None:
    with on(_stand_still, Stream, iter(chunks), format="openai-chat") as stream:
        for _ in stream:
            pass


def _read_guarded(chunks: Iterable[bytes]) -> None:
    with on(_stand_still, Stream, iter(chunks), format="openai-chat") as stream:
        stream.guard("never said")
        for _ in stream:
            pass


def _read_tagged(chunks: Iterable[bytes]) -> None:
    with on(_stand_still, Stream, iter(chunks), format="openai-chat", tags=Tags(calls=True)) as stream:
        for _ in stream:
            pass


def _read_decoder(chunks: Iterable[bytes]) -> None:
    decoder = Decoder("openai-chat")
    for chunk in chunks:
        decoder.feed(chunk)


@pytest.mark.slow_rows("40 deltas in a chunk")
@pytest.mark.parametrize(
    ("read", "begin", "piece", "events", "most"),
    [
        pytest.param(_read_stream, [_TEXT], _TEXT, 1, 4.1, id="a text delta"),
        pytest.param(_read_stream, [_START], _FRAGMENT, 1, 4.1, id="a fragment of a call"),
        pytest.param(_read_guarded, [_TEXT], _TEXT, 1, 22.1, id="a text delta under a guard"),
        # On Python 3.11, a comprehension is a call of its own.
        pytest.param(_read_stream, [_TEXT], _TEXT * 40, 40, 8.1, id="40 deltas in a chunk"),
        pytest.param(_read_decoder, [_TEXT], _TEXT, 1, 4.1, id="a text delta in a decoder"),
    ],
)
def test_an_event_costs_no_more_calls_than_before(
    read: _Read, begin: list[bytes], piece: bytes, events: int, most: float
) -> None:
    """A raised number is a decision: say in the commit what the call is for, and what it costs."""
    assert _per_event(read, begin, piece, events) <= most


def test_a_call_costs_little_more_after_many_others() -> None:
    def count(calls: int) -> int:
        body = [
            chat(chat_call(index, fragment, id=None if fragment else f"c{index}", name="look"))
            for index in range(calls)
            for fragment in ("", '{"a":', "1", "}")
        ]
        return _calls(lambda: _read_tagged([*body, _END]))

    count(1)
    fewer, more = count(50), count(100)

    assert more <= 2.5 * fewer
