"""`stream.responses` over a WebSocket of the Responses API, and of servers that say nothing but an error."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client

from tests._sources.sockets import ASK, open_socket
from tests.stream.responses.support import on_asyncio, tell
from tests.support.either import Each, at_once, got, inside
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ProviderError, StreamError, StreamTruncated
from tokenstream.events import Unknown

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]
ERROR = {
    "type": "error",
    "status": 400,
    "error": {"code": "previous_response_not_found", "message": "gone", "type": "invalid_request_error"},
}
GOOGLES = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "gone"}}


def answer(id: str, *pieces: str, **more: Any) -> list[dict[str, Any]]:
    """Return the events of one response; only the first and the last of them name it."""
    head = {"id": id, "object": "response", "model": "gpt-5.1"}
    item: dict[str, Any] = {"id": f"msg_{id}", "type": "message", "role": "assistant", "content": []}
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    whole = {**item, "content": [{"type": "output_text", "text": "".join(pieces)}]}
    events: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": {**head, "status": "in_progress", "output": []}}),
        ("output_item.added", {"output_index": 0, "item": item}),
        *[("output_text.delta", {**where, "delta": piece}) for piece in pieces],
        ("output_item.done", {"output_index": 0, "item": whole}),
        ("completed", {"response": {**head, "status": "completed", "output": [whole]}}),
    ]
    return [{"type": f"response.{kind}", **fields, **more} for kind, fields in events]


def replying(*replies: list[dict[str, Any]], stays: bool = True) -> Callable[[ServerConnection], None]:
    """Answer each request with the next reply; then stay open and silent, or close cleanly."""

    def script(connection: ServerConnection) -> None:
        for reply in replies:
            connection.recv()
            for message in reply:
                connection.send(json.dumps(message))
        while stays:
            connection.recv()

    return script


@contextmanager
def opened(*replies: list[dict[str, Any]], **options: Any) -> Generator[Any]:
    with open_socket(replying(*replies, **options)) as url, sync_client.connect(url) as connection:
        yield connection


@asynccontextmanager
async def aopened(*replies: list[dict[str, Any]], **options: Any) -> AsyncGenerator[Any]:
    with open_socket(replying(*replies, **options)) as url:
        async with asyncio_client.connect(url) as connection:
            yield connection


async def both(*replies: list[dict[str, Any]], most: int, **options: Any) -> list[Any]:
    """Ask so often as there are replies, with either driver, and leave after so many answers."""

    async def ask(connection: Any, stream: Any) -> list[Any]:
        said: list[Any] = []
        async with inside(stream):
            await got(connection.send(ASK))
            async for response in Each(stream.responses):
                error = None
                try:
                    await got(response.final())
                except StreamError as caught:
                    error = caught
                said.append(tell(response, error))
                if len(said) == most:
                    break
                await got(connection.send(ASK))
        return said

    with opened(*replies) as connection:
        said = at_once(ask(connection, Stream(connection, **options)))
    async with aopened(*replies) as connection:
        assert said == await ask(connection, AsyncStream(connection, **options))
    return said


@pytest.mark.slow
@on_asyncio
async def test_responses_on_one_socket_are_answers() -> None:
    """One after the other; what comes between the first and the last event has no id."""
    assert await both(answer("resp_1", "Hel", "lo"), answer("resp_2", "Bye"), most=2) == [
        ("resp_1", "Hello", "complete", None),
        ("resp_2", "Bye", "complete", None),
    ]


@on_asyncio
@pytest.mark.parametrize("options", [{}, {"format": "openai-responses"}])
async def test_a_socket_that_says_nothing_but_an_error_gives_an_answer_that_failed(
    options: dict[str, Any],
) -> None:
    assert await both([ERROR], most=1, **options) == [(None, "", "failed", ProviderError)]


@on_asyncio
async def test_an_error_between_two_responses_is_an_answer_that_failed() -> None:
    assert await both(answer("resp_1", "Hello"), [ERROR], answer("resp_2", "Bye"), most=3) == [
        ("resp_1", "Hello", "complete", None),
        (None, "", "failed", ProviderError),
        ("resp_2", "Bye", "complete", None),
    ]


@pytest.mark.slow
@on_asyncio
@pytest.mark.parametrize("closed", [True, False])
async def test_an_error_inside_a_response_ends_that_one(closed: bool) -> None:
    response = {"id": "resp_1", "object": "response", "status": "failed", "error": ERROR["error"]}
    end = [{"type": "response.failed", "response": response}] if closed else []
    failed = [*answer("resp_1", "Hel")[:3], ERROR, *end]

    assert await both(failed, answer("resp_2", "Bye"), most=2) == [
        ("resp_1", "Hel", "failed", ProviderError),
        ("resp_2", "Bye", "complete", None),
    ]


def test_responses_in_turns_are_told_apart_by_their_stream_ids() -> None:
    """Several may share a socket."""
    one, two = answer("resp_1", "Hel", "lo", stream_id="a"), answer("resp_2", "Bye", "!", stream_id="b")
    turns = [event for pair in zip(one, two, strict=True) for event in pair]
    with opened(turns) as connection, Stream(connection) as stream:
        connection.send(ASK)
        responses = stream.responses
        texts = [next(iter(responses)).final().text for _ in range(2)]

        assert texts == ["Hello", "Bye!"]


def test_a_response_that_steers_is_followed_by_another() -> None:
    """What was steered ends as incomplete; the events about it are of the answer that is being given."""
    one = answer("resp_1", "Hel")
    accepted = {"type": "response.steer.accepted", "steer": {"id": "s", "previous_response_id": "resp_1"}}
    end = {**one[-1]["response"], "status": "incomplete", "incomplete_details": {"reason": "steered"}}
    steered = [*one[:3], accepted, {"type": "response.incomplete", "response": end}]
    with opened([*steered, *answer("resp_2", "Bye")]) as connection, Stream(connection) as stream:
        connection.send(ASK)
        first = next(iter(stream.responses))
        names = [event.name for event in first if isinstance(event, Unknown)]
        second = next(iter(stream.responses)).final()

        assert "response.steer.accepted" in names
        assert (first.message.text, first.message.id, second.text) == ("Hel", "resp_1", "Bye")


def test_refused_input_ends_no_response_and_makes_none() -> None:
    refused = {"type": "response.inject.failed", "response_id": "resp_1", "input": [], "error": {"code": "c"}}
    one = answer("resp_1", "Hel", "lo")
    with opened([*one[:3], refused, *one[3:], refused, *answer("resp_2", "Bye")]) as connection:
        connection.send(ASK)
        with Stream(connection) as stream:
            texts = [next(iter(stream.responses)).final().text for _ in range(2)]

    assert texts == ["Hello", "Bye"]


def test_a_socket_that_is_closed_inside_a_response_cuts_it() -> None:
    whole = answer("resp_1", "Hello")
    for reply, expected in (
        (whole[:4], StreamTruncated),
        (whole, None),
        ([*whole[:3], ERROR], ProviderError),
    ):
        with opened(reply, stays=False) as connection, Stream(connection) as stream:
            connection.send(ASK)
            errors: list[type[StreamError] | None] = []
            for response in stream.responses:
                try:
                    response.final()
                    errors.append(None)
                except StreamError as caught:
                    errors.append(type(caught))

            assert errors == [expected]
            assert stream.message.ending == ("truncated" if expected is StreamTruncated else "complete")


@pytest.mark.slow
def test_the_stream_itself_reads_one_response() -> None:
    with opened(answer("resp_1", "Hello"), answer("resp_2", "Bye")) as connection:
        connection.send(ASK)
        with Stream(connection) as stream:
            assert stream.final().text == "Hello"


@on_asyncio
@pytest.mark.parametrize("before", [[], [{"setupComplete": {}}]])
async def test_an_error_of_a_live_session_is_an_answer_that_failed(before: list[dict[str, Any]]) -> None:
    """Google closes the connection instead; who imitates it sends an error, and nothing more."""
    assert await both([*before, GOOGLES], most=1) == [(None, "", "failed", ProviderError)]
