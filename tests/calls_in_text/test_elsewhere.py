"""Calls of a text go everywhere like those of the API: to tools, pages, turns, attempts and recordings."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from tests.calls_in_text.support import BARE, WRITERS, make_call
from tests.calls_in_text.test_streams import HERMES, body, look
from tests.recovery.routes.providers import Behaviour, Provider
from tests.session.servers import LiveServer, RealtimeServer, ResponsesServer, Server, serving
from tests.session.talks import COLOURS, talking
from tokenstream import (
    MisuseError,
    Retry,
    Route,
    Router,
    Stream,
    Tools,
    aconnect,
    connect,
    resilient,
    testing,
)
from tokenstream.errors import StreamError
from tokenstream.message import Message, TextPart
from tokenstream.recovery._never import reason_against
from tokenstream.relay import encode

TEXT = f"Let me look. {HERMES}"


def test_a_router_runs_the_calls_of_a_text() -> None:
    """And its results go back to the model in the turns of the API."""
    with Stream(body(TEXT), tool_tags=True) as stream:
        results = stream.run(Router(Tools(look)))
    turns = [stream.message.to_openai_chat(), *results.to_openai_chat()]

    assert ["call_0"] == [call["id"] for call in turns[0]["tool_calls"]]
    assert "Let me look. " == turns[0]["content"]
    assert [("call_0", "x0")] == [(turn["tool_call_id"], turn["content"]) for turn in turns[1:]]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic", "ui-message", "ag-ui", "tokenstream"])
def test_a_page_sees_a_call_and_no_markup(protocol: Any) -> None:
    """In every protocol that has calls; another reader makes the same message of it."""
    with Stream(body(TEXT), tool_tags=True) as stream:
        sent = b"".join(encode(stream, protocol))
    read = Stream([sent], format=protocol).final()

    assert b"tool_call>" not in sent
    assert [{"at": "x"}] == [call.arguments for call in read.tool_calls]
    assert "Let me look. " == read.text


@pytest.mark.parametrize("size", [5, 16, 40, 60, len(TEXT) - 3])
def test_another_attempt_begins_the_call_anew(size: int) -> None:
    """Whatever was cut off is discarded; each call is handed out once."""
    bodies = [body(TEXT[:size], None), body(TEXT)]
    with resilient(lambda: bodies.pop(0), Retry(mode="restart", wait=0), tool_tags=True) as stream:
        called = [call.name for call in stream.validated_calls(look)]

    assert ["look"] == called
    assert [{"at": "x"}] == [call.arguments for call in stream.message.tool_calls]


@pytest.mark.parametrize("written", [each for each in WRITERS if WRITERS[each][0] not in BARE | {"gemma"}])
def test_a_call_in_the_text_is_not_continued_as_text(written: str) -> None:
    """Also if it is not read, from its first characters on: a model would go on within the markup."""
    _, write = WRITERS[written]
    markup = write([make_call(random.Random(written))])
    for size in range(2, len(markup), 1 + len(markup) // 40):
        assert "it has a call in its text" == reason_for("Hm. " + markup[:size]), markup[:size]
    assert "it has a call in its text" == reason_for(f"Hm.\n{markup}\nSo")


@pytest.mark.parametrize(
    "text", ["Hm, so", "a < b, and", "See [", "`<tool_call>` is how", "```xml\n<tool_c", "<b>No", "a <table"]
)
def test_other_text_is_continued(text: str) -> None:
    """As is a text about the markup."""
    assert reason_for(text) is None


def reason_for(text: str) -> str | None:
    return reason_against([Message(parts=(TextPart(text=text),))], StreamError("cut"), prefill=True)


def test_a_recording_takes_the_option() -> None:
    """For tests of an application that reads such a server."""
    script = testing.script().text("So: ", HERMES).finish("stop")
    with Stream(script.chunks("ollama"), tool_tags="hermes") as stream:
        message = stream.final()

    assert [{"at": "x"}] == [call.arguments for call in message.tool_calls]
    assert message == Message.model_validate_json(message.model_dump_json())


@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_session_takes_the_option(colour: str, server: type[Server]) -> None:
    """For each of its answers; the tools of the session tell which names are calls."""
    for tools, expected in (([look], 1), ([other], 0)):
        with serving(server()) as url, talking(colour, url, tool_tags=True, tools=Tools(*tools)) as talk:
            answers = [talk.ask(question) for question in (HERMES, "Thanks.")]

        assert [expected] * 2 == [len(each.message.tool_calls) for each in answers]
        assert all(("tool_call>" in each.text) is (not expected) for each in answers)


def other() -> str:
    """Return nothing."""
    return ""


def asked(route: Route, *, is_async: bool, **options: Any) -> Message:
    """Return the whole answer of a route."""

    async def ask() -> Message:
        async with aconnect(route, **options) as stream:
            return await stream.final()

    if is_async:
        return anyio.run(ask)
    with connect(route, **options) as stream:
        return stream.final()


LEAKING = Behaviour(script=testing.script().text("Hm. ", HERMES).finish("stop"))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_route_has_dialects_of_its_own(*, is_async: bool) -> None:
    """Each model writes its own markup; without an option of the route, that of the stream counts."""
    for options, own, calls in (
        ({}, "hermes", 1),
        ({}, None, 0),
        ({"tool_tags": True}, None, 1),
        ({"tool_tags": True}, (), 0),
        ({"tool_tags": "kimi"}, "hermes", 1),
    ):
        route = Provider("openai-chat", LEAKING).route(is_async=is_async, tool_tags=own)
        message = asked(route, is_async=is_async, **options)

        assert calls == len(message.tool_calls)


@pytest.mark.parametrize(("is_async", "hedge_after"), [(False, None), (True, None), (True, 0.01)])
def test_another_route_is_read_in_its_own_dialect(*, is_async: bool, hedge_after: float | None) -> None:
    """Also if it wins a race; tags of reasoning stay those of the stream."""
    first, second = Provider("openai-chat", Behaviour("status")), Provider("anthropic")
    first.delay = 0.0 if hedge_after is None else 60.0
    second.add(Behaviour(script=testing.script().text("<think>Hm</think>", HERMES).finish("stop")))
    one, other = [
        each.route(is_async=is_async, tool_tags=own, attempts=1)
        for each, own in ((first, ()), (second, "hermes"))
    ]
    retry = Retry(routes=[other], wait=0, hedge_after=hedge_after)
    message = asked(one, is_async=is_async, retry=retry, reasoning_tags=True)

    assert ("Hm", ["look"]) == (message.reasoning, [call.name for call in message.tool_calls])


def test_a_route_refuses_what_is_no_dialect() -> None:
    """When it is made, and not when it is asked."""
    with pytest.raises(MisuseError, match="the dialects are"):
        Provider("openai-chat").route(tool_tags="nonsense")
