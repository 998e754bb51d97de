"""What is sent in sessions of OpenAI Realtime: small answers, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.openai_answers import media_of, message_of
from tests.support.sent import bare, relayed
from tokenstream import testing
from tokenstream.events import Finish, MediaDelta, PartDone, PartStart, TextDelta, UsageUpdate
from tokenstream.message import MediaPart, Usage

# -- realtime ---------------------------------------------------------------------------


def test_a_session_is_messages_each_a_line() -> None:
    script = testing.script(id="resp_9").text("Hel", "lo").usage(input_tokens=7, output_tokens=3)
    chunks = script.finish("stop").chunks("openai-realtime")
    messages = bare(chunks)
    ids = [message.pop("event_id") for message in messages]
    item = {
        "id": "item_1",
        "object": "realtime.item",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    over = {**item, "status": "completed", "content": [{"type": "output_text", "text": "Hello"}]}
    place = {"response_id": "resp_9", "item_id": "item_1", "output_index": 0}
    content = {**place, "content_index": 0}
    response = {"response_id": "resp_9", "output_index": 0}

    assert all(chunk.endswith(b"}\n") and chunk.count(b"\n") == 1 for chunk in chunks)
    assert len(set(ids)) == len(ids)
    assert ["session.created", "response.created"] == [message["type"] for message in messages[:2]]
    assert [
        {"type": "response.output_item.added", **response, "item": item},
        {"type": "conversation.item.added", "previous_item_id": None, "item": item},
        {"type": "response.content_part.added", **content, "part": {"type": "text", "text": ""}},
        {"type": "response.output_text.delta", **content, "delta": "Hel"},
        {"type": "response.output_text.delta", **content, "delta": "lo"},
        {"type": "response.output_text.done", **content, "text": "Hello"},
        {"type": "response.content_part.done", **content, "part": {"type": "text", "text": "Hello"}},
        {"type": "conversation.item.done", "previous_item_id": None, "item": over},
        {"type": "response.output_item.done", **response, "item": over},
    ] == messages[2:-1]
    assert {
        "type": "response.done",
        "response": {
            "object": "realtime.response",
            "id": "resp_9",
            "status": "completed",
            "status_details": None,
            "output": [over],
            "conversation_id": "conv_1",
            "usage": {"total_tokens": 10, "input_tokens": 7, "output_tokens": 3},
        },
    } == messages[-1]


def test_a_call_in_a_session_is_an_item_after_the_one_before() -> None:
    script = testing.script().text("Hi").tool_call("rm", "{}").finish("stop")
    messages = bare(script.chunks("openai-realtime"))
    call = [message for message in messages if message.get("item_id") == "item_2"]
    place = {"response_id": "resp_1", "item_id": "item_2", "output_index": 1, "call_id": "call_1"}

    assert [
        {"type": "response.function_call_arguments.delta", **place, "delta": "{}"},
        {"type": "response.function_call_arguments.done", **place, "name": "rm", "arguments": "{}"},
    ] == [{name: value for name, value in message.items() if name != "event_id"} for message in call]
    before = [message["previous_item_id"] for message in messages if "previous_item_id" in message]
    assert [None, None, "item_1", "item_1"] == before


def test_audio_in_a_session_comes_in_pieces_with_what_it_says() -> None:
    """Every piece is base64 of its own; the transcript is said again at the end."""
    chunks = relayed(
        "openai-realtime",
        PartStart(MediaPart(mime_type="audio/pcm")),
        MediaDelta(b"\x00\x01", "Hel"),
        MediaDelta(b"\x02"),
        MediaDelta(transcript="lo"),
        PartDone(),
        Finish("stop"),
    )

    assert [
        ("response.output_audio.delta", "AAE="),
        ("response.output_audio_transcript.delta", "Hel"),
        ("response.output_audio.delta", "Ag=="),
        ("response.output_audio_transcript.delta", "lo"),
    ] == [(event["type"], event["delta"]) for event in bare(chunks) if "delta" in event]
    assert [{"type": "output_audio", "transcript": "Hello"}] == (
        bare(chunks)[-1]["response"]["output"][0]["content"]
    )
    (audio,) = media_of(message_of("openai-realtime", chunks))
    assert (b"\x00\x01\x02", "Hello", "audio/pcm") == (audio.data, audio.transcript, audio.mime_type)


def test_a_session_tells_how_many_tokens_were_audio() -> None:
    """The details stand in groups of the report."""
    usage = Usage(input_tokens=5, cached_tokens=2, output_audio_tokens=3)
    chunks = relayed("openai-realtime", TextDelta("Hi"), UsageUpdate(usage), Finish("stop"))

    assert {
        "input_tokens": 5,
        "input_token_details": {"cached_tokens": 2},
        "output_token_details": {"audio_tokens": 3},
    } == bare(chunks)[-1]["response"]["usage"]


@pytest.mark.parametrize(
    ("reason", "details"),
    [
        ("length", {"type": "incomplete", "reason": "max_output_tokens"}),
        ("cancelled", {"type": "cancelled", "reason": "client_cancelled"}),
    ],
)
def test_a_response_of_a_session_that_was_cut_says_why(reason: Any, details: dict[str, str]) -> None:
    script = testing.script().text("Hel").finish(reason)
    last = bare(script.chunks("openai-realtime"))[-1]

    assert (details["type"], details) == (last["response"]["status"], last["response"]["status_details"])
    assert "incomplete" == last["response"]["output"][0]["status"]


def test_raw_text_is_a_message_as_it_is() -> None:
    """A test can send what no provider would."""
    assert b"{oops\n" == testing.script().text("Hi").raw("{oops").chunks("openai-realtime")[-1]
