"""Gemini: usage, finish reasons, errors and bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini.payloads import STOP, USAGE, Payload, chunk, text
from tests.formats.gemini.support import gemini
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.errors import ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import Finish, UsageUpdate
from tokenstream.message import TextPart

# -- usage ----------------------------------------------------------------------------


def test_usage_is_the_last_report_and_counts_the_thoughts() -> None:
    """`candidatesTokenCount` leaves them out; our output tokens are all tokens of the answer."""
    report = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 59,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 2},
            {"modality": "AUDIO", "tokenCount": 3},
            {"modality": "IMAGE", "tokenCount": 4},
        ],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        "trafficType": "ON_DEMAND",
    }
    early = {"promptTokenCount": 9, "thoughtsTokenCount": 30, "totalTokenCount": 39}
    told = gemini(chunk(text("a")) | {"usageMetadata": early}, STOP | {"usageMetadata": report})
    usage = told.message.usage

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 50, 59)
    assert (usage.reasoning_tokens, usage.cached_tokens) == (30, 4)
    assert (usage.input_audio_tokens, usage.input_image_tokens, usage.output_audio_tokens) == (3, 4, 20)
    assert usage.provider_data == report
    assert [e.usage.output_tokens for e in told.events if isinstance(e, UsageUpdate)] == [30, 50]


@pytest.mark.parametrize(("total", "output"), [(20, 9), (22, 11), (None, 11), (0, 11)])
def test_the_total_shows_whether_the_answers_count_has_the_thoughts(total: int | None, output: int) -> None:
    """Google leaves them out; ADK writes other providers' counts, which have them, in Google's names."""
    counts = {"promptTokenCount": 11, "candidatesTokenCount": 9, "thoughtsTokenCount": 2}
    usage = gemini(
        chunk(text("a")), STOP | {"usageMetadata": counts | {"totalTokenCount": total}}
    ).message.usage

    assert (11, output, 2) == (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)


def test_a_report_without_counts_has_none() -> None:
    """On Vertex AI, the first reports say nothing but the kind of traffic."""
    told = gemini(chunk(text("a")) | {"usageMetadata": {"trafficType": "ON_DEMAND"}}, STOP)

    assert told.message.usage.output_tokens is None
    assert told.message.usage.provider_data == {"trafficType": "ON_DEMAND"}


def report(count: int) -> Payload:
    return {
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": count, "totalTokenCount": 1 + count}
    }


def test_the_counts_of_plain_text_are_given_ever_more_rarely_and_all_at_the_end() -> None:
    """Every chunk has some; to read each would cost more than all else. None is lost at the end."""
    chunks = [chunk(text("x")) | report(count) for count in range(1, 301)]
    for frames in (chunks, [*chunks, STOP]):
        told = gemini(*frames)
        given = [event.usage.output_tokens for event in told.events if isinstance(event, UsageUpdate)]

        assert given[:5] == [1, 3, 7, 15, 31]
        assert given[-1] == 300
        assert len(given) < 11
        assert told.message.usage.output_tokens == 300


REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "LANGUAGE": "content_filter",
    "RECITATION": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "CONTINUATION": "pause",
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
    "OTHER": "unknown",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "FINISH_REASON_UNSPECIFIED": "unknown",
    "A_NEW_ONE": "unknown",
}


# -- ends -----------------------------------------------------------------------------


@in_one_test("raw", REASONS)
def test_each_finish_reason_has_a_word_and_completes_the_answer(raw: str) -> None:
    told = gemini(chunk(text("a")), chunk(finish=raw))

    assert (told.reason, told.raw_reason) == (REASONS[raw], raw)
    assert told.ending == "complete"


@pytest.mark.parametrize(("number", "raw"), [(1, "STOP"), (2, "MAX_TOKENS"), (5, "OTHER"), (9, "9")])
def test_a_finish_reason_may_be_a_number(number: int, raw: str) -> None:
    """Clients of gRPC write numbers, and fill in what was not sent: 0 is no reason."""
    filled = text("a", thought=False, thoughtSignature="")
    told = gemini(chunk(filled, finishReason=0), chunk(filled, finishReason=number))

    assert told.raw_reason == raw
    assert told.parts == (TextPart(text="aa", complete=True),)
    assert isinstance(gemini(chunk(filled, finishReason=0)).error, StreamTruncated)


def test_stop_on_every_chunk_is_not_the_end() -> None:
    """Translating proxies send it so: the text goes on, in one part more, and the last word counts."""
    told = gemini(*[chunk(text(piece), finish="STOP") for piece in "abcd"], chunk(finish="MAX_TOKENS"))

    assert told.message.text == "abcd"
    assert [part.text for part in told.parts if part.kind == "text"] == ["a", "bcd"]
    assert (told.reason, told.raw_reason) == ("length", "MAX_TOKENS")
    assert [event.raw_reason for event in told.events if isinstance(event, Finish)] == ["STOP", "MAX_TOKENS"]
    assert told.rules == {"finish_repeated", "content_after_finish"}


def test_the_sentinel_of_others_ends_the_answer() -> None:
    """Proxies that speak OpenAI's language to all clients send it."""
    told = gemini(chunk(text("a"), finish="STOP"), b"[DONE]", chunk(text("b")))

    assert (told.message.text, told.ending) == ("a", "complete")
    assert told.rules == {"data_after_end"}
    assert gemini(chunk(text("a")), b"[DONE]").rules == {"finish_missing"}


def test_an_answer_that_stops_without_content_is_counted() -> None:
    """A silent failure of the model: complete, empty, and worth asking again."""
    assert gemini(STOP).rules == {"answer_empty"}
    assert gemini(chunk(finish="SAFETY")).rules == set()


def test_a_prompt_that_was_blocked_is_filtered_content() -> None:
    """HTTP says 200 for a blocked prompt, and no candidate comes."""
    told = gemini({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE})

    assert (told.reason, told.raw_reason) == ("content_filter", "SAFETY")
    assert told.ending == "complete"
    assert told.data["promptFeedback"] == {"blockReason": "SAFETY"}


def test_prompt_feedback_beside_a_candidate_blocks_nothing() -> None:
    """Older models send ratings of the prompt with the first chunk."""
    told = gemini(chunk(text("a"), finish="STOP") | {"promptFeedback": {"safetyRatings": [{"x": 1}]}})

    assert told.reason == "stop"


def test_candidates_are_choices() -> None:
    first, second = chunk(text("a")), chunk(text("b"), index=1)
    both = {"candidates": [*first["candidates"], *second["candidates"]]}
    told = gemini(both, both, chunk(finish="STOP"))

    assert [message.text for message in told.messages] == ["aa", "bb"]
    assert isinstance(told.error, StreamTruncated)
    assert [m.finish_reason for m in gemini(both, STOP, chunk(finish="SAFETY", index=1)).messages] == [
        "stop",
        "content_filter",
    ]


# -- errors -----------------------------------------------------------------------------


def test_an_error_among_the_chunks_is_the_providers() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]
    error = {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}
    told = gemini(chunk(text("Hel")) | {"usageMetadata": USAGE}, {"error": error})

    assert (told.failure.kind, told.failure.retry_after, told.failure.code) == ("rate_limited", 17.0, "429")
    assert told.failure.retryable
    assert told.message.text == "Hel"


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        ("UNAVAILABLE", 503, "overloaded", True),
        ("INTERNAL", 500, "server", True),
        ("DEADLINE_EXCEEDED", 504, "server", True),
        ("INVALID_ARGUMENT", 400, "invalid_request", False),
        ("PERMISSION_DENIED", 403, "authentication", False),
    ],
)
def test_the_status_of_an_error_says_whose_it_is(status: str, code: int, kind: str, retryable: bool) -> None:
    told = gemini({"error": {"code": code, "message": "m", "status": status}})

    assert (told.failure.kind, told.failure.retryable) == (kind, retryable)


def test_an_error_in_an_array_is_found_before_any_candidate() -> None:
    """Gemini's API answers with an array without `alt=sse`."""
    decoder = Decoder()
    decoder.feed(b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}\n]\n')

    assert isinstance(decoder.error, ProviderError)
    assert decoder.error.kind == "overloaded"


@pytest.mark.parametrize("index", [-1, 1.5, "x", True, [0], {}])
def test_an_index_that_is_none_is_an_error(index: Any) -> None:
    """A candidate that nobody can place."""
    told = gemini(chunk(text("a")), chunk(text("b"), index=index))

    assert isinstance(told.error, ProtocolError)
    assert told.error.event == 2
    assert told.message.text == "a"
