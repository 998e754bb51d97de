"""An upstream that is a generator with a time limit or tasks of its own, which no slow reader gets into."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.streams.memory import MemoryObjectSendStream

from tests.support.asgi import Client
from tests.support.wire import DONE, chat
from tokenstream import AsyncStream, Stream, relay
from tokenstream.errors import StreamError

pytestmark = pytest.mark.anyio

WORDS = [f"word{number} " for number in range(5)]
WHOLE = [*(chat({"content": word}) for word in WORDS), chat({}, "stop"), DONE]


async def test_a_time_limit_of_the_upstream_cuts_off_no_send() -> None:
    """A limit that a generator holds while it yields ends the answer, not the chunk that is being sent."""
    struck = anyio.Event()

    async def limited() -> AsyncIterator[bytes]:
        try:
            with anyio.fail_after(0.02):
                yield chat({"content": "Hel"})
                await anyio.sleep_forever()
        finally:
            struck.set()

    client = Client(slow=struck.wait)
    await client.call(relay.respond(AsyncStream(limited()), protocol="openai-chat"))

    answer = Stream(client.body)
    with pytest.raises(StreamError):
        answer.final()
    assert ("Hel", "failed") == (answer.message.text, answer.message.ending)
    assert client.ended


async def test_tasks_of_the_upstream_go_on_while_a_slow_reader_takes_a_chunk() -> None:
    """A generator may yield inside a task group, as the clients of some protocols do."""

    async def fetch(chunks: MemoryObjectSendStream[bytes]) -> None:
        async with chunks:
            for chunk in WHOLE:
                await chunks.send(chunk)

    async def fetched() -> AsyncIterator[bytes]:
        sender, receiver = anyio.create_memory_object_stream[bytes]()
        async with anyio.create_task_group() as tasks, receiver:
            tasks.start_soon(fetch, sender)
            async for chunk in receiver:
                yield chunk

    client = Client(slow=lambda: anyio.sleep(0.005))
    await client.call(relay.respond(AsyncStream(fetched()), protocol="openai-chat"))

    assert "".join(WORDS) == Stream(client.body).final().text
