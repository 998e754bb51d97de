"""`Router`: handlers of events."""

from __future__ import annotations

import functools
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.router.support import done, kind, run_on, takes_none, takes_three
from tokenstream.errors import MisuseError
from tokenstream.events import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from tokenstream.router import Router


def _numbered(number: int, event: object) -> tuple[int, object]:
    return number, event


def test_handlers_of_one_event_are_called_in_the_order_in_which_they_were_registered() -> None:
    router = Router()
    router.on(TextDelta)(lambda event: ("first", event.text))
    router.on(ReasoningDelta, TextDelta)(lambda event: ("second", event.text))
    router.on(TextDelta)(lambda event: ("third", event.text))

    assert [[("first", "a"), ("second", "a"), ("third", "a")], [("second", "b")]] == done(
        run_on(router), TextDelta("a"), ReasoningDelta("b")
    )


@given(
    registered=st.lists(st.lists(st.sampled_from((TextDelta, ReasoningDelta)), min_size=1, unique=True)),
    events=st.lists(st.sampled_from((TextDelta("t"), ReasoningDelta("r"), ToolCallDelta("c", "f")))),
)
def test_each_handler_gets_the_events_of_its_classes_and_no_others(
    registered: list[list[Any]], events: list[Any]
) -> None:
    router: Any = Router()
    for number, classes in enumerate(registered):
        router.on(*classes)(functools.partial(_numbered, number))

    assert [
        [(number, event) for number, classes in enumerate(registered) if type(event) in classes]
        for event in events
    ] == done(run_on(router), *events)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ((), "takes at least one class of events"),
        ((str,), "takes classes of events, not <class 'str'>; they are CitationAdded, Finish"),
        ((Event,), "takes classes of events, not "),
        ((takes_none,), "takes classes of events, not "),
    ],
)
def test_what_is_no_class_of_events_is_refused(classes: tuple[Any, ...], words: str) -> None:
    with pytest.raises(MisuseError, match=rf"router.on.* {words}"):
        Router().on(*classes)


def test_every_class_of_events_can_be_handled() -> None:
    """All members of the union, which may grow."""
    router: Any = Router()
    router.on(*get_args(Event))(kind)

    assert [[TextDelta], [Finish]] == done(run_on(router), TextDelta("a"), Finish("stop"))


@pytest.mark.parametrize("handler", [None, "show", takes_none, takes_three])
def test_what_cannot_take_one_argument_is_no_handler(handler: Any) -> None:
    with pytest.raises(MisuseError, match="TextDelta"):
        Router().on(TextDelta)(handler)


def test_a_function_that_does_not_tell_its_arguments_is_taken_at_its_word() -> None:
    """Some functions that are written in C tell no arguments."""
    router = Router()
    router.on(TextDelta)(type)

    assert [[TextDelta]] == done(run_on(router), TextDelta("a"))


@pytest.mark.parametrize("concurrency", [0, -1, None, 1.5, "8"])
def test_at_least_one_tool_may_run_at_once(concurrency: Any) -> None:
    """Nothing else is a number of tools."""
    with pytest.raises(MisuseError, match="concurrency="):
        Router(concurrency=concurrency)
    assert (8, 1) == (Router().concurrency, Router(concurrency=1).concurrency)
