"""Sources, media, and what comes from elsewhere, on the wire of Google's APIs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.google_answers import chunk, each_format, output, steps_of, texts, told_live, turn
from tests.support.sent import bare, read, relayed
from tokenstream import testing
from tokenstream.events import Event, Finish, MediaDelta, PartDone, PartStart
from tokenstream.message import MediaPart

# -- sources and media ------------------------------------------------------------------

SOURCED = (
    testing.script()
    .text("High water", " is at 6.")
    .citation(url="https://tides.example", title="Tides")
    .citation(title="Almanac", text="high water 06:12")
    .finish()
)

GROUNDING = [
    {"web": {"uri": "https://tides.example", "title": "Tides"}},
    {"retrievedContext": {"title": "Almanac", "text": "high water 06:12"}},
]


def test_gemini_names_sources_with_the_finish_reason() -> None:
    """Pages of the web, and contexts whose words are told."""
    *_, last = bare(SOURCED.chunks("gemini"))
    assert {"groundingChunks": GROUNDING} == last["candidates"][0]["groundingMetadata"]


def test_gemini_live_tells_all_sources_at_the_end_of_the_turn() -> None:
    (told,) = told_live(SOURCED)[2:]
    assert GROUNDING == told["serverContent"]["groundingMetadata"]["groundingChunks"]


def test_an_interaction_annotates_the_text_that_it_has_said() -> None:
    page = {"type": "url_citation", "url": "https://tides.example", "title": "Tides"}
    file = {"type": "file_citation", "file_name": "Almanac", "source": "high water 06:12"}
    expected = output(
        0,
        *texts("High water", " is at 6."),
        {"type": "text_annotation_delta", "annotations": [page]},
        {"type": "text_annotation_delta", "annotations": [file]},
    )
    assert expected == steps_of(SOURCED)


def test_an_interaction_annotates_nothing_where_no_text_is_open() -> None:
    """The output is an empty one then."""
    script = testing.script().tool_call("f", "").citation(url="https://a.example").finish()
    page = {"type": "url_citation", "url": "https://a.example"}
    assert output(1, {"type": "text_annotation_delta", "annotations": [page]}) == steps_of(script)[2:]


SHOWN = testing.script().media(b"\x89PNG", "image/png").media(b"\x00\x01", "audio/pcm").finish()
PNG, PCM = "iVBORw==", "AAE="


def test_gemini_and_live_send_media_inline() -> None:
    expected = [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
        {"inlineData": {"mimeType": "audio/pcm", "data": PCM}},
    ]
    assert [chunk(part) for part in expected] == bare(SHOWN.chunks("gemini"))[:-1]
    assert [turn(part) for part in expected] == told_live(SHOWN)


def test_an_interaction_shows_media_in_outputs() -> None:
    script = testing.script().media(b"\x89PNG", "image/png").media(b"\x00\x01", "audio/pcm")
    expected = [
        *output(0, {"type": "image", "mime_type": "image/png", "data": "iVBORw=="}),
        *output(1, {"type": "audio", "mime_type": "audio/pcm", "data": PCM}),
        *output(2, {"type": "document", "mime_type": "application/pdf", "data": PCM}),
    ]
    assert expected == steps_of(script.media(b"\x00\x01", "application/pdf").finish())


def shown(mime_type: str | None, *pieces: bytes, url: str | None = None, **more: Any) -> list[Event]:
    """Return the events of a medium that comes in pieces, and of the answer's end."""
    return [
        PartStart(MediaPart(mime_type=mime_type, url=url, **more)),
        *(MediaDelta(piece) for piece in pieces),
        PartDone(),
        Finish("stop"),
    ]


def media_of(chunks: list[bytes], format: str) -> list[tuple[str | None, bytes, str | None, str]]:
    message, _ = read(chunks, format)
    parts = [part for part in message.parts if isinstance(part, MediaPart)]
    return [(part.mime_type, part.data, part.url, part.transcript) for part in parts]


@each_format
def test_half_an_image_is_never_sent(format: str) -> None:
    cut = relayed(format, *shown("image/png", b"ab")[:2])
    assert [] == [data for data in cut if b"image/png" in data]


@pytest.mark.parametrize("format", ["gemini-live", "gemini-interactions"])
def test_audio_is_sent_piece_by_piece(format: str) -> None:
    chunks = relayed(format, *shown("audio/pcm", b"\x00\x01", b"", b"\x02"))
    assert 2 == len([data for data in chunks if b"audio/pcm" in data])
    assert [("audio/pcm", b"\x00\x01\x02", None, "")] == media_of(chunks, format)


def test_gemini_live_tells_the_words_of_audio() -> None:
    events: list[Event] = [
        MediaDelta(transcript="Hel"),
        PartStart(MediaPart(mime_type="audio/pcm")),
        MediaDelta(b"\x00", "lo"),
        PartDone(),
        Finish("stop"),
    ]
    assert [("audio/pcm", b"\x00", None, "Hello")] == media_of(relayed("gemini-live", *events), "gemini-live")


def test_gemini_live_names_the_address_of_audio() -> None:
    chunks = relayed("gemini-live", *shown("audio/wav", url="https://a.example/1"))
    assert turn({"fileData": {"mimeType": "audio/wav", "fileUri": "https://a.example/1"}}) == bare(chunks)[1]
