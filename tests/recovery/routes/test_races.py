"""Two routes race for one answer with `Retry(hedge_after=…)`, each by its own deadlines and attempts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, SlowBody
from tokenstream import Deadlines, Retry, Route, Routes, aconnect, testing
from tokenstream.errors import StreamError, StreamStalled
from tokenstream.recovery import AttemptReport

HEDGE_AFTER, SOON, LATE, NEVER = 0.02, 0.15, 0.4, 30.0
HASTY, PATIENT = Deadlines(first_event=SOON), Deadlines(first_event=NEVER)
BROKEN = Behaviour("reset", 5)

on_each_loop = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@dataclass
class Raced:
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
    """Let two routes race, which may be asked once each."""
    asked: list[str] = []
    formats = {"a": "openai-chat", "b": "anthropic"}
    pauses = dict(zip("ab", seconds, strict=True))

    async def answer(request: httpx.Request) -> httpx.Response:
        host = request.url.host
        asked.append(host)
        chunks = testing.script().text("Hello from ", host).finish().chunks(formats[host])
        body = SlowBody(chunks, at_once, pauses[host])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    async def ask() -> Raced:
        error = None
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            a = Route("https://a/v1/chat/completions", json={}, client=client, deadlines=first)
            b = Route("https://b/v1/messages", json={}, client=client, deadlines=second)
            retry = Retry(attempts=1, routes=Routes(b, hedge_after=hedge_after), wait=0)
            with anyio.fail_after(NEVER / 2):
                async with aconnect(a, retry=retry, deadlines=Deadlines(total=total)) as stream:
                    try:
                        await stream.final()
                    except StreamError as raised:
                        error = raised
        return Raced(asked, stream.message.text, error, stream.attempts)

    return anyio.run(ask, backend=backend)


@pytest.mark.slow
@on_each_loop
def test_a_route_that_is_late_by_its_own_deadline_fails_alone(backend: str) -> None:
    raced = race(backend, (NEVER, LATE), HASTY, PATIENT)

    assert (raced.asked, raced.text, raced.error) == (["a", "b"], "Hello from b", None)
    assert raced.limits == [("start", "first_event"), ("hedge", None)]
    # The report of a late route ends with its deadline.
    seconds = raced.reports[0].seconds
    assert seconds is not None
    assert SOON <= seconds < LATE


RACES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a hedge has the deadlines of its route": (
        ((LATE, NEVER), PATIENT, HASTY, {}),
        ("Hello from a", [("start", None), ("hedge", "first_event")]),
    ),
    "a head that is followed by nothing is no content": (
        ((NEVER, LATE), Deadlines(first_event=NEVER, idle_bytes=SOON), PATIENT, {"at_once": 1}),
        ("Hello from b", [("start", "idle_bytes"), ("hedge", None)]),
    ),
    "the time of a hedge begins with its own request": (
        ((NEVER, SOON), PATIENT, Deadlines(first_event=LATE), {"hedge_after": LATE + SOON}),
        ("Hello from b", [("start", None), ("hedge", None)]),
    ),
    "no hedge is sent if the first route is late before it: recovery asks the next": (
        ((NEVER, 0), HASTY, PATIENT, {"hedge_after": LATE}),
        ("Hello from b", [("start", "first_event"), ("restart", None)]),
    ),
}
"""The seconds before two answers, their deadlines, and the options; the text, and what ended each attempt."""


@pytest.mark.slow
@on_each_loop
@pytest.mark.parametrize("given, expected", RACES.values(), ids=RACES)
def test_each_route_of_a_race_has_its_own_time(given: tuple[Any, ...], expected: Any, backend: str) -> None:
    *deadlines, options = given
    raced = race(backend, *deadlines, **options)

    assert raced.asked == ["a", "b"]
    assert (raced.text, raced.limits) == expected


@pytest.mark.slow
@on_each_loop
def test_two_routes_that_are_late_have_failed_once_each(backend: str) -> None:
    """The race ends when the second one's time is over, too."""
    raced = race(backend, (NEVER, NEVER), HASTY, Deadlines(first_event=LATE))

    assert (raced.asked, raced.text) == (["a", "b"], "")
    assert isinstance(raced.error, StreamStalled)
    assert raced.limits == [("start", "first_event"), ("hedge", "first_event")]


@pytest.mark.slow
@on_each_loop
def test_the_total_deadline_bounds_a_race(backend: str) -> None:
    raced = race(backend, (NEVER, NEVER), PATIENT, PATIENT, total=LATE)

    assert isinstance(raced.error, StreamStalled)
    assert raced.error.limit == "total"
    assert raced.asked == ["a", "b"]


class TestAfterARace:
    """The attempts that both routes have left are made once the winner has broken off its answer."""

    @on_each_loop
    def test_a_route_that_was_only_slower_is_asked_again(self, backend: str) -> None:
        slow = Provider("openai-chat", BROKEN, BROKEN)
        fast = Provider("anthropic", BROKEN)

        told, text = _ask(backend, slow, fast, attempts=3, seconds=(NEVER, 0.0))

        assert text == TRUTH[: len(text)]
        assert told == [
            ("start", "chat.test"),
            ("hedge", "claude.test"),
            ("continue", "chat.test"),
            ("continue", "chat.test"),
        ]

    @on_each_loop
    def test_the_routes_behind_the_winner_are_asked_before_it(self, backend: str) -> None:
        slow, last = Provider("openai-chat"), Provider("gemini", BROKEN)
        fast = Provider("anthropic", BROKEN)

        told, text = _ask(backend, slow, fast, last, attempts=2, seconds=(NEVER, 0.0))

        assert text == TRUTH
        assert [route for _, route in told] == ["chat.test", "claude.test", "gemini.test", "chat.test"]

    @pytest.mark.slow
    @on_each_loop
    @pytest.mark.parametrize(
        ("fault", "asks_again"), [(Behaviour("status"), True), (Behaviour("refused"), False)]
    )
    def test_a_route_that_has_failed_is_asked_again_unless_it_refuses_to_serve(
        self, backend: str, fault: Behaviour, *, asks_again: bool
    ) -> None:
        failing, winner = Provider("openai-chat", fault), Provider("anthropic", BROKEN)

        told, text = _ask(backend, failing, winner, attempts=2, seconds=(SOON, LATE))

        assert told[2:] == [("continue", "chat.test")] * asks_again
        assert (text == TRUTH) is asks_again

    @pytest.mark.slow
    @on_each_loop
    def test_a_hedge_that_was_refused_is_not_sent_again(self, backend: str) -> None:
        first, refusing = Provider("openai-chat", BROKEN), Provider("anthropic", Behaviour("refused"))

        told, _ = _ask(backend, first, refusing, attempts=1, seconds=(LATE, 0.0), others=2)

        assert told == [("start", "chat.test"), ("hedge", "claude.test")]

    @on_each_loop
    def test_a_route_that_was_left_is_not_asked_again(self, backend: str) -> None:
        slow = Provider("openai-chat", BROKEN)
        fast = Provider("anthropic", BROKEN, Behaviour("refused"))

        told, _ = _ask(backend, slow, fast, attempts=2, seconds=(NEVER, 0.0), others=3)

        assert [route for _, route in told] == ["chat.test", "claude.test", "claude.test", "chat.test"]

    @pytest.mark.slow
    @on_each_loop
    def test_a_refusal_of_one_of_two_requests_to_a_route_leaves_the_other_alone(self, backend: str) -> None:
        """The route has served the other, so what it has left is made there."""
        only = Provider("openai-chat", Behaviour("refused"), BROKEN)

        told, text = _ask(backend, only, attempts=3, seconds=(SOON, LATE))

        assert text == TRUTH
        assert [mode for mode, _ in told] == ["start", "hedge", "continue"]


def _ask(
    backend: str, *providers: Provider, attempts: int, seconds: tuple[float, float], others: int = 1
) -> tuple[list[tuple[str, str | None]], str]:
    """Let the first two requests race, and return the mode and the route of each attempt, and the text."""
    pauses = iter(seconds)
    by_host = {httpx.URL(provider.url).host: provider for provider in providers}

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(next(pauses, 0))
        return await by_host[request.url.host]._answer_async(request)  # noqa: SLF001 - its handler

    async def ask() -> tuple[list[tuple[str, str | None]], str]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            first, *routes = [
                Route(provider.url, json=provider.payload, client=client, attempts=others)
                for provider in providers
            ]
            retry = Retry(attempts=attempts, routes=Routes(*routes, hedge_after=HEDGE_AFTER), wait=0)
            with anyio.fail_after(NEVER / 2):
                async with aconnect(first, retry=retry) as stream:
                    with suppress(StreamError):
                        await stream.final()
        return [(report.mode, report.route) for report in stream.attempts], stream.message.text

    return anyio.run(ask, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_request_that_was_not_sent_has_no_report(backend: str) -> None:
    """A stream that is left in the wait before its second attempt has made one."""
    asked = list[str]()

    async def leave() -> Any:
        waiting = anyio.Event()

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.method)
            return httpx.Response(503)

        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        retry = Retry(wait=30, on_retry=lambda _: waiting.set())
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await waiting.wait()
                scope.cancel()

            tasks.start_soon(end)
            with anyio.CancelScope() as scope:
                async with aconnect(
                    "https://a.test/v1/chat/completions", client=client, json={}, retry=retry
                ) as stream:
                    await stream.final()
        return stream

    stream = anyio.run(leave, backend=backend)

    assert asked == ["POST"]
    assert [report.number for report in stream.attempts] == [1]
