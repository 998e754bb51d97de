"""Transcriptions of Mistral, and of the utterances in a session of OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_realtime.payloads import event
from tests.formats.told import Told, adds_up, reads_alike_at_a_glance, tell
from tests.support.formats import Transcription
from tests.support.packages import needed
from tests.support.recordings import events_of, frames_of, ours
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProtocolError, ProviderError
from tokenstream.events import Finish

RECORDED = {each.name: each.body for each in ours() if each.format == "transcription"}
FILES = [name for name in RECORDED if "openai_session" not in name]
OF_ITEM = "conversation.item.input_audio_transcription."


def said(text: str, item: str = "a") -> dict[str, Any]:
    return event(OF_ITEM + "delta", item_id=item, delta=text)


def over(text: str, item: str = "a", **fields: Any) -> dict[str, Any]:
    return event(OF_ITEM + "completed", item_id=item, transcript=text, **fields)


SESSION = event("session.created", session={"type": "transcription"})


def read(*frames: Any) -> Told:
    return tell(Transcription(), *frames)


def file(*texts: str) -> list[dict[str, Any]]:
    """Return the pieces of a transcript of a file, by Mistral."""
    return [{"type": "transcription.text.delta", "text": text} for text in texts]


def done(text: str, **fields: Any) -> dict[str, Any]:
    """Return the end of a transcript of a file, by Mistral."""
    return {"type": "transcription.done", "model": "m", "text": text, **fields}


def test_segments_speakers_and_languages_are_kept_beside_the_text() -> None:
    told = Stream([RECORDED["transcription/mistral_file"]]).final()
    of_session = read(
        SESSION, said("Hi"), event(OF_ITEM + "segment", item_id="a", id="s", speaker="A"), over("Hi")
    )

    assert [("1", 1.1)] == [(each["speaker_id"], each["end"]) for each in told.provider_data["segments"]]
    assert ("en", "en") == (told.provider_data["audio_language"], told.provider_data["language"])
    assert ["A"] == [each["speaker"] for each in of_session.data["segments"]]


def test_segments_that_only_the_end_brings_are_kept() -> None:
    told = read(
        *file("Hi"), done("Hi", segments=[{"type": "transcription_segment", "text": "Hi", "start": 0}])
    )

    assert [{"text": "Hi", "start": 0}] == told.data["segments"]


def test_the_text_is_read_from_the_end_if_no_delta_brought_it() -> None:
    """A server may send it in one event; a bill by duration has no tokens."""
    told = read(SESSION, over("Hello", usage={"type": "duration", "seconds": 2}, languages=["en"]))

    assert ("Hello", "stop", None) == (told.message.text, told.reason, told.error)
    assert {"type": "duration", "seconds": 2} == told.message.usage.provider_data
    assert ["en"] == told.data["languages"]


def test_a_text_that_differs_from_its_pieces_is_an_error() -> None:
    """Nobody can tell which one was said."""
    with pytest.raises(ProtocolError):
        Stream([*file("Hel", "lo"), done("Jello")]).final()


def test_an_end_without_a_text_contradicts_nothing() -> None:
    """The pieces are then all that there is."""
    stream = Stream([*file("Hel", "lo"), {"type": "transcription.done", "model": "m"}])

    assert ("Hello", "complete") == (stream.final().text, stream.message.ending)


def test_log_probabilities_are_kept() -> None:
    pieces = [{**said(piece), "logprobs": [{"token": piece}]} for piece in ("Hel", "lo")]
    told = read(SESSION, *pieces, over("Hello"))

    assert [{"token": "Hel"}, {"token": "lo"}] == told.data["logprobs"]


@in_one_test("name", FILES)
def test_a_transcript_of_a_file_is_truncated_wherever_it_breaks_off(name: str) -> None:
    """Only the event that ends the transcript makes it complete."""
    frames = frames_of(RECORDED[name])
    for length in range(1, len(frames)):
        told = read(*frames[:length])
        adds_up(told)
        assert told.truncated


def test_a_session_is_truncated_wherever_an_utterance_breaks_off() -> None:
    frames = events_of("transcription/openai_session")
    ends = [at for at, each in enumerate(frames, 1) if each["type"].endswith("completed")]
    for length in range(1, len(frames) + 1):
        assert (length not in ends) == read(*frames[:length]).truncated


def test_utterances_of_a_session_are_answers_one_after_the_other() -> None:
    """Each is a part with the id of its item; two may be transcribed at the same time."""
    both = [said("On", "a"), said("Tw", "b"), over("Two", "b"), said("e", "a"), over("One", "a")]
    stream = Stream([SESSION, *both])
    reasons = [each.reason for each in stream if isinstance(each, Finish)]

    parts: list[Any] = [*stream.message.parts]
    assert [("a", "One"), ("b", "Two")] == [(part.provider_data["item_id"], part.text) for part in parts]
    assert (["stop"], "complete") == (reasons, stream.message.ending)


def test_a_completed_transcript_that_is_repeated_is_read_once() -> None:
    told = read(SESSION, said("One"), over("One"), over("One"))

    assert ("One", {"finish_repeated"}) == (told.message.text, told.rules)


COMMITTED = event("input_audio_buffer.committed", item_id="a")
SEGMENT = event(OF_ITEM + "segment", item_id="a", id="s")
FAILED = event(OF_ITEM + "failed", item_id="a", error={"code": "audio_unintelligible", "message": "m"})


@in_one_test(
    "late, rule",
    [
        (COMMITTED, "part_repeated"),
        (said("e"), "part_after_close"),
        (SEGMENT, "part_after_close"),
        (over("One"), "finish_repeated"),
        (FAILED, "finish_repeated"),
    ],
)
def test_what_is_late_or_repeated_opens_no_transcript_again(late: dict[str, Any], rule: str) -> None:
    for others in ([], [said("Two", "b"), over("Two", "b")], [said("Two", "b")]):
        before = read(SESSION, said("One"), over("One"), *others)
        told = read(SESSION, said("One"), over("One"), *others, late)

        assert (before.text, before.truncated) == (told.text, told.truncated)
        assert (before.ending, {rule}) == (told.ending, told.rules)


def test_late_pieces_and_segments_are_carried() -> None:
    """Nobody can tell where they belong, but nothing is lost."""
    told = read(SESSION, over("One"), said("e"), SEGMENT)

    assert ["session.created", OF_ITEM + "delta"] == told.unknown
    assert ["s"] == [each["id"] for each in told.data["segments"]]


def test_an_item_that_is_deleted_is_no_open_utterance() -> None:
    """Nothing more comes of it; what had come stays."""
    deleted = event("conversation.item.deleted", item_id="b")
    committed = event("input_audio_buffer.committed", item_id="b")
    before = [SESSION, said("One"), over("One"), committed]

    assert read(*before).truncated
    assert (None, "One") == (read(*before, deleted).error, read(*before, deleted).message.text)
    told = read(*before, said("Tw", "b"), deleted, said("o", "b"))
    assert (None, "OneTw", "complete") == (told.error, told.message.text, told.ending)
    assert read(SESSION, deleted, said("One")).truncated


def test_audio_that_was_cleared_is_no_open_utterance() -> None:
    began, cleared = (
        event("input_audio_buffer.speech_started", item_id="b"),
        event("input_audio_buffer.cleared"),
    )
    before = [SESSION, said("One"), over("One")]

    assert read(*before, began).truncated
    assert read(*before, began, cleared).error is None


def test_an_utterance_that_cannot_be_transcribed_is_an_error_at_the_end() -> None:
    """The session goes on; the next utterance makes up for it."""
    last, before = read(SESSION, FAILED), read(SESSION, FAILED, over("Two", "b"))

    assert "audio_unintelligible" == last.failure.code
    assert (None, "Two") == (before.error, before.message.text)


def test_an_answer_of_several_utterances_has_failed_if_one_of_them_has() -> None:
    both = [SESSION, said("One"), said("Tw", "b")]

    for ends in ([FAILED, over("Two", "b")], [over("Two", "b"), FAILED]):
        told, made_up = read(*both, *ends), read(*both, *ends, over("Three", "c"))
        assert isinstance(told.error, ProviderError)
        assert ("error", "failed") == (told.reason, told.ending)
        assert (None, "stop") == (made_up.error, made_up.reason)


def test_an_error_event_of_a_session_of_openai_does_not_end_it() -> None:
    """If the session breaks off, that error says why."""
    trouble = event("error", error={"type": "invalid_request_error", "code": "x", "message": "m"})
    went_on, cut = read(SESSION, trouble, over("Hi")), read(SESSION, trouble)

    assert (None, "Hi") == (went_on.error, went_on.message.text)
    assert isinstance(cut.error, ProviderError)
    assert isinstance(read(SESSION, said("H"), trouble).error, ProviderError)
    # After another piece, it is no reason for the end.
    pieces = [said(f"{n} ") for n in range(40)]
    assert read(SESSION, *pieces, trouble, *pieces).truncated
    reads_alike_at_a_glance(Transcription, [SESSION, *pieces, trouble, *pieces])


def test_an_error_of_mistral_ends_the_session() -> None:
    created = {"type": "session.created", "session": {"request_id": "r", "model": "m"}}
    told = read(created, {"type": "error", "error": {"message": "the audio is too long", "code": 3000}})

    assert "3000" == told.failure.code


@in_one_test(
    "payload",
    [
        SESSION,
        event("transcription_session.created", session={}),
        event("session.updated", session={"request_id": "r"}),
    ],
)
def test_a_session_that_only_transcribes_is_none_of_realtime(payload: dict[str, Any]) -> None:
    """The error names the format that reads it, at once."""
    stream = Stream([payload, said("Hi")], format="openai-realtime")
    with pytest.raises(ProtocolError, match="looks like transcription"):
        stream.final()


def test_the_objects_of_mistralai_are_read_like_their_bytes() -> None:
    """Each is an event with a name and its payload as `data`."""
    models: Any = needed("mistralai.client").models
    name = "transcription/mistral_file"
    objects = [
        models.TranscriptionStreamEvents.model_validate({"event": each["type"], "data": each})
        for each in events_of(name)
    ]
    stream = Stream(objects)

    assert Stream([RECORDED[name]]).final().parts == stream.final().parts
    assert "transcription" == stream.format
