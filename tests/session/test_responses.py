"""Sessions with OpenAI's Responses API: what is sent, what is chained, and what happens when that fails."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session.servers import Line, Payload, ResponsesServer, no_pause, refusal, serving, wait_after
from tests.session.talks import COLOURS, talking
from tests.support.wire import DONE
from tokenstream import (
    Deadlines,
    Retry,
    Router,
    Seam,
    StatusError,
    Stream,
    StreamInterrupted,
    StreamTruncated,
    testing,
)
from tokenstream.turns import ToolResults

pytestmark = pytest.mark.parametrize("colour", COLOURS)


def creates(server: ResponsesServer) -> list[Payload]:
    return [payload for _, payload in server.received if payload["type"] == "response.create"]


def questions(request: Payload) -> list[str]:
    return [item["content"][0]["text"] for item in request["input"] if item.get("role") == "user"]


def test_only_what_is_new_is_sent(colour: str) -> None:
    """A question continues the response before it by its id, with the session's model and settings."""
    server = ResponsesServer()
    settings = {"instructions": "Be brief."}
    with serving(server) as url, talking(colour, url, model="gpt-5.1", settings=settings) as talk:
        texts = [talk.ask(question).text for question in ("one", "two", "three")]

        assert texts == ["I know: one", "I know: one | two", "I know: one | two | three"]
        requests = creates(server)
        assert [questions(request) for request in requests] == [["one"], ["two"], ["three"]]
        assert [request.get("previous_response_id") for request in requests] == [None, "resp_1", "resp_2"]
        assert {request["model"] for request in requests} == {"gpt-5.1"}
        assert {request["instructions"] for request in requests} == {"Be brief."}
        assert (talk.session.rotations, talk.session.resent) == (0, 0)
        assert [message.id for message in talk.session.messages] == ["resp_1", "resp_2", "resp_3"]


def test_results_of_tools_are_sent_on_the_same_connection(colour: str) -> None:
    """Only the results are sent: the server has the calls."""
    server = ResponsesServer()
    with serving(server) as url, talking(colour, url) as talk:
        called = talk.ask("call:noon").message
        text = talk.ask(ToolResults(called, {called.tool_calls[0].id: "12:00"})).text

        assert text == "I know: call:noon | [12:00]"
        assert [item["type"] for item in creates(server)[-1]["input"]] == ["function_call_output"]
        assert len(server.lines) == 1


def test_a_question_in_place_of_results_begins_a_new_chain(colour: str) -> None:
    """The server refuses to continue a response whose calls have no results, so the history is sent."""

    class Strict(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            known = line.converse(payload)
            calls = {item["call_id"] for item in known if item["type"] == "function_call"}
            outputs = {item.get("call_id") for item in known if "output" in item}
            if calls - outputs:
                words = f"No tool output found for function call {min(calls)}"
                return self.send(line, refusal(None, words))
            return super().take(line, payload)

    server = Strict()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        talk.ask("call:noon")

        assert talk.ask("two").text == "I know: one | call:noon | two"
        assert talk.ask("three").text == "I know: one | call:noon | two | three"
        assert talk.session.resent == 1


def test_items_of_the_api_are_sent_as_they_are(colour: str) -> None:
    server = ResponsesServer()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}]}
    with serving(server) as url, talking(colour, url) as talk:
        assert talk.ask([item]).text == "I know: Look"
        assert talk.ask(item).text == "I know: Look | Look"
        assert [request["input"] for request in creates(server)] == [[item], [item]]


def test_a_parent_that_the_server_has_forgotten_is_replaced_by_the_whole_history(colour: str) -> None:
    server = ResponsesServer()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        talk.ask("two")
        server.forget()

        assert talk.ask("three").text == "I know: one | two | three"
        assert talk.ask("four").text == "I know: one | two | three | four"
        assert (talk.session.rotations, talk.session.resent) == (0, 1)
        assert questions(creates(server)[-2]) == ["one", "two", "three"]
        assert "previous_response_id" not in creates(server)[-2]
        assert questions(creates(server)[-1]) == ["four"]


@pytest.mark.parametrize(("settings", "resent"), [({"store": False}, 1), ({}, 0)])
def test_another_connection_gets_what_the_server_has_not_stored(
    colour: str, settings: dict[str, Any], resent: int
) -> None:
    """Without storage the server remembers responses only on one connection: its id is not even tried."""
    server = ResponsesServer()
    with serving(server) as url, talking(colour, url, settings=settings) as talk:
        talk.ask("one")
        server.lines[0].connection.close(1001)

        assert talk.ask("two").text == "I know: one | two"
        assert (talk.session.rotations, talk.session.resent) == (1, resent)
        assert len(creates(server)) == 2


def test_the_id_of_the_last_event_is_continued(colour: str) -> None:
    """Gateways give the first event another id, which the server behind them does not know."""

    class Gateway(ResponsesServer):
        def send(self, line: Line, payload: Payload) -> None:
            if payload["type"] == "response.created":
                payload = {**payload, "response": {**payload["response"], "id": "made_up"}}
            super().send(line, payload)

    server = Gateway()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")

        assert talk.ask("two").text == "I know: one | two"
        assert creates(server)[-1]["previous_response_id"] == "resp_1"


def test_a_server_that_closes_the_connection_at_once_is_asked_three_times_and_not_for_ever(
    colour: str,
) -> None:
    """Some close it with code 1000 and no event, for a parameter that they don't like."""

    class Closing(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            line.connection.close(1000)

    server = Closing()
    with serving(server) as url, talking(colour, url) as talk:
        assert isinstance(talk.ask("one").error, StreamTruncated)
        assert len(creates(server)) == 3


def test_an_interrupted_answer_is_cancelled_and_leaves_nothing_behind(colour: str) -> None:
    server = ResponsesServer()
    server.pause = wait_after(2)
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one")
        server.pause = wait_after(1)
        stopped = talk.ask("two", stop_after=1)
        server.pause = no_pause
        after = talk.ask("three")

        assert (stopped.text, stopped.message.ending, stopped.stop_reason) == (
            "I know:",
            "stopped",
            "interrupted",
        )
        assert after.text == "I know: one | two | three"
        assert server.kinds() == ["response.create", "response.create", "response.cancel", "response.create"]
        # The last whole response is continued, so what was interrupted is sent again.
        last = creates(server)[-1]
        assert last["previous_response_id"] == "resp_1"
        said = {"type": "message", "role": "assistant", "content": "I know:"}
        assert [item for item in last["input"] if item["role"] == "assistant"] == [said]
        assert talk.session.rotations == 0


def test_a_refused_question_that_nobody_reads_any_more_is_not_in_the_way(colour: str) -> None:
    server = ResponsesServer()
    server.errors[2] = refusal("previous_response_not_found")
    with serving(server) as url, talking(colour, url, deadlines=Deadlines(total=10)) as talk:
        talk.ask("one")
        with talk.leave_unread("two"):
            pass

        assert talk.ask("three").text == "I know: one | three"


@pytest.mark.parametrize(
    "refused",
    [
        refusal("response_not_found", "No response to cancel"),
        refusal("invalid_value", "Invalid value: 'response.cancel'", param="type"),
        refusal("invalid_message_type", 'Expected message type "response.create"'),
    ],
)
def test_a_cancellation_that_is_refused_is_not_an_error(colour: str, refused: Payload) -> None:
    class Late(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            if payload["type"] == "response.cancel":
                return self.send(line, refused)
            return super().take(line, payload)

    server = Late()
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one", stop_after=1)

        assert talk.ask("two").text == "I know: one | two"
        assert talk.ask("three").text == "I know: one | two | three"


def test_a_server_that_does_not_stop_holds_up_the_next_answer_only_for_a_while(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenstream.session._conversation._DRAIN_SECONDS", 0.05)
    server = ResponsesServer()
    server.ignores_cancel = True
    server.pause = lambda line, number: line.number == 0 and number > 0
    with serving(server) as url, talking(colour, url) as talk:
        talk.ask("one", stop_after=1)

        assert talk.ask("two").text == "I know: one | two"
        assert talk.session.rotations == 1


@pytest.mark.parametrize("questions", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cancelled_question_of_which_nothing_is_heard_again_is_not_in_the_way(
    colour: str, questions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenstream.session._conversation._DRAIN_SECONDS", 0.05)

    class Dropping(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            if "drop" not in str(payload.get("input")) and payload["type"] != "response.cancel":
                super().take(line, payload)

    server = Dropping()
    with serving(server) as url, talking(colour, url, deadlines=Deadlines(total=30)) as talk:
        for number in range(questions):
            with talk.leave_unread(f"drop {number}"):
                pass

        assert talk.ask("last").text == "I know: last"
        assert talk.session.rotations == questions
        assert {f"resp_{number}" for number in range(9)}.isdisjoint(
            payload.get("response_id") for _, payload in server.received
        )


def test_a_broken_answer_raises_its_error_and_the_session_goes_on(colour: str) -> None:
    server = ResponsesServer()
    server.hangups[5] = 1011
    with serving(server) as url, talking(colour, url) as talk:
        broken = talk.ask("one")

        assert isinstance(broken.error, StreamInterrupted)
        assert broken.error.partial.text == broken.text == "I know: one"[: 7 * len(broken.pieces)]
        assert talk.ask("two").text == "I know: one | two"
        assert talk.session.rotations == 1


def test_the_model_continues_a_broken_answer(colour: str) -> None:
    server = ResponsesServer()
    server.hangups[5] = 1011
    retry = Retry(wait=0, seam=Seam(least=0.0))
    with serving(server) as url, talking(colour, url, retry=retry) as talk:
        broken = talk.ask("one")

        assert broken.error is None
        assert broken.text.startswith("I know: one")
        again = creates(server)[1]["input"]
        assert [item["role"] for item in again] == ["user", "assistant", "user"]
        talk.ask("two")
        last = creates(server)[-1]["input"]
        assert [item["content"] for item in last if item["role"] == "assistant"] == [broken.message.text]


def test_a_fallback_sends_posts_when_no_connection_can_be_opened(colour: str) -> None:
    payloads: list[Payload] = []

    def post(payload: Payload) -> Any:
        payloads.append(payload)
        head = {"id": f"resp_{len(payloads)}", "object": "response", "output": []}
        delta = {"output_index": 0, "content_index": 0, "delta": f"Answer {len(payloads)}"}
        return [
            {"type": "response.created", "response": {**head, "status": "in_progress"}},
            {"type": "response.output_text.delta", **delta},
            {"type": "response.completed", "response": {**head, "status": "completed"}},
        ]

    with talking(colour, "ws://127.0.0.1:9/v1/responses", fallback=post, model="gpt-5.1") as talk:
        texts = [talk.ask(question).text for question in ("one", "two")]

        assert texts == ["Answer 1", "Answer 2"]
        assert [payload["stream"] for payload in payloads] == [True, True]
        assert [payload.get("previous_response_id") for payload in payloads] == [None, "resp_1"]
        assert [len(payload["input"]) for payload in payloads] == [1, 1]
        assert [message.text for message in talk.session.messages] == texts


def test_the_answer_to_a_post_ends_where_the_server_says_so(colour: str) -> None:
    body = [*testing.script().text("Hi").finish().chunks("openai-responses"), DONE]
    plain = Stream(body)
    plain.final()
    seen: list[Any] = []

    def post(_payload: Payload) -> Any:
        return [*body]

    with talking(colour, "ws://127.0.0.1:9/v1/responses", fallback=post, model="gpt-5.1") as talk:
        for router in (None, Router()):
            answer = talk.ask("one", router=router)
            seen.append((answer.text, answer.message.ending, answer.departures))

    assert [("Hi", "complete", plain.departures.details)] * 2 == seen


def test_a_question_whose_connection_cannot_be_opened_is_not_in_the_way(colour: str) -> None:
    server = ResponsesServer()
    with serving(server) as url, talking(colour, url, retry=Retry(attempts=2, wait=0)) as talk:
        talk.ask("one")
        server.lines[0].connection.close(1001)
        server.refuses_handshakes = 2
        assert isinstance(talk.ask("two").error, StatusError)

        assert talk.ask("three").text == "I know: one | three"
