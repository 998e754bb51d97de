"""Sessions with OpenAI's Realtime API: text, audio, and interruptions of what is being played."""

from __future__ import annotations

import threading

import pytest

from tests.session.servers import Hangup, Line, Payload, RealtimeServer, no_pause, serving, wait_after
from tests.session.talks import COLOURS, talking
from tokenstream import Router
from tokenstream.testing import Recording, Script, faults
from tokenstream.turns import ToolResults

pytestmark = pytest.mark.parametrize("colour", COLOURS)


def test_the_server_keeps_the_conversation(colour: str) -> None:
    server = RealtimeServer()
    with serving(server) as url, talking(colour, url, settings={"instructions": "Be brief."}) as talk:
        assert [talk.ask(question).text for question in ("one", "two")] == [
            "I know: one",
            "I know: one | two",
        ]
        called = talk.ask("call:noon").message
        results = ToolResults(called, {called.tool_calls[0].id: "12:00"})
        assert talk.ask(results).text == "I know: one | two | call:noon | [12:00]"
        assert server.received[0][1]["session"] == {"type": "realtime", "instructions": "Be brief."}
        assert server.kinds().count("session.update") == 1
        assert server.kinds().count("conversation.item.create") == 4


def test_another_connection_gets_the_whole_conversation_once(colour: str) -> None:
    """The API of Realtime resumes no session."""
    server = RealtimeServer()
    with serving(server) as url, talking(colour, url) as talk:
        called = talk.ask("call:noon").message
        talk.ask(ToolResults(called, {called.tool_calls[0].id: "12:00"}))
        server.lines[0].connection.close(1001)

        assert talk.ask("two").text == "I know: call:noon | [12:00] | two"
        assert talk.ask("three").text == "I know: call:noon | [12:00] | two | three"
        assert (talk.session.rotations, talk.session.resent) == (1, 1)
        items = [payload["item"] for number, payload in server.received if number == 1 and "item" in payload]
        assert [item["type"] for item in items] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
            "message",
            "message",
        ]
        assert items[3]["content"] == [{"type": "output_text", "text": "I know: call:noon | [12:00]"}]


def test_a_connection_that_is_closed_at_once_is_replaced_once(colour: str) -> None:
    class Closing(RealtimeServer):
        def begin(self, line: Line) -> None:
            super().begin(line)
            if line.number in closing:
                raise Hangup(1000)

    server, closing = Closing(), {1}
    with serving(server) as url, talking(colour, url, settings={"instructions": "Be brief."}) as talk:
        talk.ask("one")
        server.lines[0].connection.close(1001)

        assert talk.ask("two").text == "I know: one | two"
        assert len(server.lines) == 3


def test_a_question_that_two_connections_close_on_is_answered_by_a_third(colour: str) -> None:
    """The servers are about to stop and have not begun to answer, whenever the client sees that."""

    class Stopping(RealtimeServer):
        def take(self, line: Line, payload: Payload) -> None:
            if payload["type"] == "response.create" and line.number < 2:
                raise Hangup(1001)
            super().take(line, payload)

    server = Stopping()
    with serving(server) as url, talking(colour, url) as talk:
        assert talk.ask("one").text == "I know: one"
        assert len(server.lines) == 3


def test_what_was_spoken_is_repeated_as_text(colour: str) -> None:
    """Audio can't be sent back."""
    server = RealtimeServer(audio=True)
    with serving(server) as url, talking(colour, url) as talk:
        spoken = talk.ask("one").message

        assert [part.transcript for part in spoken.parts if part.kind == "media"] == ["I know: one"]
        server.lines[0].connection.close(1001)
        talk.ask("two")
        items = [payload["item"] for number, payload in server.received if number == 1 and "item" in payload]
        assert items[1]["content"] == [{"type": "output_text", "text": "I know: one"}]
        assert talk.session.turns("openai-chat")[1] == {"role": "assistant", "content": "I know: one"}


@pytest.mark.parametrize(("played_ms", "kept_ms"), [(50, 50), (0, 0), (10_000, 200), (-5, 0)])
def test_an_interrupted_answer_is_cut_to_what_was_heard(colour: str, played_ms: float, kept_ms: int) -> None:
    server = RealtimeServer(audio=True)
    server.pause = wait_after(2)
    with serving(server) as url, talking(colour, url) as talk:
        interrupted = talk.speak("one and more", media=4, played_ms=played_ms)
        server.pause = no_pause
        after = talk.ask("two")

        assert interrupted.message.ending == "stopped"
        kinds = server.kinds()
        assert kinds.index("response.cancel") < kinds.index("conversation.item.truncate")
        assert [each["audio_end_ms"] for each in server.truncations] == [kept_ms]
        assert server.refusals == []
        assert after.error is None
        spoken = [part.transcript for part in after.message.parts if part.kind == "media"]
        assert spoken == ["I know: one and more | two"]


@pytest.mark.parametrize(
    ("media", "held"), [(1, "response.output_audio.delta"), (0, "response.output_audio_transcript.delta")]
)
def test_an_answer_that_is_interrupted_before_its_sound_is_cut_to_nothing(
    colour: str, media: int, held: str
) -> None:
    class Held(RealtimeServer):
        def take(self, line: Line, payload: Payload) -> None:
            is_early = payload["type"] == "response.cancel" and not ready.is_set()
            (early.append if is_early else line.obey)(payload)

        def answer(self, line: Line, items: list[Payload]) -> Recording:
            # The first piece crosses the request to stop.
            return super().answer(line, items).with_fault(faults.late(2 - media))

        def holds(self, line: Line, message: Payload) -> bool:
            if message["type"] != held or self.truncations:
                return False
            ready.set()
            while early:
                line.obey(early.pop())
            return True

    early: list[Payload] = []
    server, ready = Held(audio=True), threading.Event()
    with serving(server) as url, talking(colour, url) as talk:
        interrupted = talk.speak("one and more", media=media, played_ms=50)
        after = talk.ask("two")

        assert interrupted.message.ending == "stopped"
        [cut] = server.truncations
        assert (cut["audio_end_ms"], cut["item_id"] in server.items(0)) == (0, True)
        # A request to stop that names no answer is repeated once the answer has a name.
        assert {*server.refusals} <= {"response_cancel_not_active"}
        assert after.error is None


def test_a_cancellation_that_crosses_the_end_is_no_failure(colour: str) -> None:
    """The server refuses it, and the answer counts as interrupted."""

    class Crossing(RealtimeServer):
        def take(self, line: Line, payload: Payload) -> None:
            if payload["type"] == "response.cancel":
                asked.set()
                crossing.append(payload)
            else:
                super().take(line, payload)

        def end(self, line: Line) -> None:
            while crossing:
                line.obey(crossing.pop())

    crossing: list[Payload] = []
    server, asked = Crossing(), threading.Event()
    server.pause = lambda _line, number: number == 1 and not asked.is_set()
    with serving(server) as url, talking(colour, url) as talk:
        interrupted = talk.ask("one", stop_after=1)
        after = talk.ask("two")

        assert server.refusals == ["response_cancel_not_active"]
        assert (interrupted.error, interrupted.stop_reason) == (None, "interrupted")
        assert (after.error, after.text) == (None, "I know: one | two")


def test_an_answer_with_tools_is_cut_across_all_that_it_said(colour: str) -> None:
    """The audio that was played begins with what the model said before it called them."""

    class Announcing(RealtimeServer):
        def script(self, reply: str | Payload) -> Script:
            if isinstance(reply, str):
                return super().script(reply)
            return super().script("Wait.").tool_call(reply["name"], reply["arguments"])

    server, router = Announcing(audio=True), Router()

    @router.tool
    def look_up(word: str) -> str:
        return word

    with serving(server) as url, talking(colour, url, tools=router) as talk:
        for played_ms in (150, 40):
            talk.speak("call:noon", media=None, played_ms=played_ms, router=router)
            talk.ask("one")

        kept = [(each["item_id"], each["audio_end_ms"]) for each in server.truncations]
        # Each item is one of those that were spoken, in their order.
        spoken = server.items(0)
        assert kept == [(spoken[1], 50), (spoken[3], 40), (spoken[4], 0)]


@pytest.mark.parametrize(
    ("played_ms", "cuts"),
    [pytest.param(120, [120], id="in its middle"), pytest.param(60_000, [], id="to its end")],
)
def test_an_answer_that_has_ended_is_cut_to_what_was_heard(
    colour: str, played_ms: int, cuts: list[int]
) -> None:
    """Audio arrives faster than it is played, so nothing is left to cancel."""
    server = RealtimeServer(audio=True)
    with serving(server) as url, talking(colour, url) as talk:
        talk.speak("one", media=None, played_ms=played_ms)
        talk.ask("two")

        assert "response.cancel" not in server.kinds()
        assert [each["audio_end_ms"] for each in server.truncations] == cuts
        assert server.refusals == []
