"""What the user has said, in the formats of spoken sessions, at every cut and in our own protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import Decoder, InputTranscript, Stream, StreamError, relay

OF_INPUT = "conversation.item.input_audio_transcription."
WHERE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
REALTIME: list[Any] = [
    {"type": "session.created", "event_id": "e", "session": {"model": "gpt-realtime"}},
    {"type": OF_INPUT + "delta", "event_id": "e", "item_id": "u", "delta": "What"},
    {"type": "response.created", "event_id": "e", "response": {"id": "r"}},
    {"type": OF_INPUT + "delta", "event_id": "e", "item_id": "u", "delta": " time?"},
    {"type": "response.output_text.delta", "event_id": "e", "delta": "It is ", **WHERE},
    {"type": OF_INPUT + "completed", "event_id": "e", "item_id": "u", "transcript": "What time?"},
    {"type": "response.output_text.delta", "event_id": "e", "delta": "noon.", **WHERE},
    {"type": "response.done", "event_id": "e", "response": {"id": "r", "status": "completed"}},
    {"type": OF_INPUT + "failed", "event_id": "e", "item_id": "v", "error": {"message": "private words"}},
]
GEMINI: list[Any] = [
    {"setupComplete": {}},
    {"serverContent": {"inputTranscription": {"text": "What"}}},
    {"serverContent": {"modelTurn": {"parts": [{"text": "It is "}]}}},
    {"serverContent": {"inputTranscription": {"text": " time?", "finished": True}}},
    {"serverContent": {"modelTurn": {"parts": [{"text": "noon."}]}}},
    {"serverContent": {"turnComplete": True}},
]
LIVE: list[Any] = [
    {"type": "session.started", "event_id": "e", "session": {"id": "live_1", "model": "gpt-live-1"}},
    {"type": "session.input_transcript.delta", "event_id": "e", "delta": "What", "start_ms": 0},
    {"type": "session.output_transcript.delta", "event_id": "e", "delta": "It is "},
    {
        "type": "session.input_transcript.delta",
        "event_id": "e",
        "delta": " time?",
        "start_ms": 0,
        "end_ms": 1,
    },
    {"type": "session.output_transcript.delta", "event_id": "e", "delta": "noon."},
    {"type": "session.closed", "event_id": "e", "reason": "close_requested", "session": {}, "usage": {}},
]
FORMATS: dict[Any, list[Any]] = {"openai-realtime": REALTIME, "gemini-live": GEMINI, "openai-live": LIVE}


def read(frames: list[dict[str, Any]]) -> tuple[list[Any], Any]:
    stream = Stream([json.dumps(each) for each in frames])
    return [*stream], stream


def said(events: list[Any]) -> list[InputTranscript]:
    return [event for event in events if isinstance(event, InputTranscript)]


@in_one_test("name", FORMATS)
def test_what_the_user_said_is_beside_the_answer(name: Any) -> None:
    events, stream = read(FORMATS[name])
    without = [each for each in FORMATS[name] if "nput" not in json.dumps(each)]

    assert "What time?" == "".join(event.text for event in said(events))
    assert stream.format == name
    assert (stream.message.text, stream.message.ending) == ("It is noon.", "complete")
    assert read(without)[1].message == stream.message


def test_the_end_of_what_was_said_has_the_whole_of_it() -> None:
    """The word for a failure is one that may be shown; the provider's sentence is only in the payload."""
    events, _ = read(REALTIME)

    assert [
        InputTranscript("What", "u"),
        InputTranscript(" time?", "u"),
        InputTranscript("", "u", done=True, transcript="What time?"),
        InputTranscript("", "v", done=True, error="failed"),
    ] == said(events)


@in_one_test("name", FORMATS)
def test_a_cut_answer_is_not_complete_whatever_the_user_said(name: Any) -> None:
    """Cut after any frame before its end, the answer is an error; what was said until then is told."""
    frames = FORMATS[name]
    ends = ("done", "turnComplete", "session.closed")
    last = next(index for index, each in enumerate(frames) if any(end in json.dumps(each) for end in ends))
    for cut in range(1, last):
        stream = Stream([json.dumps(each) for each in frames[:cut]], format=name)
        with pytest.raises(StreamError) as caught:
            list(stream)
        assert not caught.value.partial.complete


@in_one_test("name", FORMATS)
def test_our_own_protocol_carries_what_the_user_said(name: Any) -> None:
    events, _ = read(FORMATS[name])
    body = b"".join(relay.encode(Stream([json.dumps(each) for each in FORMATS[name]]), "tokenstream"))
    for size in (1, 7, len(body)):
        decoder = Decoder("tokenstream")
        again = [
            event for start in range(0, len(body), size) for event in decoder.feed(body[start : start + size])
        ]
        assert said(events) == said([*again, *decoder.end()])
    assert b"private words" not in body
    other = b"".join(relay.encode(Stream([json.dumps(each) for each in FORMATS[name]]), "ui-message"))
    assert b"time?" not in other
