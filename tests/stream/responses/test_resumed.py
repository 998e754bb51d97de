"""Every view of a run goes on where its connection broke off, and gives what comes a second time once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.formats import test_anthropic_agents as anthropic
from tests.formats import test_langchain_protocol as langchain
from tests.recovery.attempts import AsyncBody, Body, Played, PlayedBody, in_each_world
from tests.stream.responses.test_views_end import TEXT, VIEWS_OF_ALL
from tests.support.either import Each, client_in, connect_in, got, inside, run_in
from tests.support.loopback import FIN, OPEN, RST, Act, Loopback, chunked_head, http_chunk
from tests.support.wire import sse
from tokenstream import AsyncStream, Deadlines, Retry, Stream, aresilient, resilient
from tokenstream.errors import (
    OutputIncomplete,
    OutputInvalid,
    PositionLost,
    StatusError,
    StreamError,
    StreamTruncated,
)
from tokenstream.events import Resumed
from tokenstream.recovery import Attempt

RESUME = Retry(wait=0, attempts=4)
Server = Callable[[Attempt], Body]


def said(number: int, *texts: str) -> list[dict[str, Any]]:
    """Return the events of an answer of a graph, in pieces."""
    begun = langchain.begin(0, type="text", text="")
    pieces = [langchain.add(0, "text", text=text) for text in texts]
    ended = langchain.end(0, type="text", text="".join(texts))
    return [langchain.start(id=f"msg_{number}"), begun, *pieces, ended, langchain.finish()]


def numbered(*payloads: dict[str, Any]) -> list[bytes]:
    return [f"id: {number}\n".encode() + sse(payload) for number, payload in enumerate(payloads)]


RUN = numbered(
    langchain.RUNNING,
    *[langchain.wrapped(event) for event in (*said(1, *TEXT), *said(2, "Bye", "."))],
    langchain.COMPLETED,
)
SESSION = numbered(anthropic.running(), anthropic.message("Hello"), anthropic.idle())
ANSWERS = [("msg_1", "".join(TEXT), "stop", "complete"), ("msg_2", "Bye.", "stop", "complete")]


def broken_at(body: list[bytes], cut: int, *ends: Exception | bytes, overlap: int = 0) -> Server:
    """Return a server that breaks off at a frame, and then goes on after the id that it is asked for."""

    def serve(attempt: Attempt) -> Body:
        if attempt.number == 1:
            return [*body[:cut], *ends]
        begin = 0 if attempt.last_event_id is None else int(attempt.last_event_id) + 1
        return body[max(0, begin - overlap) :]

    return serve


async def read(world: str, serve: Server, view: str, retry: Retry = RESUME, **options: Any) -> Any:
    """Read a view, and each answer in it, to its end; return what it gave, its error, and the stream."""
    played, given, error = Played(), list[Any](), None

    def opened(attempt: Attempt) -> PlayedBody:
        return PlayedBody(len(played.asked), serve(attempt), played)

    async def opened_async(attempt: Attempt) -> AsyncBody:
        await anyio.lowlevel.checkpoint()
        return AsyncBody(opened(attempt))

    stream: Any = (
        resilient(opened, retry, **options) if world == "sync" else aresilient(opened_async, retry, **options)
    )
    async with inside(stream):
        try:
            async for item in Each(VIEWS_OF_ALL[view](stream)):
                if isinstance(item, Stream | AsyncStream):
                    message = await got(item.final())
                    given.append((message.id, message.text, message.finish_reason, message.ending))
                elif not isinstance(item, Resumed):
                    given.append(item)
        except (StreamError, OutputInvalid, OutputIncomplete) as raised:
            error = raised
    return given, error, stream


def answers(world: str, serve: Server, **options: Any) -> Any:
    return run_in(world, partial(read, world, serve, "responses", **options))


@in_each_world
@pytest.mark.parametrize("view", VIEWS_OF_ALL)
def test_each_view_gives_the_same_wherever_the_connection_breaks(world: str, view: str) -> None:
    for body, format in ((RUN, "langchain-protocol"), (SESSION, "anthropic-agents"), (RUN, None)):
        look = partial(read, world, view=view, format=format)
        whole, ended, _ = run_in(world, partial(look, broken_at(body, len(body))))
        for cut in range(len(body)):
            for ends in ((), (OSError("gone"),), (body[cut][:9],)):
                given, error, _ = run_in(world, partial(look, broken_at(body, cut, *ends, overlap=cut % 3)))

                assert (given, type(error)) == (whole, type(ended)), (format, cut, ends)


@in_each_world
def test_the_answers_are_those_of_a_loop_over_the_events(world: str) -> None:
    given, error, stream = answers(world, broken_at(RUN, 4, OSError("gone"), overlap=3))
    _, _, looped = run_in(world, partial(read, world, broken_at(RUN, 4), "events"))

    assert (given, error) == (ANSWERS, None)
    assert "".join(text for _, text, *_ in given) == looped.message.text
    assert [report.mode for report in stream.attempts] == ["start", "resume"]
    assert stream.message.ending == "complete"


@in_each_world
def test_a_connection_may_break_again_and_be_refused(world: str) -> None:
    script: list[Any] = [OSError("no route"), RUN[:3], OSError("no route"), RUN[2:9], RUN[9:]]

    def serve(attempt: Attempt) -> Body:
        body = script[attempt.number - 1]
        if isinstance(body, Exception):
            raise body
        return list(body)

    given, error, stream = answers(world, serve, retry=Retry(wait=0, attempts=5))

    assert (given, error, len(stream.attempts)) == (ANSWERS, None, 5)


@in_each_world
def test_an_open_answer_gets_the_error_of_the_last_attempt(world: str) -> None:
    other = [frame.replace(b"{\\", b"[\\") for frame in RUN]
    for attempts, rest, kind in ((1, RUN[4:], StreamTruncated), (4, other[2:], PositionLost)):

        def serve(attempt: Attempt, rest: list[bytes] = rest) -> Body:
            return [*RUN[:4]] if attempt.number == 1 else [*rest]

        given, error, stream = answers(world, serve, retry=Retry(wait=0, attempts=attempts))

        assert (given, type(error)) == ([], kind)
        assert error.partial.text == TEXT[0]
        assert stream.message.ending in ("truncated", "failed")


@in_each_world
def test_a_break_between_two_answers_is_reported_by_the_loop_over_them(world: str) -> None:
    """Where a server says when its run is over, the end of the body is none."""
    for retry in (Retry(wait=0, attempts=1), Retry(attempts=1), Retry(again=True, wait=0)):
        given, error, _ = answers(world, lambda _: RUN[:7], retry=retry)

        assert (given, type(error)) == (ANSWERS[:1], StreamTruncated)


@in_each_world
def test_what_comes_again_after_the_last_answer_is_no_cut(world: str) -> None:
    """Nothing else follows, so the input is whole, as for a loop over the events."""
    model = numbered(*said(1, *TEXT))
    for body in ([*SESSION, SESSION[1]], [*model, model[-1]]):
        for retry in (RESUME, Retry(attempts=1)):
            given, error, _ = answers(world, broken_at(body, len(body)), retry=retry)

            assert (len(given), error) == (1, None)


@in_each_world
def test_another_answer_never_takes_the_place_of_one_that_has_begun(world: str) -> None:
    unnumbered = [frame.partition(b"\n")[2] for frame in RUN]
    given, error, stream = answers(world, broken_at(unnumbered, 4), retry=Retry(again=True, wait=0))
    assert (given, type(error), len(stream.attempts)) == ([], StreamTruncated, 1)

    given, error, stream = answers(world, broken_at(RUN, 0), retry=Retry(wait=0))
    assert (given, error, len(stream.attempts)) == (ANSWERS, None, 2)


@in_each_world
def test_a_refused_request_is_made_again(world: str) -> None:
    heads = {"content-type": "text/event-stream"}

    async def ask(*bodies: Any) -> Any:
        left = [*bodies]

        def answer(_: httpx.Request) -> httpx.Response:
            body = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(body, int):
                return httpx.Response(body, json={"error": {"message": "busy"}})
            return httpx.Response(200, headers=heads, content=b"".join(body))

        given, url = list[Any](), "https://graph.example/threads/t1/stream/events"
        async with inside(
            connect_in(world)(url, json={}, client=client_in(world, answer), retry=RESUME)
        ) as stream:
            try:
                async for response in Each(stream.responses):
                    message = await got(response.final())
                    given.append((message.id, message.text, message.finish_reason, message.ending))
            except StreamError as error:
                return given, type(error)
        return given, None

    assert run_in(world, ask, 503, RUN[:5], 503, RUN[3:]) == (ANSWERS, None)
    assert run_in(world, ask, 401) == ([], StatusError)
    assert run_in(world, ask, RUN[:10], 401) == (ANSWERS[:1], StatusError)
    assert run_in(world, ask, RUN[:10], 404) == (ANSWERS[:1], PositionLost)


def graph_server(*ends: Act, heartbeat: float = 0.05) -> Loopback:
    """Return a server whose first connections break after a part of the run, and whose last stays open.

    A LangGraph server sends heartbeats there, because another run of the thread may follow.
    """
    parts = [RUN[4 * place : 4 * place + 5] for place in range(len(ends))]
    scripts: list[Any] = [
        [chunked_head(), *map(http_chunk, part), end] for part, end in zip(parts, ends, strict=True)
    ]
    beats = [each for _ in range(40) for each in (http_chunk(b": heartbeat\n\n"), heartbeat)]
    rest = [http_chunk(frame) for frame in RUN[4 * len(ends) :]]
    return Loopback(*scripts, [chunked_head(), *rest, *beats, OPEN])


@in_each_world
@pytest.mark.parametrize("view", ["events", "text", "responses"])
def test_a_view_ends_with_the_run_on_a_server_that_stays_open(world: str, view: str) -> None:
    deadlines = Deadlines(idle_bytes=0.3)

    async def look(url: str) -> Any:
        given, options = list[Any](), {"retry": RESUME, "deadlines": deadlines}
        async with inside(connect_in(world)(f"{url}/threads/t1/stream/events", json={}, **options)) as stream:
            async for item in Each(VIEWS_OF_ALL[view](stream)):
                given.append((await got(item.final())).text if view == "responses" else item)
            assert stream.closed
        return given

    for ends in ((), (FIN,), (RST, OPEN)):
        with graph_server(*ends) as server:
            given = run_in(world, look, server.url)
            assert server.connection(len(ends)).closed_within()
            payloads = [json.loads(request.body) for request in server.requests]

        assert [payload.get("since") for payload in payloads] == [None, *range(4, 4 * len(ends) + 1, 4)]
        if view == "responses":
            assert given == [text for _, text, *_ in ANSWERS]
        elif view == "text":
            assert "".join(given) == "".join(text for _, text, *_ in ANSWERS)
