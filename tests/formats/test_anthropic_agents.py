"""Sessions of Anthropic's Managed Agents: messages and their previews, tools, and events that come again."""

from __future__ import annotations

import itertools
import random
from typing import Any, get_args

import pytest

from tests.formats.told import Told, adds_up, responses_of, tell
from tests.support.formats import AnthropicAgents
from tests.support.packages import needed
from tests.support.recordings import events_of, ours
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import StreamTruncated

RECORDED = {each.name: each.body for each in ours() if each.format == "anthropic-agents"}
TOOLS, CUSTOM_TOOL, THREADS = (
    events_of(f"anthropic-agents/{name}") for name in ("tools", "custom_tool", "threads")
)
_NUMBERS = itertools.count(1)


def event(kind: str, id: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": id or f"e{next(_NUMBERS)}", "type": kind, "processed_at": "2026-11-20T10:00:00Z", **fields}


def message(*texts: str, id: str = "m") -> dict[str, Any]:
    return event("agent.message", id, content=[{"type": "text", "text": text} for text in texts])


def preview(text: Any, id: str = "m", index: int | None = 0) -> dict[str, Any]:
    content = {"type": "text", "text": text}
    delta = {"type": "content_delta", "index": index, "content": content}
    return {"type": "event_delta", "event_id": id, "delta": delta}


def begun(id: str = "m") -> dict[str, Any]:
    return {"type": "event_start", "event": {"id": id, "type": "agent.message"}}


def running() -> dict[str, Any]:
    return event("session.status_running")


def idle(word: str = "end_turn", **fields: Any) -> dict[str, Any]:
    return event("session.status_idle", stop_reason={"type": word, **fields}, stop_details=None)


def spent(output: int) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 5}
    return event("span.model_request_end", model_request_start_id="r", model_usage=usage)


def failure(kind: str, word: str = "retrying") -> dict[str, Any]:
    error = {"type": kind, "message": "oh no", "retry_status": {"type": word}}
    return event("session.error", error=error)


def read(*frames: Any, **options: Any) -> Told:
    return tell(AnthropicAgents(**options), *frames)


def test_an_answer_lasts_until_the_session_is_idle() -> None:
    told = read(running(), message("Hel"), spent(2), message("lo", id="m2"), spent(3), idle())

    assert ["Hel", "lo"] == told.texts
    assert ("stop", "end_turn") == (told.reason, told.raw_reason)
    usage = told.message.usage
    assert (20, 5, 10) == (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    assert (set(), None) == (told.rules, told.error)


def test_a_message_adds_what_its_preview_lacks() -> None:
    """Previews may stop early; a message without a preview comes whole."""
    told = read(
        running(), begun(), preview("Hel"), preview("l"), message("Hello"), message("!", id="n"), idle()
    )

    assert ["Hel", "l", "o", "!"] == told.texts
    assert ["text", "text"] == told.kinds
    assert set() == told.rules


def test_a_message_replaces_a_preview_that_differs() -> None:
    """Text that was shown cannot be taken back, but the part ends with the right text."""
    told = read(running(), begun(), preview("Help"), preview("x", index=1), message("Hello"), idle())

    assert "Hello" == told.message.text
    assert {"text_rewritten"} == told.rules
    stream = Stream([running(), begun(), preview("Help"), message("Hello"), idle()])
    assert "Hello" == stream.final().text


def test_each_block_of_a_message_has_its_preview() -> None:
    frames = [preview("a"), preview("b", index=1), preview("A", index=None), message("aA", "bB")]
    told = read(running(), begun(), *frames, idle())

    assert ["aA", "bB"] == [getattr(part, "text", None) for part in told.parts]
    assert set() == told.rules


def test_a_preview_whose_message_does_not_come_is_kept() -> None:
    """The end of the request to the model closes it, and the next request begins another message."""
    told = read(running(), begun(), preview("Hel"), spent(1), message("Bye", id="n"), idle())

    assert [("Hel", True), ("Bye", True)] == [
        (getattr(part, "text", None), getattr(part, "complete", None)) for part in told.parts
    ]


def test_a_preview_after_its_message_is_dropped() -> None:
    told = read(running(), message("Hello"), begun(), preview("Hello"), idle())

    assert ("Hello", {"content_twice"}) == (told.message.text, told.rules)


def test_the_agents_own_tools_have_results() -> None:
    told = read(*TOOLS)
    parts: list[Any] = [part for part in told.parts if part.kind.startswith("server")]

    assert [("use_1", "bash"), ("use_2", "bash")] == [(part.id, part.name) for part in parts[:2]]
    assert [("use_1", None), ("use_2", {"is_error": True})] == [
        (part.id, part.provider_data) for part in parts[2:]
    ]
    assert "I will run two commands.One passed, one failed." == told.message.text


def test_a_tool_of_the_application_ends_the_answer() -> None:
    """The result that you send begins another answer."""
    first, second = responses_of(*CUSTOM_TOOL)

    assert ("tool_calls", "requires_action") == (first.finish_reason, first.raw_finish_reason)
    assert [("use_1", "get_weather", {"city": "Reykjavík"})] == [
        (call.id, call.name, call.arguments) for call in first.tool_calls
    ]
    assert ["use_1"] == first.provider_data["stop_reason.event_ids"]
    assert ("It rains.", "stop", 4) == (second.text, second.finish_reason, second.usage.output_tokens)


def test_other_agents_are_not_in_the_answer_but_their_calls_are() -> None:
    told = read(*THREADS)

    assert "I will ask.The answer is 42." == told.message.text
    assert [("lookup", {"session_thread_id": "sthr_1"})] == [
        (call.name, call.provider_data) for call in told.calls
    ]
    assert "stop" == told.reason


@pytest.mark.parametrize(
    ("word", "expected"), [("budget_reached", "length"), ("refusal", "refusal"), ("moon", "unknown")]
)
def test_reasons_are_reported_in_our_words_and_anthropics(word: str, expected: str) -> None:
    told = read(running(), message("a"), idle(word))

    assert (expected, word) == (told.reason, told.raw_reason)
    assert told.error is None


def test_a_refusal_has_its_explanation() -> None:
    end = {**idle("refusal"), "stop_details": {"type": "refusal", "explanation": "no", "category": "bio"}}
    told = read(running(), end)

    assert "no" == told.message.finish_message


def test_an_error_that_the_agent_retries_is_none() -> None:
    """Only exhausted retries, or the end of the session or of the connection, make it one."""
    error = failure("model_overloaded_error")

    assert read(running(), error, message("a"), idle()).error is None
    for end in ([idle("retries_exhausted")], [event("session.status_terminated")], []):
        told = read(running(), error, *end)
        assert ("overloaded", True) == (told.failure.kind, told.failure.retryable)
        assert "oh no" in str(told.failure)


def test_an_answer_that_failed_does_not_end_the_session() -> None:
    error = failure("model_rate_limited_error", "exhausted")
    events = [running(), error, idle("retries_exhausted"), running(), message("Bye"), idle()]

    assert ["failed", "complete"] == [each.ending for each in responses_of(*events)]
    assert read(*events).error is None


def test_being_idle_without_an_answer_is_only_news() -> None:
    """A session may be idle before its first answer, and say so again."""
    told = read(idle(), running(), message("a"), idle(), idle("requires_action", event_ids=["x"]))

    assert (["session.status_idle"] * 2, "stop") == (told.unknown, told.reason)
    assert ["a"] == [each.text for each in responses_of(idle(), running(), message("a"), idle(), idle())]


def test_silence_is_no_stall_while_the_session_is_idle() -> None:
    known = AnthropicAgents()
    rests = [known.resting]
    for each in (running(), idle("requires_action", event_ids=["x"])):
        known.feed(each)
        rests.append(known.resting)

    assert [True, False, True] == rests


# -- identity --------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("seed", range(8))
def test_events_that_come_again_change_nothing(name: str, seed: int) -> None:
    """At once or later, as from the list of a session's events: previews are never in it."""
    events, source = events_of(name), random.Random(seed)
    doubled: list[Any] = []
    for each in events:
        kept = [other for other in doubled if "id" in other]
        doubled += [each, *source.sample(kept, min(len(kept), 2)), *([each] if "id" in each else [])]
    once, again = read(*events), read(*doubled)

    assert once.message == again.message
    assert once.texts == again.texts
    assert {"frame_repeated"} == again.rules - once.rules
    assert [(each.text, each.finish_reason, each.usage) for each in responses_of(*events)] == [
        (each.text, each.finish_reason, each.usage) for each in responses_of(*doubled)
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_an_answer_is_truncated_wherever_it_breaks_off(name: str) -> None:
    """Only while the session is idle may the connection end."""
    events = events_of(name)
    is_open, begun = False, False
    for length, each in enumerate(events):
        told = read(*events[:length])
        adds_up(told)
        assert isinstance(told.error, StreamTruncated) is (is_open or not begun)
        is_open = {"session.status_running": True, "session.status_idle": False}.get(each["type"], is_open)
        begun = begun or is_open


@in_one_test("seed", range(20))
def test_previews_in_any_order_add_up_to_their_message(seed: int) -> None:
    """The message decides, wherever it comes."""
    frames = [begun(), preview("Hel"), preview("lo"), message("Hello"), message("!", id="n"), spent(2)]
    random.Random(seed).shuffle(frames)
    told = read(running(), *frames, idle())

    assert sorted("Hello!") == sorted(told.message.text)
    assert told.error is None


@pytest.mark.parametrize("name", RECORDED)
def test_the_sdks_objects_are_read_like_their_bytes(name: str) -> None:
    module: Any = needed("anthropic.types.beta.sessions.beta_managed_agents_stream_session_events")
    union, _ = get_args(module.BetaManagedAgentsStreamSessionEvents)
    models = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}
    stream = Stream([models[each["type"]].model_validate(each) for each in events_of(name)])

    assert Stream([RECORDED[name]]).final() == stream.final()
    assert "anthropic-agents" == stream.format
