"""Calls of a text go everywhere like those of the API: to tools, pages, turns, attempts and recordings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls_in_text.test_streams import HERMES, body, look
from tokenstream import Retry, Router, Stream, Tools, resilient, testing
from tokenstream.errors import StreamError
from tokenstream.message import Message, TextPart
from tokenstream.recovery._never import reason_against
from tokenstream.relay import encode

TEXT = f"Let me look. {HERMES}"


def test_a_router_runs_the_calls_of_a_text() -> None:
    """And its results go back to the model in the turns of the API."""
    with Stream(body(TEXT), tool_tags=True) as stream:
        results = stream.run(Router(Tools(look)))
    turns = [stream.message.to_openai_chat(), *results.to_openai_chat()]

    assert ["call_0"] == [call["id"] for call in turns[0]["tool_calls"]]
    assert "Let me look. " == turns[0]["content"]
    assert [("call_0", "x0")] == [(turn["tool_call_id"], turn["content"]) for turn in turns[1:]]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic", "ui-message", "ag-ui", "tokenstream"])
def test_a_page_sees_a_call_and_no_markup(protocol: Any) -> None:
    """In every protocol that has calls; another reader makes the same message of it."""
    with Stream(body(TEXT), tool_tags=True) as stream:
        sent = b"".join(encode(stream, protocol))
    read = Stream([sent], format=protocol).final()

    assert b"tool_call>" not in sent
    assert [{"at": "x"}] == [call.arguments for call in read.tool_calls]
    assert "Let me look. " == read.text


@pytest.mark.parametrize("size", [5, 16, 40, 60, len(TEXT) - 3])
def test_another_attempt_begins_the_call_anew(size: int) -> None:
    """Whatever was cut off is discarded; each call is handed out once."""
    bodies = [body(TEXT[:size], None), body(TEXT)]
    with resilient(lambda: bodies.pop(0), Retry(mode="restart", wait=0), tool_tags=True) as stream:
        called = [call.name for call in stream.validated_calls(look)]

    assert ["look"] == called
    assert [{"at": "x"}] == [call.arguments for call in stream.message.tool_calls]


@pytest.mark.parametrize("text", ["Hm. <tool_call>{", f"{TEXT} So"])
def test_a_call_in_the_text_is_not_continued_as_text(text: str) -> None:
    """Also if it is not read: a model would be asked to go on within the markup."""
    message = Message(parts=(TextPart(text=text),))

    assert "it has a call in its text" == reason_against([message], StreamError("cut"), prefill=True)
    assert (
        reason_against([Message(parts=(TextPart(text="Hm, so"),))], StreamError("cut"), prefill=True) is None
    )


def test_a_recording_takes_the_option() -> None:
    """For tests of an application that reads such a server."""
    script = testing.script().text("So: ", HERMES).finish("stop")
    with Stream(script.chunks("ollama"), tool_tags="hermes") as stream:
        message = stream.final()

    assert [{"at": "x"}] == [call.arguments for call in message.tool_calls]
    assert message == Message.model_validate_json(message.model_dump_json())
