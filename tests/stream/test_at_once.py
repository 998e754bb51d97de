"""Many answers that are read at once: each says its own, and a cut one never passes for a whole one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import httpx
import pytest

from tests.support import wire
from tests.support.loopback import Connection, Loopback, chunked_head, http_chunk
from tokenstream import AsyncStream, Deadlines, Message, Stream
from tokenstream.errors import StreamError

pytestmark = pytest.mark.anyio
MANY = 24
EACH = 40
"""Pieces of an answer."""
# The server closes each connection behind its answer, which a client that reuses them may meet too late.
FRESH = httpx.Limits(max_keepalive_connections=0)
# A busy machine may close a connection long after the end of its answer.
PATIENT = Deadlines(after_finish=None)


def pieces(number: int) -> list[str]:
    return [f"{number}:{count} " for count in range(EACH)]


def is_cut(number: int) -> bool:
    """Tell whether the server breaks off an answer, by its number."""
    return number % 3 == 0


def expected(number: int) -> tuple[str, list[str], str]:
    """Return the text, the arguments of the calls, and the ending of an answer."""
    if is_cut(number):
        return "".join(pieces(number)[: EACH // 2]), [], "truncated"
    return "".join(pieces(number)), [f'{{"n": {number}}}'], "complete"


def serve(connection: Connection) -> None:
    """Answer the request by the number in its path, piece by piece; some are broken off."""
    number = int(connection.request().path.strip("/"))
    connection.send(chunked_head())
    for count, piece in enumerate(pieces(number)):
        if is_cut(number) and count == EACH // 2:
            # As servers do that give an answer up: their own end, and then none of the transport's.
            connection.send(http_chunk(wire.DONE))
            return
        connection.send(http_chunk(wire.chat({"content": piece})))
    for fragment in ('{"n"', f": {number}}}"):
        connection.send(http_chunk(wire.chat(wire.chat_call(0, fragment, id=f"call_{number}", name="f"))))
    connection.send(http_chunk(wire.chat({}, "tool_calls") + wire.DONE) + b"0\r\n\r\n")


def told(message: Message) -> tuple[str, list[str], str]:
    calls = [call.arguments_text for call in message.tool_calls if call.complete]
    return message.text, calls, message.ending


@pytest.mark.slow
def test_answers_that_threads_read_at_once_say_their_own() -> None:
    with Loopback(serve) as server, httpx.Client(timeout=None, trust_env=False, limits=FRESH) as client:

        def read(number: int) -> Message:
            with Stream(
                client.send(client.build_request("POST", f"{server.url}/{number}"), stream=True),
                deadlines=PATIENT,
            ) as stream:
                with suppress(StreamError):
                    stream.final()
                return stream.message

        with ThreadPoolExecutor(MANY) as pool:
            messages = list(pool.map(read, range(MANY)))

    assert [expected(number) for number in range(MANY)] == [told(message) for message in messages]


@pytest.mark.slow
async def test_answers_that_tasks_read_at_once_say_their_own() -> None:
    messages: dict[int, Message] = {}

    async def read(number: int) -> None:
        request = client.build_request("POST", f"{server.url}/{number}")
        async with AsyncStream(await client.send(request, stream=True), deadlines=PATIENT) as stream:
            with suppress(StreamError):
                await stream.final()
            messages[number] = stream.message

    with Loopback(serve) as server:
        async with (
            httpx.AsyncClient(timeout=None, trust_env=False, limits=FRESH) as client,
            anyio.create_task_group() as tasks,
        ):
            for number in range(MANY):
                tasks.start_soon(read, number)

    assert [expected(number) for number in range(MANY)] == [told(messages[number]) for number in range(MANY)]
