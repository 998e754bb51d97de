"""A second attempt beside a first one that has shown nothing yet."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from tokenstream import Retry, Routes, aresilient, resilient, testing
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import TextDelta

ANSWER = testing.script().text("Hello wonderful world").usage(input_tokens=3, output_tokens=5).finish("stop")
WHOLE = ANSWER.chunks("openai-chat")
OTHER = testing.script().text("Good morning").finish("stop").chunks("openai-chat")
SHORT, LONG = 0.02, 30.0
NEXT = "until the next attempt waits too, or gives its last chunk"


class Provider:
    """Answers each attempt in its own time, and notes which were closed.

    Args:
        answers: The chunks of each attempt, and the seconds before the second one, or `NEXT`.
    """

    def __init__(self, *answers: tuple[list[bytes], float | str]) -> None:
        self._answers = answers
        self.asked = 0
        self.waits = [anyio.Event() for _ in answers]
        """What each attempt sets where it waits, or gives its last chunk."""
        self.closed: list[int] = []

    async def open(self) -> AsyncIterator[bytes]:
        number, self.asked = self.asked, self.asked + 1
        await anyio.lowlevel.checkpoint()
        return self._body(number)

    async def _body(self, number: int) -> AsyncIterator[bytes]:
        chunks, wait = self._answers[number]
        try:
            for place, chunk in enumerate(chunks):
                if place == len(chunks) - 1 or (place == 1 and wait):
                    self.waits[number].set()
                if place == 1:
                    await (self.waits[number + 1].wait() if isinstance(wait, str) else anyio.sleep(wait))
                yield chunk
        finally:
            self.closed.append(number)


@pytest.mark.anyio
async def test_the_second_attempt_is_read_where_it_shows_content_first() -> None:
    provider = Provider((WHOLE, LONG), (OTHER, 0.0))
    async with aresilient(provider.open, Retry(routes=Routes(hedge_after=SHORT))) as stream:
        first = await anext(stream.text)
        closed = provider.closed[0]
        message = await stream.final()
    kinds = [(report.number, report.mode, report.error) for report in stream.attempts]

    assert (first, message.text, closed) == ("Good", "Good morning", 0)
    assert kinds == [(1, "start", None), (2, "hedge", None)]


@pytest.mark.anyio
async def test_the_first_attempt_is_read_where_it_is_faster_after_all() -> None:
    """What the second one may have cost makes the counts partial."""
    provider = Provider((WHOLE, NEXT), (OTHER, LONG))
    async with aresilient(provider.open, Retry(routes=Routes(hedge_after=SHORT))) as stream:
        message = await stream.final()
    usage = message.usage

    assert (message.text, sorted(provider.closed)) == ("Hello wonderful world", [0, 1])
    assert [(report.number, report.mode) for report in stream.attempts] == [(1, "start"), (2, "hedge")]
    assert (usage.output_tokens, usage.basis) == (5, "partial")


@pytest.mark.anyio
async def test_no_second_attempt_is_made_where_the_first_shows_content_in_time() -> None:
    """A slow end of an answer costs nothing more."""
    provider = Provider((WHOLE, 0.0))
    async with aresilient(provider.open, Retry(routes=Routes(hedge_after=LONG))) as stream:
        events = [event async for event in stream]

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.message.text
    assert stream.message.text == "Hello wonderful world"
    assert (provider.asked, len(stream.attempts)) == (1, 1)


@pytest.mark.anyio
async def test_a_complete_answer_without_text_wins_over_a_failed_one() -> None:
    """A second attempt that fails leaves the first alone, too."""
    refused = testing.script().error("server").chunks("openai-chat")
    empty = testing.script().usage(output_tokens=0).finish("stop").chunks("anthropic")
    retry = Retry(routes=Routes(hedge_after=SHORT), attempts=2, wait=0)
    for first, second in ((WHOLE, refused), (WHOLE[:1] * 2, empty)):
        provider = Provider((first, NEXT), (second, 0.0))
        async with aresilient(provider.open, retry) as stream:
            message = await stream.final()

        text = "Hello wonderful world" if first is WHOLE else ""
        assert (message.text, message.ending, provider.asked) == (text, "complete", 2)
        one, two = stream.attempts
        assert (one.mode, two.mode) == ("start", "hedge")
        assert first is WHOLE or (type(one.error), two.error) == (StreamTruncated, None)


def test_a_stream_without_tasks_cannot_hedge() -> None:
    with pytest.raises(MisuseError, match="use aresilient or aconnect"):
        resilient(list, Retry(routes=Routes(hedge_after=1)))
