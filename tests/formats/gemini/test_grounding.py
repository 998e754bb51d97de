"""Gemini: sources and what else stands beside the parts of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini.payloads import Payload, chunk, text
from tests.formats.gemini.support import gemini
from tokenstream.events import Finish

WEB = {"web": {"uri": "https://a.example", "title": "A"}}
BOOK = {"retrievedContext": {"uri": "gs://b", "title": "B", "text": "As B says"}}
MAP = {"maps": {"uri": "https://m.example", "title": "M"}}
IMAGE = {"image": {"sourceUri": "https://i.example"}}


def grounding(*chunks: Payload, supports: list[Payload]) -> Payload:
    return {"groundingChunks": list(chunks), "groundingSupports": supports}


def support(start: int | None, end: int, *chunks: Any) -> Payload:
    segment: Payload = {"endIndex": end, "text": "t"} | ({} if start is None else {"startIndex": start})
    return {"segment": segment, "groundingChunkIndices": list(chunks)}


def test_each_supported_passage_names_its_sources() -> None:
    """Indices refer to the chunks of the same metadata; a start that is left out is 0."""
    metadata = grounding(WEB, BOOK, supports=[support(None, 5, 0, 1), support(6, 9, 0)])
    told = gemini(chunk(text("Hello you"), finish="STOP", groundingMetadata=metadata))

    assert [(c.url, c.title, c.text, c.start, c.end) for c in told.message.citations] == [
        ("https://a.example", "A", None, 0, 5),
        ("gs://b", "B", "As B says", 0, 5),
        ("https://a.example", "A", None, 6, 9),
    ]
    assert told.message.citations[0].provider_data == {
        "groundingChunk": WEB,
        "groundingSupport": metadata["groundingSupports"][0],
    }
    assert told.data["groundingMetadata"] == metadata


def test_snapshots_that_repeat_a_source_name_it_once() -> None:
    """Grounding metadata are cumulative: the last ones hold the first."""
    first = grounding(WEB, supports=[support(0, 5, 0)])
    second = grounding(WEB, MAP, supports=[support(0, 5, 0), support(6, 9, 1)])
    told = gemini(
        chunk(text("a"), groundingMetadata=first),
        chunk(text("b"), groundingMetadata={}),
        chunk(text("c"), groundingMetadata=second),
        chunk(finish="STOP", groundingMetadata=second),
    )

    assert [c.url for c in told.message.citations] == ["https://a.example", "https://m.example"]
    assert told.message.text == "abc"
    assert told.kinds == ["text", "citation", "citation"]


def test_sources_without_a_passage_are_named_at_the_end() -> None:
    told = gemini(
        chunk(text("a"), groundingMetadata=grounding(WEB, IMAGE, supports=[support(0, 1, 0)])),
        chunk(finish="STOP", groundingMetadata=grounding(WEB, IMAGE, {"other": {}}, supports=[])),
    )

    assert [(c.url, c.start) for c in told.message.citations] == [
        ("https://a.example", 0),
        ("https://i.example", None),
    ]


def test_sources_that_come_after_the_finish_reason_are_named_too() -> None:
    """The end of the input is the last chance."""
    told = gemini(chunk(text("a"), finish="STOP"), chunk(groundingMetadata=grounding(WEB, supports=[])))

    assert [c.url for c in told.message.citations] == ["https://a.example"]


@pytest.mark.parametrize("indices", [[7], [-1], ["0"], [None], None, {"a": 1}])
def test_an_index_that_no_chunk_has_names_no_source(indices: Any) -> None:
    metadata = grounding(WEB, supports=[{"segment": {"endIndex": 1}, "groundingChunkIndices": indices}])
    told = gemini(chunk(text("a"), finish="STOP", groundingMetadata=metadata))

    assert [(c.url, c.start) for c in told.message.citations] == [("https://a.example", None)]


@pytest.mark.parametrize("chunks", [None, "x", [None, "x", 3]])
def test_grounding_of_another_shape_names_no_source(chunks: Any) -> None:
    metadata = {"groundingChunks": chunks, "groundingSupports": [support(0, 1, 0)]}
    told = gemini(chunk(text("a"), finish="STOP", groundingMetadata=metadata))

    assert told.message.citations == ()
    assert told.data["groundingMetadata"] == metadata


@pytest.mark.parametrize("name", ["citations", "citationSources"])
def test_passages_that_recite_a_source_name_it(name: str) -> None:
    """Documents say `citations`, servers send `citationSources` too; snapshots repeat them."""
    first = {"endIndex": 9, "uri": "https://a.example", "license": "mit"}
    second = {"startIndex": 20, "endIndex": 30, "title": "B"}
    told = gemini(
        chunk(text("a"), citationMetadata={name: [first]}),
        chunk(text("b"), finish="STOP", citationMetadata={name: [first, second]}),
    )

    assert [(c.url, c.title, c.start, c.end) for c in told.message.citations] == [
        ("https://a.example", None, 0, 9),
        (None, "B", 20, 30),
    ]
    assert told.message.citations[0].provider_data == first
    assert told.texts == ["a", "b"]


def test_what_has_no_word_here_stays_under_its_own_name() -> None:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    first = chunk(text("a"), safetyRatings=ratings, avgLogprobs=-0.5, urlContextMetadata={"urlMetadata": []})
    first |= {"createTime": "2026-01-01T00:00:00Z", "modelStatus": {"stage": "PREVIEW"}}
    told = gemini(first, chunk(text("b"), safetyRatings=ratings, finish="STOP", finishMessage="done"))

    assert told.data == {
        "createTime": "2026-01-01T00:00:00Z",
        "modelStatus": {"stage": "PREVIEW"},
        "safetyRatings": ratings,
        "avgLogprobs": -0.5,
        "urlContextMetadata": {"urlMetadata": []},
        "finishMessage": "done",
    }


@pytest.mark.parametrize("before", [False, True])
def test_why_an_answer_ended_is_reported_in_a_sentence(*, before: bool) -> None:
    said: dict[str, Any] = {"finishMessage": "The call was malformed."}
    first, last = (said, {}) if before else ({}, said)
    told = gemini(chunk(text("a"), **first), chunk(text("b"), finish="MALFORMED_FUNCTION_CALL", **last))

    assert told.message.finish_message == "The call was malformed."
    assert [event.message for event in told.events if isinstance(event, Finish)] == [
        "The call was malformed."
    ]
    assert told.data == said
    assert gemini(chunk(text("a"), finish="STOP")).message.finish_message is None


def test_log_probabilities_are_joined_over_the_stream() -> None:
    chosen = {"token": "a", "logProbability": -0.1}
    top = {"candidates": [{"token": "b", "logProbability": -2}]}
    result = {"chosenCandidates": [chosen], "topCandidates": [top], "logProbabilitySum": -0.1}
    told = gemini(
        chunk(text("a"), logprobsResult=result),
        chunk(text("b"), finish="STOP", logprobsResult={"chosenCandidates": [{"token": "c"}]}),
    )

    assert told.data == {
        "logprobs": [{**chosen, "topCandidates": top["candidates"]}, {"token": "c", "topCandidates": None}],
        "logprobsResult": {"logProbabilitySum": -0.1},
    }
