"""What encoders make of answers that break off and go on, and of runs."""

from __future__ import annotations

import pytest

from tests.relay.encoders.support import PROVIDERS, each_format, each_provider
from tests.support.encoders import create
from tests.support.sent import decoded, relayed
from tests.support.tables import in_one_test
from tokenstream.errors import NotExpressible, ProviderError, StreamTruncated
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    Restarted,
    Resumed,
    StepDone,
    StepStart,
    TextDelta,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.message import Message, TextPart, ToolCall, Usage

_HEAD = MessageStart(id="answer-1", model="model-1")
_OTHER = (MessageStart(id="answer-2", model="model-1"), TextDelta("Other"), Finish("stop"))
_WITHOUT_A_CALL = Resumed("continue", at=0, discarded=(ToolCall(id="c", name="look"),))
_RESTARTED = Restarted(Message(parts=(TextPart(text="One"),)), StreamTruncated("the input ended"))


@in_one_test("format", [format for format in PROVIDERS if format != "gemini-live"])
@in_one_test("taken_back", [_RESTARTED, _WITHOUT_A_CALL], ids=["all of it", "a call that was cut"])
def test_an_answer_of_which_something_was_sent_ends_with_its_error(format: str, taken_back: Event) -> None:
    """No reader can take back what it was told, and nothing of two answers is joined."""
    encoder = create(format)
    sent = [*encoder.feed(_HEAD), *encoder.feed(TextDelta("One"))]
    sent += [*encoder.feed(taken_back), *(chunk for event in _OTHER for chunk in encoder.feed(event))]
    read = decoded([*sent, *encoder.end()], format)

    assert isinstance(read.error, ProviderError)
    assert ("One", "failed") == (read.message.text, read.message.ending)


def test_a_format_without_errors_refuses_to_begin_again() -> None:
    encoder = create("gemini-live")
    encoder.feed(TextDelta("One"))

    with pytest.raises(NotExpressible, match="an error in the middle of an answer"):
        encoder.feed(_RESTARTED)

    assert [] == [chunk for event in _OTHER for chunk in encoder.feed(event)] + encoder.end()


@each_format
@in_one_test("head", [(), (_HEAD,)], ids=["nothing", "head"])
def test_an_answer_of_which_nothing_was_sent_is_replaced(format: str, head: tuple[Event, ...]) -> None:
    sent = relayed(format, *head, Unknown("x", {}), _RESTARTED, *_OTHER)
    plain, came = decoded(relayed(format, *head, *_OTHER), format), decoded(sent, format)

    assert ("Other", "complete", None) == (came.message.text, came.message.ending, came.error)
    assert set(plain.departures.details) == set(came.departures.details)


def test_what_was_kept_of_an_answer_that_was_not_sent_is_forgotten() -> None:
    """Token counts, ends and calls that are held back belong to the answer that broke off."""
    kept = (ToolCallStart("c", "f", part=0), UsageUpdate(Usage(input_tokens=7)), Finish("length"))
    sent = relayed("ollama", *kept, _RESTARTED, *_OTHER)

    assert relayed("ollama", *_OTHER) == sent


@each_provider
def test_an_answer_that_was_resumed_is_one_answer(format: str) -> None:
    said: list[Event] = [MessageStart(), TextDelta("One, "), TextDelta("two"), Finish("stop")]

    assert relayed(format, *said) == relayed(format, *said[:2], Resumed(dropped=1), *said[2:])


@in_one_test("format", [format for format in PROVIDERS if format not in ("ag-ui", "ui-message")])
def test_the_steps_of_a_run_are_one_answer(format: str) -> None:
    said: list[Event] = [MessageStart(), TextDelta("One, "), TextDelta("two"), Finish("stop")]
    steps = StepStart("1", "search"), StepDone("1")

    run = (said[0], steps[0], *said[1:3], steps[1], said[3])
    assert relayed(format, *said) == relayed(format, *run, lossy=True)
    with pytest.raises(NotExpressible, match="the steps of a run"):
        relayed(format, *run)
