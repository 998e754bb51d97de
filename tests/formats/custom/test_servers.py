"""Mappings: recordings of simple servers, each read by one line."""

from __future__ import annotations

import pytest

from tests.support import chunkings
from tests.support.beside import needs_recordings
from tests.support.reading import read
from tests.support.recordings import Recorded, shared
from tokenstream.errors import StreamTruncated
from tokenstream.formats import custom

MAPPINGS = {
    "watsonx": custom(
        text="results.0.generated_text",
        finish="results.0.stop_reason",
        finish_reasons={"not_finished": None},
        usage={"output_tokens": "results.0.generated_token_count"},
        model="model_id",
    ),
    "replicate": custom(text="", event="output", finish="reason", end="done"),
    "langgraph": custom(
        event="messages",
        text=["0.kwargs.content", "0.kwargs.content.*.text"],
        where={"0.id.2": ["AIMessage", "AIMessageChunk"]},
    ),
}

RECORDED = shared(*MAPPINGS)


@needs_recordings
def test_the_recordings_of_simple_servers_are_found() -> None:
    """The comparison does not pass because there was nothing to compare."""
    assert len(RECORDED) >= 5


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_server_is_read_by_one_line(recorded: Recorded) -> None:
    """Text, end and model are what was recorded, at every chunking."""
    format = MAPPINGS[recorded.expected["format"]]
    expected = recorded.expected["choices"][0]
    for chunks in chunkings.several(recorded.body, recorded.name).values():
        reading = read(chunks, format=format)
        message = reading.message

        assert message is not None
        assert (expected["text"], expected["raw_finish_reason"], recorded.expected["model"]) == (
            message.text,
            message.raw_finish_reason,
            message.model,
        )
        assert expected["text"] == reading.text()
        assert ("custom", {}) == (reading.format, reading.departures)
        if expected["text"]:
            assert (None, "complete") == (reading.error, message.ending)
        else:  # this one was recorded without the events that the mapping reads
            assert "fits a path of custom()" in str(reading.error)
            assert "failed" == message.ending


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_stream_that_was_cut_is_not_called_complete(recorded: Recorded) -> None:
    """Where anything in the stream is its end, its lack is told; LangGraph's recordings have none."""
    if recorded.expected["format"] == "langgraph":
        return
    body = recorded.body
    for place in range(1, body.rindex(b"data:"), 97):
        reading = read([body[:place]], format=MAPPINGS[recorded.expected["format"]])

        assert isinstance(reading.error, StreamTruncated)
