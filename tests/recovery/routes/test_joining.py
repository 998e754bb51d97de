"""An answer that breaks off at one provider and goes on at another: exact, or an error with all of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, pieces, read
from tests.recovery.unseen import URLS, payload_of
from tests.support.either import client_in
from tests.support.responses import streamed
from tokenstream import Retry, connect, testing
from tokenstream.events import Restarted, ToolCallDone

APIS = ("openai-chat", "anthropic", "gemini")
FAULTS = ("reset", "early_end", "error_event", "stall")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", [0, 9])
@pytest.mark.parametrize("to", APIS)
@pytest.mark.parametrize("start", APIS)
def test_the_answer_goes_on_at_the_next_provider(start: str, to: str, after: int, fault: str) -> None:
    """Before the first word it is asked for again, after it continued in the turns of the other API."""
    first, second = Provider(start, Behaviour(fault, after), Behaviour(fault)), Provider(to)

    found = read("sync", first, lambda _: Retry(routes=[second.route(name="other")], wait=0))

    assert found.error is None
    assert found.text == found.message.text == TRUTH
    assert found.message.route == "other"
    assert [report.mode for report in found.reports][-1] == ("continue" if after else "restart")
    assert first.open == second.open == 0


def test_the_message_tells_where_another_provider_went_on() -> None:
    first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")

    found = read("sync", first, lambda _: Retry(attempts=1, routes=[second.route()]))

    (join,) = found.message.joined
    assert (found.message.format, join.format) == ("openai-chat", "anthropic")
    assert join.confidence == 1.0
    assert found.message.id != join.id


def test_the_payload_of_a_route_may_depend_on_the_attempt() -> None:
    first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")

    def write(attempt: Any) -> dict[str, Any]:
        return {**second.payload, "system": f"attempt {attempt.number}, {attempt.mode}"}

    route = second.route()
    route.json = write
    found = read("sync", first, lambda _: Retry(attempts=1, routes=[route]))

    assert found.text == TRUTH
    (payload,) = second.payloads
    assert payload["system"] == "attempt 2, continue"
    assert [turn["role"] for turn in payload["messages"]] == ["user", "assistant", "user"]


def test_a_request_whose_api_is_not_known_does_not_continue_an_answer() -> None:
    """A payload in the shape of one API is never taken for another's; the error says what to write."""
    first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")
    second.url = "https://claude.test/ask"

    found = read("sync", first, lambda _: Retry(attempts=1, routes=[second.route(name="claude")]))

    assert found.error is not None
    assert any("the API of claude is not known" in note for note in found.error.__notes__)
    assert second.requests == []


def test_a_named_format_tells_the_shape_of_the_request() -> None:
    first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")
    second.url = "https://claude.test/ask"

    found = read("sync", first, lambda _: Retry(attempts=1, routes=[second.route(format="anthropic")]))

    assert found.text == TRUTH


@pytest.mark.parametrize("to", APIS)
@pytest.mark.parametrize("start", APIS)
def test_an_answer_of_nothing_but_a_cut_call_is_asked_for_again(start: str, to: str) -> None:
    """No call was handed out, and no text shown; a loop over events that began one is told `Restarted`."""
    whole = testing.script().tool_call("remove", {"path": "/tmp/x", "deep": True}, id="call_1")
    body = b"".join(whole.finish("tool_calls").chunks(start))
    for view in ("tool_calls", "events"):
        second = Provider(to, Behaviour(script=whole.finish("tool_calls")))
        client = client_in("sync", lambda _: streamed([body[: body.index(b"/tmp") + 3]]))
        options: Any = {"client": client, "retry": Retry(attempts=1, routes=[second.route()], wait=0)}
        with connect(URLS[start], json=payload_of(start), **options) as stream:
            items: list[Any] = list(stream if view == "events" else stream.tool_calls)

        told: list[Any] = [event for event in items if isinstance(event, Restarted | ToolCallDone)]
        if view == "events":
            # Gemini sends a call as a whole.
            assert [type(each) for each in told] == [*[Restarted] * (start != "gemini"), ToolCallDone]
        calls = [told[-1].call] if told else items
        assert [call.arguments for call in calls] == [{"path": "/tmp/x", "deep": True}]
        assert stream.message.complete


def test_reasoning_that_one_provider_has_signed_is_not_sent_to_another() -> None:
    script = testing.script().reasoning("Rivers flow.", signature="c2ln").text(*pieces(TRUTH))
    first = Provider("anthropic", Behaviour("early_end", 9, script=script.finish()))
    second = Provider("openai-chat")

    found = read("sync", first, lambda _: Retry(attempts=1, routes=[second.route()]))

    assert found.text == TRUTH
    assert found.message.reasoning == "Rivers flow."
    assert found.reports[-1].left_out == ("reasoning",)
    (payload,) = second.payloads
    assert "Rivers flow" not in str(payload)


def test_the_next_request_sends_each_provider_only_what_it_has_signed() -> None:
    """The answer of two providers becomes a turn of either without the reasoning of the other."""
    first = Provider("openai-chat", Behaviour("early_end", 9))
    rest = testing.script().text(*_rest()).reasoning("I go on.", signature="c2ln").text(" The end.")
    second = Provider("anthropic", Behaviour(script=rest.finish()))

    found = read("sync", first, lambda _: Retry(attempts=1, routes=[second.route()]))

    assert found.text == f"{TRUTH} The end."
    assert "I go on." in str(found.message.to_anthropic())
    assert "I go on." not in str(found.message.to_openai_chat(drop="all"))


def _rest() -> list[str]:
    """Return what a model writes that is asked to go on after nine words."""
    before = "".join(pieces(TRUTH)[:9])
    return [TRUTH[len(before) - 40 : len(before)], TRUTH[len(before) :]]
