"""An error of the server ends the answer that it is about, wherever it comes, and never the next one."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.session.servers import (
    Line,
    LiveServer,
    Payload,
    RealtimeServer,
    ResponsesServer,
    Server,
    refusal,
    serving,
)
from tests.session.talks import COLOURS, talking
from tokenstream import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO, THREE = "I know: one", "I know: one | two", "I know: one | three"
ALL = "I know: one | two | three"
OVERLOADED = {"type": "server_error", "code": "server_is_overloaded", "message": "at capacity"}
ASKED = "tokenstream_ask_{}"
"""The id of a client's event, as an error of the Realtime API names it."""


def failed(id: str | None = "resp_x") -> Payload:
    return {"type": "response.failed", "response": {"id": id, "status": "failed", "error": OVERLOADED}}


def of_realtime(event_id: str | None = None) -> Payload:
    return {"type": "error", "event_id": "event_x", "error": {**OVERLOADED, "event_id": event_id}}


def ask_id(server: Server, number: int) -> str:
    """Return the id of the event with which a client has asked a question."""
    asks = [payload for _, payload in server.received if payload.get("type") == "response.create"]
    return str(asks[number]["event_id"])


RESPONSES = {"type": "error", "error": OVERLOADED}
PLACES = ("before", "in", "between", "after a failure")


class Faulty(Server):
    """Mixin of servers that send errors of a test's own.

    Args:
        place: The place of the error: `before` the second answer, `in` it, `between` the first one and it,
            or `after a failure` of it.
        error: Returns the error.
    """

    place, answers_begun = "", 0
    error: Callable[[Faulty], Payload]

    def say_between(self) -> None:
        """Send the error once nothing more comes of the first answer."""
        line = self.lines[-1]
        line.settle()
        line.connection.send(json.dumps(self.error(self)))
        line.settle()

    def may_begin(self, line: Line, asked: Payload) -> bool:
        """Return False if an error takes the place of an answer; at most one does."""
        self.answers_begun += 1
        if self.answers_begun != 2 or self.place not in ("before", "after a failure"):
            return super().may_begin(line, asked)
        for _ in range(1 + (self.place == "after a failure")):
            self.send(line, self.error(self))
        return False


class FaultyResponses(Faulty, ResponsesServer):
    """OpenAI's Responses API."""


class FaultyRealtime(Faulty, RealtimeServer):
    """OpenAI's Realtime API."""


class FaultyLive(Faulty, LiveServer):
    """Gemini Live."""


def in_the_answer(server: Faulty) -> Callable[[Line, int], object]:
    """Return a pause that sends the error after the first piece."""

    def pause(line: Line, number: int) -> None:
        if number == 1 and server.answers_begun == 2:
            server.send(line, server.error(server))

    return pause


ROWS: dict[str, tuple[type[Faulty], Callable[[Faulty], Payload], dict[str, tuple[list[str], int]]]] = {
    "Responses, without an id": (
        FaultyResponses,
        lambda _: RESPONSES,
        {
            "before": ([ONE, "error", THREE], 1),
            "in": ([ONE, "error", ALL], 1),
            "between": ([ONE, TWO, ALL], 1),
            "after a failure": ([ONE, "error", THREE], 1),
        },
    ),
    "Responses, a failed response": (
        FaultyResponses,
        lambda server: failed(f"resp_{server.answers_begun}x"),
        {"before": ([ONE, "error", THREE], 1), "after a failure": ([ONE, "error", THREE], 1)},
    ),
    "Responses, with the id of the response before": (
        FaultyResponses,
        lambda _: {**RESPONSES, "response_id": "resp_1"},
        {"in": ([ONE, TWO, ALL], 1), "between": ([ONE, TWO, ALL], 1)},
    ),
    "Realtime, without an id": (
        FaultyRealtime,
        lambda _: of_realtime(),
        {"before": ([ONE, "error", ALL], 0), "between": ([ONE, TWO, ALL], 0)},
    ),
    "Realtime, with the id of its question": (
        FaultyRealtime,
        lambda server: of_realtime(ask_id(server, -1)),
        {
            "before": ([ONE, "error", ALL], 0),
            "between": ([ONE, TWO, ALL], 0),
            "after a failure": ([ONE, "error", ALL], 0),
        },
    ),
    "Realtime, with the id of the question before": (
        FaultyRealtime,
        lambda server: of_realtime(ask_id(server, 0)),
        {"in": ([ONE, TWO, ALL], 0), "between": ([ONE, TWO, ALL], 0)},
    ),
    "Live, which closes the connection on an error": (
        FaultyLive,
        lambda _: {"error": {"code": 503, "message": "at capacity", "status": "UNAVAILABLE"}},
        {"between": ([ONE, TWO, ALL], 0)},
    ),
}
CASES = [pytest.param(name, place, id=f"{name}, {place}") for name, row in ROWS.items() for place in row[2]]


def hold(colour: str, server: Faulty, **options: Any) -> tuple[list[str], int]:
    """Ask three questions; return what was heard of each, and the number of rotations."""
    heard: list[str] = []
    server.pause = in_the_answer(server) if server.place == "in" else server.pause
    with serving(server) as url, talking(colour, url, **options) as talk:
        for number, question in enumerate(("one", "two", "three"), 1):
            answered = talk.ask(question)
            heard.append("error" if answered.error is not None else answered.text)
            if number == 1 and server.place == "between":
                server.say_between()
        return heard, talk.session.rotations


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("name", "place"), CASES)
def test_an_error_ends_its_own_answer(colour: str, name: str, place: str) -> None:
    kind, error, places = ROWS[name]
    server = kind(pieces=5)
    server.place, server.error = place, error

    assert hold(colour, server) == places[place]


@pytest.mark.parametrize("colour", COLOURS)
def test_an_error_between_two_answers_is_told_and_asks_nothing_again(
    colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = FaultyResponses(pieces=5)
    server.place, server.error = "between", lambda _: RESPONSES
    with caplog.at_level(logging.INFO, "tokenstream"):
        assert hold(colour, server, retry=Retry(wait=0))[0] == [ONE, TWO, ALL]

    assert server.requests == 3
    assert "the server reported an error between two answers: no question gets it" in caplog.text
    assert "at capacity" not in caplog.text


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("code", ["invalid_stream_id", "websocket_stream_limit_reached"])
def test_an_error_without_a_lane_is_of_the_oldest_question_that_has_not_begun(colour: str, code: str) -> None:
    class Refusing(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            self.send(line, refusal(code))

    with serving(Refusing()) as url, talking(colour, url) as talk:
        error = talk.ask("one", lane="b").error

        assert getattr(error, "code", None) == code


@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_without_its_lane_is_of_the_only_question(colour: str) -> None:
    class Forgetful(ResponsesServer):
        def send(self, line: Line, payload: Payload) -> None:
            super().send(line, {name: value for name, value in payload.items() if name != "stream_id"})

    with serving(Forgetful()) as url, talking(colour, url) as talk:
        assert [talk.ask(question, lane="b").text for question in ("one", "two")] == [ONE, TWO]
