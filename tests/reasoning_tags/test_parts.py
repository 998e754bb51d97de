"""Reasoning between tags becomes parts: their events, indexes, bounds and views."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reasoning_tags.support import SCRIPT, decoded, parts_of
from tests.support import encoders
from tests.support.formats import OpenAIChat
from tests.support.wire import DONE, chat, chat_call
from tokenstream import Decoder, Limits, Stream, Tags
from tokenstream.events import Event, PartDone, PartStart, ReasoningDelta, TextDelta
from tokenstream.message import ReasoningPart, TextPart


def test_events_tell_of_parts_of_reasoning() -> None:
    chunks = [chat({"content": text}) for text in ["<think>a", "b</think>", "\n\nc", " d"]]
    _, events = decoded([*chunks, chat({}, "stop"), DONE], tags=Tags(reasoning=("think",)))
    shown = [
        event for event in events if isinstance(event, PartStart | PartDone | ReasoningDelta | TextDelta)
    ]

    assert [
        (PartStart, 0),
        (ReasoningDelta, 0),
        (ReasoningDelta, 0),
        (PartDone, 0),
        (PartStart, 1),
        (TextDelta, 1),
        (TextDelta, 1),
        (PartDone, 1),
    ] == [(type(event), event.part) for event in shown]
    assert all(isinstance(event.raw, dict) for event in shown)


def test_a_part_may_begin_with_text_and_end_with_more_that_is_known() -> None:
    """Formats may tell a part's start again, and its whole at the end, which has the tags."""
    phase: Any = "final_answer"
    events: list[Event] = [
        PartStart(TextPart(text="<think>a</think>b")),
        PartStart(TextPart(phase=phase)),
        PartDone(TextPart(text="<think>a</think>b", phase=phase, provider_data={"id": 1}, complete=True)),
        PartStart(TextPart(text="c"), part=1),
        PartDone(TextPart(text="c", phase=phase, complete=True), part=1),
    ]

    class Telling(OpenAIChat):
        def read(self, payload: dict[str, Any], event: str) -> None:
            for each in events:
                self.parts.emit(each)

    decoder = Decoder(Telling(), tags=Tags(reasoning=("think",)))
    decoder.feed(chat({}))

    assert [
        ReasoningPart(text="a", complete=True),
        TextPart(text="b", phase=phase, provider_data={"id": 1}, complete=True),
        TextPart(text="c", phase=phase, complete=True),
    ] == [*decoder.message.parts]


def test_views_give_reasoning_as_it_comes() -> None:
    chunks = [chat({"content": text}) for text in ["<thi", "nk>a ", "b</think>c", " <th", "d"]]
    body = [*chunks, chat({}, "stop"), DONE]

    assert ["a ", "b"] == list(Stream(body, tags=Tags(reasoning=True)).reasoning)
    assert ["c", " ", "<thd"] == list(Stream(body, tags=Tags(reasoning=True)).text)
    assert ["a ", "b", "c", " ", "<thd"] == [
        delta.text for delta in Stream(body, tags=Tags(reasoning=True)).deltas
    ]


def test_each_choice_starts_fresh() -> None:
    body = [
        chat({"content": "<think>a"}),
        chat({"content": "b"}, index=1),
        chat({"content": "c</think>d"}),
        chat({"content": " <think>e"}, index=1),
        chat({}, "stop"),
        chat({}, "stop", index=1),
        DONE,
    ]
    stream = Stream(body, tags=Tags(reasoning=True))
    stream.final()

    assert [("ac", "d"), ("e", "b ")] == [(each.reasoning, each.text) for each in stream.messages]


def test_calls_that_follow_a_thought_are_read_as_ever() -> None:
    calls = [chat({"tool_calls": [chat_call(0, "", id="c1", name="f")["tool_calls"][0]]})]
    body = [
        chat({"content": "<think>a</think>b <think>c</think>"}),
        *calls,
        *[chat(chat_call(0, piece)) for piece in ['{"a"', *[": "] * 1, '"', *["x"] * 40, '"}']],
        chat({}, "tool_calls"),
        DONE,
    ]
    stream = Stream(body, tags=Tags(reasoning=True))
    message = stream.final()

    assert ["reasoning", "text", "reasoning", "tool_call"] == [part.kind for part in message.parts]
    assert message.tool_calls[0].arguments == {"a": "x" * 40}


def test_what_a_provider_tells_as_reasoning_stays_beside_it() -> None:
    body = [chat({"reasoning_content": "a"}), chat({"content": "<think>b</think>c"}), chat({}, "stop"), DONE]
    message = Stream(body, tags=Tags(reasoning=True)).final()

    assert [("reasoning", "a"), ("reasoning", "b"), ("text", "c")] == parts_of(message)


def test_parts_are_no_more_than_their_bound() -> None:
    """Where tags would make more of them, what follows goes on where it was."""
    body = [chat({"content": "a <think>b</think>" * 100}), chat({}, "stop"), DONE]
    message = Stream(body, tags=Tags(reasoning=True), limits=Limits(parts=10)).final()

    assert len(message.parts) == 10
    assert len("a b") * 100 == len(message.text + message.reasoning)


def test_citations_name_the_parts_of_the_message() -> None:
    source = {
        "type": "url_citation",
        "url_citation": {"url": "https://example.org", "start_index": 1, "end_index": 9},
    }
    body = [chat({"content": "<think>a</think>b"}), chat({"annotations": [source]}), chat({}, "stop"), DONE]
    plain = Stream(body).final().citations[0]
    cited = Stream(body, tags=Tags(reasoning=True)).final().citations[0]

    assert (plain.url, None, None) == (cited.url, cited.start, cited.end)


@pytest.mark.parametrize(
    "format", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama", "ui-message"]
)
def test_encoders_get_events_that_hold_together(format: str) -> None:
    """What is sent on is read again as text and reasoning."""
    _, events = decoded(SCRIPT.chunks("openai-chat"), tags=Tags(reasoning=True))
    encoder = encoders.create(format)
    sent = [chunk for event in events for chunk in encoder.feed(event)] + encoder.end()
    decoder, _ = decoded(sent, format=format)

    assert decoder.error is None
    assert decoder.message.reasoning == "Let me" + " see" * 40 + ".more"
    assert decoder.message.text == "Hello " + "world " * 40 + "`<think>` isand bye"


def test_an_object_is_read_without_the_thoughts_before_it() -> None:
    """Structured output is read of the text."""
    body = [chat({"content": piece}) for piece in ["<think>{</th", "ink>\n[1", ", 2]"]]
    stream = Stream([*body, chat({}, "stop"), DONE], tags=Tags(reasoning=True))

    assert [1, 2] == stream.result(list[int])
