"""`message.to_bedrock()`: content blocks as boto3 takes them."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.turns.sdks import answer_of, content_of, unsendable
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)

_bedrock = partial(answer_of, format="bedrock-converse")


def _blocks(*parts: Part) -> Any:
    return content_of(_bedrock(*parts), "bedrock")


def test_reasoning_goes_back_with_its_signature_or_as_bytes() -> None:
    """boto3 takes bytes where the wire has base64."""
    assert [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        {"reasoningContent": {"reasoningText": {"text": "So"}}},
        {"reasoningContent": {"redactedContent": bytes(2)}},
    ] == _blocks(
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        ReasoningPart(text="So", complete=True),
        ReasoningPart(redacted="AAA=", complete=True),
        ReasoningPart(complete=True),
    )


def test_sources_go_back_with_their_text() -> None:
    """Cited text is a block of another kind; of a source goes back what a request may hold."""
    source = {"title": "Laws", "sourceContent": [{"text": "§ 1"}], "location": {"web": {"url": "u"}}}
    assert [{"citationsContent": {"content": [{"text": "So"}], "citations": [source]}}] == _blocks(
        TextPart(text="So"), Citation(cites=0, provider_data={**source, "index": 0})
    )


def test_sources_in_claudes_own_shape_are_named() -> None:
    """Of what InvokeModel brought, Converse has a place for the title alone."""
    source = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "So"}
    message = _bedrock(TextPart(text="So"), Citation(cites=0, provider_data=source), format="bedrock-invoke")

    assert {"citation": 1} == unsendable(message, "bedrock")
    assert [{"text": "So"}] == message.to_bedrock(drop="citation")["content"]


def test_a_search_whose_result_was_cut_is_incomplete() -> None:
    """Claude refuses a call of the server's tools that has no result, through Bedrock too."""
    search = ServerToolCall(id="s", name="search", complete=True)
    message = _bedrock(TextPart(text="So"), search).model_copy(update={"ending": "stopped"})

    assert {"incomplete": 1} == unsendable(message, "bedrock")


def test_an_image_goes_back_as_bytes_or_by_its_place() -> None:
    place = {"s3Location": {"uri": "s3://bucket/x"}}
    assert [
        {"image": {"format": "png", "source": {"bytes": bytes(2)}}},
        {"image": {"format": "jpeg", "source": place}},
    ] == _blocks(
        MediaPart(mime_type="image/png", data=bytes(2), complete=True),
        MediaPart(
            mime_type="image/jpeg",
            url="s3://bucket/x",
            complete=True,
            provider_data={"format": "jpeg", **place},
        ),
    )


def test_what_has_no_block_is_named() -> None:
    message = _bedrock(
        RefusalPart(text="no"),
        ReasoningPart(text="cut"),
        ReasoningPart(redacted="?", complete=True),
        ServerToolCall(name="search", complete=True),
        ServerToolResult(id="s", content="x", complete=True),
        ServerToolResult(id="s", content=[{"type": "x"}], complete=True),
        MediaPart(mime_type="audio/wav", data=bytes(2), complete=True),
        MediaPart(mime_type="image/png", complete=True),
        OpaquePart(type="x", complete=True),
        TextPart(text="So"),
        Citation(cites=9, provider_data={"cited_text": "x"}),
    )

    assert {
        "refusal": 1,
        "incomplete": 1,
        "reasoning": 1,
        "server_tool_call": 1,
        "server_tool_result": 2,
        "media": 2,
        "opaque": 1,
        "citation": 1,
    } == unsendable(message, "bedrock")
    assert [{"text": "So"}] == message.to_bedrock(drop="all")["content"]


def test_a_tool_run_whose_result_has_no_shape_is_named_with_it() -> None:
    """A call goes with its result or not at all, so that what is named is all that must be dropped."""
    message = Message(
        parts=(
            TextPart(text="Hello", complete=True),
            ServerToolCall(id="c1", name="search", complete=True),
            ServerToolResult(id="c1", content=None, complete=True),
        ),
        ending="complete",
    )
    kinds = unsendable(message, "bedrock")

    assert {"server_tool_call": 1, "server_tool_result": 1} == kinds
    assert [{"text": "Hello"}] == message.to_bedrock(drop=kinds)["content"]
