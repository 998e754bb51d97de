"""Answers of a journal over ASGI: what readers of every protocol get, and the statuses of what they don't."""

from __future__ import annotations

import json
import math
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import pytest

from tests.relay.journals import Answer, Place, read
from tests.support.asgi import Client
from tokenstream import AsyncStream, Decoder, Message, Retry, Stream, aconnect, relay
from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamInterrupted
from tokenstream.events import Finish, TextDelta
from tokenstream.relay._asgi.writing import BodyWriter
from tokenstream.relay.journal import Journal, MemoryJournal
from tokenstream.relay.journal._memory import MemoryStorage

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _journal(**options: Any) -> AsyncGenerator[MemoryJournal]:
    chosen: dict[str, Any] = {"drain": 0.0, **options}
    async with MemoryJournal(**chosen) as journal:
        yield journal


def _has(client: Client, piece: bytes) -> bool:
    return piece in client.body


async def _followed(journal: Journal, id: str, said: Any = None, **options: Any) -> Client:
    client = Client(method="GET")
    await client.call(relay.follow(journal, id, said, **options))
    return client


def _read(client: Client, protocol: Any) -> tuple[Message, StreamError | None]:
    decoder = Decoder(protocol)
    decoder.feed(client.body)
    decoder.end()
    return decoder.message, decoder.error


async def _failing(error: Exception, *texts: str) -> AsyncGenerator[Any]:
    for text in texts:
        yield TextDelta(text)
    raise error


async def test_a_reader_gets_the_answer_while_it_comes() -> None:
    """The head goes out at once, each event when it comes, and the end ends the body."""
    async with _journal() as journal:
        answer, client = Answer(), Client(method="GET")
        id = await journal.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.follow(journal, id))
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
        _read(client, "tokenstream")[0].text,
        _read(client, "tokenstream")[0].ending,
    )


@pytest.mark.parametrize(
    "protocol", ["tokenstream", "ndjson", "ui-message", "ag-ui", "openai-chat", "anthropic"]
)
async def test_every_protocol_goes_on_where_a_reader_left(protocol: str) -> None:
    """Cut behind any position and joined again, the body is the one that a reader without cuts gets."""
    async with _journal() as journal:
        events = [TextDelta(piece) for piece in ("Hel", "lo", " wor", "ld")]

        async def source() -> AsyncGenerator[Any]:
            for event in [*events, Finish("stop")]:
                yield event

        id = await journal.start(source())
        end = len(await read(journal, id))
        whole = await _followed(journal, id, protocol=protocol)
        rests = [await _followed(journal, id, str(at), protocol=protocol) for at in range(1, end)]
        nothing = await _followed(journal, id, end, protocol=protocol)

    message, error = _read(whole, "tokenstream" if protocol == "ndjson" else protocol)
    assert ("Hello world", None) == (message.text, error)
    for rest in rests:
        # Behind the comment or the note of what is replayed.
        body = _without_notes(rest.body)
        assert body
        assert _without_notes(whole.body).endswith(body)
    assert (204, b"") == (nothing.status, nothing.body)
    assert "content-length" not in nothing.headers
    # What says nothing in a protocol is the only thing that two of them may differ in.
    assert len({rest.body for rest in rests}) >= len(rests) - 1


def _without_notes(body: bytes) -> bytes:
    border = b"\n\n" if b"data:" in body else b"\n"
    blocks = [block for block in body.split(border) if b'"live"' not in block and not block.startswith(b":")]
    return border.join(block for block in blocks if block)


async def test_replayed_events_say_so() -> None:
    """What was there when the reader came is told by a note before it, which is no event of the answer."""
    async with _journal() as journal:
        answer, client = Answer("Hel"), Client(method="GET")
        id = await journal.start(answer.stream, open_within=5.0)
        for _ in range(3):
            await anext(journal.follow(id))
        await anyio.sleep(0.02)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.follow(journal, id))
            await client.until(lambda: b"Hel" in client.body)
            answer.send("lo", over=True)

    first = client.body.split(b"\n\n")[1]
    assert b'data: {"type":"live","at":3}' == first
    assert "Hello" == _read(client, "tokenstream")[0].text


async def test_ids_stand_in_the_last_event_of_each_position() -> None:
    """In a protocol whose events are several for one of ours, a reader never comes back between them."""
    async with _journal() as journal:
        id = await journal.start(Answer("Hel", "lo", over=True).stream)
        entries = await read(journal, id)
        client = await _followed(journal, id, protocol="ui-message")

    ids = [int(line[4:]) for line in client.body.split(b"\n") if line.startswith(b"id: ")]
    assert sorted(set(ids)) == ids
    assert entries[-1].position == ids[-1]


async def test_events_are_encoded_once_for_all_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred readers of one protocol share the bytes, and a second protocol makes its own."""
    made: list[Any] = []
    feed = BodyWriter.feed

    def counted(self: Any, events: Any) -> Any:
        made.extend(event for event in events if isinstance(event, TextDelta))
        return feed(self, events)

    monkeypatch.setattr(BodyWriter, "feed", counted)
    async with _journal() as journal:
        answer = Answer()
        id = await journal.start(answer.stream)
        clients = [Client(method="GET") for _ in range(100)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(client.call, relay.follow(journal, id, protocol="ui-message"))
            await clients[-1].until(lambda: clients[-1].status == 200)
            answer.send(*"Hello", over=True)

    assert 5 == len(made)
    assert 1 == len({_without_notes(client.body) for client in clients})


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *[(said, 400) for said in ("x", "-1", "1.0", "٣", "1e3", " 1", "9" * 400, "99", 99, -1)],
        *[(said, 200) for said in ("0", "1", "", None, 2)],
    ],
)
async def test_the_position_of_a_reader_is_checked(said: Any, status: int) -> None:
    """A malformed Last-Event-ID, or one from the future, is refused; an empty one is none."""
    async with _journal() as journal:
        id = await journal.start(Answer("Hello", over=True).stream)
        await read(journal, id)
        client = await _followed(journal, id, said)

    assert status == client.status
    if status == 400:
        assert "unknown_position" == client.json["error"]["type"]
        assert not client.json["error"]["retryable"]


async def test_what_a_journal_does_not_give_has_a_status() -> None:
    """404 for no answer and for another owner's, in the same words; 410 when expired; 503 when away."""
    place = Place(MemoryStorage(expire=0.1))
    async with Journal(place, drain=0.0, lease=0.4) as journal:
        await journal.start(Answer("Hello", over=True).stream, id="ann's", owner="ann")
        await read(journal, "ann's", owner="ann")
        unknown = [await _followed(journal, id, owner="bob") for id in ("ann's", "?", "x" * 5_000)]
        found = await _followed(journal, "ann's", owner="ann")
        await anyio.sleep(0.15)
        expired = await _followed(journal, "ann's", owner="ann")
        place.away = True
        away = await _followed(journal, "ann's", owner="ann")

    assert [404] * 3 == [client.status for client in unknown]
    assert 1 == len({client.body for client in unknown})
    assert [200, 410, 503] == [client.status for client in (found, expired, away)]
    assert "1" == away.headers["retry-after"]
    assert away.json["error"]["retryable"]


async def test_a_reader_whose_events_were_trimmed_is_cut_and_then_told() -> None:
    """The body ends without the end of the answer, and who asks again hears 410; nothing is skipped."""
    async with _journal(max_bytes=2_000) as journal:
        answer = Answer("begin")
        id = await journal.start(answer.stream)
        gate = anyio.Event()
        client = Client(method="GET", slow=gate.wait)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.follow(journal, id))
            await anyio.sleep(0.05)
            for _ in range(50):
                answer.send(*["x" * 100] * 10)
                await anyio.sleep(0.001)
            gate.set()
            await client.until(lambda: client.ended)
        again = await _followed(journal, id, 5)
        others = await _followed(journal, id, 500, protocol="ui-message")
        answer.end()

    assert isinstance(_read(client, "tokenstream")[1], StreamError)
    assert [410, 410] == [again.status, others.status]


async def test_an_upstream_that_fails_is_an_event_of_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of every protocol hear of it, or are cut where that has no words for it."""
    async with _journal() as journal:
        id = await journal.start(_failing(ProviderError("private", kind="overloaded"), "Hel"))
        for protocol in ("tokenstream", "ui-message", "anthropic", "openai-chat"):
            client = await _followed(journal, id, protocol=protocol)
            message, error = _read(client, protocol)
            assert "Hel" == message.text
            assert isinstance(error, ProviderError)
            assert b"private" not in client.body
        monkeypatch.setattr(BodyWriter, "fail", lambda *_: None)
        with pytest.raises(ProviderError):
            await _followed(journal, id, protocol="cohere")


async def test_an_answer_that_is_started_by_a_request_outlives_it() -> None:
    """`respond` with a journal: the reader leaves, the answer goes on, and its id leads back to it."""
    async with _journal() as journal:
        answer, client = Answer("Hel"), Client()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.respond(answer.stream, journal=journal, owner="ann"))
            await client.until(lambda: b"Hel" in client.body)
            client.leave()
        answer.send("lo", over=True)
        id = client.headers["x-answer-id"]
        again = await _followed(journal, id, 3, owner="ann")

    assert len(id) == 32
    assert b'"lo"' in again.body
    assert b'"Hel"' not in again.body
    assert answer.closed


async def test_a_reader_that_leaves_before_the_first_event_stops_nothing() -> None:
    """Whenever it leaves, the answer has begun."""
    async with _journal() as journal:
        answer, client = Answer(), Client()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.respond(answer.stream, journal=journal, id="id"))
            await anyio.sleep(0.02)
            client.leave()
        answer.send("Hello", over=True)

        assert b"Hello" in (await _followed(journal, "id")).body


async def test_an_id_may_have_any_characters() -> None:
    """In the header it stands as in an address, so that it neither breaks off the head nor adds to it."""
    id = "ü 🌊/\r\nx: y"
    async with _journal() as journal:
        client = Client()
        await client.call(relay.respond(Answer("x", over=True).stream, journal=journal, id=id))
        again = await _followed(journal, id)

    assert id == unquote(client.headers["x-answer-id"])
    assert client.headers["x-answer-id"].isascii()
    assert "\n" not in client.headers["x-answer-id"]
    assert 200 == again.status


async def test_a_request_that_is_sent_twice_gets_one_answer() -> None:
    """The second stream is closed, and its reader gets the first answer from its beginning."""
    async with _journal() as journal:
        answers, clients = [Answer("first", over=True), Answer("second", over=True)], [Client(), Client()]
        for answer, client in zip(answers, clients, strict=True):
            await client.call(relay.respond(answer.stream, journal=journal, id="id"))

    assert ["first"] * 2 == [_read(client, "tokenstream")[0].text for client in clients]
    assert answers[1].stream.closed


@pytest.mark.parametrize(("kind", "status"), [("rate_limited", 429), ("overloaded", 503), ("server", 502)])
async def test_an_upstream_that_fails_before_its_first_event_has_a_status(kind: Any, status: int) -> None:
    """With a journal as without: the status says so, and the journal has it for others."""
    async with _journal() as journal:
        client, late = Client(), Client()
        error = ProviderError("private", kind=kind, retry_after=7.0)
        await client.call(relay.respond(_failing(error), journal=journal, id="id"))
        late = await _followed(journal, "id")

    assert (status, "7") == (client.status, client.headers["retry-after"])
    assert b"private" not in client.body + late.body
    assert isinstance(_read(late, "tokenstream")[1], ProviderError)


async def test_an_upstream_that_fails_behind_open_within_is_an_event() -> None:
    """Once the head is out, a failure is told in the body."""
    async with _journal() as journal:

        async def slow() -> AsyncGenerator[Any]:
            await anyio.sleep(0.2)
            async for event in _failing(ProviderError("no", kind="server")):
                yield event

        client = Client()
        await client.call(relay.respond(slow(), journal=journal, open_within=0.02))

    assert 200 == client.status
    assert isinstance(_read(client, "tokenstream")[1], ProviderError)


async def test_what_is_redacted_is_not_in_the_journal() -> None:
    """A shape is applied before the answer is written, so that no reader and no storage has the rest."""
    async with _journal() as journal:
        client = Client()
        stream = Answer("my PIN is 12", "34, yes", over=True).stream
        await client.call(
            relay.respond(
                stream, journal=journal, id="id", shape=lambda text: text.redact(r"[0-9]{4}").words()
            )
        )
        entries = await read(journal, "id")

    assert b"12" not in b"".join(entry.record for entry in entries)
    assert _read(client, "tokenstream")[0].text.endswith(", yes")


async def test_an_id_without_a_journal_is_misuse() -> None:
    """What would have no effect is refused."""
    with pytest.raises(MisuseError):
        relay.respond(_failing(ProviderError("no")), id="id")


async def test_the_end_of_the_server_sends_readers_away() -> None:
    """They get SSE's word for coming back, and no end of the answer: it goes on."""
    async with _journal() as journal:
        answer, client = Answer("Hel"), Client(method="GET")
        id = await journal.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.follow(journal, id))
            await client.until(lambda: b"Hel" in client.body)
            # What is broken off in the middle of a chunk gets no last one.
            await anyio.sleep(0.02)
            relay.shut_down()
        answer.send("lo", over=True)
        await read(journal, id)

    assert client.body.endswith(b"retry: 1000\n\n")
    assert b'"end"' not in client.body
    assert client.ended


async def test_a_stop_reaches_all_readers() -> None:
    """`relay.stop` ends the answer for whoever follows it, with what there is of it."""
    async with _journal() as journal:
        answer, client = Answer("Hel"), Client(method="GET")
        id = await journal.start(answer.stream)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, relay.follow(journal, id))
            await client.until(lambda: b"Hel" in client.body)
            assert "stopped" == await relay.stop(journal, id)
        assert ["ended", "unknown"] == [await relay.stop(journal, each) for each in (id, "?")]

    message, _ = _read(client, "tokenstream")
    assert ("Hel", "stopped") == (message.text, message.ending)


# -- routes --------------------------------------------------------------------


class _Caller:
    """Calls the application that `routes` returned."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        root: str = "",
        query: bytes = b"",
        **headers: str,
    ) -> Client:
        client = Client(method=method)
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        client.scope |= {"path": root + path, "root_path": root, "query_string": query}
        client.scope["headers"] = [*client.scope["headers"], *named]
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        client.request = sent
        await client.call(self.app)
        return client


def _answering(body: Any) -> AsyncStream:
    return AsyncStream([body["text"]], format="pieces")


def _owner(scope: Any) -> str | None:
    found = dict(scope["headers"]).get(b"user")
    if found is None:
        raise PermissionError
    return str(found.decode())


async def test_routes_start_follow_and_stop() -> None:
    """The three requests of an answer, mounted anywhere."""
    for root in ("", "/api/answers"):
        async with _journal() as journal:
            call = _Caller(relay.routes(journal, _answering))
            started = await call("POST", "/", {"text": "Hello"}, root=root)
            id = started.json["id"]
            followed = await call("GET", f"/{id}", root=root)
            rest = await call("GET", f"/{id}", root=root, last_event_id="2")
            asked = await call("GET", f"/{id}", root=root, query=b"x=1&after=2")
            nothing = await call("GET", f"/{id}", root=root, last_event_id=str(len(await read(journal, id))))
            stopped = await call("POST", f"/{id}/stop", root=root)

        assert (201, f"{root}/{id}") == (started.status, started.headers["location"])
        assert [200, 200, 200, 204, 200] == [
            each.status for each in (followed, rest, asked, nothing, stopped)
        ]
        assert "Hello" == _read(followed, "tokenstream")[0].text
        assert rest.body == asked.body
        assert {"state": "ended"} == stopped.json


async def test_a_start_gives_the_answer_itself_to_who_accepts_it() -> None:
    """With the protocol's type in `Accept` the response of the start is the answer."""
    async with _journal() as journal:
        call = _Caller(relay.routes(journal, _answering, protocol="ui-message"))
        client = await call("POST", "/", {"text": "Hello"}, accept="text/event-stream")
        again = await call("GET", client.headers["location"])

    assert [200, 200] == [client.status, again.status]
    assert _without_notes(client.body) == _without_notes(again.body)


async def test_routes_refuse_what_they_cannot_do() -> None:
    """Each kind of bad request has its status, and a body of JSON that says why and quotes nothing."""
    async with _journal() as journal:

        async def answering(body: Any) -> Any:
            if body.get("fail"):
                return _failing(ProviderError("private", kind="rate_limited", retry_after=3.0))
            if "text" not in body:
                raise ValueError("private")
            return _answering(body)

        call = _Caller(relay.routes(journal, answering, max_body=1_000, owner=_owner))
        started = await call("POST", "/", {"text": "Hello"}, user="ann")
        id = started.json["id"]
        cases = [
            (400, await call("POST", "/", b"{", user="ann")),
            (400, await call("POST", "/", b"[" * 900, user="ann")),
            (400, await call("POST", "/", b"\xff", user="ann")),
            (400, await call("POST", "/", {"private": 1}, user="ann")),
            (413, await call("POST", "/", {"text": "x" * 1_000}, user="ann")),
            (429, await call("POST", "/", {"fail": 1}, user="ann")),
            (403, await call("POST", "/", {"text": "Hello"})),
            (403, await call("GET", f"/{id}")),
            (404, await call("GET", f"/{id}", user="bob")),
            (404, await call("POST", f"/{id}/stop", user="bob")),
            (404, await call("GET", f"/{id}/else", user="ann")),
            (405, await call("GET", "/", user="ann")),
            (405, await call("DELETE", f"/{id}", user="ann")),
            (405, await call("GET", f"/{id}/stop", user="ann")),
            (400, await call("GET", f"/{id}", user="ann", last_event_id="x")),
            (400, await call("GET", f"/{id}", user="ann", query=b"after=99")),
        ]
        own = await call("GET", f"/{id}", user="ann")
        none = await _Caller(relay.routes(journal))("POST", "/", {})

    assert [status for status, _ in cases] == [client.status for _, client in cases]
    assert all(client.json["error"]["message"] for _, client in cases)
    assert b"private" not in b"".join(client.body for _, client in cases)
    assert (200, 404) == (own.status, none.status)
    assert "POST" == cases[11][1].headers["allow"]


async def test_a_body_that_does_not_end_is_refused_in_time() -> None:
    """What is beyond the bound is not waited for."""
    async with _journal() as journal:
        client = Client()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"x" * 400, "more_body": True}

        with anyio.fail_after(5):
            await relay.routes(journal, _answering, max_body=1_000)(client.scope, receive, client.send)

    assert 413 == client.status


class _Cutting(httpx.AsyncBaseTransport):
    """Asks an application, and breaks each response off somewhere.

    Args:
        app: The application.
        seed: Decides where.
    """

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


async def test_our_own_client_follows_a_journal_over_cuts() -> None:
    """`connect` with `Retry(mode="resume")` asks again from its position, and ends with the answer once."""
    words = [f"word {number} " for number in range(30)]
    async with _journal() as journal:
        id = await journal.start(Answer(*words, over=True).stream)
        await read(journal, id)
        for seed in range(8):
            transport = _Cutting(relay.routes(journal), seed)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                again = Retry(mode="resume", wait=0, attempts=100)
                async with aconnect(f"http://here/{id}", method="GET", client=client, retry=again) as stream:
                    pieces = [piece async for piece in stream.text]

            assert "".join(words) == "".join(pieces)
            assert "complete" == stream.message.ending
            assert len(transport.asked) > 1
            assert transport.asked[-1] is not None


async def test_our_own_client_follows_a_journal() -> None:
    """What a journal sends is a stream of ours, with its ending and its error."""
    async with _journal(lease=math.inf) as journal:
        id = await journal.start(_failing(StreamInterrupted("cut"), "Hel"))
        client = await _followed(journal, id)
        stream = Stream([client.body], format="tokenstream")
        with pytest.raises(StreamInterrupted) as caught:
            stream.final()

    assert "Hel" == caught.value.partial.text
