"""When an answer is asked for again, how often, after which waits, and of whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import anyio
import pytest

from tests.recovery.attempts import in_each_world, play
from tests.recovery.unseen import READERS, Teller, read
from tests.support.either import read_whole
from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE, meanwhile
from tokenstream import Deadlines, Limits, Retry, Route, aresilient, resilient, testing
from tokenstream.errors import (
    AnswerRejected,
    LimitExceeded,
    MisuseError,
    ProviderError,
    StatusError,
    StreamError,
)
from tokenstream.recovery import Attempt

HELLO = testing.script().text("Hello wonderful world").finish("stop")
WHOLE = HELLO.chunks("openai-chat")
EMPTY = testing.script().finish("stop").chunks("openai-chat")
REFUSED = testing.script().refusal("I can't").finish("stop").chunks("openai-chat")
FILTERED = testing.script().finish("content_filter").chunks("openai-chat")
OVERLOADED = testing.script().error("overloaded").chunks("anthropic")


def refusal(status: int, retry_after: float | None = None, *, retryable: bool | None = None) -> StatusError:
    kind: Any = "rate_limited" if status == 429 else "server"
    return StatusError(f"{status}", status=status, kind=kind, retry_after=retry_after, retryable=retryable)


@in_each_world
@pytest.mark.parametrize(("status", "asked"), [(503, 2), (429, 2), (401, 1), (400, 1)])
def test_only_what_may_pass_is_asked_for_again(world: str, status: int, asked: int) -> None:
    error = refusal(status, retryable=status in (503, 429))
    played = play(world, [error, WHOLE], Retry(wait=0))

    assert len(played.asked) == asked
    assert (played.error is error) is (asked == 1)


def test_waits_double_and_are_shortened_by_chance() -> None:
    """Half of each is certain."""
    waits: list[float] = []

    def told(attempt: Attempt) -> None:
        waits.append(attempt.wait)
        if attempt.number == 5:
            raise InterruptedError

    def opened() -> Any:
        raise refusal(503)

    started = time.monotonic()
    stream = resilient(opened, Retry(attempts=6, wait=0.01, on_retry=told))
    with pytest.raises(InterruptedError):
        list(stream)

    for number, wait in enumerate(waits):
        longest = 0.01 * 2**number
        assert longest / 2 <= wait <= longest
    assert time.monotonic() - started >= sum(waits[:-1])


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_deadline_of_the_next_connection_counts_from_its_opening() -> None:
    asked: list[int] = []

    class Silent:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            await anyio.sleep(30)
            raise AssertionError

    async def opened() -> Any:
        asked.append(1)
        return Silent() if len(asked) < 3 else WHOLE

    deadlines = Deadlines(first_event=0.3)
    async with aresilient(opened, Retry(wait=0.7), deadlines=deadlines) as stream:
        assert (await stream.final()).text == "Hello wonderful world"
        assert [type(report.error).__name__ for report in stream.attempts[:2]] == ["StreamStalled"] * 2


def test_a_model_whose_first_token_does_not_come_is_asked_again() -> None:
    asked: list[float] = []

    def silent() -> Iterator[bytes]:
        yield HELLO.chunks("openai-chat")[0]
        while True:
            clock.advance(1)
            yield b": ping\n\n"

    def opened() -> Any:
        asked.append(clock())
        return silent() if len(asked) < 3 else WHOLE

    with testing.VirtualClock() as clock:
        deadlines = Deadlines(first_event=8, idle_content=8)
        with resilient(opened, Retry(attempts=3, wait=0), deadlines=deadlines) as stream:
            assert "Hello wonderful world" == "".join(stream.text)
            assert [type(report.error).__name__ for report in stream.attempts[:2]] == ["StreamStalled"] * 2

    assert [later - at for at, later in pairwise(asked)] == pytest.approx([9, 9], abs=1)


@in_each_world
@pytest.mark.parametrize("kind", ["quota", "context_length"])
def test_what_fails_again_at_one_provider_is_asked_of_another(world: str, kind: Any) -> None:
    """Never of the same: the credit is as low as before, and the request as long."""
    failing = testing.script().error(kind=kind).chunks("openai-chat")
    again = play(world, [failing, WHOLE], Retry(wait=0))
    elsewhere = play(world, [failing], Retry(wait=0, routes=Route(open=lambda: WHOLE)))

    assert (1, kind) == (len(again.asked), getattr(again.error, "kind", None))
    assert (1, None) == (len(elsewhere.asked), elsewhere.error)


@in_each_world
@pytest.mark.parametrize(
    ("outcome", "body"), [("empty", EMPTY), ("refusal", REFUSED), ("content_filter", FILTERED)]
)
def test_an_outcome_is_asked_for_again_before_it_shows(world: str, outcome: Any, body: list[bytes]) -> None:
    played = play(world, [body, WHOLE], Retry(wait=0, on=[outcome]))
    rejected = played.reports[0].error

    assert played.message.text == "Hello wonderful world"
    assert not played.message.refusal
    assert isinstance(rejected, AnswerRejected)
    assert rejected.outcome == outcome
    assert play(world, [body], Retry(wait=0)).message.complete


LATER: dict[str, Any] = {
    "empty": testing.script().reasoning("Well. ").finish("stop"),
    "refusal": testing.script().text("Sure, first ").refusal("I can't").finish("stop"),
    "content_filter": testing.script().text("Sure, first ").finish("content_filter"),
    "malformed_call": testing.script()
    .text("Sure. ")
    .tool_call("now", ('{"zone": UTC}',))
    .finish("tool_calls"),
}
"""Answers that turn out to be useless once something has arrived, by their outcome."""
SHOWING = {
    outcome: {"events", "deltas", *(["reasoning"] if outcome == "empty" else ["text", "sentences"])}
    for outcome in LATER
}
"""The views that have given something by then."""


@pytest.mark.parametrize("outcome", LATER)
@in_one_test("again", [False, True])
@in_one_test("view", READERS)
def test_an_outcome_is_asked_for_again_unless_a_view_has_given_something(
    outcome: Any, again: bool, view: str
) -> None:
    """Text that has arrived, and that nobody was given, may be replaced."""
    for world in ["sync", "asyncio", "trio"] if not again else ["sync"]:
        useless = LATER[outcome].chunks("openai-chat")
        server = Teller(lambda number, _: useless if number == 1 else WHOLE, "openai-chat", 0)  # noqa: B023
        server.breaks = 0
        seen = read(server, Retry(wait=0, on=[outcome], again=again), READERS[view], world)

        shown = view in SHOWING[outcome]
        assert (None, 1 if shown else 2) == (seen.error, len(server.requests)), (world, seen.items)
        assert (seen.message.text == "Hello wonderful world") != shown


@in_each_world
def test_an_outcome_with_no_attempt_left_is_the_answer(world: str) -> None:
    played = play(world, [REFUSED, REFUSED], Retry(attempts=2, wait=0, on=["refusal"]))

    assert played.error is None
    assert (played.message.refusal, played.message.complete) == ("I can't", True)


@pytest.mark.parametrize(
    ("on", "overloaded", "refused"),
    [
        (ProviderError, 2, 1),
        ([StatusError], 2, 2),
        ("server", 2, 2),
        (["network", "empty"], 2, 1),
        (lambda error: error.kind == "server", 1, 2),
        (lambda _: False, 1, 1),
        (lambda _: None, 2, 1),
    ],
)
def test_a_list_adds_errors_that_are_asked_for_again_and_a_function_decides(
    on: Any, overloaded: int, refused: int
) -> None:
    bodies = OVERLOADED, refusal(501, retryable=False)
    played = [play("sync", [body, HELLO.chunks("anthropic")], Retry(wait=0, on=on)) for body in bodies]

    assert [overloaded, refused] == [len(each.asked) for each in played]


def test_bounds_are_over_all_attempts() -> None:
    """What was discarded has come all the same."""
    played = play("sync", [WHOLE[:4], WHOLE], Retry(again=True, wait=0), limits=Limits(text=30))

    assert isinstance(played.error, LimitExceeded)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_another_thread_ends_the_wait_at_once(how: str) -> None:
    stream = resilient(list, Retry(wait=60))
    started = time.monotonic()

    with meanwhile(getattr(stream, how)):
        assert list(stream) == []
    assert time.monotonic() - started < 30
    assert stream.message.ending == "stopped"
    stream.close()


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["stop", "aclose", "cancel"])
async def test_a_task_ends_the_wait_at_once(how: str) -> None:
    """Nothing is asked for again, and nothing is left."""
    asked: list[int] = []

    def opened() -> Any:
        asked.append(1)
        return []

    async def end(stream: Any) -> None:
        await anyio.wait_all_tasks_blocked()
        if how == "stop":
            stream.stop()
        else:
            await stream.aclose()

    stream = aresilient(opened, Retry(wait=60))
    with anyio.fail_after(PATIENCE), anyio.move_on_after(0.05 if how == "cancel" else None) as scope:
        async with stream, anyio.create_task_group() as tasks:
            if how != "cancel":
                tasks.start_soon(end, stream)
            assert [event async for event in stream] == []
    assert scope.cancelled_caught is (how == "cancel")
    assert (stream.closed, stream.message.ending, len(asked)) == (True, "stopped", 1)


def test_views_may_be_read_in_turns_over_a_restart() -> None:
    """Each passes over what it has given itself."""
    script = testing.script().reasoning("Let me see it. ").text("Hello wonderful world").finish("stop")
    whole = script.chunks("anthropic")
    bodies = [whole[:-6], whole[:-4], whole]
    with resilient(lambda: bodies.pop(0), Retry(again=True, wait=0)) as stream:
        text, reasoning = stream.text, stream.reasoning
        pieces = [next(reasoning), next(text)]
        given = [pieces[0] + "".join(reasoning), pieces[1] + "".join(text)]
        late = "".join(stream.text)

    assert given == ["Let me see it. ", "Hello wonderful world"]
    assert late == "Hello wonderful world"


class TestOpen:
    """What the caller's own function may get wrong."""

    @in_each_world
    def test_the_same_source_again_is_refused(self, world: str) -> None:
        async def body() -> Any:
            yield WHOLE[0]

        start: Any = resilient if world == "sync" else aresilient
        source, kind = (iter(WHOLE[:1]), "list_iterator") if world == "sync" else (body(), "async_generator")
        with pytest.raises(MisuseError, match=f"same {kind} as for the attempt before"):
            read_whole(world, lambda: start(lambda: source, Retry(wait=0)))

    def test_a_mistake_within_it_is_not_asked_for_again(self) -> None:
        asked: list[int] = []

        def opened() -> Any:
            asked.append(1)
            return dict[str, str]()["missing"]

        stream = resilient(opened, Retry(wait=0))
        with pytest.raises(KeyError):
            stream.final()

        assert (len(asked), stream.closed) == (1, True)

    def test_a_source_of_an_sdk_that_refuses_is_asked_again(self) -> None:
        played = play("sync", [ConnectionRefusedError("no"), WHOLE], Retry(wait=0))

        assert played.message.text == "Hello wonderful world"
        assert isinstance(played.reports[0].error, StreamError)
