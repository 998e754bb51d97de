"""Words of OpenAI's older APIs: finish reasons and reports of token counts."""

from __future__ import annotations

from typing import Any

from tests.support.tables import in_one_test
from tokenstream.formats._kit.openai import FINISH_REASONS, finish_reason, usage_of


@in_one_test(("word", "expected"), FINISH_REASONS.items())
def test_each_word_has_its_reason_in_any_case(word: str, expected: str) -> None:
    """Servers write them large and small."""
    assert (expected, expected) == (finish_reason(word), finish_reason(word.upper()))


def test_a_word_that_nobody_knows_is_unknown() -> None:
    assert "unknown" == finish_reason("full_moon")


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
        ({"cache_creation_input_tokens": 7}, "cache_write_tokens", 7),
        ({"prompt_tokens_details": {"cached_tokens": 7}, "cached_tokens": 8}, "cached_tokens", 7),
        ({"prompt_token_details": {"cached_tokens": 7}}, "cached_tokens", 7),
        ({"input_tokens_details": {"audio_tokens": 7}}, "input_audio_tokens", 7),
        ({"completion_tokens_details": {"reasoning_tokens": 7, "moon_tokens": 8}}, "reasoning_tokens", 7),
        ({"output_tokens_details": {"audio_tokens": 7}}, "output_audio_tokens", 7),
        ({"cost": 0.5}, "cost", 0.5),
        ({"cost": {"total_cost": 0.5}}, "cost", 0.5),
        ({"prompt_tokens": "many"}, "input_tokens", None),
        ({"prompt_tokens_details": 7}, "cached_tokens", None),
        ({}, "cost", None),
    ],
)
def test_counts_have_our_names_and_the_report_as_sent(report: Any, name: str, expected: Any) -> None:
    """Finer counts say more than those beside them; what is no count is absent."""
    usage = usage_of(report)

    assert expected == getattr(usage, name)
    assert report == usage.provider_data
