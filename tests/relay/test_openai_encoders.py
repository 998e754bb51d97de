"""What holds for all of OpenAI's formats: errors, what has no place, and answers that are sent on."""

from __future__ import annotations

import pytest

from tests.relay.openai_answers import FORMATS, media_of, message_of
from tests.support.sent import bare, payloads_of, relayed
from tokenstream import testing
from tokenstream.errors import ProviderError
from tokenstream.events import Finish, MessageStart, PartDone, PartStart, ToolCallDone, ToolCallStart
from tokenstream.message import MediaPart, ToolCall

# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize("format", [*FORMATS, "mistral"])
def test_an_error_has_the_code_that_was_asked_for(format: str) -> None:
    code = "content_policy_violation"
    script = testing.script().text("Hel").error("Not so", kind="invalid_request", code=code)
    with pytest.raises(ProviderError) as caught:
        message_of(format, script.chunks(format))
    assert (code, "invalid_request") == (caught.value.code, caught.value.kind)


def test_the_error_of_a_response_is_flat() -> None:
    """OpenAI documents the error without a type of its own, and with a number."""
    script = testing.script().text("Hel").error("Slow down", kind="rate_limited")
    name, last = payloads_of(script.chunks("openai-responses"))[-1]

    assert "error" == name
    assert {
        "type": "error",
        "sequence_number": 5,
        "code": "rate_limit_exceeded",
        "message": "Slow down",
        "param": None,
    } == last


def test_a_response_of_a_session_fails_with_its_items() -> None:
    """Nothing else ends it; before it has begun the session tells of the error."""
    failed = testing.script().text("Hel").finish().error("No", kind="server")
    last = bare(failed.chunks("openai-realtime"))[-1]
    first = bare(testing.script().error("No", kind="server").chunks("openai-realtime"))[-1]

    error = {"type": "server_error", "code": "server_error", "message": "No"}
    assert ("failed", {"type": "failed", "reason": None, "error": error}) == (
        last["response"]["status"],
        last["response"]["status_details"],
    )
    assert "incomplete" == last["response"]["output"][0]["status"]
    assert {
        "type": "error",
        "event_id": "event_1",
        "error": {**error, "param": None, "event_id": None},
    } == first


# -- what there is no place for ------------------------------------------------------


def test_a_medium_of_which_nothing_came_is_not_sent() -> None:
    """No provider shows an empty image."""
    empty = PartStart(MediaPart(mime_type="image/png"))
    chunks = relayed("openai-responses", empty, PartDone(), Finish("stop"))
    assert [] == bare(chunks)[-1]["response"]["output"]
    assert [] == relayed("openai-chat", empty, PartDone())


def test_media_that_came_at_once_are_sent_like_those_in_pieces() -> None:
    """Some formats give an image with its start."""
    start = PartStart(MediaPart(mime_type="image/png", data=b"\x00"))
    for format in ("openai-chat", "openai-responses"):
        chunks = relayed(format, MessageStart(), start, PartDone(), Finish("stop"))
        (image,) = media_of(message_of(format, chunks))
        assert (b"\x00", "image/png") == (image.data, image.mime_type)
    spoken = PartStart(MediaPart(data=b"\x00", transcript="Hi"))
    chunks = relayed("openai-chat", MessageStart(), spoken, PartDone(), Finish("stop"))
    (audio,) = media_of(message_of("openai-chat", chunks))
    assert (b"\x00", "Hi") == (audio.data, audio.transcript)


# -- streams that are sent on --------------------------------------------------------


def test_the_arguments_at_a_calls_end_count() -> None:
    """A provider may say at the end other arguments than in pieces."""
    call = ToolCall(id="c1", name="rm", arguments_text='{"path": "/tmp"}', complete=True)
    chunks = relayed("openai-responses", ToolCallStart("c1", "rm"), ToolCallDone(call), Finish("tool_calls"))

    assert [call.arguments_text] == [
        each.arguments_text for each in message_of("openai-responses", chunks).tool_calls
    ]
