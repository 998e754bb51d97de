"""`message.to_anthropic()`: content blocks that Anthropic takes back."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.turns.sdks import accept, answer_of, content_of, unsendable
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
from tokenstream.turns._drop import Kind

_claude = partial(answer_of, format="anthropic")


def _blocks(*parts: Part) -> Any:
    return content_of(_claude(*parts), "anthropic")


_SEARCH = ServerToolCall(id="s1", name="web_search", complete=True, provider_data={"type": "server_tool_use"})
_FOUND = ServerToolResult(id="s1", name="web_search_tool_result", content=[], complete=True)
_TEXT = TextPart(text="Hi")


@pytest.mark.parametrize("parts", [(_SEARCH,), (_SEARCH, _FOUND.model_copy(update={"complete": False}))])
def test_a_search_whose_result_was_cut_is_incomplete(parts: tuple[Part, ...]) -> None:
    """The API refuses a conversation with a call of its own tools that has no result."""
    message = _claude(_TEXT, *parts).model_copy(update={"ending": "truncated"})

    assert {"incomplete": len(parts)} == unsendable(message, "anthropic")
    assert [{"type": "text", "text": "Hi"}] == message.to_anthropic(drop="incomplete")["content"]


def test_a_search_that_the_server_paused_goes_back_without_its_result() -> None:
    """The server goes on with it; so does code that waits for the application's tools."""
    assert ["server_tool_use"] == [block["type"] for block in _blocks(_SEARCH)]
    assert ["web_search_tool_result"] == [block["type"] for block in _blocks(_FOUND)]


@pytest.mark.parametrize(
    ("drop", "left"), [("server_tool_call", "server_tool_result"), ("server_tool_result", "server_tool_call")]
)
def test_neither_of_a_search_and_its_result_goes_alone(drop: Kind, left: Kind) -> None:
    """What is left of a pair is named, since the API refuses it."""
    message = _claude(_SEARCH, _FOUND, _TEXT)

    assert {left: 1} == unsendable(message, "anthropic", drop=drop)
    assert [{"type": "text", "text": "Hi"}] == message.to_anthropic(drop=(drop, left))["content"]


def test_the_result_of_a_search_that_cannot_go_cannot_go_either() -> None:
    message = _claude(_SEARCH.model_copy(update={"arguments_text": "["}), _FOUND, _TEXT)

    assert {"server_tool_call": 1, "server_tool_result": 1} == unsendable(message, "anthropic")


def test_sources_go_back_in_the_text_that_they_belong_to() -> None:
    source = {
        "type": "char_location",
        "cited_text": "Oslo",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 4,
    }
    message = _claude(
        TextPart(text="It is "), TextPart(text="Oslo"), Citation(text="Oslo", cites=1, provider_data=source)
    )
    turn = message.to_anthropic()

    assert [
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "Oslo", "citations": [source]},
    ] == turn["content"]
    accept("anthropic", turn)
    assert "citations" not in message.to_anthropic(drop=["citation"])["content"][1]


def test_what_was_changed_in_a_turn_is_not_changed_in_the_message() -> None:
    source = {"type": "web_search_result_location", "more": ["x"]}
    message = _claude(
        TextPart(text="a"),
        Citation(cites=0, provider_data=source),
        ServerToolResult(id="s", name="web_search_tool_result", content=[{"url": "u"}], complete=True),
        OpaquePart(type="compaction", data={"type": "compaction", "content": ["x"]}, complete=True),
    )
    before = message.model_dump_json()
    for block in message.to_anthropic()["content"]:
        for value in (*block.values(), *(item.get("more") for item in block.get("citations", []))):
            if isinstance(value, list):
                value.clear()

    assert before == message.model_dump_json()


def test_a_source_of_no_text_is_named() -> None:
    message = _claude(TextPart(text="a"), Citation(url="u"), Citation(url="u", cites=0))

    assert {"citation": 2} == unsendable(message, "anthropic")
    with pytest.raises(NotExpressible, match="nothing left"):
        message.to_anthropic(drop=("text", "citation"))


def test_white_space_alone_is_left_out() -> None:
    """The API refuses a text block without a word in it."""
    assert [{"type": "text", "text": "Hi"}] == _blocks(TextPart(text="\n\n"), TextPart(text="Hi"), TextPart())


@pytest.mark.parametrize("signature", [None, "c2"])
def test_thinking_that_was_cut_is_incomplete(signature: str | None) -> None:
    """A signature comes last; the API takes no thinking back that lacks it, or has half of it."""
    assert {"incomplete": 1} == unsendable(
        _claude(ReasoningPart(text="Hm", signature=signature), TextPart(text="Hi")), "anthropic"
    )


def test_whole_thinking_without_a_signature_goes_back_to_who_sent_none() -> None:
    """Servers that imitate the API want it back in tool loops; Anthropic itself always signs."""
    part = ReasoningPart(text="Hm", complete=True)

    assert [{"type": "thinking", "thinking": "Hm", "signature": ""}] == _blocks(
        part, ReasoningPart(complete=True)
    )
    with pytest.raises(NotExpressible, match="1 reasoning"):
        _claude(part, format=None).to_anthropic()


def test_what_is_no_block_of_this_api_is_named() -> None:
    message = _claude(
        RefusalPart(text="no"),
        MediaPart(mime_type="image/png", data=b"\x00", complete=True),
        ToolCall(id="c", name="sh", arguments_text="ls", type="custom", complete=True),
        ToolCall(id="c", name="f", arguments_text="[1]", complete=True),
        ToolCall(id="c", name="f", arguments_text="{", complete=True),
        ToolCall(id="c", name="f", arguments_text='{"a": NaN}', complete=True),
        ToolCall(id="c", name="f", arguments_text='{"a": "\\ud83d"}', complete=True),
        ServerToolCall(id="s", name="web_search", arguments_text="[", complete=True),
        OpaquePart(type="tool_use", data={"type": "tool_use", "id": "c"}, complete=True),
        TextPart(text="Hi"),
    )

    assert {
        "refusal": 1,
        "media": 1,
        "custom_tool_call": 1,
        "invalid_tool_call": 4,
        "server_tool_call": 1,
        "opaque": 1,
    } == unsendable(message, "anthropic")
    assert [{"type": "text", "text": "Hi"}] == message.to_anthropic(drop="all")["content"]
