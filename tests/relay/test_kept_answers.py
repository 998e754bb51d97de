"""Answers that another process has left half or whole: each reader of a relay gets all of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.relay.journals import message_of, read
from tests.support.asgi import response_to
from tokenstream import AsyncStream, Checkpoint, Job, Message, Retry, Stream, aresilient, relay, testing
from tokenstream.errors import StreamTruncated
from tokenstream.recovery import Attempt

pytestmark = pytest.mark.anyio

TEXT = "A river does not mind a stone. It parts, goes around, and is one river again."
PIECES = [TEXT[at : at + 11] for at in range(0, len(TEXT), 11)]
CHUNKS = testing.script().text(*PIECES).finish("stop").chunks("openai-chat")


def keep(count: int) -> Checkpoint:
    """Return the answer after some of its chunks."""
    stream = Stream(CHUNKS[:count], format="openai-chat")
    with suppress(StreamTruncated):
        stream.final()
    return stream.checkpoint()


def go_on(attempt: Attempt) -> list[bytes]:
    rest = TEXT[len(attempt.message.text) - 20 :]
    return testing.script().text(rest).finish("stop").chunks("openai-chat")


async def by_encode(stream: Any) -> Message:
    return Stream([piece async for piece in relay.encode(stream)], format="tokenstream").final()


async def by_respond(stream: AsyncStream) -> Message:
    response = await response_to(relay.respond(stream))
    return Stream(response.body, format="tokenstream").final()


async def by_journal(stream: AsyncStream) -> Message:
    async with relay.MemoryJournal() as journal:
        return message_of(await read(journal, await journal.start(stream)))[0]


async def by_broadcast(stream: AsyncStream) -> Message:
    async with stream:
        return await by_encode(stream.broadcast().reader())


@pytest.mark.parametrize(
    ("count", "was_opened"), [(5, False), (5, True), (99, False)], ids=["half", "opened", "whole"]
)
@pytest.mark.parametrize("send", [by_encode, by_respond, by_journal, by_broadcast])
async def test_readers_get_all_of_an_answer_that_was_kept(send: Any, count: int, was_opened: bool) -> None:
    job = Job("job", checkpoint=keep(count))
    stream = aresilient(go_on, Retry(wait=0), format="openai-chat", job=job)
    if was_opened:
        await stream.wait_open("event")
    message = await send(stream)

    assert (TEXT, "complete") == (message.text, message.ending)


def test_a_loop_without_async_gets_all_of_it() -> None:
    stream = Stream([], format="openai-chat", job=Job("job", checkpoint=keep(99)))

    assert TEXT == Stream(list(relay.encode(stream)), format="tokenstream").final().text
