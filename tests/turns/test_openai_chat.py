"""`message.to_openai_chat()`: one message of the next request, for OpenAI and those who speak like it."""

from __future__ import annotations

from functools import partial

import pytest

from tests.turns.sdks import accept, answer_of, unsendable
from tokenstream.errors import NotExpressible
from tokenstream.message import (
    Citation,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)

WEATHER = ToolCall(id="c1", name="weather", arguments_text='{"city": "Oslo"}', complete=True)
WEATHER_ITEM = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}


_chat = partial(answer_of, format="openai-chat")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """Servers read the arguments as JSON, which an empty text is not."""
    turn = _chat(ToolCall(id="c", name="now", complete=True)).to_openai_chat()

    assert "{}" == turn["tool_calls"][0]["function"]["arguments"]


def test_a_file_that_was_read_is_sent_back_and_not_paid_again() -> None:
    """OpenRouter takes the annotation of a PDF; another citation is for the reader alone."""
    file = {
        "type": "file",
        "file": {"hash": "h", "name": "a.pdf", "content": [{"type": "text", "text": "x"}]},
    }
    page = {"type": "url_citation", "url_citation": {"url": "https://example.org"}}
    message = _chat(
        TextPart(text="Hi", complete=True), *(Citation(provider_data=each) for each in (file, page))
    )

    assert [file] == message.to_openai_chat()["annotations"]


def test_a_custom_call_keeps_its_free_text() -> None:
    """OpenAI's custom tools take text."""
    call = ToolCall(id="c", name="sh", arguments_text="ls -l", type="custom", complete=True)
    turn = _chat(call).to_openai_chat()

    assert [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls -l"}}] == turn["tool_calls"]
    accept("openai-chat", turn)


def test_a_call_of_a_dialects_own_type_keeps_it() -> None:
    """Moonshot's built-in functions are called with a type of their own; to others it means nothing."""
    call = WEATHER.model_copy(update={"type": "builtin_function"})

    assert [{**WEATHER_ITEM, "type": "builtin_function"}] == _chat(call).to_openai_chat()["tool_calls"]
    with pytest.raises(NotExpressible, match="1 custom_tool_call"):
        _chat(call, format="ag-ui").to_openai_chat()


def test_a_legacy_call_goes_back_as_the_legacy_field() -> None:
    """A server of before there were tools knows no `tool_calls`."""
    call = WEATHER.model_copy(update={"type": "function_call"})
    turn = _chat(call).to_openai_chat()

    assert {"role": "assistant", "content": None, "function_call": WEATHER_ITEM["function"]} == turn
    accept("openai-chat", turn)


def test_a_signature_on_a_call_goes_back_where_it_was() -> None:
    """Gemini's compatible endpoint refuses a call without the signature that it sent."""
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    turn = _chat(WEATHER.model_copy(update={"provider_data": extra})).to_openai_chat()

    assert [{**WEATHER_ITEM, **extra}] == turn["tool_calls"]


def test_plain_reasoning_goes_back_under_the_name_that_the_server_uses() -> None:
    """DeepSeek, Qwen and Moonshot want `reasoning_content` in tool loops; vLLM and Groq say `reasoning`."""
    message = _chat(ReasoningPart(text="Let "), ReasoningPart(text="me see"), WEATHER)

    assert "Let me see" == message.to_openai_chat()["reasoning_content"]
    assert "Let me see" == message.to_openai_chat(reasoning_field="reasoning")["reasoning"]
    assert "reasoning_content" not in message.to_openai_chat(drop="reasoning")


def test_reasoning_alone_comes_with_empty_text() -> None:
    """Servers want `content` where there is neither a call nor a refusal."""
    turn = _chat(ReasoningPart(text="Hm"), ReasoningPart()).to_openai_chat()

    assert {"role": "assistant", "content": "", "reasoning_content": "Hm"} == turn


def test_thinking_blocks_have_a_list_of_their_own() -> None:
    """LiteLLM hands Anthropic's blocks through, and takes them back."""
    turn = _chat(
        ReasoningPart(text="Hm", signature="c2ln", provider_data={"type": "thinking"}, complete=True),
        ReasoningPart(redacted="aGlkZGVu", provider_data={"type": "redacted_thinking"}),
    ).to_openai_chat()

    assert [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "aGlkZGVu"},
    ] == turn["thinking_blocks"]


def test_an_encrypted_detail_with_nothing_in_it_gets_no_text() -> None:
    """Nothing is added to what the server sent."""
    data = {"type": "reasoning.encrypted", "id": "r1"}
    turn = _chat(ReasoningPart(signature="c2ln", provider_data=data, complete=True)).to_openai_chat()

    assert [{**data, "signature": "c2ln"}] == turn["reasoning_details"]


def test_signed_reasoning_without_a_type_is_a_detail() -> None:
    """A signature belongs to its text, so both go in one piece."""
    turn = _chat(
        ReasoningPart(text="Hm", signature="c2ln", complete=True), ReasoningPart(redacted="eA==")
    ).to_openai_chat()

    assert [
        {"type": "reasoning.text", "text": "Hm", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "eA=="},
    ] == turn["reasoning_details"]


def test_a_signature_that_stands_alone_goes_back_alone() -> None:
    """Gemini's compatible endpoint sends it in a delta of its own."""
    turn = _chat(TextPart(text="Hi"), ReasoningPart(signature="c2ln")).to_openai_chat()

    assert {"google": {"thought_signature": "c2ln"}} == turn["extra_content"]


def test_spoken_audio_goes_back_by_its_id() -> None:
    """The server has kept the audio."""
    turn = _chat(MediaPart(id="audio_1", data=b"\x00", transcript="Hi", complete=True)).to_openai_chat()

    assert {"role": "assistant", "content": None, "audio": {"id": "audio_1"}} == turn
    accept("openai-chat", turn)


def test_what_the_server_said_beside_its_answer_stays_behind() -> None:
    """No server of this kind takes its own sources, or the tools that it ran, back."""
    turn = _chat(
        TextPart(text="Hi"),
        Citation(url="https://example.org"),
        ServerToolCall(id="0", name="search", complete=True),
        ServerToolResult(id="0", name="search", complete=True),
    ).to_openai_chat()

    assert {"role": "assistant", "content": "Hi"} == turn


def test_all_that_has_no_place_is_named_at_once_with_how_many() -> None:
    message = _chat(
        TextPart(text="Hi"),
        Citation(url="https://example.org"),
        Citation(url="https://example.com"),
        ServerToolCall(id="0", name="search", complete=True),
        ServerToolResult(id="0", name="search", complete=True),
        MediaPart(mime_type="image/png", data=b"\x00", complete=True),
        OpaquePart(type="x", complete=True),
        ToolCall(id="c", name="cut", arguments_text='{"a'),
        ToolCall(name="nobody's", complete=True),
        format="ui-message",
    )

    with pytest.raises(NotExpressible, match=r"2 citation.*drop=\('citation', 'server") as caught:
        message.to_openai_chat()

    assert {
        "citation": 2,
        "server_tool_call": 1,
        "server_tool_result": 1,
        "media": 1,
        "opaque": 1,
        "incomplete": 1,
        "invalid_tool_call": 1,
    } == caught.value.kinds
    assert {"role": "assistant", "content": "Hi"} == message.to_openai_chat(drop="all")
    assert message.to_openai_chat(drop=tuple(caught.value.kinds)) == message.to_openai_chat(drop="all")


def test_another_providers_reasoning_and_signatures_stay_behind_with_leave_only() -> None:
    """Text and calls are carried over; what only their provider can read is named."""
    signed = WEATHER.model_copy(update={"provider_data": {"thoughtSignature": "c2ln", "id": "c1"}})
    message = _chat(ReasoningPart(text="Hm"), TextPart(text="Hi"), signed, format="gemini")

    turn = message.to_openai_chat(drop=("reasoning", "signature"))

    assert {"reasoning": 1, "signature": 1} == unsendable(message, "openai-chat")
    assert {"role": "assistant", "content": "Hi", "tool_calls": [WEATHER_ITEM]} == turn
