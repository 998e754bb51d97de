"""Answers of a journal over ASGI: the statuses of what cannot be given, and failures of the upstream."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import unquote

import anyio
import pytest

from tests.relay.follow.support import answer_to, failing, memory_journal, read_body
from tests.relay.journals import Answer, Place, in_memory, read
from tests.support.asgi import Client, response_to
from tokenstream import relay
from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamInterrupted
from tokenstream.relay.journal import Journal

pytestmark = pytest.mark.anyio


def _is_answered(client: Client) -> bool:
    return client.status == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *[(said, 400) for said in ("x", "-1", "1.0", "٣", "1e3", " 1", "9" * 400, "99", 99, -1)],
        *[(said, 200) for said in ("0", "1", "", None, 2)],
    ],
)
async def test_the_position_of_a_reader_is_checked(said: Any, status: int) -> None:
    """A malformed Last-Event-ID, or one from the future, is refused; an empty one is none."""
    async with memory_journal() as journal:
        id = await journal.start(Answer("Hello", over=True).stream)
        await read(journal, id)
        client = await answer_to(journal, id, said)

    assert status == client.status
    if status == 400:
        assert "unknown_position" == client.json["error"]["type"]
        assert not client.json["error"]["retryable"]


async def test_what_a_journal_does_not_give_has_a_status() -> None:
    now = 0.0
    place = Place(in_memory(expire=10.0, clock=lambda: now))
    async with Journal(place, drain=0.0, lease=0.4) as journal:
        await journal.start(Answer("Hello", over=True).stream, id="ann's", owner="ann")
        await read(journal, "ann's", owner="ann")
        unknown = [await answer_to(journal, id, owner="bob") for id in ("ann's", "?", "x" * 5_000)]
        found = await answer_to(journal, "ann's", owner="ann")
        now = 15.0
        expired = await answer_to(journal, "ann's", owner="ann")
        place.away = True
        away = await answer_to(journal, "ann's", owner="ann")

    assert [404] * 3 == [client.status for client in unknown]
    assert 1 == len({client.body for client in unknown})
    assert [200, 410, 503] == [client.status for client in (found, expired, away)]
    assert "1" == away.headers["retry-after"]
    assert away.json["error"]["retryable"] and away.json["error"]["may_repeat"]  # noqa: PT018


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "ui-message", "ag-ui", "openai-chat"])
async def test_a_storage_that_fails_in_the_middle_is_an_event_at_the_position_of_each_reader(
    protocol: Any,
) -> None:
    """Each gets the error after all that it can get; the event has no position, so a reader can go on."""
    place, clients = Place(in_memory()), [Client(method="GET") for _ in range(3)]
    async with Journal(place, drain=0.0, lease=0.2) as journal:
        answer = Answer("Hel")
        id = await journal.start(answer.stream)
        written = journal.follow(id)
        for _ in range(3):
            await anext(written)
        async with anyio.create_task_group() as tasks:
            for client, position in zip(clients, (0, 2, 3), strict=True):
                tasks.start_soon(client.call, relay.follow(journal, id, position, protocol=protocol))
                await client.until(partial(_is_answered, client))
            await clients[1].until(lambda: b"Hel" in clients[1].body)
            place.away = True
        place.away = False
        answer.end()
        again = await answer_to(journal, id, 3, protocol=protocol)

    message, error = read_body(clients[0], "tokenstream" if protocol == "ndjson" else protocol)
    assert "Hel" == message.text
    assert isinstance(error, StreamInterrupted if protocol in ("tokenstream", "ndjson") else StreamError)
    assert error.retryable
    events = [client.body.strip().splitlines()[-1] for client in clients]
    assert 1 == len(set(events))
    assert b"rror" in events[0]
    assert b'"at"' not in events[0]
    assert 200 == again.status


async def test_the_head_has_the_status_of_the_answer() -> None:
    async with memory_journal() as journal:
        id = await journal.start(Answer("Hello", over=True).stream, owner="ann")
        await read(journal, id, owner="ann")
        statuses: list[int | None] = []
        for owner, said in (("ann", None), ("bob", None), ("ann", "x")):
            client = await response_to(relay.follow(journal, id, said, owner=owner), "HEAD")
            statuses.append(client.status)
            assert client.body == b""
        source = Answer("Hello").stream
        client = await response_to(relay.respond(source, journal=journal, id="new"), "HEAD")
        started = await answer_to(journal, "new")

    assert [200, 404, 400] == statuses
    assert (200, True, 404) == (client.status, source.closed, started.status)


async def test_an_upstream_that_fails_is_an_event_of_the_protocol() -> None:
    async with memory_journal() as journal:
        id = await journal.start(failing(ProviderError("private", kind="overloaded"), "Hel"))
        for protocol in ("tokenstream", "ui-message", "anthropic", "openai-chat"):
            client = await answer_to(journal, id, protocol=protocol)
            message, error = read_body(client, protocol)
            assert "Hel" == message.text
            assert isinstance(error, ProviderError)
            assert b"private" not in client.body


async def test_an_id_may_have_any_characters() -> None:
    id = "ü 🌊/\r\nx: y"
    async with memory_journal() as journal:
        client = await response_to(relay.respond(Answer("x", over=True).stream, journal=journal, id=id))
        again = await answer_to(journal, id)

    assert id == unquote(client.headers["x-answer-id"])
    assert client.headers["x-answer-id"].isascii()
    assert "\n" not in client.headers["x-answer-id"]
    assert 200 == again.status


@pytest.mark.parametrize("id", ["", "x" * 300, "\ud800", 7, None, "x" * 256], ids=repr)
@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_an_id_that_a_client_has_chosen_badly_is_refused(method: str, id: Any) -> None:
    async with memory_journal() as journal:
        answer = Answer("x", over=True)
        client = await response_to(relay.respond(answer.stream, journal=journal, id=id), method)
        unknown = [await answer_to(journal, id), await relay.stop(journal, id)] if id is not None else []
        if id in (None, "x" * 256):
            assert 200 == client.status
            return

    assert (400, 0, True) == (client.status, answer.sent, answer.stream.closed)
    assert method == "HEAD" or client.json["error"]["type"] == "invalid_id"
    assert [404, "unknown"] == [getattr(each, "status", each) for each in unknown]


@pytest.mark.parametrize(("kind", "status"), [("rate_limited", 429), ("overloaded", 503), ("server", 502)])
async def test_an_upstream_that_fails_before_its_first_event_has_a_status(kind: Any, status: int) -> None:
    """With a journal as without: the status says so, and the journal has it for others."""
    async with memory_journal() as journal:
        error = ProviderError("private", kind=kind, retry_after=7.0)
        client = await response_to(relay.respond(failing(error), journal=journal, id="id"))
        late = await answer_to(journal, "id")

    assert (status, "7") == (client.status, client.headers["retry-after"])
    assert b"private" not in client.body + late.body
    assert isinstance(read_body(late, "tokenstream")[1], ProviderError)


async def test_an_id_without_a_journal_is_misuse() -> None:
    """What would have no effect is refused."""
    with pytest.raises(MisuseError):
        relay.respond(failing(ProviderError("no")), id="id")
