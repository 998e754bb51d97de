"""How a UI message stream begins and ends: what it is known by, reasons, errors, usage."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.formats.told import DONE, tell
from tests.formats.ui_message.payloads import FINISH, HELLO, NAMED, START, STEP, STEP_END, answer, call
from tests.support import wire
from tests.support.formats import UIMessage
from tests.support.reading import read
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.message import Usage


@pytest.mark.parametrize(
    "chunks", [HELLO[:3], [*HELLO, call("input-start", **NAMED), call("input-delta", inputTextDelta='{"at"')]]
)
@pytest.mark.parametrize("steps", [([STEP], [STEP_END]), ([], [])])
def test_the_sdk_says_that_the_providers_stream_was_cut(chunks: list[Any], steps: Any) -> None:
    """By a word of its own, or by leaving a part open; "other" alone is an end."""
    before, after = steps
    for reason, said in product(["interrupted", "other"], [chunks, HELLO]):
        told = tell(UIMessage(), START, *before, *said, *after, {**FINISH, "finishReason": reason}, DONE)

        is_whole = (reason, said) == ("other", HELLO)
        assert ("complete" if is_whole else "truncated", "Hello", []) == (
            told.ending,
            told.message.text,
            told.calls,
        )
        assert (is_whole, not is_whole) == (told.reason == "unknown", isinstance(told.error, StreamTruncated))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content-filter", "content_filter"),
        ("tool-calls", "tool_calls"),
        ("error", "error"),
        ("other", "unknown"),
        ("brand-new", "unknown"),
    ],
)
def test_finish_reasons_have_our_words(word: str, reason: str) -> None:
    message = answer(*HELLO, finish={"type": "finish", "finishReason": word}).message

    assert (reason, word) == (message.finish_reason, message.raw_finish_reason)


def test_a_finish_without_a_reason_is_an_end() -> None:
    """Version 5 gave none, so none is made up; the terminator may be missing, too."""
    whole = tell(UIMessage(), START, *HELLO, {"type": "finish"}, DONE)
    bare = tell(UIMessage(), START, *HELLO, {"type": "finish"})

    assert ("complete", None, set()) == (whole.ending, whole.reason, whole.rules)
    assert ("complete", None, {"done_missing"}) == (bare.ending, bare.reason, bare.rules)


def test_an_abort_is_a_cancelled_answer() -> None:
    told = tell(
        UIMessage(),
        START,
        *HELLO,
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta="{}"),
        {"type": "abort", "reason": "user"},
        DONE,
    )

    assert ("cancelled", "abort", "complete") == (told.reason, told.raw_reason, told.ending)
    assert ([], {"call_open_at_end"}) == (told.calls, told.rules)
    assert {"reason": "user"} == told.data


@pytest.mark.parametrize("ends", [[DONE], [], [FINISH, DONE], [FINISH]])
def test_an_error_fails_the_answer_once_the_stream_is_over(ends: list[Any]) -> None:
    told = tell(
        UIMessage(),
        START,
        *HELLO[:2],
        {"type": "error", "errorText": "Overloaded"},
        {"type": "error", "errorText": "again"},
        *HELLO[2:],
        {"type": "message-metadata", "messageMetadata": {"usage": {"outputTokens": 4}}},
        *ends,
    )

    assert "Overloaded" in str(told.failure)
    assert ("overloaded", "Hello", "failed") == (told.failure.kind, told.message.text, told.ending)
    assert (4, ["error", "error"], set()) == (told.message.usage.output_tokens, told.unknown, told.rules)


@pytest.mark.parametrize("ends", [[], [FINISH]])
def test_an_error_counts_more_than_a_connection_that_breaks_after_it(ends: list[Any]) -> None:
    """Who has told why has told more than the network."""
    chunks = [START, *HELLO[:2], {"type": "error", "errorText": "Overloaded"}, *HELLO[2:], *ends]
    reading = read([wire.sse(chunk) for chunk in chunks], breaks_with=ConnectionResetError())

    assert isinstance(reading.error, ProviderError)
    assert ("Hello", "failed") == (reading.error.partial.text, reading.error.partial.ending)


def test_a_call_that_is_open_when_a_failed_stream_ends_is_not_handed_out() -> None:
    told = tell(
        UIMessage(),
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta="{}"),
        {"type": "error", "errorText": "m"},
        DONE,
    )

    assert ([], "failed") == (told.calls, told.ending)


def test_content_after_the_finish_is_added_and_counted() -> None:
    """Merged streams end more than once."""
    told = tell(
        UIMessage(),
        START,
        FINISH,
        *HELLO,
        call("input-start", **NAMED, providerExecuted=True),
        {"type": "finish"},
        FINISH,
        DONE,
    )

    assert ("Hello", {"content_after_finish", "finish_repeated"}) == (told.message.text, told.rules)


def test_an_end_without_a_finish_is_a_departure() -> None:
    """Some servers send the terminator alone; what comes after it is ignored."""
    told = tell(UIMessage(), START, *HELLO, DONE, *HELLO)

    assert ("Hello", "complete", {"finish_missing", "data_after_end", "end_repeated"}) == (
        told.message.text,
        told.ending,
        told.rules,
    )


@in_one_test(
    "payload",
    [
        START,
        {"type": "start", "messageMetadata": {}},
        STEP,
        HELLO[0],
        HELLO[1],
        {"type": "message-metadata", "messageMetadata": 1},
        call("input-available", **NAMED, input={}),
        {"type": "file", "url": "u", "mediaType": "m"},
        {"type": "error", "errorText": "m"},
        FINISH,
    ],
)
def test_a_first_chunk_of_any_kind_is_recognised(payload: dict[str, Any]) -> None:
    assert UIMessage.recognises(payload, "") is True


@in_one_test(
    "payload",
    [
        {},
        {"type": 1},
        {"type": "text"},
        {"type": "start", "id": "x"},
        {"type": "error", "error": {"message": "m"}},
        {"type": "finish", "reason": "x"},
        {"type": "abort", "id": "x"},
        {"type": "data-x"},
        {"type": "custom", "name": "x"},
        {"type": "content_block_delta", "index": 0},
    ],
)
def test_what_could_be_another_formats_is_not_claimed(payload: dict[str, Any]) -> None:
    """Words that mean something elsewhere need a field of this format."""
    assert UIMessage.recognises(payload, "") is False


@pytest.mark.parametrize(
    "chunks",
    [
        [STEP, {"type": "finish"}],
        [{"type": "finish"}],
        [{"type": "abort"}],
        [{"type": "abort", "reason": "user"}],
        [{"type": "custom", "kind": "x.y"}, HELLO[0], {"type": "finish"}],
        [{"type": "steering-message", "id": "s", "parts": []}, {"type": "finish"}],
    ],
)
def test_a_start_that_says_nothing_leaves_it_to_what_follows(chunks: list[Any]) -> None:
    """`start` alone could be anybody's, and the answer may be aborted before anything else came."""
    assert UIMessage.recognises({"type": "start"}, "") is None
    reading = read([b"".join([wire.sse(chunk) for chunk in [{"type": "start"}, *chunks]]) + wire.DONE])

    assert ("ui-message", True) == (reading.format, reading.error is None)


def test_usage_is_ours_in_the_end() -> None:
    message = answer(*HELLO, finish={**FINISH, "messageMetadata": {"usage": {"outputTokens": 4}}}).message

    assert Usage(output_tokens=4, provider_data={"outputTokens": 4}) == message.usage
