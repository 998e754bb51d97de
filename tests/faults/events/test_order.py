"""Faults of the event layer, F52 to F55 of the fault matrix: events unknown, late, missing."""

from __future__ import annotations

import pytest

from tests.faults.events.support import BODIES, check_whole, every_format, outcome
from tests.support.wire import sse
from tokenstream.events import TextDelta, Unknown


@every_format
def test_f52_an_unknown_event_is_carried_and_never_fatal(format: str) -> None:
    """F52: it comes as `Unknown`, with its name and payload, where it stood."""
    found = outcome(BODIES[format].around(sse('{"type":"telemetry","a":1}', event="telemetry")))
    places = [place for place, event in enumerate(found.events) if isinstance(event, TextDelta | Unknown)]
    before, unknown, after = (found.events[place] for place in places)

    check_whole(found)
    assert isinstance(before, TextDelta)
    assert isinstance(after, TextDelta)
    assert isinstance(unknown, Unknown)
    assert ("telemetry", {"type": "telemetry", "a": 1}) == (unknown.name, unknown.data)


@every_format
@pytest.mark.parametrize("lacking", [1, 2])
def test_f53_a_terminal_event_without_its_blank_line_is_one(format: str, lacking: int) -> None:
    """F53: it is whole, so it is taken, and counted."""
    body = BODIES[format]

    check_whole(outcome([*body.all[:-1], body.end[:-lacking]]), {"blank_line_missing": 1})


@every_format
def test_f53_a_missing_terminal_event_after_the_finish_reason_is_no_error(format: str) -> None:
    check_whole(outcome(BODIES[format].all[:-1]), {"done_missing": 1})


@every_format
def test_f54_a_connection_that_breaks_after_the_finish_reason_costs_nothing(format: str) -> None:
    """F54: the answer is whole: complete, with a departure, and no error."""
    check_whole(outcome(BODIES[format].all[:-1], ConnectionResetError("reset")), {"broken_after_finish": 1})


@every_format
def test_f55_what_comes_after_the_terminal_event_is_ignored_and_counted(format: str) -> None:
    """F55: nothing is appended to an answer that is over."""
    body = BODIES[format]

    check_whole(outcome([*body.all, body.last]), {"data_after_end": 1})
    check_whole(outcome([*body.all, body.end]), {"end_repeated": 1})
