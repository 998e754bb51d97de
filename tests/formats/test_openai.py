"""Words of OpenAI's older APIs: finish reasons and reports of token counts."""

from __future__ import annotations

from typing import Any

from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder, Message


def _ended(word: str, report: Any = None) -> Message:
    decoder = Decoder("openai-completions")
    decoder.feed(sse({"choices": [{"index": 0, "text": "a", "finish_reason": word}], "usage": report}))
    decoder.end()
    return decoder.message


_WORDS = {
    "stop": "stop eos eos_token end_turn normal",
    "stop_sequence": "stop_sequence",
    "length": "length max_tokens model_length",
    "tool_calls": "tool_calls tool_call function_call tool_use",
    "content_filter": "content_filter safety sensitive",
    "refusal": "refusal",
    "pause": "pause_turn",
    "cancelled": "abort aborted cancelled canceled",
    "error": "error network_error insufficient_system_resource overloaded_error api_error rate_limit_error",
    "unknown": "full_moon",
}


@in_one_test("expected", _WORDS)
def test_each_word_has_its_reason_in_any_case(expected: str) -> None:
    """Servers write them large and small."""
    for word in _WORDS[expected].split():
        for each in (word, word.upper()):
            message = _ended(each)

            assert (expected, each) == (message.finish_reason, message.raw_finish_reason)


_BOTH = {"prompt_tokens": 12, "completion_tokens": 4}


@in_one_test(
    ("report", "name", "expected"),
    [
        ({"prompt_tokens": 7}, "input_tokens", 7),
        ({"input_tokens": 7}, "input_tokens", 7),
        ({"completion_tokens": 0}, "output_tokens", 0),
        ({"output_tokens": 7.0}, "output_tokens", 7),
        ({"total_tokens": 7}, "total_tokens", 7),
        ({"reasoning_tokens": 7}, "reasoning_tokens", 7),
        ({"prompt_cache_hit_tokens": 7}, "cached_tokens", 7),
        ({"cache_read_input_tokens": 7}, "cached_tokens", 7),
        ({"cached_tokens": 7}, "cached_tokens", 7),
        ({"cache_creation_input_tokens": 7}, "cache_write_tokens", 7),
        ({"prompt_tokens_details": {"cached_tokens": 7}, "cached_tokens": 8}, "cached_tokens", 7),
        ({"prompt_token_details": {"cached_tokens": 7}}, "cached_tokens", 7),
        ({"prompt_tokens_details": {"cache_write_tokens": 7}}, "cache_write_tokens", 7),
        ({"prompt_tokens_details": {"image_tokens": 7}}, "input_image_tokens", 7),
        ({"input_tokens_details": {"audio_tokens": 7}}, "input_audio_tokens", 7),
        ({"prompt_tokens_details": {"audio_tokens": 7}}, "input_audio_tokens", 7),
        ({"completion_tokens_details": {"accepted_prediction_tokens": 7}}, "accepted_prediction_tokens", 7),
        ({"completion_tokens_details": {"rejected_prediction_tokens": 7}}, "rejected_prediction_tokens", 7),
        ({"completion_tokens_details": {"reasoning_tokens": 7, "moon_tokens": 8}}, "reasoning_tokens", 7),
        ({"output_tokens_details": {"audio_tokens": 7}}, "output_audio_tokens", 7),
        ({"cost": 0.5}, "cost", 0.5),
        ({"cost": {"total_cost": 0.5}}, "cost", 0.5),
        ({"cost_in_usd_ticks": 5_000_000_000}, "cost", 0.5),
        ({"num_search_queries": 3}, "web_searches", 3),
        # xAI counts the reasoning apart, and Mistral what its connectors have read, as their totals say.
        ({**_BOTH, "reasoning_tokens": 40, "total_tokens": 56}, "output_tokens", 44),
        ({**_BOTH, "reasoning_tokens": 3, "total_tokens": 16}, "output_tokens", 4),
        ({**_BOTH, "connector_tokens": 40, "total_tokens": 56}, "input_tokens", 52),
        ({**_BOTH, "connector_tokens": 3, "total_tokens": 16}, "input_tokens", 12),
        ({"cost": True}, "cost", None),
        ({"cost": 10**400}, "cost", None),
        ({"prompt_tokens": "many"}, "input_tokens", None),
        ({"prompt_tokens_details": 7}, "cached_tokens", None),
        ({}, "cost", None),
    ],
)
def test_counts_have_our_names_and_the_report_as_sent(report: Any, name: str, expected: Any) -> None:
    """Finer counts say more than those beside them; what is no count is absent."""
    usage = _ended("stop", report).usage

    assert expected == getattr(usage, name)
    assert report == usage.provider_data
