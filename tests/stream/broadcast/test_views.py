"""One stream for several consumers, in `for` loops: their views."""

from __future__ import annotations

from itertools import islice
from typing import Any

from tests.stream.bodies import ANSWER
from tests.stream.broadcast.support import PIECES, said
from tokenstream import Stream


def test_a_reader_has_all_views_and_what_a_stream_knows() -> None:
    """The same as of a stream that nobody shares."""

    def seen(stream: Any) -> list[Any]:
        return [
            list(stream.text),
            list(stream.text.words()),
            list(stream.reasoning),
            [(type(delta), delta.text) for delta in stream.deltas],
            [call.name for call in stream.tool_calls],
            [call.name for call in stream.tool_calls.when_complete()],
            [call.arguments for call in stream.validated_calls(get_weather=dict, get_time=dict)],
            list(stream.field("city", tool="get_weather")),
            stream.result(dict[str, str], tool="get_weather"),
            list(stream.choice(0).text),
            stream.message,
            stream.messages,
            stream.metrics.chunks,
            stream.format,
            stream.stop_reason,
        ]

    shared = Stream(ANSWER)
    reader = shared.broadcast().reader()

    assert seen(Stream(ANSWER)) == seen(reader)


def test_a_slow_view_gets_one_larger_piece() -> None:
    """It holds nobody up, and nothing is queued for it."""
    fast, slow = said().tee(2)
    first = next(slow.text)
    assert PIECES == list(fast.text)

    assert ["The ", "The sky is blue."] == [first, *slow.text]


def test_the_stream_is_one_more_reader() -> None:
    """Its views are as those of the others."""
    stream = said()
    head = next(stream.text)
    (reader,) = stream.tee(1)

    assert ["The ", "The ", "sky ", "The sky "] == [
        head,
        *islice(stream.text, 2),
        next(reader.text),
    ]
    assert "The sky is blue." == reader.final().text == stream.message.text
