"""What is sent in chats and completions: the chunks of small answers, one by one."""

from __future__ import annotations

from typing import Any

from tests.relay.openai_answers import media_of, message_of
from tests.support.sent import bare, losses_of, relayed
from tokenstream import testing
from tokenstream.events import (
    Event,
    Finish,
    MediaDelta,
    PartDone,
    PartStart,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import MediaPart, ToolCall
from tokenstream.testing import Script


def _without_logprobs(choice: Any) -> Any:
    assert choice["logprobs"] is None
    return {name: value for name, value in choice.items() if name != "logprobs"}


def _deltas(script: Script, format: str = "openai-chat") -> list[Any]:
    """Return each choice of the chunks, without what is the same in all."""
    payloads = [payload for payload in bare(script.chunks(format)) if payload != "[DONE]"]
    return [_without_logprobs(choice) for payload in payloads for choice in payload["choices"]]


def _delta(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


HEAD = _delta(role="assistant", content="", refusal=None)


def test_chat_is_chunks_a_finish_a_report_and_a_sentinel() -> None:
    """The order of OpenAI's documents with `include_usage`."""
    script = (
        testing.script(id="chatcmpl-9", model="gpt-5.1")
        .text("Hi")
        .usage(input_tokens=7, output_tokens=3, reasoning_tokens=1, cached_tokens=0)
        .finish("stop")
    )
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1767225600, "model": "gpt-5.1"}
    report = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], "usage": None}

    assert [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        {**head, "choices": [], "usage": report},
        "[DONE]",
    ] == bare(script.chunks("openai-chat"))


def test_chat_has_deltas_for_reasoning_refusals_and_calls() -> None:
    """Reasoning stands where most servers have it; calls have an index, ids only at their start."""
    script = (
        testing.script()
        .reasoning("Hm")
        .refusal("No")
        .tool_call("rm", ("{", "}"))
        .tool_call("ls", "{}", id="c9")
    )

    assert [
        HEAD,
        _delta(reasoning_content="Hm"),
        _delta(refusal="No"),
        _delta(tool_calls=[_call(0, "call_1", "rm")]),
        _delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        _delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        _delta(tool_calls=[_call(1, "c9", "ls")]),
        _delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}]),
        _delta(finish="tool_calls"),
    ] == _deltas(script.finish("stop"))


def _call(index: int, id: str, name: str) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}


def test_chat_has_choices_each_with_its_role_and_its_finish() -> None:
    script = (
        testing.script().text("A").choice(1).text("B").finish("length").choice(0).finish().choice(2).finish()
    )

    assert [
        HEAD,
        _delta(content="A"),
        {**HEAD, "index": 1},
        _delta(1, content="B"),
        _delta(1, "length"),
        _delta(0, "stop"),
        {**HEAD, "index": 2},
        _delta(2, "stop"),
    ] == _deltas(script)


def test_chat_has_a_place_for_sources() -> None:
    """An annotation, without a null; the cited words are OpenRouter's addition."""
    script = (
        testing.script().text("Hi").citation(url="http://a.b", title="A").citation(url="http://c.d", text="C")
    )
    first = {"url": "http://a.b", "title": "A", "start_index": 0, "end_index": 0}
    second = {"url": "http://c.d", "title": "", "start_index": 0, "end_index": 0, "content": "C"}

    assert [
        _delta(annotations=[{"index": 0, "type": "url_citation", "url_citation": first}]),
        _delta(annotations=[{"index": 1, "type": "url_citation", "url_citation": second}]),
    ] == _deltas(script)[2:]
    found = message_of("openai-chat", script.finish().chunks("openai-chat")).citations
    assert [("http://a.b", None), ("http://c.d", "C")] == [(each.url, each.text) for each in found]


def test_chat_has_a_place_for_audio_and_images() -> None:
    """Audio in pieces as OpenAI sends it, images whole as OpenRouter does."""
    script = testing.script().media(b"\x00\x01", "audio/pcm").media(b"\x02", "image/png").finish()

    assert [
        _delta(audio={"id": "audio_1", "data": "AAE="}),
        _delta(
            images=[{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,Ag=="}}]
        ),
    ] == _deltas(script)[1:-1]
    media = media_of(message_of("openai-chat", script.chunks("openai-chat")))
    assert [(b"\x00\x01", None), (b"\x02", "image/png")] == [(each.data, each.mime_type) for each in media]


def test_chat_sends_what_audio_says_and_where_an_image_is() -> None:
    """A transcript comes beside the audio; an image that was not sent itself is a URL."""
    start = PartStart(MediaPart(mime_type="image/png", url="http://a.b/c.png"), part=1)
    chunks = relayed(
        "openai-chat", MediaDelta(transcript="Hi"), PartDone(), start, PartDone(part=1), Finish("stop")
    )

    audio, image = media_of(message_of("openai-chat", chunks))
    assert (("Hi", None), ("", "http://a.b/c.png")) == (
        (audio.transcript, audio.url),
        (image.transcript, image.url),
    )


def test_chat_shows_no_file_as_an_image() -> None:
    """Of what has only an address, it has a place for images."""
    events: list[Event] = [
        PartStart(MediaPart(mime_type="application/pdf", url="http://a.b/c.pdf")),
        PartDone(),
        Finish("stop"),
    ]

    assert {"file": ()} == losses_of("openai-chat", *events)
    chunks = relayed("openai-chat", *events, lossy=True)
    assert () == message_of("openai-chat", chunks, "answer_empty").parts


def test_chat_has_custom_tools() -> None:
    call = ToolCall(id="c1", name="sql", arguments_text="SELECT 1", type="custom", complete=True)
    chunks = relayed(
        "openai-chat",
        ToolCallStart("c1", "sql", type="custom"),
        ToolCallDelta("c1", "SELECT 1"),
        ToolCallDone(call),
        Finish("tool_calls"),
    )

    assert {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "sql", "input": ""}} == (
        bare(chunks)[1]["choices"][0]["delta"]["tool_calls"][0]
    )
    (read,) = message_of("openai-chat", chunks).tool_calls
    assert ("sql", "SELECT 1", "custom", True) == (read.name, read.arguments_text, read.type, read.complete)


# -- Mistral ------------------------------------------------------------------------


def test_mistral_sends_calls_whole_and_counts_with_the_last_chunk() -> None:
    """Mistral's SDK refuses a fragment without a name."""
    script = (
        testing.script()
        .reasoning("Hm")
        .tool_call("rm", ("{", "}"))
        .usage(input_tokens=1, output_tokens=2)
        .finish("stop")
    )
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
    call = {"id": "call_1", "function": {"name": "rm", "arguments": "{}"}, "index": 0}

    assert [
        _delta(role="assistant", content=""),
        _delta(content=thought),
        _delta(content="", tool_calls=[call]),
        _delta(finish="tool_calls", content=""),
    ] == _deltas(script, "mistral")
    *_, last, done = bare(script.chunks("mistral"))
    assert {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3} == last["usage"]
    assert "[DONE]" == done


def test_an_error_of_mistral_is_a_chunk() -> None:
    """Mistral's SDK refuses a chunk that lacks fields."""
    script = testing.script(id="cmpl-9", model="m").text("Hi").error("busy")
    *_, last = bare(script.chunks("mistral"))

    assert {"id": "cmpl-9", "model": "m", "choices": []}.items() <= last.items()
    assert "busy" == last["error"]["message"]


def test_mistral_tells_no_counts_where_there_are_none() -> None:
    *_, last, _ = bare(testing.script().text("Hi").finish().chunks("mistral"))
    assert "usage" not in last


# -- completions ------------------------------------------------------------------


def test_completions_are_pieces_of_text() -> None:
    script = testing.script().text("Hel", "lo").choice(1).text("Hi").finish("length").choice(0).finish("stop")
    *pieces, done = bare(script.chunks("openai-completions"))

    assert [("Hel", 0, None), ("lo", 0, None), ("Hi", 1, None), ("", 1, "length"), ("", 0, "stop")] == [
        (choice["text"], choice["index"], choice["finish_reason"])
        for payload in pieces
        for choice in payload["choices"]
    ]
    assert "[DONE]" == done
    assert {"cmpl-1"} == {payload["id"] for payload in pieces}
