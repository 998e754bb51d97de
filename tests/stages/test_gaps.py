"""Gaps between chunks, in a histogram of fixed size."""

from __future__ import annotations

import math
import random

import pytest

from tests.support.tables import in_one_test
from tokenstream.stages import GapHistogram

ERROR = 10**0.05 - 1
"""Half a bucket, of which there are ten to a decade."""


def test_there_are_64_buckets() -> None:
    gaps = GapHistogram.of([10.0**power for power in range(-9, 9)])

    assert 64 == len(gaps.counts)
    assert 18 == gaps.count


def test_an_empty_histogram_has_no_percentiles() -> None:
    gaps = GapHistogram()

    assert (None, None, None, None, None) == (gaps.p50, gaps.p95, gaps.p99, gaps.max, gaps.mean)
    assert 0 == gaps.count


def test_a_histogram_is_shown_by_its_figures() -> None:
    """Metrics are printed, and nobody reads 64 counts."""
    gaps = GapHistogram.of([0.5, 0.5])

    assert f"GapHistogram(count=2, p50={gaps.p50}, p99={gaps.p99}, max=0.5)" == repr(gaps)
    assert "GapHistogram(count=0, p50=None, p99=None, max=None)" == repr(GapHistogram())


@in_one_test("seed", range(20))
def test_a_percentile_is_off_by_half_a_bucket_at_most(seed: int) -> None:
    """Half a bucket is 12.2 %, from 0.1 ms to 158 s."""
    made = random.Random(seed)
    gaps = sorted(math.exp(made.uniform(math.log(1e-4), math.log(158))) for _ in range(made.randint(1, 300)))
    histogram = GapHistogram.of(gaps)

    for percent in (1, 50, 95, 99, 100):
        exact = gaps[math.ceil(len(gaps) * percent / 100) - 1]
        assert histogram.percentile(percent) == pytest.approx(exact, rel=ERROR + 1e-9)
    assert gaps[-1] == histogram.max


def test_beyond_the_buckets_a_percentile_is_an_end_of_the_range() -> None:
    """Less than 0.1 ms counts as that, more than 158 s as the longest."""
    assert 0.0001 == GapHistogram.of([0.00001, 0.00001, 5.0]).p50
    assert 0.0 == GapHistogram.of([0.0, 0.0]).p99
    assert 700.0 == GapHistogram.of([300.0, 700.0]).p50


def test_two_histograms_add_up_to_one_of_all_gaps() -> None:
    one, two = [0.1, 0.25, 8.0], [0.001, 0.1, 0.5]
    whole = GapHistogram.of([*one, *two])
    added = sum([GapHistogram.of(two), GapHistogram(), GapHistogram.of(one)], start=GapHistogram())

    assert whole.counts == added.counts
    assert whole.max == added.max
    assert added.seconds == pytest.approx(whole.seconds)


def test_a_histogram_adds_to_nothing_else() -> None:
    with pytest.raises(TypeError):
        GapHistogram() + 1  # type: ignore[operator]
