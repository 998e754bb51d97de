"""Runs of Mistral's agents, from the events of conversations."""

from __future__ import annotations

from typing import Any

from tests.steps.hosted.support import follow, tree
from tests.steps.told import told
from tests.support.packages import needed
from tests.support.recordings import events_of
from tests.support.tables import in_one_test

HANDOFF = events_of("mistral-conversations/handoff")
CALLS = events_of("mistral-conversations/two_calls")


def test_each_agent_and_each_tool_is_a_step() -> None:
    run = follow(HANDOFF)

    assert tree(run) == [
        (
            "mistral-conversations",
            "done",
            "I will search.",
            [("web_search", "done", "", []), ("rates", "done", "The rate is 2 %.", [])],
        )
    ]
    (turn,) = run.turns
    search, rates = turn.step.steps
    assert (search.result, rates.agent) == ({"count": 2}, "rates")
    assert (turn.result, turn.session, run.session) == ("The rate is 2 %.", "conv_0684", "conv_0684")
    assert run.agent == "mistral-conversations"


def test_tokens_are_counted_once() -> None:
    """Those that the connectors have read are input, too, as the total says."""
    run = follow(HANDOFF)

    (turn,) = run.turns
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (7300, 55)
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (7300, 55)


def test_the_next_response_of_a_conversation_is_the_next_turn() -> None:
    """Calls of your functions are in the answer: you run them, and send the results."""
    run = follow([*CALLS, *HANDOFF])

    first, second = run.turns
    assert first.step.message is not None
    assert [call.name for call in first.step.message.tool_calls] == ["get_rate", "get_date"]
    assert (first.state, second.state, second.result) == ("done", "done", "The rate is 2 %.")


def test_an_error_fails_the_turn_and_keeps_its_text() -> None:
    error = {"type": "conversation.response.error", "message": "slow down", "code": 429}
    run = follow([*HANDOFF[:4], error])

    (turn,) = run.turns
    assert turn.state == "failed"
    assert "slow down" in str(turn.error)
    assert turn.step.text == "I will search."


@in_one_test("length", range(1, len(HANDOFF)))
def test_a_turn_without_its_end_has_failed(length: int) -> None:
    """All that arrived is there; no answer is complete that the end would have completed."""
    run = follow(HANDOFF[:length])

    (turn,) = run.turns
    assert turn.state == "failed"
    assert "without the line that ends a turn" in str(turn.error)
    assert turn.step.text == "".join(event["content"] for event in HANDOFF[2:4] if event in HANDOFF[:length])


def test_the_sdks_objects_are_passed_on_and_read() -> None:
    """Each is an event with a name and its payload."""
    models: Any = needed("mistralai.client").models
    objects = [
        models.ConversationEvents.model_validate({"event": event["type"], "data": event}) for event in HANDOFF
    ]

    assert told(follow(objects))[2:] == told(follow(HANDOFF))[2:]
