"""What a UI message stream adds up to, when the server keeps to the AI SDK's documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import DONE, tell
from tests.formats.ui_message.payloads import FINISH, HELLO, NAMED, START, answer, call
from tests.support.formats import UIMessage
from tests.support.tables import in_one_test
from tokenstream.events import ReasoningDelta, Unknown
from tokenstream.message import Citation, MediaPart, OpaquePart, TextPart, Usage


def test_texts_are_known_by_their_ids_and_may_be_written_in_turns() -> None:
    told = answer(
        {"type": "text-start", "id": "a"},
        {"type": "text-start", "id": "b"},
        {"type": "text-delta", "id": "b", "delta": "2"},
        {"type": "text-delta", "id": "a", "delta": "1"},
        {"type": "text-end", "id": "b"},
        {"type": "text-end", "id": "a"},
    )

    assert ["1", "2"] == [part.text for part in told.parts if part.kind == "text"]
    assert set() == told.rules


def test_reasoning_keeps_the_proofs_that_the_next_request_must_carry() -> None:
    """Each provider puts its signature into its own metadata; the last metadata count."""
    told = answer(
        {"type": "reasoning-start", "id": "0"},
        {"type": "reasoning-delta", "id": "0", "delta": "Let me see"},
        {"type": "reasoning-end", "id": "0", "providerMetadata": {"anthropic": {"signature": "c2ln"}}},
        {
            "type": "reasoning-start",
            "id": "1",
            "providerMetadata": {
                "other": 1,
                "openai": {"itemId": "rs_1", "reasoningEncryptedContent": "ZW5j"},
            },
        },
        {"type": "reasoning-end", "id": "1"},
    )
    shown, hidden = told.parts

    assert ("Let me see", "c2ln", True) == (shown.text, shown.signature, shown.complete)
    assert {"providerMetadata": {"anthropic": {"signature": "c2ln"}}} == shown.provider_data
    assert ("", "ZW5j") == (hidden.text, hidden.redacted)
    assert [ReasoningDelta("Let me see")] == [e for e in told.events if isinstance(e, ReasoningDelta)]
    assert set() == told.rules


def test_sources_are_citations() -> None:
    """Pages and documents alike; those at the end of a text name the text that they belong to."""
    told = answer(
        {"type": "source-url", "sourceId": "s1", "url": "https://example.org", "title": "Laws"},
        {"type": "source-document", "sourceId": "s2", "mediaType": "application/pdf", "filename": "a.pdf"},
        {"type": "text-start", "id": "0"},
        {"type": "text-end", "id": "0", "citations": [{"url": "https://example.net", "citedText": "§ 1"}]},
    )

    assert [
        Citation(
            url="https://example.org",
            title="Laws",
            provider_data={"sourceId": "s1", "url": "https://example.org", "title": "Laws"},
        ),
        Citation(
            title="a.pdf",
            provider_data={"sourceId": "s2", "mediaType": "application/pdf", "filename": "a.pdf"},
        ),
        Citation(
            url="https://example.net",
            text="§ 1",
            cites=2,
            provider_data={"url": "https://example.net", "citedText": "§ 1"},
        ),
    ] == list(told.message.citations)


@pytest.mark.parametrize(
    ("url", "data", "kept"),
    [
        ("data:image/png;base64,AAAA", bytes(3), None),
        ("data:text/plain,a%20b", b"a b", None),
        ("https://example.org/a.png", b"", "https://example.org/a.png"),
        ("data:image/png;base64,A", b"", "data:image/png;base64,A"),
        ("data:image/png;base64,ä", b"", "data:image/png;base64,ä"),
        ("data:nothing", b"", "data:nothing"),
    ],
)
def test_files_are_media_and_data_urls_are_decoded(url: str, data: bytes, kept: str | None) -> None:
    """A URL that holds no data is left to the client."""
    told = answer({"type": "file", "url": url, "mediaType": "image/png"})

    assert (MediaPart(mime_type="image/png", data=data, url=kept, complete=True),) == told.parts


def test_a_file_of_the_reasoning_says_so() -> None:
    told = answer({"type": "reasoning-file", "url": "data:image/gif;base64,AAAA"})
    part = told.parts[0]

    assert ("image/gif", {"type": "reasoning-file"}) == (part.mime_type, part.provider_data)


def test_data_parts_of_one_type_and_id_replace_each_other() -> None:
    told = tell(
        UIMessage(),
        {"type": "data-weather", "id": "w", "data": {"t": 1}},
        START,
        {"type": "data-weather", "id": "w", "data": {"t": 2}},
        {"type": "data-note", "data": "a"},
        {"type": "data-note", "data": "b"},
        *HELLO,
        FINISH,
        {"type": "data-weather", "id": "w", "data": {"t": 3}},
        {"type": "data-late", "id": "l", "data": 1},
        DONE,
    )

    assert [
        OpaquePart(type="data-weather", data={"id": "w", "data": {"t": 3}}, complete=True),
        OpaquePart(type="data-note", data={"data": "a"}, complete=True),
        OpaquePart(type="data-note", data={"data": "b"}, complete=True),
        TextPart(text="Hello", complete=True),
        OpaquePart(type="data-late", data={"id": "l", "data": 1}, complete=True),
    ] == list(told.parts)
    assert (None, set(), "msg_1") == (told.error, told.rules, told.message.id)


def test_transient_data_are_reported_and_not_kept() -> None:
    payload = {"type": "data-status", "id": "s", "data": "searching", "transient": True}
    told = answer(payload)

    assert ((), ["start-step", "data-status", "finish-step"]) == (told.parts, told.unknown)
    assert [payload] == [e.data for e in told.events if isinstance(e, Unknown) and e.name == "data-status"]


@pytest.mark.parametrize("kind", ["custom", "steering-message", "tool-approval-response"])
def test_parts_that_we_have_no_word_for_are_kept_as_they_came(kind: str) -> None:
    told = answer({"type": kind, "id": "1", "kind": "x.y"})

    assert (OpaquePart(type=kind, data={"id": "1", "kind": "x.y"}, complete=True),) == told.parts


def test_metadata_are_merged_key_by_key() -> None:
    told = tell(
        UIMessage(),
        {**START, "messageMetadata": {"model": "gpt-x", "a": {"b": 1}}},
        {"type": "message-metadata", "messageMetadata": {"a": {"c": 2}, "d": [1]}},
        *HELLO,
        {**FINISH, "messageMetadata": {"d": [2]}},
        DONE,
    )

    assert {"messageMetadata": {"model": "gpt-x", "a": {"b": 1, "c": 2}, "d": [2]}} == (told.data)
    assert "gpt-x" == told.message.model


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        (
            {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13, "cachedInputTokens": 2}},
            (9, 4, 13, None, 2, None),
        ),
        (
            {
                "totalUsage": {
                    "inputTokens": 9,
                    "inputTokenDetails": {"cacheReadTokens": 2, "cacheWriteTokens": 1},
                }
            },
            (9, None, None, None, 2, 1),
        ),
        ({"totalTokens": 13, "reasoningTokens": 0}, (None, None, 13, 0, None, None)),
        ({"usage": {"outputTokenDetails": {"reasoningTokens": 3}}}, (None, None, None, 3, None, None)),
    ],
)
def test_usage_is_read_where_applications_put_it(metadata: dict[str, Any], usage: tuple[Any, ...]) -> None:
    """The protocol has no place for it; the SDK's own names tell it among the metadata."""
    message = answer(*HELLO, finish={**FINISH, "messageMetadata": metadata}).message
    counts = message.usage

    assert counts is not None
    assert usage == (
        counts.input_tokens,
        counts.output_tokens,
        counts.total_tokens,
        counts.reasoning_tokens,
        counts.cached_tokens,
        counts.cache_write_tokens,
    )


@pytest.mark.parametrize("metadata", ["text", ["list"], {"usage": {"tokens": "many"}}, {"model": 1}])
def test_metadata_without_usage_are_carried(metadata: Any) -> None:
    message = answer(*HELLO, finish={**FINISH, "messageMetadata": metadata}).message

    assert (Usage(), {"messageMetadata": metadata}) == (message.usage, message.provider_data)


def test_deep_metadata_are_replaced_and_not_merged() -> None:
    """Merging stops at a depth that no honest application reaches."""
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    told = tell(
        UIMessage(),
        {"type": "message-metadata", "messageMetadata": deep},
        {"type": "message-metadata", "messageMetadata": deep},
    )

    assert deep == told.data["messageMetadata"]


def test_data_and_results_may_hold_an_error_of_their_own() -> None:
    """Only a chunk of the type `error` is an error of the stream."""
    told = answer(
        {"type": "data-error", "data": 1, "error": {"message": "m"}},
        call("output-available", output=1, error="m"),
    )

    assert None is told.error
    assert (["opaque"], 1) == (told.kinds, told.message.results[0].output)


def test_unknown_chunks_and_fields_are_carried() -> None:
    """A later version may have more of both."""
    told = tell(
        UIMessage(),
        {**START, "extra": 1},
        {"type": "brand-new", "x": 1},
        {"x": 1},
        {"type": "text-start", "id": "0", "state": "new"},
        {"type": "text-delta", "id": "0", "delta": "Hi", "more": 2},
        {"type": "text-end", "id": "0"},
        FINISH,
        DONE,
    )

    assert (["extra", "brand-new", "chunk"], {"extra": 1}) == (told.unknown, told.data)
    assert (TextPart(text="Hi", complete=True, provider_data={"state": "new", "more": 2}),) == (told.parts)


@in_one_test(
    ("payloads", "rule", "text"),
    [
        ([HELLO[1], HELLO[3]], "part_unopened", "Hel"),
        ([*HELLO, HELLO[1], HELLO[3]], "part_after_close", "HelloHel"),
        ([HELLO[3]], "part_unopened", ""),
        ([HELLO[0], HELLO[1], HELLO[0], HELLO[2], HELLO[3]], "part_unclosed", "Hello"),
        ([HELLO[0], {"type": "text-delta", "delta": "x"}, HELLO[3]], "part_index_missing", "x"),
        ([{"type": "text-start"}, {"type": "text-delta", "delta": "x"}], "part_index_missing", "x"),
        ([HELLO[0], {"type": "text-delta", "id": "0", "delta": 1}, HELLO[3]], "delta_misfits", ""),
        (HELLO[:3], "part_unclosed", "Hello"),
        ([call("input-delta", inputTextDelta="x")], "part_unopened", ""),
        ([call("input-delta", inputTextDelta=1)], "delta_misfits", ""),
        ([call("input-available", input={})], "call_nameless", ""),
        ([call("input-error", input={}, errorText="e")], "call_nameless", ""),
        ([call("input-available", **NAMED, input={})] * 2, "call_repeated", ""),
        ([call("input-start", **NAMED, providerExecuted=True)] * 2, "call_repeated", ""),
        (
            [call("input-available", **NAMED, input={}), call("input-delta", inputTextDelta="x")],
            "call_after_done",
            "",
        ),
        ([{"type": "tool-input-available", **NAMED, "input": {}}], "call_id_missing", ""),
    ],
)
def test_strays_are_tolerated_and_counted(payloads: list[Any], rule: str, text: str) -> None:
    """The SDK throws on most of these; nothing is lost here."""
    told = answer(*payloads)

    assert (None, text) == (told.error, told.message.text)
    assert rule in told.rules
