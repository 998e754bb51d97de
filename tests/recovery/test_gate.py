"""One gate for every request: what counts as an attempt, how long it waits, and what is told of it."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.either import client_in, connect_in, read_all
from tests.support.responses import streamed
from tokenstream import Retry, Routes, aconnect, testing
from tokenstream.errors import StreamError
from tokenstream.recovery import AttemptReport

TEXT = "The tide table is on the door."
SCRIPT = testing.script().text("The tide table ", "is on the door.").usage(input_tokens=3, output_tokens=5)
RESPONSE = [
    chunk.replace(b'"background":false', b'"background":true')
    for chunk in SCRIPT.finish().chunks("openai-responses")
]
DONE: dict[str, Any] = json.loads(RESPONSE[-1].partition(b"data: ")[2])["response"]
QUEUED = {**DONE, "status": "queued", "output": [], "usage": None}
CHAT = SCRIPT.finish().chunks("openai-chat")
PAUSED, REST = SCRIPT.finish("pause").chunks("anthropic"), SCRIPT.finish().chunks("anthropic")
TOO_OLD = httpx.Response(400, json={"error": {"message": "it can no longer be streamed"}})
ASKED_TO_WAIT = 0.03
"""Seconds that a server asks for; a tenth of them may be added at random."""


def make_failure(name: str) -> Any:
    if name == "silent":
        return httpx.ReadTimeout("silence")
    asked = {"retry-after": 1000 * ASKED_TO_WAIT, "limited": 0.1}.get(name)
    headers = {} if asked is None else {"retry-after-ms": str(asked)}
    status = {"refused": 403, "limited": 429}.get(name, 503)
    return httpx.Response(status, headers=headers, json={"error": {"message": "no"}})


OUTCOMES = ["ok", "refused", "busy", "retry-after", "limited", "silent"]
FAMILIES: dict[str, tuple[str, list[Any], Any]] = {
    "attempt": ("chat/completions", [httpx.Response(503)], streamed(CHAT)),
    "poll": ("responses", [httpx.Response(200, json=QUEUED)], httpx.Response(200, json=DONE)),
    "document": ("responses", [streamed(RESPONSE[:5]), TOO_OLD], httpx.Response(200, json=DONE)),
    "leg": ("messages", [streamed(PAUSED)], streamed(REST)),
}
"""For each kind of request: the path, what the server sends before one is made, and the right answer."""


class Provider:
    """Sends one reply after the other, the last one for ever; counts the requests."""

    def __init__(self, *replies: Any) -> None:
        self.asked = 0
        self._replies = list(replies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def read(
        self, world: str, kind: str, retry: Retry
    ) -> tuple[str, StreamError | None, tuple[AttemptReport, ...]]:
        """Return the text, the error and the reports of an answer in which a kind of request is made."""
        url = f"https://provider.test/v1/{FAMILIES[kind][0]}"
        question = {"messages": [{"role": "user", "content": "?"}], "stream": True}
        asked: Any = {"json": {"model": "m", "input": "?", "background": True, **question}, "retry": retry}
        pieces, stream, error = read_all(
            world,
            lambda: connect_in(world)(url, client=client_in(world, self), **asked),
            lambda stream: stream.text,
        )
        return "".join(pieces), error, stream.attempts


def expect_tries(kind: str, outcome: str, attempts: int) -> int:
    """Return how often a request of a kind is made if each of them has this outcome."""
    left = attempts - len(FAMILIES[kind][1])
    if kind in ("poll", "document"):
        # One that brings the answer is no attempt, so one may always be made.
        left = max(1, left)
    if outcome == "limited" and left:
        # It names a wait, and is no attempt among the first ten requests for each that may follow the first.
        left += max(0, 10 * (attempts - 1) - 1 - len(FAMILIES[kind][1]))
    return min(left, 1) if outcome in ("ok", "refused") else left


@in_each_world
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_request_is_made_as_often_as_attempts_allow(
    kind: str, world: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Attempts and legs count, polls and documents only if they fail; each is told, and none is late."""
    caplog.set_level(logging.DEBUG, "tokenstream")
    _, before, right = FAMILIES[kind]
    for outcome in OUTCOMES:
        for attempts in (1, 2, 3, 4):
            caplog.clear()
            server = Provider(*before, right if outcome == "ok" else make_failure(outcome))
            retry = Retry(wait=0.001, attempts=attempts, pauses=1)
            text, error, reports = server.read(world, kind, retry)

            case = (outcome, attempts)
            reached = ["attempt"] * min(len(before), attempts)
            tries = expect_tries(kind, outcome, attempts) if len(reached) == len(before) else 0
            assert [*reached, *[kind] * tries] == [report.kind for report in reports], case
            assert server.asked == len(reports), case
            is_whole = outcome == "ok" and tries > 0
            assert (error is None) == (is_whole or (kind == "leg" and not tries)), case
            assert text == (TEXT * (1 + is_whole) if kind == "leg" else TEXT if is_whole else text), case
            numbers = re.findall(r"attempt (\d+) of (\d+)", caplog.text)
            assert all(int(number) <= attempts == int(most) for number, most in numbers), case
            if outcome == "retry-after":
                waits = [report.wait for report in reports[len(before) + 1 :]]
                assert all(ASKED_TO_WAIT <= wait <= 1.1 * ASKED_TO_WAIT + 1e-9 for wait in waits), case


@in_each_world
@pytest.mark.parametrize("kind", ["poll", "document", "attempt", "leg"])
def test_a_failure_that_passes_is_an_attempt(kind: str, world: str) -> None:
    _, before, right = FAMILIES[kind]
    for attempts in (2, 3, 4, 5):
        failures = [make_failure("busy"), make_failure("silent")]
        server = Provider(*before, *failures, right)
        retry = Retry(wait=0.001, attempts=attempts, pauses=1)
        _, error, reports = server.read(world, kind, retry)

        assert (error is None) == (attempts > len(before) + len(failures)), attempts
        assert [report.number for report in reports] == [*range(1, len(reports) + 1)]


@in_each_world
@pytest.mark.parametrize("kind", FAMILIES)
def test_nothing_is_asked_after_the_time_for_attempts(kind: str, world: str) -> None:
    """A paused answer then stays paused; any other is an error that names the option."""
    _, before, right = FAMILIES[kind]
    server = Provider(*before, right)
    _, error, reports = server.read(world, kind, Retry(wait=0, pauses=1, within=0.0))

    assert (1, 1) == (server.asked, len(reports))
    if kind == "leg":
        assert error is None
    else:
        assert error is not None
        assert "Retry.within allows (0 s)" in str(getattr(error, "__notes__", ()))


@in_each_world
def test_polls_wait_longer_each_time(world: str) -> None:
    told = httpx.Response(200, headers={"retry-after-ms": "20"}, json=QUEUED)
    states = [httpx.Response(200, json={**QUEUED, "metadata": {"n": str(n)}}) for n in range(2)]
    server = Provider(told, *states, httpx.Response(200, json=DONE))
    text, error, reports = server.read(world, "poll", Retry(wait=0, pauses=1, attempts=1))

    assert (TEXT, None) == (text, error)
    first, *later = [report.wait for report in reports if report.kind == "poll"]
    assert 0.02 <= first <= 0.1
    assert all(low <= wait <= 2 * low for wait, low in zip(later, (0.1, 0.2), strict=True))


def test_no_poll_waits_longer_than_half_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However long the wait before an attempt may be, as the log tells it."""

    async def read() -> None:
        transport = httpx.MockTransport(Provider(httpx.Response(200, json=QUEUED)))
        retry = Retry(wait=500, pauses=1)
        url, client = "https://provider.test/v1/responses", httpx.AsyncClient(transport=transport)
        async with (
            anyio.create_task_group() as tasks,
            aconnect(url, json={"background": True}, client=client, retry=retry) as stream,
        ):
            tasks.start_soon(stream.final)
            while "poll in" not in caplog.text:  # noqa: ASYNC110 - the log has no event
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()

    with caplog.at_level("DEBUG", "tokenstream"):
        anyio.run(read)
    wait = caplog.text.partition("poll in ")[2].partition(" s")[0]
    assert 15 <= float(wait) <= 30


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize(("attempts", "timeout"), [(1, None), (2, None), (3, None), (2, 0.0)])
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_hedge_is_an_attempt_that_does_not_wait(
    loop: str, attempts: int, timeout: float | None, outcome: str
) -> None:
    asked: list[int] = []
    is_hedged = attempts > 1 and timeout is None

    async def answer(_: httpx.Request) -> httpx.Response:
        asked.append(len(asked))
        if len(asked) == 1:
            await anyio.sleep(0.15)
            while is_hedged and len(asked) == 1:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.002)
            return streamed(CHAT)
        reply = streamed(CHAT) if outcome == "ok" else make_failure(outcome)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def read() -> tuple[str, tuple[AttemptReport, ...]]:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        retry = Retry(routes=Routes(hedge_after=0.02), attempts=attempts, within=timeout, wait=60)
        url = "https://provider.test/v1/chat/completions"
        async with aconnect(url, json={"messages": []}, client=client, retry=retry) as stream:
            return (await stream.final()).text, stream.attempts

    text, reports = anyio.run(read, backend=loop)

    assert TEXT == text
    assert ["attempt", *["hedge"] * is_hedged] == [report.kind for report in reports]
    assert len(asked) == len(reports)
    assert [0.02] * is_hedged == [report.wait for report in reports if report.kind == "hedge"]


def test_without_a_number_of_attempts_each_pause_adds_one() -> None:
    legs = [
        streamed(testing.script(id=f"msg_{number}").text(f"{number}. ").finish("pause").chunks("anthropic"))
        for number in range(9)
    ]
    _, error, reports = Provider(*legs).read("sync", "leg", Retry(pauses=5))
    assert (None, ["attempt", *["leg"] * 5]) == (error, [report.kind for report in reports])

    _, error, reports = Provider(*legs).read("sync", "leg", Retry(pauses=5, attempts=2))
    assert (None, ["attempt", "leg"]) == (error, [report.kind for report in reports])
