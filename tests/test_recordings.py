"""Every recording gives what its expected file says, however it is cut into chunks."""

from __future__ import annotations

import json
from collections import Counter
from operator import attrgetter
from typing import Any

import pytest

from tests.support import chunkings
from tests.support.beside import needs_recordings
from tests.support.reading import Reading, read
from tests.support.recordings import Recorded, folder_of, of_native_routes, ours, series_of, shared
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream.events import PartStart
from tokenstream.message import Message

# Those for a mapping of one's own are read in tests/formats/custom/test_servers.py.
_SHARED = [recorded for recorded in shared() if recorded.format != "custom"]
_OURS = [*ours(), *of_native_routes()]
_SMALL = frozenset({"sevens", "bytes"})
"""The chunkings that take most of the time."""
_ids = attrgetter("name")
_BEGIN_AGAIN = {
    *("anthropic opaque", "bedrock-converse server_tool_result", "gemini-live media", "ui-message opaque"),
    *("openai-responses server_tool_call", "openai-responses server_tool_result"),
}
"""The kinds of parts whose start comes again, by format; text, reasoning and refusals begin once."""


def _compared_arguments(text: str | None) -> Any:
    """Return arguments as JSON where they are some, else as text; none are an empty object."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _calls_of(message: Message, expected: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return a message's calls as they are compared: an id only where one was sent."""
    sent = [call["id"] for call in expected] + [None] * len(message.tool_calls)
    return [
        (call.id if id_sent else None, call.name, _compared_arguments(call.arguments_text))
        for call, id_sent in zip(message.tool_calls, sent, strict=False)
    ]


def _compare_choice(
    reading: Reading, message: Message, choice: dict[str, Any], expected: dict[str, Any]
) -> None:
    skipped = expected["not_compared"]
    for field in ("text", "reasoning", "refusal"):
        if field not in skipped:
            assert (choice[field] or "") == getattr(message, field), field
    assert message.text == reading.text(message.choice)
    assert message.reasoning == reading.reasoning(message.choice)
    if "raw_finish_reason" not in skipped:
        assert (choice["raw_finish_reason"] or None) == (message.raw_finish_reason or None)
    if "tool_calls" in skipped:
        return
    calls = choice["tool_calls"]
    wanted = [
        (call["id"] or None, call["name"], _compared_arguments(call["arguments_text"])) for call in calls
    ]
    assert wanted == _calls_of(message, calls)
    assert [call for call in message.tool_calls if call.complete] == reading.calls(message.choice)
    if expected["ending"] == "complete":
        whole = [name for _, name, arguments in wanted if not isinstance(arguments, str)]
        assert sorted(whole) == sorted(call.name for call in reading.calls(message.choice))


def _compare(recorded: Recorded, reading: Reading) -> None:
    expected = recorded.expected
    messages = {message.choice: message for message in reading.messages}
    main = reading.message
    assert main is not None
    assert recorded.format == reading.format
    if expected["ending"] is not None:
        assert (expected["ending"] == "complete") == (reading.error is None), reading.error
        assert expected["ending"] == main.ending
    if reading.error is not None:
        assert reading.error.partial == main
    assert reading.closed
    starts = [event for event in reading.events if isinstance(event, PartStart)]
    begun = Counter((event.choice, event.part, event.content.kind) for event in starts)
    assert {f"{recorded.format} {kind}" for (*_, kind), count in begun.items() if count > 1} <= _BEGIN_AGAIN
    for choice in expected["choices"]:
        _compare_choice(reading, messages[choice["index"]], choice, expected)
    if expected["output_tokens"] is not None:
        # What Anthropic bills beside its totals.
        listed = (expected.get("usage") or {}).get("iterations") or []
        beside = [
            each["output_tokens"] for each in listed if each["type"] in ("compaction", "advisor_message")
        ]
        assert expected["output_tokens"] + sum(beside) == main.usage.output_tokens
    if expected["response_id"] and "response_id" not in expected["not_compared"]:
        assert expected["response_id"] == main.id
    if expected["model"] and "model" not in expected["not_compared"]:
        assert expected["model"] == main.model


@needs_recordings
def test_the_recordings_of_real_servers_are_found() -> None:
    """The comparison with real servers does not pass because there was nothing to compare."""
    assert len(_SHARED) > 760


@needs_recordings
@pytest.mark.quick
@in_one_test("recorded", _SHARED, ids=_ids, by=series_of)
def test_a_real_stream_that_comes_whole_gives_what_was_recorded(recorded: Recorded) -> None:
    _compare(recorded, read([recorded.body]))


@needs_recordings
@in_one_test("recorded", _SHARED, ids=_ids, by=series_of)
def test_a_real_stream_gives_what_was_recorded(recorded: Recorded) -> None:
    """The bytes of a real server add up to what is expected of them, at any chunking, no format named."""
    for name, chunks in chunkings.several(recorded.body, recorded.name).items():
        if name not in _SMALL:
            _compare(recorded, read(chunks))


@needs_recordings
@pytest.mark.parametrize("recorded", sampled(_SHARED, one_in=16, slow_one_in=3), ids=_ids)
def test_a_real_stream_in_small_chunks_gives_what_was_recorded(recorded: Recorded) -> None:
    for name, chunks in chunkings.several(recorded.body, recorded.name).items():
        if name in _SMALL:
            _compare(recorded, read(chunks))


def _expectation(message: Message) -> dict[str, Any]:
    """Return what a message says of its choice, in the form of the expectations of this project."""
    signatures = [part.signature for part in message.parts if part.kind == "reasoning" and part.signature]
    return {
        "index": message.choice,
        "text": message.text,
        "reasoning": message.reasoning,
        "signature": signatures[0] if signatures else None,
        "refusal": message.refusal,
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments_text": call.arguments_text}
            for call in message.tool_calls
        ],
        "server_tools": [
            {"id": part.id, "name": part.name} for part in message.parts if part.kind == "server_tool_call"
        ],
        "citations": [{"url": citation.url, "title": citation.title} for citation in message.citations],
        "finish_reason": message.finish_reason,
        "raw_finish_reason": message.raw_finish_reason,
    }


@pytest.mark.few_rows(8)
@in_one_test("recorded", _OURS, ids=_ids, by=folder_of)
def test_a_stream_made_for_this_project_gives_what_it_says(recorded: Recorded) -> None:
    """Text, reasoning, calls, citations, usage and finish reason are those that it was written with."""
    expected = recorded.expected
    for chunks in chunkings.several(recorded.body, recorded.name).values():
        reading = read(chunks)
        main = reading.message

        assert main is not None
        assert reading.error is None
        assert expected["choices"] == [_expectation(message) for message in reading.messages]
        assert expected["usage"] == {name: getattr(main.usage, name) for name in expected["usage"]}
        assert (expected["format"], expected["id"], expected["model"], "complete") == (
            reading.format,
            main.id,
            main.model,
            main.ending,
        )


@pytest.mark.slow
@in_one_test("recorded", _OURS, ids=_ids)
def test_a_stream_that_follows_its_documents_departs_from_nothing(recorded: Recorded) -> None:
    """No rule that bends to a server is applied where the server keeps to its provider's documents.

    Except for routes of servers that lack, by their documents, what the format's other servers send.
    """
    assert recorded.expected.get("departures", {}) == read([recorded.body]).departures
