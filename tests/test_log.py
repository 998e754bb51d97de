"""Text that grows by pieces and is joined when somebody asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokenstream._log import TextLog


@given(st.lists(st.text(max_size=5), max_size=40), st.data())
def test_any_part_of_the_text_is_as_if_it_had_been_joined_at_once(
    pieces: list[str], data: st.DataObject
) -> None:
    """Whatever was asked for before."""
    log, whole = TextLog(), "".join(pieces)
    for number, piece in enumerate(pieces):
        log.append(piece)
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, log.length))
            assert log.since(start) == "".join(pieces[: number + 1])[start:]
    bounds = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))

    assert log.join() == whole
    assert log.length == len(whole)
    ends = [*bounds, len(whole)] if len(bounds) % 2 else bounds
    expected = "".join(whole[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True))
    assert log.slices(bounds) == expected


def test_many_small_pieces_are_kept_in_few_objects() -> None:
    """A list of a million tokens would cost many times their text."""
    log = TextLog()
    for _ in range(100_000):
        log.append("ab")

    assert log.since(199_990) == "ab" * 5
    assert log.join() == "ab" * 100_000
    assert log.slices([0, 4]) == "abab"
    assert log.slices([199_996, 199_998]) == "ab"
