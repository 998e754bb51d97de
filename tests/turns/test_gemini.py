"""`message.to_gemini()`: parts that Gemini takes back, each with its signature."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.turns.sdks import answer_of, content_of, unsendable
from tokenstream.errors import NotExpressible
from tokenstream.message import (
    Citation,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)

_gemini = partial(answer_of, format="gemini")


def _parts(*parts: Part) -> Any:
    return content_of(_gemini(*parts), "gemini")


def test_signatures_go_back_on_the_parts_that_they_came_on() -> None:
    signed = {"thoughtSignature": "c2ln"}
    assert [
        {"text": "Hm", "thought": True, "thoughtSignature": "dGg="},
        {"text": "So", "thought": True},
        {"text": "Hi", **signed},
        {"functionCall": {"id": "f1", "name": "weather", "args": {"city": "Oslo"}}, **signed},
        {"text": "", **signed},
    ] == _parts(
        ReasoningPart(text="Hm", signature="dGg="),
        ReasoningPart(text="So"),
        TextPart(text="Hi", provider_data=signed),
        ToolCall(
            id="f1",
            name="weather",
            arguments_text='{"city": "Oslo"}',
            complete=True,
            provider_data={"id": "f1", **signed},
        ),
        TextPart(provider_data=signed),
        TextPart(),
    )


def test_what_else_a_call_said_goes_back_where_it_was() -> None:
    call = ToolCall(
        id="call_0",
        name="now",
        complete=True,
        provider_data={"functionCall": {"more": 1}, "thoughtSignature": "c2ln"},
    )
    turn = _gemini(call).to_gemini()

    assert [{"functionCall": {"more": 1, "name": "now", "args": {}}, "thoughtSignature": "c2ln"}] == turn[
        "parts"
    ]


def test_an_id_that_was_made_up_here_stays_here() -> None:
    """A server that sent none knows calls by name and order."""
    call = ToolCall(id="call_0", name="now", complete=True)

    assert [{"functionCall": {"name": "now", "args": {}}}] == _parts(call)
    assert [{"functionCall": {"id": "call_0", "name": "now", "args": {}}}] == _gemini(
        call, format="anthropic"
    ).to_gemini()["parts"]


def test_media_go_back_whole_or_by_address() -> None:
    """Bytes are base64 in JSON."""
    assert [
        {"inlineData": {"mimeType": "image/png", "data": "AAA="}, "thoughtSignature": "c2ln"},
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://x/y", "displayName": "y"}},
        {"fileData": {"fileUri": "gs://x/z"}},
    ] == _parts(
        MediaPart(
            mime_type="image/png", data=bytes(2), complete=True, provider_data={"thoughtSignature": "c2ln"}
        ),
        MediaPart(mime_type="image/png", url="gs://x/y", complete=True, provider_data={"displayName": "y"}),
        MediaPart(url="gs://x/z", complete=True),
    )


def test_sources_stay_behind_and_anothers_are_named() -> None:
    """Gemini's are made from grounding metadata, which stands beside the content and goes into no request."""
    parts = (TextPart(text="Hi"), Citation(url="u", cites=0))

    assert [{"text": "Hi"}] == _parts(*parts)
    with pytest.raises(NotExpressible, match="1 citation"):
        _gemini(*parts, format="anthropic").to_gemini()


def test_what_has_no_part_is_named() -> None:
    message = _gemini(
        RefusalPart(text="no"),
        ReasoningPart(redacted="eA=="),
        ServerToolCall(id="s", name="x", complete=True),
        ServerToolResult(id="s", name="x", complete=True),
        OpaquePart(type="x", complete=True),
    )

    assert {
        "refusal": 1,
        "reasoning": 1,
        "server_tool_call": 1,
        "server_tool_result": 1,
        "opaque": 1,
    } == unsendable(message, "gemini")
