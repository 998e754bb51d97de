"""An item of a text ends, and more text may follow: the stages give what they hold, and go on."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream import stages
from tokenstream.stages import Chain

CUTTING: dict[str, Any] = {
    "words": stages.Words,
    "graphemes": stages.Graphemes,
    "lines": stages.Lines,
    "sentences": stages.Sentences,
    "spoken sentences": lambda: stages.Sentences(spoken=True),
    "throttle": lambda: stages.Throttle(0.01),
    "smooth": stages.Smooth,
    "no stage": Chain,
}


@pytest.mark.parametrize("make", CUTTING.values(), ids=CUTTING.keys())
def test_what_is_held_comes_with_the_end_of_the_item(make: Any) -> None:
    chain: Chain[str, str] = Chain(make())
    first = [*chain.feed("One two"), *chain.end_item()]
    second = [*chain.feed("Three"), *chain.end_item()]

    assert ("".join(first), "".join(second)) == ("One two", "Three")
    assert chain.end() == []


def test_blocks_go_on_with_their_numbers() -> None:
    """Text behind a tool call is another paragraph."""
    chain: Chain[str, Any] = Chain(stages.MarkdownBlocks())
    blocks = [*chain.feed("One *two"), *chain.end_item(), *chain.feed("Three"), *chain.end()]

    assert [(block.id, block.text) for block in blocks if block.closed] == [(0, "One *two"), (1, "Three")]


@pytest.mark.parametrize("make", [lambda: stages.Redact("secret"), lambda: stages.Until("secret")])
def test_a_match_may_go_on_in_the_next_item(make: Any) -> None:
    start = "a se"
    chain: Chain[str, str] = Chain(make(), stages.Words())
    held = [*chain.feed(start), *chain.end_item()]
    rest = chain.end_item(final=True)

    assert (held, "".join(rest)) == (["a"], start[1:])
    assert [*chain.feed("b c"), *chain.end_item()] == ["b", " c"]


def test_a_stage_without_a_match_lets_the_stages_after_it_end() -> None:
    chain: Chain[str, str] = Chain(stages.Redact("secret"), stages.Words())

    assert [*chain.feed("One two"), *chain.end_item()] == ["One", " two"]


def test_a_pace_is_kept_if_the_caller_comes_back_in_time() -> None:
    chain: Chain[str, Any] = Chain(stages.Words(), stages.Smooth(0.1, whole=True), stages.MarkdownBlocks())
    begun = [*chain.feed("One two three", now=0.0), *chain.end_item(now=0.0, paced=True)]
    later = [*chain.tick(0.05), *chain.tick(0.2), *chain.end_item(now=0.2, paced=True)]

    assert not any(block.closed for block in begun)
    assert [block.text for block in later if block.closed] == ["One two three"]
