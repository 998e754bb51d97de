"""The last items of a sequence, found by their numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream.stream._fan_out.queue import Ring


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 40))
def test_a_ring_holds_the_last_items_each_by_its_number(size: int, begin: int, count: int) -> None:
    ring = Ring[str](size, begin=begin)
    numbers = range(begin, begin + count)
    for number in numbers:
        ring.append(str(number))
    held = numbers[-size:]

    assert [str(number) for number in held] == [ring[number] for number in range(ring.begin, ring.end)]
    assert (begin + count - len(held), begin + count) == (ring.begin, ring.end)


@pytest.mark.parametrize("number", [-1, 0, 3])
def test_a_number_that_is_not_held_is_an_index_error(number: int) -> None:
    ring = Ring[str](2)
    for letter in "abc":
        ring.append(letter)

    with pytest.raises(IndexError):
        ring[number]
