"""A reader of a relay over a real server goes on with the same answer, and never joins another one to it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tests.recovery.attempts import in_each_world
from tests.relay.tokenstream.support import END, frame, line
from tests.support.either import Each, connect_in, inside, run_in
from tests.support.served import by_uvicorn
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, connect, relay
from tokenstream.errors import PositionLost, StreamError

_AGAIN = Retry(wait=0, attempts=9)
_WORDS = [f"word{number} " for number in range(40)]


class _Service:
    """A service whose connections are cut, with a model that says other words each time.

    Args:
        keeps: False if it forgets every answer at once, as with a journal in another process.
        cuts: After how many bytes of its body each response is cut; the last ones are not.
        protocol: The protocol of the answers.
    """

    def __init__(self, *cuts: int, keeps: bool = True, protocol: Any = "tokenstream") -> None:
        self.asked = 0
        self.requests: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self._cuts = list(cuts)
        self._keeps = keeps
        self._protocol = protocol
        self._journals: list[relay.MemoryJournal] = []

    def model(self) -> AsyncStream:
        return AsyncStream(self._pieces(), format="pieces")

    async def _pieces(self) -> AsyncIterator[str]:
        self.asked += 1
        for word in _WORDS:
            yield f"answer{self.asked}{word}"

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncGenerator[None]:
        async with relay.MemoryJournal(drain=0.0) as one, relay.MemoryJournal(drain=0.0) as other:
            self._journals = [one] if self._keeps else [one, other]
            self.routes = [
                relay.endpoints(journal, lambda _: self.model(), protocol=self._protocol)
                for journal in self._journals
            ]
            yield

    def _number(self) -> int:
        return (len(self.requests) - 1) % len(self._journals)

    async def _endpoint(self, request: Any) -> Any:
        journal = self._journals[self._number()]
        body = await request.json()
        return relay.respond(self.model(), journal=journal, body=body, protocol=self._protocol)

    async def _routed(self, scope: Any, receive: Any, send: Any) -> None:
        await self.routes[self._number()](scope, receive, send)

    def app(self) -> Any:
        """Return the application, with the cuts around it."""
        inner = Starlette(
            routes=[Route("/respond", self._endpoint, methods=["POST"]), Mount("/routes", app=self._routed)],
            lifespan=self._lifespan,
        )

        async def cutting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return await inner(scope, receive, send)
            self.requests.append({name.decode(): value.decode() for name, value in scope["headers"]})
            left = self._cuts.pop(0) if self._cuts else 10**9

            async def send_some(message: Any) -> None:
                nonlocal left
                if message["type"] == "http.response.start":
                    self.statuses.append(message["status"])
                body = message.get("body", b"")
                if len(body) > left:
                    await send({**message, "body": body[:left], "more_body": True})
                    raise OSError("cut")
                left -= len(body)
                await send(message)

            return await inner(scope, receive, send_some)

        return cutting


def _read(world: str, url: str, protocol: str = "tokenstream") -> tuple[str, StreamError | None]:
    format: Any = "tokenstream" if protocol in ("tokenstream", "ndjson") else protocol
    options: dict[str, Any] = {"json": {"prompt": "x"}, "format": format, "retry": _AGAIN}

    async def main() -> tuple[str, StreamError | None]:
        async with inside(connect_in(world)(url, **options)) as stream:
            try:
                return "".join([piece async for piece in Each(stream.text)]), None
            except StreamError as error:
                return stream.message.text, error

    told: tuple[str, StreamError | None] = run_in(world, main)
    return told


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("path", ["respond", "routes/"])
def test_a_repeated_post_goes_on_with_the_answer(world: str, path: str) -> None:
    """The whole text is that of one answer, and the model is asked once, however often it was cut."""
    for cuts in ((900,), (400, 300, 700), (500, 1500)):
        service = _Service(*cuts)
        with by_uvicorn(service.app(), lifespan="on") as url:
            text, error = _read(world, url + path)

        assert error is None
        assert "".join(f"answer1{word}" for word in _WORDS) == text
        assert 1 == service.asked
        assert len(cuts) + 1 == len(service.requests)
        ids = {request.get("x-answer-id") for request in service.requests[1:]}
        assert 1 == len(ids)
        assert None not in ids


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("path", ["respond", "routes/"])
def test_a_server_that_has_lost_the_answer_starts_no_other(world: str, path: str) -> None:
    """The reader gets `PositionLost` with what had come, and nobody pays twice."""
    service = _Service(900, keeps=False)
    with by_uvicorn(service.app(), lifespan="on") as url:
        text, error = _read(world, url + path)

    assert isinstance(error, PositionLost)
    assert "".join(f"answer1{word}" for word in _WORDS).startswith(text)
    assert text
    assert (1, [200, 404]) == (service.asked, service.statuses)


class _Body(httpx.SyncByteStream):
    """The body of one response, which notes that it was closed."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        self.is_closed = True


class _Scripted:
    """A server whose connections are written by the test.

    Args:
        responses: For each connection its headers and its body; the body is cut after it if it does not end.
    """

    def __init__(self, *responses: tuple[dict[str, str], bytes]) -> None:
        self._responses = list(responses)
        self.requests: list[httpx.Request] = []
        self.bodies: list[_Body] = []

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        headers, body = self._responses[len(self.requests) - 1]
        self.bodies.append(_Body(body))
        headers = {"content-type": "text/event-stream", **headers}
        return httpx.Response(200, headers=headers, stream=self.bodies[-1])


def _told(answer: str | None, *words: str, after: int = 0, border: Literal["sse", "ndjson"] = "sse") -> bytes:
    """Return events of an answer, the first of which names it."""
    first = {} if answer is None else {"answer": answer}
    payloads = [
        {"type": "text_delta", "text": word, **(first if not at else {})} for at, word in enumerate(words)
    ]
    make = frame if border == "sse" else line
    return b"".join(make(after + at, json.dumps(payload).encode()) for at, payload in enumerate(payloads, 1))


@in_one_test("method", ["GET", "POST"])
@in_one_test(
    ("first", "second"),
    [
        (({}, _told("1", "Once ", "upon ")), ({}, _told("2", "In ", "Rome ", "at ", "noon"))),
        (({}, _told("1", "Once ", "upon ")), ({}, _told("2", "at ", "noon", after=2))),
        (({}, _told("1", "Once ", "upon ")), ({}, _told(None, "at ", "noon", after=2))),
        (
            ({"x-answer-id": "1"}, _told("1", "Once ", "upon ")),
            ({"x-answer-id": "2"}, _told("1", "at ", after=2)),
        ),
        (
            ({"x-answer-id": "1"}, _told(None, "Once ", "upon ")),
            ({"x-answer-id": "2"}, _told(None, "at ", after=2)),
        ),
        (
            ({}, _told("1", "Once ", "upon ", border="ndjson")),
            ({}, _told("2", "at ", after=2, border="ndjson")),
        ),
    ],
)
def test_another_answer_is_never_joined(
    method: str, first: tuple[dict[str, str], bytes], second: tuple[dict[str, str], bytes]
) -> None:
    server = _Scripted(first, (second[0], second[1] + frame(9, END)))
    with (
        server.client() as client,
        connect("http://here/", method=method, client=client, retry=_AGAIN) as stream,
    ):
        with pytest.raises(PositionLost):
            list(stream)
        # While the client is still open, which would close them as well.
        assert [True, True] == [body.is_closed for body in server.bodies]
    assert "Once upon " == stream.message.text
    assert 2 == len(server.requests)


def test_the_id_is_sent_as_it_came() -> None:
    """An id may contain any characters; the position goes with it."""
    server = _Scripted(
        ({"x-answer-id": "a%2Fb%20%C3%BC"}, _told("a/b ü", "Once ", "upon ")),
        (
            {"x-answer-id": "a%2Fb%20%C3%BC"},
            frame(None, b'{"type":"live","at":2,"answer":"a/b \xc3\xbc"}') + frame(3, END),
        ),
    )
    with server.client() as client, connect("http://here/", json={}, client=client, retry=_AGAIN) as stream:
        assert "Once upon " == stream.final().text
    sent = server.requests[1].headers
    assert ("a%2Fb%20%C3%BC", "2") == (sent["x-answer-id"], sent["last-event-id"])
