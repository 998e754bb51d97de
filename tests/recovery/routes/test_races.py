"""Two routes race for one answer with `Retry(hedge_after=…)`, each by its own deadlines and attempts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from types import NoneType
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
BROKEN, DOWN = Behaviour("reset", 5), Behaviour("status")

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


LATE_FIRST: Any = ((NEVER, LATE), HASTY, PATIENT, {})
RACES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a route that is late by its own deadline fails alone": (
        LATE_FIRST,
        ("Hello from b", [("start", "first_event"), ("hedge", None)]),
    ),
    "two routes that are late have failed once each, when the second one's time is over": (
        ((NEVER, NEVER), HASTY, Deadlines(first_event=LATE), {}),
        ("", [("start", "first_event"), ("hedge", "first_event")]),
    ),
    "the total deadline bounds a race": (
        ((NEVER, NEVER), PATIENT, PATIENT, {"total": LATE}),
        ("", [("start", "total"), ("hedge", None)]),
    ),
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
    assert isinstance(raced.error, NoneType if raced.text else StreamStalled)
    # The report of a late route ends with its deadline.
    assert given is not LATE_FIRST or SOON <= (raced.reports[0].seconds or 0) < LATE


FIRST, HEDGE, AGAIN = ("start", "chat.test"), ("hedge", "claude.test"), ("continue", "chat.test")
NEVER_FIRST, LATE_SECOND = (NEVER, 0.0), (SOON, LATE)
REFUSED = Behaviour("refused")


def row(name: str, plans: list[list[Behaviour]], attempts: int, seconds: Any, told: Any, **more: Any) -> Any:
    slow = [pytest.mark.slow] * (seconds is not NEVER_FIRST)
    options = {"attempts": attempts, "seconds": seconds, "others": more.get("others", 1)}
    return pytest.param(plans, options, told, more.get("is_whole"), marks=slow, id=name)


@on_each_loop
@pytest.mark.parametrize(
    ("plans", "options", "expected", "is_whole"),
    [
        row("only slower", [[BROKEN] * 2, [BROKEN]], 3, NEVER_FIRST, [FIRST, HEDGE, AGAIN, AGAIN]),
        row("left", [[BROKEN], [BROKEN, REFUSED]], 2, NEVER_FIRST,
            [FIRST, HEDGE, ("continue", "claude.test"), AGAIN], others=3),
        row("behind the winner", [[], [BROKEN], [BROKEN]], 2, NEVER_FIRST,
            [FIRST, HEDGE, ("continue", "gemini.test"), AGAIN], is_whole=True),
        row("failed", [[DOWN], [BROKEN]], 2, LATE_SECOND, [FIRST, HEDGE, AGAIN], is_whole=True),
        row("refused to serve", [[REFUSED], [BROKEN]], 2, LATE_SECOND, [FIRST, HEDGE], is_whole=False),
        row("refused a hedge", [[BROKEN], [REFUSED]], 1, (LATE, 0.0), [FIRST, HEDGE], others=2),
        row("refused one of two requests", [[REFUSED, BROKEN]], 3, LATE_SECOND,
            [FIRST, ("hedge", "chat.test"), AGAIN], is_whole=True),
    ],
)  # fmt: skip
def test_the_attempts_that_routes_have_left_are_made_after_a_race(
    backend: str, plans: list[list[Behaviour]], options: Any, expected: Any, is_whole: bool | None
) -> None:
    """The winner has broken off its answer; a route that has served no request is not asked again."""
    formats = ("openai-chat", "anthropic", "gemini")
    providers = [Provider(format, *plan) for format, plan in zip(formats, plans, strict=False)]
    told, text = _ask(backend, *providers, **options)

    assert (expected, TRUTH[: len(text)]) == (told, text)
    assert is_whole in (None, text == TRUTH)


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
