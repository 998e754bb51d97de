"""`tap`: what is kept of what passes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER
from tests.stream.tap.support import PAYLOADS, WHOLE, Chunk, Items, opened, payloads
from tokenstream import Decoder, Limits, tap
from tokenstream.errors import LimitExceeded


def test_limits_bound_what_is_kept_and_nothing_else() -> None:
    """Beyond a bound the tap gives up, and the loop goes on."""
    got = list(tapped := tap(payloads(), limits=Limits(text=3)))

    assert got == PAYLOADS
    assert isinstance(tapped.error, LimitExceeded)


def test_the_clock_may_have_begun_earlier() -> None:
    """`started_at` says when the request went out, and entering does not move it."""
    readings = iter(range(5, 1_000))
    with tap(opened(Items(payloads())), started_at=1.0, clock=lambda: float(next(readings))) as tapped:
        next(tapped)

    assert ("request", 4.0) == (tapped.metrics.started, tapped.metrics.first_byte)


def test_the_items_themselves_are_not_kept() -> None:
    """An object is free as soon as the loop lets go of it."""
    tapped = tap(Chunk(payload) for payload in payloads())
    alive = [weakref.ref(chunk) for chunk in tapped]
    gc.collect()

    assert {None} == {reference() for reference in alive}
    assert tapped.message == WHOLE


def _wreck(value: Any) -> None:
    """Empty whatever can be emptied, down to the leaves."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _wreck(inner)
        value.clear()


def test_the_message_does_not_change_with_the_objects() -> None:
    """What the loop does to its dicts afterwards is its own affair."""
    for item in (tapped := tap(payloads())):
        before = tapped.message
        _wreck(item)
        assert tapped.message == before

    assert tapped.message == WHOLE


def test_what_the_loop_does_to_an_object_does_not_hide_the_next_one() -> None:
    """A field that changes is seen to change, though the loop wrote the new value into the old object."""

    def said(text: str, place: int) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], "seen": {"at": place}}

    theirs = [said("a", 1), said("b", 1), said("c", 2)]
    for item in (first := tap(theirs)):
        item["seen"]["at"] = 2
    theirs[1]["seen"]["at"] = 1
    for item, chunk in zip(theirs, second := tap(map(Chunk, theirs)), strict=True):
        assert isinstance(chunk, Chunk)
        item["seen"]["at"] = 2

    for tapped in (first, second):
        assert {"at": 2} == (tapped.message.provider_data or {})["seen"]


@given(st.data())
def test_whatever_is_done_with_the_loop_the_message_is_that_of_what_passed(data: st.DataObject) -> None:
    """Loops begun, left and gone on with, and `next`: the message is a decoder's that was fed the same."""
    tapped, passed = tap(Items(payloads())), 0
    steps: list[Callable[[], Any]] = [lambda: next(iter(tapped), None), lambda: next(tapped, None)]
    for step in data.draw(st.lists(st.sampled_from(steps), max_size=len(PAYLOADS))):
        passed += step() is not None
    decoder = Decoder()
    for event in ANSWER[:passed]:
        decoder.feed(event)

    assert tapped.message == decoder.message
