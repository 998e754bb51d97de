"""The marks of an answer are those that anybody takes who looks at each payload as it comes."""

from __future__ import annotations

import pytest

from tests._pipeline.marks_by_hand import MARKS, chosen, events_of, firsts, offered
from tests.support.recordings import Recorded
from tests.support.sampling import sampled
from tokenstream import Decoder


@pytest.mark.parametrize(
    "recorded", sampled(chosen(), one_in=10, slow_one_in=4), ids=lambda recorded: recorded.name
)
@pytest.mark.parametrize("together", [1, 3])
def test_marks_are_taken_at_the_chunk_that_brings_the_first_of_each(
    recorded: Recorded, together: int
) -> None:
    events = events_of(recorded)
    decoder = Decoder(recorded.format, tools=offered(events))
    for start in range(0, len(events), together):
        decoder.feed(b"".join(events[start : start + together]), now=float(start // together))
    metrics = decoder.metrics

    assert {mark: number // together for mark, number in firsts(recorded.format, events).items()} == {
        mark: getattr(metrics, mark) for mark in MARKS if getattr(metrics, mark) is not None
    }
