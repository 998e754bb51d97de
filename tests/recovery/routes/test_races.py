"""Two routes race for one answer with `Retry(hedge_after=…)`, each by its own deadlines and attempts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import httpx
import pytest

from tokenstream import Deadlines, Retry, Route, aconnect, testing
from tokenstream.errors import StreamError, StreamStalled
from tokenstream.recovery import AttemptReport

HEDGE_AFTER, SOON, LATE, NEVER = 0.02, 0.15, 0.4, 30.0

on_each_loop = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@dataclass
class Raced:
    """What came of a race."""

    asked: list[str]
    """The hosts of the requests, in order."""
    text: str
    error: StreamError | None
    reports: tuple[AttemptReport, ...]

    @property
    def limits(self) -> list[tuple[str, str | None]]:
        """The mode of each attempt, and the deadline that ended it."""
        return [
            (report.mode, report.error.limit if isinstance(report.error, StreamStalled) else None)
            for report in self.reports
        ]


class Body(httpx.AsyncByteStream):
    """A body that begins with a number of chunks, and goes on after a while."""

    def __init__(self, chunks: list[bytes], at_once: int, seconds: float) -> None:
        self._chunks, self._at_once, self._seconds = chunks, at_once, seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks[: self._at_once]:
            yield chunk
        await anyio.sleep(self._seconds)
        for chunk in self._chunks[self._at_once :]:
            yield chunk


def race(
    backend: str,
    seconds: tuple[float, float],
    first: Deadlines,
    second: Deadlines,
    *,
    at_once: int = 0,
    hedge_after: float = HEDGE_AFTER,
    total: float | None = None,
) -> Raced:
    """Let two routes race, which may be asked once each.

    Args:
        backend: The event loop.
        seconds: The seconds of each route before the rest of its body.
        first: The deadlines of the first route.
        second: The deadlines of the second route.
        at_once: Number of chunks before that.
        hedge_after: The seconds after which the second route is asked.
        total: The deadline of the stream.
    """
    asked: list[str] = []
    formats = {"a": "openai-chat", "b": "anthropic"}
    pauses = dict(zip("ab", seconds, strict=True))

    async def answer(request: httpx.Request) -> httpx.Response:
        host = request.url.host
        asked.append(host)
        chunks = testing.script().text("Hello from ", host).finish().chunks(formats[host])
        body = Body(chunks, at_once, pauses[host])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    async def ask() -> Raced:
        error = None
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            a = Route("https://a/v1/chat/completions", json={}, client=client, deadlines=first)
            b = Route("https://b/v1/messages", json={}, client=client, deadlines=second)
            retry = Retry(attempts=1, hedge_after=hedge_after, routes=[b], wait=0)
            with anyio.fail_after(NEVER / 2):
                async with aconnect(a, retry=retry, deadlines=Deadlines(total=total)) as stream:
                    try:
                        await stream.final()
                    except StreamError as raised:
                        error = raised
        return Raced(asked, stream.message.text, error, stream.attempts)

    return anyio.run(ask, backend=backend)


@on_each_loop
def test_a_route_that_is_late_by_its_own_deadline_fails_alone(backend: str) -> None:
    """The other one goes on, and is asked only once."""
    raced = race(backend, (NEVER, LATE), Deadlines(first_event=SOON), Deadlines(first_event=NEVER))

    assert (raced.asked, raced.text, raced.error) == (["a", "b"], "Hello from b", None)
    assert raced.limits == [("start", "first_event"), ("hedge", None)]


@on_each_loop
def test_the_report_of_a_late_route_ends_with_its_deadline(backend: str) -> None:
    """And not with the race, which the other one wins later."""
    raced = race(backend, (NEVER, LATE), Deadlines(first_event=SOON), Deadlines(first_event=NEVER))
    seconds = raced.reports[0].seconds

    assert seconds is not None
    assert SOON <= seconds < LATE


@on_each_loop
def test_a_hedge_has_the_deadlines_of_its_route(backend: str) -> None:
    """If they pass, it has lost, and the first route goes on."""
    raced = race(backend, (LATE, NEVER), Deadlines(first_event=NEVER), Deadlines(first_event=SOON))

    assert (raced.asked, raced.text) == (["a", "b"], "Hello from a")
    assert raced.limits == [("start", None), ("hedge", "first_event")]


@on_each_loop
def test_a_silence_after_the_first_event_counts_in_a_race_too(backend: str) -> None:
    """A head that is followed by nothing is no content."""
    quiet, patient = Deadlines(first_event=NEVER, idle_bytes=SOON), Deadlines(first_event=NEVER)
    raced = race(backend, (NEVER, LATE), quiet, patient, at_once=1)

    assert (raced.asked, raced.text) == (["a", "b"], "Hello from b")
    assert raced.limits == [("start", "idle_bytes"), ("hedge", None)]


@on_each_loop
def test_two_routes_that_are_late_have_failed_once_each(backend: str) -> None:
    """The race ends when the second one's time is over, too."""
    raced = race(backend, (NEVER, NEVER), Deadlines(first_event=SOON), Deadlines(first_event=LATE))

    assert (raced.asked, raced.text) == (["a", "b"], "")
    assert isinstance(raced.error, StreamStalled)
    assert raced.limits == [("start", "first_event"), ("hedge", "first_event")]


@on_each_loop
def test_the_time_of_a_hedge_begins_with_its_own_request(backend: str) -> None:
    """It was sent when the time of its deadline had passed since the first request."""
    raced = race(
        backend,
        (NEVER, SOON),
        Deadlines(first_event=NEVER),
        Deadlines(first_event=LATE),
        hedge_after=LATE + SOON,
    )

    assert raced.limits == [("start", None), ("hedge", None)]
    assert raced.text == "Hello from b"


@on_each_loop
def test_no_hedge_is_sent_if_the_first_route_is_late_before_it(backend: str) -> None:
    """Recovery asks the next route, as without a race."""
    raced = race(
        backend, (NEVER, 0), Deadlines(first_event=SOON), Deadlines(first_event=NEVER), hedge_after=LATE
    )

    assert (raced.asked, raced.text) == (["a", "b"], "Hello from b")
    assert raced.limits == [("start", "first_event"), ("restart", None)]


@on_each_loop
def test_the_total_deadline_bounds_a_race(backend: str) -> None:
    """It is the stream's, and over all attempts."""
    patient = Deadlines(first_event=NEVER)
    raced = race(backend, (NEVER, NEVER), patient, patient, total=LATE)

    assert isinstance(raced.error, StreamStalled)
    assert raced.error.limit == "total"
    assert raced.asked == ["a", "b"]
