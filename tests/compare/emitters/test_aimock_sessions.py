"""Sessions with the WebSockets of aimock: many questions over one connection, tools, and interruptions."""

from __future__ import annotations

from collections.abc import Generator
from itertools import product

import pytest

from tests.compare.emitters import aimock
from tests.compare.emitters.whole import said
from tests.session.talks import COLOURS, Talk, talking
from tokenstream import ProviderError, Router
from tokenstream.turns import ToolResults

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize(("wire", "colour"), [*product(aimock.SOCKETS, COLOURS)]),
]


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with aimock.serving() as address:
        yield address.replace("http", "ws", 1)


@pytest.fixture
def router() -> Router:
    router = Router()

    @router.tool
    def weather(city: str, days: int) -> str:
        """Return the weather in a city."""
        return f"sun for {days} days in {city}"

    @router.tool
    def now() -> str:
        """Return the time."""
        return "noon"

    return router


@pytest.fixture
def talk(url: str, wire: str, colour: str, router: Router) -> Generator[Talk]:
    with talking(colour, url + aimock.SOCKETS[wire].path, model="a-model", tools=router) as talk:
        yield talk


def test_one_connection_answers_every_question(talk: Talk, wire: str) -> None:
    socket = aimock.SOCKETS[wire]
    for name in socket.asked_in_turn():
        told = aimock.SCENARIOS[name][1]
        expected = told if socket.thinks else type(told)(told.text, told.calls)
        message = talk.ask(name).message
        assert (said(message), message.ending) == (expected, "complete"), name

    assert talk.session.rotations == 0


def test_a_router_runs_the_calls_and_the_answer_goes_on(talk: Talk, wire: str, router: Router) -> None:
    for name in aimock.SOCKETS[wire].asked_in_turn():
        told = aimock.SCENARIOS[name][1]
        message = talk.ask(name, router=router).message

        assert message.text == told.text + (aimock.AFTER_TOOLS if told.calls else ""), name
        assert [(call.name, call.arguments) for call in message.tool_calls] == told.calls
    assert talk.session.rotations == 0


def test_the_application_sends_the_results_itself(talk: Talk, wire: str) -> None:
    """The results are the next question, and get the answer that aimock has for them."""
    for name in aimock.SOCKETS[wire].asked_in_turn():
        called = talk.ask(name).message
        if called.tool_calls:
            results = ToolResults(called, {call.id: "noon" for call in called.tool_calls})
            assert talk.ask(results).text == aimock.AFTER_TOOLS, name
    assert talk.session.rotations == 0


def test_an_error_ends_only_its_answer(talk: Talk, wire: str) -> None:
    """The next question is answered; the Responses API has a connection of its own for it."""
    error = talk.ask(aimock.REFUSED).error

    assert isinstance(error, ProviderError)
    assert talk.ask("some words").text == "Hello, it is noon."
    assert talk.session.rotations == (wire == "openai-responses")


def test_an_interrupted_answer_leaves_nothing_in_the_next(talk: Talk) -> None:
    """Although aimock goes on with it, and knows no message that stops it."""
    for _ in range(3):
        assert talk.ask("many words", stop_after=2).stop_reason == "interrupted"
        after = talk.ask("some words")
        assert (after.error, after.text) == (None, "Hello, it is noon.")

    assert talk.session.rotations == 0
