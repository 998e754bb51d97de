"""Cohere v1: JSON lines or server-sent events, tool calls in two forms, and an end that repeats it all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.cohere.payloads import USAGE, Payload, line, read_by, written
from tests.formats.told import Told
from tests.support import registry
from tests.support.formats import Cohere
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream
from tokenstream.errors import ProtocolError
from tokenstream.framing import ServerSentEvent

START = line("stream-start", generation_id="g1")
DOCUMENT = {"id": "web_0", "title": "Tides", "url": "https://example.org/tides", "snippet": "s"}
CITATION = {"start": 0, "end": 3, "text": "Hel", "document_ids": ["web_0"]}


def said(text: Any, **fields: Any) -> Payload:
    return line("text-generation", text=text, **fields)


def end(reason: Any = "COMPLETE", **response: Any) -> Payload:
    held = {"generation_id": "g1", "text": "Hello", "meta": USAGE, **response}
    return line("stream-end", finish_reason=reason, response=held)


def read(*payloads: Payload) -> Told:
    return read_by(Cohere(), *map(written, payloads))


def test_text_is_that_of_the_pieces_alone() -> None:
    """The end repeats the whole text, and is not taken for more."""
    came = read(START, said("Hel"), said("lo"), end())

    assert ("Hello", "g1", "stop", "COMPLETE") == (
        came.message.text,
        came.message.id,
        came.reason,
        came.raw_reason,
    )
    assert (None, {}) == (came.error, came.departures)
    assert (8, 5) == (came.message.usage.input_tokens, came.message.usage.output_tokens)


def test_server_sent_events_hold_the_same() -> None:
    payloads = [START, said("Hel"), said("lo"), end()]
    named = read_by(Cohere(), *[ServerSentEvent(written(each), each["event_type"]) for each in payloads])
    other = read_by(Cohere(), *[ServerSentEvent(written(each), "content-delta") for each in payloads])

    assert (read(*payloads).events, {}) == (named.events, named.departures)
    assert (named.events, {"event_name_differs": 4}) == (other.events, other.departures)


def test_searches_and_citations_are_kept() -> None:
    """A citation's documents are named by their ids, and come before it or with it."""
    queries = [{"text": "q", "generation_id": "q1"}]
    came = read(
        START,
        line("search-queries-generation", search_queries=queries),
        line("search-results", search_results=[{"document_ids": ["web_0"]}], documents=[DOCUMENT]),
        said("Hello"),
        line("citation-generation", citations=[CITATION]),
        end(citations=[CITATION], documents=[DOCUMENT], search_queries=queries),
    )

    data = came.data
    assert (queries, [DOCUMENT]) == (data["search_queries"], data["documents"])
    assert [("Tides", DOCUMENT["url"], 0, 0, 3)] == [
        (each.title, each.url, each.cites, each.start, each.end) for each in came.message.citations
    ]


def test_citations_that_only_the_end_has_are_taken() -> None:
    history = [{"role": "USER", "message": "Hi"}]
    came = read(
        START,
        said("Hello"),
        end(citations=[CITATION], documents=[DOCUMENT], chat_history=history, response_id="r1"),
    )

    assert ["Tides"] == [each.title for each in came.message.citations]
    assert (history, "r1") == (came.data["chat_history"], came.data["response_id"])


def chunk(**fields: Any) -> Payload:
    return line("tool-calls-chunk", **fields)


def delta(index: Any = 0, **fields: Any) -> Payload:
    return chunk(tool_call_delta={"index": index, **fields})


def generated(*calls: Payload, **fields: Any) -> Payload:
    return line("tool-calls-generation", tool_calls=list(calls), **fields)


A, B = {"name": "a", "parameters": {"x": 1}}, {"name": "b", "parameters": {}}


def test_streamed_calls_are_handed_out_when_all_are_generated() -> None:
    """Calls of v1 may be written in turns, and have no ids; the list that repeats them ends them."""
    came = read(
        START,
        chunk(text="I will."),
        delta(0, name="a"),
        delta(1.0, name="b"),
        delta(0, parameters='{"x"'),
        delta(1, parameters="{}"),
        delta(0, parameters=": 1}", text=" Now."),
        generated(A, B, text="I will. Now."),
        end(tool_calls=[A, B]),
    )

    assert [("call_0", "a", '{"x": 1}'), ("call_1", "b", "{}")] == [
        (call.id, call.name, call.arguments_text) for call in came.calls
    ]
    assert ("tool_calls", "I will. Now.", {}) == (came.reason, came.message.reasoning, came.departures)


@pytest.mark.parametrize("payloads", [[generated(A, B, text="Plan."), end()], [end(tool_calls=[A, B])]])
def test_calls_that_come_whole_are_handed_out(payloads: list[Payload]) -> None:
    came = read(START, *payloads)

    assert [("a", {"x": 1}), ("b", {})] == [(call.name, call.arguments) for call in came.calls]
    assert {} == came.departures


@in_one_test(
    "pieces",
    [
        ['{"x": [1', ', 2], "y": "b"}'],
        ['{"x":[1', ',2],"y":"b"}'],
        ['{"x": [1', ", 2], "],
        ['{"x":[1'],
        ['{"x": [1', '"y": "b"}'],
        ['{"x": [1', ", 2], ", ", 2], ", '"y": "b"}'],
        ['{"x": [3], "y": "b"}'],
        [],
    ],
)
def test_the_list_of_calls_has_the_arguments_that_count(pieces: list[str]) -> None:
    """Pieces may be lost or doubled, or be those of other arguments."""
    whole = {"x": [1, 2], "y": "b"}
    came = read(
        START,
        delta(0, name="a"),
        *[delta(0, parameters=piece) for piece in pieces],
        generated({"name": "a", "parameters": whole}),
        end(),
    )

    assert [("a", whole)] == [(call.name, call.arguments) for call in came.calls]


def test_arguments_that_the_list_of_calls_leaves_out_are_those_of_the_pieces() -> None:
    """An empty object in the list says nothing of them."""
    streamed = [delta(0, name="a"), delta(0, parameters='{"x": 1}')]
    came = read(START, *streamed, generated({"name": "a", "parameters": {}}), end())

    assert [{"x": 1}] == [call.arguments for call in came.calls]


def test_odd_calls_are_tolerated() -> None:
    came = read(
        START,
        delta(0, parameters="{}"),
        delta(None, name="a"),
        delta(None, name="a"),
        delta(None),
        delta(None, parameters={"x": 1}),
        delta(7),
        generated({}, {"parameters": {}}, {"name": "c"}),
        end(),
    )

    assert [("a", {"x": 1}), ("c", {})] == [(call.name, call.arguments) for call in came.calls]
    assert {
        "part_unopened": 1,
        "call_repeated": 1,
        "arguments_parsed": 1,
        "call_nameless": 1,
    } == came.departures


def test_a_call_that_the_end_cuts_is_not_handed_out() -> None:
    """Without the list that ends the calls, the finish reason decides."""
    came = read(START, delta(0, name="a"), delta(0, parameters='{"x": 1'), end("MAX_TOKENS"))

    assert ([], "length") == (came.calls, came.reason)
    assert ['{"x": 1'] == [call.arguments_text for call in came.message.tool_calls]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("ERROR_TOXIC", "content_filter"),
    ],
)
def test_finish_reasons_have_words_of_ours(word: str, reason: str) -> None:
    """ERROR_LIMIT is the end of the context, and no failure."""
    came = read(START, said("Hi"), end(word))

    assert (reason, word, None) == (came.reason, came.raw_reason, came.error)


@pytest.mark.parametrize(
    "payload",
    [
        {**end("ERROR"), "error": "it broke"},
        line("stream-error", finish_reason="ERROR", err="it broke"),
        line("stream-error", err="it broke"),
        {"error": "it broke"},
    ],
)
def test_an_error_is_the_providers(payload: Payload) -> None:
    came = read(START, said("Hel"), payload)

    assert ("it broke" in str(came.failure), "Hel") == (True, came.message.text)


def test_several_generations_are_choices() -> None:
    came = read(
        said("a", index=0),
        said("b", index=1),
        line("stream-end", response={"id": "x1", "generations": [{"finish_reason": "COMPLETE"}]}),
    )

    assert (["a", "b"], "x1") == ([each.text for each in came.messages], came.message.id)
    assert {"stop"} == {each.finish_reason for each in came.messages}


def test_the_lost_end_of_each_generation_is_given() -> None:
    """The end repeats the text of every choice; a choice that did not arrive at all is given whole."""
    whole = [{"text": "Hello", "finish_reason": "COMPLETE"}, {"text": "Bye"}, {"text": "Hi", "index": 2}]
    stream = Stream(
        [said("Hel", index=0), said("By", index=1), line("stream-end", response={"generations": whole})]
    )
    stream.final()

    assert [("Hello", "complete"), ("Bye", "complete"), ("Hi", "complete")] == [
        (message.text, message.ending) for message in stream.messages
    ]
    assert 3 == stream.departures.details["text_completed"]


def test_a_text_of_which_no_delta_arrived_is_given_whole() -> None:
    """The end alone has it; beside a plan or tool calls, it is the plan."""
    came, planned = read(START, end()), read(START, chunk(text="Hello"), end())

    assert ("Hello", "complete", {"text_completed": 1}) == (came.message.text, came.ending, came.departures)
    assert ("", "") == (planned.message.text, read(START, end(tool_calls=[A])).message.text)


def test_another_text_for_a_generation_is_an_error() -> None:
    """The end of another text is never put behind the deltas of its choice."""
    whole = [{"text": "Hello", "finish_reason": "COMPLETE"}, {"text": "Bye"}]
    stream = Stream(
        [said("Hello", index=0), said("Bx", index=1), line("stream-end", response={"generations": whole})]
    )
    with pytest.raises(ProtocolError, match="the whole text of part 0 differs from its deltas"):
        stream.final()

    assert ["Hello", "Bx"] == [message.text for message in stream.messages]


WHOLE: Payload = {
    "response_id": "r1",
    "generation_id": "g1",
    "text": "Hello",
    "finish_reason": "COMPLETE",
    "citations": [CITATION],
    "documents": [DOCUMENT],
    "meta": USAGE,
}


def test_a_whole_answer_is_read_and_recognised() -> None:
    """A request without streaming gives one document."""
    decoder = Decoder()
    decoder.feed(written(WHOLE))
    decoder.end()

    assert ("cohere", "Hello", "g1", "complete", "stop") == (
        decoder.format,
        decoder.message.text,
        decoder.message.id,
        decoder.message.ending,
        decoder.message.finish_reason,
    )
    assert ["Tides"] == [each.title for each in decoder.message.citations]
    assert "r1" == decoder.message.provider_data["response_id"]


def test_the_text_beside_tool_calls_is_the_plan() -> None:
    """What the model says there it says of its tools."""
    came = read({**WHOLE, "text": "I will.", "tool_calls": [A]})

    assert ("", "I will.", ["a"]) == (
        came.message.text,
        came.message.reasoning,
        [call.name for call in came.calls],
    )
    assert "" == read({**WHOLE, "text": ""}).message.text


def test_a_whole_answer_after_its_pieces_is_not_shown_twice() -> None:
    came = read(START, said("Hello"), WHOLE)

    assert ("Hello", 1) == (came.message.text, came.departures["content_twice"])


@pytest.mark.parametrize("payload", [START, said("Hi"), chunk(text="I"), generated(A), end(), WHOLE])
def test_a_first_payload_is_recognised(payload: Payload) -> None:
    assert ("cohere", False) == registry.detect(payload, "")
