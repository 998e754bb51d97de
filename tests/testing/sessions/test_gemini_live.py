"""Sessions of the Gemini Live API with the server that tests start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.sessions.support import AGAIN, CALL, HELLO, LIVE, PAUSED, exceptions, open_client, opened
from tokenstream import testing
from tokenstream.testing import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testing.sessions.support import Client

ASK: dict[str, Any] = {"clientContent": {"turns": [], "turnComplete": True}}


@pytest.fixture
def client() -> Iterator[Client]:
    with opened(LIVE, [HELLO, CALL, AGAIN]) as client:
        yield client


def set_up(client: Client, **setup: Any) -> None:
    client.send(setup={"model": "models/m", **setup})
    assert client.recv() == {"setupComplete": {}}


def texts_of(messages: list[Any]) -> list[str]:
    turns = [
        each["serverContent"]["modelTurn"]
        for each in messages
        if "modelTurn" in each.get("serverContent", {})
    ]
    return [part["text"] for turn in turns for part in turn["parts"]]


@pytest.mark.parametrize(
    "said",
    [
        {"realtimeInput": {"text": "Hi"}},
        {"realtime_input": {"activity_end": {}}},
        {"client_content": {"turns": [], "turn_complete": True}},
    ],
)
def test_a_turn_may_be_asked_for_in_several_ways(client: Client, said: dict[str, Any]) -> None:
    """Audio alone asks for nothing."""
    set_up(client)
    client.send(realtimeInput={"audio": {"data": "AAAA", "mimeType": "audio/pcm"}})
    client.send(**said)
    assert texts_of(client.until_content("turnComplete")) == ["Hel", "lo"]


def test_the_model_waits_for_the_results_of_its_calls(client: Client) -> None:
    set_up(client)
    client.send(**ASK)
    assert texts_of(client.until_content("turnComplete")) == ["Hel", "lo"]
    client.send(**ASK)
    [called] = client.until_content("toolCall")
    [call] = called["toolCall"]["functionCalls"]
    client.send(toolResponse={"functionResponses": [{"id": call["id"], "name": "now", "response": {}}]})
    assert texts_of(client.until_content("turnComplete")) == ["Again"]


def test_the_model_waits_for_all_results() -> None:
    script = testing.script().tool_call("a", {}).tool_call("b", {}).text("Both").finish()
    with opened(LIVE, script) as client:
        set_up(client)
        client.send(**ASK)
        ids = [client.recv()["toolCall"]["functionCalls"][0]["id"] for _ in range(2)]
        for id in ids:
            client.send(tool_response={"function_responses": [{"id": id, "response": {}}]})
        assert texts_of(client.until_content("turnComplete")) == ["Both"]


def test_who_speaks_while_the_model_waits_cancels_its_calls(client: Client) -> None:
    set_up(client)
    client.send(**ASK)
    client.until_content("turnComplete")
    client.send(**ASK)
    [called] = client.until_content("toolCall")
    client.send(**ASK)
    messages = client.until_content("turnComplete")

    assert messages[0]["toolCallCancellation"]["ids"] == [called["toolCall"]["functionCalls"][0]["id"]]
    assert messages[1] == {"serverContent": {"interrupted": True}}
    assert texts_of(client.until_content("turnComplete")) == ["Again"]


@pytest.mark.parametrize("late", [0, 2])
def test_who_speaks_interrupts_the_model(late: int) -> None:
    """Late messages of the old turn come before its end."""
    paused = PAUSED.recording("gemini-live").with_fault(faults.late(late))
    with opened(LIVE, [paused, AGAIN], pace="recorded") as client:
        set_up(client)
        client.send(**ASK)
        client.until_content("modelTurn")
        client.send(realtimeInput={"activityStart": {}})
        interrupted = client.until_content("interrupted")
        client.until_content("turnComplete")
        client.send(realtimeInput={"activityEnd": {}})

        assert texts_of(interrupted) == ["lo, ", "all"][:late]
        assert texts_of(client.until_content("turnComplete")) == ["Again"]


def test_a_session_is_resumed_by_its_handle() -> None:
    with testing.serve([HELLO, AGAIN], sessions=True) as server:
        with open_client(server, LIVE) as client:
            set_up(client, sessionResumption={"transparent": True})
            first = client.recv()["sessionResumptionUpdate"]
            client.send(**ASK)
            client.until_content("turnComplete")
            second = client.recv()["sessionResumptionUpdate"]
        with open_client(server, LIVE) as client:
            set_up(client, sessionResumption={"handle": second["newHandle"]})
            client.recv()
            client.send(**ASK)
            assert texts_of(client.until_content("turnComplete")) == ["Again"]

    assert (first["resumable"], second["resumable"]) == (True, True)
    assert first["newHandle"] != second["newHandle"]
    assert (first["lastConsumedClientMessageIndex"], second["lastConsumedClientMessageIndex"]) == ("0", "1")


def test_an_unknown_handle_ends_the_connection() -> None:
    with opened(LIVE, HELLO) as client:
        client.send(setup={"sessionResumption": {"handle": "lost"}})
        with pytest.raises(exceptions.ConnectionClosed) as caught:
            client.recv()

    assert (caught.value.rcvd.code, "not found" in caught.value.rcvd.reason) == (1008, True)


def test_the_server_announces_that_it_goes_away() -> None:
    """Inside an answer, which goes on until the connection ends."""
    leaving = HELLO.recording("gemini-live").with_fault(
        faults.go_away(5, event=2) | faults.close(event=4, code=1001, reason="Bye")
    )
    with opened(LIVE, [leaving]) as client:
        set_up(client)
        client.send(**ASK)
        messages = client.until_content("goAway")
        rest = [client.recv()]
        with pytest.raises(exceptions.ConnectionClosedOK) as caught:
            client.recv()

    assert (texts_of(messages), texts_of(rest)) == (["Hel"], ["lo"])
    assert messages[-1] == {"goAway": {"timeLeft": "5s"}}
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "Bye")


@pytest.mark.parametrize(
    ("messages", "code"),
    [([ASK], 1007), ([{"setup": {}}, {"setup": {}}], 1007), ([{"setup": {}}, ASK, ASK], 1011)],
    ids=["no setup", "two setups", "no answer left"],
)
def test_an_error_closes_the_connection(messages: list[dict[str, Any]], code: int) -> None:
    """Gemini Live has no message for an error."""
    with opened(LIVE, [HELLO]) as client:
        for message in messages:
            client.send(**message)
        with pytest.raises(exceptions.ConnectionClosed) as caught:
            while True:
                client.recv()

    assert caught.value.rcvd.code == code
