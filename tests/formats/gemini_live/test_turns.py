"""Gemini Live: how turns end, what belongs to the session, and errors."""

from __future__ import annotations

import pytest

from tests.formats.gemini_live.support import (
    DONE,
    GENERATED,
    INTERRUPTED,
    SETUP,
    Payload,
    content,
    read,
    spoken,
    text,
    tool_call,
)
from tests.support import registry
from tests.support.formats import GeminiLive
from tests.support.tables import in_one_test
from tokenstream.errors import StreamTruncated
from tokenstream.events import Finish, InputTranscript, MessageStart
from tokenstream.limits import Limits


@in_one_test(
    "ends, reason, raw",
    [
        ([GENERATED, DONE], "stop", "generationComplete"),
        ([DONE], "stop", "turnComplete"),
        ([INTERRUPTED, DONE], "cancelled", "interrupted"),
        ([GENERATED, INTERRUPTED, DONE], "cancelled", "interrupted"),
        ([GENERATED], "stop", "generationComplete"),
        (
            [content(turnComplete=True, turnCompleteReason="RESPONSE_REJECTED")],
            "content_filter",
            "RESPONSE_REJECTED",
        ),
        ([content(turnComplete=True, turnCompleteReason="NEED_MORE_INPUT")], "pause", "NEED_MORE_INPUT"),
        (
            [content(turnComplete=True, turnCompleteReason="MALFORMED_FUNCTION_CALL")],
            "error",
            "MALFORMED_FUNCTION_CALL",
        ),
        ([content(turnComplete=True, turnCompleteReason="BORED")], "unknown", "BORED"),
        (
            [content(turnComplete=True, turnCompleteReason="TURN_COMPLETE_REASON_UNSPECIFIED")],
            "stop",
            "turnComplete",
        ),
        ([content(turnComplete=True, interactionStatus="IDLE")], "stop", "turnComplete"),
        (
            [GENERATED, content(turnComplete=True, turnCompleteReason="GENERATED_OTHER")],
            "content_filter",
            "GENERATED_OTHER",
        ),
    ],
)
def test_why_a_turn_ended(ends: list[Payload], reason: str, raw: str) -> None:
    came = read(text("Hi"), *ends)

    assert (came.reason, came.raw_reason) == (reason, raw)
    assert (came.ending, came.departures) == ("complete", {})


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [SETUP],
        [text("Hi")],
        [text("Hi"), content(turnComplete=True, interactionStatus="IN_PROGRESS")],
        [text("Hi"), DONE, text("again")],
        [tool_call({"id": "a", "name": "n"})],
    ],
)
def test_a_connection_that_ends_inside_a_turn_was_cut(payloads: list[Payload]) -> None:
    came = read(*payloads)

    assert isinstance(came.error, StreamTruncated)
    assert came.ending == "truncated"


def test_several_turns_add_up_to_one_message() -> None:
    came = read(text("one"), INTERRUPTED, DONE, text("two"), GENERATED, DONE)
    starts = [one.another for one in came.events if isinstance(one, MessageStart)]

    assert (came.message.text, came.reason, came.departures) == ("onetwo", "stop", {})
    assert starts == [False, True]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["cancelled", "stop"]


@in_one_test("mark", [DONE, GENERATED, content(turnComplete=True, generationComplete=True)])
def test_the_end_of_a_turn_that_comes_again_begins_no_turn(mark: Payload) -> None:
    came = read(tool_call({"id": "a", "name": "n"}), GENERATED, DONE, mark)

    assert ("tool_calls", ["n"]) == (came.reason, [call.name for call in came.calls])
    assert {"finish_repeated": 1} == came.departures


def test_a_list_without_calls_waits_for_no_result() -> None:
    """Some libraries write all fields that a message may have."""
    came = read(text("Hi"), {**DONE, "toolCall": {}})

    assert ("Hi", "stop", None) == (came.message.text, came.reason, came.error)


def test_one_turn_can_be_picked_out() -> None:
    one = GeminiLive().of_answer("").fresh(limits=Limits())
    came = read(text("Hi"), GENERATED, DONE, text("more"), format=one)

    assert (came.format.ended, came.message.text) == (True, "Hi")
    assert came.departures == {"data_after_end": 1}


def test_what_belongs_to_the_session_is_kept_or_carried() -> None:
    came = read(
        {"sessionResumptionUpdate": {"newHandle": "h-1", "resumable": True}},
        content(inputTranscription={"text": "Hello?"}),
        content(interimInputTranscription={"text": "Hel"}),
        {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}},
        text("Hi"),
        content(waitingForInput=True),
        {"goAway": {"timeLeft": "10s"}},
        {"sessionResumptionUpdate": {"newHandle": "h-2", "resumable": True}},
        {"novelty": None},
        DONE,
    )
    unknown = came.unknown

    assert unknown == ["interimInputTranscription", "voiceActivity"]
    assert InputTranscript("Hello?") in came.events
    assert came.data == {
        "sessionResumptionUpdate": {"newHandle": "h-2", "resumable": True},
        "goAway": {"timeLeft": "10s"},
        "waitingForInput": True,
    }


@in_one_test(
    "payload, place",
    [
        (SETUP, (None, False)),
        (text("a"), ("", False)),
        (spoken("a"), ("", False)),
        (tool_call(), ("", False)),
        ({"tool_call": {}}, ("", False)),
        (content(inputTranscription={"text": "a"}), (None, False)),
        (content(turnComplete=False), (None, False)),
        (DONE, ("", True)),
        (content(turnComplete=True, interactionStatus="IN_PROGRESS"), ("", False)),
        ({"serverContent": 7}, (None, False)),
        ({"usageMetadata": {}}, (None, False)),
    ],
)
def test_each_payload_has_its_place(payload: Payload, place: tuple[str | None, bool]) -> None:
    assert GeminiLive().place_of(payload) == place


@pytest.mark.parametrize(
    "payload, known",
    [
        (SETUP, True),
        ({"setup_complete": {}}, True),
        (text("a"), True),
        ({"goAway": {"timeLeft": "1s"}}, True),
        ({"goAway": None}, False),
        ({"type": "x", "toolCall": {}}, False),
        ({"candidates": []}, False),
        ({"usageMetadata": {}}, False),
    ],
)
def test_it_is_known_by_its_fields(payload: Payload, known: bool) -> None:
    """A message has one of a few, and no type."""
    assert GeminiLive.recognises(payload, "") is known
    if known:
        assert registry.detect(payload, "")[0] == "gemini-live"
