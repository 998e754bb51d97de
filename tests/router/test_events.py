"""`Router`: handlers of events."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.router.support import ANSWER, takes_none, takes_three
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.events import Event, ReasoningDelta, TextDelta
from tokenstream.router import Router


@given(
    registered=st.lists(st.lists(st.sampled_from((TextDelta, ReasoningDelta)), min_size=1, unique=True)),
    kinds=st.lists(st.sampled_from(("text", "reasoning", "refusal"))),
)
def test_each_handler_gets_the_events_of_its_classes_and_no_others(
    registered: list[list[Any]], kinds: list[str]
) -> None:
    script = testing.script()
    for kind in kinds:
        script = getattr(script, kind)("a")
    answer = script.finish()
    router: Any = Router()
    called: list[tuple[int, object]] = []
    for number, classes in enumerate(registered):
        router.on(*classes)(lambda event, number=number: called.append((number, event)))

    answer.stream("openai-chat").run(router)

    assert called == [
        (number, event)
        for event in answer.stream("openai-chat")
        for number, classes in enumerate(registered)
        if type(event) in classes
    ]


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
    called: list[type] = []
    router.on(*get_args(Event))(lambda event: called.append(type(event)))

    ANSWER.stream("openai-chat").run(router)

    assert called == [type(event) for event in ANSWER.stream("openai-chat")]


@pytest.mark.parametrize("handler", [None, "show", takes_none, takes_three])
def test_what_cannot_take_one_argument_is_no_handler(handler: Any) -> None:
    with pytest.raises(MisuseError, match="TextDelta"):
        Router().on(TextDelta)(handler)


def test_a_function_that_does_not_tell_its_arguments_is_taken_at_its_word() -> None:
    """Some functions that are written in C tell no arguments."""
    router = Router()

    assert router.on(TextDelta)(type) is type
    ANSWER.stream("openai-chat").run(router)  # It is called with the event alone.


@pytest.mark.parametrize("concurrency", [0, -1, None, 1.5, "8"])
def test_at_least_one_tool_may_run_at_once(concurrency: Any) -> None:
    with pytest.raises(MisuseError, match="concurrency="):
        Router(concurrency=concurrency)
    assert (8, 1) == (Router().concurrency, Router(concurrency=1).concurrency)
