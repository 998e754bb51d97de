"""Bounds and deadlines: their defaults, and what they refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tokenstream import Deadlines, Limits


def test_the_defaults_are_those_of_the_documents() -> None:
    """Sizes in bytes, characters and counts; times in seconds."""
    mib = 1024 * 1024

    assert dataclasses.asdict(Limits()) == {
        "line": 32 * mib,
        "event": 32 * mib,
        "body": 256 * mib,
        "text": 64_000_000,
        "tool_calls": 1024,
        "parts": 10_000,
        "choices": 128,
        "steps": 20_000,
        "depth": 200,
        "digits": 4300,
        "tail": 4096,
    }
    assert dataclasses.asdict(Deadlines()) == {
        "first_event": 600.0,
        "idle_bytes": 300.0,
        "idle_content": 600.0,
        "after_finish": 1.0,
        "total": None,
    }


@pytest.mark.parametrize("value", [-1, 1.5, "1", True, None])
def test_a_bound_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"Limits\.body"):
        Limits(body=value)


@pytest.mark.parametrize("value", [0, -1.0])
def test_a_deadline_is_a_positive_time(value: float) -> None:
    """The error names the field; None is for ever."""
    with pytest.raises(ValueError, match=r"Deadlines\.total"):
        Deadlines(total=value)
    assert Deadlines(first_event=None).first_event is None


@pytest.mark.parametrize("name, most", [("depth", 200), ("digits", 4_300)])
def test_bounds_of_the_decoder_can_only_be_lowered(name: str, most: int) -> None:
    """A higher one would promise what the decoder refuses."""
    assert getattr(Limits(**{name: 1}), name) == 1
    with pytest.raises(ValueError, match=f"at most|{most}"):
        Limits(**{name: most + 1})
