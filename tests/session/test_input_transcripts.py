"""What the user has said, as the server has transcribed it, in the answers of sessions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session.servers import (
    Hangup,
    Line,
    LiveServer,
    RealtimeServer,
    Server,
    no_pause,
    serving,
    wait_after,
)
from tests.session.talks import COLOURS, talking
from tokenstream import InputTranscript

pytestmark = pytest.mark.parametrize("colour", COLOURS)

OF_INPUT = "conversation.item.input_audio_transcription."


def heard(text: str, id: str = "u1") -> dict[str, Any]:
    return {"type": OF_INPUT + "delta", "event_id": "e", "item_id": id, "delta": text}


def understood(text: str, id: str = "u1") -> dict[str, Any]:
    return {"type": OF_INPUT + "completed", "event_id": "e", "item_id": id, "transcript": text, "usage": {}}


def live_heard(text: str, **fields: Any) -> dict[str, Any]:
    return {"serverContent": {"inputTranscription": {"text": text, **fields}}}


PIECES = [heard("What ti"), understood("What time is it?"), understood("Now?", "u2")]
EXPECTED = [
    InputTranscript("What ti", "u1"),
    InputTranscript("", "u1", done=True, transcript="What time is it?"),
    InputTranscript("Now?", "u2", done=True, transcript="Now?"),
]
LIVE_PIECES = [live_heard("What ti"), live_heard("me is it?", finished=True)]
LIVE_EXPECTED = [InputTranscript("What ti"), InputTranscript("me is it?", done=True)]
APIS: dict[str, tuple[type[Any], list[Any], list[Any]]] = {
    "realtime": (RealtimeServer, PIECES, EXPECTED),
    "live": (LiveServer, LIVE_PIECES, LIVE_EXPECTED),
}


def speaking(base: type[Server], before: list[Any], within: list[Any], after: list[Any]) -> Server:
    def send_all(line: Line, payloads: list[Any]) -> None:
        for payload in payloads:
            server.send(line, payload)

    class Speaking(base):  # type: ignore[valid-type,misc]
        def may_begin(self, line: Line, asked: Any) -> bool:
            send_all(line, [] if answered else before)
            return bool(super().may_begin(line, asked))

        def end(self, line: Line) -> None:
            send_all(line, [] if answered else after)
            answered.append(line)

    def pause(line: Line, index: int) -> None:
        send_all(line, within if index == 1 and not answered else [])

    answered: list[Line] = []
    server: Server = Speaking()
    server.pause = pause
    return server


def events_of(talk: Any, question: str) -> tuple[list[Any], str]:
    """Ask, and return what the user has said according to the answer, and the answer's text."""
    answer = talk.events(question)
    return [event for event in answer[0] if isinstance(event, InputTranscript)], answer[1]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("place", ["before", "within"])
def test_what_the_user_said_is_in_the_loop_over_the_answer(colour: str, api: str, place: str) -> None:
    """The transcript is beside the answer, whose text, parts and end are as without it."""
    base, pieces, expected = APIS[api]
    server = speaking(base, *(pieces if each == place else [] for each in ("before", "within", "after")))
    with serving(server) as url, talking(colour, url) as talk:
        assert (expected, "I know: one") == events_of(talk, "one")
        assert ([], "I know: one | two") == events_of(talk, "two")


@pytest.mark.parametrize("api", APIS)
def test_a_late_transcript_comes_with_the_next_answer(colour: str, api: str) -> None:
    """A transcript that is made after the answer's end neither delays that end nor is lost."""
    base, pieces, expected = APIS[api]
    server = speaking(base, [], [], pieces)
    with serving(server) as url, talking(colour, url) as talk:
        assert ([], "I know: one") == events_of(talk, "one")
        server.lines[0].settle()
        assert (expected, "I know: one | two") == events_of(talk, "two")


def test_a_transcript_cut_by_the_answers_end_is_not_reported_twice(colour: str) -> None:
    """The whole text that ends it, in the next answer, adds nothing to the pieces of the answer before."""
    server = speaking(RealtimeServer, [], PIECES[:1], PIECES[1:])
    with serving(server) as url, talking(colour, url) as talk:
        assert (EXPECTED[:1], "I know: one") == events_of(talk, "one")
        server.lines[0].settle()
        assert (EXPECTED[1:], "I know: one | two") == events_of(talk, "two")


def test_what_interrupts_an_answer_is_heard_in_the_next(colour: str) -> None:
    """The user speaks into an answer, which is interrupted before the words are transcribed."""

    class Interrupted(RealtimeServer):
        def take(self, line: Line, payload: Any) -> None:
            for each in PIECES if payload["type"] == "response.cancel" else ():
                self.send(line, each)
            super().take(line, payload)

    server = Interrupted()
    server.pause = wait_after(2)
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one and more", stop_after=1)
        server.pause = no_pause
        assert EXPECTED == events_of(talk, "two")[0]


def test_a_connection_closed_among_transcripts_is_replaced(colour: str) -> None:
    """A transcript shows nothing about the question, which the next connection gets."""

    class Stopping(RealtimeServer):
        def may_begin(self, line: Line, asked: Any) -> bool:
            if line.number == 0:
                self.send(line, PIECES[0])
                raise Hangup(1001)
            return super().may_begin(line, asked)

    with serving(Stopping()) as url, talking(colour, url) as talk:
        assert (EXPECTED[:1], "I know: one") == events_of(talk, "one")
