"""Sessions of OpenAI's hosted agents: turns, items, subagents, and events that come again."""

from __future__ import annotations

import itertools
import random
from typing import Any, get_args

import pytest

from tests.formats.told import Told, adds_up, responses_of, tell
from tests.support.formats import OpenAIAgents
from tests.support.packages import needed
from tests.support.recordings import events_of, ours
from tokenstream import Stream
from tokenstream.errors import ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import PartDelta

RECORDED = {each.name: each.body for each in ours() if each.format == "openai-agents"}
TEXT, SUBAGENTS, TWO_TURNS = (
    events_of(f"openai-agents/{name}") for name in ("text", "subagents", "two_turns")
)
_NUMBERS = itertools.count(1)


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event with an id of its own."""
    return {"type": f"agent.session.{kind}", "event_id": f"evt_{next(_NUMBERS)}", "session_id": "s", **fields}


def turn(word: str, id: str = "t", **fields: Any) -> dict[str, Any]:
    """Return an event about a turn as a whole."""
    usage = {key: fields.pop(key) for key in ("usage",) if key in fields}
    return event(
        f"turn.{word}", turn_id=id, turn={"id": id, "subagent_id": None, "error": None, **fields}, **usage
    )


def piece(delta: Any, item: str = "i", turn_id: str = "t", index: int = 0) -> dict[str, Any]:
    """Return a piece of text."""
    return event(
        "turn.output_text.delta",
        turn_id=turn_id,
        item_id=item,
        output_index=0,
        content_index=index,
        delta=delta,
    )


def item(word: str, turn_id: str = "t", **fields: Any) -> dict[str, Any]:
    """Return the start or the end of an item."""
    return event(f"turn.item.{word}", turn_id=turn_id, item={"turn_id": turn_id, **fields}, output_index=0)


def message(text: str, id: str = "i") -> dict[str, Any]:
    """Return a whole message of the agent."""
    content = [{"type": "output_text", "text": text}]
    return {"id": id, "type": "message", "role": "assistant", "content": content, "status": "completed"}


def session(status: str, **fields: Any) -> dict[str, Any]:
    """Return an event about the session."""
    return event(status, session={"id": "s", "status": status, "agent": {"model": "m"}, **fields})


def read(*frames: Any, **options: Any) -> Told:
    return tell(OpenAIAgents(**options), *frames)


def test_a_turn_is_an_answer() -> None:
    """Its id is that of the turn, and the model that of the session."""
    told = read(
        session("idle"),
        turn("created"),
        piece("Hel"),
        piece("lo"),
        turn("completed", usage={"input_tokens": 9, "output_tokens": 2}),
        session("idle"),
    )

    assert ("Hello", "t", "m") == (told.message.text, told.message.id, told.message.model)
    assert ("stop", "completed") == (told.message.finish_reason, told.message.raw_finish_reason)
    assert (9, 2) == (told.message.usage.input_tokens, told.message.usage.output_tokens)
    assert (set(), None) == (told.rules, told.error)


def test_each_turn_is_a_response_of_the_session() -> None:
    """They come one after the other on one connection, which stays open between them."""
    first, second = responses_of(*TWO_TURNS)

    assert ("turn_1", "It rains.", "stop", 10) == (
        first.id,
        first.text,
        first.finish_reason,
        first.usage.output_tokens,
    )
    assert [("get_weather", {"city": "Reykjavík"})] == [(c.name, c.arguments) for c in first.tool_calls]
    assert ("turn_2", "Bye.", 4) == (second.id, second.text, second.usage.output_tokens)
    assert ["gpt-5.5", "gpt-5.5"] == [first.model, second.model]


def test_a_call_is_handed_out_while_the_turn_waits_for_it() -> None:
    """The turn then goes on, so its end is no call for a tool."""
    stream = Stream(list(TWO_TURNS))
    for call in stream.tool_calls:
        assert "get_weather" == call.name
        assert stream.message.finish_reason is None
    assert "stop" == stream.message.finish_reason


def test_a_call_that_only_the_session_tells_is_handed_out() -> None:
    """It is once; the item that may follow is the same call."""
    action = {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}, "turn_id": "t"}
    whole = item("done", id="fc", type="function_call", call_id="c", name="f", arguments={"a": 1})
    told = read(
        turn("created"), session("requires_action", required_actions=[action]), whole, turn("completed")
    )

    assert [("c", {"a": 1})] == [(call.id, call.arguments) for call in told.calls]


def test_a_call_that_was_cut_off_is_not_handed_out() -> None:
    call = {"id": "fc", "type": "function_call", "call_id": "c", "name": "f", "status": "incomplete"}
    told = read(turn("created"), item("done", **call, arguments={}), turn("cancelled"))

    assert [] == told.calls
    assert ("cancelled", "cancelled") == (told.message.finish_reason, told.message.raw_finish_reason)


def test_texts_of_other_agents_are_not_in_the_answer() -> None:
    """A subagent has turns of its own; its call for your function is handed out all the same."""
    (message,) = responses_of(*SUBAGENTS)

    assert "I will ask.The answer is 42." == message.text
    (call,) = message.tool_calls
    assert ("lookup", {"turn_id": "turn_2"}) == (call.name, call.provider_data)
    assert message.parts == read(*SUBAGENTS).message.parts
    assert 40 == message.usage.output_tokens


def test_a_subagents_turn_can_be_read_by_its_id() -> None:
    """That is how a run reads it."""
    told = read(*SUBAGENTS, answer="turn_2")

    assert ("turn_2", "It is 42.") == (told.message.id, told.message.text)


def test_a_command_has_its_output_while_it_runs() -> None:
    """At the end, the result has the whole output and the exit code."""
    stream = Stream(list(TEXT))
    seen = [event.fragment for event in stream if isinstance(event, PartDelta)]

    assert ['{"command": "pytest -q", "cwd": "/workspace"}', "1 passed", "\n"] == seen
    result: Any = next(part for part in stream.message.parts if part.kind == "server_tool_result")
    assert {"output": "1 passed\n", "exit_code": 0} == result.content


def test_whole_items_are_enough() -> None:
    """A connection may begin in the middle, and deltas may be missing: the rest of the text is added."""
    whole = [item("done", **message("Hello")), item("done", **message("!", "j"))]
    told = read(piece("Hel"), *whole, turn("completed"))

    assert ["Hel", "lo", "!"] == told.texts
    assert {"start_missing", "text_completed"} == told.rules


def test_a_text_that_differs_from_its_pieces_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="differs from its deltas"):
        Stream([turn("created"), piece("Help"), item("done", **message("Hello"))]).final()


def test_pieces_after_the_whole_text_are_no_new_text() -> None:
    """Events may come out of order when a connection is taken up again."""
    told = read(turn("created"), item("done", **message("Hello")), piece("Hello"), turn("completed"))

    assert ("Hello", {"content_twice"}) == (told.message.text, told.rules)


def test_content_of_unknown_kinds_is_carried() -> None:
    """Items and events that are new, and items that the agent only gets."""
    told = read(
        turn("created"),
        item("done", id="x", type="weather_report", sky="blue"),
        item("added", id="u", type="message", role="user", content=[]),
        event("weather.changed"),
        event("environment.ready", environment={}),
        turn("completed"),
    )

    assert ["opaque"] == told.kinds
    names = ["turn.item.added", "weather.changed", "environment.ready"]
    assert [f"agent.session.{name}" for name in names] == told.unknown


def test_a_failed_turn_is_an_error_with_its_code() -> None:
    """The next turn of the session is not affected."""
    failed = turn("failed", error={"code": "server_overloaded", "message": "busy"})
    told = read(turn("created"), piece("Hel"), failed)

    assert isinstance(told.error, ProviderError)
    assert ("server_overloaded", "overloaded", True) == (
        told.error.code,
        told.error.kind,
        told.error.retryable,
    )
    later = [turn("created", "t2"), piece("Bye", "j", "t2"), turn("completed", "t2")]
    assert ["failed", "complete"] == [each.ending for each in responses_of(turn("created"), failed, *later)]
    assert read(turn("created"), failed, *later).error is None


def test_an_error_event_ends_neither_turn_nor_session() -> None:
    """It is the error if the connection then ends."""
    error = {"type": "error", "event_id": "e", "session_id": "s", "error": {"type": "x", "message": "oh"}}
    told = read(turn("created"), error, piece("a"), turn("completed"))

    assert (None, ["error"]) == (told.error, told.unknown)
    assert "oh" in str(read(turn("created"), error).error)


def test_a_session_that_fails_ends_its_turn() -> None:
    told = read(turn("created"), piece("a"), session("failed", error="the sandbox is gone"))

    assert "the sandbox is gone" in str(told.error)
    assert ["failed"] == [
        each.ending for each in responses_of(turn("created"), piece("a"), session("failed", error="x"))
    ]


def test_silence_is_no_stall_while_the_agent_waits() -> None:
    """Between turns, and while a tool of yours runs."""
    known = OpenAIAgents()
    rests = [known.resting]
    for each in TWO_TURNS:
        known.feed(each)
        rests.append(known.resting)

    assert [True, True, False] == rests[:3]
    pairs = zip(TWO_TURNS, rests[1:], strict=True)
    waits = [rest for each, rest in pairs if "requires_action" in each["type"]]
    assert [True] == waits
    assert rests[-1]


def test_events_without_a_turn_belong_to_the_one_in_progress() -> None:
    frames = [turn("created"), *[{**piece(text), "turn_id": None} for text in "ab"], turn("completed")]

    assert "ab" == read(*frames).message.text
    assert ["ab"] == [each.text for each in responses_of(*frames)]


def test_obfuscation_is_left_out() -> None:
    told = read(*TEXT)

    assert "obfuscation" not in told.message.provider_data
    assert set() == told.rules


# -- identity --------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("seed", range(8))
def test_events_that_come_again_change_nothing(name: str, seed: int) -> None:
    """At once or later, as when a connection is taken up again: they have ids."""
    events, source = events_of(name), random.Random(seed)
    doubled: list[Any] = []
    for each in events:
        doubled += [each, *source.sample(doubled, min(len(doubled), 2)), each]
    once, again = read(*events), read(*doubled)

    assert once.message == again.message
    assert once.texts == again.texts
    assert {"frame_repeated"} == again.rules - once.rules
    assert [message.parts for message in responses_of(*events)] == [
        message.parts for message in responses_of(*[each for each in events for _ in range(2)])
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_items_in_any_order_lose_and_double_no_text(name: str) -> None:
    """Whole items decide; pieces that come after them are repetitions."""
    events = [each for each in events_of(name) if not each["type"].endswith(".delta")]
    whole = sorted(read(*events).message.text)
    for seed in range(20):
        middle = [each for each in events if ".item.done" in each["type"] and each["turn_id"] == "turn_1"]
        random.Random(seed).shuffle(middle)
        told = read(turn("created", "turn_1"), *middle, turn("completed", "turn_1"))
        adds_up(told)
        assert len(told.message.text) <= len(whole)
        assert set() == told.rules


@pytest.mark.parametrize("name", RECORDED)
def test_a_turn_is_truncated_wherever_it_breaks_off(name: str) -> None:
    """Only between turns may the connection end."""
    events = events_of(name)
    is_open, begun = False, False
    for length, each in enumerate(events):
        told = read(*events[:length])
        adds_up(told)
        assert isinstance(told.error, StreamTruncated) is (is_open or not begun)
        if each["type"].startswith("agent.session.turn.") and not each.get("turn", {}).get("subagent_id"):
            word = each["type"].rpartition(".")[2]
            is_open = {"created": True, "completed": False}.get(word, is_open)
            begun = begun or is_open


@pytest.mark.slow_rows("agents/subagents")
@pytest.mark.parametrize("name", RECORDED)
def test_the_sdks_objects_are_read_like_their_bytes(name: str) -> None:
    """They are those of a raw subscription to a session's events."""
    module: Any = needed("openai.types.beta.agent_session_event")
    union, _ = get_args(module.AgentSessionEvent)
    models = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}
    objects = [models[each["type"]].model_validate(each) for each in events_of(name)]
    assert "AgentSessionTurnCompletedEvent" in {type(each).__name__ for each in objects}

    stream = Stream(objects)
    assert Stream([RECORDED[name]]).final() == stream.final()
    assert "openai-agents" == stream.format


def test_a_call_that_the_session_waits_for_has_the_arguments_that_it_tells() -> None:
    """The end of the call's item was lost; its start has an empty object in place of the arguments."""
    events = events_of("openai-agents/two_turns")
    whole = [call.arguments for call in Stream(events).tool_calls]
    lost = next(
        place
        for place, event in enumerate(events)
        if event["type"].endswith("item.done") and event["item"]["type"] == "function_call"
    )

    assert whole == [call.arguments for call in Stream(events[:lost] + events[lost + 1 :]).tool_calls] != []
