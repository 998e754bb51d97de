"""The options of a broadcast, its listeners, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.stream.broadcast.support import letters, said
from tokenstream import Stream
from tokenstream.errors import ConcurrentRead, MisuseError
from tokenstream.stream import Broadcast, BroadcastReader


def test_a_stream_has_one_hub() -> None:
    """Other options than its own are refused."""
    stream = said()
    hub = stream.broadcast(policy="raise", size=7)
    assert hub is stream.broadcast() is stream.broadcast(size=7)

    with pytest.raises(MisuseError, match="policy='raise' and size=7"):
        stream.tee(2, policy="wait")
    assert isinstance(hub, Broadcast)
    assert isinstance(hub.reader(), BroadcastReader)


def test_options_may_be_chosen_until_a_reader_of_events_has_begun() -> None:
    """So that who shares a stream without a word on them keeps nobody from it."""
    stream = said(pieces=letters(20))
    stream.broadcast()
    next(stream.text)
    (one,) = stream.tee(1, policy="drop_oldest", size=30)
    assert 23 == len(list(one))
    with pytest.raises(MisuseError, match="'drop_oldest' and size=30"):
        stream.broadcast(size=31)

    other = said()
    assert 8 == len(list(other.tee(1)[0]))
    with pytest.raises(MisuseError, match="'wait' and size=1024"):
        other.broadcast(policy="raise")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"policy": "drop"}, "'wait', 'drop_oldest', 'raise'"), ({"size": 0}, "size= takes a whole number")],
)
def test_options_that_are_none_are_refused(options: dict[str, Any], told: str) -> None:
    """In words that say which there are."""
    with pytest.raises(MisuseError, match=told):
        said().broadcast(**options)


def test_a_view_that_was_made_before_is_refused() -> None:
    """It would take events from the readers; the error says to ask anew."""
    stream = said()
    text = stream.text
    stream.tee(2)

    with pytest.raises(ConcurrentRead, match="ask for views after that"):
        next(text)


def test_a_listener_is_told_of_all_that_comes_and_of_the_end() -> None:
    """By whoever reads; it may stop to listen."""
    stream = said()
    told: list[str] = []
    end = stream.broadcast().listen(lambda: told.append(stream.message.ending))
    stream.final()
    end()

    assert ["streaming", "complete"] == [told[0], told[-1]]
    assert 9 == len(told)


@pytest.mark.parametrize("end", [Stream.close, Stream.stop])
def test_a_listener_is_told_of_an_end_that_nobody_reads(end: Callable[[Stream], None]) -> None:
    """Before the call comes back."""
    stream = said()
    told: list[str] = []
    stream.broadcast().listen(lambda: told.append(stream.message.ending))
    next(stream.text)
    end(stream)

    assert "stopped" == told[-1]
