"""Events: small values, with the payload at hand."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import events
from tokenstream.errors import ProtocolError
from tokenstream.events import Event, Finish, ReasoningDelta, StepDone, StepStart, TextDelta, ToolCallDelta
from tokenstream.message import ToolCall


def test_the_union_holds_every_event() -> None:
    """A match over all events ends with `assert_never`."""
    assert {kind.__name__ for kind in typing.get_args(Event)} == set(events.__all__) - {"Event"}


@in_one_test("kind", typing.get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_is_small_and_has_the_three_common_fields(kind: type) -> None:
    """Slotted, keyword-only base fields, a docstring with an example."""
    parameters = {field.name: field for field in dataclasses.fields(kind)}

    assert all("__slots__" in vars(base) for base in kind.__mro__[:-1])
    assert {"choice", "part", "raw"} <= parameters.keys()
    assert all(parameters[name].kw_only for name in ("choice", "part", "raw"))
    assert ">>>" in (kind.__doc__ or "")


def test_matching_by_position_takes_the_events_own_fields() -> None:
    """`case TextDelta(text)` as in the documents."""
    match TextDelta("Hel", choice=2, part=1):
        case TextDelta(text):
            assert text == "Hel"
        case _:
            pytest.fail("no match")
    positional: Any = TextDelta
    with pytest.raises(TypeError):
        positional("a", 1)


def test_raw_is_decoded_when_it_is_asked_for() -> None:
    event = TextDelta("Hel", raw=b'{"a": 1}')

    assert event.raw == {"a": 1}
    assert event.raw is event.raw
    assert TextDelta("Hel", raw={"b": 2}).raw == {"b": 2}
    assert TextDelta("Hel").raw is None
    with pytest.raises(ProtocolError):
        _ = TextDelta("Hel", raw=b"{").raw


def test_events_compare_by_what_they_say_and_not_by_their_payload() -> None:
    """Tests of handlers write events without payloads."""
    assert TextDelta("a", raw={"x": 1}) == TextDelta("a")
    assert TextDelta("a") != TextDelta("b")
    different: Event = ReasoningDelta("a")
    assert different != TextDelta("a")
    assert Finish("stop", "end_turn") == Finish("stop", "end_turn", raw={})


@pytest.mark.parametrize(
    "event",
    [
        TextDelta("a"),
        ToolCallDelta("c", "{", part=2),
        StepStart("1", "f", cause=ToolCall(id="c", name="f")),
        StepDone("1", "failed", "ValueError"),
    ],
)
def test_an_event_of_a_run_knows_its_step(event: Event) -> None:
    before = event.step
    copied = copy.copy(event)
    copied.step = "1.2"

    assert before is None
    assert event.step is None
    assert copied == event
    assert ["1.2"] * 2 == [pickle.loads(pickle.dumps(copied)).step, copy.deepcopy(copied).step]


@pytest.mark.parametrize(
    "event", [TextDelta("a", raw=b"{}"), ToolCallDelta("c", "{", part=2), Finish("stop")]
)
def test_events_pickle(event: Event) -> None:
    copied = pickle.loads(pickle.dumps(event))

    assert copied == event
    assert copied.raw == event.raw
