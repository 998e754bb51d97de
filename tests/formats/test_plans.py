"""Plans: what is kept for all streams stays within bounds, whatever names a server makes up."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.errors import ProtocolError
from tokenstream.formats._wire.openai_chat.choice import Layout, Plans


def _counted() -> tuple[Plans[str], list[Layout]]:
    made: list[Layout] = []

    def make(layout: Layout) -> str:
        made.append(layout)
        return " ".join(layout)

    return Plans(make), made


def test_a_server_that_makes_up_names_fills_no_memory() -> None:
    """A layout that is in use is planned again, and then known again."""
    plans, made = _counted()
    for number in range(10_000):
        plans[(str(number),)]
    kept = len(made)
    for number in range(10_000):
        plans[(str(number),)]
    planned_again = len(made) - kept

    assert planned_again > 9_000
    plans[("in use",)]
    before = len(made)
    plans[("in use",)]
    assert before == len(made)


def test_names_of_any_length_are_planned_and_long_ones_forgotten() -> None:
    plans, made = _counted()
    long = ("a" * 5_000,)

    assert plans[long] == plans[long]
    assert [long, long] == made


def test_a_key_that_is_no_text_is_refused() -> None:
    """JSON cannot say it: somebody made the payload otherwise."""
    odd: Any = (1,)
    with pytest.raises(ProtocolError, match="a key that is not text"):
        Plans(len)[odd]
