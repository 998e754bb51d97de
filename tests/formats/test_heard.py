"""What a user has said to a session: words beside the answer, as the provider transcribes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.encoders import PROTOCOLS, read_as
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Limits, Stream, relay
from tokenstream.errors import StreamError
from tokenstream.events import Event, Finish, InputTranscript, MessageStart, TextDelta, Unknown
from tokenstream.relay import ProtocolName

Heard = tuple[str, str, str | None]

OF_ITEM = "conversation.item.input_audio_transcription."


def realtime(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": "event_1", **fields}


def piece(item: str, text: str | None) -> dict[str, Any]:
    return realtime(f"{OF_ITEM}delta", item_id=item, content_index=0, delta=text)


def whole(item: str, text: str) -> dict[str, Any]:
    return realtime(f"{OF_ITEM}completed", item_id=item, content_index=0, transcript=text)


RESPONSE: list[dict[str, Any]] = [
    realtime("response.created", response={"id": "resp_1", "object": "realtime.response"}),
    realtime("response.output_text.delta", response_id="resp_1", item_id="i", output_index=0, delta="Noon."),
    realtime("response.done", response={"id": "resp_1", "status": "completed", "output": []}),
]
TURN: list[dict[str, Any]] = [
    {"setupComplete": {}},
    {"serverContent": {"modelTurn": {"parts": [{"text": "Noon."}]}}},
    {"serverContent": {"turnComplete": True}},
]
SPOKEN: list[dict[str, Any]] = [
    {"type": "session.started", "session": {"id": "live_1", "model": "gpt-live-1"}},
    {"type": "session.output_transcript.delta", "event_id": "e", "delta": "Noon."},
    {"type": "session.closed", "event_id": "e", "reason": "close_requested"},
]


def gemini(**fields: Any) -> dict[str, Any]:
    return {"serverContent": {"inputTranscription": fields}}


def live(text: str) -> dict[str, Any]:
    return {"type": "session.input_transcript.delta", "event_id": "e", "delta": text}


def read(payloads: list[dict[str, Any]], **options: Any) -> tuple[list[Event], Stream]:
    with Stream([json.dumps(each) for each in payloads], **options) as stream:
        return [*stream], stream


def heard(events: list[Event]) -> list[Heard]:
    return [(one.text, one.id, one.transcript) for one in events if isinstance(one, InputTranscript)]


@in_one_test(
    "words, expected",
    [
        # Pieces, and the whole of them.
        (
            [piece("u", "What "), piece("u", "time?"), whole("u", "What time?")],
            [("What ", "u", None), ("time?", "u", None), ("", "u", "What time?")],
        ),
        # A model that tells all at once, and one whose last words come with the whole.
        ([whole("u", "What time?")], [("What time?", "u", "What time?")]),
        (
            [piece("u", "What"), whole("u", "What time?")],
            [("What", "u", None), (" time?", "u", "What time?")],
        ),
        # A correction is in the whole alone.
        ([piece("u", "Watt"), whole("u", "What time?")], [("Watt", "u", None), ("", "u", "What time?")]),
        # Two utterances in turns.
        (
            [piece("u", "a"), piece("v", "b"), whole("v", "bc"), whole("u", "ad")],
            [("a", "u", None), ("b", "v", None), ("c", "v", "bc"), ("d", "u", "ad")],
        ),
        # A half of a surrogate pair, which no page could be sent.
        ([piece("u", "\ud800")], [("�", "u", None)]),
    ],
)
@in_one_test("place", [1, 2, 3])
def test_the_words_of_openai_realtime_come_piece_by_piece(
    words: list[dict[str, Any]], expected: list[Heard], place: int
) -> None:
    """Before the response, within it, or behind it; they are never its text."""
    payloads = [*RESPONSE[: place - 1], *words, *RESPONSE[place - 1 :]]
    if place == 3:
        # A stream ends with the connection, and may hear of the user until then.
        payloads = [*RESPONSE, *words]
    events, stream = read(payloads, format="openai-realtime")

    assert heard(events) == expected
    assert (stream.message.text, stream.message.complete) == ("Noon.", True)


def test_words_that_could_not_be_transcribed_are_kept_as_they_came() -> None:
    """What was said later with the same id is another utterance."""
    failed = realtime(f"{OF_ITEM}failed", item_id="u", error={"code": "noise"})
    events, _ = read([piece("u", "a"), failed, whole("u", "ab"), piece("w", None), *RESPONSE])

    assert heard(events) == [("a", "u", None), ("ab", "u", "ab")]
    names = [one.name for one in events if isinstance(one, Unknown)]
    assert names == [f"{OF_ITEM}failed", f"{OF_ITEM}delta"]


@in_one_test(
    "words, expected",
    [
        ([gemini(text="What "), gemini(text="time?")], [("What ", "", None), ("time?", "", None)]),
        (
            [gemini(text="What "), gemini(text="time?", finished=True)],
            [("What ", "", None), ("time?", "", "What time?")],
        ),
        ([gemini(text="What"), gemini(finished=True)], [("What", "", None), ("", "", "What")]),
        ([gemini(text="")], []),
    ],
)
def test_the_words_of_gemini_live_have_no_id(words: list[dict[str, Any]], expected: list[Heard]) -> None:
    """The server says which are the last, or does not."""
    events, stream = read([TURN[0], *words, *TURN[1:]], format="gemini-live")

    assert heard(events) == expected
    assert (stream.message.text, stream.message.complete) == ("Noon.", True)


def test_the_words_of_a_turn_of_gemini_are_no_part_of_the_next_ones() -> None:
    """Although the server has not said that they are over."""
    turns = [*TURN[:1], gemini(text="one"), *TURN[1:], gemini(text="two", finished=True), *TURN[1:]]
    events, _ = read(turns, format="gemini-live")

    assert heard(events) == [("one", "", None), ("two", "", "two")]


def test_the_words_of_the_live_api_have_no_end() -> None:
    """They come for as long as the session is open."""
    events, stream = read([SPOKEN[0], live("What "), live("time?"), *SPOKEN[1:], live("Late.")])

    assert heard(events) == [("What ", "", None), ("time?", "", None)]
    assert (stream.message.text, stream.message.complete) == ("Noon.", True)


@pytest.mark.parametrize("cut", range(1, 6))
def test_words_of_the_user_end_no_answer(cut: int) -> None:
    """A connection that is lost behind them has lost the answer."""
    payloads = [RESPONSE[0], piece("u", "What"), RESPONSE[1], whole("u", "What time?"), RESPONSE[2]]
    chunks = [json.dumps(each) for each in payloads[:cut]]
    stream = Stream(chunks, format="openai-realtime")
    if cut < len(payloads):
        with pytest.raises(StreamError):
            stream.final()
    else:
        stream.final()

    assert stream.message.complete == (cut == len(payloads))


@pytest.mark.anyio
async def test_late_words_come_with_the_next_answer_of_a_connection() -> None:
    """Their id tells what they are the words of."""

    async def messages() -> Any:
        for number in (1, 2):
            for each in RESPONSE:
                yield json.dumps(each).replace("resp_1", f"resp_{number}")
            yield json.dumps(whole(f"u_{number}", f"Question {number}"))

    told = []
    async with AsyncStream(messages(), format="openai-realtime") as stream:
        async for answer in stream.responses:
            told.append(heard([event async for event in answer]))
            assert answer.message.text == "Noon."

    assert told == [[], [("Question 1", "u_1", "Question 1")]]


def test_utterances_that_never_end_take_bounded_memory() -> None:
    """A server that tells no whole has its pieces passed on, and the oldest utterances forgotten."""
    pieces = [piece(f"u{number}", "a") for number in range(200)]
    events, _ = read([*pieces, whole("u0", "ab"), whole("u199", "ab"), *RESPONSE], limits=Limits())

    assert heard(events)[-2:] == [("ab", "u0", "ab"), ("b", "u199", "ab")]


EVENTS: list[Event] = [
    MessageStart(id="resp_1", model="m"),
    InputTranscript("What ", "u"),
    TextDelta("Noon."),
    InputTranscript("time?", "u", "What time?"),
    Finish("stop"),
]


@in_one_test("protocol", PROTOCOLS)
def test_a_page_gets_the_words_where_its_protocol_has_a_place(protocol: ProtocolName) -> None:
    """Elsewhere, the answer is sent without them, and nothing of it is lost."""
    sent = [*relay.encode(iter(EVENTS), protocol)]
    if (format := read_as(protocol)) is None:
        return
    events = [*Stream(sent, format=format)]

    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "Noon."
    expected: list[Heard] = []
    if protocol in ("tokenstream", "ndjson", "openai-realtime"):
        expected = [("What ", "u", None), ("time?", "u", "What time?")]
    elif protocol == "gemini-live":
        expected = [("What ", "", None), ("time?", "", "What time?")]
    assert heard(events) == expected
