"""Sessions with Gemini Live: setup, handles to resume with, and goAway."""

from __future__ import annotations

import pytest

from tests.session.servers import Line, LiveServer, Payload, serving
from tests.session.talks import COLOURS, talking
from tokenstream import StatusError, StreamInterrupted
from tokenstream.turns import ToolResults

pytestmark = pytest.mark.parametrize("colour", COLOURS)


def setups(server: LiveServer) -> list[Payload]:
    return [payload["setup"] for _, payload in server.received if "setup" in payload]


def texts(payload: Payload) -> list[str]:
    return [part.get("text", "") for turn in payload["clientContent"]["turns"] for part in turn["parts"]]


def test_a_session_is_set_up_once(colour: str) -> None:
    """With the model, the settings, and the wish for handles; questions wait until the server is ready."""
    server = LiveServer()
    settings = {"generationConfig": {"responseModalities": ["TEXT"]}}
    with serving(server) as url, talking(colour, url, model="gemini-live", settings=settings) as talk:
        assert [talk.ask(question).text for question in ("one", "two")] == [
            "I know: one",
            "I know: one | two",
        ]
        assert setups(server) == [{**settings, "model": "models/gemini-live", "sessionResumption": {}}]
        assert [texts(payload) for _, payload in server.received[1:]] == [["one"], ["two"]]


def test_results_go_to_the_model_that_waits_for_them(colour: str) -> None:
    """The turn goes on with them: they are no turn of the user's."""
    server = LiveServer()
    with serving(server) as url, talking(colour, url) as talk:
        called = talk.ask("call:noon")

        assert called.message.finish_reason == "tool_calls"
        results = ToolResults(called.message, {called.message.tool_calls[0].id: "12:00"})
        assert "12:00" in talk.ask(results).text
        assert server.kinds() == ["setup", "clientContent", "toolResponse"]


def test_go_away_rotates_before_the_next_question_with_the_handle(colour: str) -> None:
    """The server then has the conversation, so nothing of it is sent again."""
    server = LiveServer()
    server.says_go_away_after = {2}
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        talk.ask("two")
        server.lines[0].settle()

        assert talk.ask("three").text == "I know: one | two | three"
        assert (talk.session.rotations, talk.session.resent) == (1, 0)
        assert [setup["sessionResumption"].get("handle") for setup in setups(server)] == [None, "handle_2"]
        assert texts(server.received[-1][1]) == ["three"]


def test_a_handle_that_is_refused_is_given_up(colour: str) -> None:
    """It has expired; the whole conversation is sent instead."""
    server = LiveServer()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        server.refuses_handles = True
        server.lines[0].connection.close(1011)

        assert talk.ask("two").text == "I know: one | two"
        assert talk.session.resent == 1


def test_a_handle_that_would_lose_data_is_not_taken(colour: str) -> None:
    """The last resumable one counts, and what came after it is sent again."""

    class Unresumable(LiveServer):
        def send(self, line: Line, payload: Payload) -> None:
            if "sessionResumptionUpdate" in payload and self.answers > 1:
                payload = {"sessionResumptionUpdate": {"newHandle": "lossy", "resumable": False}}
            super().send(line, payload)

    server = Unresumable()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        talk.ask("two")
        server.lines[0].connection.close(1001)

        assert talk.ask("three").text == "I know: one | two | three"
        assert setups(server)[-1]["sessionResumption"]["handle"] == "handle_1"
        assert texts(server.received[-1][1]) == ["two", "I know: one | two", "three"]


def test_an_interrupted_turn_without_an_end_is_left(colour: str) -> None:
    """Some servers send only that it was interrupted, and then the next turn."""

    class Endless(LiveServer):
        def send(self, line: Line, payload: Payload) -> None:
            is_end = payload.get("serverContent") == {"turnComplete": True}
            if not (is_end and self.answers == 1):
                super().send(line, payload)

    server = Endless()
    with serving(server) as url, talking(colour, url) as talk:
        server.pause = lambda line, number: number > 0 and line.wait_for_message()
        talk.ask("one", stop_after=1)
        server.pause = lambda _line, _number: None

        assert talk.ask("two").text == "I know: one | two"


def test_a_session_that_cannot_be_set_up_fails_in_its_block(colour: str) -> None:
    """Google gives the reason with the closing frame."""

    class Refusing(LiveServer):
        def take(self, line: Line, payload: Payload) -> None:
            line.connection.close(1007, "API key not valid")

    expected = pytest.raises((StreamInterrupted, StatusError))
    with serving(Refusing()) as url, expected as raised, talking(colour, url):
        pytest.fail("it is not set up")

    assert raised.value.kind == "authentication"
