"""`message.to_ollama()`: one message of Ollama's own chat."""

from __future__ import annotations

from functools import partial

from tests.turns.sdks import accept, answer_of, unsendable
from tokenstream import Stream, Tags, testing
from tokenstream.message import MediaPart, ReasoningPart, TextPart, ToolCall

_ollama = partial(answer_of, format="ollama")


def test_thinking_text_images_and_calls_have_a_field_each() -> None:
    """Arguments are an object here, and an index belongs to the function."""
    call = ToolCall(
        id="call_a1b2",
        name="weather",
        arguments_text='{"city": "Oslo"}',
        complete=True,
        provider_data={"index": 0, "x": 1},
    )
    turn = _ollama(
        ReasoningPart(text="H"),
        ReasoningPart(text="m"),
        TextPart(text="Hi"),
        MediaPart(data=bytes(2), complete=True),
        call,
    ).to_ollama()

    assert {
        "role": "assistant",
        "content": "Hi",
        "thinking": "Hm",
        "images": ["AAA="],
        "tool_calls": [
            {
                "id": "call_a1b2",
                "x": 1,
                "function": {"name": "weather", "arguments": {"city": "Oslo"}, "index": 0},
            }
        ],
    } == turn
    accept("ollama", turn)


def test_an_id_that_was_made_up_here_stays_here() -> None:
    """Older servers have none; another provider's is what the tool's result names."""
    call = ToolCall(id="call_0", name="now", complete=True, provider_data={"made_up_id": True})

    assert [{"function": {"name": "now", "arguments": {}}}] == _ollama(call).to_ollama()["tool_calls"]
    assert "call_0" == _ollama(call, format="anthropic").to_ollama()["tool_calls"][0]["id"]


def test_what_has_no_field_is_named() -> None:
    message = _ollama(
        ReasoningPart(text="Hm", signature="c2ln"),
        ReasoningPart(redacted="eA=="),
        MediaPart(mime_type="audio/wav", data=bytes(2), complete=True),
        MediaPart(url="https://x", complete=True),
        MediaPart(data=bytes(2), transcript="Hi", complete=True),
    )
    foreign = _ollama(
        ReasoningPart(text="Hm"),
        MediaPart(data=bytes(2), complete=True),
        MediaPart(mime_type="image/png", data=bytes(2), complete=True),
        format="openai-chat",
    )

    assert {"reasoning": 2, "media": 3} == unsendable(message, "ollama")
    assert {"reasoning": 1, "media": 1} == unsendable(foreign, "ollama")
    assert ["AAA="] == foreign.to_ollama(drop="all")["images"]


def test_a_call_that_was_written_in_a_text_has_no_id() -> None:
    """The server has not seen that it is a call."""
    text = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
    answer = testing.script().text(text).finish("stop").stream("ollama", tags=Tags(calls="hermes")).final()

    assert ["id" in call for call in answer.to_ollama()["tool_calls"]] == [False]


def test_what_we_noted_of_a_call_or_a_thought_goes_into_no_request() -> None:
    """An id that the library made up, and the field of the reasoning, are news for the reader alone."""
    call_of = {"reasoning": "Hm.", "tool_calls": [{"function": {"name": "now", "arguments": "{}"}}]}
    frame = {"choices": [{"index": 0, "delta": call_of, "finish_reason": "tool_calls"}]}
    message = Stream([frame], format="openai-chat").final()
    data = [part.model_dump()["provider_data"] for part in message.parts]
    assert [{"read_from": "reasoning"}, {"made_up_id": True}] == data
    for turn in (message.to_openai_chat(), message.to_mistral(), message.to_ollama(drop="all")):
        assert "read_from" not in str(turn)
        assert "made_up_id" not in str(turn)
