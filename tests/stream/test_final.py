"""`final()` takes all events in one go, and comes to what a loop over them comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.sampling import sampled
from tokenstream import Stream, testing
from tokenstream.errors import StreamError
from tokenstream.testing import Recording

ANSWER = (
    testing.script()
    .reasoning("Let me see.")
    .text("It is cold – 漢字 🌊.")
    .silence(3)
    .tool_call("get_weather", {"city": "Oslo"})
    .usage(input_tokens=7, output_tokens=3)
    .finish("stop")
)
RECORDINGS: list[Recording] = [
    broken
    for format in ("openai-chat", "anthropic", "gemini", "ollama", "bedrock-converse")
    for broken in (ANSWER.recording(format), *testing.fault_matrix(ANSWER.recording(format)))
]


def _seen(recording: Recording, read: Callable[[Stream], object], **options: Any) -> dict[str, Any]:
    stream = recording.stream(pace="recorded", **options)
    error = None
    try:
        read(stream)
    except StreamError as caught:
        error = caught
    return {
        "messages": stream.messages,
        "departures": dict(stream.departures),
        "metrics": stream.metrics,
        "error": None if error is None else (type(error), str(error), error.partial, error.events_seen),
        "checkpoint": stream.checkpoint(),
        "closed": stream.closed,
    }


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("chunking", ["events", 61])
@pytest.mark.parametrize("recording", sampled(RECORDINGS, one_in=4))
def test_final_comes_to_what_a_loop_comes_to(recording: Recording, chunking: str | int) -> None:
    looped = _seen(recording, list, chunking=chunking)
    assert looped == _seen(recording, Stream.final, chunking=chunking)
    assert looped["closed"]


def test_final_goes_on_where_a_loop_has_come_to() -> None:
    stream = ANSWER.stream("anthropic")
    taken = [next(stream) for _ in range(5)]
    assert 5 == len(taken)
    assert ANSWER.message.text == stream.final().text


def test_final_of_a_stream_that_was_stopped_is_what_had_come() -> None:
    stream = ANSWER.stream("anthropic")
    next(stream.text)
    stream.stop("enough")
    message = stream.final()
    assert ("stopped", "It") == (message.ending, message.text)
