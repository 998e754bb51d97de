"""Input for an answer in progress: whatever comes of it, the answer is whole or known to be cut."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.session.servers import (
    Hangup,
    Line,
    Payload,
    RealtimeServer,
    ResponsesServer,
    questions_in,
    refusal,
    serving,
)
from tests.session.talks import COLOURS, talking
from tests.support.timing import PATIENCE, wait_for
from tokenstream import MisuseError, Retry, Router, Seam, Session, StreamError, testing
from tokenstream.testing import Script, Server
from tokenstream.turns import ToolResults

in_every_colour = pytest.mark.parametrize("colour", COLOURS)
WAIT: Payload = {"wait": "until the client has sent something more"}
STOP: Payload = {"wait": "until the client has asked to stop"}
STEER = {"id": "steer_1", "previous_response_id": "resp_1"}
ACCEPTED = {"type": "response.steer.accepted", "steer": STEER}
BUSY = {"type": "invalid_request_error", "code": "too_many_pending_steers", "message": "busy"}
REFUSED = {"type": "response.steer.failed", "error": BUSY, "steer": {**STEER, "id": None, "input": "shorter"}}
LATE = {
    "type": "response.steer.failed",
    "error": {**BUSY, "code": "successor_creation_failed"},
    "steer": {**STEER, "input": "shorter"},
}
UNKNOWN = refusal("invalid_value", "Invalid value: 'response.steer'.", param="type")
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
PENDING = {
    "type": "response.steer.pending",
    "steer": STEER,
    "reason": "waiting_for_required_input",
    "required_input": [{"type": "function_call_output", "call_id": "call_1", "name": "look_up"}],
}


class Scripted(ResponsesServer):
    """A server that answers each question with the next script."""

    def __init__(self, *scripts: list[Payload]) -> None:
        super().__init__()
        self.scripts = list(scripts)
        self.acts: list[Payload] = []
        """What is left of the last script."""

    def take(self, line: Line, payload: Payload) -> None:
        if payload["type"] == "response.create":
            self.acts += self.scripts.pop(0)
        elif self.acts and self.acts[0] is (STOP if payload["type"] == "response.cancel" else WAIT):
            self.acts.pop(0)
        while self.acts and self.acts[0] not in (WAIT, STOP):
            self.send(line, self.acts.pop(0))

    def sent_to_steer(self) -> list[Payload]:
        return [payload for _, payload in self.received if payload["type"] == "response.steer"]


class Cutting(Scripted):
    """A server that ends the connection after each script, with a close code; None to break it."""

    def __init__(self, code: int | None, *scripts: list[Payload]) -> None:
        super().__init__(*scripts)
        self.code = code

    def take(self, line: Line, payload: Payload) -> None:
        super().take(line, payload)
        if not self.acts:
            raise Hangup(self.code)


def begun(id: str, *pieces: str, parent: str | None = None) -> list[Payload]:
    head = {"id": id, "object": "response", "status": "in_progress", "output": []}
    item = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "response": {**head, "previous_response_id": parent}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *[{"type": "response.output_text.delta", "delta": piece, **where} for piece in pieces],
    ]


def ended(id: str, text: str, *items: Payload, reason: str | None = None) -> Payload:
    """Return the end of a response; `reason` is that of one which is incomplete."""
    word = "incomplete" if reason else "completed"
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": word, "content": content}
    response: Payload = {"id": id, "object": "response", "status": word, "output": [item, *items]}
    if reason:
        response["incomplete_details"] = {"reason": reason}
    return {"type": f"response.{word}", "response": response}


def whole(id: str, *pieces: str, parent: str | None = None) -> list[Payload]:
    return [*begun(id, *pieces, parent=parent), ended(id, "".join(pieces))]


def in_lane(lane: str, script: list[Payload]) -> list[Payload]:
    return [act if act is WAIT else {**act, "stream_id": lane} for act in script]


STORY = testing.script().text("Once ").silence(60).text("a horse.").finish()
GOES_ON = testing.script().text("upon ", "a time.").finish()


@contextmanager
def telling(*answers: Script) -> Generator[tuple[Server, str]]:
    """Play a story that stops until it is given input, and then the answers, one after the other."""
    with testing.serve([STORY, *answers], sessions=True, steers=True, pace="recorded") as server:
        yield server, f"{server.ws_url}/v1/responses"


def received_by(server: Server, kind: str) -> list[Any]:
    messages: list[Any] = server.exchanges[0].received_json
    return [message for message in messages if message["type"] == kind]


FIRST = [*begun("resp_1", "Once "), WAIT]
STEERED = [*FIRST, ACCEPTED, ended("resp_1", "Once ", reason="steered")]
NEXT = whole("resp_2", "upon ", "a time.", parent="resp_1")


@in_every_colour
def test_an_answer_goes_on_with_the_input_in_the_same_stream(colour: str) -> None:
    """The input is applied from the next response on, which the next question then continues."""
    fine = testing.script().text("Fine.").finish()
    with telling(GOES_ON, fine) as (server, url), talking(colour, url) as talk:
        answered, steer = talk.steer("A story!", "shorter")
        following = talk.ask("And?")

        assert answered.text == "Once upon a time."
        assert (answered.message.ending, answered.message.finish_reason) == ("complete", "stop")
        assert (steer.state, steer.error) == ("applied", None)
        [sent] = received_by(server, "response.steer")
        assert sent["previous_response_id"] == steer.target
        assert sent["input"][0]["content"] == [{"type": "input_text", "text": "shorter"}]
        assert following.text == "Fine."
        *_, last = received_by(server, "response.create")
        assert last["previous_response_id"] == steer.response_id != steer.target


@in_every_colour
@pytest.mark.parametrize("refused", [REFUSED, UNKNOWN], ids=["refused", "unknown"])
def test_refused_input_leaves_the_answer_as_it_is(colour: str, refused: Payload) -> None:
    server = Scripted([*FIRST, refused, *begun("resp_1", "upon.")[2:], ended("resp_1", "Once upon.")])
    with serving(server) as url, talking(colour, url) as talk:
        answered, steer = talk.steer("A story!", "shorter")

        assert (answered.text, answered.message.ending, answered.error) == ("Once upon.", "complete", None)
        assert steer.state == "refused"
        assert steer.error is not None
        assert steer.error.code == refused["error"]["code"]


@in_every_colour
@pytest.mark.parametrize("of_lane", [{"stream_id": "b"}, {}], ids=["with its lane", "without"])
def test_input_that_is_refused_in_a_lane_concerns_no_other_lane(colour: str, of_lane: Payload) -> None:
    """Each answer goes on, also if the server's error names no lane, and so does the next question."""
    asked = [in_lane("a", begun("resp_1", "Once ")), in_lane("b", [*begun("resp_2", "There "), WAIT])]
    rest = [{**UNKNOWN, **of_lane}, *in_lane("b", begun("resp_2", "was.")[2:])]
    ends = in_lane("b", [ended("resp_2", "There was.")]) + in_lane("a", [ended("resp_1", "Once ")])
    server = Scripted(asked[0], [*asked[1], *rest, *ends], in_lane("a", whole("resp_3", "Fine.")))
    with serving(server) as url, talking(colour, url) as talk:
        first = talk.begin("one", lane="a")
        wait_for(lambda: server.sent == 3)
        second, steer = talk.steer("two", "shorter", lane="b")

        assert (second.text, second.error, steer.state) == ("There was.", None, "refused")
        assert (first.result(PATIENCE).text, first.result(PATIENCE).error) == ("Once ", None)
        assert server.sent_to_steer()[0]["stream_id"] == "b"
        assert talk.ask("And?", lane="a").text == "Fine."


def test_an_error_about_input_is_not_one_of_the_next_question() -> None:
    over = {"type": "response.cancelled", "response": {"id": "resp_1"}}
    server = Scripted([*FIRST, STOP, over, UNKNOWN], whole("resp_2", "Yes?"))
    with serving(server) as url, talking("sync", url) as talk:
        with talk.session.ask("A story!") as answer:
            next(iter(answer.text))
            steer = talk.session.steer("shorter")
            answer.interrupt()
        following = talk.ask("Stop.")

        assert (following.text, following.error) == ("Yes?", None)
        assert steer.state in ("lost", "refused")


def test_a_server_that_ignores_input_holds_up_no_end_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then what became of the input."""
    monkeypatch.setattr("tokenstream.session._conversation._DRAIN_SECONDS", 0.05)
    server = Scripted([*FIRST, ended("resp_1", "Once ")], whole("resp_2", "Fine."))
    with serving(server) as url, talking("sync", url) as talk:
        answered, steer = talk.steer("A story!", "shorter")

        assert (answered.text, answered.message.ending, steer.state) == ("Once ", "complete", "lost")
        assert talk.ask("And?").text == "Fine."


@pytest.mark.parametrize("failure", [TimeoutError("slow"), KeyboardInterrupt()], ids=["timeout", "stopped"])
def test_an_answer_does_not_wait_for_input_that_could_not_be_sent(failure: BaseException) -> None:
    """The caller gets the exception, and the answer ends as if nothing had been said."""
    server = Scripted(whole("resp_1", "Once ", "upon."))

    def open_stuck() -> Any:
        connection: Any = connect(url)
        send = connection.send

        def send_most(text: str) -> None:
            if "response.steer" in text:
                raise failure
            send(text)

        connection.send = send_most
        return connection

    with serving(server) as url, Session(open_stuck, format="openai-responses") as session:
        with session.ask("A story!") as answer:
            pieces = iter(answer.text)
            next(pieces)
            with pytest.raises(type(failure)):
                session.steer("shorter")

            assert list(pieces) == ["upon."]
        assert answer.message.complete


@pytest.mark.parametrize(
    ("rest", "text", "state"),
    [
        ([ACCEPTED, ended("resp_1", "Once "), *NEXT], "Once upon a time.", "applied"),
        ([ended("resp_1", "Once "), ACCEPTED, *NEXT], "Once upon a time.", "applied"),
        ([ended("resp_1", "Once "), NEXT[0], ACCEPTED, *NEXT[1:]], "Once upon a time.", "applied"),
        ([ACCEPTED, ended("resp_1", "Once "), LATE], "Once ", "refused"),
        ([ended("resp_1", "Once "), REFUSED], "Once ", "refused"),
        ([ended("resp_1", "Once "), UNKNOWN], "Once ", "refused"),
        ([ACCEPTED, ended("resp_1", "Once ", reason="steered"), LATE], "Once ", "refused"),
    ],
    ids=[
        "completed",
        "late acceptance",
        "acceptance after the next response",
        "late refusal",
        "refusal",
        "unknown",
        "no successor",
    ],
)
def test_an_answer_ends_once_its_input_is_settled(rest: list[Payload], text: str, state: str) -> None:
    """A response may end before the server has said what becomes of the input."""
    server = Scripted([*FIRST, *rest], whole("resp_3", "Fine."))
    with serving(server) as url, talking("sync", url) as talk:
        answered, steer = talk.steer("A story!", "shorter")

        assert (answered.text, answered.message.ending, steer.state) == (text, "complete", state)
        assert talk.ask("And?").text == "Fine."


@pytest.mark.parametrize("code", [1000, None], ids=["closed", "broken"])
def test_a_steered_answer_that_is_cut_is_never_complete(code: int | None) -> None:
    script = [*STEERED, *NEXT]
    for cut in range(5, len(script)):
        with serving(Cutting(code, script[:cut])) as url, talking("sync", url) as talk:
            answered, steer = talk.steer("A story!", "shorter")

            assert isinstance(answered.error, StreamError)
            assert answered.message.ending == "truncated"
            assert steer.state == ("applied" if cut > script.index(NEXT[0]) else "lost")


@in_every_colour
@pytest.mark.parametrize("code", [1000, None], ids=["closed", "broken"])
@pytest.mark.parametrize("said", [[], [ACCEPTED]], ids=["sent", "accepted"])
def test_a_response_that_was_called_completed_stays_complete(
    colour: str, code: int | None, said: list[Payload]
) -> None:
    """If the connection then ends, the server has written nothing with the input."""
    with (
        serving(Cutting(code, [*FIRST, *said, ended("resp_1", "Once ")])) as url,
        talking(colour, url) as talk,
    ):
        answered, steer = talk.steer("A story!", "shorter")

        assert (answered.text, answered.message.ending, answered.error) == ("Once ", "complete", None)
        assert steer.state == "lost"


@in_every_colour
def test_input_waits_for_the_results_of_tools(colour: str) -> None:
    called = ended("resp_1", "Once ", CALL)
    server = Scripted([*FIRST, ACCEPTED, called, PENDING], whole("resp_2", "Fine.", parent="resp_1"))
    with serving(server) as url, talking(colour, url) as talk:
        answered, steer = talk.steer("A story!", "shorter")

        assert (steer.state, answered.message.ending) == ("pending", "complete")
        results = ToolResults(answered.message, {"call_1": "noon"})
        assert talk.ask(results).text == "Fine."
        assert (steer.state, steer.response_id) == ("applied", "resp_2")


def test_input_that_waits_for_results_is_lost_with_its_connection() -> None:
    called = ended("resp_1", "Once ", CALL)
    cut = Cutting(1000, [*FIRST, ACCEPTED, called, PENDING], whole("resp_2", "Fine.", parent="resp_1"))
    with serving(cut) as url, talking("sync", url) as talk:
        answered, steer = talk.steer("A story!", "shorter")
        assert talk.ask(ToolResults(answered.message, {"call_1": "noon"})).text == "Fine."

        assert steer.state == "lost"


@in_every_colour
def test_another_attempt_is_asked_with_the_input_that_was_applied(colour: str) -> None:
    class Breaking(Scripted):
        def take(self, line: Line, payload: Payload) -> None:
            super().take(line, payload)
            if self.scripts and not self.acts:
                raise Hangup(None)

    server = Breaking(
        [*STEERED, *begun("resp_2", "upon ", parent="resp_1")], whole("resp_3", "Once upon ", "a cat.")
    )
    retry = Retry(again=True, wait=0, seam=Seam(least=0.0))
    with serving(server) as url, talking(colour, url, retry=retry) as talk:
        answered, steer = talk.steer("A story!", "shorter")
        turns = talk.session.turns("openai-chat")

        assert (answered.message.ending, steer.state) == ("complete", "applied")
        assert questions_in(server.received[-1][1]["input"])[:2] == ["A story!", "shorter"]
        assert [turn["content"] for turn in turns] == ["A story!", "shorter", answered.message.text]
        assert steer.response_id == "resp_2"


def test_input_between_two_responses_is_refused_and_not_sent() -> None:
    router, steers = Router(), []
    connected: list[Any] = []

    def open_telling() -> Any:
        connection: Any = connect(url)
        send = connection.send

        def send_and_tell(text: str) -> None:
            send(text)
            connected.append(session.steer("shorter"))

        connection.send = send_and_tell
        return connection

    @router.tool
    def look_up() -> str:
        steers.append(session.steer("shorter"))
        return "noon"

    called = ended("resp_1", "Wait. ", CALL)
    added = {"type": "response.output_item.done", "output_index": 1, "item": CALL}
    server = Scripted([*begun("resp_1", "Wait. "), added, called], whole("resp_2", "Noon.", parent="resp_1"))
    with (
        serving(server) as url,
        Session(open_telling, format="openai-responses", tools=router) as session,
        session.ask("What time is it?", router=router) as answer,
    ):
        assert answer.final().text == "Wait. Noon."
        over = session.steer("shorter")

    refused = [*steers, *connected]
    assert [steer.target for steer in refused] == ["resp_1", None, None]
    assert {(steer.state, steer.error.code) for steer in refused} == {("refused", "no_response_in_progress")}
    assert over.error is not None
    assert over.error.code == "response_already_completed"
    assert server.sent_to_steer() == []


def test_misuse_is_reported() -> None:
    with serving(Scripted(whole("resp_1", "Once"))) as url, talking("sync", url) as talk:
        with pytest.raises(MisuseError, match="no answer to steer"):
            talk.session.steer("shorter")
        with pytest.raises(MisuseError, match="pass results of tools to ask"):
            talk.session.steer(ToolResults(talk.ask("A story!").message, {}))
    with serving(RealtimeServer()) as url, talking("sync", url) as talk:
        talk.ask("one")
        with pytest.raises(MisuseError, match="cannot steer"):
            talk.session.steer("shorter")
