"""Pauses and the rest of the library: relays, guards, budgets, tags, two readers, answers that are judged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.paused import ASKED, BLOCKS, LEGS, TEXT, leg, number_asked
from tests.recovery.test_pauses import CALL, GO_ON, LEG_WITH_CALL, URL, Server, ask
from tests.support.clocks import on
from tests.support.responses import streamed
from tokenstream import (
    Message,
    Retry,
    Router,
    Stream,
    Tags,
    Tools,
    aresilient,
    connect,
    relay,
    resilient,
    testing,
)
from tokenstream.errors import AnswerRejected
from tokenstream.events import Event, Finish, MessageStart
from tokenstream.recovery import Attempt, Route, Routes
from tokenstream.stages import Budget


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "ui-message", "ag-ui", "tokenstream"])
def test_a_relay_sends_one_answer(protocol: Any) -> None:
    with ask(Server()) as stream:
        chunks = [*relay.encode(stream, protocol=protocol)]

    message = Stream(chunks, format=protocol).final()
    assert (TEXT, "stop", "complete") == (message.text, message.finish_reason, message.ending)
    assert (600, 60) == (message.usage.input_tokens, message.usage.output_tokens)
    joined = [("pause", 3), ("pause", 6)] if protocol == "tokenstream" else []
    assert joined == [(join.mode, join.part) for join in message.joined]


@pytest.mark.parametrize(("tokens", "asked"), [(25, 2), (9, 1)])
def test_a_budget_is_for_all_legs(tokens: int, asked: int) -> None:
    """The tokens of each leg count in addition to those before, so 25 end in the second leg."""
    server = Server()
    with ask(server) as stream:
        stream.guard(Budget(tokens=tokens))
        stream.final()

    assert "stopped" == stream.message.ending
    assert asked == len(server.asked) == len(stream.pauses or "1")


def test_a_guard_that_judges_the_whole_answer_is_asked_once() -> None:
    judged: list[str] = []

    def judge(message: Message) -> None:
        judged.append(message.text)

    with ask(Server()) as stream:
        stream.guard(judge, every=10_000)
        stream.final()
    assert [TEXT] == judged


def one_answer(events: list[Event]) -> bool:
    """Return True if there is one head and one end among some events."""
    kinds = [type(event) for event in events]
    return (1, 1) == (kinds.count(MessageStart), kinds.count(Finish))


def test_an_answer_that_a_guard_holds_back_goes_on_meanwhile() -> None:
    """Nothing is shown before the guard has decided, and nothing is counted twice."""
    with ask(Server()) as stream:
        stream.guard(lambda _: None, hold=True, first_tokens=10_000)
        assert one_answer([*stream])
    assert (TEXT, 60) == (stream.message.text, stream.message.usage.output_tokens)
    assert [10, 20, 30] == [leg.usage.output_tokens for leg in stream.pauses]


@pytest.mark.parametrize(("word", "text"), [("opera", TEXT), ("zoo", None)])
def test_an_answer_is_judged_as_a_whole(word: str, text: str | None) -> None:
    retry = Retry(attempts=9, pauses=8, wait=0, accept=lambda message: word in message.text)
    with ask(Server(), retry) as stream:
        try:
            message: Message | None = stream.final()
        except AnswerRejected:
            message = None
    assert text == (None if message is None else message.text)


def test_tags_of_reasoning_are_found_in_each_leg() -> None:
    blocks = [{"type": "text", "text": "<think>Look it up.</think>I look "}]
    last = [{"type": "text", "text": "<think>Found.</think>it up."}]
    bodies = [leg(1, blocks, "pause_turn"), leg(2, last, "end_turn")]

    def ask_for(attempt: Any) -> list[bytes]:
        return bodies[attempt.mode == "pause"]

    with resilient(ask_for, GO_ON, tags=Tags(reasoning=("think",))) as stream:
        assert ["reasoning", "text"] * 2 == [part.kind for part in stream.final().parts]
    assert ("I look it up.", "Look it up.Found.") == (stream.message.text, stream.message.reasoning)


def test_a_stop_between_two_legs_asks_no_more() -> None:
    """The message keeps what there is, and is not a paused one."""
    server = Server()
    with ask(server) as stream:
        for event in stream:
            if event.part == 2:
                stream.stop("enough")
    assert (1, "stopped") == (len(server.asked), stream.message.ending)


@pytest.mark.slow
def test_the_money_for_all_attempts_is_for_all_legs() -> None:
    def price(usage: Any) -> float:
        return float(usage.output_tokens or 0)

    client = httpx.Client(transport=httpx.MockTransport(Server(LEGS)))
    route = Route(URL, json=ASKED, client=client, price=price)
    with connect(route, retry=Retry(pauses=8, most=30.0)) as stream:
        message = stream.final()
    assert ("pause", "Retry.most is used up") == (message.finish_reason, stream.pauses[-1].why)


def test_a_leg_that_breaks_in_its_text_is_continued_and_may_pause_again() -> None:
    """The model is asked for the rest of that leg; then the answer goes on behind its pause."""
    first, text = ("First part of the research about Oslo. ", "The second part tells of the opera house. ")
    words = [f"{word} " for word in text.split()]
    asked: list[list[Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["messages"])
        if len(asked) == 1:
            body = testing.script(id="msg_1").text(first).finish("pause").chunks("anthropic")
        elif len(asked) == 2:
            body = testing.script(id="msg_2").text(*words).finish("pause").chunks("anthropic")[:8]
        elif len(asked) == 3:
            said = "".join(block["text"] for block in asked[-1][1]["content"])
            rest = testing.script(id="msg_3").text(said[-40:], (first + text)[len(said) :])
            body = rest.finish("pause").chunks("anthropic")
        else:
            body = testing.script(id="msg_4").text("The end.").finish("stop").chunks("anthropic")
        return streamed(body)

    with ask(answer, Retry(pauses=8, wait=0)) as stream:
        assert one_answer([*stream])

    assert f"{first}{text}The end." == stream.message.text
    assert ["start", "pause", "continue", "pause"] == [report.mode for report in stream.attempts]
    assert [["user"], ["user", "assistant"], ["user", "assistant", "user"], ["user", "assistant"]] == [
        [turn["role"] for turn in turns] for turns in asked
    ]
    assert [("pause", "msg_2"), ("continue", "msg_3"), ("pause", "msg_4")] == [
        (join.mode, join.id) for join in stream.message.joined
    ]


def test_the_winner_of_a_hedge_goes_on() -> None:
    async def ask_slowly(attempt: Attempt) -> AsyncIterator[bytes]:
        if attempt.number == 1:
            await anyio.sleep(60)

        async def body() -> AsyncIterator[bytes]:
            for chunk in LEGS[number_asked(attempt.request(ASKED))]:
                yield chunk

        return body()

    async def read() -> None:
        async with aresilient(ask_slowly, Retry(routes=Routes(hedge_after=0.01), pauses=8)) as stream:
            assert TEXT == (await stream.final()).text
        assert ["start", "hedge", "pause", "pause"] == [report.mode for report in stream.attempts]

    anyio.run(read)


@pytest.mark.parametrize(("timeout", "ending"), [(12.0, "pause"), (None, "stop")])
def test_no_leg_begins_after_the_time_for_attempts(timeout: float | None, ending: str) -> None:
    """The seconds count from the first request; a paused answer is no error."""
    clock = count().__next__
    bodies: list[Any] = [LEGS[0], LEGS[1], [], LEGS[2]]
    retry = Retry(attempts=4, pauses=8, wait=0, within=timeout)
    with on(lambda: float(clock()), resilient, lambda *_: bodies.pop(0), retry) as stream:
        assert TEXT.startswith(stream.final().text)

    assert ending == stream.message.finish_reason
    assert ("Retry.within allows (12 s)" in str(stream.pauses[-1].why)) == (ending == "pause")


def test_a_question_to_the_user_is_no_pause_to_go_through() -> None:
    """An agent that waits for an answer, and not for a request to go on, ends its turn as ever."""
    chunks = testing.script().text("Which city?").finish("pause").chunks("ag-ui")
    with resilient(lambda attempt: chunks if attempt else [], GO_ON, format="ag-ui") as stream:
        assert "pause" == stream.final().finish_reason
    assert () == stream.pauses


def test_a_router_runs_a_tool_after_a_pause() -> None:
    ran: list[str] = []

    def look(at: str) -> str:
        """Look at a place."""
        ran.append(at)
        return "rain"

    with ask(Server([LEGS[0], LEG_WITH_CALL])) as stream:
        results = stream.run(Router(Tools(look)))

    assert ["Oslo"] == ran
    answer, result = results.turns()
    assert [*BLOCKS[0], *BLOCKS[1][:1], CALL] == answer["content"]
    assert "toolu_1" == result["content"][0]["tool_use_id"]
