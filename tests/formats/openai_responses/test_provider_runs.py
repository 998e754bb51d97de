"""Calls that the provider has run, so nobody is to run them again; and Perplexity's thoughts and sources."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    body_of,
    created,
    delta,
    done,
    ended,
    event,
    frame,
    hello,
    read,
    response,
    said,
)
from tests.support.chunkings import several, sized
from tests.support.wire import sse
from tokenstream import Message, Stream, ToolCall
from tokenstream.message import OpaquePart, ServerToolCall
from tokenstream.relay import encode

_SEARCH: Payload = {"type": "custom_tool_call", "id": "ctc_7", "call_id": "xs_7", "name": "x_user_search"}


def _read(body: list[bytes]) -> tuple[Message, list[str]]:
    stream = Stream(body)
    calls = [call.name for call in stream.tool_calls]
    return stream.message, calls


def _searched(tools: object) -> bytes:
    """Return an answer of xAI (2026-11), which reports a search of its own like a call of a custom tool."""
    whole = {**_SEARCH, "input": "tides", "status": "completed"}
    fields = {} if tools is None else {"tools": tools}
    payloads = [
        created(**fields),
        {"type": "response.output_item.added", "output_index": 0, "item": {**_SEARCH, "input": ""}},
        event("custom_tool_call_input.delta", item_id="ctc_7", delta="tid"),
        event("custom_tool_call_input.done", item_id="ctc_7", input="tides"),
        done(whole),
        delta("Low at six.", 1, item_id="msg_1"),
        ended(output=[whole], **fields),
    ]
    return b"".join(sse(payload) for payload in payloads)


_OWN: list[Payload] = [{"type": "x_search"}, {"type": "function", "name": "x_user_search", "parameters": {}}]


@pytest.mark.parametrize("tools", [_OWN, [*_OWN, {"type": "custom", "name": "other"}]])
def test_a_call_of_a_custom_tool_that_was_not_offered_is_the_providers(tools: list[Payload]) -> None:
    for body in several(_searched(tools), len(tools)).values():
        message, calls = _read(body)
        (call,) = [part for part in message.parts if isinstance(part, ServerToolCall)]
        assert ("x_user_search", "tides", []) == (call.name, call.arguments_text, calls)
        assert ("Low at six.", "stop", "complete") == (message.text, message.finish_reason, message.ending)


@pytest.mark.parametrize(
    "tools",
    [
        None,
        [],
        [{"type": "custom", "name": "x_user_search"}],
        [{"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "x_user_search"}]}],
        [{"type": "tool_search"}],
    ],
)
def test_any_other_call_of_a_custom_tool_is_handed_out(tools: Any) -> None:
    message, calls = _read([_searched(tools)])
    assert (["x_user_search"], "tool_calls") == (calls, message.finish_reason)


@pytest.mark.parametrize("answered", [1, 2])
def test_no_call_with_a_result_in_the_same_answer_waits(answered: int) -> None:
    """The call was handed out before its result came (LocalAI's MCP, 2026-08), and so stays a call."""
    payloads, items = [created()], []
    for number in range(2):
        call_id = f"fc_{number}"
        items.append(
            {"type": "function_call", "id": call_id, "call_id": call_id, "name": "sum", "arguments": "{}"}
        )
        if number < answered:
            output = {"type": "function_call_output", "id": f"o_{number}", "call_id": call_id, "output": "42"}
            items.append(output)
    payloads += [done(item, index) for index, item in enumerate(items)]
    message, calls = _read([b"".join(sse(payload) for payload in [*payloads, ended(output=items)])])
    assert ["sum", "sum"] == calls == [part.name for part in message.parts if isinstance(part, ToolCall)]
    assert [("fc_0", "42"), ("fc_1", "42")][:answered] == [(each.id, each.output) for each in message.results]
    assert {1: "tool_calls", 2: "stop"}[answered] == message.finish_reason


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
    stream = Stream(sized(body_of(answer(*RESEARCH)), size))
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
    assert "queries" not in came.data


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
