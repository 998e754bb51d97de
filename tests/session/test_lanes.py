"""Several answers of one session at once: each lane is read by a thread or task of its own."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.session.servers import Line, ResponsesServer, no_pause, refusal, serving, spaced, wait_after
from tests.session.talks import COLOURS, Answered, talking
from tests.support.effort import trials
from tests.support.timing import PATIENCE, wait_for
from tokenstream import (
    Deadlines,
    LimitExceeded,
    Limits,
    Retry,
    Router,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)

LANES = ("a", "b", "c", "d")
in_every_colour = pytest.mark.parametrize("colour", COLOURS)
in_every_loop = pytest.mark.parametrize("colour", ["asyncio", "trio"])


class Held:
    """A pause in one lane, until it is told to go on."""

    def __init__(self, server: ResponsesServer, lane: str = "a") -> None:
        self.lane = lane
        self.is_holding = threading.Event()
        self.go_on = threading.Event()
        server.pause = self

    def __call__(self, line: Line, number: int) -> bool:
        if line.lane != self.lane or number != 1:
            return False
        self.is_holding.set()
        return not self.go_on.is_set()


def results(futures: dict[str, Future[Answered]]) -> dict[str, str]:
    return {lane: future.result(PATIENCE).text for lane, future in futures.items()}


@in_every_colour
def test_a_silent_lane_holds_up_no_other(colour: str) -> None:
    server = ResponsesServer(pieces=2)
    held = Held(server)
    with serving(server) as url, talking(colour, url) as talk:
        silent = talk.begin("one", lane="a")
        assert held.is_holding.wait(PATIENCE)

        assert talk.begin("one", lane="b").result(PATIENCE).text == "I know: one"
        assert talk.begin("two", lane="b").result(PATIENCE).text == "I know: one | two"
        assert not silent.done()
        held.go_on.set()
        assert silent.result(PATIENCE).text == "I know: one"


@in_every_loop
def test_a_reader_that_is_cancelled_hands_reading_on(colour: str) -> None:
    server = ResponsesServer(pieces=2)
    held, other = Held(server), threading.Event()
    with serving(server) as url, talking(colour, url) as talk:
        server.pause = lambda line, number: held(line, number) if line.lane == "a" else not other.is_set()
        reader = talk.begin("one", lane="a")
        assert held.is_holding.wait(PATIENCE)
        waiting = talk.begin("one", lane="b")
        # A question of whose answer nothing was read would be left out of the next one.
        wait_for(lambda: len(server.received) == 2 and bool(talk.session.turns(lane="a")))
        reader.cancel()
        wait_for(lambda: "response.cancel" in server.kinds())
        other.set()

        assert waiting.result(PATIENCE).text == "I know: one"
        with pytest.raises(CancelledError):
            reader.result(PATIENCE)
        held.go_on.set()
        assert talk.ask("two", lane="a").text == "I know: one | two"


@pytest.mark.slow
@in_every_colour
def test_a_deadline_ends_only_its_own_lane(colour: str) -> None:
    server = ResponsesServer(pieces=2)
    held, other = Held(server), threading.Event()
    deadlines = Deadlines(first_event=PATIENCE, idle_bytes=1.0)
    with serving(server) as url, talking(colour, url, deadlines=deadlines) as talk:
        silent = talk.begin("one", lane="a")
        assert held.is_holding.wait(PATIENCE)
        # It goes on for longer than the deadline, and ends soon after it.
        slow = spaced(0.1)
        server.pause = lambda line, number: not other.is_set() and slow(line, number)
        flowing = talk.begin("o" * 400, lane="b")

        assert isinstance(silent.result(PATIENCE).error, StreamStalled)
        assert not flowing.done()
        other.set()
        assert flowing.result(PATIENCE).text == "I know: " + "o" * 400
        held.go_on.set()


@pytest.mark.slow
@in_every_colour
def test_a_connection_that_breaks_interrupts_all_lanes(colour: str) -> None:
    server = ResponsesServer(pieces=2)
    began: set[str] = set()

    def pause(line: Line, number: int) -> bool:
        began.update([line.lane] * number)
        return number == 1

    server.pause = pause
    with serving(server) as url, talking(colour, url) as talk:
        asked = {lane: talk.begin("one", lane=lane) for lane in LANES}
        wait_for(lambda: began == {*LANES})
        server.lines[0].settle()
        server.pause = no_pause
        server.lines[0].connection.close(1011)
        for future in asked.values():
            interrupted = future.result(PATIENCE)
            assert isinstance(interrupted.error, StreamInterrupted)
            assert interrupted.text == "I "

        again = results({lane: talk.begin("two", lane=lane) for lane in LANES})
        assert again == dict.fromkeys(LANES, "I know: one | two")
        assert len(server.lines) == 2


@in_every_colour
def test_the_limit_of_the_connection_is_met_in_one_lane_for_all(colour: str) -> None:
    """The thread or task that reads the error is not the one whose question has to be asked again."""
    server = ResponsesServer(pieces=2)
    held = Held(server)
    with serving(server) as url, talking(colour, url, retry=Retry(again=True, wait=0)) as talk:
        reader = talk.begin("one", lane="a")
        assert held.is_holding.wait(PATIENCE)
        server.errors[2] = refusal("websocket_connection_limit_reached", "60 minutes")
        refused = talk.begin("one", lane="b")

        assert refused.result(PATIENCE).text == "I know: one"
        held.go_on.set()
        assert reader.result(PATIENCE).message.text == "I know: one"
        assert talk.session.rotations == 1


@pytest.mark.slow
@in_every_colour
def test_what_waits_for_a_lane_is_bounded(colour: str) -> None:
    """A lane that nobody reads does not fill the memory while another one is read."""
    server = ResponsesServer(pieces=1)
    server.pause = lambda line, number: line.lane == "a" and number == 1
    limits = Limits(body=20_000)
    with (
        serving(server) as url,
        talking(colour, url, limits=limits) as talk,
        talk.leave_unread("two" * 1_000, lane="b"),
    ):
        error = talk.ask("one", lane="a").error
        assert isinstance(error, LimitExceeded)
        assert error.limit == "body"


@in_every_colour
def test_a_tool_that_runs_long_holds_up_no_other_lane(colour: str) -> None:
    server = ResponsesServer()
    runs, is_running, go_on = [], threading.Event(), threading.Event()
    router = Router()

    @router.tool
    def look_up(word: str) -> str:
        runs.append(word)
        is_running.set()
        assert go_on.wait(PATIENCE)
        return f"about {word}"

    with serving(server) as url, talking(colour, url, tools=router) as talk:
        calling = talk.begin("call:noon", lane="a", router=router)
        assert is_running.wait(PATIENCE)

        assert talk.begin("one", lane="b").result(PATIENCE).text == "I know: one"
        go_on.set()
        assert calling.result(PATIENCE).text == "I know: call:noon | [about noon]"
        assert runs == ["noon"]


@in_every_colour
def test_closing_the_session_ends_all_lanes(colour: str) -> None:
    """An answer that has begun is cut off; one that has not tells why none will come."""
    server = ResponsesServer()
    server.pause = wait_after(0)
    with serving(server) as url:
        with talking(colour, url) as talk:
            futures = [talk.begin("one", lane=lane) for lane in LANES]
            wait_for(lambda: len(server.received) == len(LANES))
        for future in futures:
            error = future.exception(PATIENCE) or future.result().error
            assert isinstance(error, StreamTruncated) or "the session was closed" in str(error)
        assert len(server.lines) == 1
        wait_for(lambda: server.are_closed)


# -- seeds -------------------------------------------------------------------------


def play(colour: str, seed: int) -> None:
    """Hold several conversations over one session at once, with whatever the seed brings about."""
    chance = random.Random(seed)
    server = ResponsesServer(pieces=chance.choice((3, 7, 40)))
    for _ in range(chance.randrange(3)):
        server.hangups[chance.randrange(4, 200)] = chance.choice((1000, 1001, 1011, None))
    runs: defaultdict[str, int] = defaultdict(int)
    router = Router()

    @router.tool
    def look_up(word: str) -> str:
        runs[word] += 1
        return f"about {word}"

    def converse(talk: Any, lane: str, plan: list[tuple[str, int | None]]) -> list[str]:
        known: list[str] = []
        optional: set[str] = set()
        for question, stop_after in plan:
            answered = talk.begin(
                question,
                stop_after=stop_after,
                lane=lane,
                router=router if question.startswith("call:") else None,
            ).result(PATIENCE)
            assert answered.error is None
            named = answered.message.text.removeprefix("I know: ").split(" | ")
            if answered.message.complete and answered.message.text:
                said = [each for each in named if not each.startswith("[") and each not in optional]
                assert said == [*known, question], (lane, known, question)
            (known.append if answered.message.parts else optional.add)(question)
        return known

    plans = {
        lane: [
            (f"{'call:' if chance.random() < 0.3 else ''}{lane}{number}", chance.choice((None, None, 1, 2)))
            for number in range(chance.randrange(1, 5))
        ]
        for lane in LANES[: chance.randrange(2, 5)]
    }
    options: dict[str, Any] = {"retry": Retry(attempts=8, again=True, wait=0), "tools": router}
    with serving(server) as url:
        with talking(colour, url, **options) as talk, ThreadPoolExecutor(len(plans)) as pool:
            for future in [pool.submit(converse, talk, *plan) for plan in plans.items()]:
                future.result(PATIENCE)
        wait_for(lambda: server.are_closed)
    assert set(runs.values()) <= {1}


@pytest.mark.slow
@pytest.mark.timeout(600)
@in_every_colour
def test_conversations_at_once_survive_whatever_happens_to_their_connection(colour: str) -> None:
    """Closures at any message and interruptions change no text, and run no tool twice."""
    for seed in range(1_000, 1_000 + trials(30, one_in=5)):
        play(colour, seed)


@in_every_colour
def test_the_failure_of_one_lane_leaves_the_answer_of_another_whole(colour: str) -> None:
    """The next question in the lane that has failed needs no new connection, which would cut the other."""
    server = ResponsesServer(pieces=2)
    held = Held(server)
    server.errors[2] = refusal("invalid_prompt")
    with serving(server) as url, talking(colour, url) as talk:
        going_on = talk.begin("one", lane="a")
        assert held.is_holding.wait(PATIENCE)

        assert talk.begin("two", lane="b").result(PATIENCE).error is not None
        assert talk.begin("three", lane="b").result(PATIENCE).text == "I know: three"
        held.go_on.set()
        assert going_on.result(PATIENCE).text == "I know: one"
