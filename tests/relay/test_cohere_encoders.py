"""What a script is on the wire of Cohere's chat API, version 2."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.sent import decoded, payloads_of, relayed, sent
from tokenstream import testing
from tokenstream.errors import ErrorKind, ProviderError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from tokenstream.message import Citation
from tokenstream.testing import Script


def event(kind: str, index: int, **message: Any) -> tuple[str, Any]:
    """Return an event of a content block, a tool call or a citation."""
    delta = {"delta": {"message": message}} if message else {}
    return kind, {"type": kind, "index": index, **delta}


def content(index: int, key: str, *texts: str) -> list[tuple[str, Any]]:
    return [
        event("content-start", index, content={"type": key, key: ""}),
        *(event("content-delta", index, content={key: text}) for text in texts),
        event("content-end", index),
    ]


def call(index: int, id: str, name: str, *fragments: str) -> list[tuple[str, Any]]:
    start = {"id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    return [
        event("tool-call-start", index, tool_calls=start),
        *(event("tool-call-delta", index, tool_calls={"function": {"arguments": f}}) for f in fragments),
        event("tool-call-end", index),
    ]


_NONE = {"input_tokens": 0, "output_tokens": 0}


def end(**delta: Any) -> tuple[str, Any]:
    """Return the end of an answer; clients want token counts in it, be they 0."""
    usage = {"usage": {"billed_units": _NONE, "tokens": _NONE}}
    return "message-end", {"type": "message-end", "delta": {**usage, **delta}}


def body_of(script: Script) -> list[tuple[str, Any]]:
    return sent(script, "cohere")[1:]


def test_an_answer_is_sent_as_cohere_documents_it() -> None:
    """Content blocks and tool calls are counted apart, each from 0."""
    script = (
        testing.script(id="m9")
        .reasoning("Let me", " see.")
        .tool_call("get_weather", ('{"city":', '"Oslo"}'), id="w7")
        .tool_call("now", "", id="n8")
        .text("It is ", "–5 °C.")
        .usage(input_tokens=9, output_tokens=4, cached_tokens=5)
        .finish()
    )
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    tokens = {"input_tokens": 9, "output_tokens": 4}
    expected = [
        ("message-start", {"id": "m9", "type": "message-start", "delta": {"message": empty}}),
        *content(0, "thinking", "Let me", " see."),
        *call(0, "w7", "get_weather", '{"city":', '"Oslo"}'),
        *call(1, "n8", "now"),
        *content(1, "text", "It is ", "–5 °C."),
        end(finish_reason="TOOL_CALL", usage={"billed_units": tokens, "tokens": tokens, "cached_tokens": 5}),
    ]

    assert expected == sent(script, "cohere")


@pytest.mark.parametrize(
    "kind, words, read",
    [
        ("server", "It broke", "server"),
        ("overloaded", "Overloaded", "overloaded"),
        ("network", "Lost", "server"),
    ],
)
def test_an_error_is_an_end_that_says_so(kind: ErrorKind, words: str, read: ErrorKind) -> None:
    script = testing.script().text("Hel").error(words, kind=kind)
    decoder = decoded(script.chunks("cohere"), "cohere")
    with pytest.raises(ProviderError, match=words) as caught:
        decoder.check()

    assert [*content(0, "text", "Hel"), end(finish_reason="ERROR", error=words)] == body_of(script)
    assert (read, "Hel", "failed", {}) == (
        caught.value.kind,
        decoder.message.text,
        decoder.message.ending,
        decoder.departures.details,
    )


@pytest.mark.parametrize("code, word", [("TIMEOUT", "TIMEOUT"), ("busy", "ERROR")])
def test_the_code_of_an_error_may_be_a_finish_reason(code: str, word: str) -> None:
    """Cohere has two that are failures, and no codes."""
    assert [end(finish_reason=word, error="Slow")] == sent(
        testing.script().error("Slow", code=code), "cohere"
    )


# -- citations ----------------------------------------------------------------------


def cited(index: int, citation: dict[str, Any]) -> list[tuple[str, Any]]:
    return [event("citation-start", index, citations=citation), event("citation-end", index)]


def source(number: int, **document: str) -> list[dict[str, Any]]:
    id_ = f"doc_{number}"
    return [{"type": "document", "id": id_, "document": {"id": id_, **document}}]


def test_a_source_is_named_for_all_that_a_text_says() -> None:
    """A script does not tell which of its words it is for; citations have an index of their own."""
    script = (
        testing.script()
        .reasoning("Hm")
        .text("The bridge ", "opened.")
        .citation(url="https://example.org/b", title="The bridge", text="It opened.")
        .citation(title="Dates")
        .finish()
    )
    words = {"start": 0, "end": 18, "text": "The bridge opened."}
    place = {"content_index": 1, "type": "TEXT_CONTENT"}
    page = source(1, title="The bridge", url="https://example.org/b", snippet="It opened.")
    expected = [
        *content(0, "thinking", "Hm"),
        *content(1, "text", "The bridge ", "opened.")[:-1],
        *cited(0, {**words, "sources": page, **place}),
        *cited(1, {**words, "sources": source(2, title="Dates"), **place}),
        event("content-end", 1),
        end(finish_reason="COMPLETE"),
    ]

    assert expected == body_of(script)


def test_a_source_quotes_the_words_that_it_is_named_for() -> None:
    events: list[Event] = [
        TextDelta("The bridge", part=0),
        ReasoningDelta("Hm", part=1),
        CitationAdded(Citation(title="B", start=4, end=10, cites=0), part=2),
        Finish("stop"),
    ]
    citation = {
        "start": 4,
        "end": 10,
        "text": "bridge",
        "sources": source(1, title="B"),
        "content_index": 0,
        "type": "TEXT_CONTENT",
    }
    assert cited(0, citation) == [
        pair for pair in payloads_of(relayed("cohere", *events)) if "citation" in pair[0]
    ]


def test_a_source_of_nothing_says_where_it_is_from() -> None:
    script = testing.script().citation(title="B").finish()
    assert cited(0, {"sources": source(1, title="B"), "type": "TEXT_CONTENT"}) == body_of(script)[:-1]


def test_coheres_own_citation_is_sent_as_it_came() -> None:
    own = {"start": 0, "end": 2, "text": "Hi", "sources": [{"type": "tool", "id": "t1"}]}
    citation = CitationAdded(Citation(provider_data=own), part=1)
    assert cited(0, own) == payloads_of(relayed("cohere", TextDelta("Hi"), citation, Finish("stop")))[3:5]


def test_an_error_ends_no_call() -> None:
    """What was being written is no call that may be run, however whole it looks."""
    events: list[Event] = [ToolCallStart("c1", "rm", part=0), ToolCallDelta("c1", '{"path": "/tm"}', part=0)]
    script = testing.script().tool_call("rm", '{"path": "/tm').error("It broke")
    names = [name for name, _ in body_of(script)]

    assert ["tool-call-start", "tool-call-delta", "tool-call-delta", "message-end"] == names
    assert "tool-call-end" not in [name for name, _ in payloads_of(relayed("cohere", *events))]
