"""Perplexity's Agent API: thoughts, searches and sources between the events of the Responses API."""

from __future__ import annotations

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    done,
    frame,
    hello,
    read,
    response,
    said,
)
from tokenstream import Stream
from tokenstream.message import OpaquePart
from tokenstream.relay import encode

CATS: Payload = {"id": 1, "url": "https://a.test/cats", "title": "Cats", "snippet": "A cat purrs."}
DOGS: Payload = {"id": 2, "url": "https://b.test/dogs", "title": "Dogs", "snippet": "A dog barks."}
PAGE: Payload = {"url": "https://c.test", "title": "Page", "snippet": "Whole page."}
SEARCH: Payload = {"type": "search_results", "queries": ["cats"], "results": [CATS, DOGS]}


def research(word: str, **fields: object) -> Payload:
    """Return an event about research, which belongs to no item."""
    return {"type": f"response.reasoning.{word}", **fields}


RESEARCH = [
    research("started", thought="I need facts. "),
    research("search_queries", queries=["cats"], thought="Let me search."),
    research("search_results", results=[CATS, DOGS], thought="Let me search."),
    research("fetch_url_queries", urls=["https://c.test"]),
    research("fetch_url_results", contents=[PAGE]),
    research("stopped"),
    added(SEARCH),
    done(SEARCH),
    *hello(1),
]


@pytest.mark.parametrize("size", [1, 19, 100_000])
def test_sources_of_a_search_are_citations_and_thoughts_are_reasoning(size: int) -> None:
    body = b"".join(
        b"event: " + payload["type"].encode() + b"\ndata: " + frame(payload).payload + b"\n\n"
        for payload in answer(*RESEARCH)
    )
    stream = Stream(body[start : start + size] for start in range(0, len(body), size))
    message = stream.final()

    assert [(cited.url, cited.title, cited.text) for cited in message.citations] == [
        ("https://a.test/cats", "Cats", "A cat purrs."),
        ("https://b.test/dogs", "Dogs", "A dog barks."),
        ("https://c.test", "Page", "Whole page."),
    ]
    assert message.citations[0].provider_data == CATS
    assert (message.reasoning, message.text) == ("I need facts. Let me search.", "Hello")
    assert stream.departures.details == {}


def test_queries_are_carried_as_they_are() -> None:
    came = said(*RESEARCH)

    assert came.unknown == ["response.reasoning.search_queries", "response.reasoning.fetch_url_queries"]
    assert "queries" not in came.message.provider_data


def test_sources_that_no_event_had_are_taken_from_the_items() -> None:
    for came in (said(added(SEARCH), done(SEARCH)), read(response("completed", output=[SEARCH]))):
        assert [cited.url for cited in came.message.citations] == [CATS["url"], DOGS["url"]]
        assert came.parts[0] == OpaquePart(type="search_results", data=SEARCH, complete=True)


def test_finance_sources_that_are_only_addresses_are_citations() -> None:
    """A result may name several."""
    results = [{"category": "quote", "content": "9", "sources": ["https://d.test", "https://e.test"]}]
    came = said(research("finance_search_results", results=results), *hello(0))

    assert [cited.url for cited in came.message.citations] == ["https://d.test", "https://e.test"]


def test_the_next_request_has_the_items_of_research() -> None:
    """Thoughts came in events, and the API takes only items; the item with the results has the sources."""
    items = said(*RESEARCH).message.to_openai_responses()

    assert [item["type"] for item in items] == ["search_results", "message"]
    assert items[0] == SEARCH


def test_a_relay_passes_on_sources_that_come_before_the_text() -> None:
    body = [frame(payload).payload for payload in answer(*RESEARCH)]
    chunks = encode(Stream([b"data: " + data + b"\n\n" for data in body]), "openai-responses")
    message = Stream(list(chunks), format="openai-responses").final()

    assert [cited.url for cited in message.citations] == [CATS["url"], DOGS["url"], PAGE["url"]]
    assert message.text == "Hello"
    assert message.parts[message.citations[0].cites or 0].kind == "text"
