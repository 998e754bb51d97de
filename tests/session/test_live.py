"""Sessions with Gemini Live: setup, handles to resume with, and goAway."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import websockets.sync.client as sync_client

from tests.session.servers import Hangup, Line, LiveServer, Payload, no_pause, serving, wait_after
from tests.session.talks import COLOURS, talking
from tests.support.timing import PATIENCE, wait_for
from tokenstream import Session, StatusError, StreamInterrupted
from tokenstream.turns import ToolResults

in_each_colour = pytest.mark.parametrize("colour", COLOURS)


def setups(server: LiveServer) -> list[Payload]:
    return [payload["setup"] for _, payload in server.received if "setup" in payload]


def texts(payload: Payload) -> list[str]:
    return [part.get("text", "") for turn in payload["clientContent"]["turns"] for part in turn["parts"]]


@in_each_colour
def test_a_session_is_set_up_once(colour: str) -> None:
    server = LiveServer()
    settings = {"generationConfig": {"responseModalities": ["TEXT"]}}
    with serving(server) as url, talking(colour, url, model="gemini-live", settings=settings) as talk:
        assert [talk.ask(question).text for question in ("one", "two")] == [
            "I know: one",
            "I know: one | two",
        ]
        assert setups(server) == [{**settings, "model": "models/gemini-live", "sessionResumption": {}}]
        assert [texts(payload) for _, payload in server.received[1:]] == [["one"], ["two"]]


@in_each_colour
def test_results_go_to_the_model_that_waits_for_them(colour: str) -> None:
    """The turn goes on with them: they are no turn of the user's."""
    server = LiveServer()
    with serving(server) as url, talking(colour, url) as talk:
        called = talk.ask("call:noon")

        assert called.message.finish_reason == "tool_calls"
        results = ToolResults(called.message, {called.message.tool_calls[0].id: "12:00"})
        assert "12:00" in talk.ask(results).text
        assert server.kinds() == ["setup", "clientContent", "toolResponse"]


@in_each_colour
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
        assert [setup["sessionResumption"].get("handle") for setup in setups(server)] == [None, "handle_3"]
        assert texts(server.received[-1][1]) == ["three"]


@in_each_colour
def test_a_handle_that_is_refused_is_given_up(colour: str) -> None:
    """A refused handle has expired, so the whole conversation is sent."""
    server = LiveServer()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        server.store.handles.clear()
        server.lines[0].connection.close(1011)

        assert talk.ask("two").text == "I know: one | two"
        assert talk.session.resent == 1


@in_each_colour
def test_a_handle_that_would_lose_data_is_not_taken(colour: str) -> None:
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
        assert setups(server)[-1]["sessionResumption"]["handle"] == "handle_2"
        assert texts(server.received[-1][1]) == ["two", "I know: one | two", "three"]


@in_each_colour
def test_an_interrupted_turn_without_an_end_is_left(colour: str) -> None:
    """Some servers send only that it was interrupted, and then the next turn."""

    class Endless(LiveServer):
        def send(self, line: Line, payload: Payload) -> None:
            is_end = payload.get("serverContent") == {"turnComplete": True}
            if not (is_end and self.answers == 1):
                super().send(line, payload)

    server = Endless()
    with serving(server) as url, talking(colour, url) as talk:
        server.pause = wait_after(1)
        talk.ask("one", stop_after=1)
        server.pause = no_pause

        assert talk.ask("two").text == "I know: one | two"


@in_each_colour
def test_a_session_that_cannot_be_set_up_fails_in_its_block(colour: str) -> None:
    """Google gives the reason with the closing frame."""

    class Refusing(LiveServer):
        def take(self, line: Line, payload: Payload) -> None:
            line.connection.close(1007, "API key not valid")

    expected = pytest.raises((StreamInterrupted, StatusError))
    with serving(Refusing()) as url, expected as raised, talking(colour, url):
        pytest.fail("it is not set up")

    assert raised.value.kind == "authentication"


def test_a_question_that_could_not_be_sent_is_not_part_of_a_late_handle() -> None:
    """The server says farewell while the question is on its way: its handle has the answers before."""
    leaves = threading.Event()

    class Leaving(LiveServer):
        def end(self, line: Line) -> None:
            if line.number == 0:
                leaves.wait(PATIENCE)
                self.store.handles["late"] = line.converse({})
                self.send(line, {"sessionResumptionUpdate": {"newHandle": "late", "resumable": True}})
                raise Hangup

    class Connection(sync_client.ClientConnection):
        def send(self, message: Any, *, text: bool | None = None) -> None:
            if "two" in message and not leaves.is_set():
                leaves.set()
                wait_for(lambda: self.close_code is not None)
            super().send(message, text=text)

    server = Leaving()
    server.gives_handles = False
    with (
        serving(server) as url,
        Session(lambda: sync_client.connect(url, create_connection=Connection)) as session,
    ):
        assert session.ask("one").final().text == "I know: one"
        assert session.ask("two").final().text == "I know: one | two"
        assert [setup["sessionResumption"].get("handle") for setup in setups(server)] == [None, "late"]
