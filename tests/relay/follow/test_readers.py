"""Answers of a journal over ASGI: what readers of every protocol get, and our own client over cuts."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.relay.follow.support import answer_to, memory_journal, read_body, without_notes
from tests.relay.journals import Answer, read
from tests.support.asgi import Client, response_to
from tests.support.encoders import load
from tokenstream import AsyncStream, Retry, aconnect, relay
from tokenstream.errors import StreamError
from tokenstream.events import Finish, TextDelta

pytestmark = pytest.mark.anyio


def _has(client: Client, piece: bytes) -> bool:
    return piece in client.body


async def test_a_reader_gets_the_answer_while_it_comes() -> None:
    async with memory_journal() as journal:
        answer, client = Answer(), Client(method="GET")
        id = await journal.start(answer.stream)
        async with client.calling(relay.follow(journal, id)):
            await client.until(lambda: client.status == 200)
            for piece in ("Hel", "lo"):
                answer.send(piece)
                await client.until(partial(_has, client, f'"{piece}"'.encode()))
            answer.end()

    assert client.headers["content-type"].startswith("text/event-stream")
    assert "no-cache, no-transform" == client.headers["cache-control"]
    assert client.ended
    assert b'"live"' not in client.body
    assert ("Hello", "complete") == (
        read_body(client, "tokenstream")[0].text,
        read_body(client, "tokenstream")[0].ending,
    )


@pytest.mark.parametrize(
    "protocol", ["tokenstream", "ndjson", "ui-message", "ag-ui", "openai-chat", "anthropic"]
)
async def test_every_protocol_goes_on_where_a_reader_left(protocol: str) -> None:
    """Cut behind any position and joined again, the body is the one that a reader without cuts gets."""
    async with memory_journal() as journal:
        events = [TextDelta(piece) for piece in ("Hel", "lo", " wor", "ld")]

        async def source() -> AsyncGenerator[Any]:
            for event in [*events, Finish("stop")]:
                yield event

        id = await journal.start(source())
        end = len(await read(journal, id))
        whole = await answer_to(journal, id, protocol=protocol)
        rests = [await answer_to(journal, id, str(at), protocol=protocol) for at in range(1, end)]
        nothing = await answer_to(journal, id, end, protocol=protocol)

    message, error = read_body(whole, "tokenstream" if protocol == "ndjson" else protocol)
    assert ("Hello world", None) == (message.text, error)
    for rest in rests:
        # Behind the comment or the note of what is replayed.
        body = without_notes(rest.body)
        assert body
        assert without_notes(whole.body).endswith(body)
    assert (204, b"") == (nothing.status, nothing.body)
    assert "content-length" not in nothing.headers
    # What says nothing in a protocol is the only thing that two of them may differ in.
    assert len({rest.body for rest in rests}) >= len(rests) - 1


async def test_replayed_events_say_so() -> None:
    """What was there when the reader came is told by a note before it, which is no event of the answer."""
    async with memory_journal() as journal:
        answer, client = Answer("Hel"), Client(method="GET")
        id = await journal.start(answer.stream, open_within=5.0)
        written = journal.follow(id)
        for _ in range(3):
            await anext(written)
        async with client.calling(relay.follow(journal, id)):
            await client.until(lambda: b"Hel" in client.body)
            answer.send("lo", over=True)

    first = client.body.split(b"\n\n")[1]
    assert b'data: {"type":"live","at":3,"answer":"%b"}' % id.encode() == first
    assert "Hello" == read_body(client, "tokenstream")[0].text


@pytest.mark.parametrize("open_within", [10.0, 0.0])
async def test_who_starts_an_answer_gets_no_replays(open_within: float) -> None:
    async with memory_journal() as journal:
        own, again, late = Client(), Client(), Client(method="GET")
        for client in (own, again):
            answer = Answer(*map(str, range(34)), over=True).stream
            timing = relay.Timing(open_within=open_within)
            await client.call(relay.respond(answer, journal=journal, id="id", timing=timing))
        await late.call(relay.follow(journal, "id"))

    assert b'"live"' not in own.body
    assert without_notes(own.body) == without_notes(again.body) == without_notes(late.body)
    # A request that is sent twice follows the answer of the first one, which may have run its tools.
    assert b'data: {"type":"live","at":38,"answer":"id"}' in again.body
    assert b'data: {"type":"live","at":38,"answer":"id"}' in late.body


async def test_ids_are_in_the_last_event_of_each_position() -> None:
    """In a protocol whose events are several for one of ours, a reader never comes back between them."""
    async with memory_journal() as journal:
        id = await journal.start(Answer("Hel", "lo", over=True).stream)
        entries = await read(journal, id)
        client = await answer_to(journal, id, protocol="ui-message")

    ids = [int(line[4:]) for line in client.body.split(b"\n") if line.startswith(b"id: ")]
    assert sorted(set(ids)) == ids
    assert entries[-1].position == ids[-1]


@pytest.mark.slow
async def test_events_are_encoded_once_for_all_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    feed = load("ui-message").feed

    def counted(self: Any, event: Any) -> Any:
        made.extend([event] if isinstance(event, TextDelta) else [])
        return feed(self, event)

    monkeypatch.setattr(load("ui-message"), "feed", counted)
    async with memory_journal() as journal:
        answer = Answer()
        id = await journal.start(answer.stream)
        clients = [Client(method="GET") for _ in range(100)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.call, relay.follow(journal, id, protocol="ui-message"))
            await clients[-1].until(lambda: clients[-1].status == 200)
            answer.send(*"Hello", over=True)

    assert 5 == len(made)
    assert 1 == len({without_notes(client.body) for client in clients})


async def test_a_reader_whose_events_were_trimmed_is_cut_and_then_reported() -> None:
    """The body ends without the end of the answer, and who asks again hears 410; nothing is skipped."""
    async with memory_journal(max_bytes=2_000) as journal:
        answer = Answer("begin")
        id = await journal.start(answer.stream)
        gate = anyio.Event()
        client = Client(method="GET", slow=gate.wait)
        async with client.calling(relay.follow(journal, id)):
            await anyio.wait_all_tasks_blocked()
            for _ in range(50):
                answer.send(*["x" * 1_000] * 10)
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            gate.set()
            await client.until(lambda: client.ended)
        again = await answer_to(journal, id, 5)
        others = await answer_to(journal, id, 500, protocol="ui-message")
        answer.end()

    assert isinstance(read_body(client, "tokenstream")[1], StreamError)
    assert [410, 410] == [again.status, others.status]


async def test_an_answer_that_is_started_by_a_request_outlives_it() -> None:
    async with memory_journal() as journal:
        answer, client = Answer("Hel"), Client()
        async with client.calling(relay.respond(answer.stream, journal=journal, owner="ann")):
            await client.until(lambda: b"Hel" in client.body)
            client.leave()
        answer.send("lo", over=True)
        id = client.headers["x-answer-id"]
        again = await answer_to(journal, id, 3, owner="ann")

    assert len(id) == 32
    assert b'"lo"' in again.body
    assert b'"Hel"' not in again.body
    assert answer.closed


async def test_a_reader_that_leaves_before_the_first_event_stops_nothing() -> None:
    async with memory_journal() as journal:
        answer, client = Answer(), Client()
        async with client.calling(relay.respond(answer.stream, journal=journal, id="id")):
            await anyio.wait_all_tasks_blocked()
            client.leave()
        answer.send("Hello", over=True)

        assert b"Hello" in (await answer_to(journal, "id")).body


async def test_what_is_redacted_is_not_in_the_journal() -> None:
    """A shape is applied before the answer is written, so that no reader and no storage has the rest."""
    async with memory_journal() as journal:
        stream = Answer("my PIN is 12", "34, yes", over=True).stream
        client = await response_to(
            relay.respond(
                stream, journal=journal, id="id", shape=lambda text: text.redact(r"[0-9]{4}").words()
            )
        )
        entries = await read(journal, "id")

    assert b"12" not in b"".join(entry.record for entry in entries)
    assert read_body(client, "tokenstream")[0].text.endswith(", yes")


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "cut off"])
async def test_a_shape_that_raises_ends_the_answer_with_an_error(
    broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a sec"
        yield "ret"
        if broken:
            raise ConnectionError("reset")

    def hide(_: re.Match[str]) -> str:
        raise LookupError("no replacement")

    def shape(text: Any) -> Any:
        return text.redact(re.compile(r"secret\w*"), hide, max_length=20)

    async with memory_journal() as journal:
        stream = AsyncStream(source(), format="pieces")
        client = await response_to(relay.respond(stream, journal=journal, id="id", shape=shape))
        entries = await read(journal, "id")

    message, error = read_body(client, "tokenstream")
    assert ("a ", "failed") == (message.text, message.ending)
    assert error is not None
    assert b"secret" not in b"".join(entry.record for entry in entries)
    assert "the application raised LookupError (test_readers.py:" in caplog.text


class _Cutting(httpx.AsyncBaseTransport):
    """Asks an application, and breaks each response off where a seed decides."""

    def __init__(self, app: Any, seed: int) -> None:
        self.app = app
        self.source = random.Random(seed)
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        client = Client(method="GET")
        client.scope["path"] = request.url.path
        client.scope["headers"] = request.headers.raw
        self.asked.append(request.headers.get("last-event-id"))
        await client.call(self.app)
        body, cut = client.body, self.source.randint(0, 400)

        async def pieces() -> AsyncGenerator[bytes]:
            yield body[:cut]
            if cut < len(body):
                raise httpx.ReadError("cut")

        return httpx.Response(client.status or 0, headers=client.headers, content=pieces())


@pytest.mark.slow
async def test_our_own_client_follows_a_journal_over_cuts() -> None:
    """`connect` with `Retry()` asks again from its position, and ends with the answer once."""
    words = [f"word {number} " for number in range(30)]
    async with memory_journal() as journal:
        id = await journal.start(Answer(*words, over=True).stream)
        await read(journal, id)
        for seed in range(8):
            transport = _Cutting(relay.endpoints(journal), seed)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                again = Retry(wait=0, attempts=100)
                async with aconnect(f"http://here/{id}", method="GET", client=client, retry=again) as stream:
                    pieces = [piece async for piece in stream.text]

            assert "".join(words) == "".join(pieces)
            assert "complete" == stream.message.ending
            assert len(transport.asked) > 1
            assert transport.asked[-1] is not None
