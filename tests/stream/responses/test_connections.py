"""`stream.responses` on real connections: the loop, cuts, stops, timeouts, and results of tools."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import websockets.asyncio.client as asyncio_client

from tests._sources.sockets import ASK, BYE, answer, event, open_socket, talk
from tests.stream.responses.support import LIMITS, SESSION, Items, error_of, on_asyncio, opened, saying, tell
from tests.support.raised import misuse
from tests.support.timing import PATIENCE, meanwhile
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamError, StreamInterrupted, StreamTruncated

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.anyio


def in_the_loop(act: Callable[[], object]) -> Callable[[], object]:
    """Return a function that another thread may call, and that acts in the event loop."""
    return partial(asyncio.get_running_loop().call_soon_threadsafe, act)


@asynccontextmanager
async def aopened(script: Callable[[ServerConnection], None] = talk) -> AsyncGenerator[Any]:
    with open_socket(script) as url:
        async with asyncio_client.connect(url) as connection:
            yield connection


def hanging(*messages: str) -> Callable[[ServerConnection], None]:
    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        for _ in connection:
            pass

    return script


def test_the_loops_body_asks_for_the_next_answer() -> None:
    with opened() as connection:
        connection.send(ASK)
        told = []
        with Stream(connection) as stream:
            for response in stream.responses:
                pieces = list(response.text)
                told.append((pieces, response.message.id, response.message.ending, response.format))
                assert not stream.closed
                connection.send(ASK if len(told) < 3 else BYE)

        assert told == [
            (["Hel", "lo"], f"resp_{number}", "complete", "openai-realtime") for number in (1, 2, 3)
        ]
        assert (stream.closed, stream.format, stream.message.ending) == (True, "openai-realtime", "complete")
        assert connection.close_code == 1000


@pytest.mark.parametrize("code, kind", [(1000, StreamTruncated), (1011, StreamInterrupted)])
def test_a_cut_inside_an_answer_is_raised_by_that_answer(code: int, kind: type[StreamError]) -> None:
    script = saying(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3], code=code)
    told = []
    with opened(script) as connection:
        stream = Stream(connection)
        for response in stream.responses:
            error = error_of(response)
            told.append(tell(response, error))
            if error is not None:
                assert (error.partial.text, error.partial.ending) == ("Hel", "truncated")

    assert told == [("resp_1", "Hello", "complete", None), ("resp_2", "Hel", "truncated", kind)]
    assert (stream.closed, stream.message.ending) == (True, "truncated")


@on_asyncio
async def test_a_break_between_answers_is_raised_by_the_loop() -> None:
    """No answer is coming any more; a clean end ends the loop."""
    script = saying(SESSION, *answer("resp_1", "Hello"), code=1011)
    texts = []
    with opened(script) as connection:
        stream = Stream(connection)
        with pytest.raises(StreamInterrupted, match="code 1011"):
            for response in stream.responses:
                texts.append(response.final().text)
        with misuse("consumed"):
            list(stream.responses)
    async with aopened(script) as connection:
        astream = AsyncStream(connection)
        with pytest.raises(StreamInterrupted, match="code 1011"):
            async for answered in astream.responses:
                texts.append((await answered.final()).text)

    assert texts == ["Hello", "Hello"]
    assert (stream.closed, astream.closed) == (True, True)


def test_stop_from_another_thread_ends_the_answer_and_the_loop() -> None:
    with opened(hanging(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3])) as connection:
        stream = Stream(connection)
        given: list[Stream] = []
        told = []
        with meanwhile(stream.stop, once=lambda: [each.message.text for each in given] == ["Hello", "Hel"]):
            for response in stream.responses:
                given.append(response)
                told.append((list(response.text), response.message.ending))

    assert told == [(["Hello"], "complete"), (["Hel"], "stopped")]
    assert (stream.closed, stream.message.ending) == (True, "stopped")


@pytest.mark.slow
@on_asyncio
async def test_stop_from_another_task_ends_the_answer_and_the_loop() -> None:
    script = hanging(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3])
    async with aopened(script) as connection:
        stream = AsyncStream(connection)
        given: list[AsyncStream] = []
        told = []
        with meanwhile(
            in_the_loop(stream.stop), once=lambda: [each.message.text for each in given] == ["Hello", "Hel"]
        ):
            async for response in stream.responses:
                given.append(response)
                told.append(([piece async for piece in response.text], response.message.ending))
    async with aopened(hanging(SESSION)) as connection:
        waiting = AsyncStream(connection)
        with meanwhile(in_the_loop(waiting.stop)):
            assert [response async for response in waiting.responses] == []

    assert told == [(["Hello"], "complete"), (["Hel"], "stopped")]
    assert (stream.closed, waiting.closed) == (True, True)


def test_an_answer_that_is_stopped_leaves_the_connection_open() -> None:
    """What is still to come of it is passed over."""
    with opened() as connection:
        connection.send(ASK)
        endings = []
        with Stream(connection) as stream:
            for response in stream.responses:
                for _ in response.text:
                    response.stop("enough")
                endings.append((response.message.text, response.message.ending))
                connection.send(ASK if len(endings) < 2 else BYE)

    assert endings == [("Hel", "stopped"), ("Hel", "stopped")]


@on_asyncio
async def test_an_asynchronous_answer_that_is_closed_leaves_the_connection_open() -> None:
    async with aopened() as connection:
        await connection.send(ASK)
        endings = []
        async with AsyncStream(connection) as stream:
            async for response in stream.responses:
                async with response:
                    assert await anext(response.text) == "Hel"
                endings.append((response.message.text, response.message.ending))
                await connection.send(ASK if len(endings) < 2 else BYE)

    assert endings == [("Hel", "stopped"), ("Hel", "stopped")]


@pytest.mark.slow
@on_asyncio
async def test_a_timeout_around_an_answers_anext_loses_nothing() -> None:
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for message in (SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye")):
            gate.wait(PATIENCE)
            gate.clear()
            connection.send(message)

    async def patiently(step: Callable[[], Any]) -> Any:
        while True:
            try:
                async with asyncio.timeout(0.02):
                    return await step()
            except TimeoutError:
                gate.set()

    told = []
    async with aopened(script) as connection:
        responses = AsyncStream(connection).responses
        with pytest.raises(StopAsyncIteration):
            while True:
                response = await patiently(responses.__anext__)
                view = response.text
                with pytest.raises(StopAsyncIteration):
                    while True:
                        told.append(await patiently(view.__anext__))
                assert response.message.ending == "complete"

    assert told == ["Hel", "lo", "Bye"]


def test_nothing_is_read_beyond_the_end_of_an_answer() -> None:
    source = Items(SESSION, *answer("resp_1", "Hel", "lo"), LIMITS, *answer("resp_2", "Bye"))
    responses = Stream(source).responses
    first = next(responses)
    begun = source.given
    first.final()

    assert (begun, source.given) == (2, 1 + len(answer("resp_1", "Hel", "lo")))
    assert next(responses).final().text == "Bye"
    assert not list(responses)
    assert source.closed


def test_the_results_of_tools_are_sent_between_answers() -> None:
    def script(connection: ServerConnection) -> None:
        for number, message in enumerate(connection, 1):
            where = {"response_id": f"resp_{number}", "output_index": 0}
            item = {
                "id": "i",
                "type": "function_call",
                "call_id": f"call_{number}",
                "name": "now",
                "arguments": "{}",
            }
            response = {"id": f"resp_{number}", "object": "realtime.response"}
            if json.loads(message).get("result") == 2:
                for each in answer(f"resp_{number}", "noon"):
                    connection.send(each)
                return
            connection.send(event("response.created", response=response))
            connection.send(event("response.output_item.added", item={**item, "arguments": ""}, **where))
            connection.send(event("response.output_item.done", item={**item, "status": "completed"}, **where))
            connection.send(
                event("response.done", response={**response, "status": "completed", "output": [item]})
            )

    calls: list[str] = []
    texts: list[str] = []
    with opened(script) as connection, Stream(connection) as stream:
        connection.send(ASK)
        for response in stream.responses:
            for call in response.tool_calls:
                calls.append(call.id)
                connection.send(json.dumps({"result": len(calls)}))
            texts.append(response.message.text)

    assert (calls, texts) == (["call_1", "call_2"], ["", "", "noon"])
