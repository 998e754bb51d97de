"""OpenAI's endpoints for speech, transcripts and images, read by the same format."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.formats.openai_responses.payloads import Payload
from tests.support.chunkings import sized
from tokenstream import Stream
from tokenstream.errors import ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import Event, MediaDelta, PartStart, TextDelta
from tokenstream.message import MediaPart

IMAGE: Payload = {"size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}
SIZES = pytest.mark.parametrize("size", [1, 17, 100_000])


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body_of(*payloads: Payload, named: bool = False) -> bytes:
    """Return a body; OpenAI sends audio without names of events, and images with names."""
    names = [f"event: {payload['type']}\n" if named else "" for payload in payloads]
    events = zip(names, map(json.dumps, payloads), strict=True)
    return "".join(f"{name}data: {data}\n\n" for name, data in events).encode()


def stream_of(body: bytes, size: int = 100_000, **options: Any) -> tuple[Stream, list[Event]]:
    stream = Stream(sized(body, size), **options)
    return stream, list(stream)


@SIZES
def test_speech_is_audio_that_grows(size: int) -> None:
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    body = body_of(
        {"type": "speech.audio.delta", "audio": coded(b"ID3")},
        {"type": "speech.audio.delta", "audio": coded(b"-frames")},
        {"type": "speech.audio.done", "usage": usage},
    )
    stream, events = stream_of(body, size)

    assert [event.data for event in events if isinstance(event, MediaDelta)] == [b"ID3", b"-frames"]
    assert stream.message.parts == (MediaPart(data=b"ID3-frames", complete=True),)
    assert (stream.format, stream.message.ending) == ("openai-responses", "complete")
    assert (stream.message.usage.input_tokens, stream.message.usage.output_tokens) == (14, 101)
    assert (stream.message.finish_reason, stream.departures.details) == ("stop", {})


@SIZES
def test_a_transcript_is_text_that_grows(size: int) -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
        "output_tokens": 4,
        "total_tokens": 18,
    }
    pieces = ["I", " see", " skies", " of", " blue"]
    body = body_of(
        *({"type": "transcript.text.delta", "delta": piece} for piece in pieces),
        {"type": "transcript.text.done", "text": "".join(pieces), "languages": ["en"], "usage": usage},
    )
    stream, events = stream_of(body, size)

    assert [event.text for event in events if isinstance(event, TextDelta)] == pieces
    assert stream.message.text == "I see skies of blue"
    assert stream.message.usage.input_audio_tokens == 14
    assert stream.message.provider_data == {"languages": ["en"]}
    assert (stream.message.ending, stream.departures.details) == ("complete", {})


def test_the_end_of_a_transcript_completes_its_pieces() -> None:
    """A lost end is added; another text is an error; an only text is the answer."""
    done = {"type": "transcript.text.done", "text": "I see skies"}
    pieces = [{"type": "transcript.text.delta", "delta": piece} for piece in ("I", " see")]

    assert stream_of(body_of(*pieces, done))[0].message.text == "I see skies"
    assert stream_of(body_of(done))[0].message.text == "I see skies"
    with pytest.raises(ProtocolError):
        stream_of(body_of(*pieces, {**done, "text": "You hear rain"}))


def test_the_segments_of_a_transcript_have_speakers() -> None:
    segment = {"id": "seg_1", "start": 0.0, "end": 1.5, "speaker": "A", "text": "Hi."}
    body = body_of(
        {"type": "transcript.text.delta", "delta": "Hi.", "segment_id": "seg_1"},
        {"type": "transcript.text.segment", **segment},
        {"type": "transcript.text.done", "text": "A: Hi.", "usage": {"type": "duration", "seconds": 2}},
    )
    stream, _ = stream_of(body)

    assert stream.message.text == "Hi."
    assert stream.message.provider_data["segments"] == [segment]
    assert stream.message.usage.provider_data == {"type": "duration", "seconds": 2}


@SIZES
@pytest.mark.parametrize("endpoint", ["image_generation", "image_edit"])
def test_each_preview_of_an_image_replaces_the_one_before(endpoint: str, size: int) -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"text_tokens": 5, "image_tokens": 4},
        "output_tokens": 272,
        "total_tokens": 281,
    }
    kind = f"{endpoint}.partial_image"
    body = body_of(
        {"type": kind, "b64_json": coded(b"dim"), "partial_image_index": 0, **IMAGE},
        {"type": kind, "b64_json": coded(b"brighter"), "partial_image_index": 1, **IMAGE},
        {"type": f"{endpoint}.completed", "b64_json": coded(b"bright"), "usage": usage, **IMAGE},
        named=True,
    )
    stream, events = stream_of(body, size)
    starts = [event.content for event in events if isinstance(event, PartStart)]

    previews = [start.data for start in starts if isinstance(start, MediaPart) and start.data]
    assert previews == [b"dim", b"brighter"]
    [part] = stream.message.parts
    assert isinstance(part, MediaPart)
    assert (part.data, part.mime_type, part.complete) == (b"bright", "image/png", True)
    assert part.provider_data == IMAGE
    assert (stream.message.usage.input_image_tokens, stream.message.usage.output_tokens) == (4, 272)
    assert (stream.message.ending, stream.departures.details) == ("complete", {})


def test_a_cut_or_failed_answer_of_an_endpoint_is_an_error() -> None:
    delta = {"type": "speech.audio.delta", "audio": coded(b"ID3")}
    failure = {"type": "error", "error": {"code": "server_error", "message": "No"}}

    with pytest.raises(StreamTruncated) as cut:
        stream_of(body_of(delta))
    assert isinstance(cut.value.partial.parts[0], MediaPart)
    assert cut.value.partial.parts[0].data == b"ID3"
    with pytest.raises(ProviderError):
        stream_of(body_of(delta, failure))
