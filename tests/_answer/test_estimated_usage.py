"""Answers that were stopped or cut, whose token counts never came: estimated, and labelled so."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest

from tokenstream import Checkpoint, Job, Stream, Usage, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta, UsageUpdate
from tokenstream.message import Ending, Message
from tokenstream.testing import faults

TALE = (
    testing.script()
    .text("Once upon ", "a time, ", "far away.")
    .usage(input_tokens=9, output_tokens=8)
    .finish()
)
SAID = "Once upon a time, "


def read(stream: Stream) -> Message:
    with contextlib.suppress(StreamError):
        stream.final()
    return stream.message


def of(message: Message) -> tuple[Any, ...]:
    usage = message.usage
    return (usage.basis, usage.input_tokens, usage.output_tokens)


@pytest.mark.parametrize(
    ("fault", "ending"), [(faults.cut(event=3), "truncated"), (faults.error_event(event=4), "failed")]
)
def test_an_answer_that_broke_off_has_its_tokens_estimated(fault: Any, ending: Ending) -> None:
    """Four bytes are a token; of the request's tokens nothing is known."""
    message = read(TALE.stream("openai-chat", fault=fault))

    assert ending == message.ending
    assert ("estimated", None, -(-len(message.text) // 4)) == of(message)


@pytest.mark.parametrize("how", ["stop", "close", "guard"])
def test_an_answer_that_was_stopped_has_its_tokens_estimated(how: str) -> None:
    """An answer that was stopped is paid for, and no provider tells how many tokens it had."""
    stream = TALE.stream("openai-chat")
    if how == "guard":
        stream.guard(re.compile("time"))
        stream.final()
    else:
        for text in stream.text:
            if "time" in text:
                stream.stop() if how == "stop" else stream.close()
                break

    assert (SAID, "stopped") == (stream.message.text, stream.message.ending)
    assert ("estimated", None, 5) == of(stream.message)


def test_counts_from_before_the_end_are_kept() -> None:
    """Anthropic tells the tokens of the request first, and those of the answer last."""
    script = testing.script().usage(input_tokens=9, output_tokens=1).text("Once upon ", "a time, ")
    message = read(script.stream("anthropic", fault=faults.cut(at=1.0)))

    assert SAID == message.text
    assert ("estimated", 9, 5) == of(message)


@pytest.mark.parametrize(("counted", "expected"), [(4, ("partial", 9, 4)), (2, ("estimated", 9, 9))])
def test_a_count_that_goes_along_is_believed(counted: int, expected: tuple[Any, ...]) -> None:
    """Gemini's does; one that leaves more than 16 bytes to a token is from the start."""
    accumulator = Accumulator()
    accumulator.take(TextDelta("Once upon a time, far away, a few"))
    accumulator.take(UsageUpdate(Usage(input_tokens=9, output_tokens=counted)))
    accumulator.conclude("stopped")

    assert expected == of(accumulator.message)


def test_reasoning_and_arguments_are_tokens_too() -> None:
    script = testing.script().reasoning("Grüße").tool_call("look", {"where": "here"}).text("x")
    message = read(script.stream("openai-chat", fault=faults.cut(at=1.0)))
    arguments = message.tool_calls[0].arguments_text

    assert ("estimated", None, -(-(7 + len(arguments) + 1) // 4)) == of(message)


def test_nothing_is_estimated_of_what_is_whole() -> None:
    """A provider that counts nothing has told nothing; one that does is believed."""
    uncounted = testing.script().text("Hello there").finish()

    assert ("none", None, None) == of(read(uncounted.stream("openai-chat")))
    assert ("reported", 9, 8) == of(read(TALE.stream("openai-chat")))


def test_while_an_answer_comes_its_message_tells_what_was_reported() -> None:
    """The metrics estimate, and say so."""
    stream = TALE.stream("openai-chat")
    next(stream.text)
    live = stream.metrics
    message = stream.message
    stream.final()

    assert ("none", None, None) == of(message)
    assert ("estimated", 3) == (live.tokens_basis, live.output_tokens)
    assert ("reported", 8) == (stream.metrics.tokens_basis, stream.metrics.output_tokens)


def test_time_per_token_goes_by_reported_counts_alone() -> None:
    """The speed is an estimate where its source says so."""
    paced = testing.script().text("Once upon ").silence(1).text("a time, ").usage(output_tokens=8).finish()
    whole = paced.stream("openai-chat", pace="recorded")
    cut = paced.stream("openai-chat", pace="recorded", fault=faults.cut(event=7))
    read(whole)
    read(cut)

    assert (7.0, 1 / 7) == (whole.metrics.tokens_per_second, whole.metrics.tpot)
    assert (4.0, "estimated", None) == (
        cut.metrics.tokens_per_second,
        cut.metrics.tokens_basis,
        cut.metrics.tpot,
    )


def test_an_estimate_is_never_taken_for_a_report() -> None:
    """Whoever goes on from a checkpoint, or adds up, counts afresh."""
    answer = testing.script().text("Once upon ", "a time, ").finish()
    stream = answer.stream("openai-responses", fault=faults.cut(event=6))
    with pytest.raises(StreamError) as caught:
        stream.final()

    assert caught.value.partial == stream.message
    kept = Checkpoint.model_validate_json(caught.value.checkpoint.model_dump_json())
    there = read(Stream(answer.chunks("openai-responses"), job=Job("job", checkpoint=kept)))
    usage = stream.message.usage

    assert "estimated" == usage.basis
    assert ("none", None, None) == of(there)
    assert "estimated" == (usage + Usage(output_tokens=1)).basis
