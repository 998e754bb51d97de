"""What a relay logs: each answer that breaks is one warning with its origin, whoever reads it."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.websockets import WebSocket

from tests.relay.journals import Place, in_memory
from tests.support.asgi import Client
from tokenstream import AsyncStream, aconnect, relay, testing
from tokenstream.errors import StreamInterrupted
from tokenstream.events import Event, TextDelta
from tokenstream.framing import SSEParser
from tokenstream.relay.journal import JournalError, MemoryJournal
from tokenstream.testing import faults

pytestmark = pytest.mark.anyio

ANSWER = testing.script().text("The ", "sky ", "is ", "private.").finish("stop")
FAULTS = {
    "status": (faults.status(503), "overloaded (StatusError 503)"),
    "cut": (faults.cut(event=3), "network (StreamTruncated)"),
    "reset": (faults.reset(event=3), "network (StreamInterrupted)"),
    "error": (faults.error_event(event=3), "overloaded (ProviderError)"),
    "stall": (faults.stall(event=3), "network (StreamStalled)"),
}


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


async def by_respond(stream: AsyncStream) -> None:
    await Client().call(relay.respond(stream, protocol="ui-message"))


async def by_journal(stream: AsyncStream) -> None:
    async with MemoryJournal() as journal:
        await Client().call(relay.respond(stream, journal=journal, protocol="ui-message", id="answer-1"))
        # Readers that come later get the error, too, and log nothing.
        for protocol in ("tokenstream", "anthropic"):
            await Client(method="GET").call(relay.follow(journal, "answer-1", protocol=protocol))


async def by_websocket(stream: AsyncStream) -> None:
    ended = anyio.Event()

    async def receive() -> dict[str, Any]:
        await ended.wait()
        return {"type": "websocket.disconnect"}

    async def send(_: Any) -> None:
        await anyio.lowlevel.checkpoint()

    socket = WebSocket({"type": "websocket", "path": "/", "headers": []}, receive, send)
    socket.client_state = socket.application_state = type(socket.client_state).CONNECTED
    await relay.websocket(socket, stream)
    ended.set()


async def by_encode(stream: AsyncStream) -> None:
    async for _ in relay.encode(stream):
        pass


async def by_payloads(stream: AsyncStream) -> None:
    async for _ in relay.payloads(stream, "openai-chat"):
        pass


WAYS = [by_respond, by_journal, by_websocket, by_encode, by_payloads]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_answer_that_breaks_is_one_warning(
    way: Callable[[AsyncStream], Any], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken, cause = FAULTS[fault]
    await way(ANSWER.recording("anthropic").astream(fault=broken))
    (record,) = warnings_in(caplog)

    assert (record.name, record.levelname) == ("tokenstream", "WARNING")
    assert f": {cause}" in record.getMessage()
    assert " · anthropic · " in record.getMessage()
    assert record.origin["format"] == "anthropic"  # type: ignore[attr-defined]
    assert "private" not in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sync_answer_that_breaks_is_one_warning(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """Frameworks that are not asynchronous send what `encode` gives them."""
    broken, cause = FAULTS[fault]
    for _ in relay.encode(ANSWER.recording("openai-chat").stream(fault=broken), "ui-message"):
        pass
    (record,) = warnings_in(caplog)

    line = record.getMessage()
    assert f": {cause}" in line
    assert " · openai-chat · " in line


async def test_whole_answers_and_readers_that_leave_are_no_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """A browser tab that is closed is nobody's fault."""
    caplog.set_level(logging.INFO, "tokenstream")
    for way in WAYS:
        await way(ANSWER.recording("anthropic").astream())

    async def endless() -> Any:
        while True:
            await anyio.lowlevel.checkpoint()
            yield "Hello"

    client = Client()
    async with client.calling(relay.respond(AsyncStream(endless(), format="pieces"))):
        await client.until(lambda: client.body != b"")
        client.leave()

    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_log_has_the_id_that_readers_get(caplog: pytest.LogCaptureFixture) -> None:
    """From what a user reports, the line is found, and in it the provider's id of the request."""

    def answered(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/event-stream", "request-id": "req_7"}
        return httpx.Response(200, headers=headers, content=b"".join(ANSWER.chunks("anthropic")[:4]))

    caplog.set_level(logging.DEBUG, "tokenstream")
    async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
        client, kept = Client(), Client()
        url = "https://api.example/v1/messages"
        await client.call(relay.respond(aconnect(url, json={}, client=http), protocol="openai-chat"))
        async with MemoryJournal() as journal:
            await kept.call(relay.respond(aconnect(url, json={}, client=http), journal=journal))
    (told,) = {chunk["id"] for chunk in chat_chunks(client.body)}
    first, second = warnings_in(caplog)

    assert first.getMessage().endswith(f" · answer {told}")
    assert second.getMessage().endswith(f" · answer {kept.headers['x-answer-id']}")
    for record in (first, second):
        assert "api.example/v1/messages · anthropic · req_7 · " in record.getMessage()
    # All lines of an answer have the same id.
    assert {record.origin["answer_id"] for record in caplog.records} == {  # type: ignore[attr-defined]
        told,
        kept.headers["x-answer-id"],
    }


def chat_chunks(body: bytes) -> list[dict[str, Any]]:
    payloads = [json.loads(event.data) for event in SSEParser().feed(body) if event.data != "[DONE]"]
    return [payload for payload in payloads if "id" in payload]


class _Foreign:
    """An application's own answer, which breaks off; its `origin` is something of its own."""

    origin = "https://page.example"

    def __init__(self) -> None:
        self._texts = ["Hel"]

    def __aiter__(self) -> _Foreign:
        return self

    async def __anext__(self) -> Event:
        if self._texts:
            return TextDelta(self._texts.pop())
        raise StreamInterrupted("the connection was lost")


async def test_an_answer_that_is_no_stream_is_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async with MemoryJournal(drain=0) as journal:
        id = await journal.start(_Foreign(), id="7\nCRITICAL forged", open_within=5)
        assert [entry async for entry in journal.follow(id)]
    (record,) = warnings_in(caplog)

    assert record.getMessage() == (
        "an answer broke off: network (StreamInterrupted): the connection to the provider broke in the "
        r"middle of the answer · answer 7\nCRITICAL forged"
    )


async def test_a_journal_that_gives_an_answer_up_says_whose_it_was(caplog: pytest.LogCaptureFixture) -> None:
    """The line has the host and the provider's id of the request, and not only our id."""

    class Taken(Place):
        """A storage in which another producer has taken the answer over."""

        async def append(self, *_: Any, **__: Any) -> None:
            raise JournalError("fenced", kind="fenced")

    async with relay.Journal(Taken(in_memory()), drain=0) as journal:
        await journal.start(ANSWER.recording("anthropic").astream(), id="second", open_within=5)
        await anyio.wait_all_tasks_blocked()
    (record,) = warnings_in(caplog)

    assert ": the journal no longer takes the answer: JournalError('fenced')" in record.getMessage()
    assert " · anthropic · " in record.getMessage()
    assert record.getMessage().endswith(" · answer second")


@pytest.mark.slow
async def test_the_line_after_the_death_of_a_server_names_it_and_the_provider(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The process that ends the answer in its place has only read the storage."""

    async def silent(_: httpx.Request) -> httpx.Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"".join(ANSWER.chunks("anthropic")[:4])
            await anyio.sleep_forever()

        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body())

    place = Place(storage := in_memory())
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(silent)) as http,
        relay.Journal(place, lease=0.4, drain=0.0) as dead,
        relay.Journal(storage, lease=0.4) as other,
    ):
        stream = aconnect("https://api.example/v1/messages", json={}, client=http)
        id = await dead.start(stream, open_within=5.0)
        place.dead = True
        entries = [entry async for entry in other.follow(id)]
        (record,) = warnings_in(caplog)
        place.dead = False

    assert b'"StreamInterrupted"' in entries[-1].record
    server = f"{socket.gethostname()}:{os.getpid()}"
    assert record.getMessage() == (
        "an answer broke off: network (StreamInterrupted): the server that produced the answer stopped "
        f"responding: {server} · api.example · 0.0 s · answer {id}"
    )
