"""Converse: text, usage, stop reasons and ends."""

from __future__ import annotations

from tests.formats.bedrock.payloads import START, USAGE, arguments, block, finish, stop, text, tool
from tests.formats.bedrock_converse.support import answer, read
from tests.support.tables import in_one_test
from tokenstream.events import Finish, MessageStart
from tokenstream.message import Message, TextPart


def test_text_is_what_its_deltas_say() -> None:
    """A text block has no start: its first delta opens the part, and its stop closes it."""
    came = read(START, text(0, "Hel"), text(0, "lo"), stop(0), finish(), USAGE)

    assert (
        Message(
            parts=(TextPart(text="Hello", complete=True),),
            usage=came.message.usage,
            finish_reason="stop",
            raw_finish_reason="end_turn",
            ending="complete",
            provider_data={"metrics": {"latencyMs": 100}},
        )
        == came.message
    )
    assert {} == came.departures
    assert isinstance(came.events[0], MessageStart)
    assert ["Hel", "lo"] == came.texts


def test_usage_is_read_under_all_its_names() -> None:
    report = {
        "inputTokens": 11,
        "outputTokens": 236,
        "totalTokens": 1275,
        "cacheReadInputTokenCount": 5,
        "cacheReadInputTokens": 6,
        "cacheWriteInputTokenCount": 1028,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 28}, {"ttl": "1h", "inputTokens": 1000}],
        "serverToolUsage": {},
    }
    usage = read(START, finish(), ("metadata", {"usage": report})).message.usage

    assert (11, 236, 1275) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    cached = (usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens)
    assert (6, 1028, 1000) == cached
    assert report == usage.provider_data


def test_metadata_may_come_before_the_stop_and_may_be_missing() -> None:
    """The answer is whole with `messageStop`; only its token counts may be lost."""
    before = answer(text(0, "a"), stop(0), USAGE)
    without = answer(text(0, "a"), stop(0))

    assert not without.message.usage
    assert ("complete", "complete") == (before.ending, without.ending)
    assert ({}, {}) == (before.departures, without.departures)


def test_what_the_metadata_say_beside_usage_is_kept() -> None:
    trace = {"guardrail": {"actionReason": "x"}, "promptRouter": {"invokedModelId": "nova"}}
    came = read(START, finish(), ("metadata", {"trace": trace, "serviceTier": {"type": "flex"}, "p": "ab"}))

    assert {"trace": trace, "serviceTier": {"type": "flex"}} == came.data
    assert "nova" == came.message.model


@in_one_test(
    "word, reason",
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("something_new", "unknown"),
    ],
)
def test_stop_reasons_have_our_words_and_keep_their_own(word: str, reason: str) -> None:
    """The table of the documents; a word that is new is unknown, and kept."""
    came = read(START, finish(word))

    assert (reason, word) == (came.reason, came.raw_reason)


def test_what_the_model_says_at_its_stop_is_kept() -> None:
    """`additionalModelResponseFields` are the request's own wish."""
    fields = {"delta": {"stop_sequence": "END"}}
    came = read(START, finish(additionalModelResponseFields=fields))

    assert {"additionalModelResponseFields": fields} == came.data


def test_a_stop_without_a_reason_in_an_open_block_is_a_cut() -> None:
    """No reason is made up, and what no block stop has closed is not handed out."""
    for reason in (None, 7):
        came = read(
            START, block(1), tool(0), arguments(0, "{}"), ("messageStop", {"stopReason": reason}), USAGE
        )

        assert ("truncated", None) == (came.ending, came.reason)
        assert [] == came.calls
        assert {"finish_missing": 1, "call_open_at_end": 1} == came.departures


def test_a_second_finish_counts_and_tells_once() -> None:
    came = answer(finish())

    assert 1 == len([event for event in came.events if isinstance(event, Finish)])
    assert {"finish_repeated": 1, "answer_empty": 1} == came.departures
