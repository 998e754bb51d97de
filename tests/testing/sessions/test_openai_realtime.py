"""Sessions of OpenAI's Realtime API with the server that tests start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.sessions.support import CALL, HELLO, PAUSED, REALTIME, Client, opened
from tokenstream import testing
from tokenstream.testing import Arrival, Recording, faults

if TYPE_CHECKING:
    from collections.abc import Iterator


SPEECH = testing.script().media(bytes(4800), "audio/pcm").finish()
"""A tenth of a second."""


@pytest.fixture
def client() -> Iterator[Client]:
    with opened(REALTIME, [SPEECH, HELLO, CALL]) as client:
        yield client


def texts_of(messages: list[Any]) -> list[str]:
    return [each["delta"] for each in messages if each["type"] == "response.output_text.delta"]


def test_each_response_has_its_own_ids(client: Client) -> None:
    ids: list[str] = []
    for _ in range(3):
        client.send("response.create")
        done = client.until("response.done")[-1]["response"]
        ids += [done["id"], *(item["id"] for item in done["output"])]

    assert len(ids) == len(set(ids)) == 6


def test_an_update_of_the_session_is_confirmed_with_the_whole_session(client: Client) -> None:
    client.send("session.update", session={"instructions": "Be brief", "audio": {"output": {"voice": "ash"}}})
    updated = client.recv()

    assert (updated["type"], updated["session"]["instructions"]) == ("session.updated", "Be brief")
    output = updated["session"]["audio"]["output"]
    assert (output["voice"], output["format"]["type"]) == ("ash", "audio/pcm")


def test_items_can_be_added_read_and_deleted(client: Client) -> None:
    content = [{"type": "input_text", "text": "Hi"}]
    client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    added, done = client.recv(), client.recv()
    client.send("conversation.item.retrieve", item_id=added["item"]["id"])
    read = client.recv()
    client.send("conversation.item.delete", item_id=added["item"]["id"])
    deleted = client.recv()
    client.send("conversation.item.retrieve", item_id=added["item"]["id"])

    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    assert read["item"]["content"] == content
    assert (deleted["type"], deleted["item_id"]) == ("conversation.item.deleted", added["item"]["id"])
    assert client.recv()["error"]["code"] == "item_retrieve_invalid_item_id"


def test_audio_may_be_sent_and_committed(client: Client) -> None:
    """The answer still has to be asked for."""
    client.send("input_audio_buffer.append", audio="AAAA")
    client.send("input_audio_buffer.clear")
    assert client.recv()["type"] == "input_audio_buffer.cleared"
    client.send("input_audio_buffer.commit")
    committed, added = client.recv(), client.recv()

    assert (committed["type"], added["item"]["id"]) == ("input_audio_buffer.committed", committed["item_id"])


def test_an_item_is_truncated_to_what_was_heard_and_no_further(client: Client) -> None:
    """A place behind the end of the audio is an error, as at the provider."""
    client.send("response.create")
    [item] = client.until("response.done")[-1]["response"]["output"]
    where = {"item_id": item["id"], "content_index": 0}
    client.send("conversation.item.truncate", **where, audio_end_ms=101)
    refused = client.recv()
    client.send("conversation.item.truncate", **where, audio_end_ms=60)
    truncated = client.recv()
    client.send("conversation.item.truncate", **where, audio_end_ms=61)
    again = client.recv()

    assert refused["error"]["message"] == "Audio content of 100ms is already shorter than 101ms"
    assert (truncated["type"], truncated["audio_end_ms"]) == ("conversation.item.truncated", 60)
    assert again["error"]["message"] == "Audio content of 60ms is already shorter than 61ms"


@pytest.mark.parametrize("end", [-1, "60", None])
def test_a_place_that_is_none_is_refused(client: Client, end: object) -> None:
    client.send("response.create")
    [item] = client.until("response.done")[-1]["response"]["output"]
    client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=end)
    assert client.recv()["error"]["param"] == "audio_end_ms"
    client.send("conversation.item.truncate", item_id="item_lost", content_index=0, audio_end_ms=1)
    assert client.recv()["error"]["code"] == "item_truncate_invalid_item_id"


@pytest.mark.slow
@pytest.mark.parametrize("late", [0, 2])
def test_a_cancelled_response_ends_after_its_late_events(late: int) -> None:
    paused = PAUSED.recording("openai-realtime").with_fault(faults.late(late))
    with opened(REALTIME, [paused, HELLO], pace="recorded") as client:
        client.send("response.create")
        response = client.until("response.created")[-1]["response"]
        client.until("response.output_text.delta")
        client.send("response.create", event_id="mine")
        busy = client.recv()["error"]
        client.send("response.cancel", response_id="resp_other")
        other = client.recv()["error"]
        client.send("response.cancel", response_id=response["id"])
        *deltas, done = client.until("response.done")
        client.send("response.create")
        following = client.until("response.done")

    assert (busy["code"], busy["event_id"]) == ("conversation_already_has_active_response", "mine")
    assert other["code"] == "response_cancel_not_active"
    assert texts_of(deltas) == ["lo, ", "all"][:late]
    assert (done["response"]["id"], done["response"]["status"]) == (response["id"], "cancelled")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert texts_of(following) == ["Hel", "lo"]


def test_a_response_outside_the_conversation_may_be_created_meanwhile() -> None:
    """The conversation's own response goes on."""
    with opened(REALTIME, [PAUSED, HELLO], pace="recorded") as client:
        client.send("response.create")
        client.until("response.output_text.delta")
        client.send("response.create", response={"conversation": "none"})
        assert texts_of(client.until("response.done")) == ["Hel", "lo"]
        client.send("response.cancel")
        assert client.recv()["response"]["status"] == "cancelled"


@pytest.mark.slow
def test_a_cancelled_response_of_a_recording_is_followed_by_the_next_one() -> None:
    arrivals = [*PAUSED.recording("openai-realtime").arrivals]
    end = arrivals[-1].at
    arrivals += [Arrival(end + at, data) for at, data in HELLO.recording("openai-realtime").arrivals]
    recorded = Recording(tuple(arrivals), messages=True, format="openai-realtime")
    with opened(REALTIME, recorded, pace="recorded") as client:
        client.send("response.create")
        client.until("response.output_text.delta")
        client.send("response.cancel")
        assert client.recv()["response"]["status"] == "cancelled"
        client.send("response.create")
        assert texts_of(client.until("response.done")) == ["Hel", "lo"]


def test_a_stalled_response_can_be_cancelled() -> None:
    stalled = HELLO.recording("openai-realtime").with_fault(faults.stall(event=6))
    with opened(REALTIME, [stalled, HELLO]) as client:
        client.send("response.create")
        client.until("response.output_text.delta")
        client.send("response.cancel")
        assert client.until("response.done")[-1]["response"]["status"] == "cancelled"
        client.send("response.create")
        assert texts_of(client.until("response.done")) == ["Hel", "lo"]


def test_a_recording_of_several_responses_waits_for_each_request() -> None:
    """The recorded start of the session is not repeated, and no other answer comes between."""
    turns = [HELLO.recording("openai-realtime"), CALL.recording("openai-realtime")]
    recorded = Recording.of(
        [data for turn in turns for data in turn.chunks()], messages=True, format="openai-realtime"
    )
    with opened(REALTIME, [recorded, SPEECH]) as client:
        kinds: list[list[str]] = []
        for _ in range(3):
            client.send("response.create")
            messages = client.until("response.done")
            kinds.append([item["type"] for item in messages[-1]["response"]["output"]])

    assert kinds == [["message"], ["function_call"], ["message"]]


def test_a_refusal_is_an_error_of_the_session() -> None:
    refused = HELLO.recording("openai-realtime").with_fault(faults.status(429, message="Slow down"))
    with opened(REALTIME, [refused, HELLO]) as client:
        client.send("response.create", event_id="mine")
        error = client.recv()["error"]
        client.send("response.create")

        assert (error["message"], error["event_id"]) == ("Slow down", "mine")
        assert texts_of(client.until("response.done")) == ["Hel", "lo"]


@pytest.mark.parametrize("kind", ["response.begin", "conversation.item.create"])
def test_a_message_that_is_wrong_is_refused(client: Client, kind: str) -> None:
    client.send(kind, event_id="mine")
    assert client.recv()["error"]["event_id"] == "mine"
