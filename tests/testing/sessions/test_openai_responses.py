"""Sessions of OpenAI's Responses API with the server that tests start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import websockets.sync.client as websockets

from tests.support.timing import PATIENCE
from tests.testing.sessions.support import AGAIN, HELLO, PAUSED, RESPONSES, exceptions, open_client, opened
from tokenstream import Session, Stream, connect, testing
from tokenstream.testing import faults

if TYPE_CHECKING:
    from tests.testing.sessions.support import Client


def text_of(response: dict[str, list[dict[str, list[dict[str, str]]]]]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


def test_each_request_gets_the_next_answer_on_the_same_socket() -> None:
    with opened(RESPONSES, [HELLO, AGAIN]) as client:
        first = client.respond(input="Hi")
        second = client.respond(input="And?", previous_response_id=first["id"])

        assert [text_of(first), text_of(second)] == ["Hello", "Again"]
        assert (second["previous_response_id"], first["id"] != second["id"]) == (first["id"], True)
        items = {first["output"][0]["id"], second["output"][0]["id"]}
        assert len(items) == 2


def test_what_the_client_sent_can_be_seen() -> None:
    with testing.serve([HELLO], sessions=True) as server:
        with open_client(server, RESPONSES) as client:
            client.respond(input="Hi")
        [exchange] = server.exchanges
        assert exchange.over.wait(PATIENCE)

    assert exchange.received_json == [{"type": "response.create", "input": "Hi"}]
    assert exchange.outcome == "answered"


def test_a_function_sees_each_request_for_an_answer() -> None:
    def answer(request: testing.Request) -> testing.Script:
        asked = request.json
        assert isinstance(asked, dict)
        return testing.script().text(f"You said {asked['input']}").finish()

    with opened(RESPONSES, answer) as client:
        assert text_of(client.respond(input="Hi")) == "You said Hi"
        assert text_of(client.respond(input="Bye")) == "You said Bye"


def test_a_stream_reads_one_answer_after_the_other() -> None:
    """The server can be read like the provider."""
    with opened(RESPONSES, [HELLO, AGAIN]) as client:
        texts: list[str] = []
        client.send("response.create")
        with Stream(client.socket) as stream:
            for response in stream.responses:
                texts.append(response.final().text)
                if len(texts) == 2:
                    break
                client.send("response.create", previous_response_id=response.message.id)

    assert texts == ["Hello", "Again"]


def test_an_unknown_parent_is_refused_and_the_connection_stays_open() -> None:
    """No answer is used up."""
    with opened(RESPONSES, [HELLO]) as client:
        error = client.respond(previous_response_id="resp_lost")

        assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
        assert text_of(client.respond()) == "Hello"


@pytest.mark.parametrize("store", [True, False])
def test_only_stored_responses_outlive_their_connection(store: bool) -> None:
    with testing.serve([HELLO, AGAIN], sessions=True) as server:
        with open_client(server, RESPONSES) as client:
            first = client.respond(store=store)
        with open_client(server, RESPONSES) as client:
            second = client.respond(previous_response_id=first["id"])

    assert text_of(second) == "Again" if store else second["error"]["code"] == "previous_response_not_found"


def test_a_failed_continuation_evicts_its_parent() -> None:
    """With `store: false`, the next continuation does not find it."""
    broken = HELLO.recording("openai-responses").with_fault(faults.status(500))
    with opened(RESPONSES, [HELLO, broken, AGAIN]) as client:
        parent = {"previous_response_id": client.respond(store=False)["id"], "store": False}
        failed = client.respond(**parent)
        lost = client.respond(**parent)

        assert (failed["status"], lost["error"]["code"]) == (500, "previous_response_not_found")
        assert text_of(client.respond(store=False)) == "Again"


def test_a_connection_that_is_too_old_creates_no_more_responses() -> None:
    old = HELLO.recording("openai-responses").with_fault(faults.connection_limit())
    with testing.serve([HELLO, old, AGAIN], sessions=True) as server:
        with open_client(server, RESPONSES) as client:
            first = client.respond()
            for _ in range(2):
                error = client.respond(previous_response_id=first["id"])
                assert error["error"]["code"] == "websocket_connection_limit_reached"
        with open_client(server, RESPONSES) as client:
            assert text_of(client.respond(previous_response_id=first["id"])) == "Again"


def test_a_warm_up_gets_an_empty_response_that_can_be_continued() -> None:
    with opened(RESPONSES, [HELLO]) as client:
        warm = client.respond(generate=False, store=False)

        assert warm["output"] == []
        assert text_of(client.respond(previous_response_id=warm["id"])) == "Hello"


def read_until_delta(client: Client) -> None:
    """Read until the first piece of a text, after which the server pauses."""
    client.send("response.create")
    client.until("response.output_text.delta")


@pytest.mark.parametrize("late", [0, 2])
def test_a_cancelled_response_ends_after_its_late_events(late: int) -> None:
    paused = PAUSED.recording("openai-responses").with_fault(faults.late(late))
    with opened(RESPONSES, [paused, AGAIN], pace="recorded") as client:
        read_until_delta(client)
        client.send("response.cancel")
        *deltas, end = client.until("response.cancelled")
        client.send("response.create")
        following = client.until("response.completed")

        assert [each["delta"] for each in deltas] == ["lo, ", "all"][:late]
        assert end["response"]["status"] == "cancelled"
        assert [each["delta"] for each in following if "delta" in each] == ["Again"]


def test_a_response_may_be_cancelled_before_it_begins() -> None:
    silent = HELLO.recording("openai-responses").with_fault(faults.stall(event=0))
    with opened(RESPONSES, [silent, AGAIN]) as client:
        client.send("response.create", stream_id="a")
        client.send("response.cancel", stream_id="a")
        cancelled = client.recv()

        assert (cancelled["type"], cancelled["stream_id"]) == ("response.cancelled", "a")
        assert cancelled["response"]["id"]
        assert text_of(client.respond(stream_id="a")) == "Again"


def test_a_cancellation_without_a_response_is_an_error() -> None:
    with opened(RESPONSES, [HELLO]) as client:
        client.send("response.cancel")
        assert client.recv()["error"]["code"] == "response_cancel_not_active"
        assert text_of(client.respond()) == "Hello"


def test_requests_of_a_lane_wait_for_the_response_before_them() -> None:
    with opened(RESPONSES, [HELLO, AGAIN]) as client:
        client.send("response.create", stream_id="a")
        client.send("response.create", stream_id="a")
        ends = [client.until("response.completed")[-1] for _ in range(2)]

        assert [text_of(end["response"]) for end in ends] == ["Hello", "Again"]
        assert [end["stream_id"] for end in ends] == ["a", "a"]


def test_responses_of_different_lanes_are_created_at_the_same_time() -> None:
    """One that pauses holds up no other, and is cancelled by its id."""
    with opened(RESPONSES, [PAUSED, AGAIN], pace="recorded") as client:
        client.send("response.create", stream_id="slow")
        slow = client.until("response.output_text.delta")[0]["response"]
        client.send("response.create", stream_id="fast")
        fast = client.until("response.completed")
        client.send("response.cancel", response_id=slow["id"])
        cancelled = client.recv()

        assert {each["stream_id"] for each in fast} == {"fast"}
        assert text_of(fast[-1]["response"]) == "Again"
        assert (cancelled["type"], cancelled["stream_id"]) == ("response.cancelled", "slow")


def test_lanes_have_bounds() -> None:
    """A name that is none, or the thirty-third."""
    with opened(RESPONSES, HELLO) as client:
        assert client.respond(stream_id="a b")["error"]["code"] == "invalid_stream_id"
        for number in range(32):
            client.respond(stream_id=f"lane-{number}")
        assert client.respond(stream_id="more")["error"]["code"] == "websocket_stream_limit_reached"


def test_an_error_in_the_answer_is_nested() -> None:
    """Over HTTP, it is not."""
    refused = testing.script().error(kind="rate_limited")
    with opened(RESPONSES, [refused, HELLO]) as client:
        assert client.respond()["error"]["code"] == "rate_limit_exceeded"
        assert text_of(client.respond()) == "Hello"


def test_a_request_without_an_answer_is_told_so() -> None:
    """A mistake of the test has to reach the test."""
    with opened(RESPONSES, []) as client:
        assert "prepare another" in client.respond()["error"]["message"]


@pytest.mark.parametrize("message", ["{", "[1]", '{"type": "session.update"}'])
def test_a_message_that_is_wrong_is_refused(message: str) -> None:
    with opened(RESPONSES, HELLO) as client:
        client.socket.send(message)
        assert client.recv()["type"] == "error"
        assert text_of(client.respond()) == "Hello"


def test_the_same_answers_are_played_over_http() -> None:
    with testing.serve([HELLO, AGAIN], sessions=True) as server:
        with open_client(server, RESPONSES) as client:
            client.respond()
        with connect(server.url + RESPONSES, json={}) as stream:
            assert stream.final().text == "Again"


def test_a_path_without_sessions_is_refused() -> None:
    with (
        testing.serve(HELLO, sessions=True) as server,
        pytest.raises(exceptions.InvalidStatus) as caught,
        open_client(server, "/v1/messages"),
    ):
        pass

    assert b"/v1/realtime" in caught.value.response.body


def test_a_client_can_try_its_steering() -> None:
    """The answer ends where it is, and the next one goes on in the same stream."""
    first = testing.script().text("Once ").silence(60).text("upon a time.").finish()
    second = testing.script().text("a cat.").finish()
    with testing.serve([first, second, AGAIN], sessions=True, steers=True, pace="recorded") as server:
        url = f"{server.ws_url}{RESPONSES}"
        with Session(lambda: websockets.connect(url), model="m") as session:
            steer = None
            with session.ask("A story!") as answer:
                for _ in answer.text:
                    steer = steer or session.steer("About a cat.")
            late = session.steer("Too late.")
            following = session.ask("And?").final()

    assert steer is not None
    assert (answer.message.text, answer.message.ending) == ("Once a cat.", "complete")
    assert steer.state == "applied"
    assert steer.response_id not in (None, steer.target)
    assert late.state == "refused"
    assert following.ending == "complete"


@pytest.mark.parametrize(("steers", "code"), [(True, "response_already_completed"), (False, "invalid_value")])
def test_input_for_nothing_is_refused(steers: bool, code: str) -> None:
    with opened(RESPONSES, [HELLO], steers=steers) as client:
        client.send("response.steer", previous_response_id="resp_9", input=[])
        refusal = client.recv()

    assert refusal["error"]["code"] == code
