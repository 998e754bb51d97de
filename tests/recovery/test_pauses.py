"""A provider pauses an answer, and the stream goes on by itself: one answer, as if it had not paused."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from tests.recovery.attempts import Played, in_each_world
from tests.recovery.paused import (
    ASKED,
    BLOCKS,
    LEGS,
    QUESTION,
    TEXT,
    TOOLS,
    end_of,
    leg,
    number_asked,
    raw_end_of,
)
from tests.support import wire
from tests.support.either import client_in, connect_in, read_all
from tests.support.packages import needed
from tests.support.responses import streamed
from tokenstream import Retry, Stream, connect, resilient, testing
from tokenstream.errors import StatusError, StreamError
from tokenstream.events import Finish, MessageStart, Resumed

GO_ON = Retry(attempts=9, pauses=8)
URL = "https://api.anthropic.com/v1/messages"
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "Oslo"}}
LEG_WITH_CALL = leg(2, [*BLOCKS[1][:1], CALL], "tool_use")


class Server:
    """Sends the leg that a request asks for, and keeps the requests."""

    def __init__(self, legs: list[list[bytes]] = LEGS) -> None:
        self.asked: list[dict[str, Any]] = []
        self._legs = legs

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Response(200, content=request.content).json()
        self.asked.append(asked)
        return streamed(self._legs[number_asked(asked)])

    def ask(self, world: str, retry: Retry, url: str = URL, **asked: Any) -> Played:
        options: dict[str, Any] = {"json": {**ASKED, **asked}, "retry": retry}
        events, stream, error = read_all(
            world, lambda: connect_in(world)(url, client=client_in(world, self), **options)
        )
        assert error is None
        return Played(events, stream.message, reports=stream.attempts)


@in_each_world
def test_a_paused_answer_goes_on_by_itself(world: str) -> None:
    """The loop sees one answer: one head, one end, and of the pauses only where they were."""
    played = Server().ask(world, GO_ON)

    counts = Counter(type(event) for event in played.given)
    assert (1, 1, 2) == (counts[MessageStart], counts[Finish], counts[Resumed])
    assert ["pause"] * 2 == [event.mode for event in played.given if isinstance(event, Resumed)]
    assert (TEXT, "stop", "complete") == end_of(played.message)
    assert "msg_1" == played.message.id
    assert [*range(8)] == sorted({event.part for event in played.given} - {None})


@in_each_world
def test_without_pauses_a_pause_ends_the_answer(world: str) -> None:
    for retry in (Retry(), Retry(attempts=5)):
        server = Server()
        played = server.ask(world, retry)

        assert ("pause", "pause_turn") == raw_end_of(played.message)
        assert ("complete", 1) == (played.message.ending, len(server.asked))


@pytest.mark.parametrize("more", [{}, {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}])
def test_the_next_request_sends_the_answer_back_unchanged(more: dict[str, Any]) -> None:
    """Byte for byte: signatures, encrypted data, calls of server tools; the container keeps its skills."""
    server = Server()
    server.ask("sync", GO_ON, **more)

    first, second, third = server.asked
    assert {**ASKED, **more} == first
    assert [QUESTION, {"role": "assistant", "content": BLOCKS[0]}] == second["messages"]
    assert [QUESTION, {"role": "assistant", "content": [*BLOCKS[0], *BLOCKS[1]]}] == third["messages"]
    container = {**more["container"], "id": "container_011C"} if more else "container_011C"
    for later in (second, third):
        assert {**ASKED, "messages": later["messages"], "container": container} == later


def ask(server: Any, retry: Retry = GO_ON, **options: Any) -> Stream:
    """Ask a server for the research, of which nothing is read yet."""
    client = httpx.Client(transport=httpx.MockTransport(server))
    return connect(URL, json=ASKED, client=client, retry=retry, **options)


def read(retry: Retry, server: Server) -> Any:
    """Read the research to its end; return the stream."""
    with ask(server, retry) as stream:
        stream.final()
    return stream


def test_the_legs_are_reported() -> None:
    stream = read(GO_ON, Server())

    assert [("msg_1", "pause_turn", 0, 3), ("msg_2", "pause_turn", 3, 3), ("msg_3", "end_turn", 6, 2)] == [
        (leg.id, leg.reason, leg.first_part, leg.parts) for leg in stream.pauses
    ]
    assert stream.message.usage.output_tokens == sum(leg.usage.output_tokens for leg in stream.pauses)
    assert ["msg_2", "msg_3"] == [join.id for join in stream.message.joined]
    assert {None} == {leg.why for leg in stream.pauses}


CALLED = leg(1, [*BLOCKS[0], CALL], "pause_turn")
ENDS: list[tuple[Retry, list[list[bytes]], int, str]] = [
    (Retry(attempts=2, pauses=1), LEGS, 2, "pauses=1 is used up"),
    (GO_ON, [LEGS[0], leg(2, [], "pause_turn")], 2, "it has brought nothing since the last request"),
    (GO_ON, [CALLED], 1, "results"),
]
"""Options, legs, the number of requests, and why the answer did not go on."""


@pytest.mark.parametrize(("retry", "legs", "asked", "why"), ENDS, ids=["too many", "nothing", "a call"])
def test_a_pause_ends_the_answer(retry: Retry, legs: list[list[bytes]], asked: int, why: str) -> None:
    """The caller can then send the turn back, with the results of its own calls, or ask for more pauses."""
    server = Server(legs)
    with ask(server, retry) as stream:
        assert (["look"] if legs == [CALLED] else []) == [call.name for call in stream.tool_calls]

    assert ("pause", "complete") == end_of(stream.message)[1:]
    assert [None] * (asked - 1) == [leg.why for leg in stream.pauses[:-1]]
    assert why in str(stream.pauses[-1].why)
    assert asked == len(server.asked) == len(stream.pauses)
    assert (6 if legs is LEGS else 3 + (legs == [CALLED])) == len(stream.message.to_anthropic()["content"])


def test_a_call_of_the_application_after_a_pause_is_handed_out_once() -> None:
    with ask(Server([LEGS[0], LEG_WITH_CALL])) as stream:
        assert [{"at": "Oslo"}] == [call.arguments for call in stream.tool_calls]

    assert [*BLOCKS[0], *BLOCKS[1][:1], CALL] == stream.message.to_anthropic()["content"]
    assert "tool_calls" == stream.message.finish_reason


def test_a_request_to_go_on_that_is_refused_leaves_a_paused_answer() -> None:
    """The partial answer says that it is paused, so the turn can be sent back later."""

    def refuses(request: httpx.Request) -> httpx.Response:
        if b"assistant" in request.content:
            return httpx.Response(400, json={"error": {"type": "invalid_request_error", "message": "no"}})
        return server(request)

    server = Server()
    with pytest.raises(StatusError) as caught:
        ask(refuses, Retry(pauses=8)).final()

    for message in (caught.value.partial, caught.value.checkpoint.message):
        assert (("pause", "pause_turn"), 3) == (raw_end_of(message), len(message.parts))


def test_an_open_without_the_attempt_cannot_go_on() -> None:
    """An `open` without the attempt could only ask the question again."""
    with resilient(lambda: LEGS[0], GO_ON) as stream:
        assert "pause" == stream.final().finish_reason
    assert "open takes no attempt, and so cannot make the request that goes on" == stream.pauses[-1].why


@pytest.mark.slow
def test_the_sdk_accepts_the_requests_and_sends_the_same_itself() -> None:
    """The content of the turn is what the SDK's own reader has of the legs."""
    anthropic = needed("anthropic")
    params = importlib.import_module("anthropic.types.beta.message_create_params")
    server = Server()
    server.ask("sync", GO_ON)
    for asked in server.asked:
        TypeAdapter(params.MessageCreateParamsStreaming).validate_python(asked)

    replay = httpx_of_sdk(anthropic)
    client = anthropic.Anthropic(api_key="k", base_url="https://api.test", http_client=replay)
    messages: list[dict[str, Any]] = [QUESTION]
    for asked in server.asked[1:]:
        with client.beta.messages.stream(model="m", max_tokens=9, messages=messages, tools=TOOLS) as stream:
            content = [block.model_dump(exclude_none=True) for block in stream.get_final_message().content]
        messages.append({"role": "assistant", "content": content})
        sent = [block for turn in messages[1:] for block in turn["content"]]
        assert asked["messages"][1]["content"] == sent


def httpx_of_sdk(anthropic: Any) -> Any:
    """Return a client of the library that the SDK runs on, whose server sends one leg after the other."""
    http = importlib.import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    left = iter(LEGS)
    headers = {"content-type": "text/event-stream"}
    return http.Client(
        transport=http.MockTransport(
            lambda _: http.Response(200, headers=headers, content=b"".join(next(left)))
        )
    )


def test_bedrock_over_http_goes_on_alike() -> None:
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude/invoke-with-response-stream"
    legs = [
        testing.script(id="msg_1").text("Half, ").usage(input_tokens=5, output_tokens=2).finish("pause"),
        testing.script(id="msg_2").text("and the rest.").usage(input_tokens=5, output_tokens=3).finish(),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        body = b"".join(legs[b"assistant" in request.content].chunks("bedrock-invoke"))
        headers = {"content-type": "application/vnd.amazon.eventstream"}
        return httpx.Response(200, headers=headers, content=body)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with connect(url, json={"messages": [QUESTION]}, client=client, retry=GO_ON) as stream:
        assert "Half, and the rest." == stream.final().text
    assert (10, 5) == (stream.message.usage.input_tokens, stream.message.usage.output_tokens)


def test_an_error_of_the_provider_in_a_later_leg_is_raised_with_all_before_it() -> None:
    """Nothing that has arrived is lost."""
    broken = [*LEGS[1][:5], wire.claude("error", error={"type": "api_error", "message": "x"})]
    with pytest.raises(StreamError) as caught:
        resilient(
            lambda attempt: [LEGS[0], broken][attempt.mode == "pause"], Retry(attempts=2, pauses=8)
        ).final()

    assert "I'll look it up." == caught.value.partial.text
    assert 4 <= len(caught.value.partial.parts)
    assert caught.value.partial.to_anthropic()["content"]
