"""A Redis whose memory is full, and that may evict nothing: refused at the start, and told in the middle."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.relay.follow.support import answer_to, read_body
from tests.relay.journals import Answer, failure_of, message_of, read, read_into, records_of
from tests.relay.redis_places import client_of, full, in_redis, two_journals
from tests.relay.tokenstream.support import record
from tests.support.asgi import Client, response_to
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tests.support.served import by_uvicorn, lifespan_in
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, relay
from tokenstream.errors import StreamInterrupted
from tokenstream.events import Event, MessageStart, PartStart, TextDelta
from tokenstream.message import TextPart
from tokenstream.relay.journal import Entry

__all__ = ["anyio_backend", "server"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

LEASE = 0.6


def _has_text(client: Client) -> bool:
    return b"Hel" in client.body


def _has_ended(client: Client) -> bool:
    return client.ended


def ids_of(body: bytes) -> list[int]:
    return [int(line[4:]) for line in body.split(b"\n") if line.startswith(b"id: ")]


async def test_a_full_redis_refuses_an_answer_before_the_provider_is_asked(server: RedisServer) -> None:
    asked = list[str]()

    async def provider(words: str) -> AsyncIterator[str]:
        asked.append(words)
        yield words

    def answer(body: Any) -> AsyncStream:
        return AsyncStream(provider(body["text"]), format="pieces")

    async with two_journals(server, lease=LEASE) as (one, other, beside):
        async with full(beside):
            client = await response_to(relay.respond(answer({"text": "a"}), journal=one, id="a"))
            statuses = [client.status, (await answer_to(other, "a")).status]
            for accept in ("application/json", "text/event-stream"):
                app = relay.endpoints(one, answer)
                statuses.append((await response_to(app, body={"text": "b"}, accept=accept)).status)
            assert await failure_of(one.start(answer({"text": "c"}), id="c")) == "unavailable"
            assert asked == []
        client = await response_to(relay.respond(answer({"text": "again"}), journal=one, id="a"))

    assert [503, 404, 503, 503] == statuses
    assert (200, "again") == (client.status, read_body(client, "tokenstream")[0].text)


@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "ui-message", "openai-chat"])
async def test_readers_of_a_running_answer_are_told_that_redis_is_full(
    server: RedisServer, protocol: Any
) -> None:
    async with two_journals(server, lease=LEASE) as (one, other, beside):
        answer, clients, late = Answer("Hel"), [Client(method="GET") for _ in range(2)], Client(method="GET")
        id = await one.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            for client, journal in zip(clients, (one, other), strict=True):
                tasks.start_soon(client.call, relay.follow(journal, id, protocol=protocol))
                await client.until(partial(_has_text, client))
            async with full(beside):
                answer.send("lo")
                with anyio.fail_after(4 * LEASE):
                    await answer.gone.wait()
                    for client in clients:
                        await client.until(partial(_has_ended, client))
                await late.call(relay.follow(other, id, protocol=protocol))

    for client in (*clients, late):
        message, error = read_body(client, "tokenstream" if protocol == "ndjson" else protocol)
        assert "Hel" == message.text
        assert message.ending in ("truncated", "failed")
        assert error is not None
        assert error.retryable
    if protocol == "tokenstream":
        assert [1, 2, 3, 4] == ids_of(clients[0].body)


@pytest.mark.slow
async def test_readers_are_told_where_redis_takes_not_even_an_end(server: RedisServer) -> None:
    """Where no write succeeds at all, the error event has no position: a reader still has its last one."""
    async with two_journals(server, lease=LEASE) as (one, other, beside):
        answer, client = Answer("Hel"), Client(method="GET")
        id = await one.start(answer.stream)
        async with client.calling(relay.follow(other, id)):
            await client.until(lambda: b"Hel" in client.body)
            # A replica, after a failover, takes no writes.
            await beside.replicaof("127.0.0.1", 1)
            try:
                answer.send("lo")
                with anyio.fail_after(5 * LEASE):
                    await answer.gone.wait()
                    await client.until(lambda: client.ended)
            finally:
                await beside.replicaof("NO", "ONE")
        rest = await answer_to(other, id, 3)

    message, error = read_body(client, "tokenstream")
    assert ("Hel", "truncated") == (message.text, message.ending)
    assert isinstance(error, StreamInterrupted)
    assert [1, 2, 3] == ids_of(client.body)
    assert 200 == rest.status
    assert isinstance(read_body(rest, "tokenstream")[1], StreamInterrupted)


async def test_a_redis_that_is_full_for_a_moment_costs_nothing(server: RedisServer) -> None:
    found = list[Entry]()
    async with two_journals(server, lease=4.0) as (one, other, beside):
        answer = Answer("Hel")
        id = await one.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_into, found, other, id)
            async with full(beside):
                answer.send("lo", " wor")
                await anyio.sleep(0.3)
            answer.send("ld", over=True)

    assert ("Hello world", "complete") == (message_of(found)[0].text, message_of(found)[0].ending)
    assert [*range(1, len(found) + 1)] == [entry.position for entry in found]


@pytest.mark.slow
async def test_a_silent_producer_lives_on_in_a_full_redis(server: RedisServer) -> None:
    """Heartbeats and stops need no memory, so nobody takes the producer for dead."""
    async with two_journals(server, lease=LEASE) as (one, other, beside):
        answer, stopped = Answer("Hel"), Answer("Hello")
        id = await one.start(answer.stream)
        await one.start(stopped.stream, id="stopped")
        await anext(other.follow(id))
        await anext(other.follow("stopped"))
        async with full(beside):
            await anyio.sleep(2 * LEASE)
            assert "stopped" == await other.stop("stopped")
            with anyio.fail_after(PATIENCE):
                await stopped.gone.wait()
            ended = await read(other, "stopped")
        answer.send("lo", over=True)
        whole = await read(other, id)

    assert ("Hello", "stopped") == (message_of(ended)[0].text, message_of(ended)[0].ending)
    assert ("Hello", "complete") == (message_of(whole)[0].text, message_of(whole)[0].ending)


@pytest.mark.slow
async def test_a_dead_producer_is_reported_in_a_full_redis(server: RedisServer) -> None:
    async with two_journals(server, lease=LEASE) as (_, other, beside), client_of(server) as client:
        # The producer's process is killed after its third record.
        storage = in_redis(client)
        await storage.create("id", owner=None, token="dead", lease=LEASE)
        events: list[Event] = [MessageStart(), PartStart(TextPart()), TextDelta("Hel")]
        await storage.append("id", "dead", 1, [record(event) for event in events], lease=LEASE)
        reader = other.follow("id")
        entries = [await anext(reader) for _ in range(3)]
        async with full(beside):
            with anyio.fail_after(4 * LEASE):
                entries += [entry async for entry in reader]
            again = await read(other, "id")

    assert isinstance(message_of(entries)[1], StreamInterrupted)
    assert records_of(entries) == records_of(again)


async def test_over_a_real_server_a_full_redis_is_a_status(server: RedisServer) -> None:
    def answer(body: Any) -> AsyncStream:
        return AsyncStream([body["text"]], format="pieces")

    client = client_of(server)
    journal = relay.RedisJournal(client)

    routes = [Mount("/answers", relay.endpoints(journal, answer))]
    app = Starlette(routes=routes, lifespan=lifespan_in(client, journal))
    async with client_of(server) as beside:
        with by_uvicorn(app, lifespan="on") as url:
            async with httpx.AsyncClient(base_url=url) as web:
                async with full(beside):
                    refused = await web.post("/answers/", json={"text": "Hello"})
                begun = await web.post("/answers/", json={"text": "Hello"})
                whole = await web.get(begun.headers["location"])

    assert (503, "1") == (refused.status_code, refused.headers["retry-after"])
    assert json.loads(refused.content)["error"]["retryable"]
    assert (201, True) == (begun.status_code, b'"Hello"' in whole.content)
