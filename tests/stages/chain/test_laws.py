"""Stages one behind the other: what one gives is what the next gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.chain.support import Words
from tokenstream.errors import MisuseError, OutputInvalid
from tokenstream.framing import NDJSONParser
from tokenstream.stages import Chain, Stage
from tokenstream.stages._objects.items import Items


class _Twice(Words):
    def feed(self, item: str, *, now: float = 0.0) -> list[str]:
        return [item, item]


class _Later(Words):
    """Gives an item some time after it came; an empty one is an error at that time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._waiting: list[tuple[float, str]] = []

    @property
    def deadline(self) -> float | None:
        return self._waiting[0][0] if self._waiting and self.error is None else None

    def feed(self, item: str, *, now: float = 0.0) -> list[str]:
        if self.error is None:
            self._waiting.append((now + self._seconds, item))
        return []

    def tick(self, now: float) -> list[str]:
        out: list[str] = []
        while self._waiting and self._waiting[0][0] <= now and self.error is None:
            item = self._waiting.pop(0)[1]
            if item.startswith("?"):
                self.error = TimeoutError(f"{item} at {now}")
            else:
                out.append(item)
        return out

    def end(self, *, now: float = 0.0) -> list[str]:
        self.ends += 1
        out, self._waiting = [item for _, item in self._waiting], []
        return out


class _Decoded(Words):
    def feed(self, item: Any, *, now: float = 0.0) -> list[str]:
        return [item.decode()]


class _Pair:
    """Two stages by hand, as the rules say it: what a chain of any length has to be like."""

    def __init__(self, first: Stage[Any, Any], second: Stage[Any, Any]) -> None:
        self._first, self._second = first, second
        self.error: Exception | None = None
        self._over = False

    @property
    def deadline(self) -> float | None:
        times = [getattr(stage, "deadline", None) for stage in (self._first, self._second)]
        return None if self._over else min((time for time in times if time is not None), default=None)

    @property
    def stop(self) -> str | None:
        return self._first.stop if self._first.stop is not None else self._second.stop

    def feed(self, item: Any, *, now: float = 0.0) -> list[Any]:
        return [] if self.error is not None else self._give(self._first.feed(item, now=now), now)

    def tick(self, now: float) -> list[Any]:
        out: list[Any] = []
        for stage in (self._first, self._second):
            due = getattr(stage, "deadline", None)
            if not self._over and due is not None and due <= now:
                timed: Any = stage
                given = timed.tick(now)
                out += self._give(given if stage is self._first else [], now)
                out += given if stage is self._second else []
        return out

    def end(self, *, now: float = 0.0) -> list[Any]:
        if self._over:
            return []
        self._over = True
        out = self._give(self._first.end(now=now), now)
        if self.error is None:
            out += self._second.end(now=now)
            self.error = self._second.error
        return out

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def _give(self, items: list[Any], now: float) -> list[Any]:
        out = []
        for item in items:
            out += self._second.feed(item, now=now)
            if self._second.error is not None:
                break
        if self._second.error is not None:
            self.error, self._over = self._second.error, True
        elif self._first.error is not None:
            self.error, self._over = self._first.error, True
            out += self._second.end(now=now)
        return out


_makers: st.SearchStrategy[Callable[[], Stage[str, str]]] = st.sampled_from(
    [
        Words,
        _Twice,
        lambda: Words("!"),
        lambda: Words("?"),
        lambda: Words(ends_badly=True),
        lambda: _Later(1.0),
        lambda: _Later(2.5),
    ]
)
_letters = st.text("ab !?", max_size=4)
_steps = st.lists(
    st.tuples(st.sampled_from(["feed", "feed", "tick"]), _letters, st.sampled_from([0.0, 0.5, 1.0])),
    max_size=10,
)


def _seen(stage: Any, steps: list[tuple[str, str, float]]) -> list[Any]:
    now, seen = 0.0, []
    for what, item, seconds in steps:
        now += seconds
        out = stage.feed(item, now=now) if what == "feed" else stage.tick(now)
        seen.append((out, repr(stage.error), stage.deadline, stage.stop))
    ended = stage.end(now=now)
    return [*seen, (ended, repr(stage.error), stage.deadline, stage.end(now=now), stage.tick(now + 99))]


@given(makers=st.lists(_makers, min_size=2, max_size=5), steps=_steps)
def test_a_chain_is_its_stages_one_inside_the_other(
    makers: list[Callable[[], Stage[str, str]]], steps: list[tuple[str, str, float]]
) -> None:
    """Each stage and all that stands behind it are a pair, for which the rules are said by hand."""
    by_hand: Any = reduce(lambda rest, maker: _Pair(maker(), rest), reversed(makers[:-1]), makers[-1]())

    assert _seen(by_hand, steps) == _seen(Chain(*[maker() for maker in makers]), steps)


@given(
    makers=st.lists(_makers, max_size=5), places=st.tuples(st.integers(0, 5), st.integers(0, 5)), steps=_steps
)
def test_chaining_is_associative(
    makers: list[Callable[[], Stage[str, str]]], places: tuple[int, int], steps: list[tuple[str, str, float]]
) -> None:
    start, stop = sorted(places)

    def made(part: list[Callable[[], Stage[str, str]]]) -> list[Stage[str, str]]:
        return [maker() for maker in part]

    inner: Chain[str, str] = Chain(*made(makers[start:stop]))
    nested: Chain[str, str] = Chain(*made(makers[:start]), inner, *made(makers[stop:]))

    assert _seen(Chain(*made(makers)), steps) == _seen(nested, steps)


@given(makers=st.lists(_makers, max_size=4), steps=_steps)
def test_a_tick_before_the_deadline_does_nothing(
    makers: list[Callable[[], Stage[str, str]]], steps: list[tuple[str, str, float]]
) -> None:
    """A driver may tick as often as it likes: the output and its times stay the same."""
    chain: Chain[str, str] = Chain(*[maker() for maker in makers])
    ticked: Chain[str, str] = Chain(*[maker() for maker in makers])
    now, early = 0.0, []
    for what, item, seconds in steps:
        now += seconds
        due = ticked.deadline
        before = now if due is None else min(now, due - 0.25)
        early += ticked.tick(before)

        assert [] == early
        assert (chain.deadline, repr(chain.error)) == (ticked.deadline, repr(ticked.error))
        if what == "feed":
            assert chain.feed(item, now=now) == ticked.feed(item, now=now)
        else:
            assert chain.tick(now) == ticked.tick(now)


def test_a_chain_without_stages_returns_its_input() -> None:
    """An empty chain adds nothing when it becomes part of another chain."""
    chain = Chain[str, str]()

    assert (["a"], [], [], None, None, None) == (
        chain.feed("a"),
        chain.tick(9.0),
        chain.end(),
        chain.deadline,
        chain.stop,
        chain.error,
    )


@pytest.mark.parametrize("place", range(4))
def test_an_error_follows_the_items_that_later_stages_held_back(place: int) -> None:
    """Later stages receive the items from before the error and are ended; earlier stages are left alone."""
    stages = [Words("!" if at == place else "") for at in range(4)]
    chain: Chain[str, str] = Chain(*stages)
    held = chain.feed("one two")
    given = [*held, *chain.feed(" three ! four"), *chain.feed(" five"), *chain.end(), *chain.tick(1.0)]

    assert "one two three " == "".join(given)
    assert chain.error is stages[place].error is not None
    assert [0] * (place + 1) + [1] * (3 - place) == [stage.ends for stage in stages]
    with pytest.raises(ValueError, match="! after"):
        chain.check()


def test_a_reason_to_stop_is_passed_on() -> None:
    chain = Chain(_Decoded(), Items(int, fail_fast=True))

    assert ([], None) == (chain.feed(b"["), chain.stop)
    assert ([1], "the output is invalid") == (chain.feed(b'1, "two", 3]'), chain.stop)
    assert isinstance(chain.error, OutputInvalid)


def test_misuse_of_a_stage_is_raised() -> None:
    chain = Chain(NDJSONParser(), _Decoded())
    chain.end()
    with pytest.raises(MisuseError):
        chain.feed(b"late")
